"""Reading files that come from others: regular files alone, and no larger than they may be."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PseudoLabelCLLib.domain.errors import StorageError
from PseudoLabelCLLib.domain.text import Text

# Flags that not every system has: bytes as they are, no waiting for the other end of a pipe, no
# terminal taken over.
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
)


@contextmanager
def opened_regular(path: Path, max_bytes: int | None = None) -> Iterator[BinaryIO]:
    """Open a regular file for reading; a pipe or a device is never waited for or read.

    Args:
        path: The file; a link to a regular file is one.
        max_bytes: The largest size; None allows any.

    Raises:
        StorageError: It is something else, or larger.
        OSError: It is missing or cannot be read.
    """
    _require_regular(path, path.stat(), max_bytes)
    with os.fdopen(os.open(path, _FLAGS), "rb") as file:
        _require_regular(path, os.fstat(file.fileno()), max_bytes)  # what was really opened
        yield file


def read_regular(path: Path, max_bytes: int) -> bytes:
    """Return the content of a regular file.

    Raises:
        StorageError: It is something else, or larger than `max_bytes`.
        OSError: It is missing or cannot be read.
    """
    with opened_regular(path, max_bytes) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:  # it has grown meanwhile
        raise _too_large(path, max_bytes)
    return data


def _require_regular(path: Path, found: os.stat_result, max_bytes: int | None) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise StorageError(
            Text("'{path}' is a folder; expected a file.", path=path), Text("Give the file itself.")
        )
    if not stat.S_ISREG(found.st_mode):
        raise StorageError(
            Text("'{path}' is a pipe or a device; expected a file on a disk.", path=path),
            Text("Give the file itself."),
        )
    if max_bytes is not None and found.st_size > max_bytes:
        raise _too_large(path, max_bytes)


def _too_large(path: Path, max_bytes: int) -> StorageError:
    return StorageError(
        Text(
            "'{path}' is larger than {most:,} bytes, more than such a file can have.",
            path=path,
            most=max_bytes,
        ),
        Text("Check that it is the right file, or copy it again."),
    )
