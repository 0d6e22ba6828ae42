"""Grids of MRML and VTK objects as a Geometry and back: RAS there, LPS here."""

from typing import Any

import numpy as np
import numpy.typing as npt
import slicer

from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.geometry import CORNER_TOLERANCE_VOXELS, Geometry

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
            _("Volume '{name}' has no voxels.").format(name=volume_node.GetName()),
            _("Load it again, or choose another volume."),
        )
    return _geometry_from(_ijk_to_ras_of(volume_node), image.GetExtent())


def geometry_of_labelmap(labelmap: Any) -> Geometry:
    """Return the grid of a vtkOrientedImageData that has voxels."""
    matrix = slicer.util.vtkMatrixFromArray(np.eye(4))
    labelmap.GetImageToWorldMatrix(matrix)
    return _geometry_from(slicer.util.arrayFromVTKMatrix(matrix), labelmap.GetExtent())


def is_perpendicular(volume_node: Any) -> bool:
    """Tell whether the axes of a volume node stand at right angles on each other."""
    axes = _ijk_to_ras_of(volume_node)[:3, :3]
    axes = axes / np.maximum(np.linalg.norm(axes, axis=0), np.finfo(float).tiny)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() <= _PERPENDICULAR_TOLERANCE)


def whole_voxel_offset(part: Geometry, whole: Geometry) -> tuple[int, int, int] | None:
    """Return where voxel (0, 0, 0) of one grid lies in another, as indices i, j, k.

    Returns:
        None if the two do not share their raster: another spacing or direction, or shifted by a
        fraction of a voxel.
    """
    corners = np.array([(0.0, 0.0, 0.0), np.asarray(part.size) - 1.0])
    found = whole.world_to_index(part.index_to_world(corners))
    first = np.round(found[0])
    expected = np.array([first, first + np.asarray(part.size) - 1.0])
    axes = part.direction_matrix * np.asarray(part.spacing_mm)
    same_axes = whole.direction_matrix * np.asarray(whole.spacing_mm)
    turned = np.abs(axes - same_axes).max() > CORNER_TOLERANCE_VOXELS * min(whole.spacing_mm)
    if turned or np.abs(found - expected).max() > CORNER_TOLERANCE_VOXELS:
        return None
    i, j, k = (int(n) for n in first)
    return (i, j, k)


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
            _("A volume has an axis without length."),
            _("Set its spacing in the Volumes module."),
        )
    first = np.asarray(extent[0::2], dtype=np.float64)
    size = tuple(int(n) for n in np.asarray(extent[1::2]) - np.asarray(extent[0::2]) + 1)
    return Geometry(
        size=size,  # type: ignore[arg-type]  # three numbers
        spacing_mm=tuple(spacing.tolist()),
        origin_mm=tuple((axes @ first + matrix[:3, 3]).tolist()),
        direction=tuple((axes / spacing).ravel().tolist()),
    )
