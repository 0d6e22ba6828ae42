"""The worker as launcher: it starts the processes of a job, hears the first, and tells of all."""

import logging
import os
import signal
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from PseudoLabelCLLib.distributed.job_folder import JobFolder
from PseudoLabelCLLib.distributed.number import num_cores
from PseudoLabelCLLib.distributed.rank import ATTEMPT_VARIABLE, LAUNCHED
from PseudoLabelCLLib.domain.errors import ProcessLostError, PseudoLabelCLError
from PseudoLabelCLLib.domain.reporting import Cancelled, Progress, Report
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.training.training import SmallerPartsError
from PseudoLabelCLLib.messages.job_messages import (
    Artifact,
    JobCancelled,
    JobCompleted,
    JobFailed,
    Message,
    Metrics,
    Notice,
    NoticeLevel,
    TerminalEvent,
    decode_line,
)
from PseudoLabelCLLib.messages.jobs import Job, PredictJob, TrainJob
from PseudoLabelCLLib.messages.json_codec import JsonValue
from PseudoLabelCLLib.process.exit_codes import ending_in_words
from PseudoLabelCLLib.process.failure import ToldFailureError
from PseudoLabelCLLib.process.job_files import write_job
from PseudoLabelCLLib.storage.project.project_store import load_project

_MODULE = "PseudoLabelCLLib.distributed"
_LOOK_EVERY_S = 0.1
# Connections stay within the computer, whatever its own name leads to.
_LOOPBACK = {"linux": "lo", "darwin": "lo0"}
_log = logging.getLogger(__name__)


def launch(job: Job, number: int, report: Report) -> dict[str, JsonValue]:
    """Do a job on several processes and return its result.

    Raises:
        PseudoLabelCLError: Something a person can fix; also that a process was lost.
        Cancelled: Asked to stop.
    """
    with tempfile.TemporaryDirectory(prefix="pseudolabelcl-", ignore_cleanup_errors=True) as folder:
        return _Launch(job, number, JobFolder(Path(folder)), report).run()


