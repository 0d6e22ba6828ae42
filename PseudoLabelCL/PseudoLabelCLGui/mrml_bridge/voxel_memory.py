"""Voxels from raw array files into the memory of VTK images, in a thread if one likes."""

import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import slicer
import vtk
from vtk.util.numpy_support import get_vtk_array_type, vtk_to_numpy

from PseudoLabelCLGui.mrml_bridge.geometry import ijk_to_ras, right_handed
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.errors import AnnotationError, VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text

Array = npt.NDArray[Any]
# Brightness is chosen from so many voxels, spread over the volume; what lies beyond these
# percentiles is metal, air or noise.
_SAMPLE_SIZE = 100_000
_DARKEST, _BRIGHTEST = 0.5, 99.5
# VTK has no such types
_ENLARGED: dict[str, np.dtype[Any]] = {"b1": np.dtype(np.uint8), "f2": np.dtype(np.float32)}


class SpareVoxels:
    """The memory of a case that was left, for the next one.

    Fresh memory costs the system more time than the reading of the voxels that go into it.
    """

    def __init__(self) -> None:
        self._arrays: list[Any] = []

    def keep(self, node: Any) -> None:
        """Take hold of the voxels of a node that is about to go."""
        if node.IsA("vtkMRMLSegmentationNode"):
            segmentation = node.GetSegmentation()
            count = segmentation.GetNumberOfLayers()
            images = [segmentation.GetLayerDataObject(n, "Binary labelmap") for n in range(count)]
        else:
            images = [node.GetImageData()]
        found = [image.GetPointData().GetScalars() for image in images if image is not None]
        self._arrays += [array for array in found if array is not None]

    def take(self, data_type: int, num_voxels: int) -> Any:
        """Return an array of a VTK type and a length: a spare one, or else a new one."""
        wanted = (data_type, num_voxels)
        for number in range(len(self._arrays)):
            if _kind_of(self._arrays[number]) == wanted and _is_free(self._arrays, number):
                return self._arrays.pop(number)
        array = vtk.vtkDataArray.CreateDataArray(data_type)
        array.SetNumberOfTuples(num_voxels)
        return array

    def clear(self) -> None:
        """Give back what was not taken."""
        self._arrays = []


def _kind_of(array: Any) -> tuple[int, int]:
    return array.GetDataType(), array.GetNumberOfTuples()


def _is_free(arrays: list[Any], number: int) -> bool:
    """Return whether nobody but the list has an array: no VTK object, and no numpy view of it."""
    is_free_of_vtk: bool = arrays[number].GetReferenceCount() == 1
    return is_free_of_vtk and _num_references(arrays, number) == _num_references([object()], 0)


def _num_references(things: list[Any], number: int) -> int:
    return sys.getrefcount(things[number])


