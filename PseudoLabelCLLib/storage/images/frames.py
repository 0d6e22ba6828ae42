"""Files that hold several volumes: how many, and one of them as a file of its own."""

import gzip
import math
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import SimpleITK as sitk

from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.file_formats import NIFTI_SUFFIXES, READABLE_SUFFIXES, image_suffix
from PseudoLabelCLLib.domain.geometry import NUM_AXES
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.files.atomic_files import storage_error
from PseudoLabelCLLib.storage.images.itk_files import check_header, quiet_itk, read_image

_HEADER_BYTES = 348
_FIRST_VOXEL = 352
_CHUNK_BYTES = 1 << 24
# colours are no series of volumes
_COLOUR_TYPES = (128, 2304)
_COLOURS = (3, 4)
_REMEDY = Text("Copy or download the file again, or export it again from where it was made.")


@dataclass(frozen=True)
class Frames:
    """What a file holds.

    Args:
        number: How many volumes.
        size: Voxels of each along i, j, k.
    """

    number: int
    size: tuple[int, int, int]


def frames_in(path: Path) -> Frames | None:
    """Return how many volumes a file holds; None for a single one, for colours, for a folder.

    Raises:
        VolumeError: The file is damaged.
        StorageError: The disk refuses.
    """
    if not path.is_file() or image_suffix(path) not in READABLE_SUFFIXES:
        return None  # reported by whoever reads it
    if image_suffix(path) in NIFTI_SUFFIXES:
        header = _nifti_header(path)
        if header is None or header.number < 2:
            return None
        return Frames(header.number, header.size)
    check_header(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(os.fspath(path))
    with quiet_itk(path):
        reader.ReadImageInformation()
    size = (*reader.GetSize(), 1, 1)
    components = reader.GetNumberOfComponents()
    is_colour = components in _COLOURS and reader.GetPixelID() == sitk.sitkVectorUInt8
    number = math.prod(size[NUM_AXES:]) * (1 if is_colour else components)
    if number < 2 or is_colour or "complex" in sitk.GetPixelIDValueAsString(reader.GetPixelID()):
        return None
    return Frames(number, (size[0], size[1], size[2]))


def write_frame(path: Path, index: int, folder: Path) -> Path:
    """Write one volume of a file that holds several, unchanged, as a file of its own.

    Args:
        path: The file.
        index: Which volume, from 0.
        folder: Where to.

    Returns:
        The new file; of a NIfTI file one with the same header.

    Raises:
        VolumeError: The file is damaged.
        StorageError: The disk refuses.
    """
    if image_suffix(path) in NIFTI_SUFFIXES:
        return _write_nifti_frame(path, index, folder / "frame.nii")
    image = read_image(path)
    array = sitk.GetArrayFromImage(image)
    dimension = image.GetDimension()
    shape = image.GetSize()[:NUM_AXES][::-1]
    if image.GetNumberOfComponentsPerPixel() > 1:
        frame = np.moveaxis(array, -1, 0).reshape(-1, *shape)[index]
    else:
        frame = array.reshape(-1, *shape)[index]
    written = sitk.GetImageFromArray(np.ascontiguousarray(frame))
    matrix = np.asarray(image.GetDirection()).reshape(dimension, dimension)
    written.SetDirection(matrix[:NUM_AXES, :NUM_AXES].ravel().tolist())
    written.SetSpacing(image.GetSpacing()[:NUM_AXES])
    written.SetOrigin(image.GetOrigin()[:NUM_AXES])
    target = folder / "frame.nrrd"
    with quiet_itk(target):
        sitk.WriteImage(written, os.fspath(target))
    return target


@dataclass(frozen=True)
class _NiftiSeries:
    """What the header of a NIfTI-1 file says of its volumes."""

    raw: bytes
    order: str
    number: int
    size: tuple[int, int, int]
    frame_bytes: int
    offset: int


def _nifti_header(path: Path) -> _NiftiSeries | None:
    """Return the header, or None for colours and for what is no NIfTI-1 in one file."""
    try:
        with _opened(path) as file:
            raw = file.read(_HEADER_BYTES)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return None  # reported by whoever reads it
    except OSError as error:
        raise storage_error(path, error, action="read") from error
    for order in "<>":
        fits = len(raw) == _HEADER_BYTES and raw[344:347] == b"n+1"
        if fits and struct.unpack_from(f"{order}i", raw)[0] == _HEADER_BYTES:
            dims = struct.unpack_from(f"{order}8h", raw, 40)
            kind, bits = struct.unpack_from(f"{order}2h", raw, 70)
            used = [max(1, n) for n in dims[1 : dims[0] + 1]] + [1, 1, 1]
            size, number = (used[0], used[1], used[2]), math.prod(used[NUM_AXES:])
            if kind in _COLOUR_TYPES or not NUM_AXES < dims[0] <= 7:
                return None
            num_bytes = math.prod(size) * bits // 8
            offset = int(struct.unpack_from(f"{order}f", raw, 108)[0])
            return _NiftiSeries(raw, order, number, size, num_bytes, max(offset, _FIRST_VOXEL))
    return None


def _write_nifti_frame(path: Path, index: int, target: Path) -> Path:
    series = _nifti_header(path)
    if series is None or not 0 <= index < series.number:
        raise VolumeError(
            Text("'{path}' holds no volume {index}.", path=path, index=index + 1),
            Text("Choose another one."),
        )
    header = bytearray(series.raw)
    size = series.size
    struct.pack_into(f"{series.order}8h", header, 40, NUM_AXES, *size, 1, 1, 1, 1)
    struct.pack_into(f"{series.order}h", header, 68, 0)  # it is no vector any more
    struct.pack_into(f"{series.order}f", header, 108, float(_FIRST_VOXEL))
    try:
        with _opened(path) as file, target.open("wb") as out:
            file.seek(series.offset + index * series.frame_bytes)
            out.write(bytes(header).ljust(_FIRST_VOXEL, b"\0"))
            missing = series.frame_bytes
            while missing and (part := file.read(min(missing, _CHUNK_BYTES))):
                out.write(part)
                missing -= len(part)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise VolumeError(
            Text("'{path}' is damaged: it cannot be unpacked.", path=path), _REMEDY
        ) from error
    except OSError as error:
        raise storage_error(path, error, action="read") from error
    if missing:
        raise VolumeError(
            Text(
                "'{path}' is cut off: its volume {index} is not whole.", path=path, index=index + 1
            ),
            _REMEDY,
        )
    return target


def _opened(path: Path) -> BinaryIO:
    if path.name.lower().endswith(".gz"):
        return gzip.open(path)  # type: ignore[return-value]  # it reads like any other file
    return path.open("rb")
