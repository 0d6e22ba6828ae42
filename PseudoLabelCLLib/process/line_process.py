"""A child process that talks in lines of text and is heard without waiting."""

import contextlib
import math
import queue
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO

from PseudoLabelCLLib.process.process_tree import kill_tree, start_tree

# After the child has died, a process that it left behind may hold its lines open.
_LAST_WORDS_S = 1.0
_END_OF_LINES = None
# A killed process is gone within a few ms; who draws a window cannot wait longer than this.
_REAP_S = 0.04


class LineProcess:
    """A running child whose standard output and error are heard line by line.

    Its standard input is closed, so it cannot wait for an answer. Use it from one thread.

    Args:
        process: The child, with pipes for all three standard streams.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._heard: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        with contextlib.suppress(OSError):
            _pipe(process.stdin).close()
        self._num_open = 2
        self._died_s = math.inf
        self._readers = [
            threading.Thread(target=self._read, args=(_pipe(stream),), daemon=True)
            for stream in (process.stdout, process.stderr)
        ]
        for reader in self._readers:
            reader.start()

    @classmethod
    def start(cls, command: Sequence[str], environment: Mapping[str, str]) -> "LineProcess":
        """Start a child.

        Args:
            command: The program and its arguments; no shell sees them.
            environment: Variables to set beside those of this process.

        Raises:
            OSError: The program cannot be started.
        """
        return cls(start_tree(command, environment))

    def poll(self, num_lines: int = 200) -> list[str]:
        """Return what was heard since the last call, at once.

        Args:
            num_lines: The most lines that are returned; the others wait for the next call.
        """
        lines: list[str] = []
        with contextlib.suppress(queue.Empty):
            while len(lines) < num_lines:
                line = self._heard.get_nowait()
                if line is _END_OF_LINES:
                    self._num_open -= 1
                else:
                    lines.append(line)
        return lines

    @property
    def exit_code(self) -> int | None:
        """The child's exit code, negative for a signal; None while it runs or lines are left."""
        exit_code = self._process.poll()
        if exit_code is None:
            return None
        if self._died_s == math.inf:
            self._died_s = time.monotonic()
            # What it started has lost its purpose, and would keep its lines open.
            kill_tree(self._process)
        are_lines_left = self._num_open > 0 and time.monotonic() - self._died_s < _LAST_WORDS_S
        return None if are_lines_left or not self._heard.empty() else exit_code

    def kill(self) -> None:
        """End the child and all that it started, now."""
        if self._process.poll() is None:
            kill_tree(self._process)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_REAP_S)

    def _read(self, stream: IO[bytes]) -> None:
        with stream, contextlib.suppress(OSError, ValueError):
            for line in stream:
                self._heard.put(line.decode("utf-8", errors="replace").rstrip("\r\n"))
        self._heard.put(_END_OF_LINES)


def _pipe(stream: "IO[bytes] | None") -> IO[bytes]:
    assert stream is not None  # all three streams were asked for as pipes
    return stream
