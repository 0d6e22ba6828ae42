"""One process of several that do a job together; Docs/processes.md tells how they are started."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import FrameType

import torch
import torch.distributed
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from PseudoLabelCLLib.distributed.job_folder import JobFolder
from PseudoLabelCLLib.domain.errors import DeviceError, ProcessLostError
from PseudoLabelCLLib.domain.reporting import Cancelled
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.device import choose_number_of_threads
from PseudoLabelCLLib.learning.process_group import LONGEST_WAIT, ProcessGroup
from PseudoLabelCLLib.learning.torch_version import refuse_old_torch
from PseudoLabelCLLib.learning.training.training import SmallerPartsError
from PseudoLabelCLLib.messages.job_messages import (
    PROTOCOL_VERSION,
    JobCancelled,
    JobCompleted,
    JobFailed,
    JobStarted,
    TerminalEvent,
)
from PseudoLabelCLLib.messages.jobs import DeviceChoice, Job, TrainJob
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.pipeline.processes.follow import dismiss, follow
from PseudoLabelCLLib.pipeline.run_job import run_job
from PseudoLabelCLLib.process.failure import failure_of
from PseudoLabelCLLib.process.job_files import read_job
from PseudoLabelCLLib.process.job_reporter import EventWriter, JobReporter
from PseudoLabelCLLib.process.path_redactor import PathRedactor
from PseudoLabelCLLib.process.standard_streams import take_over_standard_streams
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_lock import (
    COMMAND_LINE,
    TRAINING_COMMAND,
    project_lock,
)
from PseudoLabelCLLib.storage.project.project_store import require_project

# Given by the worker, whose own files tell of the job.
LAUNCHED = "--launched"
# How often the worker has begun the job before.
ATTEMPT_VARIABLE = "PSEUDOLABELCL_ATTEMPT"
_USAGE = (
    "usage: torchrun [--nnodes ...] --nproc-per-node N -m PseudoLabelCLLib.distributed JOB.json\n"
)
_LOOK_EVERY_S = 0.2
# What torch says when the connection to another process is gone.
_SIGNS_OF_LOSS = (
    "gloo",
    "nccl",
    "connection closed",
    "connection reset",
    "broken pipe",
    "tcpstore",
)
_log = logging.getLogger(__name__)


def main() -> int:
    """Do this process's part of the job that the command line names; return the exit code."""
    arguments = [one for one in sys.argv[1:] if one != LAUNCHED]
    if len(arguments) != 1 or "RANK" not in os.environ:
        sys.stderr.write(_USAGE)
        return 2
    _end_with_launcher()
    for descriptor in take_over_standard_streams():
        os.close(descriptor)
    rank = Rank(Path(arguments[0]).absolute(), is_launched=LAUNCHED in sys.argv)
    is_good = rank.run()
    logging.shutdown()
    if not is_good:
        os._exit(1)  # what torch waits for when it ends in good order will not come
    return 0


