"""Writing files so that a kill at any moment leaves the old file or the new one, never half."""

import contextlib
import errno
import itertools
import json
import os
import socket
import sys
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from PseudoLabelCLLib.domain.errors import StorageError
from PseudoLabelCLLib.domain.file_formats import whole_suffix
from PseudoLabelCLLib.domain.text import Text, pattern
from PseudoLabelCLLib.messages.json_codec import JsonValue, parse_json
from PseudoLabelCLLib.storage.files.links import is_link
from PseudoLabelCLLib.storage.files.regular_files import read_regular

# A project of 10,000 cases has 10 MB of JSON.
MAX_JSON_BYTES = 2**28
TEMPORARY_PREFIX = ".writing-"
_STALE_AFTER_S = 24 * 3600
_counter = itertools.count()


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder that takes the place of `path` at the end.

    The temporary path has the same suffix, ".nii.gz" and ".seg.nrrd" included. If anything fails,
    it is removed and the old file stays. A missing folder is made, but not the one above it: a
    project that was deleted or renamed while a worker writes does not come back as a torso.

    Raises:
        StorageError: The disk refuses.
    """
    temporary = path.with_name(_temporary_name(path))
    try:
        path.parent.mkdir(exist_ok=True)
        temporary.unlink(missing_ok=True)  # a link of that name would be written through
        yield temporary
        _flush(temporary)
        _replace(temporary, path)
        _flush_folder(path.parent)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder with all that are missing above it, unless it is there.

    Raises:
        StorageError: The disk refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(folder, error) from error


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write a file aside and rename it.

    Raises:
        StorageError: The disk refuses.
    """
    with written_aside(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text aside and rename it; line ends stay as they are.

    Raises:
        StorageError: The disk refuses, or the text holds characters that UTF-8 cannot.
    """
    write_texts(path, (text,))


def write_texts(path: Path, parts: Iterable[str]) -> None:
    """Do the same with a long text that comes in parts and is never whole in memory.

    Raises:
        StorageError: The disk refuses, or the text holds characters that UTF-8 cannot.
    """
    with written_aside(path) as temporary, temporary.open("wb") as file:
        for part in parts:
            file.write(_utf8(part, path))


def _utf8(text: str, path: Path) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        wrong = text[max(0, error.start - 20) : error.end + 20]
        raise StorageError(
            Text(
                "'{file}' cannot hold the text {wrong!r}: it is not valid Unicode.",
                file=path.name,
                wrong=wrong,
            ),
            Text("Rename the file or the folder that this text names."),
        ) from error


def write_json(path: Path, value: JsonValue) -> None:
    """Write JSON that a person can read, aside, and rename it.

    Raises:
        StorageError: The disk refuses.
    """
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path, where: str = "") -> JsonValue:
    """Read a JSON file.

    Args:
        path: The file.
        where: What messages call it; the file's name if empty.

    Raises:
        StorageError: It is missing, cannot be read, is not a regular file, or too large.
        ProjectDamagedError: It is no JSON.
    """
    try:
        data = read_regular(path, MAX_JSON_BYTES)
    except OSError as error:
        raise storage_error(path, error, action="read") from error
    return parse_json(data, where or path.name)


def remove_leftovers(folder: Path, *, deep: bool = True) -> None:
    """Delete the temporary files in a folder, and below it, whose writers are gone.

    A writer is gone if its process on this machine has ended; one on another machine, after a day.
    Links are neither followed nor deleted.

    Args:
        folder: Where; it need not exist.
        deep: Whether to look below it too.
    """
    with contextlib.suppress(OSError):
        for entry in tuple(folder.iterdir()):
            with contextlib.suppress(OSError):
                if is_link(entry):
                    continue
                if deep and entry.is_dir():
                    remove_leftovers(entry)
                is_ours = entry.name.startswith(TEMPORARY_PREFIX) and entry.is_file()
                if is_ours and _is_stale(entry):
                    entry.unlink()


_MESSAGES = {
    errno.ENOSPC: (Text("the disk is full"), Text("Free some space and try again.")),
    errno.EDQUOT: (Text("your disk quota is used up"), Text("Free some space and try again.")),
    errno.EROFS: (Text("the disk is read-only"), Text("Choose a folder that you can write to.")),
    errno.EACCES: (
        Text("access is denied"),
        Text("Check the permissions of the file and its folder."),
    ),
    errno.EPERM: (
        Text("access is denied"),
        Text("Check the permissions of the file and its folder."),
    ),
    errno.ENOENT: (
        Text("the file or its folder does not exist (any more)"),
        Text(
            "Check that it was not moved or deleted, and that its disk or network drive is "
            "connected."
        ),
    ),
    errno.EFBIG: (Text("the file is too large for this disk"), Text("Choose another disk.")),
    errno.ENOTDIR: (
        Text("a part of its path is a file, not a folder"),
        Text("Choose another folder."),
    ),
    errno.EEXIST: (
        Text("there is a file where a folder is expected"),
        Text("Choose another folder."),
    ),
    errno.EISDIR: (
        Text("a folder of that name is in the way"),
        Text("Give a file, or choose another name."),
    ),
    errno.ENAMETOOLONG: (Text("its name is too long"), Text("Choose a shorter name.")),
}


_TRY_AGAIN = Text("Check the disk and try again.")
_Action = Literal[
    "written",
    "read",
    "read or written",
    "used",
    "opened",
    "locked",
    "moved",
    "moved back",
    "removed",
]
_REFUSED: dict[_Action, str] = {
    "written": pattern("'{path}' could not be written: {reason}."),
    "read": pattern("'{path}' could not be read: {reason}."),
    "read or written": pattern("'{path}' could not be read or written: {reason}."),
    "used": pattern("'{path}' could not be used: {reason}."),
    "opened": pattern("'{path}' could not be opened: {reason}."),
    "locked": pattern("'{path}' could not be locked: {reason}."),
    "moved": pattern("'{path}' could not be moved: {reason}."),
    "removed": pattern("'{path}' could not be removed: {reason}."),
    "moved back": pattern("'{path}' could not be moved back: {reason}."),
}


def storage_error(path: Path, error: OSError, action: _Action = "written") -> StorageError:
    """Return the plain sentence for what the disk refused.

    Args:
        path: The file or folder.
        error: What the system said.
        action: What was tried.
    """
    reason, remedy = _MESSAGES.get(
        error.errno or 0, (Text("{said}", said=error.strerror or error), _TRY_AGAIN)
    )
    return StorageError(Text(_REFUSED[action], path=path, reason=reason), remedy)


def _temporary_name(path: Path) -> str:
    suffix = whole_suffix(path.name) or path.suffix
    return f"{TEMPORARY_PREFIX}{_machine()}-{os.getpid()}-{next(_counter)}{suffix}"


def _machine() -> str:
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def _flush(path: Path) -> None:
    # Windows flushes only through a handle that may write.
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network drives cannot flush a folder; the rename itself has happened.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _replace(temporary: Path, path: Path) -> None:
    # On Windows a virus scanner may hold the old file for a moment.
    num_tries = 10 if sys.platform == "win32" else 1
    for _ in range(num_tries - 1):
        with contextlib.suppress(PermissionError):
            temporary.replace(path)
            return
        time.sleep(0.1)
    temporary.replace(path)


def _is_stale(leftover: Path) -> bool:
    parts = leftover.name[len(TEMPORARY_PREFIX) :].split("-")
    if len(parts) >= 3 and parts[0] == _machine() and parts[1].isdigit():
        return not _is_running(int(parts[1]))
    return time.time() - leftover.stat().st_mtime > _STALE_AFTER_S


def _is_running(process_id: int) -> bool:
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415 - needed on Windows alone

        handle = ctypes.windll.kernel32.OpenProcess(0x1000, 0, process_id)
        if handle:
            ctypes.windll.kernel32.CloseHandle(handle)
        return bool(handle)
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
