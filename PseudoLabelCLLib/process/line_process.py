"""A child process that talks in lines of text and is heard without waiting."""

import contextlib
import queue
import subprocess
from collections.abc import Mapping, Sequence

from PseudoLabelCLLib.process.child_process import ChildProcess
from PseudoLabelCLLib.process.process_tree import start_tree

# A killed process is gone within a few ms; who draws a window cannot wait longer than this.
_REAP_S = 0.04


class LineProcess(ChildProcess):
    """A child whose standard output and error are heard together, line by line.

    Its standard input is closed, so it cannot wait for an answer.

    Args:
        process: The child, with pipes for all three standard streams.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        super().__init__(process)
        self._heard: queue.SimpleQueue[str] = queue.SimpleQueue()
        with contextlib.suppress(OSError):
            self._stdin.close()
        self._start_reading()

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
                lines.append(self._heard.get_nowait())
        return lines

    @property
    def exit_code(self) -> int | None:
        """The child's exit code, negative for a signal; None while it runs or lines are left."""
        is_over = self._is_read and self._heard.empty()
        return self._process.returncode if is_over else None

    def kill(self) -> None:
        """End the child and all that it started, now."""
        super().kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAP_S)

    def _hear(self, line: bytes) -> None:
        self._heard.put(line.decode("utf-8", errors="replace").rstrip("\r\n"))

    def _read_stderr(self) -> None:
        self._read_lines(self._process.stderr)
