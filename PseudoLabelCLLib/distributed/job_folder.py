"""The files through which the processes of a job and their launcher know of each other."""

from pathlib import Path

from PseudoLabelCLLib.messages.job_messages import JobFailed, Line, decode_line, encode_line
from PseudoLabelCLLib.storage.files.atomic_files import write_bytes, write_text


class JobFolder:
    """The folder of a job that several processes do.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events = path / "events.jsonl"
        self.log = path / "log.txt"
        self._parts = path / "parts.txt"
        self._stop = path / "stop"

    @property
    def num_parts(self) -> int:
        """In how many parts batches are worked through, as far as is known from failures."""
        return int(self._parts.read_text(encoding="ascii")) if self._parts.exists() else 1

    def keep_num_parts(self, number: int) -> None:
        """Keep for the next attempt in how many parts batches have to be worked through."""
        write_text(self._parts, str(number))

    def ask_to_stop(self) -> None:
        """Ask the processes to stop after their step."""
        self._stop.touch()

    @property
    def is_asked_to_stop(self) -> bool:
        """Whether they shall stop."""
        return self._stop.exists()

    def keep_failure(self, rank: int, failed: JobFailed) -> None:
        """Keep what ended a process that is not the first, which speaks for itself."""
        write_bytes(self._failure(rank), encode_line(Line(self.path.name, 0, failed)))

    def failure(self, rank: int) -> JobFailed | None:
        """Return what ended a process, if it has told."""
        path = self._failure(rank)
        message = decode_line(path.read_bytes()).message if path.exists() else None
        return message if isinstance(message, JobFailed) else None

    def forget_failures(self) -> None:
        """Begin a new attempt."""
        for path in self.path.glob("failed-*.json"):
            path.unlink()

    def _failure(self, rank: int) -> Path:
        return self.path / f"failed-{rank}.json"
