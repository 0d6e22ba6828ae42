"""Kills, full disks, lost folders and short memory: nothing is lost, and each is told in words."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import psutil
import pytest
import torch
from a_service import named

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError, StorageError
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.messages.job_messages import (
    JobCancelled,
    JobFailed,
    is_terminal,
)
from PseudoLabelCLLib.messages.jobs import DeviceChoice, TrainJob
from PseudoLabelCLLib.pipeline.slices import case_slices
from PseudoLabelCLLib.pipeline.slices.case_slices import load_case_slices
from PseudoLabelCLLib.process.failure import failure_of
from PseudoLabelCLLib.process.worker_process import WorkerProcess
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project, save_round

resource = pytest.importorskip("resource")  # Windows has none
ROBUSTNESS = Path(__file__).parents[2] / "robustness"
sys.path.insert(0, str(ROBUSTNESS))

import kill_the_worker  # noqa: E402 - lies in the folder above
from crash_checks import (  # noqa: E402 - lies in the folder above
    StoppedError,
    check_project,
    make_project,
    review_all,
    saved_step,
    train_here,
)  # fmt: skip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="these kills are POSIX signals"),
]

SHORT = ("training.supervised.num_steps=10", "training.joint.num_steps=3")
LONG = "training.supervised.num_steps=2000"
OFTEN = "training.checkpoints_per_round=400"
# A worker is ready in about 4 s here; a machine under full load may take twenty times that.
PATIENCE_S = 90.0
NUM_KILLS = 2


def also(value):
    """A value that only `make test-all` tries, too."""
    return pytest.param(value, marks=pytest.mark.long)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_project(tmp_path_factory.mktemp("made"), 0, *SHORT)


@pytest.fixture
def a_project(made, tmp_path):
    return Path(shutil.copytree(made.parent, tmp_path / "a project")) / "project"


@pytest.fixture(scope="module")
def reviewed(made, tmp_path_factory):
    root = Path(shutil.copytree(made.parent, tmp_path_factory.mktemp("reviewed") / "x")) / "project"
    train_here(root)
    review_all(root)
    return root


@pytest.fixture
def a_reviewed_project(reviewed, tmp_path):
    return Path(shutil.copytree(reviewed.parent, tmp_path / "a reviewed")) / "project"


@pytest.fixture
def a_long_project(tmp_path):
    """Its round 0 lasts longer than any test looks at it."""
    return make_project(tmp_path / "long", 0, LONG, OFTEN)


@pytest.fixture
def a_command_line(a_long_project):
    """`pseudolabelcl train` in its training, and the process of its worker."""
    command = [sys.executable, "-m", "PseudoLabelCLLib", "train", str(a_long_project)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROBUSTNESS.parents[1],
    )
    told = ""
    while "training: " not in told:
        line = process.stdout.readline()
        assert line, told
        told += line
    worker = psutil.Process(process.pid).children()[0]
    yield process, worker
    process.kill()
    with contextlib.suppress(psutil.NoSuchProcess):
        worker.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture
def a_small_disk(tmp_path):
    """A disk of 24 MB in memory, mounted where the system lets us."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)],
        check=False, capture_output=True,
    ) if shutil.which("mount") else None  # fmt: skip
    if mounted is None or mounted.returncode:
        pytest.skip("this system does not let us mount a small disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk, num_bytes_left):
    """Fill a disk up to a rest; the file that fills it is returned."""
    ballast = disk / "ballast"
    rest = shutil.disk_usage(disk).free - num_bytes_left
    ballast.write_bytes(bytes(max(0, rest)))
    return ballast


def contents(root):
    """Every file of a project with its bytes, without locks, logs and what is left over."""
    names = ("events.jsonl", "log.txt", "desk.lock", "worker.lock", "review.lock", "job.json")
    return {
        path.relative_to(root): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.name not in names
    }


@pytest.mark.long
def test_killed_training_ends_as_if_it_was_never_killed(tmp_path):
    rows, different = kill_the_worker.run_all(
        tmp_path, NUM_KILLS, random.SystemRandom().randrange(2**32), num_rounds=1
    )
    print(rows)  # tells the moments if it fails
    assert len(rows) == NUM_KILLS
    assert different == []


@pytest.mark.long
def test_killed_commands_have_done_all_or_nothing(tmp_path):
    command = [
        sys.executable, str(ROBUSTNESS / "kill_the_service.py"), "--kills", "3", "--output",
        str(tmp_path / "service"),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROBUSTNESS.parents[1])}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_kill_between_closing_and_opening_a_round_does_not_block_the_project(a_reviewed_project):
    save_round(a_reviewed_project, Round(0, RoundState.IN_REVIEW).moved_to(RoundState.CLOSED))
    train_here(a_reviewed_project)
    assert [r.state for r in load_project(a_reviewed_project).rounds] == [
        RoundState.CLOSED, RoundState.IN_REVIEW,
    ]  # fmt: skip


