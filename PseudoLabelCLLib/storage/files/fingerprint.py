"""Fingerprints: whether a file, or a folder of slices, still holds what it held."""

import hashlib
from pathlib import Path

from PseudoLabelCLLib.storage.files.atomic_files import storage_error
from PseudoLabelCLLib.storage.files.regular_files import opened_regular

_CHUNK_BYTES = 1 << 20


def file_fingerprint(path: Path) -> str:
    """Return a hash of the content of a file, or of all files directly in a folder.

    A folder's hash does not depend on the names of its files; hidden files do not count.

    Raises:
        StorageError: A file is missing or cannot be read.
    """
    try:
        if not path.is_dir():
            return _hash_of(path)
        files = (file for file in path.iterdir() if file.is_file() and file.name[0] != ".")
        hashes = sorted(_hash_of(file) for file in files)
    except OSError as error:
        raise storage_error(path, error, action="read") from error
    return "sha256:" + hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _hash_of(file: Path) -> str:
    content = hashlib.sha256()
    with opened_regular(file) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            content.update(chunk)
    return "sha256:" + content.hexdigest()
