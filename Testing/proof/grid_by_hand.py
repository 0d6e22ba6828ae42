"""The grid and the voxels of a DICOM series from the headers of its slices, with pydicom alone."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom


@dataclass(frozen=True)
class Grid:
    """Where the voxels of a series lie.

    Args:
        matrix: From (k, j, i, 1) to LPS millimetres.
        shape: (k, j, i).
        voxels: Intensities as stored, of that shape.
        files: In the order of k.
    """

    matrix: np.ndarray
    shape: tuple[int, int, int]
    voxels: np.ndarray
    files: tuple[Path, ...]

    @property
    def spacing_mm(self) -> np.ndarray:
        """Distance of neighbours along k, j, i."""
        return np.linalg.norm(self.matrix[:3, :3], axis=0)

    def centres(self, mask: np.ndarray) -> np.ndarray:
        """Return the centres of the voxels of a mask, in LPS."""
        indices = np.argwhere(mask)
        return indices @ self.matrix[:3, :3].T + self.matrix[:3, 3]


@dataclass(frozen=True)
class _Plane:
    """One slice: a file, or a frame of an enhanced object."""

    file: Path
    position: np.ndarray
    rows_and_columns: np.ndarray
    spacing_mm: tuple[float, float]
    pixels: np.ndarray


def grid_of_series(folder: Path) -> Grid:
    """Read all slices of a folder and put them in the order of their positions."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    planes = [plane for path in files for plane in _planes_of(path)]
    rows, columns = planes[0].rows_and_columns
    normal = np.cross(rows, columns)
    planes.sort(key=lambda plane: normal @ plane.position)
    first, last = planes[0].position, planes[-1].position
    matrix = np.eye(4)
    matrix[:3, 0] = (last - first) / max(1, len(planes) - 1)
    matrix[:3, 1] = columns * planes[0].spacing_mm[0]
    matrix[:3, 2] = rows * planes[0].spacing_mm[1]
    matrix[:3, 3] = first
    voxels = np.stack([plane.pixels for plane in planes])
    in_order = tuple(dict.fromkeys(plane.file for plane in planes))
    return Grid(matrix, voxels.shape, voxels, in_order)


def _planes_of(path: Path) -> Iterator[_Plane]:
    header = pydicom.dcmread(path)
    if "PerFrameFunctionalGroupsSequence" not in header:
        yield _plane(path, header, header, header, header.pixel_array)
        return
    shared = header.SharedFunctionalGroupsSequence[0]
    for item, pixels in zip(
        header.PerFrameFunctionalGroupsSequence, header.pixel_array, strict=True
    ):
        place, turned, measured = (
            (item if name in item else shared)[name].value[0]
            for name in ("PlanePositionSequence", "PlaneOrientationSequence",
                         "PixelMeasuresSequence")
        )  # fmt: skip
        yield _plane(path, place, turned, measured, pixels)


def _plane(path: Path, place, turned, measured, pixels: np.ndarray) -> _Plane:
    down_mm, across_mm = (float(mm) for mm in measured.PixelSpacing)
    return _Plane(
        path,
        np.array([float(x) for x in place.ImagePositionPatient]),
        np.reshape([float(x) for x in turned.ImageOrientationPatient], (2, 3)),
        (down_mm, across_mm),
        pixels,
    )
