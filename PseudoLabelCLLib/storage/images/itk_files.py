"""Image files through ITK: quiet, checked for completeness, errors in plain sentences."""

import contextlib
import errno
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from PseudoLabelCLLib.domain.errors import StorageError, VolumeError
from PseudoLabelCLLib.domain.file_formats import (
    IMAGE_FORMATS,
    NIFTI_SUFFIXES,
    READABLE_SUFFIXES,
    WRITABLE_SUFFIXES,
    image_suffix,
)
from PseudoLabelCLLib.domain.geometry import NUM_AXES, FloatArray, Geometry
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.files.atomic_files import storage_error, written_aside
from PseudoLabelCLLib.storage.files.free_memory import free_memory_bytes
from PseudoLabelCLLib.storage.files.regular_files import opened_regular
from PseudoLabelCLLib.storage.images.image_header import OTHER_KIND, HeaderError
from PseudoLabelCLLib.storage.images.metaimage_header import read_metaimage_header
from PseudoLabelCLLib.storage.images.nifti_header import (
    check_nifti_file,
    num_nifti_bytes,
    restore_not_finite,
)
from PseudoLabelCLLib.storage.images.nifti_places import give_place_of, grid_of_nifti, has_shape
from PseudoLabelCLLib.storage.images.nrrd_header import read_nrrd_header

Direction: TypeAlias = tuple[float, float, float, float, float, float, float, float, float]
# Which reader of ITK must know a file by its content.
_READERS = {one.suffix: one.reader for one in IMAGE_FORMATS}

# The entries of the axes' scalar products that a perpendicular grid may show after rounding in a
# text header; a skew of that size moves a voxel by a thousandth of the volume's length.
_PERPENDICULAR_TOLERANCE = 1e-3
# The library's image and our array of its voxels exist side by side for a moment.
_COPIES_IN_MEMORY = 2
_DAMAGED_REMEDY = Text(
    "Copy or download the file again, or export it again from where it was made."
)

_standard_error_lock = threading.RLock()


