"""The lock that lets one process at a time work on a project; it ends with its process."""

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from PseudoLabelCLLib.domain.errors import ProjectError, ProjectInUseError, StorageError
from PseudoLabelCLLib.storage.atomic_files import storage_error
from PseudoLabelCLLib.storage.regular_files import read_regular

# Windows lets nobody read what is locked, so the locked byte lies far behind the text.
_LOCKED_BYTE = 1 << 20
_LONGEST_TEXT_BYTES = 4096


@contextmanager
def project_lock(path: Path, holder: str) -> Iterator[None]:
    """Hold the lock of a project while the block runs.

    The system gives the lock back when the process ends, however it ends. The file stays: whoever
    deleted it could let two processes in.

    Args:
        path: The lock file.
        holder: What others read about the holder, for example "the training worker".

    Raises:
        ProjectInUseError: Another process, or another part of this one, holds it.
        ProjectError: The project's folder is missing.
        StorageError: The disk refuses.
    """
    if not path.parent.is_dir():
        raise ProjectError(f"There is no folder '{path.parent}'.", "Check the path.")
    try:
        file = path.open("a+b", buffering=0)  # a full disk is told at the write, not at the close
    except OSError as error:
        raise storage_error(path, error, action="opened") from error
    with file:
        try:
            taken = _try_lock(file)
        except OSError as error:
            raise storage_error(path, error, action="locked") from error
        if not taken:
            raise _in_use(path)
        try:
            _write_holder(file, path, holder)
            yield
        finally:
            with suppress(OSError):
                file.truncate(0)
            _unlock(file)


def _write_holder(file: IO[bytes], path: Path, holder: str) -> None:
    text = {"holder": holder, "process": os.getpid(), "machine": socket.gethostname()}
    try:
        file.truncate(0)
        file.write(json.dumps(text).encode("utf-8"))
    except OSError as error:
        raise storage_error(path, error) from error


def _in_use(path: Path) -> ProjectInUseError:
    remedy = "Close it there, or wait until it has finished."
    try:
        found = json.loads(read_regular(path, _LONGEST_TEXT_BYTES))
        who = f"{found['holder']} (process {found['process']} on {found['machine']})"
    except (OSError, StorageError, ValueError, KeyError, TypeError, RecursionError):
        who = "another process"
    return ProjectInUseError(f"The project '{path.parent}' is in use by {who}.", remedy)


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
