"""The parent's side of the worker: start it, hear its events, cancel it, kill it.

Nothing here knows Qt: a panel calls `poll_events` from a timer, a command line calls `wait_event`.
"""

import contextlib
import math
import queue
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from PseudoLabelCLLib.domain.errors import WorkerError
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.job_messages import (
    Cancel,
    Event,
    JobFailed,
    Line,
    Notice,
    NoticeLevel,
    WorkerCrashed,
    decode_line,
    encode_line,
    is_terminal,
)
from PseudoLabelCLLib.messages.jobs import Job
from PseudoLabelCLLib.messages.json_lines import ProtocolError, ProtocolVersionError
from PseudoLabelCLLib.process.child_process import ChildProcess
from PseudoLabelCLLib.process.exit_codes import exit_code_in_words
from PseudoLabelCLLib.process.job_files import write_job
from PseudoLabelCLLib.process.process_tree import start_tree

WORKER_MODULE = "PseudoLabelCLLib.worker"
# A worker that has closed its line without a terminal event has nothing more to do.
_MUTE_S = 5.0
_LOOK_EVERY_S = 0.05


class WorkerProcess(ChildProcess):
    """One worker doing one job; use it from one thread.

    Whatever happens to the worker, exactly one terminal event comes out, and nothing after it.
    After `kill` that is a `WorkerCrashed`; what was done since the last checkpoint is lost.

        with WorkerProcess.start(job, folder) as worker:
            while not worker.has_ended:
                event = worker.wait_event(timeout_s=0.2)

    Args:
        process: The running worker with pipes for all three standard streams.
        job_id: The name of the job.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", job_id: str) -> None:
        super().__init__(process)
        self.job_id = job_id
        self._heard: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._ready: deque[Event] = deque()
        self._mute_s = math.inf
        self._is_ended = False
        self._is_cancel_sent = False
        self._start_reading()

    @classmethod
    def start(
        cls,
        job: Job,
        job_folder: Path,
        *,
        python: str | Path = sys.executable,
        environment: Mapping[str, str] | None = None,
        module: str = WORKER_MODULE,
    ) -> "WorkerProcess":
        """Write the job into its folder and start a worker for it.

        Args:
            job: What to do.
            job_folder: A folder of its own; its name is the job's id.
            python: The interpreter that has torch; inside Slicer that is PythonSlicer.
            environment: Variables to set beside those of this process.
            module: The Python module to run.

        Raises:
            StorageError: The job cannot be written.
            WorkerError: The interpreter cannot be started.
        """
        job_path = write_job(job_folder.absolute(), job)
        try:
            process = start_tree([str(python), "-m", module, str(job_path)], environment or {})
        except OSError as error:
            raise WorkerError(
                Text(
                    "The worker cannot be started with '{python}': {reason}.",
                    python=python,
                    reason=error.strerror or error,
                ),
                Text("Check that this Python interpreter exists and is executable."),
            ) from error
        return cls(process, job_path.parent.name)

    @property
    def has_ended(self) -> bool:
        """Whether the terminal event was handed out: no event will follow."""
        return self._is_ended and not self._ready

    def poll_events(self) -> list[Event]:
        """Return the events since the last call, at once."""
        self._sort_heard()
        events = list(self._ready)
        self._ready.clear()
        return events

    def wait_event(self, timeout_s: float | None = None) -> Event | None:
        """Return the next event, or None if none came in time or none will ever come."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            self._sort_heard()
            if self._ready:
                return self._ready.popleft()
            if self._is_ended:
                return None
            left_s = _LOOK_EVERY_S if deadline_s is None else deadline_s - time.monotonic()
            if left_s <= 0:
                return None
            # With its line closed the queue stays empty: then this only passes the time.
            with contextlib.suppress(queue.Empty):
                self._take(self._heard.get(timeout=min(left_s, _LOOK_EVERY_S)))

    def request_cancel(self) -> None:
        """Ask the worker to save and stop after its step; the answer is the terminal event."""
        if self._is_cancel_sent:
            return
        self._is_cancel_sent = True
        # A worker that is gone needs no cancel; its terminal event is on the way.
        with contextlib.suppress(OSError, ValueError):
            self._stdin.write(encode_line(Line(self.job_id, 0, Cancel())))
            self._stdin.flush()

    def close(self, patience_s: float = 5.0) -> None:
        """End the worker; it is killed if it has not ended after `patience_s` seconds.

        Closing its standard input is a cancel: a job that still runs saves and stops.
        """
        with contextlib.suppress(OSError):
            self._stdin.close()
        self._wait_for_end(patience_s)
        self._sort_heard()

    def __enter__(self) -> "WorkerProcess":
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        exc_traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _sort_heard(self) -> None:
        is_over = self._is_read  # asked first: what was said before is in the queue now
        with contextlib.suppress(queue.Empty):
            while True:
                self._take(self._heard.get_nowait())
        if self._is_ended:
            return
        if is_over:
            self._take(self._crash())
        elif time.monotonic() - self._mute_s > _MUTE_S:
            self.kill()

    def _take(self, event: Event | None) -> None:
        if event is None:
            self._mute_s = time.monotonic()
        elif not self._is_ended:
            self._ready.append(event)
            self._is_ended = is_terminal(event)

    def _crash(self) -> WorkerCrashed:
        exit_code = self._process.returncode
        message, remedy = exit_code_in_words(exit_code, self.stderr_tail)
        if self._is_ended_on_request:
            message = Text("The worker was ended on request.")
            remedy = Text("Start the job again: it continues from its last checkpoint.")
        return WorkerCrashed(exit_code, message, remedy, self.stderr_tail)

    def _read_stdout(self) -> None:
        super()._read_stdout()
        self._heard.put(None)

    def _hear(self, line: bytes) -> None:
        self._heard.put(self._understood(line))

    def _understood(self, line: bytes) -> Event:
        try:
            message = decode_line(line).message
        except ProtocolVersionError as error:
            self.kill()
            return JobFailed(type(error).__name__, error.message, error.remedy)
        except ProtocolError as error:
            return Notice(NoticeLevel.WARNING, error.message)
        if isinstance(message, Cancel):
            return Notice(
                NoticeLevel.WARNING, Text("The worker sent a message that is for itself.")
            )
        return message
