"""Whether a file is DICOM, by its first bytes; without the libraries of DICOM, slow to load."""

from pathlib import Path

_MAGIC = b"DICM"
_MAGIC_AT = 128


def looks_like_dicom(file: Path) -> bool:
    """Tell by the mark in its first bytes whether a file is DICOM; an unreadable one is not."""
    try:
        with file.open("rb") as stream:
            stream.seek(_MAGIC_AT)
            return stream.read(len(_MAGIC)) == _MAGIC
    except (OSError, ValueError):  # no file has a zero byte in its name
        return False
