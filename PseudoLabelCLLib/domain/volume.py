"""Volume and LabelVolume: voxels together with the grid they lie on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.geometry import NUM_AXES, Geometry
from PseudoLabelCLLib.domain.segmentation import SegmentStatus
from PseudoLabelCLLib.domain.text import Text


@dataclass(frozen=True)
class Volume:
    """An image.

    Args:
        array: Intensities, shape (k, j, i), any real type.
        geometry: Its grid.
        is_ct: Whether it is from CT, as its DICOM headers say; None where the file does not say.

    Raises:
        VolumeError: The array does not have the shape of the grid.
    """

    array: npt.NDArray[Any]
    geometry: Geometry
    is_ct: bool | None = None

    def __post_init__(self) -> None:
        _check_shape(self.array, self.geometry)


@dataclass(frozen=True)
class LabelVolume:
    """A segmentation.

    Args:
        array: Label values, 0 is background, shape (k, j, i), int16.
        geometry: Its grid.
        statuses: How far a person is with the structures, by label value, as far as a file says.

    Raises:
        VolumeError: The array does not have the shape of the grid.
    """

    array: npt.NDArray[np.int16]
    geometry: Geometry
    statuses: Mapping[int, SegmentStatus] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_shape(self.array, self.geometry)


def array_axis(axis: int) -> int:
    """Return the axis of a (k, j, i) array that belongs to grid axis 0 = i, 1 = j, 2 = k."""
    return NUM_AXES - 1 - axis


def _check_shape(array: npt.NDArray[Any], geometry: Geometry) -> None:
    if array.shape != geometry.array_shape:
        raise VolumeError(
            Text(
                "The voxels have the shape {shape}, the grid has {expected} (k, j, i).",
                shape=array.shape,
                expected=geometry.array_shape,
            )
        )
