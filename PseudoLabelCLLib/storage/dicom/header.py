"""Headers of DICOM files, read with suspicion: few attributes, of the right kind, or a refusal."""

import math
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import DeflatedExplicitVRLittleEndian

from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.dicom.mark import lacks_preamble
from PseudoLabelCLLib.storage.files.atomic_files import storage_error
from PseudoLabelCLLib.storage.files.regular_files import opened_regular

_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")
_LONGEST_UID = 64
_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_UNDEFINED_LENGTH = 0xFFFFFFFF
# The header of an ordinary slice has some kilobytes; one of an enhanced object some megabytes.
_LONGEST_HEADER_BYTES = 64 << 20


_is_quiet: ContextVar[bool] = ContextVar("is_quiet", default=False)


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep to itself what pydicom warns of; what matters is checked here.

    Costs next to nothing where it is quiet already.
    """
    if _is_quiet.get():
        yield
        return
    before = _is_quiet.set(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        _is_quiet.reset(before)


class UnreadableError(Exception):
    """A file of DICOM is not what it says: pydicom raised whatever it met."""


@contextmanager
def reading_by_pydicom() -> Iterator[None]:
    """Turn whatever pydicom raises on a damaged file into one error; wrap nothing but its calls.

    Raises:
        InvalidDicomError: It is no DICOM file.
        UnreadableError: It is damaged.
        OSError: The system refuses.
    """
    try:
        with quiet_pydicom():
            yield
    except InvalidDicomError:
        raise
    except Exception as error:
        # pydicom has no error of its own for files that are not what they say: fuzzing met
        # fourteen built-in ones. An OSError without a number is its own, too.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UnreadableError from error


def read_dicom_header(path: Path, keywords: tuple[str, ...]) -> pydicom.Dataset | None:
    """Read some attributes of a DICOM image; None if the file is no DICOM file.

    Raises:
        VolumeError: The file is damaged or cut off.
        StorageError: The disk refuses.
    """
    is_bare = lacks_preamble(path)
    try:
        with opened_regular(path) as file:
            with reading_by_pydicom():
                header = pydicom.dcmread(
                    file, stop_before_pixels=True, specific_tags=list(keywords), force=is_bare
                )
            if transfer_syntax_of(header) == DeflatedExplicitVRLittleEndian:
                raise _refused(path, Text("is stored deflated as a whole"))
            header_bytes = file.tell()
            is_whole = _has_whole_pixels(file.read(12), header_bytes, path.stat().st_size)
    except InvalidDicomError:
        return None
    except UnreadableError as error:
        raise _refused(path, Text("is damaged: its attributes cannot be read")) from error
    except OSError as error:
        raise storage_error(path, error, action="read") from error
    if header_bytes > _LONGEST_HEADER_BYTES:
        raise _refused(
            path,
            Text(
                "has a header of {size} MB, more than any slice needs",
                size=header_bytes >> 20,
            ),
        )
    if not is_whole:
        raise _refused(path, Text("is cut off, or holds no pixels"))
    return header


def series_uid_in(path: Path) -> str:
    """Return which series a file belongs to, however damaged it is; empty if it does not say."""
    try:
        with reading_by_pydicom():
            header = pydicom.dcmread(
                path, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"]
            )
    except (OSError, InvalidDicomError, UnreadableError):
        return ""
    return uid_of(header, "SeriesInstanceUID")


def transfer_syntax_of(header: pydicom.Dataset) -> str:
    """Return how the pixels of a file are encoded; empty if it does not say."""
    meta = getattr(header, "file_meta", None)
    return "" if meta is None else uid_of(meta, "TransferSyntaxUID")


def text_of(dataset: pydicom.Dataset, keyword: str) -> str:
    """Return an attribute as text without control characters; empty if missing or unreadable."""
    value = value_of(dataset, keyword)
    if value is None:
        return ""
    if isinstance(value, (list, tuple, pydicom.multival.MultiValue)):
        value = value[0] if len(value) else ""
    text = str(value)
    if not text.isprintable():
        text = "".join(c for c in text if c.isprintable())
    return text.strip()


def uid_of(dataset: pydicom.Dataset, keyword: str) -> str:
    """Return an attribute that must be a UID; empty if it is missing or none."""
    text = text_of(dataset, keyword)
    return text if len(text) <= _LONGEST_UID and _UID.fullmatch(text) else ""


def numbers_of(dataset: pydicom.Dataset, keyword: str) -> tuple[float, ...]:
    """Return an attribute of one or more finite numbers; empty if it is anything else."""
    value = value_of(dataset, keyword)
    values = value if isinstance(value, (list, tuple, pydicom.multival.MultiValue)) else [value]
    try:
        numbers = tuple(float(number) for number in values)
    except (TypeError, ValueError, OverflowError):
        return ()
    return numbers if all(math.isfinite(number) for number in numbers) else ()


def whole_number_of(dataset: pydicom.Dataset, keyword: str) -> int | None:
    """Return an attribute that must be one whole number, or None."""
    numbers = numbers_of(dataset, keyword)
    return int(numbers[0]) if len(numbers) == 1 and numbers[0] == int(numbers[0]) else None


def items_of(dataset: pydicom.Dataset, keyword: str) -> tuple[pydicom.Dataset, ...]:
    """Return the items of a sequence; none if it is missing or no sequence."""
    value = value_of(dataset, keyword)
    return tuple(value) if isinstance(value, pydicom.Sequence) else ()


def value_of(dataset: pydicom.Dataset, keyword: str) -> Any:
    """Return the value of an attribute; None if it is missing or cannot be understood."""
    if keyword not in dataset:  # spares the price of silence
        return None
    try:
        if _is_quiet.get():  # spares it again: this is asked ten thousand times for an object
            return dataset.get(keyword)
        with quiet_pydicom():
            return dataset.get(keyword)
    except Exception:  # noqa: BLE001 - as in `reading_by_pydicom`: it reads values when asked
        return None


def _has_whole_pixels(start: bytes, header_bytes: int, file_bytes: int) -> bool:
    """Return whether pixel data begin here and end before the file does."""
    if len(start) < 12 or start[:4] not in (_PIXEL_DATA, b"\x7f\xe0\x00\x10"):
        return False
    order = "<" if start[:4] == _PIXEL_DATA else ">"
    if start[4:6] in (b"OW", b"OB"):
        length, begin = struct.unpack(f"{order}I", start[8:12])[0], header_bytes + 12
    else:
        length, begin = struct.unpack(f"{order}I", start[4:8])[0], header_bytes + 8
    if length == _UNDEFINED_LENGTH:  # compressed: fragments, closed by an item of their own
        return file_bytes > begin + 16
    return bool(length > 0 and begin + length <= file_bytes)


def _refused(path: Path, found: Text) -> VolumeError:
    return VolumeError(
        Text("'{path}' {found}.", path=path, found=found),
        Text("Send or copy the series again from the archive."),
    )
