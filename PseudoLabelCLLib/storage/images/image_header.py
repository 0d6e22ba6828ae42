"""What the checks of NRRD and MetaImage headers share: the text, its numbers, the place of voxels.

The libraries that read these files trust their headers, so everything that they would take as a
size, a count or a name of a file is checked first.
"""

import math
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PureWindowsPath

from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.files.atomic_files import storage_error
from PseudoLabelCLLib.storage.files.regular_files import opened_regular

MAX_HEADER_BYTES = 2**22
# A 4-D image has four axes, one of vectors one more.
MAX_AXES = 5
MAX_AXIS = 2**20
# A number has no more characters; one of 17 digits with sign and exponent has 24.
_MAX_NUMBER_LENGTH = 40
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?")
_WHOLE = re.compile(r"-?\d{1,18}")
# Deflate makes nothing smaller than this.
_LARGEST_PACKING = 1032


OTHER_KIND = Text("is not the kind of file that its name suggests, or it is damaged")


class HeaderError(ValueError):
    """A header is not one that is handed on.

    Args:
        found: What was found, the second half of a sentence.
    """

    def __init__(self, found: Text) -> None:
        super().__init__(found)
        self.found = found


class Encoding(Enum):
    """How voxels lie in the file."""

    RAW = "raw"
    PACKED = "packed"
    TEXT = "text"


@dataclass(frozen=True)
class ImageHeader:
    """What a header says of the voxels.

    Args:
        sizes: Of every axis, that of the components included.
        bytes_per_value: Of one number.
        encoding: How the voxels lie in the file.
        data_file: The name of the file that holds them, relative to the header's folder; None
            takes the header's own.
        data_offset: Where they begin at the earliest.
    """

    sizes: tuple[int, ...]
    bytes_per_value: int
    encoding: Encoding
    data_file: str | None
    data_offset: int

    @property
    def num_bytes(self) -> int:
        """How much memory the voxels take."""
        return math.prod(self.sizes) * self.bytes_per_value

    def check_data(self, path: Path) -> None:
        """Check that the file of the voxels is there, and can hold as many as are claimed.

        Args:
            path: The header.

        Raises:
            HeaderError: It cannot.
            StorageError: It is not a regular file, or the disk refuses.
        """
        file = path if self.data_file is None else self._data_beside(path, self.data_file)
        found = num_bytes_of(file) - self.data_offset
        values = math.prod(self.sizes)
        least = {
            Encoding.RAW: self.num_bytes,
            Encoding.PACKED: self.num_bytes // _LARGEST_PACKING,
            Encoding.TEXT: values,
        }[self.encoding]
        if found < least:
            raise HeaderError(
                Text(
                    "is cut off: its header tells of {size} voxels, for which {found} bytes "
                    "are too few",
                    size=" x ".join(map(str, self.sizes)),
                    found=max(found, 0),
                )
            )

    def _data_beside(self, path: Path, name: str) -> Path:
        parts = PureWindowsPath(name)  # takes both kinds of slashes
        if parts.is_absolute() or parts.drive or parts.root or ".." in parts.parts:
            raise HeaderError(Text("takes its voxels from elsewhere ({name!r})", name=name[:100]))
        file = path.parent / name
        if not file.exists():
            raise HeaderError(
                Text("is damaged: the file '{file}' with its voxels is missing", file=file.name)
            )
        return file


def header_bytes(path: Path) -> bytes:
    """Return the beginning of a file, as far as a header may reach.

    Raises:
        StorageError: It is not a regular file, or the disk refuses.
    """
    try:
        with opened_regular(path) as file:
            return file.read(MAX_HEADER_BYTES)
    except OSError as error:
        raise storage_error(path, error, action="read") from error


def num_bytes_of(path: Path) -> int:
    """Return the size of a regular file.

    Raises:
        StorageError: It is not one, or the disk refuses.
    """
    try:
        with opened_regular(path) as file:
            return file.seek(0, 2)
    except OSError as error:
        raise storage_error(path, error, action="read") from error


def text_of_line(line: bytes, max_length: int) -> str:
    """Return a line of a header.

    Raises:
        HeaderError: It is too long, or no text.
    """
    if len(line) > max_length:
        raise HeaderError(
            Text("is damaged: a line of its header has {count} characters", count=len(line))
        )
    text = line.rstrip(b"\r").decode("utf-8", errors="replace")
    if any(ord(character) < ord(" ") and character != "\t" for character in text):
        raise HeaderError(Text("is damaged: its header is not text"))
    return text


def numbers(field: str, value: str, count: int | None, *, allow_nan: bool = False) -> list[float]:
    """Check that a value is so many numbers, divided by spaces.

    Raises:
        HeaderError: It is not.
    """
    tokens = value.split()
    is_right = all(
        len(token) <= _MAX_NUMBER_LENGTH
        and (_NUMBER.fullmatch(token) or (allow_nan and token.lower() == "nan"))
        for token in tokens
    )
    if not is_right or (count is not None and len(tokens) != count):
        raise _wrong(
            field, value, Text("numbers") if count is None else Text("{count} numbers", count=count)
        )
    return [float(token) for token in tokens]


def whole_number(field: str, value: str, least: int, most: int) -> int:
    """Return the whole number that a value is.

    Raises:
        HeaderError: It is not one, or out of range.
    """
    if not _WHOLE.fullmatch(value.strip()) or not least <= int(value) <= most:
        raise _wrong(
            field, value, Text("a whole number from {least} to {most}", least=least, most=most)
        )
    return int(value)


def sizes_of(field: str, value: str, num_axes: int) -> tuple[int, ...]:
    """Return the sizes of the axes.

    Raises:
        HeaderError: There are more or fewer, or one is out of range.
    """
    tokens = value.split()
    if len(tokens) != num_axes:
        raise _wrong(field, value, Text("{count} whole numbers", count=num_axes))
    return tuple(whole_number(field, token, 1, MAX_AXIS) for token in tokens)


def one_of(field: str, value: str, known: "dict[str, int] | frozenset[str]") -> str:
    """Return a value that is one of the known ones.

    Raises:
        HeaderError: It is not one of them.
    """
    if value not in known:
        raise _wrong(field, value, Text("a value of the format"))
    return value


def single_file(field: str, value: str) -> str:
    """Return the name of a file with voxels.

    Raises:
        HeaderError: It stands for several files.
    """
    if value.split(" ", maxsplit=1)[0].upper() == "LIST" or "%" in value:
        raise HeaderError(Text("is divided into several files; save it as one"))
    if not 0 < len(value) <= 255:
        raise _wrong(field, value, Text("the name of a file"))
    return value


def refuse_repeated(field: str, fields: dict[str, str]) -> None:
    """Refuse a field that stands in the header already.

    Raises:
        HeaderError: It does.
    """
    if field in fields:
        raise HeaderError(Text("is damaged: its header has '{field}' twice", field=field))


def require_fields(fields: dict[str, str], names: tuple[str, ...]) -> None:
    """Refuse a header without fields that it needs.

    Raises:
        HeaderError: One is missing.
    """
    missing = [name for name in names if name not in fields]
    if missing:
        raise HeaderError(Text("is damaged: its header lacks {fields}", fields=", ".join(missing)))


def _wrong(field: str, value: str, expected: Text) -> HeaderError:
    return HeaderError(
        Text(
            "is damaged: its header has '{value}' for '{field}'; expected {expected}",
            value=value[:60],
            field=field[:40],
            expected=expected,
        )
    )
