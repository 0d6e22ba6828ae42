"""Which voxels of a correction count: those that were changed and those near them, in mm."""

import math
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import Volume, array_axis
from PseudoLabelCLLib.storage.volume_io import read_volume, write_volume

NEAR_MM = 3.0
# A voxel exactly that far away counts, whatever its spacing became in a text header.
_ROUNDING_MM = 1e-6
_ONE_BIT, _TO_NEXT_BYTE = np.uint8(1), np.uint8(7)

Mask: TypeAlias = npt.NDArray[np.bool_]


def near_changed(changed: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Return the voxels that lie within `NEAR_MM` of a changed one, the changed ones among them.

    The distance is that between the centres of voxels.

    Args:
        changed: Shape (k, j, i).
        spacing_mm: Voxel size along i, j, k.
    """
    near = np.zeros(changed.shape, np.bool_)
    box = _bounding_box(changed, [int(NEAR_MM / mm + _ROUNDING_MM) for mm in spacing_mm[::-1]])
    if box is not None:
        near[box] = _dilated(changed[box], spacing_mm)
    return near


def slices_of_mask(mask: Mask, slicing_axis: int) -> tuple[int, ...]:
    """Return the slices on which a mask has a voxel, ascending.

    Args:
        mask: Shape (k, j, i).
        slicing_axis: 0, 1 or 2 for i, j, k.
    """
    others = tuple(n for n in range(mask.ndim) if n != array_axis(slicing_axis))
    return tuple(int(number) for number in np.flatnonzero(np.any(mask, axis=others)))


def write_truth_mask(path: Path, mask: Mask, geometry: Geometry) -> None:
    """Write a mask as a small volume of zeros and ones.

    Raises:
        StorageError: The disk refuses.
    """
    write_volume(path, Volume(mask.astype(np.uint8), geometry))


def read_truth_mask(path: Path, geometry: Geometry) -> Mask:
    """Return the voxels that count, shape (k, j, i).

    Args:
        path: Of the mask.
        geometry: The grid of its case.

    Raises:
        VolumeError: It is missing, damaged, empty, on another grid, or no mask.
        StorageError: The disk refuses.
    """
    volume = read_volume(path)
    if not volume.geometry.is_close_to(geometry):
        raise VolumeError(
            Text(
                "'{file}' has a grid of {found}; its case has {expected}.",
                file=path.name,
                found=volume.geometry.describe(),
                expected=geometry.describe(),
            ),
            Text("Restore it from a backup, or review the proposal again."),
        )
    mask: Mask = volume.array == 1
    if not mask.any() or not np.all(mask | (volume.array == 0)):
        raise VolumeError(
            Text(
                "'{file}' is not a mask: expected zeros, and ones where something counts.",
                file=path.name,
            ),
            Text("Restore it from a backup, or review the proposal again."),
        )
    return mask


def _bounding_box(mask: Mask, margin: list[int]) -> tuple[slice, ...] | None:
    """Return the box around all voxels of a mask with a margin, or None without any."""
    box = []
    for axis in range(mask.ndim):
        hit = np.flatnonzero(mask.any(axis=tuple(n for n in range(mask.ndim) if n != axis)))
        if not len(hit):
            return None
        box.append(slice(max(0, int(hit[0]) - margin[axis]), int(hit[-1]) + 1 + margin[axis]))
    return tuple(box)


def _dilated(mask: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Return the voxels whose offset to a voxel of the mask lies in the ball of `NEAR_MM`.

    Rows are packed to bits and laid over their neighbours, each as wide as the ball is at that
    distance.
    """
    along_i, along_j, along_k = spacing_mm
    rows = [np.packbits(mask, axis=-1)]
    while len(rows) * along_i <= NEAR_MM + _ROUNDING_MM:
        rows.append(_widened(rows[-1]))
    near = np.zeros_like(rows[0])
    num_k, num_j = (min(int(NEAR_MM / mm + _ROUNDING_MM), size - 1) for mm, size in zip(
        (along_k, along_j), mask.shape, strict=False
    ))  # fmt: skip
    for k in range(-num_k, num_k + 1):
        for j in range(-num_j, num_j + 1):
            left = (NEAR_MM + _ROUNDING_MM) ** 2 - (k * along_k) ** 2 - (j * along_j) ** 2
            if left >= 0:
                width = min(int(math.sqrt(left) / along_i), len(rows) - 1)
                near[_to(k), _to(j)] |= rows[width][_to(-k), _to(-j)]
    return np.unpackbits(near, axis=-1, count=mask.shape[-1]).view(np.bool_)


def _widened(bits: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return packed rows in which the neighbours of every voxel are set too."""
    wider: npt.NDArray[np.uint8] = (
        bits | np.right_shift(bits, _ONE_BIT) | np.left_shift(bits, _ONE_BIT)
    )
    wider[..., 1:] |= np.left_shift(bits[..., :-1], _TO_NEXT_BYTE)
    wider[..., :-1] |= np.right_shift(bits[..., 1:], _TO_NEXT_BYTE)
    return wider


def _to(offset: int) -> slice:
    """Return where voxels come to lie that move by an offset."""
    return slice(offset, None) if offset >= 0 else slice(None, offset)
