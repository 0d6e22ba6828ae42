"""Slices that are stored turned or mirrored against those of other volumes, and how to turn them.

A network that works on slices learns where things lie in the picture. Files of one data set may
store the same slice from its other corners (NIfTI beside DICOM, often) or with rows and columns
exchanged; the headers tell so, and turning is exact: no voxel is resampled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.domain.geometry import Geometry

Array: TypeAlias = npt.NDArray[Any]
FloatArray: TypeAlias = npt.NDArray[np.float64]
Direction: TypeAlias = tuple[float, float, float]
SliceDirections: TypeAlias = tuple[Direction, Direction]

# Turning must bring both axes within 60 degrees of the reference's ...
_NEAR_COSINE = 0.5
# ... and raise the mean cosine this much: planes that are 45 degrees apart, as oblique ones of two
# patients may be, have .7 as they are stored and are left alone.
_GAIN = 0.5


@dataclass(frozen=True)
class SliceTurn:
    """How a slice is turned by right angles or mirrored; first the exchange, then the flips.

    Args:
        exchanged: Whether rows become columns.
        rows_flipped: Whether the last row comes first, after the exchange.
        columns_flipped: Whether the last column comes first, after the exchange.
    """

    exchanged: bool = False
    rows_flipped: bool = False
    columns_flipped: bool = False

    def turn(self, slices: Array) -> Array:
        """Return arrays whose last two axes are rows and columns, turned; a view."""
        turned = slices.swapaxes(-1, -2) if self.exchanged else slices
        rows, columns = self._steps()
        return turned[..., rows, columns]

    def turn_back(self, slices: Array) -> Array:
        """Return turned arrays as they were; a view."""
        rows, columns = self._steps()
        stored = slices[..., rows, columns]
        return stored.swapaxes(-1, -2) if self.exchanged else stored

    def _steps(self) -> tuple[slice, slice]:
        rows, columns = (-1 if flip else 1 for flip in (self.rows_flipped, self.columns_flipped))
        return slice(None, None, rows), slice(None, None, columns)


AS_STORED = SliceTurn()


def slice_directions(geometry: Geometry, slicing_axis: int) -> SliceDirections:
    """Return where row and column numbers of a volume's slices grow to, unit vectors in LPS.

    Args:
        geometry: The volume's grid.
        slicing_axis: 0, 1 or 2 for i, j, k.
    """
    columns, rows = (axis for axis in range(3) if axis != slicing_axis)
    matrix = geometry.direction_matrix
    return _direction(matrix[:, rows]), _direction(matrix[:, columns])


def runs_backwards(reference: SliceDirections, geometry: Geometry, slicing_axis: int) -> bool:
    """Return whether a volume's slices are stored against the order in which most lie.

    That order is the way in which a right-hand screw moves that is turned from where column
    numbers grow to towards where row numbers do, as in most files. Slices of another plane, more
    than 60 degrees away, count as they are stored.

    Args:
        reference: Where row and column numbers of most slices grow to.
        geometry: The volume's grid.
        slicing_axis: 0, 1 or 2 for i, j, k.
    """
    rows, columns = reference
    along = geometry.direction_matrix[:, slicing_axis]
    return bool(np.dot(np.cross(columns, rows), along) <= -_NEAR_COSINE)


def turn_onto(reference: SliceDirections, own: SliceDirections) -> SliceTurn:
    """Return how to turn slices so that they lie as those of the reference, as far as they can.

    They stay as they are stored unless turning brings both axes within 60 degrees and clearly
    nearer than they are. So slices of another plane are not turned.
    """
    cosines = _cosines(np.asarray(reference), np.asarray(own))
    if not _needs_turn(cosines):
        return AS_STORED
    exchanged = bool(_is_exchanged(cosines))
    chosen = cosines[int(exchanged)]
    return SliceTurn(exchanged, bool(chosen[0] < 0), bool(chosen[1] < 0))


def most_common_directions(volumes: Sequence[SliceDirections]) -> SliceDirections:
    """Return the directions of the volume onto which the fewest others need to be turned.

    The first of several such volumes; volumes of other planes do not vote for each other.

    Args:
        volumes: At least one.
    """
    axes = np.asarray(volumes)  # (volumes, 2, 3)
    cosines = _cosines(axes[:, None], axes[None])
    agrees = _is_near(cosines) & ~_needs_turn(cosines)
    return volumes[int(agrees.sum(axis=1).argmax())]


def _cosines(reference: FloatArray, own: FloatArray) -> FloatArray:
    """Return the cosines of a reference's axes with own ones, shape (..., 2, 2).

    First those of rows with rows and columns with columns, then those across.
    """
    return np.stack([(reference * own).sum(-1), (reference * own[..., ::-1, :]).sum(-1)], axis=-2)


def _is_exchanged(cosines: FloatArray) -> npt.NDArray[np.bool_]:
    straight, crossed = np.moveaxis(np.abs(cosines).sum(-1), -1, 0)
    return np.asarray(crossed > straight)


def _is_near(cosines: FloatArray) -> npt.NDArray[np.bool_]:
    straight, crossed = np.moveaxis(np.abs(cosines).min(-1), -1, 0)
    return np.asarray(np.where(_is_exchanged(cosines), crossed, straight) >= _NEAR_COSINE)


def _needs_turn(cosines: FloatArray) -> npt.NDArray[np.bool_]:
    turned, stored = np.abs(cosines).mean(-1).max(-1), cosines[..., 0, :].mean(-1)
    return np.asarray(_is_near(cosines) & (turned - stored >= _GAIN))


def _direction(vector: FloatArray) -> Direction:
    x, y, z = (float(value) for value in vector)
    return x, y, z
