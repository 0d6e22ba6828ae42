"""The launcher: how many processes, what it says when one is lost, and when it begins again."""

import signal
from dataclasses import dataclass

import pytest
import torch
from learning_doubles import Listener
from small_projects import put_in_review
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.distributed import launch as launch_module
from PseudoLabelCLLib.distributed import number as number_module
from PseudoLabelCLLib.distributed.launch import launch
from PseudoLabelCLLib.distributed.number import number_of_processes
from PseudoLabelCLLib.distributed.run_on_processes import run_on_processes
from PseudoLabelCLLib.domain.errors import DeviceError, ProjectError
from PseudoLabelCLLib.domain.reporting import Cancelled
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.job_messages import (
    Artifact,
    JobCancelled,
    JobCompleted,
    JobFailed,
    Line,
    Metrics,
    Notice,
    NoticeLevel,
    encode_line,
)
from PseudoLabelCLLib.messages.jobs import (
    ALL_GPUS,
    DeviceChoice,
    DoctorJob,
    PredictJob,
    TrainJob,
)
from PseudoLabelCLLib.process.failure import ToldFailureError, failure_of
from PseudoLabelCLLib.process.job_files import read_job
from PseudoLabelCLLib.storage.project.project_store import save_round

PREDICT = PredictJob("/model.plcl", ("/a.nrrd", "/b.nrrd", "/c.nrrd"), "/out", processes=2)
DONE = JobCompleted({"segmentations": []})
LOST = JobFailed("ProcessLostError", Text("Another process of the job ended."))


@dataclass
class Failure:
    """What torch tells of a process that failed."""

    local_rank: int
    exitcode: int


@dataclass
class Attempt:
    """What happens the next time that processes are started."""

    events: tuple = ()
    failures: tuple = ()
    failed_in: tuple = ()


@pytest.fixture
def starting(monkeypatch):
    """Stands in for torch's launcher: each start says and does what a test has put in."""
    attempts, started = [], []

    def elastic_launch(config, _python):
        def start(*arguments):
            attempt = attempts[len(started)]
            started.append(config.nproc_per_node)
            folder = launch_module.JobFolder(arguments[-1].parent)
            for rank, failed in attempt.failed_in:
                folder.keep_failure(rank, failed)
            with folder.events.open("ab") as file:
                for number, event in enumerate(attempt.events):
                    file.write(encode_line(Line("job", number, event)))
            if attempt.failures:
                failures = {one.local_rank: one for one in attempt.failures}
                error = ChildFailedError.__new__(ChildFailedError)
                error.failures = failures
                raise error

        return start

    monkeypatch.setattr(launch_module, "elastic_launch", elastic_launch)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    monkeypatch.setenv(launch_module.ATTEMPT_VARIABLE, "0")

    def run(job, *of_attempts):
        attempts[:] = of_attempts
        listener = Listener()
        try:
            return launch(job, 2, listener), listener, len(started)
        except ToldFailureError as error:
            return failure_of(error), listener, len(started)

    return run


def killed(rank, signal_number=signal.SIGKILL):
    return Failure(rank, -signal_number)


def test_what_the_first_process_tells_is_passed_on(starting, tmp_path):
    told = (
        Notice(NoticeLevel.WARNING, Text("Look out.")),
        Metrics("training", 3, {"loss": 0.5}),
        Artifact("model", str(tmp_path)),
    )
    result, listener, _ = starting(PREDICT, Attempt((*told, DONE)))
    assert result == DONE.result
    assert listener.notices == [(Text("Look out."), True)]
    assert listener.values == [("training", 3, {"loss": 0.5})]
    assert listener.artifacts == [("model", tmp_path)]


def test_killed_process_ends_a_training_in_words(starting, a_project):
    save_round(a_project, Round(0, RoundState.TRAINING, num_truth_cases=1))
    job = TrainJob(str(a_project), processes=2)
    failed, _, num_starts = starting(job, Attempt((LOST,), (killed(1), Failure(0, 1))))
    assert num_starts == 1
    assert failed.error_type == "ProcessLostError"
    assert failed.message.startswith("Process 2 of 2 was killed from outside")
    assert "continues from its last checkpoint" in failed.remedy


def test_proposals_go_on_after_a_process_was_killed(starting, a_project):
    put_in_review(a_project, 0)
    save_round(a_project, Round(0, RoundState.PSEUDO_LABELLING, num_truth_cases=1))
    job = TrainJob(str(a_project), processes=2)
    result, listener, num_starts = starting(
        job, Attempt((), (killed(0),)), Attempt((JobCompleted({"round": 0}),))
    )
    assert (result, num_starts) == ({"round": 0}, 2)
    (text, is_warning), *_ = listener.notices
    assert is_warning
    assert text.startswith("Process 1 of 2 was killed from outside")
    assert text.endswith("What it was doing is done again.")


def test_volumes_go_on_as_long_as_any_is_finished_between_two_losses(starting):
    some = Attempt((Artifact("segmentation", "/out/a"),), (killed(1),))
    none = Attempt((), (killed(1),))
    result, _, num_starts = starting(PREDICT, some, some, none, some, Attempt((DONE,)))
    assert (result, num_starts) == (DONE.result, 5)


