"""What other computers see of a lock: who holds it, and that this one is still there.

Some network and cluster disks tell no other computer that a file is locked. So the holder's words
in the lock file count between computers, as long as they are touched every few seconds. Whether
they are is watched by one's own clock: neither the clocks of computers nor the numbers of their
processes are compared. What one computer alone may do at a time is done under a file that the disk
makes for one of them only.
"""

import contextlib
import json
import os
import secrets
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple

from PseudoLabelCLLib.storage.files.regular_files import read_regular

# A holder touches its lock this often; one that has not for so long is gone.
TOUCH_S = 5.0
GONE_AFTER_S = 20.0
LONGEST_TEXT_BYTES = 4096
_LOOK_S = 0.1
_OLD_NS = 24 * 3600 * 10**9
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_EXCLUSIVE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


class StillHeldError(Exception):
    """Another computer holds the lock."""


@cache
def this_machine() -> str:
    """Return what tells this computer from all others, as long as it is not started anew.

    Computers may share a name, and the same one may change it.
    """
    with contextlib.suppress(OSError):
        return _BOOT.read_text(encoding="ascii").strip()
    return f"{socket.gethostname()}-{uuid.getnode():012x}"


class _Seen(NamedTuple):
    """A lock file as it was at one moment."""

    text: bytes
    touched_ns: int


class HostMark:
    """The words of a holder in its lock file.

    Args:
        path: The lock file.
        file: The same, open for writing; the computer's own lock on it is taken.
        knows_others: Whether that lock tells other processes of this computer.
    """

    def __init__(self, path: Path, file: IO[bytes], *, knows_others: bool) -> None:
        self._path, self._file, self._knows_others = path, file, knows_others
        self._text = b""
        self._is_released = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self, holder: str) -> None:
        """Write the holder's words, unless another one's count; waits to see whether they do.

        Args:
            holder: What others read.

        Raises:
            StillHeldError: Another computer touches its words, or was faster.
            OSError: The disk refuses.
        """
        before = self._free_text()
        words = {"holder": holder, "process": os.getpid(), "machine": socket.gethostname()}
        words |= {"host": this_machine(), "token": secrets.token_hex(8)}
        self._text = json.dumps(words).encode("utf-8")
        with self._alone():
            if _seen(self._path).text != before:
                raise StillHeldError
            self._file.truncate(0)
            self._file.write(self._text)
            os.fsync(self._file.fileno())
        self._thread = threading.Thread(target=self._touch_on, daemon=True, name="lock")
        self._thread.start()

    @property
    def is_held(self) -> bool:
        """Whether the words are still there: while this computer slept, another may take over."""
        try:
            return _seen(self._path).text == self._text
        except OSError:
            return False

    def release(self) -> None:
        """Take the words back, unless they are another's by now."""
        self._is_released.set()
        if self._thread is not None:
            self._thread.join()
        with contextlib.suppress(OSError):
            if self.is_held:
                self._file.truncate(0)

    def _touch_on(self) -> None:
        while not self._is_released.wait(TOUCH_S):
            # a disk that is away for a moment may come back
            with contextlib.suppress(OSError):
                if self.is_held:
                    os.utime(self._path)

    def _free_text(self) -> bytes:
        """Return words that do not count any more; waits until that is known."""
        first = _seen(self._path)
        if not first.text or self._is_of_the_dead(first.text) or self._is_old(first):
            return first.text
        end_s = time.monotonic() + GONE_AFTER_S
        while time.monotonic() < end_s:
            time.sleep(_LOOK_S)
            now = _seen(self._path)
            if not now.text:
                return b""
            if now != first:
                raise StillHeldError
        return first.text

    def _is_old(self, seen: _Seen) -> bool:
        """Whether words were not touched for a day by the disk's own clock, as in a copy."""
        with self._alone() as just_made:
            return just_made.stat().st_mtime_ns - seen.touched_ns > _OLD_NS

    def _is_of_the_dead(self, text: bytes) -> bool:
        """Whether words are of a process of this computer: the lock says that none holds it."""
        if not self._knows_others:
            return False
        try:
            words = json.loads(text)
            # earlier versions wrote no more than the computer's name
            return bool(
                words["host"] == this_machine()
                if "host" in words
                else words["machine"] == socket.gethostname()
            )
        except (ValueError, KeyError, TypeError):
            return True  # never whole, as after a power failure

    @contextlib.contextmanager
    def _alone(self) -> Iterator[Path]:
        """Let no other computer write the words meanwhile; yields the file that says so."""
        path = self._path.with_name(f"{self._path.name}.claim")
        text = json.dumps({"host": this_machine(), "token": secrets.token_hex(8)}).encode()
        end_s = time.monotonic() + GONE_AFTER_S
        while not _made(path, text):
            with contextlib.suppress(FileNotFoundError):
                # whoever wrote this needs an instant; it has ended amid it
                left = _seen(path).text
                if time.monotonic() > end_s or (left and self._is_of_the_dead(left)):
                    _set_aside(path, left)
                    continue
            time.sleep(_LOOK_S / 10)
        try:
            yield path
        finally:
            with contextlib.suppress(OSError):
                path.unlink()


def _made(path: Path, text: bytes) -> bool:
    """Make a file unless it is there: of several computers, one does."""
    try:
        number = os.open(path, _EXCLUSIVE, 0o666)
    except FileExistsError:
        return False
    try:
        with os.fdopen(number, "wb", buffering=0) as file:
            file.write(text)
    except OSError:  # the disk is full
        path.unlink(missing_ok=True)
        raise
    return True


def _set_aside(path: Path, left: bytes) -> None:
    """Remove a file that holds this; it is moved first, so that no other one is removed."""
    aside = path.with_name(f"{path.name}-{secrets.token_hex(4)}")
    path.rename(aside)
    is_the_same = _seen(aside).text == left
    aside.unlink()
    if not is_the_same:
        raise StillHeldError


def _seen(path: Path) -> _Seen:
    """Return what is in a lock file, and when it was touched by the clock of its disk.

    It is opened anew: a network disk shows what others wrote to whoever opens a file.
    """
    text = read_regular(path, LONGEST_TEXT_BYTES)
    return _Seen(text, path.stat().st_mtime_ns)
