"""Which values of a volume are measured: not padding around the scanned field, not metal."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.domain.volume import Volume

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

# Fat and air lie below this in Hounsfield units; no magnitude image of MR does.
CT_BELOW_HU = -50
CT_FRACTION_BELOW = 0.01
# Air, which surrounds the scanned field too; nothing that is measured is less dense.
AIR_HU = -1000.0
# Denser than bone: metal, and what it smears over slices. More than 12 bits is no measured value.
METAL_HU = 2000.0
HIGHEST_HU = 3071.0
# One value in so many voxels, so far from all others (as a share of their range), is no tissue.
PADDING_FRACTION = 0.001
PADDING_GAP = 0.25
# The ends of the range of the others.
_RANGE = (0.001, 0.999)
# What programs write for "nothing": the largest numbers of 15 and 16 bits.
_LARGEST_NUMBERS = (32767.0, 65535.0)


class ScannedValues(NamedTuple):
    """A volume without padding.

    Args:
        array: With what surrounds the scanned field, or the lowest measured value, for padding, and
            no value above the densest that is measured.
        counts: Which voxels are to set the scale: all but metal and its like.
    """

    array: FloatArray
    counts: BoolArray


def looks_like_ct(volume: Volume) -> bool:
    """Return whether a volume is from CT: by its headers, or by Hounsfield units of fat and air.

    A file without headers counts as CT if a hundredth of its voxels lies below -50, padding aside.
    """
    if volume.is_ct is not None:
        return volume.is_ct
    low, high = _padding(volume.array)
    return float(np.mean(volume.array[~(low | high)] < CT_BELOW_HU)) >= CT_FRACTION_BELOW


def scanned_values(volume: Volume) -> ScannedValues:
    """Return a volume's values with padding and what is not a measured value separated.

    A value is padding if it is the lowest and negative, or the largest number that a format can
    hold, if many voxels have it, and if all others are far from it. In CT, everything below air
    counts as air, so padding and what resampling made of it, and everything above bone is metal.
    """
    array = volume.array.astype(np.float32)
    if looks_like_ct(volume):
        return ScannedValues(np.clip(array, AIR_HU, HIGHEST_HU), array <= METAL_HU)
    low, high = _padding(array)
    measured = ~(low | high)
    if measured.all():
        return ScannedValues(array, measured)
    least, most = float(array[measured].min()), float(array[measured].max())
    filled = np.where(low, least, np.where(high, most, array)).astype(np.float32)
    return ScannedValues(filled, ~high)


def _padding(array: npt.NDArray[Any]) -> tuple[BoolArray, BoolArray]:
    """Return where a volume has padding below, and above, all that is measured."""
    least, most = float(array.min()), float(array.max())
    low, high = array == least, array == most
    others = array[~(low | high)]
    nowhere = np.zeros(array.shape, np.bool_)
    if not others.size:
        return nowhere, nowhere
    first, last = np.quantile(others, _RANGE)
    gap = PADDING_GAP * float(last - first)
    enough = PADDING_FRACTION * array.size
    is_low = least < 0 and low.sum() >= enough and float(others.min()) - least > gap
    is_high = most in _LARGEST_NUMBERS and high.sum() >= enough and most - float(others.max()) > gap
    return (low if is_low else nowhere), (high if is_high else nowhere)