class _Launch:
    def __init__(self, job: Job, number: int, folder: JobFolder, report: Report) -> None:
        self._job = job
        self._number = number
        self._folder = folder
        self._report = report
        self._hearing = _Hearing(folder, report)
        self._job_path = write_job(folder.path, job)

    def run(self) -> dict[str, JsonValue]:
        """Start the processes, again where that helps, until the job has ended."""
        attempt, num_vain = 0, 0
        while True:
            num_done = self._hearing.num_artifacts
            ending = self._attempt(attempt)
            match ending:
                case JobCompleted():
                    return ending.result
                case JobCancelled():
                    raise Cancelled(resumable=ending.resumable)
                case JobFailed():
                    pass
                case _:
                    raise TypeError(f"expected the end of a job, got {ending!r}")
            num_vain = 0 if self._hearing.num_artifacts > num_done else num_vain + 1
            if not self._may_begin_again(ending, num_vain):
                raise ToldFailureError(ending)
            self._tell_again(ending)
            attempt += 1

    def _attempt(self, attempt: int) -> TerminalEvent:
        os.environ.update(self._environment(attempt))
        self._folder.forget_failures()
        self._hearing.start()
        failures: dict[int, ProcessFailure] = {}
        try:
            start = elastic_launch(self._config(attempt), sys.executable)
            start("-m", _MODULE, LAUNCHED, self._job_path)
        except ChildFailedError as error:
            failures = error.failures
        except SignalException:
            self._hearing.stop()
            return JobCancelled(resumable=not isinstance(self._job, PredictJob))
        ending = self._hearing.stop()
        return self._failure(failures, ending) if failures or ending is None else ending

    def _config(self, attempt: int) -> LaunchConfig:
        return LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=self._number,
            rdzv_backend="c10d",
            # in a folder of this user alone: no other program can join, or change what is said
            rdzv_endpoint=str(self._folder.path / f"rendezvous-{attempt}"),
            rdzv_configs={"store_type": "file"},
            local_addr="localhost",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=str(self._folder.path / "logs")),
        )

    def _environment(self, attempt: int) -> dict[str, str]:
        """Return the variables that the processes inherit; what a person has set stays."""
        threads = str(max(1, num_cores() // self._number))
        own = {"OMP_NUM_THREADS": threads}
        if sys.platform in _LOOPBACK:
            own["GLOO_SOCKET_IFNAME"] = _LOOPBACK[sys.platform]
        kept = {name: value for name, value in own.items() if name not in os.environ}
        return {**kept, ATTEMPT_VARIABLE: str(attempt)}

    def _failure(
        self, failures: dict[int, ProcessFailure], ending: TerminalEvent | None
    ) -> JobFailed:
        """Return what ended the processes: a kill first, then what one of them has told."""
        asked_to_end = -signal.SIGTERM
        for failure in failures.values():
            if failure.exitcode < 0 and failure.exitcode != asked_to_end:
                return self._lost(failure)
        for rank in range(1, self._number):
            told = self._folder.failure(rank)
            if told is not None:
                return told
        if isinstance(ending, JobFailed):
            return ending
        return self._lost(next(iter(failures.values()), None))

    def _lost(self, failure: ProcessFailure | None) -> JobFailed:
        if failure is None:
            subject, code = Text("A process of the job"), 0
        else:
            code = failure.exitcode
            subject = Text(
                "Process {number} of {count}", number=failure.local_rank + 1, count=self._number
            )
        told, remedy = ending_in_words(code, "", subject)
        message = Text("{what}; the others were stopped.", what=told)
        return JobFailed(ProcessLostError.__name__, message, remedy)

    def _may_begin_again(self, failed: JobFailed, num_vain: int) -> bool:
        """Whether the processes can do what is left: in a training, a person decides that."""
        if self._report.is_cancelled():
            return False
        if failed.error_type == SmallerPartsError.__name__:
            return True
        if failed.error_type != ProcessLostError.__name__ or num_vain > 1:
            return False
        return isinstance(self._job, PredictJob) or self._is_proposing()

    def _is_proposing(self) -> bool:
        """Whether what was lost is one of the round's proposals."""
        if not isinstance(self._job, TrainJob):
            return False
        with suppress(PseudoLabelCLError):
            latest = load_project(Path(self._job.project)).latest_round
            return latest is not None and latest.state is RoundState.PSEUDO_LABELLING
        return False

    def _tell_again(self, failed: JobFailed) -> None:
        if failed.error_type == SmallerPartsError.__name__:
            told = Text("{what} {next}", what=failed.message, next=Text("All begin again."))
        else:
            told = Text("{what} What it was doing is done again.", what=failed.message)
        self._report.notice(told, warning=True)


class _Hearing:
    """Passes on what the first process tells, and a wish to stop to all."""

    def __init__(self, folder: JobFolder, report: Report) -> None:
        self.num_artifacts = 0
        self._folder = folder
        self._report = report
        self._place = 0
        self._ending: TerminalEvent | None = None
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to hear the processes that are about to start."""
        self._ending = None
        self._is_over.clear()
        self._thread = threading.Thread(target=self._hear_all, name="first process", daemon=True)
        self._thread.start()

    def stop(self) -> TerminalEvent | None:
        """Hear the last words; return how the job ended, if that was said."""
        self._is_over.set()
        assert self._thread is not None
        self._thread.join()
        return self._ending

    def _hear_all(self) -> None:
        is_over = False
        while not is_over:
            is_over = self._is_over.wait(_LOOK_EVERY_S)  # what was said before is read below
            if self._report.is_cancelled():
                self._folder.ask_to_stop()
            for line in self._new_lines():
                self._pass_on(decode_line(line).message)

    def _new_lines(self) -> list[bytes]:
        if not self._folder.events.exists():
            return []
        with self._folder.events.open("rb") as file:
            file.seek(self._place)
            *lines, rest = file.read().split(b"\n")
            self._place = file.tell() - len(rest)
        return lines

    def _pass_on(self, event: Message) -> None:
        match event:
            case Progress():
                self._report.progress(event.stage, event.step, event.num_steps)
            case Metrics():
                self._report.metrics(event.stage, event.step, event.values)
            case Notice():
                self._report.notice(event.text, warning=event.level is NoticeLevel.WARNING)
            case Artifact():
                self.num_artifacts += 1
                self._report.artifact(event.kind, Path(event.path))
            case JobCompleted() | JobCancelled() | JobFailed():
                self._ending = event
            case _:
                pass
