"""Seals: whether this user of this computer made a file, or it came from elsewhere.

A seal is a keyed hash (BLAKE2b) of the content and of what the content is said to be. The key is
a secret that never leaves this computer, so that nobody else can make a seal; unlike a name or a
time, it also tells a file that was changed while the project was with somebody else.
"""

import contextlib
import hashlib
import hmac
import os
import secrets
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from PseudoLabelCLLib.storage.files.regular_files import opened_regular

SEAL_BYTES = 32
STATE_VARIABLE = "PSEUDOLABELCL_STATE_FOLDER"
_SECRET_BYTES = 32
_CHUNK_BYTES = 1 << 20
_Stamp: TypeAlias = tuple[int, int, int]


def state_folder() -> Path:
    """Return where the program keeps what belongs to this user of this computer, no project.

    Without a home folder, it is a place where nothing can be kept.
    """
    if chosen := os.environ.get(STATE_VARIABLE):
        return Path(chosen)
    try:
        home = Path.home()
    except RuntimeError:
        home = Path(os.devnull)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home) / "PseudoLabelCL"
    if sys.platform == "darwin":
        return home / "Library" / "Application Support" / "PseudoLabelCL"
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else home / ".local" / "state") / "PseudoLabelCL"


def sealing(what: str) -> "hashlib.blake2b":
    """Return a hash that becomes a seal once it has been given the content.

    Args:
        what: What the content is said to be: under another description, the seal does not fit.
    """
    described = what.encode("utf-8", "surrogatepass")
    seal = hashlib.blake2b(key=_secret(str(state_folder())), digest_size=SEAL_BYTES)
    seal.update(len(described).to_bytes(8, "big") + described)
    return seal


def seal_of_text(what: str, text: str) -> str:
    """Return the seal of a text, hexadecimal."""
    seal = sealing(what)
    seal.update(text.encode("utf-8", "surrogatepass"))
    return seal.hexdigest()


def is_seal_of_text(found: str, what: str, text: str) -> bool:
    """Return whether a seal is one of this computer's for a text."""
    return hmac.compare_digest(found.encode("utf-8", "replace"), seal_of_text(what, text).encode())


class SealedFiles:
    """Which files that end in a seal are this computer's own, each looked at once while unchanged.

    What this process wrote itself is known without a look.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Path, str], _Stamp] = {}

    def has_own(self, path: Path, what: str) -> bool:
        """Return whether a file is there and ends in the seal of all before it."""
        try:
            stamp = _stamp_of(path)
            if self._known.get((path, what)) != stamp:
                if not _ends_in_its_seal(path, what):
                    return False
                self._known[path, what] = stamp
        except OSError:
            return False
        return True

    def remember(self, path: Path, what: str) -> None:
        """Note that this process has just written a file with its seal."""
        with contextlib.suppress(OSError):
            self._known[path, what] = _stamp_of(path)


def _stamp_of(path: Path) -> _Stamp:
    status = path.stat()
    return (status.st_mtime_ns, status.st_ino, status.st_size)


def _ends_in_its_seal(path: Path, what: str) -> bool:
    seal, left = sealing(what), path.stat().st_size - SEAL_BYTES
    if left < 0:
        return False
    with opened_regular(path) as file:
        while left:
            chunk = file.read(min(left, _CHUNK_BYTES))
            if not chunk:
                return False
            seal.update(chunk)
            left -= len(chunk)
        return hmac.compare_digest(seal.digest(), file.read(SEAL_BYTES))


@cache
def _secret(folder: str) -> bytes:
    """Return the secret of this user, made at its first use.

    Where none can be kept, that of this process serves: nothing made before is taken as own then.
    """
    path = Path(folder) / "secret"
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            with os.fdopen(os.open(path, flags, 0o600), "wb", buffering=0) as file:
                file.write(secrets.token_bytes(_SECRET_BYTES))
        for _ in range(20):  # another process may be writing it
            found = path.read_bytes()
            if len(found) == _SECRET_BYTES:
                return found
            time.sleep(0.05)
    return secrets.token_bytes(_SECRET_BYTES)


def sealed(what: str, content: Any) -> bytes:
    """Return the seal that is to stand behind a content, bytes or a buffer."""
    seal = sealing(what)
    seal.update(content)
    return seal.digest()
