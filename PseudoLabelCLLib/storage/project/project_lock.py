"""The lock that lets one process at a time work on a project; it ends with its process."""

import errno
import json
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from PseudoLabelCLLib.domain.errors import ProjectError, ProjectInUseError
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.files.atomic_files import storage_error
from PseudoLabelCLLib.storage.files.links import is_link
from PseudoLabelCLLib.storage.files.regular_files import read_regular
from PseudoLabelCLLib.storage.project.host_mark import (
    LONGEST_TEXT_BYTES,
    HostMark,
    StillHeldError,
)

# Windows lets nobody read what is locked, so the locked byte lies far behind the text.
_LOCKED_BYTE = 1 << 20
# What others read where a command line holds the lock.
COMMAND_LINE = Text("a command line")
# The same while it only waits for its worker; verdicts can be given meanwhile.
TRAINING_COMMAND = Text("a command line that trains")
_LOOK_AGAIN_S = 0.02
_BEGIN = b'{"holder": '
# What disks without locks say.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
# A full disk is told at the write, not at the close: no buffer. What is a link is not opened.
_FLAGS = (
    os.O_RDWR
    | os.O_CREAT
    | os.O_APPEND
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)


@contextmanager
def project_lock(path: Path, holder: Text) -> Iterator[HostMark | None]:
    """Hold the lock of a project while the block runs.

    The system gives the lock back when the process ends, however it ends. The file stays: whoever
    deleted it could let two processes in. A file in its place with something else in it serves as
    the lock, but is not written to.

    Other computers may not see the system's lock. For them the holder's words in the file count,
    which are touched as long as it runs; where a computer left words behind, taking the lock lasts
    `GONE_AFTER_S` seconds.

    Args:
        path: The lock file.
        holder: What others read about the holder, for example "the training worker".

    Raises:
        ProjectInUseError: Another process, or another part of this one, holds it.
        ProjectError: The project's folder is missing, or its lock is a link or something else.
        StorageError: The disk refuses.
    """
    if not path.parent.is_dir():
        raise ProjectError(
            Text("The folder '{folder}' was not found.", folder=path.parent),
            Text("Check the path."),
        )
    with _opened(path) as file:
        try:
            taken = _try_lock(file)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise storage_error(path, error, action="locked") from error
            taken = None  # the disk has no locks: words alone count
        if taken is False:
            raise _in_use(path)
        try:
            with _marked(path, file, holder, knows_others=taken is not None) as mark:
                yield mark
        finally:
            if taken:
                _unlock(file)


@contextmanager
def _marked(
    path: Path, file: IO[bytes], holder: Text, *, knows_others: bool
) -> Iterator[HostMark | None]:
    """Write the holder's words into a lock while the block runs; None if that is no place for them.

    Raises:
        ProjectInUseError: Those of another computer count.
        StorageError: The disk refuses.
    """
    if not _is_a_lock(file):
        yield None
        return
    mark = HostMark(path, file, knows_others=knows_others)
    try:
        mark.take(holder)
    except StillHeldError as error:
        raise _in_use(path) from error
    except OSError as error:
        raise storage_error(path, error) from error
    try:
        yield mark
    finally:
        mark.release()


@contextmanager
def brief_lock(path: Path, holder: Text, patience_s: float) -> Iterator[None]:
    """Hold a lock that everybody holds for moments only: another holder is waited for.

    Args:
        path: The lock file.
        holder: What others read about the holder.
        patience_s: How long the other one is waited for, in seconds.

    Raises:
        ProjectInUseError: It is held for longer.
        ProjectError: As for `project_lock`.
        StorageError: The disk refuses.
    """
    deadline = time.monotonic() + patience_s
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(project_lock(path, holder))
                break
            except ProjectInUseError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_LOOK_AGAIN_S)
        yield


def is_held_by(path: Path, holder: Text) -> bool:
    """Return whether a lock file names a holder; whether it still holds the lock is not known."""
    try:
        return bool(json.loads(read_regular(path, LONGEST_TEXT_BYTES))["holder"] == holder)
    except Exception:  # noqa: BLE001 - the file is another process's: then nothing is known of it
        return False


def _opened(path: Path) -> IO[bytes]:
    """Open a lock, made if it is missing; no link is followed, nothing in it changes."""
    if is_link(path):
        raise _no_lock(path, Text("a link"))
    if path.is_dir():
        raise _no_lock(path, Text("a folder"))
    try:
        file = os.fdopen(os.open(path, _FLAGS, 0o666), "a+b", buffering=0)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _no_lock(path, Text("a link")) from error
        raise storage_error(path, error, action="opened") from error
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise _no_lock(path, Text("a pipe or a device"))
    return file


def _is_a_lock(file: IO[bytes]) -> bool:
    """Return whether a file may be written: what no program wrote as a lock stays as it is."""
    with suppress(OSError):
        file.seek(0)
        text = file.read(LONGEST_TEXT_BYTES + 1)
        return not text or (text.startswith(_BEGIN) and len(text) <= LONGEST_TEXT_BYTES)
    return False


def _no_lock(path: Path, found: Text) -> ProjectError:
    return ProjectError(
        Text(
            "'{file}' in '{folder}' is {found}; expected the lock of the project.",
            file=path.name,
            folder=path.parent,
            found=found,
        ),
        Text("Move it out of the project."),
    )


def _in_use(path: Path) -> ProjectInUseError:
    remedy = Text("Close it there, or wait until it has finished.")
    try:
        found = json.loads(read_regular(path, LONGEST_TEXT_BYTES))
        who = Text(
            "{holder} (process {process} on {machine})",
            holder=Text(str(found["holder"])),
            process=found["process"],
            machine=found["machine"],
        )
    except Exception:  # noqa: BLE001 - the file is another process's: only its name is lost
        who = Text("another process")
    return ProjectInUseError(
        Text("The project '{folder}' is in use by {who}.", folder=path.parent, who=who), remedy
    )


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[bytes]) -> bool:
        file.seek(_LOCKED_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        file.seek(_LOCKED_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
