"""The grid and the voxels of a DICOM series from the headers of its slices, with pydicom alone."""

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


def grid_of_series(folder: Path) -> Grid:
    """Read all slices of a folder and put them in the order of their positions."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    headers = {path: pydicom.dcmread(path) for path in files}
    first = next(iter(headers.values()))
    rows, columns = np.reshape([float(x) for x in first.ImageOrientationPatient], (2, 3))
    normal = np.cross(rows, columns)
    ordered = sorted(headers, key=lambda path: normal @ _position(headers[path]))
    places = np.array([_position(headers[path]) for path in ordered])
    matrix = np.eye(4)
    matrix[:3, 0] = (places[-1] - places[0]) / max(1, len(places) - 1)
    matrix[:3, 1] = columns * float(first.PixelSpacing[0])
    matrix[:3, 2] = rows * float(first.PixelSpacing[1])
    matrix[:3, 3] = places[0]
    voxels = np.stack([headers[path].pixel_array for path in ordered])
    return Grid(matrix, voxels.shape, voxels, tuple(ordered))


def _position(header: pydicom.Dataset) -> np.ndarray:
    return np.array([float(x) for x in header.ImagePositionPatient])