def read_header(path: Path) -> Any:
    """Return an ITK reader that has read the header of a file, no voxels.

    Raises:
        VolumeError: The file is missing, of an unknown format, or damaged.
        StorageError: The disk refuses.
    """
    check_header(path)
    if image_suffix(path) in NIFTI_SUFFIXES:
        check_nifti_file(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(os.fspath(path))
    with quiet_itk(path):
        found = reader.GetImageIOFromFileName(os.fspath(path))
        if found == _READERS[image_suffix(path)]:
            reader.ReadImageInformation()
            return reader
    raise VolumeError(Text("'{path}' {found}.", path=path, found=OTHER_KIND), _DAMAGED_REMEDY)


def read_image(path: Path) -> Any:
    """Return the ITK image of a file, as stored: any dimension, any number of components.

    Raises:
        VolumeError: The file is missing, of an unknown format, damaged or cut off, or its voxels
            need more memory than is free.
        StorageError: The disk refuses.
    """
    _check_memory(path, check_header(path))
    reader = read_header(path)
    with contextlib.ExitStack() as stack:
        if image_suffix(path) == ".nii.gz" and path.with_suffix("").exists():
            reader.SetFileName(os.fspath(stack.enter_context(_copy_apart(path))))
        stack.enter_context(quiet_itk(path))
        return reader.Execute()


def grid_of(path: Path, image: Any, near: Geometry | None = None) -> Geometry:
    """Return the 3-D grid of an ITK image or header; axes of length 1 beyond the third go.

    A 2-D image becomes one slice.

    Args:
        path: The file, for messages and for the header of NIfTI.
        image: What ITK read of it.
        near: Where it lies if its header names two places, or None for where ITK puts it.

    Raises:
        VolumeError: There are several frames, the axes are not perpendicular, or the header
            contradicts itself.
    """
    geometry = _grid_of_any_dimension(path, image)
    if image_suffix(path) in NIFTI_SUFFIXES and image.GetDimension() >= NUM_AXES:
        geometry = grid_of_nifti(path, geometry, near)
    _check_perpendicular(path, geometry)
    return geometry


def voxels_of(path: Path, image: Any) -> npt.NDArray[Any]:
    """Return the voxels of an image that was read from a file, last index first, (..., k, j, i).

    Raises:
        StorageError: The disk refuses.
    """
    array: npt.NDArray[Any] = sitk.GetArrayFromImage(image)
    return restore_not_finite(path, array) if image_suffix(path) in NIFTI_SUFFIXES else array


def direction_of(matrix: FloatArray) -> Direction:
    """Return a 3 x 3 direction matrix as the row-major tuple of a Geometry."""
    return cast(Direction, tuple(matrix.ravel().tolist()))


def image_of(array: npt.NDArray[Any], geometry: Geometry) -> Any:
    """Return an ITK image of an array of shape (k, j, i) on a grid."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing(geometry.spacing_mm)
    image.SetOrigin(geometry.origin_mm)
    image.SetDirection(itk_direction(geometry))
    return image


def resampled(image: Any, geometry: Geometry, interpolator: int, outside: float = 0.0) -> Any:
    """Return an ITK image on another grid, by position.

    Args:
        image: The image.
        geometry: The grid.
        interpolator: One of SimpleITK's, such as `sitkLinear`.
        outside: What stands where the image has no voxels.
    """
    resample = sitk.ResampleImageFilter()
    resample.SetSize(geometry.size)
    resample.SetOutputSpacing(geometry.spacing_mm)
    resample.SetOutputOrigin(geometry.origin_mm)
    resample.SetOutputDirection(itk_direction(geometry))
    resample.SetInterpolator(interpolator)
    resample.SetDefaultPixelValue(outside)
    return resample.Execute(image)


def itk_direction(geometry: Geometry) -> Direction:
    """Return the direction as ITK can invert it: subnormal numbers make every index NaN there."""
    tiny = np.finfo(np.float64).tiny
    matrix = geometry.direction_matrix
    return direction_of(np.where(np.abs(matrix) < tiny, 0.0, matrix))


def write_image(path: Path, image: Any, place_of: Path | None = None) -> None:
    """Write an ITK image aside, compressed, read it back, compare, and rename it.

    Args:
        path: Where to; its ending says the format.
        image: What is written.
        place_of: A file of the same voxels; if both are NIfTI, its matrices are taken over as they
            are, so that readers of either one lay both files over each other.

    Raises:
        VolumeError: The format cannot be written, or cannot hold this grid.
        StorageError: The disk refuses.
    """
    if image_suffix(path) not in WRITABLE_SUFFIXES:
        raise VolumeError(
            Text(
                "'{file}' cannot be written: the formats are {formats}.",
                file=path.name,
                formats=", ".join(WRITABLE_SUFFIXES),
            ),
            Text("Choose one of these endings."),
        )
    with written_aside(path) as temporary:
        try:
            with quiet_itk(temporary):
                sitk.WriteImage(image, os.fspath(temporary), useCompression=True)
            if place_of is not None and _fits(place_of, path, image):
                give_place_of(place_of, temporary)
            _check_written(path, temporary, image)
        except VolumeError as error:
            if shutil.disk_usage(temporary.parent).free < _num_bytes(image):
                raise OSError(errno.ENOSPC, "No space left on device") from error
            raise


@contextmanager
def quiet_itk(path: Path) -> Iterator[None]:
    """Keep what the C++ libraries print from the user, and turn their errors into sentences.

    Raises:
        VolumeError: ITK refused the file.
    """
    sitk.ProcessObject_SetGlobalWarningDisplay(False)  # noqa: FBT003 - SimpleITK takes no name
    try:
        with _standard_error_closed():
            yield
    except (RuntimeError, MemoryError) as error:
        reason, remedy = _reason(str(error))
        raise VolumeError(Text("'{path}' {reason}.", path=path, reason=reason), remedy) from error


def _grid_of_any_dimension(path: Path, image: Any) -> Geometry:
    dimension = image.GetDimension()
    direction = np.asarray(image.GetDirection()).reshape(dimension, dimension)
    if any(n > 1 for n in image.GetSize()[NUM_AXES:]):
        frames = " x ".join(str(n) for n in image.GetSize()[NUM_AXES:])
        raise VolumeError(
            Text(
                "'{path}' holds a series of {frames} volumes; expected one 3-D volume.",
                path=path,
                frames=frames,
            ),
            Text("Save the frame that you need as a file of its own."),
        )
    full = np.eye(NUM_AXES)
    kept = min(dimension, NUM_AXES)
    full[:kept, :kept] = direction[:kept, :kept]
    return Geometry(
        size=(*image.GetSize(), 1)[:NUM_AXES],
        spacing_mm=(*image.GetSpacing(), 1.0)[:NUM_AXES],
        origin_mm=(*image.GetOrigin(), 0.0)[:NUM_AXES],
        direction=direction_of(full),
    )


@contextmanager
def _copy_apart(path: Path) -> Iterator[Path]:
    # The NIfTI library takes the voxels of "a.nii" for those of "a.nii.gz" if both lie together.
    with tempfile.TemporaryDirectory(prefix="pseudolabelcl-") as folder:
        try:
            yield Path(shutil.copyfile(path, Path(folder) / "volume.nii.gz"))
        except OSError as error:
            raise storage_error(path, error, action="read") from error


@contextmanager
def _standard_error_closed() -> Iterator[None]:
    # MetaIO and the NIfTI library write to file descriptor 2 themselves, past every ITK setting.
    with _standard_error_lock, contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a program with a window may have no standard error
            saved = os.dup(2)
            stack.callback(os.close, saved)
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, 2)
            os.close(sink)
            stack.callback(os.dup2, saved, 2)
        yield


def _reason(text: str) -> tuple[Text, Text]:
    if "orthonormal" in text:
        return (
            Text("has a skewed grid: its header's matrix has axes that are not perpendicular"),
            Text("Resample the volume onto a straight grid first."),
        )
    if "determinant is 0" in text:
        return (Text("has an impossible grid: its axes do not span space"), _DAMAGED_REMEDY)
    if "allocate memory" in text or "bad_alloc" in text or "bad allocation" in text:
        return (
            Text("needs more memory than there is; its header may be damaged"),
            Text("Close other programs, or crop the volume."),
        )
    if "Unable to determine ImageIO" in text:
        return (OTHER_KIND, _DAMAGED_REMEDY)
    return (Text("cannot be read: the file is damaged or cut off"), _DAMAGED_REMEDY)


def check_header(path: Path) -> int:
    """Check whatever a library would believe of a file's header, before one sees the file.

    Returns:
        How many bytes the voxels take in memory.

    Raises:
        VolumeError: The file is missing, of an unknown format, or its header is damaged.
        StorageError: The disk refuses.
    """
    _check_readable(path)
    suffix = image_suffix(path)
    if suffix in NIFTI_SUFFIXES:
        return num_nifti_bytes(path)
    read = read_nrrd_header if suffix in (".nrrd", ".nhdr") else read_metaimage_header
    try:
        header = read(path)
        header.check_data(path)
    except HeaderError as error:
        raise VolumeError(
            Text("'{path}' {found}.", path=path, found=error.found), _DAMAGED_REMEDY
        ) from error
    return header.num_bytes


def _check_memory(path: Path, num_bytes: int) -> None:
    needed, free = _COPIES_IN_MEMORY * num_bytes, free_memory_bytes()
    if free is not None and needed > free:
        raise VolumeError(
            Text(
                "'{path}' needs {needed:.1f} GB of memory, {free:.1f} GB are free; its "
                "header may be damaged.",
                path=path,
                needed=needed / 1000000000.0,
                free=free / 1000000000.0,
            ),
            Text("Close other programs, or crop the volume."),
        )


def _check_readable(path: Path) -> None:
    try:
        if path.is_dir():
            raise VolumeError(
                Text("'{path}' is a folder; expected a file.", path=path),
                Text("Give the file itself."),
            )
        with opened_regular(path) as file:
            is_empty = not file.read(1)
    except (FileNotFoundError, ValueError) as error:  # no file has a zero byte in its name
        raise VolumeError(
            Text("The file '{path}' was not found.", path=path), Text("Check the path.")
        ) from error
    except OSError as error:
        raise storage_error(path, error, action="read") from error
    if image_suffix(path) not in READABLE_SUFFIXES:
        raise VolumeError(
            Text(
                "'{path}' has an unknown format; expected {formats} or a folder of DICOM slices.",
                path=path,
                formats=", ".join(READABLE_SUFFIXES),
            ),
            Text("Export the volume in one of these formats."),
        )
    if is_empty:
        raise VolumeError(Text("The file '{path}' is empty.", path=path), _DAMAGED_REMEDY)


def _check_perpendicular(path: Path, geometry: Geometry) -> None:
    matrix = geometry.direction_matrix
    if np.abs(matrix.T @ matrix - np.eye(NUM_AXES)).max() > _PERPENDICULAR_TOLERANCE:
        reason, remedy = _reason("orthonormal")
        raise VolumeError(Text("'{path}' {reason}.", path=path, reason=reason), remedy)


def _check_written(path: Path, temporary: Path, image: Any) -> None:
    found = read_image(temporary)
    grid = _grid_of_any_dimension(path, image)
    found_grid = grid_of(temporary, found, grid)
    if not grid.is_close_to(found_grid):
        raise VolumeError(
            Text(
                "'{file}' cannot store this grid exactly ({grid}).",
                file=path.name,
                grid=grid.describe(),
            ),
            Text("Choose a file ending in .nrrd."),
        )
    wrote, read = sitk.GetArrayViewFromImage(image), voxels_of(temporary, found)
    if not np.array_equal(wrote, read.reshape(wrote.shape), equal_nan=wrote.dtype.kind == "f"):
        raise StorageError(
            Text(
                "'{path}' was not stored as it was written: the disk returns other voxels.",
                path=path,
            ),
            Text("Check the disk and its free space, then try again."),
        )


def _fits(place_of: Path, path: Path, image: Any) -> bool:
    """Return whether a file that is written can take over the place of another one."""
    are_nifti = all(image_suffix(file) in NIFTI_SUFFIXES for file in (place_of, path))
    if not are_nifti or not place_of.is_file():
        return False
    return has_shape(place_of, _grid_of_any_dimension(path, image))


def _num_bytes(image: Any) -> int:
    return int(np.prod(image.GetSize()) * image.GetSizeOfPixelComponent())


def metadata_text(header: Any, key: str) -> str:
    """Return what a header that ITK has read says under a key; empty if it says nothing."""
    if not header.HasMetaDataKey(key):
        return ""
    raw = header.GetMetaData(key).encode("utf-8", "surrogateescape")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return str(text.strip(" \0"))


def metadata_numbers(header: Any, key: str) -> FloatArray:
    """Return the numbers under a key, as DICOM separates them; none if they cannot be read."""
    try:
        return np.array(
            [float(part) for part in metadata_text(header, key).split("\\") if part.strip()]
        )
    except ValueError:
        return np.array([])
