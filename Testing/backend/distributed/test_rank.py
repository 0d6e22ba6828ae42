"""The processes of a job: the first speaks and keeps one file of events, all segment volumes."""

import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from forked_group import start_both
from learning_doubles import CPU, Listener, grid, make_network, model_card

from PseudoLabelCLLib.distributed import rank as rank_module
from PseudoLabelCLLib.distributed.job_folder import JobFolder
from PseudoLabelCLLib.distributed.rank import is_loss
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.learning.process_group import ProcessGroup
from PseudoLabelCLLib.learning.training.training import SmallerPartsError
from PseudoLabelCLLib.messages.job_messages import (
    Artifact,
    JobCancelled,
    JobCompleted,
    JobFailed,
    JobStarted,
    Notice,
    decode_line,
)
from PseudoLabelCLLib.messages.jobs import PredictJob
from PseudoLabelCLLib.pipeline.prediction import apply_model as apply_module
from PseudoLabelCLLib.pipeline.prediction.apply_model import apply_model
from PseudoLabelCLLib.pipeline.prediction.model_file import write_model
from PseudoLabelCLLib.process.job_files import write_job
from PseudoLabelCLLib.storage.volume_io import write_volume

NUM_VOLUMES = 3


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    monkeypatch.setattr(apply_module, "choose_device", lambda _name: CPU)


@pytest.fixture
def a_job(tmp_path):
    write_model(tmp_path / "model.plcl", make_network(4), model_card())
    images = []
    for number in range(NUM_VOLUMES):
        voxels = np.random.default_rng(number).normal(size=(2, 36, 40)).astype(np.float32)
        images.append(str(tmp_path / f"volume-{number}.nrrd"))
        write_volume(Path(images[-1]), Volume(voxels, grid((40, 36, 2))))
    return PredictJob(str(tmp_path / "model.plcl"), tuple(images), str(tmp_path / "out"))


def free_port():
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]


def one_process(number, size, port, path):
    os.environ |= {
        "RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": str(size),
        "MASTER_ADDR": "localhost", "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": "lo" if sys.platform == "linux" else "lo0",
    }  # fmt: skip
    sys.argv = ["distributed", str(path)]
    os._exit(rank_module.main())


def events_of(job, folder, size=2):
    path = folder / "job.json"
    if not path.exists():
        write_job(folder, job)
    port = free_port()
    start_both(one_process, [(number, size, port, path) for number in range(size)])
    lines = (folder / "events.jsonl").read_bytes().splitlines()
    return [decode_line(line).message for line in lines]


def test_processes_segment_what_one_process_does_and_the_first_tells_all(a_job, tmp_path):
    events = events_of(a_job, tmp_path / "job")
    assert isinstance(events[0], JobStarted)
    assert isinstance(events[-1], JobCompleted)
    told = events[-1].result["segmentations"]
    assert [Path(one["image"]).name for one in told] == [Path(one).name for one in a_job.images]
    assert len([one for one in events if isinstance(one, Artifact)]) == NUM_VOLUMES
    progress = [one for one in events if isinstance(one, Progress)]
    assert (progress[-1].step, progress[-1].num_steps) == (NUM_VOLUMES, NUM_VOLUMES)
    device = next(str(one.text) for one in events if isinstance(one, Notice))
    assert device.startswith("2 x a CPU")
    assert "2 processes share the work" in device
    alone = replace(a_job, output_folder=str(tmp_path / "alone"))
    apply_model(alone, Listener())
    for file in (tmp_path / "alone").iterdir():
        assert file.read_bytes() == (tmp_path / "out" / file.name).read_bytes()
    # no folder of this computer is in what stays
    assert str(tmp_path) not in (tmp_path / "job" / "events.jsonl").read_text()
    assert (tmp_path / "job" / "log.txt").exists()


def test_next_attempt_keeps_what_is_finished_and_does_the_rest_again(a_job, tmp_path, monkeypatch):
    events_of(a_job, tmp_path / "job")
    out = sorted((tmp_path / "out").iterdir())
    finished, unfinished = out[0], out[1:]
    lines = (tmp_path / "job" / "segmented.jsonl").read_text().splitlines()
    kept = [line for line in lines if finished.name in line]
    (tmp_path / "job" / "segmented.jsonl").write_text("\n".join(kept) + "\n")
    before = finished.stat().st_mtime_ns
    unfinished[0].write_bytes(b"half a file")
    unfinished[1].unlink()
    (tmp_path / "job" / "events.jsonl").unlink()
    monkeypatch.setenv(rank_module.ATTEMPT_VARIABLE, "1")
    events = events_of(a_job, tmp_path / "job")
    told = events[-1].result["segmentations"]
    assert [Path(one["image"]).name for one in told] == [Path(one).name for one in a_job.images]
    assert len([one for one in events if isinstance(one, Artifact)]) == NUM_VOLUMES - 1
    assert finished.stat().st_mtime_ns == before
    assert all(file.stat().st_size > len(b"half a file") for file in unfinished)


def test_files_of_others_are_not_overwritten_at_the_first_attempt(a_job, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "volume-2.seg.nrrd").write_bytes(b"somebody's")
    failed = events_of(a_job, tmp_path / "job")[-1]
    assert isinstance(failed, JobFailed)
    assert "exists already" in failed.message
    assert (tmp_path / "out" / "volume-2.seg.nrrd").read_bytes() == b"somebody's"


def test_wish_to_stop_ends_all_processes_in_good_order(a_job, tmp_path):
    write_job(tmp_path / "job", a_job)
    JobFolder(tmp_path / "job").ask_to_stop()
    assert events_of(a_job, tmp_path / "job")[-1] == JobCancelled(resumable=False)


def test_process_without_a_launcher_says_how_it_is_started(monkeypatch, capsys):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setattr(sys, "argv", ["distributed", "job.json"])
    assert rank_module.main() == 2
    assert "torchrun" in capsys.readouterr().err


def test_lost_connections_are_told_from_other_errors():
    assert is_loss(RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer"))
    assert not is_loss(RuntimeError("shapes cannot be multiplied"))
    assert not is_loss(ValueError("gloo"))


def test_what_failed_in_a_process_is_kept_until_the_next_attempt(tmp_path):
    folder = JobFolder(tmp_path)
    failed = JobFailed("VolumeError", Text("It is bad."), Text("Mend it."))
    assert folder.failure(1) is None
    folder.keep_failure(1, failed)
    assert folder.failure(1) == failed
    folder.forget_failures()
    assert folder.failure(1) is None
    assert folder.num_parts == 1
    folder.keep_num_parts(4)
    assert folder.num_parts == 4


def test_process_that_is_short_of_memory_has_the_next_attempt_take_smaller_parts(
    tmp_path, monkeypatch
):
    def run_out(*_anything):
        raise SmallerPartsError(ProcessGroup(1, 2), 4)

    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(rank_module, "read_job", run_out)
    monkeypatch.setattr(rank_module.signal, "signal", lambda *_: None)  # the tests keep theirs
    assert not rank_module.Rank(tmp_path / "job.json", is_launched=True).run()
    folder = JobFolder(tmp_path)
    assert folder.num_parts == 4
    assert folder.failure(1).message.startswith("The memory of the device of process 2 of 2")
