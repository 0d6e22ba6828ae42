"""The parent's side of the worker: start it, hear its events, cancel it, kill it.

Nothing here knows Qt: a panel calls `poll_events` from a timer, a command line calls `wait_event`.
"""

import contextlib
import math
import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO

from PseudoLabelCLLib.domain.errors import WorkerError
from PseudoLabelCLLib.messages.job_messages import (
    Cancel,
    Event,
    JobFailed,
    Line,
    Notice,
    NoticeLevel,
    ProtocolError,
    ProtocolVersionError,
    WorkerCrashed,
    decode_line,
    encode_line,
    is_terminal,
)
from PseudoLabelCLLib.messages.jobs import Job
from PseudoLabelCLLib.process.exit_codes import exit_code_in_words
from PseudoLabelCLLib.process.jobs import write_job
from PseudoLabelCLLib.process.process_tree import kill_tree, start_tree

WORKER_MODULE = "PseudoLabelCLLib.worker"
STDERR_TAIL_BYTES = 16_384
# After the worker has died, a process that it left behind may hold its lines open; do not wait
# for that one longer than this.
_LAST_WORDS_S = 1.0
# A worker that has closed its line without a terminal event has nothing more to do.
_MUTE_S = 5.0
_LOOK_EVERY_S = 0.05


class WorkerProcess:
    """One worker doing one job; it may be used from one thread.

    Whatever happens to the worker, exactly one terminal event comes out, and nothing after it.

        with WorkerProcess.start(job, folder) as worker:
            while not worker.has_ended:
                event = worker.wait_event(timeout_s=0.2)

    Args:
        process: The running worker with pipes for all three standard streams.
        job_id: The name of the job.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", job_id: str) -> None:
        self.job_id = job_id
        self._process = process
        self._heard: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._ready: deque[Event] = deque()
        self._stderr_tail = b""
        self._died_s = self._mute_s = math.inf
        self._is_ended = False
        self._is_cancel_sent = False
        self._is_killed = False
        self._readers = tuple(
            threading.Thread(target=reader, name=f"worker {reader.__name__}", daemon=True)
            for reader in (self._read_events, self._read_stderr)
        )
        for reader in self._readers:
            reader.start()

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
                f"The worker cannot be started with '{python}': {error.strerror or error}.",
                "Check that this Python interpreter exists and is executable.",
            ) from error
        return cls(process, job_path.parent.name)

    @property
    def has_ended(self) -> bool:
        """Whether the terminal event was handed out: no event will follow."""
        return self._is_ended and not self._ready

    @property
    def is_alive(self) -> bool:
        """Whether the worker's process still runs; a finished job may take a moment to leave."""
        return self._exit_code() is None

    @property
    def pid(self) -> int:
        """The number of the worker's process, or of the launcher before it."""
        return self._process.pid

    @property
    def stderr_tail(self) -> str:
        """The last that the worker wrote to its standard error."""
        return self._stderr_tail.decode("utf-8", errors="replace")

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
        stdin = _pipe(self._process.stdin)
        # A worker that is gone needs no cancel; its terminal event is on the way.
        with contextlib.suppress(OSError, ValueError):
            stdin.write(encode_line(Line(self.job_id, 0, Cancel())))
            stdin.flush()

    def kill(self) -> None:
        """End the worker and all processes that it started, now; `WorkerCrashed` follows.

        What it did since its last checkpoint is lost.
        """
        # Once the worker is gone its number may belong to another process.
        if self._exit_code() is None:
            self._is_killed = True
            kill_tree(self._process)

    def close(self, patience_s: float = 5.0) -> None:
        """Let go of the worker; it is killed if it has not ended after `patience_s` seconds.

        Closing its standard input is a cancel: a job that still runs saves and stops.
        """
        with contextlib.suppress(OSError):
            _pipe(self._process.stdin).close()
        try:
            self._process.wait(timeout=patience_s)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()
        self._exit_code()
        for reader in self._readers:
            reader.join(timeout=_LAST_WORDS_S)
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
        with contextlib.suppress(queue.Empty):
            while True:
                self._take(self._heard.get_nowait())
        if self._is_ended:
            return
        if self._is_dead_and_read():
            self._take(self._crash())
        elif time.monotonic() - self._mute_s > _MUTE_S:
            self.kill()

    def _take(self, event: Event | None) -> None:
        if event is None:
            self._mute_s = time.monotonic()
        elif not self._is_ended:
            self._ready.append(event)
            self._is_ended = is_terminal(event)

    def _is_dead_and_read(self) -> bool:
        if self._exit_code() is None:
            return False
        is_all_read = self._mute_s < math.inf and not any(r.is_alive() for r in self._readers)
        return is_all_read or time.monotonic() - self._died_s > _LAST_WORDS_S

    def _exit_code(self) -> int | None:
        exit_code = self._process.poll()
        if exit_code is not None and self._died_s == math.inf:
            self._died_s = time.monotonic()
            # What the worker started has lost its purpose; a launcher's child is the worker.
            kill_tree(self._process)
        return exit_code

    def _crash(self) -> WorkerCrashed:
        exit_code = self._process.returncode
        message, remedy = exit_code_in_words(exit_code, self.stderr_tail)
        if self._is_killed:
            message = "The worker was ended on request."
            remedy = "Start the job again: it continues from its last checkpoint."
        return WorkerCrashed(exit_code, message, remedy, self.stderr_tail)

    def _read_events(self) -> None:
        with _pipe(self._process.stdout) as stdout, contextlib.suppress(OSError, ValueError):
            for line in stdout:
                self._heard.put(self._understood(line))
        self._heard.put(None)

    def _understood(self, line: bytes) -> Event:
        try:
            message = decode_line(line).message
        except ProtocolVersionError as error:
            self.kill()
            return JobFailed(type(error).__name__, error.message, error.remedy)
        except ProtocolError as error:
            return Notice(NoticeLevel.WARNING, error.message)
        if isinstance(message, Cancel):
            return Notice(NoticeLevel.WARNING, "The worker sent a message that is for itself.")
        return message

    def _read_stderr(self) -> None:
        with _pipe(self._process.stderr) as stderr, contextlib.suppress(OSError, ValueError):
            while chunk := os.read(stderr.fileno(), 65_536):
                self._stderr_tail = (self._stderr_tail + chunk)[-STDERR_TAIL_BYTES:]


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # all three streams were asked for as pipes
    return stream
