"""What ITK passes over in a NIfTI file: missing voxels, its units, what is no number."""

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.geometry import FloatArray
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.files.atomic_files import storage_error

_HEADER_BYTES = 348
_CHUNK_BYTES = 1 << 20
# Beyond its voxels a file may hold little; a stream that goes on is not read to its end.
_MAX_EXCESS_BYTES = 1 << 26
# NIfTI's numbers of the units of length, and how many millimetres each is.
_LENGTH_UNIT_BITS = 7
_MM_PER_UNIT = {1: 1000.0, 3: 0.001}
_NIFTI_2_BYTES = 540
# NIfTI's numbers of the types that can hold an infinity.
_FLOAT_TYPES = {16: "f4", 64: "f8"}
# NIfTI's numbers of types, and how large each is.
_BITS_PER_VOXEL = {
    2: 8, 4: 16, 8: 32, 16: 32, 32: 64, 64: 64, 128: 24, 256: 8, 512: 16, 768: 32, 1024: 64,
    1280: 64, 1536: 128, 1792: 128, 2048: 256, 2304: 32,
}  # fmt: skip
_REMEDY = Text("Copy or download the file again, or export it again from where it was made.")


@dataclass(frozen=True)
class NiftiHeader:
    """The fields of a NIfTI-1 header that matter here.

    Args:
        offset: Where the voxels begin.
        num_voxels: Of all frames.
        bytes_per_voxel: Of one number.
        float_type: The type of numbers that can be infinite; empty for others.
        size: Voxels along the first three axes.
        spacing_mm: The voxel size that stands beside the matrices, without sign.
        codes: Of qform and sform.
        qform: From indices to RAS millimetres; None if its code is 0.
        sform: From indices to RAS millimetres; None if its code is 0.
    """

    offset: int
    num_voxels: int
    bytes_per_voxel: int
    float_type: str
    size: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    codes: tuple[int, int]
    qform: FloatArray | None
    sform: FloatArray | None

    @property
    def num_bytes(self) -> int:
        """How long the file must be."""
        return self.offset + self.num_voxels * self.bytes_per_voxel


def check_nifti_file(path: Path) -> None:
    """Refuse a file that is not NIfTI-1, that is cut off, or whose compression is damaged.

    ITK fills what is missing with zeros and says nothing.

    Raises:
        VolumeError: The file is damaged.
        StorageError: The disk refuses.
    """
    header = read_nifti_header(path)
    try:
        if path.name.lower().endswith(".gz"):
            found = _num_unpacked_bytes(path, header.num_bytes + _MAX_EXCESS_BYTES)
        else:
            found = path.stat().st_size
    except OSError as error:
        raise storage_error(path, error, action="read") from error
    if found < header.num_bytes:
        raise VolumeError(
            Text(
                "'{path}' is cut off: it holds {found} of {expected} bytes.",
                path=path,
                found=found,
                expected=header.num_bytes,
            ),
            _REMEDY,
        )


def num_nifti_bytes(path: Path) -> int:
    """Return how many bytes the voxels take, as the header tells.

    Raises:
        VolumeError: It is not NIfTI-1, or the header is damaged.
        StorageError: The disk refuses.
    """
    header = read_nifti_header(path)
    return header.num_voxels * header.bytes_per_voxel


def place_fields(path: Path) -> tuple[tuple[int, bytes], ...]:
    """Return the bytes of a header that say where the file lies, little-endian, by their offset.

    Raises:
        VolumeError: It is not NIfTI-1, or the header is damaged.
        StorageError: The disk refuses.
    """
    data, order = _header_data(path)
    fields = []
    for kind, offset in (("4f", 76), ("B", 123), ("2h", 252), ("18f", 256)):
        values = struct.unpack_from(f"{order}{kind}", data, offset)
        if kind == "B":
            values = (values[0] & _LENGTH_UNIT_BITS,)
        if kind == "4f":  # a negative voxel size misleads readers
            values = (values[0], *(abs(value) for value in values[1:]))
        fields.append((offset, struct.pack(f"<{kind}", *values)))
    return tuple(fields)


