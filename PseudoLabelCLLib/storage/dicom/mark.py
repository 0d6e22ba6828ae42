"""What is known of DICOM files without the libraries of DICOM, which are slow to load."""

import struct
from pathlib import Path

from PseudoLabelCLLib.domain.errors import StorageError
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.files.regular_files import opened_regular

# Enhanced and legacy-converted CT, MR and PET: where a frame lies stands in attributes of its own.
ENHANCED_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2", "1.2.840.10008.5.1.4.1.1.4.1",
    "1.2.840.10008.5.1.4.1.1.4.3", "1.2.840.10008.5.1.4.1.1.4.4", "1.2.840.10008.5.1.4.1.1.130",
    "1.2.840.10008.5.1.4.1.1.128.1",
)  # fmt: skip
CT_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2",
)  # fmt: skip
# Several frames that are no stack of slices, though a reader of images takes them for one.
NO_VOLUME_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.3.1": Text("an ultrasound clip"),
    "1.2.840.10008.5.1.4.1.1.12.1": Text("a series of X-ray projections over time"),
    "1.2.840.10008.5.1.4.1.1.12.2": Text("a series of X-ray projections over time"),
    "1.2.840.10008.5.1.4.1.1.66.4": Text("a segmentation"),
    "1.2.840.10008.5.1.4.1.1.66.7": Text("a segmentation"),
}
_MAGIC = b"DICM"
_MAGIC_AT = 128


# The first attribute of a file that begins with its attributes: of its own description, or that of
# the image (character set, image type, dates, class and instance).
_FIRST_GROUPS = {2: range(2), 8: (0, 1, 5, 8, 0x12, 0x13, 0x14, 0x16, 0x18)}
_LONGEST_FIRST = 128


def looks_like_dicom(file: Path) -> bool:
    """Tell by its first bytes whether a file is DICOM, with its preamble or without.

    An unreadable file is not.
    """
    start = _start_of(file)
    return start[_MAGIC_AT:] == _MAGIC or _begins_with_attributes(start)


def lacks_preamble(file: Path) -> bool:
    """Return whether a DICOM file begins with its attributes, without preamble and mark."""
    start = _start_of(file)
    return start[_MAGIC_AT:] != _MAGIC and _begins_with_attributes(start)


def _start_of(file: Path) -> bytes:
    try:
        with opened_regular(file) as stream:
            return stream.read(_MAGIC_AT + len(_MAGIC))
    except (OSError, StorageError, ValueError):  # no file has a zero byte in its name
        return b""


def _begins_with_attributes(start: bytes) -> bool:
    if len(start) <= _MAGIC_AT:
        return False
    group, element = struct.unpack_from("<HH", start)
    if element not in _FIRST_GROUPS.get(group, ()):
        return False
    if start[4:6].isalpha() and start[4:6].isupper():  # a kind of value, such as "UL"
        return True
    (length,) = struct.unpack_from("<I", start, 4)
    text = start[8 : 8 + length].rstrip(b"\0 ")
    is_number = element == 0 and length == 4
    is_text = bool(text) and all(32 <= byte < 127 for byte in text)
    return is_number or (length <= _LONGEST_FIRST and length % 2 == 0 and is_text)
