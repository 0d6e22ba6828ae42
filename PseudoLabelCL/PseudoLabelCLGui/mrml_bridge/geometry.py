"""Grids of MRML and VTK objects as a Geometry and back: RAS there, LPS here."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import slicer

from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.geometry import CORNER_TOLERANCE_VOXELS, NUM_AXES, Geometry
from PseudoLabelCLLib.domain.text import Text

FloatArray = npt.NDArray[np.float64]
# The patient's left is +x in LPS and -x in RAS, posterior is +y and -y; the change is its own
# inverse.
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
# As the backend allows: a skew of this size moves a voxel by a thousandth of the volume's length.
_PERPENDICULAR_TOLERANCE = 1e-3


def ijk_to_ras(geometry: Geometry) -> Any:
    """Return the vtkMatrix4x4 from voxel indices to Slicer's RAS millimetres."""
    return slicer.util.vtkMatrixFromArray(_LPS_TO_RAS @ geometry.index_to_world_matrix)


def geometry_of(volume_node: Any) -> Geometry:
    """Return the grid of a volume node, its parent transform left out of account.

    Raises:
        VolumeError: It has no voxels.
    """
    image = volume_node.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0:
        raise VolumeError(
            Text(_("Volume '{name}' has no voxels.").format(name=volume_node.GetName())),
            Text(_("Load it again, or choose another volume.")),
        )
    return _geometry_from(_ijk_to_ras_of(volume_node), image.GetExtent())


def geometry_of_labelmap(labelmap: Any) -> Geometry:
    """Return the grid of a vtkOrientedImageData that has voxels."""
    matrix = slicer.util.vtkMatrixFromArray(np.eye(4))
    labelmap.GetImageToWorldMatrix(matrix)
    return _geometry_from(slicer.util.arrayFromVTKMatrix(matrix), labelmap.GetExtent())


def is_perpendicular(volume_node: Any) -> bool:
    """Return whether the axes of a volume node stand at right angles on each other."""
    axes = _ijk_to_ras_of(volume_node)[:3, :3]
    axes = axes / np.maximum(np.linalg.norm(axes, axis=0), np.finfo(float).tiny)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() <= _PERPENDICULAR_TOLERANCE)


@dataclass(frozen=True)
class RasterMatch:
    """How the voxels of one grid are voxels of another, their axes exchanged or reversed.

    Args:
        axes: For each array axis k, j, i of the other grid, which array axis of the first it is.
        reversed_axes: Array axes of the other grid along which the first runs backwards.
        offset: Where the first voxel lies in the other grid once that is put right, as k, j, i.
    """

    axes: tuple[int, ...]
    reversed_axes: tuple[int, ...]
    offset: tuple[int, ...]

    def put_right(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a view of an array of the first grid with the axes of the other."""
        return np.flip(array.transpose(self.axes), self.reversed_axes)


def match_rasters(part: Geometry, whole: Geometry) -> RasterMatch | None:
    """Return how the voxels of one grid lie in another.

    Slicer reverses the slices of left-handed volumes when it reads them, and leaves those of
    segmentations, so that the two may run against each other.

    Returns:
        None if the voxels do not coincide: another spacing or direction, or shifted by a fraction.
    """
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.asarray(part.size) - 1.0)
    found = whole.world_to_index(part.index_to_world(corners))
    steps = whole.world_to_index(part.index_to_world(np.eye(NUM_AXES)))
    steps = np.round(steps - whole.world_to_index(part.index_to_world((0, 0, 0)))).T
    one_to_one = (np.abs(steps).sum(0) == 1).all() and (np.abs(steps).sum(1) == 1).all()
    expected = np.round(found[0]) + corners @ steps.T
    if not one_to_one or np.abs(found - expected).max() > CORNER_TOLERANCE_VOXELS:
        return None
    in_arrays = steps[::-1, ::-1]  # (k, j, i) of the whole by (k, j, i) of the part
    return RasterMatch(
        axes=tuple(int(axis) for axis in np.abs(in_arrays).argmax(axis=1)),
        reversed_axes=tuple(int(axis) for axis in np.flatnonzero(in_arrays.sum(axis=1) < 0)),
        offset=tuple(int(first) for first in expected.min(axis=0)[::-1]),
    )


def right_handed(geometry: Geometry) -> Geometry:
    """Return the grid, with its slices in reverse order if it is left-handed, as Slicer does."""
    if not geometry.is_left_handed:
        return geometry
    last = geometry.index_to_world((0, 0, geometry.size[2] - 1))
    direction = geometry.direction_matrix * (1.0, 1.0, -1.0)
    return replace(
        geometry,
        origin_mm=tuple(last.tolist()),
        direction=tuple(direction.ravel().tolist()),  # type: ignore[arg-type]  # nine numbers
    )


def _ijk_to_ras_of(volume_node: Any) -> FloatArray:
    matrix = slicer.util.vtkMatrixFromArray(np.eye(4))
    volume_node.GetIJKToRASMatrix(matrix)
    result: FloatArray = slicer.util.arrayFromVTKMatrix(matrix)
    return result


def _geometry_from(ijk_to_ras_matrix: FloatArray, extent: tuple[int, ...]) -> Geometry:
    """Make the grid of an image whose first voxel need not have the index 0."""
    matrix = _LPS_TO_RAS @ ijk_to_ras_matrix
    axes = matrix[:3, :3]
    spacing = np.linalg.norm(axes, axis=0)
    if not spacing.all():
        raise VolumeError(
            Text(_("A volume has an axis without length.")),
            Text(_("Set its spacing in the Volumes module.")),
        )
    first = np.asarray(extent[0::2], dtype=np.float64)
    size = tuple(int(n) for n in np.asarray(extent[1::2]) - np.asarray(extent[0::2]) + 1)
    return Geometry(
        size=size,  # type: ignore[arg-type]  # three numbers
        spacing_mm=tuple(spacing.tolist()),
        origin_mm=tuple((axes @ first + matrix[:3, 3]).tolist()),
        direction=tuple((axes / spacing).ravel().tolist()),
    )
