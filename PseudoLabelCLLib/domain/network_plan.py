"""What a network sees at once, and its levels in 3-D: which axes each halves and convolves over."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig

Triple = tuple[int, int, int]

# No axis is halved below so many voxels.
SMALLEST_SIDE = 4
# An axis takes no part while its voxels are this many times as large as the smallest.
TOO_COARSE = 2.0
# Voxels of an automatic block: 64 x 64 x 32.
BLOCK_VOXELS = 2**17
# Slices this many times farther apart than pixels show next to nothing of each other.
MOST_ANISOTROPY = 3.0
# With fewer slices, most have neighbours beyond the volume's ends, and blocks are flat.
FEWEST_FOR_NEIGHBOURS = 8
FEWEST_FOR_BLOCKS = 32


class Extent(Enum):
    """What a network sees at once: a slice, a slice with its neighbours, or a block in 3-D."""

    SLICE = "slice"
    NEIGHBOURS = "neighbours"
    BLOCK = "block"


@dataclass(frozen=True)
class NetworkLevels:
    """What a network in 3-D does on its levels.

    Args:
        strides: By what each level below the first is coarser along slices, rows and columns.
        kernels: Sides of the convolutions of every level, full resolution first.
    """

    strides: tuple[Triple, ...]
    kernels: tuple[Triple, ...]

    @property
    def multiple(self) -> Triple:
        """What the sides of a block must be multiples of."""
        sides = [math.prod(stride[axis] for stride in self.strides) for axis in range(3)]
        return sides[0], sides[1], sides[2]


def fitting_extent(config: PreprocessConfig, geometries: Sequence[Geometry]) -> Extent:
    """Return what a network would see at once, by the grids of the volumes alone.

    A slice where the distance of slices is more than three times the pixel size, or volumes have
    fewer than eight slices; a block where it is less than twice the pixel size, from where on a
    network in 3-D convolves over slices at once, and volumes have 32 slices or more; between, a
    slice with its neighbours. All are medians over the volumes.

    Args:
        config: How volumes are cut.
        geometries: One volume or more.

    Source: nnU-Net's threshold of anisotropy (Isensee et al., Nature Methods 2021); the numbers of
        slices are this project's own and not measured.
    """
    anisotropies, counts = [], []
    for geometry in geometries:
        axis = config.slicing_axis_of(geometry)
        sides = [mm for n, mm in enumerate(geometry.spacing_mm) if n != axis]
        anisotropies.append(geometry.spacing_mm[axis] / math.sqrt(math.prod(sides)))
        counts.append(geometry.size[axis])
    anisotropy, count = statistics.median(anisotropies), statistics.median(counts)
    if anisotropy > MOST_ANISOTROPY or count < FEWEST_FOR_NEIGHBOURS:
        return Extent.SLICE
    if anisotropy < TOO_COARSE and count >= FEWEST_FOR_BLOCKS:
        return Extent.BLOCK
    return Extent.NEIGHBOURS


def plan_levels(
    block: Sequence[int], spacing_mm: Sequence[float], most_levels: int
) -> NetworkLevels:
    """Return the levels for blocks of a size.

    An axis is halved from level to level while its voxels are less than twice as large as the
    smallest ones and enough of them are left, and convolved over from the level on where they are.

    Args:
        block: Slices, rows and columns.
        spacing_mm: Distance of slices, rows and columns.
        most_levels: The first included.

    Source: Isensee et al., Nature Methods 2021, and nnU-Net's `get_pool_and_conv_props`.
    """
    sizes, spacing = list(block), list(spacing_mm)
    strides: list[Triple] = []
    kernel = (1, 1, 1)
    kernels: list[Triple] = []
    while True:
        near = [mm < TOO_COARSE * min(spacing) for mm in spacing]
        kernel = _triple(
            3 if is_near or side == 3 else 1 for is_near, side in zip(near, kernel, strict=True)
        )
        kernels.append(kernel)
        halved = [axis for axis, size in enumerate(sizes) if size >= 2 * SMALLEST_SIDE]
        finest = min((spacing[axis] for axis in halved), default=0.0)
        halved = [axis for axis in halved if spacing[axis] < TOO_COARSE * finest]
        is_too_small = len(halved) == 1 and sizes[halved[0]] < 3 * SMALLEST_SIDE
        if not halved or is_too_small or len(kernels) == most_levels:
            return NetworkLevels(tuple(strides), tuple(kernels))
        strides.append(_triple(2 if axis in halved else 1 for axis in range(3)))
        sizes = [math.ceil(n / s) for n, s in zip(sizes, strides[-1], strict=True)]
        spacing = [mm * s for mm, s in zip(spacing, strides[-1], strict=True)]


def fitting_block(block: Sequence[int], spacing_mm: Sequence[float], most_levels: int) -> Triple:
    """Return a block enlarged so that its network can halve its sides."""
    multiple = plan_levels(block, spacing_mm, most_levels).multiple
    return _triple(m * math.ceil(n / m) for n, m in zip(block, multiple, strict=True))


def largest_block(shape: Sequence[int], spacing_mm: Sequence[float]) -> Triple:
    """Return the largest block of at most `BLOCK_VOXELS` voxels, as cubic in mm as a volume allows.

    Args:
        shape: Slices, rows and columns of a typical volume, which the block never exceeds.
        spacing_mm: Their distances.
    """

    def block_of(side_mm: float) -> Triple:
        sides = zip(shape, spacing_mm, strict=True)
        return _triple(max(1, min(n, round(side_mm / mm))) for n, mm in sides)

    low, high = 0.0, max(n * mm for n, mm in zip(shape, spacing_mm, strict=True))
    if math.prod(block_of(high)) <= BLOCK_VOXELS:
        return block_of(high)
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if math.prod(block_of(middle)) <= BLOCK_VOXELS else (low, middle)
    return block_of(low)


def settle_network(network: NetworkConfig, preprocess: PreprocessConfig) -> NetworkConfig:
    """Return the network for a settled grid: in 3-D with the levels that its block asks for.

    Args:
        network: The settings.
        preprocess: The settled plan.
    """
    spacing = preprocess.block_spacing_mm
    if spacing is None or preprocess.patch_size is None or network.strides:
        return network
    levels = plan_levels(preprocess.patch_size, spacing, len(network.widths))
    return replace(network, strides=levels.strides, kernels=levels.kernels)


def _triple(values: Iterable[int]) -> Triple:
    first, second, third = values
    return first, second, third
