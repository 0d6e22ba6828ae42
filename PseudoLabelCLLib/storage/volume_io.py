"""Volumes in and out: NIfTI, NRRD, MetaImage and folders of DICOM slices, with their exact grid."""

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.storage.dicom import series as dicom_series
from PseudoLabelCLLib.storage.dicom.series import list_dicom_series
from PseudoLabelCLLib.storage.images.itk_files import (
    grid_of,
    image_of,
    read_header,
    read_image,
    voxels_of,
    write_image,
)

__all__ = ["list_dicom_series", "read_geometry", "read_volume", "write_volume"]


def read_volume(path: Path, series_uid: str | None = None, near: Geometry | None = None) -> Volume:
    """Read an image as it is: its own pixel type, nothing resampled.

    Args:
        path: A file, or a folder of DICOM slices.
        series_uid: Which series of a DICOM folder; needed only if there are several.
        near: Where it lies if its header names two places: the grid of its case.

    Raises:
        VolumeError: It is not a single 3-D volume of real numbers, or it is damaged.
        StorageError: The disk refuses.
    """
    if path.is_dir():
        return dicom_series.read_series(path, series_uid)
    image = read_image(path)
    _check_real(path, image)
    geometry = grid_of(path, image, near)
    return Volume(voxels_of(path, image).reshape(geometry.array_shape), geometry)


def read_geometry(path: Path, series_uid: str | None = None) -> Geometry:
    """Read the grid of an image from its headers, without its voxels.

    Raises:
        VolumeError: It is not a single 3-D volume of real numbers, or it is damaged.
        StorageError: The disk refuses.
    """
    if path.is_dir():
        return dicom_series.read_series_geometry(path, series_uid)
    header = read_header(path)
    _check_real(path, header)
    return grid_of(path, header)


def write_volume(path: Path, volume: Volume) -> None:
    """Write a volume as .nii, .nii.gz, .nrrd or .mha, by the ending of the path.

    Raises:
        VolumeError: The format cannot hold it.
        StorageError: The disk refuses.
    """
    array = volume.array
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    elif array.dtype == np.float16:
        array = array.astype(np.float32)
    elif array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        raise VolumeError(
            Text("'{file}' cannot store voxels of type {dtype}.", file=path.name, dtype=array.dtype)
        )
    write_image(path, image_of(array.astype(array.dtype.newbyteorder("=")), volume.geometry))


def _check_real(path: Path, image: Any) -> None:
    kind = sitk.GetPixelIDValueAsString(image.GetPixelID())
    if "complex" in kind:
        raise VolumeError(
            Text(
                "'{path}' holds complex numbers; expected one real intensity per voxel.",
                path=path,
            ),
            Text("Save its magnitude as a volume."),
        )
    components = image.GetNumberOfComponents() if hasattr(image, "GetNumberOfComponents") else 0
    components = components or image.GetNumberOfComponentsPerPixel()
    if components != 1 or "vector" in kind:
        raise VolumeError(
            Text(
                "'{path}' holds colours or vectors ({components} per voxel); expected one "
                "intensity.",
                path=path,
                components=components,
            ),
            Text("Convert it to a grey-scale volume, or choose another file."),
        )
