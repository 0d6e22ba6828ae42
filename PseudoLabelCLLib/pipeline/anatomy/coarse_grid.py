"""Volumes averaged down to a bounded number of voxels that fill the same space."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.pipeline.anatomy.registration import SMALLEST_SIDE

FloatArray = npt.NDArray[np.float32]

# Larger volumes are averaged down before they are registered, which bounds the time.
MOST_VOXELS = 250_000


def coarser(volume: Volume) -> Volume:
    """Return a volume averaged down to at most `MOST_VOXELS`, its finest axes first."""
    size = _coarse_size(volume.geometry)
    if size == volume.geometry.size:
        return volume
    shape = (size[2], size[1], size[0])
    return Volume(averaged(volume.array, shape), _filling_same_space(volume.geometry, size))


def averaged(array: npt.NDArray[Any], shape: tuple[int, int, int]) -> FloatArray:
    """Return an array of shape (k, j, i) with fewer voxels, each the mean of those it lies on."""
    values = np.ascontiguousarray(array, np.float32)
    if values.shape == shape:
        return values
    tensor = torch.from_numpy(values)[None, None]
    found: FloatArray = functional.adaptive_avg_pool3d(tensor, shape)[0, 0].numpy()
    return found


def _coarse_size(geometry: Geometry) -> tuple[int, int, int]:
    """Return voxels along i, j, k: edges as even as can be, none finer than they are."""
    size, spacing, extent = geometry.size, geometry.spacing_mm, geometry.extent_mm
    free = set(range(3))
    edge = 0.0
    while free:
        left = MOST_VOXELS / math.prod(size[axis] for axis in range(3) if axis not in free)
        edge = (math.prod(extent[axis] for axis in free) / left) ** (1 / len(free))
        kept = {axis for axis in free if spacing[axis] >= edge}
        if not kept:
            break
        free -= kept
    i, j, k = (
        max(min(size[axis], SMALLEST_SIDE), int(extent[axis] / edge))
        if axis in free
        else size[axis]
        for axis in range(3)
    )
    return i, j, k


def _filling_same_space(geometry: Geometry, size: tuple[int, int, int]) -> Geometry:
    ratios = [old / new for old, new in zip(geometry.size, size, strict=True)]
    i, j, k = (s * ratio for s, ratio in zip(geometry.spacing_mm, ratios, strict=True))
    x, y, z = geometry.index_to_world([ratio / 2 - 0.5 for ratio in ratios]).tolist()
    return Geometry(size, (i, j, k), (x, y, z), geometry.direction)