def test_worker_whose_parent_was_killed_saves_and_ends(a_command_line, a_long_project):
    process, worker = a_command_line
    process.kill()
    worker.wait(timeout=PATIENCE_S)  # it ends by itself
    step = saved_step(a_long_project, 0)
    assert step > 0
    check_project(a_long_project)
    assert load_project(a_long_project).rounds[0].state is RoundState.TRAINING

    def stop(stage, now):
        if stage.endswith("training"):
            raise StoppedError(str(now))

    with pytest.raises(StoppedError, match=f"^{step + 1}$"):
        train_here(a_long_project, stop)


@pytest.mark.long
def test_second_command_line_is_told_and_interrupt_saves(a_command_line, a_long_project, capfd):
    process, _ = a_command_line
    assert main(["train", str(a_long_project)]) == 1
    assert f"in use by a command line (process {process.pid} on " in capfd.readouterr().err
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=PATIENCE_S)[0]
    assert process.returncode == 130
    assert "Stopping after this step" in told
    assert "everything done so far is saved. " in told.replace("\n", " ") + " "
    assert "Run the same command again to continue." in told
    assert saved_step(a_long_project, 0) > 0
    assert main(["status", str(a_long_project)]) == 0


def test_second_worker_is_told_and_terminated_worker_saves(a_long_project):
    job = TrainJob(str(a_long_project), 1, DeviceChoice.CPU)
    layout = ProjectLayout(a_long_project)
    with WorkerProcess.start(job, layout.job_folder("first")) as first:
        wait_for(first, lambda event: isinstance(event, Progress) and "training" in event.stage)
        with WorkerProcess.start(job, layout.job_folder("second")) as second:
            refused = wait_for(second, is_terminal)
        assert isinstance(refused, JobFailed)
        assert f"in use by a training (process {first.pid} on " in refused.message
        os.kill(first.pid, signal.SIGTERM)
        ended = wait_for(first, is_terminal)
    assert ended == JobCancelled(resumable=True)
    assert saved_step(a_long_project, 0) > 0
    check_project(a_long_project)


def wait_for(worker, is_wanted):
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        event = worker.wait_event(timeout_s=0.2)
        if event is not None and is_wanted(event):
            return event
    raise AssertionError("the worker told nothing of the kind")


# Too little for a lock, for the slices, for the first checkpoint, for the model, for a proposal.
@pytest.mark.parametrize("num_bytes_left", [0, *map(also, (40_000, 420_000, 900_000, 1_100_000))])
def test_training_on_a_full_disk_is_told_and_goes_on_later(made, a_small_disk, num_bytes_left):
    root = Path(shutil.copytree(made.parent, a_small_disk / "x")) / "project"
    before = contents(root)
    ballast = fill(a_small_disk, num_bytes_left)
    with pytest.raises(PseudoLabelCLError, match="the disk is full"):
        train_here(root)
    assert before.items() <= contents(root).items()
    assert check_project(root).num_left == 0
    ballast.unlink()
    train_here(root)
    assert check_project(root).project.rounds[0].state is RoundState.IN_REVIEW


def test_disk_that_fills_up_while_proposals_are_written_is_told(a_small_disk, made):
    root = Path(shutil.copytree(made.parent, a_small_disk / "x")) / "project"
    ballast = a_small_disk / "ballast"

    def fill_after_the_first(stage, step):
        if stage.endswith("pseudo-labels") and not ballast.exists():
            fill(a_small_disk, 8192)

    with pytest.raises(PseudoLabelCLError, match="the disk is full"):
        train_here(root, fill_after_the_first)
    found = check_project(root)
    assert found.num_left == 0
    assert found.project.rounds[0].state is RoundState.PSEUDO_LABELLING
    ballast.unlink()
    assert not any("training" in text for text in train_here(root))
    assert load_project(root).rounds[0].state is RoundState.IN_REVIEW


@pytest.mark.parametrize("num_bytes_left", [0, 4096, 8192])
def test_review_on_a_full_disk_keeps_all_verdicts(reviewed, a_small_disk, num_bytes_left, capsys):
    root = Path(shutil.copytree(reviewed.parent, a_small_disk / "x")) / "project"
    reviews = load_project(root).reviews
    case = reviews[1].case_id
    proposal = ProjectLayout(root).proposal(0, case)
    ballast = fill(a_small_disk, num_bytes_left)
    assert main(["review", str(root), case, "--accept", *named(root, case)]) == 1
    assert "the disk is full" in capsys.readouterr().err
    found = check_project(root)
    assert found.num_left == 0
    assert [r.verdict for r in found.project.reviews] == [r.verdict for r in reviews]
    ballast.unlink()
    assert main(["review", str(root), case, "--accept", *named(root, case)]) == 0
    accepted = ProjectLayout(root).reviewed_segmentation(0, case)
    assert accepted.read_bytes() == proposal.read_bytes()


