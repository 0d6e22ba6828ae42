"""A child process whose output is read in threads: whoever starts it never waits for it."""

import contextlib
import math
import os
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from typing import IO

from PseudoLabelCLLib.process.process_tree import kill_tree

STDERR_TAIL_BYTES = 16_384
# After the child has died, a process that it left behind may hold its pipes open; do not wait for
# that one longer than this.
_LAST_OUTPUT_S = 1.0


class ChildProcess(ABC):
    """A running child with pipes for its standard streams; use it from one thread.

    What it started ends with it. A subclass sets its own fields first and then calls
    `_start_reading`: from then on `_hear` is called with each line of the standard output, in a
    thread of its own.

    Args:
        process: The child, from `start_tree`.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._stderr_tail = b""
        self._died_s = math.inf
        self._is_ended_on_request = False
        self._readers: tuple[threading.Thread, ...] = ()

    @property
    def pid(self) -> int:
        """The number of the process, or of the launcher before it."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs; one that has said its last may take a moment to end."""
        is_alive = self._process.poll() is None
        if not is_alive and self._died_s == math.inf:
            self._died_s = time.monotonic()
            # What it started has lost its purpose: behind a launcher that is the real process,
            # which would keep the pipes and a project's lock.
            kill_tree(self._process)
        return is_alive

    @property
    def stderr_tail(self) -> str:
        """The last that the process wrote to its standard error."""
        return self._stderr_tail.decode("utf-8", errors="replace")

    def kill(self) -> None:
        """End the process and all that it started, now."""
        # Once it is gone its number may belong to another process.
        if self.is_alive:
            self._is_ended_on_request = True
            kill_tree(self._process)

    @abstractmethod
    def _hear(self, line: bytes) -> None:
        """Take a line of the standard output; called in a thread."""

    def _start_reading(self) -> None:
        self._readers = tuple(
            threading.Thread(target=reader, name=f"{type(self).__name__} {name}", daemon=True)
            for name, reader in (("stdout", self._read_stdout), ("stderr", self._read_stderr))
        )
        for reader in self._readers:
            reader.start()

    def _read_stdout(self) -> None:
        self._read_lines(self._process.stdout)

    def _read_lines(self, stream: IO[bytes] | None) -> None:
        with _pipe(stream) as lines, contextlib.suppress(OSError, ValueError):
            for line in lines:
                self._hear(line)

    def _read_stderr(self) -> None:
        with _pipe(self._process.stderr) as stderr, contextlib.suppress(OSError, ValueError):
            while chunk := os.read(stderr.fileno(), 65_536):
                self._stderr_tail = (self._stderr_tail + chunk)[-STDERR_TAIL_BYTES:]

    @property
    def _stdin(self) -> IO[bytes]:
        return _pipe(self._process.stdin)

    @property
    def _is_read(self) -> bool:
        """Whether the process has ended and all that it said was heard."""
        if self.is_alive:
            return False
        is_silent = not any(reader.is_alive() for reader in self._readers)
        return is_silent or time.monotonic() - self._died_s > _LAST_OUTPUT_S

    def _wait_for_end(self, patience_s: float) -> None:
        """Wait until the process has ended and was heard; kill it after `patience_s` seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=patience_s)
        self.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join(timeout=_LAST_OUTPUT_S)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # all three streams were asked for as pipes
    return stream