def test_volume_that_ends_every_process_ends_the_job(starting):
    none = Attempt((), (killed(1),))
    failed, _, num_starts = starting(PREDICT, none, none, none)
    assert num_starts == 2
    assert failed.error_type == "ProcessLostError"


def test_short_memory_begins_again_in_smaller_parts_also_in_a_training(starting, a_project):
    short = JobFailed("SmallerPartsError", Text("The memory is too small."))
    job = TrainJob(str(a_project), processes=2)
    attempt = Attempt((LOST,), (Failure(1, 1), Failure(0, 1)), ((1, short),))
    result, listener, num_starts = starting(job, attempt, Attempt((DONE,)))
    assert (result, num_starts) == (DONE.result, 2)
    assert listener.notices == [(Text("The memory is too small. All begin again."), True)]


def test_reason_of_the_process_that_failed_counts_not_the_loss_that_others_saw(starting):
    reason = JobFailed("DeviceError", Text("It has no GPU."), Text("Take fewer."))
    attempt = Attempt((LOST,), (Failure(0, 1), Failure(1, 1)), ((1, reason),))
    assert starting(PREDICT, attempt)[0] == reason


def test_failure_of_the_job_is_that_of_one_process(starting):
    failed = JobFailed("VolumeError", Text("It is constant."))
    assert starting(PREDICT, Attempt((failed,), (Failure(0, 1),)))[0] == failed


def test_silent_end_is_told_as_one(starting):
    failed, _, _ = starting(PREDICT, *[Attempt((), (Failure(1, 1),))] * 2)
    assert failed.message.startswith("Process 2 of 2 ended before its job was done (exit code 1)")


def test_wish_to_stop_reaches_the_processes_as_a_cancel(starting):
    with pytest.raises(Cancelled) as cancelled:
        starting(PREDICT, Attempt((JobCancelled(resumable=False),)))
    assert not cancelled.value.resumable


@pytest.fixture
def gpus(monkeypatch):
    def set_number(number):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: number)

    monkeypatch.setattr(number_module, "num_cores", lambda: 4)
    set_number(0)
    return set_number


def test_auto_takes_all_gpus_and_one_process_without_any(gpus):
    job = TrainJob("/p", processes=ALL_GPUS)
    assert number_of_processes(job) == 1
    gpus(3)
    assert number_of_processes(job) == 3
    assert number_of_processes(TrainJob("/p", 1, DeviceChoice.CPU, ALL_GPUS)) == 1
    one = PredictJob("/m", ("/a",), "/o", processes=ALL_GPUS)
    assert number_of_processes(one) == 1


def test_number_of_processes_is_as_asked_for_where_the_computer_has_room(gpus):
    assert number_of_processes(TrainJob("/p", 1, DeviceChoice.CPU, 4)) == 4
    with pytest.raises(DeviceError, match=r"5 processes .* has room for 4, one for each core"):
        number_of_processes(TrainJob("/p", 1, DeviceChoice.CPU, 5))
    gpus(2)
    with pytest.raises(DeviceError, match=r"3 processes .* has room for 2, one for each GPU"):
        number_of_processes(TrainJob("/p", processes=3))
    with pytest.raises(DeviceError, match="room for 1, one for each GPU"):
        number_of_processes(TrainJob("/p", 1, DeviceChoice.MPS, 2))


def test_job_that_cannot_be_shared_has_one_process(gpus):
    gpus(4)
    assert number_of_processes(DoctorJob()) == 1
    assert number_of_processes(TrainJob("/p")) == 1


def test_less_than_one_process_is_refused():
    with pytest.raises(ProjectError, match="At least 1 process must work; asked for -1"):
        TrainJob("/p", processes=-1)


def test_torch_without_connections_is_told_before_anything_starts(gpus, monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_available", lambda: False)
    job = TrainJob("/p", 1, DeviceChoice.CPU, 2)
    with pytest.raises(DeviceError, match=r"cannot connect processes \(torch.distributed\)"):
        run_on_processes(job, Listener())


def test_command_line_writes_a_job_for_torchrun_and_starts_nothing(a_project, tmp_path, capsys):
    folder = tmp_path / "job"
    words = ["train", str(a_project), "--processes", "auto", "--only-write-job", str(folder)]
    assert main(words) == 0
    assert read_job(folder / "job.json") == TrainJob(str(a_project), processes=ALL_GPUS)
    assert "torchrun" in capsys.readouterr().out
    assert not (a_project / "rounds").exists()
    assert main(words) != 0
    assert "There is a job in" in capsys.readouterr().err


def test_command_line_takes_a_number_of_processes_or_auto(a_project, capsys):
    for wrong in ("0", "-2", "all"):
        with pytest.raises(SystemExit):
            main(["train", str(a_project), "--processes", wrong])
        assert "a number from 1 on or 'auto'" in capsys.readouterr().err
