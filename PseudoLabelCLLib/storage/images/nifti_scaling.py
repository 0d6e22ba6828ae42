"""The intercept of a NIfTI file that has no slope: the standard ignores it, ITK adds it."""

import gzip
import math
import struct
import zlib
from pathlib import Path

from PseudoLabelCLLib.domain.file_formats import NIFTI_SUFFIXES
from PseudoLabelCLLib.storage.files.atomic_files import storage_error

# By the size that the header gives for itself: where slope and intercept stand, and their type.
_PLACES = {348: (112, "f"), 540: (176, "d")}
_MOST_BYTES = 540


def intercept_without_slope(path: Path) -> float:
    """Return what ITK has added to every voxel against the standard; 0 for any other file.

    NIfTI scales only where the slope is neither zero nor missing; nibabel and FSL follow it.

    Raises:
        StorageError: The disk refuses.
    """
    name = path.name.lower()
    if not name.endswith(NIFTI_SUFFIXES):
        return 0.0
    try:
        with gzip.open(path) if name.endswith(".gz") else path.open("rb") as file:
            header = file.read(_MOST_BYTES)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        return 0.0  # reported by whoever reads the voxels
    except OSError as error:
        raise storage_error(path, error, action="read") from error
    for order in "<>":
        size = struct.unpack(f"{order}i", header[:4].ljust(4, b"\0"))[0]
        if size in _PLACES and len(header) >= size:
            start, kind = _PLACES[size]
            slope, intercept = struct.unpack_from(f"{order}2{kind}", header, start)
            has_slope = math.isfinite(slope) and slope != 0
            return 0.0 if has_slope or not math.isfinite(intercept) else float(intercept)
    return 0.0
