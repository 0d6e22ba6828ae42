"""Uncompressed NRRD files from numpy arrays alone, so that a thread can write them."""

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.errors import StorageError, VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.text import Text

Array = npt.NDArray[Any]
_TYPES = {
    "i1": "int8", "u1": "uint8", "i2": "int16", "u2": "uint16", "i4": "int32", "u4": "uint32",
    "i8": "int64", "u8": "uint64", "f4": "float", "f8": "double",
}  # fmt: skip


def write_nrrd(
    path: Path,
    layers: tuple[Array, ...],
    geometry: Geometry,
    fields: Mapping[str, str] | None = None,
) -> None:
    """Write a volume, or several label volumes as one file, aside and rename it.

    Args:
        path: The file; one that exists is replaced in one step.
        layers: Arrays of shape (k, j, i) and one type.
        geometry: Their grid.
        fields: Key/value pairs of the header.

    Raises:
        VolumeError: NRRD has no such type of voxels.
        StorageError: The disk refuses.
    """
    header = _header(path, layers, geometry, fields or {})
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            file.write(header)
            _write_voxels(file, layers)
        aside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise StorageError(
            Text(
                _("'{file}' cannot be written: {reason}.").format(
                    file=path, reason=error.strerror or error
                )
            ),
            Text(_("Free some space, or check that the folder exists and is writable.")),
        ) from error


def _header(
    path: Path, layers: tuple[Array, ...], geometry: Geometry, fields: Mapping[str, str]
) -> bytes:
    kind = layers[0].dtype.str[1:]
    if kind not in _TYPES:
        raise VolumeError(
            Text(
                _("'{file}' cannot store voxels of type {type}.").format(
                    file=path.name, type=layers[0].dtype
                )
            ),
            Text(
                _("Convert the volume to whole numbers or floating point with Cast Scalar Volume.")
            ),
        )
    several = len(layers) > 1
    axes = (geometry.direction_matrix * np.asarray(geometry.spacing_mm)).T
    lines = [
        "NRRD0004",
        f"type: {_TYPES[kind]}",
        f"dimension: {4 if several else 3}",
        "space: left-posterior-superior",
        "sizes: " + " ".join(str(n) for n in ((len(layers),) if several else ()) + geometry.size),
        "space directions: " + ("none " if several else "") + " ".join(_vector(a) for a in axes),
        "kinds: " + ("list " if several else "") + "domain domain domain",
        "endian: little",
        "encoding: raw",
        f"space origin: {_vector(geometry.origin_mm)}",
        *(f"{key}:={_escaped(value)}" for key, value in fields.items()),
    ]
    return ("\n".join(lines) + "\n\n").encode("utf-8")


def _vector(numbers: Iterable[float]) -> str:
    return "(" + ",".join(repr(float(n)) for n in numbers) + ")"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\r\n", "\n").replace("\n", "\\n")


def _write_voxels(file: BinaryIO, layers: tuple[Array, ...]) -> None:
    little = layers[0].dtype.newbyteorder("<")
    for planes in zip(*layers, strict=True):  # one slice at a time, all layers
        mixed = planes[0] if len(planes) == 1 else np.stack(planes, axis=-1)
        file.write(np.ascontiguousarray(mixed, dtype=little).data)