def restore_not_finite(path: Path, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the voxels with the infinite ones and those that are no number, as in the file.

    ITK makes zeros of them and says nothing.

    Args:
        path: The file.
        array: Its voxels as ITK read them, the first index of the file varying fastest.

    Raises:
        StorageError: The disk refuses.
    """
    header = read_nifti_header(path)
    if not header.float_type:
        return array
    try:
        with _opened(path) as file:
            file.seek(header.offset)
            data = file.read(header.num_voxels * header.bytes_per_voxel)
    except OSError as error:
        raise storage_error(path, error, action="read") from error
    stored = np.frombuffer(data, header.float_type).reshape(array.shape)
    return np.where(np.isfinite(stored), array, stored).astype(array.dtype)


def read_nifti_header(path: Path) -> NiftiHeader:
    """Return the header of a NIfTI-1 file, in millimetres whatever its unit is.

    Raises:
        VolumeError: It is not NIfTI-1, or the header is damaged.
        StorageError: The disk refuses.
    """
    data, order = _header_data(path)
    dim = struct.unpack_from(f"{order}8h", data, 40)
    datatype, bits_per_voxel = struct.unpack_from(f"{order}2h", data, 70)
    pixdim = struct.unpack_from(f"{order}8f", data, 76)
    (offset,) = struct.unpack_from(f"{order}f", data, 108)
    codes = struct.unpack_from(f"{order}2h", data, 252)
    quaternion = struct.unpack_from(f"{order}6f", data, 256)
    rows = struct.unpack_from(f"{order}12f", data, 280)
    if not 1 <= dim[0] <= 7 or min(dim[1 : dim[0] + 1]) < 1 or not 0 <= offset < 1e9:
        raise _no_nifti(path)
    if _BITS_PER_VOXEL.get(datatype) != bits_per_voxel:
        raise _no_nifti(path)
    unit_mm = _MM_PER_UNIT.get(data[123] & _LENGTH_UNIT_BITS, 1.0)
    scale = np.diag([unit_mm] * 3 + [1.0])
    sform = np.vstack([np.reshape(rows, (3, 4)), [0, 0, 0, 1]]).astype(np.float64)
    sizes = (*dim[1 : dim[0] + 1], 1, 1)
    i, j, k = (abs(float(length)) * unit_mm for length in pixdim[1:4])
    return NiftiHeader(
        offset=int(offset),
        num_voxels=math.prod(dim[1 : dim[0] + 1]),
        bytes_per_voxel=bits_per_voxel // 8,
        float_type=order + _FLOAT_TYPES[datatype] if datatype in _FLOAT_TYPES else "",
        size=(sizes[0], sizes[1], sizes[2]),
        spacing_mm=(i, j, k),
        codes=(codes[0], codes[1]),
        qform=scale @ _quaternion_matrix(quaternion, pixdim) if codes[0] > 0 else None,
        sform=scale @ sform if codes[1] > 0 else None,
    )


def _header_data(path: Path) -> tuple[bytes, str]:
    """Return the bytes of a header, and in which order its numbers are stored."""
    try:
        with _opened(path) as file:
            data = file.read(_HEADER_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _no_nifti(path) from error
    except OSError as error:
        raise storage_error(path, error, action="read") from error
    if any(data[:4] == struct.pack(f"{o}i", _NIFTI_2_BYTES) for o in "<>"):
        raise VolumeError(
            Text(
                "'{path}' is a NIfTI-2 file, which this program cannot read; expected NIfTI-1.",
                path=path,
            ),
            Text("Save it as NIfTI-1 in the program that made it, or as .nrrd."),
        )
    order = next((o for o in "<>" if data[:4] == struct.pack(f"{o}i", _HEADER_BYTES)), "")
    if len(data) < _HEADER_BYTES or not order:
        raise _no_nifti(path)
    return data, order


def _quaternion_matrix(values: tuple[float, ...], pixdim: tuple[float, ...]) -> FloatArray:
    """Return the matrix to RAS millimetres.

    Source: NIfTI-1 standard, nifti1.h, section "method 2".
    """
    b, c, d, *offset = values
    a_squared = 1.0 - b * b - c * c - d * d
    if a_squared < 1e-7:  # half a turn: what is left of `a` is rounding
        b, c, d = np.array([b, c, d]) / np.linalg.norm([b, c, d])
        a_squared = 0.0
    a = np.sqrt(a_squared)
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
        [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
        [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ]
    handedness = -1.0 if pixdim[0] < 0 else 1.0
    i, j, k = (abs(length) for length in pixdim[1:4])
    matrix[:3, :3] *= (i, j, handedness * k)
    matrix[:3, 3] = offset
    return matrix


def _num_unpacked_bytes(path: Path, limit: int) -> int:
    found = 0
    try:
        with _opened(path) as file:
            while found < limit and (chunk := file.read(_CHUNK_BYTES)):
                found += len(chunk)
    except EOFError as error:
        raise VolumeError(
            Text("'{path}' is cut off: its compressed data end too early.", path=path), _REMEDY
        ) from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise VolumeError(
            Text("'{path}' is damaged: its compression is broken.", path=path), _REMEDY
        ) from error
    return found


def _opened(path: Path) -> BinaryIO:
    packed = path.name.lower().endswith(".gz")
    return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]


def _no_nifti(path: Path) -> VolumeError:
    return VolumeError(Text("'{path}' is not a NIfTI file, or it is damaged.", path=path), _REMEDY)
