"""Label values from .seg.nrrd and NIfTI files by numpy alone, so that a thread can read them."""

import gzip
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.text import Text

Array = npt.NDArray[Any]
_LPS = "left-posterior-superior"
_NRRD_TYPES = {
    "int8": "i1", "signed char": "i1", "uint8": "u1", "unsigned char": "u1", "uchar": "u1",
    "int16": "i2", "short": "i2", "uint16": "u2", "unsigned short": "u2", "ushort": "u2",
    "int32": "i4", "int": "i4", "uint32": "u4", "unsigned int": "u4",
}  # fmt: skip
_NIFTI_HEADER_SIZE = 348
_NIFTI_TYPES = {2: "u1", 4: "i2", 8: "i4", 256: "i1", 512: "u2", 768: "u4"}
_NIFTI_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])


def read_labels(file: Path) -> tuple[Array, Geometry]:
    """Read the label values of a file that this program wrote; may run in a thread.

    Returns:
        Shape (k, j, i), and the grid.

    Raises:
        VolumeError: The file is gone, damaged, or of a kind that this program does not write.
    """
    try:
        if file.name.lower().endswith(".nrrd"):
            return _read_nrrd(file)
        return _read_nifti(file)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, struct.error) as error:
        raise VolumeError(
            Text(
                _(
                    "The segmentation '{file}' cannot be shown: it is missing, damaged or in an "
                    "unexpected form."
                ).format(file=file)
            ),
            Text(_("Load it by hand: File > Add Data.")),
        ) from error


def unpack_labels(file: Path, unpacked: Path) -> Geometry:
    """Write the label values of a segmentation file as a .npy file; may run in a thread.

    Returns:
        Their grid.

    Raises:
        VolumeError: As `read_labels`, or the disk refuses.
    """
    array, geometry = read_labels(file)
    try:
        np.save(unpacked, array, allow_pickle=False)
    except OSError as error:
        unpacked.unlink(missing_ok=True)
        raise VolumeError(
            Text(
                _("There is not enough disk space to show the segmentation '{file}'.").format(
                    file=file
                )
            ),
            Text(
                _("Free some space in '{folder}', or load it by hand: File > Add Data.").format(
                    folder=unpacked.parent
                )
            ),
        ) from error
    return geometry


def _read_nrrd(file: Path) -> tuple[Array, Geometry]:
    with file.open("rb") as stream:
        fields = _nrrd_fields(stream.read())
    size = tuple(int(n) for n in fields["sizes"].split())
    _require(fields["dimension"] == "3" and fields["space"] == _LPS)
    axes = np.array(
        [_vector(text) for text in re.findall(r"\([^)]*\)", fields["space directions"])]
    )
    order = "<" if fields.get("endian", "little") == "little" else ">"
    return (
        _voxels(fields["data"], order + _NRRD_TYPES[fields["type"]], size),
        _geometry(size, axes.T, np.array(_vector(fields["space origin"]))),
    )


def _nrrd_fields(content: bytes) -> dict[str, Any]:
    """Return the fields of a header, and under "data" the voxels, no longer compressed."""
    head, _blank, data = content.partition(b"\n\n")
    _require(head.startswith(b"NRRD"))
    lines = head.decode("utf-8").splitlines()[1:]
    named = (line.partition(": ") for line in lines if ":=" not in line)
    fields: dict[str, Any] = {name: value.strip() for name, _colon, value in named}
    is_packed = fields["encoding"] in ("gzip", "gz")
    _require(is_packed or fields["encoding"] == "raw")
    return fields | {"data": gzip.decompress(data) if is_packed else data}


def _read_nifti(file: Path) -> tuple[Array, Geometry]:
    opened = gzip.open if file.name.lower().endswith(".gz") else open
    with opened(file, "rb") as stream:
        content = stream.read()
    order = "<" if struct.unpack_from("<i", content)[0] == _NIFTI_HEADER_SIZE else ">"
    _require(struct.unpack_from(f"{order}i", content)[0] == _NIFTI_HEADER_SIZE)
    num_axes, *sizes = struct.unpack_from(f"{order}8h", content, 40)
    size = tuple(sizes[:3])
    _require(num_axes >= 3 and all(n == 1 for n in sizes[3:num_axes]))
    (kind,) = struct.unpack_from(f"{order}h", content, 70)
    offset, slope, shift = struct.unpack_from(f"{order}3f", content, 108)
    (has_affine,) = struct.unpack_from(f"{order}h", content, 254)
    _require(has_affine > 0 and slope in (0.0, 1.0) and shift == 0.0)
    rows = np.array(struct.unpack_from(f"{order}12f", content, 280)).reshape(3, 4)
    affine = _NIFTI_RAS_TO_LPS @ rows
    return (
        _voxels(content[int(offset) :], order + _NIFTI_TYPES[kind], size),
        _geometry(size, affine[:, :3], affine[:, 3]),
    )


def _voxels(data: bytes, kind: str, size: tuple[int, ...]) -> Array:
    """Return the voxels; the first axis of the file is the fastest."""
    found = np.frombuffer(data, dtype=kind, count=int(np.prod(size))).reshape(size[::-1])
    return found.astype(found.dtype.newbyteorder("="), copy=False)


def _geometry(size: tuple[int, ...], axes: Array, origin: Array) -> Geometry:
    """Make the grid; the columns of `axes` are the steps between voxels in LPS millimetres."""
    spacing = np.linalg.norm(axes, axis=0)
    _require(bool(spacing.all()))
    return Geometry(
        size=size,  # type: ignore[arg-type]  # three numbers
        spacing_mm=tuple(spacing.tolist()),
        origin_mm=tuple(origin.tolist()),
        direction=tuple((axes / spacing).ravel().tolist()),
    )


def _vector(text: str) -> list[float]:
    return [float(number) for number in text.strip("() ").split(",")]


def _require(is_so: bool) -> None:
    if not is_so:
        raise ValueError("not in the form this program writes")