class Rank:
    """A process with its number among all.

    Args:
        job_path: The file of the job; what all write lies beside it.
        is_launched: Whether the worker has started it, which keeps events and log itself.
    """

    def __init__(self, job_path: Path, *, is_launched: bool) -> None:
        self._job_path = job_path
        self._is_launched = is_launched
        self._folder = JobFolder(job_path.parent)
        self._number = int(os.environ["RANK"])
        self._is_asked_to_stop = False
        self._looked_s = 0.0
        self._redactor = PathRedactor(job_path.parent)

    def run(self) -> bool:
        """Do the part of this process; return whether all went well."""
        self._obey_signals()
        if self._number != 0:
            return self._follow()
        nobody = os.open(os.devnull, os.O_WRONLY)
        stored = bytes if self._is_launched else self._redactor.redact_line
        events = EventWriter(
            nobody, self._folder.events, self._job_path.parent.name, lambda: None, as_stored=stored
        )
        ending = self._lead(events)
        events.write(ending)
        events.close()
        return not isinstance(ending, JobFailed)

    def _lead(self, events: EventWriter) -> TerminalEvent:
        try:
            self._keep_log()
            job = read_job(self._job_path)
            self._redactor.add_job(job)
            events.write(JobStarted(PROTOCOL_VERSION, job.kind))
            reporter = JobReporter(events.write, self._is_cancelled)
            group = self._joined(job)
            try:
                with nullcontext() if self._is_launched else _held(job):
                    result = run_job(job, reporter, group)
            except Cancelled as cancelled:
                dismiss(group)
                return JobCancelled(cancelled.resumable)
            finally:
                reporter.flush()
            dismiss(group)
            torch.distributed.destroy_process_group()
            to_json(result)  # what has no JSON form fails here, inside the job
            return JobCompleted(result)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the launcher must hear of every end
            return self._failure(error)

    def _follow(self) -> bool:
        try:
            logging.basicConfig(level=logging.WARNING)
            follow(self._joined(read_job(self._job_path)), _Silent(self._is_cancelled))
            torch.distributed.destroy_process_group()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the launcher must hear of every end
            failed = self._failure(error)
            if failed.error_type != ProcessLostError.__name__:
                self._folder.keep_failure(self._number, failed)
            return False
        return True

    def _failure(self, error: BaseException) -> JobFailed:
        _log.error("The process failed.", exc_info=error)
        if isinstance(error, SmallerPartsError):
            self._folder.keep_num_parts(error.num_parts)
        return failure_of(_lost() if is_loss(error) else error)

    def _joined(self, job: Job) -> ProcessGroup:
        """Meet the other processes."""
        refuse_old_torch()
        choose_number_of_threads()
        own = int(os.environ.get("LOCAL_RANK", "0"))
        has_gpu = job.device in {DeviceChoice.AUTO, DeviceChoice.CUDA} and torch.cuda.is_available()
        if has_gpu:
            if own >= torch.cuda.device_count():
                raise DeviceError(
                    Text(
                        "Process {number} of this computer has no GPU: there are {count}.",
                        number=own + 1,
                        count=torch.cuda.device_count(),
                    ),
                    Text("Start one process for each GPU, or ask for the device 'cpu'."),
                )
            torch.cuda.set_device(own)
        attempt = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
        attempt += int(os.environ.get(ATTEMPT_VARIABLE, "0"))
        store, rank, size = self._met(attempt)
        torch.distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if has_gpu else "gloo", store=store, rank=rank, world_size=size
        )
        group = ProcessGroup(
            rank,
            size,
            folder=self._folder.path,
            control=torch.distributed.new_group(backend="gloo", timeout=LONGEST_WAIT),
            store=PrefixStore("work", store),
        )
        num_parts = group.as_first_has(self._folder.num_parts)
        return replace(group, attempt=attempt, num_parts=num_parts)

    def _met(self, attempt: int) -> tuple[Store, int, int]:
        """Return the store of all processes, the rank of this one, and how many there are."""
        if not self._is_launched:
            met: tuple[Store, int, int] = next(rendezvous("env://"))
            return met
        size, path = int(os.environ["WORLD_SIZE"]), self._folder.path / f"store-{attempt}"
        file_store = torch.distributed.FileStore  # type: ignore[attr-defined] # torch's stub
        return file_store(str(path), size), self._number, size

    def _is_cancelled(self) -> bool:
        now_s = time.monotonic()
        if now_s - self._looked_s >= _LOOK_EVERY_S:
            self._looked_s = now_s
            self._is_asked_to_stop = self._is_asked_to_stop or self._folder.is_asked_to_stop
        return self._is_asked_to_stop

    def _obey_signals(self) -> None:
        def stop(_signal: int, _frame: FrameType | None) -> None:
            self._is_asked_to_stop = True

        for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), stop)

    def _keep_log(self) -> None:
        line = "%(asctime)s %(levelname)s %(name)s: %(message)s"
        handlers: list[logging.Handler] = [logging.StreamHandler()]
        if not self._is_launched:
            file = logging.FileHandler(self._folder.log, encoding="utf-8")
            file.setFormatter(self._redactor.formatter(line))
            handlers.append(file)
        logging.basicConfig(level=logging.INFO, format=line, handlers=handlers)
        logging.captureWarnings(capture=True)


class _Silent:
    """The listener of a process that is not the first, which says the same."""

    def __init__(self, is_cancelled: Callable[[], bool]) -> None:
        self._is_cancelled = is_cancelled

    def progress(self, stage: Text, step: int, num_steps: int) -> None:
        """See `Report.progress`."""

    def metrics(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """See `Report.metrics`."""

    def notice(self, text: Text, *, warning: bool = False) -> None:
        """See `Report.notice`."""

    def artifact(self, kind: str, path: Path) -> None:
        """See `Report.artifact`."""

    def is_cancelled(self) -> bool:
        """See `Report.is_cancelled`."""
        return self._is_cancelled()


@contextmanager
def _held(job: Job) -> Iterator[None]:
    """Hold the lock of the job's project, as the command line does where it starts a worker."""
    folder = getattr(job, "project", None)
    if folder is None:
        yield
        return
    require_project(Path(folder))
    # while proposals are made, verdicts can be given from elsewhere
    holder = TRAINING_COMMAND if isinstance(job, TrainJob) else COMMAND_LINE
    with project_lock(ProjectLayout(Path(folder)).lock, holder):
        yield


def _lost() -> ProcessLostError:
    return ProcessLostError(
        Text("Another process of the job ended, or the connection to it was lost."),
        Text("Start the job again: it continues from its last checkpoint."),
    )


def is_loss(error: BaseException) -> bool:
    """Whether an error says that another process is gone."""
    if isinstance(error, torch.distributed.DistError):
        return True
    words = str(error).lower()
    return type(error) is RuntimeError and any(sign in words for sign in _SIGNS_OF_LOSS)


def _end_with_launcher() -> None:
    """End this process when the one that started it is gone, whatever it is doing."""
    launcher = os.getppid()

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(_LOOK_EVERY_S)
        os._exit(1)

    threading.Thread(target=watch, name="launcher watch", daemon=True).start()
