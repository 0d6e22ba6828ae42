"""Volume nodes: where their voxels lie on disk, what is wrong with them, and how they are shown."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from PseudoLabelCLGui.mrml_bridge.dicom_source import acquired_source, dicom_source, is_acquired
from PseudoLabelCLGui.mrml_bridge.geometry import geometry_of, ijk_to_ras, is_perpendicular
from PseudoLabelCLGui.mrml_bridge.nrrd_file import write_nrrd
from PseudoLabelCLGui.mrml_bridge.voxel_memory import VoxelMemory
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.file_formats import READABLE_SUFFIXES, is_slicer_segmentation
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.text import Text

# What the backend reads; everything else is copied.
_CHUNK = 1 << 22


@dataclass(frozen=True)
class SavedVolume:
    """Where a volume lies on disk.

    Args:
        path: A file, or a folder of DICOM slices.
        series_uid: Which DICOM series of the folder, or None.
        copy: Whether the file was made here only to hand the volume over, so that the project
            has to take a copy of its own.
    """

    path: Path
    series_uid: str | None = None
    copy: bool = False


@dataclass(frozen=True)
class VolumeSnapshot:
    """The voxels of a volume, read-only and not copied, with their grid.

    Args:
        name: Of the node, for messages.
        array: Shape (k, j, i); it keeps the memory of the volume alive.
        geometry: Its grid.
        image: The vtkImageData that the array belongs to.
        modified: The image's time of change when this was taken.
    """

    name: str
    array: npt.NDArray[Any]
    geometry: Geometry
    image: Any
    modified: int

    def write(self, path: Path) -> None:
        """Write it as uncompressed NRRD; may run in a thread.

        Raises:
            VolumeError: It was changed while it was written, or its type cannot be written.
            StorageError: The disk refuses.
        """
        write_nrrd(path, (self.array,), self.geometry)
        if self.image.GetMTime() != self.modified:
            path.unlink(missing_ok=True)
            raise VolumeError(
                Text(
                    _("Volume '{name}' was changed while it was being saved.").format(
                        name=self.name
                    )
                ),
                Text(_("Add it again.")),
            )


def save_volume(volume_node: Any, folder: Path) -> SavedVolume:
    """Return where a volume lies on disk; write it into a folder if it lies nowhere.

    On a large volume that lies nowhere (`source_of` gives None) take `snapshot_volume` and write
    that in a thread.

    Raises:
        VolumeError: It cannot be used; the message is the first of `volume_problems`.
        StorageError: The disk refuses.
    """
    source = source_of(volume_node)
    if source is not None:
        return source
    snapshot = snapshot_volume(volume_node)
    path = folder / f"{volume_node.GetID()}.nrrd"
    snapshot.write(path)
    return SavedVolume(path, copy=True)


def source_of(volume_node: Any) -> SavedVolume | None:
    """Return the file or DICOM folder that a volume was loaded from and still equals, or None.

    Of a volume under an acquisition transform the DICOM files are taken: Slicer makes one wherever
    slices are not evenly spaced by a hundredth of a millimetre. The backend reads what is near
    enough, and says of the rest what is missing where.
    """
    if volume_node.GetParentTransformNode() is not None:
        found = acquired_source(volume_node)
        return SavedVolume(*found) if found else None
    storage = volume_node.GetStorageNode()
    if storage is None or storage.GetNumberOfFileNames() > 1:
        found = dicom_source(volume_node)
        return SavedVolume(*found) if found else None
    if volume_node.GetModifiedSinceRead() or not storage.GetFileName():
        return None
    path = Path(storage.GetFullNameFromFileName())
    name = path.name.lower()
    is_volume = name.endswith(READABLE_SUFFIXES) and not is_slicer_segmentation(path)
    usable = is_volume and path.is_file()
    return SavedVolume(path) if usable and not _is_temporary(path) else None


def snapshot_volume(volume_node: Any) -> VolumeSnapshot:
    """Take hold of the voxels of a volume, without copying them.

    Raises:
        VolumeError: It cannot be used; the message is the first of `volume_problems`.
    """
    problems = volume_problems(volume_node)
    if problems:
        raise VolumeError(Text(problems[0]))
    image = volume_node.GetImageData()
    geometry = geometry_of(volume_node)
    array = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(geometry.array_shape)
    array.flags.writeable = False
    return VolumeSnapshot(volume_node.GetName(), array, geometry, image, image.GetMTime())


def volume_problems(volume_node: Any) -> tuple[str, ...]:
    """Tell why a volume cannot be used, each reason with its remedy; nothing if it can."""
    found = tuple(_header_problems(volume_node))
    return found or tuple(_voxel_problems(volume_node))


def show_volume(image: Path, geometry: Geometry, name: str) -> Any:
    """Add a volume to the scene from a raw array file; return its vtkMRMLScalarVolumeNode.

    Raises:
        VolumeError: The file is missing, damaged, or of another size.
    """
    memory = VoxelMemory.for_volume(image, geometry)
    memory.read()
    return add_volume(memory, name)


def add_volume(memory: VoxelMemory, name: str, *, into: Any | None = None) -> Any:
    """Show a volume whose voxels have been read; its brightness fits what is in it.

    Args:
        memory: The voxels.
        name: What the node is called.
        into: A node without voxels that takes them, or None for a new one.

    Returns:
        The vtkMRMLScalarVolumeNode.
    """
    node = into or slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    node.CreateDefaultDisplayNodes()
    was_modifying = node.StartModify()
    node.SetName(name)
    node.SetIJKToRASMatrix(ijk_to_ras(memory.geometry))
    display = node.GetDisplayNode()
    if memory.brightness is not None:  # known already: Slicer need not look at every voxel
        display.SetAutoWindowLevel(False)
        display.SetWindowLevelMinMax(*memory.brightness)
    node.SetAndObserveImageData(memory.image)
    node.EndModify(was_modifying)
    return node


def _header_problems(volume_node: Any) -> Iterator[str]:
    name, image = volume_node.GetName(), volume_node.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0:
        yield _("Volume '{name}' has no voxels. Load it again, or choose another.").format(
            name=name
        )
        return
    if is_acquired(volume_node):
        yield _(
            "Volume '{name}' is under the acquisition transform '{transform}': its slices are "
            "not evenly spaced, or the gantry was tilted. Add its DICOM files with Add volumes "
            "> Folder...; the panel then says which slices are missing. Do not harden the "
            "transform: that would resample the volume and lose its DICOM series."
        ).format(name=name, transform=volume_node.GetParentTransformNode().GetName())
    elif volume_node.GetParentTransformNode() is not None:
        yield _(
            "Volume '{name}' is under transform '{transform}'. Harden the transform (in the "
            "Data module: right-click, Harden transform) or remove it."
        ).format(name=name, transform=volume_node.GetParentTransformNode().GetName())
    if volume_node.IsA("vtkMRMLLabelMapVolumeNode"):
        yield _(
            "'{name}' is a label map, not an image. Choose the image; to turn a label map into "
            "a segmentation, right-click it in the Data module."
        ).format(name=name)
    if image.GetNumberOfScalarComponents() != 1:
        yield _(
            "Volume '{name}' holds colours or vectors ({count} numbers per voxel); expected one "
            "intensity. Convert it with the module Vector to Scalar Volume."
        ).format(name=name, count=image.GetNumberOfScalarComponents())
    if min(image.GetDimensions()) < 2:
        yield _(
            "Volume '{name}' is a single slice ({size} voxels); expected a stack of slices. "
            "Load the whole series."
        ).format(name=name, size=" x ".join(str(n) for n in image.GetDimensions()))
    if not is_perpendicular(volume_node):
        yield _(
            "The axes of volume '{name}' are not at right angles (a tilted gantry, for "
            "example). Choose a series without tilt, or resample it with the module Resample "
            "Scalar/Vector/DWI Volume; a resampled volume is no longer a DICOM series."
        ).format(name=name)


def _voxel_problems(volume_node: Any) -> Iterator[str]:
    scalars = volume_node.GetImageData().GetPointData().GetScalars()
    voxels = vtk_to_numpy(scalars)
    if voxels.dtype.kind != "f":
        return
    # A sum is not finite as soon as one voxel is not, and takes one pass without a copy.
    parts = (voxels[start : start + _CHUNK] for start in range(0, voxels.size, _CHUNK))
    with np.errstate(over="ignore", invalid="ignore"):
        doubtful = (part for part in parts if not np.isfinite(part.sum(dtype=np.float64)))
        broken = any(not np.isfinite(part).all() for part in doubtful)
    if broken:
        yield _(
            "Volume '{name}' has voxels that are not numbers (NaN or infinite). "
            "Replace them with the module Simple Filters, or load the volume again."
        ).format(name=volume_node.GetName())


def _is_temporary(path: Path) -> bool:
    """Return whether a file lies where Slicer unpacks archives, which it deletes later."""
    places = []
    cache = slicer.mrmlScene.GetCacheManager()
    if cache is not None:
        places.append(cache.GetRemoteCacheDirectory())
    application = getattr(slicer, "app", None)
    if application is not None:
        places.append(application.temporaryPath)
    resolved = path.resolve()
    return any(Path(place).resolve() in resolved.parents for place in places if place)
