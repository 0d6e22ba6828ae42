"""Where a NIfTI file lies: its header has two matrices, and readers differ in which they take.

ITK, Slicer and TorchIO take the qform unless the code of the sform is 1; nibabel, MONAI, FSL and
SPM take the sform whenever its code is not 0. Without either, each makes up a place of its own.
The 348 bytes are read here: nibabel would be one more package in Slicer's Python.
"""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.geometry import CORNER_TOLERANCE_VOXELS, FloatArray, Geometry
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.files.atomic_files import storage_error
from PseudoLabelCLLib.storage.images.nifti_header import (
    NiftiHeader,
    place_fields,
    read_nifti_header,
)

_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class NiftiPlaces:
    """The grids that a header names, in LPS millimetres.

    Args:
        sform: By the sform; None if its code is 0, or if it spans no space.
        qform: By the qform; None if its code is 0.
        made_up: Where nibabel puts a file that has neither.
        codes: Of qform and sform.
    """

    sform: Geometry | None
    qform: Geometry | None
    made_up: Geometry | None
    codes: tuple[int, int]

    @property
    def is_ambiguous(self) -> bool:
        """Whether both matrices count and lie more than a tenth of a voxel apart."""
        return (
            self.sform is not None
            and self.qform is not None
            and not self.sform.is_close_to(self.qform)
        )

    @property
    def all(self) -> tuple[Geometry, ...]:
        """Every place at which a reader may have put the file."""
        found = (self.sform, self.qform, self.made_up)
        return tuple(place for place in found if place is not None)

    @property
    def distance_mm(self) -> float:
        """How far apart the two places are at the corner where that is most."""
        if self.sform is None or self.qform is None:
            return 0.0
        apart = np.linalg.norm(self.sform.corners_mm() - self.qform.corners_mm(), axis=1)
        return float(apart.max())


def nifti_places(path: Path) -> NiftiPlaces:
    """Return where a NIfTI file lies.

    Raises:
        VolumeError: It is not NIfTI-1, or the header is damaged.
        StorageError: The disk refuses.
    """
    header = read_nifti_header(path)
    sform, qform = _grid(header, header.sform), _grid(header, header.qform)
    has_neither = header.sform is None and header.qform is None
    made_up = _grid(header, _without_matrix(header)) if has_neither else None
    return NiftiPlaces(sform, qform, made_up, header.codes)


def grid_of_nifti(path: Path, by_itk: Geometry, near: Geometry | None) -> Geometry:
    """Return the grid of a NIfTI file: of two places that near another grid, else that of ITK.

    ITK takes the voxel size from one field and the direction from another; where they contradict
    each other, or a voxel size is negative, the volume would silently have wrong millimetres.

    Args:
        path: The file.
        by_itk: Its grid as ITK read it.
        near: The grid on which it lies if its header gives it a choice, or None.

    Raises:
        VolumeError: The header contradicts itself.
    """
    places = nifti_places(path)
    if near is not None:
        for place in places.all:
            if place.is_close_to(near):
                return place
    named = [place for place in (places.sform, places.qform) if place is not None]
    if not named or any(place.is_close_to(by_itk) for place in named):
        return by_itk
    sform, header = places.sform, read_nifti_header(path)
    if sform is not None and _has_spacing(sform, header.spacing_mm):
        return sform  # the signs of the voxel size misled ITK
    by_matrix = " x ".join(f"{s:.4g}" for s in named[0].spacing_mm)
    by_field = " x ".join(f"{s:.4g}" for s in header.spacing_mm)
    raise VolumeError(
        Text(
            "The header of '{path}' contradicts itself: its matrix and its voxel size "
            "describe different grids (voxels of {by_matrix} mm and {by_field} mm).",
            path=path,
            by_matrix=by_matrix,
            by_field=by_field,
        ),
        Text("Load it in the program that made it and save it again."),
    )


def give_place_of(image: Path, path: Path) -> None:
    """Give a NIfTI file the two matrices, codes and units of another one of the same voxels.

    Args:
        image: The file whose place it takes.
        path: The file that is changed, just written by ITK.

    Raises:
        VolumeError: One of them is not NIfTI-1.
        StorageError: The disk refuses.
    """
    fields = place_fields(image)
    is_packed = path.name.lower().endswith(".gz")
    try:
        stored = path.read_bytes()
        data = bytearray(gzip.decompress(stored) if is_packed else stored)
        for offset, value in fields:
            data[offset : offset + len(value)] = value
        path.write_bytes(gzip.compress(data, 6, mtime=0) if is_packed else bytes(data))
    except OSError as error:
        raise storage_error(path, error) from error


def has_shape(path: Path, geometry: Geometry) -> bool:
    """Return whether a NIfTI file has the array shape of a grid."""
    return read_nifti_header(path).size == geometry.size


def _grid(header: NiftiHeader, ras: FloatArray | None) -> Geometry | None:
    """Return the grid by a matrix from indices to RAS millimetres; None if it spans no space."""
    if ras is None:
        return None
    matrix = _LPS_FROM_RAS @ ras
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    if not np.all(np.isfinite(matrix)) or spacing.min() <= 0:
        return None
    direction = matrix[:3, :3] / spacing
    try:
        return Geometry(
            header.size,
            tuple(spacing.tolist()),
            tuple(matrix[:3, 3].tolist()),
            tuple(direction.ravel().tolist()),
        )
    except VolumeError:
        return None


def _without_matrix(header: NiftiHeader) -> FloatArray:
    """Return where nibabel puts a file without matrices: centred, the first axis to the left."""
    spacing = np.asarray(header.spacing_mm) * (-1, 1, 1)
    matrix = np.diag([*spacing, 1.0])
    matrix[:3, 3] = -spacing * (np.asarray(header.size) - 1) / 2
    return matrix


def _has_spacing(place: Geometry, spacing_mm: tuple[float, float, float]) -> bool:
    off = np.abs(np.subtract(place.spacing_mm, spacing_mm)) * place.size
    return bool(off.max() <= CORNER_TOLERANCE_VOXELS * min(place.spacing_mm))
