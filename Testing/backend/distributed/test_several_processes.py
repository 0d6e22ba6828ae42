"""Real processes that train a project, some of them killed: nothing is lost but what is told."""

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from learning_doubles import training_config
from small_projects import make_project

from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.messages.job_messages import (
    Artifact,
    JobCancelled,
    JobCompleted,
    JobFailed,
    Notice,
    WorkerCrashed,
    decode_line,
)
from PseudoLabelCLLib.messages.jobs import DeviceChoice, TrainJob
from PseudoLabelCLLib.process.job_files import write_job
from PseudoLabelCLLib.process.process_tree import start_tree
from PseudoLabelCLLib.process.worker_process import WorkerProcess
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_lock import COMMAND_LINE, project_lock
from PseudoLabelCLLib.storage.project.project_store import load_project, save_cases

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc"),
]
NUM_STEPS = 24


@pytest.fixture(scope="module")
def a_begun_project(tmp_path_factory):
    root = make_project(tmp_path_factory.mktemp("several") / "project", num_unlabelled=4)
    project = load_project(root)
    config = project.config
    training = replace(training_config(NUM_STEPS, batch_size=5), checkpoints_per_round=12)
    network = NetworkConfig(widths=(4,) * 6, embedding_size=4)
    copies = replace(config.pseudo_label, num_augmented_copies=2)
    config = replace(config, training=training, network=network, pseudo_label=copies)
    save_cases(root, replace(project, config=config))
    return root


@pytest.fixture
def a_project(a_begun_project, tmp_path):
    shutil.copytree(a_begun_project.parent, tmp_path / "copy")
    return tmp_path / "copy" / a_begun_project.name


def job_of(project, processes=2):
    return TrainJob(str(project), 1, DeviceChoice.CPU, processes)


def ranks_of(worker):
    """The processes that a worker has started, by rank."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if (
                parent == worker.pid
                and b"PseudoLabelCLLib.distributed" in (folder / "cmdline").read_bytes()
            ):
                said = (folder / "environ").read_bytes().split(b"\0")
                rank = next(one for one in said if one.startswith(b"RANK="))
                found[int(rank.removeprefix(b"RANK="))] = int(folder.name)
    return found


def run(project, stage="", step=0, do=None, processes=2):
    """Let a worker train; once a step of a stage is done, `do` something to it. Return events."""
    events = []
    folder = ProjectLayout(project).job_folder(f"job-{time.time_ns()}")
    with WorkerProcess.start(job_of(project, processes), folder) as worker:
        while not worker.has_ended:
            event = worker.wait_event(timeout_s=0.2)
            if event is None:
                continue
            events.append(event)
            is_there = isinstance(event, Progress) and stage in event.stage and event.step >= step
            if do is not None and is_there:
                do(worker)
                do = None
    assert do is None, "the step was never reached"
    return events


def kill_rank(rank):
    return lambda worker: os.kill(ranks_of(worker)[rank], signal.SIGKILL)


def notices(events):
    return [str(event.text) for event in events if isinstance(event, Notice)]


@pytest.mark.parametrize("rank", [0, 1])
def test_killed_process_ends_the_round_in_words_and_one_process_goes_on(a_project, rank):
    events = run(a_project, "training", 9, kill_rank(rank))
    failed = events[-1]
    assert isinstance(failed, JobFailed)
    assert failed.message.startswith(f"Process {rank + 1} of 2 was killed from outside")
    assert ProjectLayout(a_project).checkpoint(0).exists()
    events = run(a_project, processes=1)
    assert any(text.startswith("Round 0 continues after step") for text in notices(events))
    assert isinstance(events[-1], JobCompleted)
    assert events[-1].result["awaiting_review"] == 4


def test_proposals_are_all_there_after_a_process_was_killed_between_them(a_project):
    events = run(a_project, "pseudo-labels", 1, kill_rank(1))
    assert isinstance(events[-1], JobCompleted)
    told = [event.path for event in events if isinstance(event, Artifact)]
    assert sum("proposals" in path for path in told) >= 4
    layout, project = ProjectLayout(a_project), load_project(a_project)
    assert all(layout.doubt(0, case.id).exists() for case in project.cases_to_propose())


def test_cancelled_processes_save_and_two_go_on_from_one(a_project):
    events = run(a_project, "training", 5, lambda worker: worker.request_cancel(), processes=1)
    assert events[-1] == JobCancelled(resumable=True)
    events = run(a_project, "training", 9, lambda worker: worker.request_cancel())
    assert events[-1] == JobCancelled(resumable=True)
    assert any(text.startswith("Round 0 continues after step") for text in notices(events))
    assert isinstance(run(a_project)[-1], JobCompleted)


def test_no_process_outlives_its_worker(a_project):
    ranks = {}

    def kill_worker(worker):
        ranks.update(ranks_of(worker))
        os.kill(worker.pid, signal.SIGKILL)

    assert isinstance(run(a_project, "training", 3, kill_worker)[-1], WorkerCrashed)
    assert len(ranks) == 2
    deadline_s = time.monotonic() + 5
    while time.monotonic() < deadline_s:
        if not any(Path(f"/proc/{pid}/cmdline").exists() for pid in ranks.values()):
            break
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}/cmdline").exists() for pid in ranks.values())
    assert isinstance(run(a_project, processes=1)[-1], JobCompleted)


def torchrun(project, folder):
    """Let torchrun do what a worker does, and return the exit code and the events."""
    path = write_job(folder, job_of(project))
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
        "--log-dir", str(folder), "-m", "PseudoLabelCLLib.distributed", str(path),
    ]  # fmt: skip
    # the environment that a worker has, of which the processes need the search path
    process = start_tree(command, {"OMP_NUM_THREADS": "1"})
    process.communicate(timeout=300)
    lines = (folder / "events.jsonl").read_bytes().splitlines()
    return process.returncode, [decode_line(line).message for line in lines]


def test_torchrun_starts_the_same_without_a_worker(a_project, tmp_path):
    exit_code, events = torchrun(a_project, tmp_path / "job")
    assert exit_code == 0
    assert isinstance(events[-1], JobCompleted)
    assert load_project(a_project).latest_round.index == 0


def test_project_that_is_open_elsewhere_is_refused_by_torchruns_processes(a_project, tmp_path):
    with project_lock(ProjectLayout(a_project).lock, COMMAND_LINE):
        exit_code, events = torchrun(a_project, tmp_path / "job")
    assert exit_code != 0
    assert isinstance(events[-1], JobFailed)
    assert events[-1].error_type == "ProjectInUseError"
