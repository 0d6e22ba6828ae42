"""A worker's job watched from the command line: progress, notices, and its end."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from PseudoLabelCLLib.command_line.console import Console
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.domain.text import NO_TEXT, Text
from PseudoLabelCLLib.messages.job_messages import (
    Artifact,
    Event,
    JobCancelled,
    JobCompleted,
    JobFailed,
    Metrics,
    Notice,
    NoticeLevel,
    WorkerCrashed,
    is_terminal,
)
from PseudoLabelCLLib.messages.jobs import Job
from PseudoLabelCLLib.messages.json_codec import JsonValue
from PseudoLabelCLLib.process.worker_process import WorkerProcess

_LOOK_EVERY_S = 0.2


class JobEndedBadlyError(PseudoLabelCLError):
    """The worker said what went wrong, or died.

    Args:
        error_type: The kind of error in the worker.
        message: What happened.
        remedy: What to do next.
        is_defect: Whether the program is to blame.
    """

    def __init__(self, error_type: str, message: Text, remedy: Text, *, is_defect: bool) -> None:
        super().__init__(message, remedy)
        self.error_type = error_type
        self.is_defect = is_defect


class JobCancelledError(PseudoLabelCLError):
    """The job stopped because the person asked for it."""


def run_job_shown(
    job: Job, job_folder: Path, console: Console, *, at_first_proposal: str = ""
) -> dict[str, JsonValue]:
    """Start a worker, show what it tells, and return its result.

    Ctrl-C asks the worker to save and stop; a second one kills it.

    Args:
        job: The job.
        job_folder: Its folder.
        console: Where to show it.
        at_first_proposal: What to say once the first proposal can be reviewed, or empty.

    Raises:
        JobEndedBadlyError: The job failed or the worker died.
        JobCancelledError: Ctrl-C.
    """
    with WorkerProcess.start(job, job_folder) as worker, _cancel_on_interrupt(worker, console):
        while True:
            event = worker.wait_event(timeout_s=_LOOK_EVERY_S)
            if event is None:
                continue
            if at_first_proposal and isinstance(event, Artifact) and event.kind == "proposal":
                console.say(at_first_proposal)
                at_first_proposal = ""
            result = _show(event, console)
            if result is not None:
                return result


def _show(event: Event, console: Console) -> dict[str, JsonValue] | None:
    if is_terminal(event):
        return _result_of(event)
    match event:
        case Progress():
            console.progress(event.stage, event.step, event.num_steps, event.seconds_left)
        case Metrics(values=values) if "validation Dice" in values:
            console.say(
                f"{event.stage}, step {event.step}: validation Dice {values['validation Dice']:.3f}"
            )
        case Notice(level=NoticeLevel.WARNING):
            console.warn(event.text)
        case Notice():
            console.say(event.text)
        case _:
            pass
    return None


def _result_of(event: Event) -> dict[str, JsonValue]:
    """The result of a job that was done; any other end is an error."""
    match event:
        case JobCompleted():
            return event.result
        case JobCancelled():
            again = Text("Run the same command again to continue.") if event.resumable else NO_TEXT
            raise JobCancelledError(
                Text("Stopped as requested; everything done so far is saved."), again
            )
        case JobFailed():
            defect = event.error_type == "InternalError"
            raise JobEndedBadlyError(
                event.error_type, event.message, event.remedy, is_defect=defect
            )
        case WorkerCrashed():
            raise JobEndedBadlyError("WorkerCrashed", event.message, event.remedy, is_defect=True)
        case _:
            raise TypeError(f"expected the end of a job, got {event!r}")


@contextlib.contextmanager
def _cancel_on_interrupt(worker: WorkerProcess, console: Console) -> Iterator[None]:
    asked = False

    def on_interrupt(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            worker.kill()
            return
        asked = True
        worker.request_cancel()
        console.warn("Stopping after this step; press Ctrl-C again to stop at once.")

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