# The double of a full disk where none can be mounted: the system refuses files beyond a size.
@pytest.mark.parametrize("num_bytes", [also(20_000), also(200_000)])
def test_file_too_large_for_the_disk_is_told_and_training_goes_on_later(a_project, num_bytes):
    before = contents(a_project)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        with pytest.raises(StorageError, match="too large for this disk"):
            train_here(a_project)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert before.items() <= contents(a_project).items()
    assert check_project(a_project).num_left == 0
    train_here(a_project)
    assert check_project(a_project).project.rounds[0].state is RoundState.IN_REVIEW


@pytest.mark.parametrize("half_precision", [False, also(True)])
def test_interrupted_round_goes_on_in_its_precision(a_project, half_precision):
    def stop(stage, now):
        if stage.endswith("training") and now == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        train_here(a_project, stop, half_precision=half_precision)
    notices = train_here(a_project, half_precision=not half_precision)
    kept = "bfloat16" if half_precision else "float32"
    assert any(f"{kept} is kept, as the round began with it" in text for text in notices)


def test_slices_of_other_settings_are_not_taken_for_these(a_project):
    root = a_project
    ProjectLayout(root).preprocess_plan.parent.mkdir()
    case, plan = load_project(root).cases[0], PreprocessConfig(0, 1.5, (64, 64))
    images = load_case_slices(root, case, plan, ()).images.copy()
    other = replace(plan, window_size=(96, 96))
    with (
        mock.patch.object(case_slices, "write_json", side_effect=KeyboardInterrupt),
        pytest.raises(KeyboardInterrupt),  # a kill between the slices and their key
    ):
        load_case_slices(root, case, other, ())
    assert np.array_equal(load_case_slices(root, case, plan, ()).images, images)


@pytest.mark.parametrize("stage", ["training", also("pseudo-labels")])
@pytest.mark.parametrize("fate", ["deleted", also("renamed")])
def test_project_that_goes_away_during_training_is_told(a_project, stage, fate):
    moved = a_project.with_name("moved")

    def lose(now, step):
        if now.endswith(stage) and a_project.exists():
            shutil.move(a_project, moved)
            if fate == "deleted":
                shutil.rmtree(moved)

    with pytest.raises(PseudoLabelCLError) as caught:
        train_here(a_project, lose)
    assert failure_of(caught.value).error_type != "InternalError"
    assert "does not exist" in str(caught.value) or "no " in str(caught.value)
    assert not a_project.exists(), "it came back as a torso"
    if fate == "renamed":
        check_project(moved)
        train_here(moved)
        assert load_project(moved).rounds[0].state is RoundState.IN_REVIEW


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux")
@pytest.mark.skipif(torch.version.cuda is not None, reason="CUDA's libraries alone fill the limit")
def test_full_memory_is_told(tmp_path):
    greedy = make_project(tmp_path / "greedy", 0, "training.supervised.batch_size=20000")
    python = tmp_path / "python"
    # 4 GB of addresses hold torch on one core, but not 20000 slices
    python.write_text(
        f"#!{sys.executable}\n"
        "import os, resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (4 * 10**9, 4 * 10**9))\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])\n"
    )
    python.chmod(0o755)
    job = TrainJob(str(greedy), 1, DeviceChoice.CPU)
    folder = ProjectLayout(greedy).job_folder("job")
    with WorkerProcess.start(job, folder, python=python) as worker:
        ended = wait_for(worker, is_terminal)
    assert isinstance(ended, JobFailed)
    assert ended.error_type == "OutOfMemoryError", ended
    assert "ran out of memory" in ended.message
    assert check_project(greedy).num_left == 0


def test_interrupted_create_does_not_stand_in_the_way_of_the_next(made, tmp_path):
    aside = tmp_path / ".creating-new"
    shutil.copytree(made, aside)
    volumes = sorted((made.parent / "volumes").glob("annotated*"))
    image, truth = sorted(volumes, key=lambda path: path.name.endswith(".seg.nrrd"))
    command = ["create", str(tmp_path / "new"), "--annotated", str(image), str(truth)]
    assert main(command) == 0
    assert [case.id for case in load_project(tmp_path / "new").cases] == ["annotated-01"]
    assert not aside.exists()
