"""Patches: the part of a drawn slice, or the block around it, that a step sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

# Random numbers for the place of one patch: whether it is centred on a structure, on which of its
# pixels, and where it lies otherwise.
_NUMBERS_OF_A_PLACE = 4


@dataclass(frozen=True)
class Patches:
    """How patches are drawn from slices.

    Args:
        shape: Rows and columns of a patch; in 3-D slices, rows and columns of a block, in whose
            middle the drawn slice lies, except at the ends of a volume.
        structure_share: Share of the patches that are centred on a pixel of a structure, 0..1.
    """

    shape: tuple[int, ...]
    structure_share: float

    @property
    def num_slices(self) -> int:
        """How many slices a patch has."""
        return self.shape[0] if self.is_block else 1

    @property
    def is_block(self) -> bool:
        """Whether a patch has slices, rows and columns."""
        return len(self.shape) == 3

    def first_slice(self, number: int, num_slices: int) -> int:
        """Return the first slice of the patch of a drawn slice, below 0 in a short volume."""
        return _first(number, self.num_slices, num_slices)


class PatchPlaces:
    """The random places of the patches of one draw, slice after slice.

    Args:
        patches: How they are drawn.
        num_patches: How many.
        generator: Of random numbers.
    """

    def __init__(self, patches: Patches, num_patches: int, generator: torch.Generator) -> None:
        self._patches = patches
        drawn = torch.rand((num_patches, _NUMBERS_OF_A_PLACE), generator=generator)
        self._drawn: list[list[float]] = drawn.tolist()

    def corner(
        self,
        number: int,
        classes: npt.NDArray[np.uint8],
        known: npt.NDArray[np.bool_] | None,
        wanted: Sequence[int],
    ) -> tuple[int, int]:
        """Return the first row and column of a patch, below 0 where the slice is smaller.

        Args:
            number: Which patch of the draw.
            classes: Class indices of its slice, shape (rows, columns).
            known: Where anything is known, if not everywhere; patches elsewhere teach nothing.
            wanted: Classes of which the first that the slice shows is the patch's middle; none
                lets the patch lie anywhere.
        """
        _, which, down, across = self._drawn[number]
        rows, columns = self._patches.shape[-2:]
        places = next((p for c in wanted if len(p := np.flatnonzero(classes == c))), None)
        if places is None and known is not None:
            places = np.flatnonzero(known)
        if places is None or not len(places):
            return (
                _first_of(down, rows, classes.shape[0]),
                _first_of(across, columns, classes.shape[1]),
            )
        row, column = divmod(int(places[int(which * len(places))]), classes.shape[1])
        return _first(row, rows, classes.shape[0]), _first(column, columns, classes.shape[1])

    def is_on_structure(self, number: int) -> bool:
        """Whether a patch is to be centred on a structure."""
        return self._drawn[number][0] < self._patches.structure_share


def cut(array: npt.NDArray[Any], first: Sequence[int], shape: Sequence[int]) -> npt.NDArray[Any]:
    """Return the part of an array that begins at `first`; what lies outside the array is 0.

    Args:
        array: Its last axes are cut.
        first: Where the part begins on those axes; may be negative.
        shape: The size of the part on those axes.
    """
    for axis, (start, length) in enumerate(zip(first, shape, strict=True), array.ndim - len(shape)):
        size = array.shape[axis]
        begin, end = max(0, start), min(size, start + length)
        array = np.moveaxis(np.moveaxis(array, axis, 0)[begin:end], 0, axis)
        if end - begin < length:
            missing = [(0, 0)] * array.ndim
            missing[axis] = (begin - start, start + length - end)
            array = np.pad(array, missing)
    return array


def _first(middle: int, length: int, size: int) -> int:
    """Where a part around a place begins: inside where it fits, else around the whole axis."""
    if length >= size:
        return -((length - size) // 2)
    return min(max(0, middle - length // 2), size - length)


def _first_of(fraction: float, length: int, size: int) -> int:
    """Where a part that may lie anywhere begins."""
    if length >= size:
        return _first(0, length, size)
    return int(fraction * (size - length + 1))
