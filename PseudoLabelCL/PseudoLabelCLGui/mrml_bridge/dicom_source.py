"""Whether a volume is still the DICOM series that it was loaded from, and where that lies."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from PseudoLabelCLGui.mrml_bridge.geometry import geometry_of
from PseudoLabelCLLib.domain.geometry import CORNER_TOLERANCE_VOXELS, Geometry

# Intensities go through a rescale slope: they may round to whole numbers, and to 32 bits.
_RELATIVE, _ABSOLUTE = 1e-4, 0.51
# What a damaged header raises, or a compression that this Python cannot undo.
_UNREADABLE = (
    OSError, ValueError, TypeError, AttributeError, KeyError, EOFError, RuntimeError, struct.error,
)  # fmt: skip


def dicom_source(volume_node: Any) -> tuple[Path, str] | None:
    """Return the folder and series of a volume, or None if a copy of its voxels is needed.

    Slicer loads DICOM volumes without a storage node, so that nothing tells whether the voxels
    were changed since. Therefore the first, the middle and the last slice are compared with their
    files: place, raster and intensities. A series that lies in several folders, or of which
    Slicer made several volumes, needs a copy too.
    """
    files = _files_of(volume_node)
    return _series_of(files) if files and _equals(volume_node, files) else None


def is_acquired(volume_node: Any) -> bool:
    """Return whether a volume stands under the transform that Slicer makes of uneven slices."""
    transform = volume_node.GetParentTransformNode()
    is_grid = transform is not None and transform.IsA("vtkMRMLGridTransformNode")
    return bool(is_grid and volume_node.GetAttribute("DICOM.instanceUIDs"))


def acquired_source(volume_node: Any) -> tuple[Path, str] | None:
    """Return the folder and series of a volume under an acquisition transform, or None.

    The places of its slices are in the transform, so only their voxels are compared.
    """
    files = _files_of(volume_node) if is_acquired(volume_node) else ()
    is_same = bool(files) and _equals(volume_node, files, compares_places=False)
    return _series_of(files) if is_same else None


def _series_of(files: tuple[Path, ...]) -> tuple[Path, str] | None:
    if len(files) < 2 or len({file.parent for file in files}) > 1:
        return None
    series_uid = slicer.dicomDatabase.seriesForFile(str(files[0]))
    of_series = {Path(file) for file in slicer.dicomDatabase.filesForSeries(series_uid)}
    return (files[0].parent, str(series_uid)) if series_uid and of_series == set(files) else None


def _files_of(volume_node: Any) -> tuple[Path, ...]:
    """Return the files of a volume's slices, in their order, or none if any is missing."""
    database = getattr(slicer, "dicomDatabase", None)
    instances = (volume_node.GetAttribute("DICOM.instanceUIDs") or "").split()
    if database is None or not database.isOpen:
        return ()
    names = [database.fileForInstance(uid) for uid in instances]
    files = tuple(Path(name) for name in names if name)
    return files if len(files) == len(instances) and all(f.is_file() for f in files) else ()


def _equals(volume_node: Any, files: tuple[Path, ...], *, compares_places: bool = True) -> bool:
    geometry = geometry_of(volume_node)
    if len(files) != geometry.size[2]:
        return False
    scalars = volume_node.GetImageData().GetPointData().GetScalars()
    array = vtk_to_numpy(scalars).reshape(geometry.array_shape)
    looked_at = sorted({0, len(files) // 2, len(files) - 1})
    return any(
        all(
            _is_slice(ordered[k], array[k], geometry if compares_places else None, k)
            for k in looked_at
        )
        for ordered in (files, files[::-1])  # Slicer reverses left-handed stacks
    )


def _is_slice(file: Path, plane: npt.NDArray[Any], geometry: Geometry | None, k: int) -> bool:
    """Return whether a slice has the intensities of a DICOM file, and its place on any grid."""
    try:
        from pydicom import dcmread  # noqa: PLC0415 - without it the voxels are copied
        from pydicom.errors import InvalidDicomError  # noqa: PLC0415 - as above
    except ImportError:
        return False
    try:
        header = dcmread(file)
        pixels = np.asarray(header.pixel_array, dtype=np.float64)
        place = np.asarray(header.ImagePositionPatient, dtype=np.float64)
        axes = np.asarray(header.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
        row_mm, column_mm = (float(mm) for mm in header.PixelSpacing)
    except (InvalidDicomError, *_UNREADABLE):
        return False
    rows, columns = plane.shape
    if pixels.shape != plane.shape:
        return False
    if geometry is not None:
        far = place + axes[0] * column_mm * (columns - 1) + axes[1] * row_mm * (rows - 1)
        expected = geometry.index_to_world([(0, 0, k), (columns - 1, rows - 1, k)])
        moved_mm = np.linalg.norm(expected - np.array([place, far]), axis=1).max()
        if moved_mm > CORNER_TOLERANCE_VOXELS * min(geometry.spacing_mm):
            return False
    rescaled = pixels * float(header.get("RescaleSlope", 1)) + float(
        header.get("RescaleIntercept", 0)
    )
    return bool(np.allclose(plane, rescaled, rtol=_RELATIVE, atol=_ABSOLUTE))