class VoxelMemory:
    """An image that has its memory but not yet its voxels.

    Making it is quick and belongs to the GUI thread; `read` fills it and touches nothing but
    memory, so that it may run in any thread; afterwards `image` may be given to a node. The slices
    of a left-handed grid are put into reverse order, as Slicer does when it reads a volume.

    Args:
        file: A .npy file of shape (k, j, i).
        geometry: Its grid; the attribute of that name is the grid of `image`.
        dtype: Type of the voxels in memory.
        image: A vtkImageData of that size without voxels.
        scale: What the numbers of the file are multiplied with, or None.
        spare: Memory that may be used again, or None.
    """

    def __init__(
        self,
        file: Path,
        geometry: Geometry,
        dtype: np.dtype[Any],
        image: Any,
        scale: float | None = None,
        spare: SpareVoxels | None = None,
    ) -> None:
        self.file = file
        self.geometry = right_handed(geometry)
        self._is_reversed = geometry.is_left_handed
        self.image = image
        self.scale = scale
        self.brightness: tuple[float, float] | None = None
        image.SetExtent(*(n for size in geometry.size for n in (0, size - 1)))
        data_type, num_voxels = get_vtk_array_type(dtype), int(np.prod(geometry.size))
        scalars = (spare or SpareVoxels()).take(data_type, num_voxels)
        scalars.SetName("ImageScalars")
        image.GetPointData().SetScalars(scalars)
        self._voxels: Array = vtk_to_numpy(scalars).reshape(geometry.array_shape)

    @staticmethod
    def for_volume(
        file: Path, geometry: Geometry, spare: SpareVoxels | None = None
    ) -> "VoxelMemory":
        """Make room for a volume in its own data type.

        Raises:
            VolumeError: The file is missing, damaged, or of another size.
        """
        stored: np.dtype[Any] = _opened(file, geometry).dtype.newbyteorder("=")
        dtype = _ENLARGED.get(stored.str[1:], stored)
        return VoxelMemory(file, geometry, dtype, vtk.vtkImageData(), spare=spare)

    @staticmethod
    def for_labels(
        file: Path, geometry: Geometry, labels: LabelSchema, spare: SpareVoxels | None = None
    ) -> "VoxelMemory":
        """Make room for label values, in one byte per voxel if they fit."""
        dtype = np.dtype(np.uint8 if max(labels.values) <= np.iinfo(np.uint8).max else np.int16)
        image = slicer.vtkOrientedImageData()
        image.SetImageToWorldMatrix(ijk_to_ras(right_handed(geometry)))
        return VoxelMemory(file, geometry, dtype, image, spare=spare)

    @staticmethod
    def for_doubt(
        file: Path, geometry: Geometry, spare: SpareVoxels | None = None
    ) -> "VoxelMemory":
        """Make room for fractions 0..1 as whole percents: a quarter of the memory of the file."""
        image = vtk.vtkImageData()
        return VoxelMemory(file, geometry, np.dtype(np.uint8), image, scale=100.0, spare=spare)

    def read(self) -> None:
        """Fill the image from the file, and look how bright it is.

        Raises:
            VolumeError: The file is missing, damaged, or of another size.
            AnnotationError: A label value does not fit.
        """
        source = _opened(self.file, self.geometry)
        try:
            with self.file.open("rb", buffering=0) as stream:
                stream.seek(source.offset)
                for plane in self._voxels[::-1] if self._is_reversed else self._voxels:
                    self._fill(plane, stream, source.dtype)
        except OSError as error:
            raise _unreadable(self.file) from error
        sample = self._voxels.ravel()[:: max(1, self._voxels.size // _SAMPLE_SIZE)]
        low, high = (float(n) for n in np.percentile(sample, (_DARKEST, _BRIGHTEST)))
        self.brightness = (low, high) if high > low else (low, low + 1.0)

    def count_per_slice(self, axis: int) -> npt.NDArray[np.int64]:
        """Count the voxels other than 0 in each slice along axis 0, 1 or 2 (i, j, k) of the file.

        May run in a thread, after `read`.
        """
        array_axis = self._voxels.ndim - 1 - axis
        voxels = self._voxels[::-1] if self._is_reversed else self._voxels
        others = tuple(n for n in range(voxels.ndim) if n != array_axis)
        return np.asarray(np.count_nonzero(voxels, axis=others))

    def _fill(self, plane: Array, stream: BinaryIO, stored: np.dtype[Any]) -> None:
        """Read one slice: straight into its place, or through a small buffer if types differ."""
        same = stored == plane.dtype
        buffer: Array = plane if same else np.empty(plane.shape, dtype=stored)
        place = memoryview(buffer.view(np.uint8).ravel().data)
        _read_into(place, stream, self.file)
        if self.scale is not None:
            buffer *= self.scale
            np.copyto(plane, np.rint(buffer, out=buffer), casting="unsafe")
        elif not same:
            if plane.dtype == np.uint8 and stored.kind == "i":
                self._check_range(buffer)
            np.copyto(plane, buffer, casting="unsafe")

    def _check_range(self, values: Array) -> None:
        low, high = values.min(), values.max()
        if low < 0 or high > np.iinfo(np.uint8).max:
            raise AnnotationError(
                Text(
                    _(
                        "'{file}' holds label values from {low} to {high}; the project has none of "
                        "these."
                    ).format(file=self.file.name, low=low, high=high)
                ),
                Text(_("Show the case again.")),
            )


def _read_into(buffer: memoryview, stream: BinaryIO, file: Path) -> None:
    while buffer:
        count = stream.readinto(buffer)  # type: ignore[attr-defined]  # a raw file has it
        if not count:
            raise _unreadable(file)
        buffer = buffer[count:]


def _unreadable(file: Path) -> VolumeError:
    return VolumeError(
        Text(_("The voxels to show cannot be read from '{file}'.").format(file=file)),
        Text(_("Check that the project's folder is still there, then show the case again.")),
    )


def _opened(file: Path, geometry: Geometry) -> Any:
    """Map an array file, to know its type and where its voxels begin."""
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _unreadable(file) from error
    if array.shape != geometry.array_shape or not array.flags.c_contiguous:
        raise VolumeError(
            Text(
                _("'{file}' holds {found} voxels, expected {expected}.").format(
                    file=file,
                    found=" x ".join(str(n) for n in array.shape[::-1]),
                    expected=" x ".join(str(n) for n in geometry.size),
                )
            ),
            Text(_("Show the case again.")),
        )
    return array
