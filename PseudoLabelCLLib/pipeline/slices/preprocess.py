"""What the settings of preprocessing leave open: pixel size, window, patch, scale of CT."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.curation.check.check_modality import mostly_ct
from PseudoLabelCLLib.curation.check.plan_spacing import settle_spacing
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.network_config import NUM_LEVELS, SIZE_MULTIPLE
from PseudoLabelCLLib.domain.network_plan import fitting_block, largest_block
from PseudoLabelCLLib.domain.preprocess_config import (
    PreprocessConfig,
    settle_directions,
)
from PseudoLabelCLLib.domain.volume import LabelVolume, array_axis
from PseudoLabelCLLib.pipeline.slices.slice_grid import in_plane_extent_mm, in_plane_spacing

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

# A window must hold the structures with this much room around them, in pixels of the network.
MARGIN_PIXELS = 8
LARGEST_WINDOW = 512
# Between these percentiles of the structures' values lies the scale of CT.
CT_PERCENTILES = (0.5, 99.5)
LEAST_CT_RANGE_HU = 1.0


@dataclass(frozen=True)
class Annotated:
    """Where an annotated case has structures, and where the window will lie on it.

    Args:
        geometry: The case's grid.
        foreground: Where any structure is, shape (k, j, i).
        window_center: Row and column from `window_center`, in turned slices; None for the middle.
        values_hu: The intensities of its structures in each channel, None in one that is not CT;
            empty if nobody asks.
        labels: Its annotation, of which no structure is lost; None where the voxels are set.
    """

    geometry: Geometry
    foreground: BoolArray
    window_center: tuple[float, float] | None = None
    values_hu: tuple[FloatArray | None, ...] = ()
    labels: LabelVolume | None = None


def resolve_preprocess(
    config: PreprocessConfig, geometries: Sequence[Geometry], annotated: Sequence[Annotated]
) -> PreprocessConfig:
    """Fill in what the settings leave open: the way slices lie, pixel size, window, scale of CT.

    Slices lie as those of most cases. The pixel size is the median over the cases, or with whole
    slices finer where an annotated structure would be lost (`settle_spacing`); the window is
    the smallest that holds the median slice, at most `max_window_size`, but never so small that it
    cuts an annotated structure: for that it grows, and beyond 512 pixels the pixels grow. With
    whole slices there is no window; the training patch is the smallest that holds the median slice,
    at most `max_window_size`.
    """
    config = settle_directions(config, geometries)
    config = replace(config, ct_limits_hu=_ct_limits(config, annotated))
    labels = [case.labels for case in annotated if case.labels is not None]
    settled = settle_spacing(config, geometries, labels)
    spacing = settled.pixel_mm
    if config.window_size is not None:
        return replace(config, in_plane_spacing_mm=spacing)
    extents = np.array([in_plane_extent_mm(g, config) for g in geometries])
    window = [
        min(config.max_window_size, _round_up(float(extent) / spacing))
        for extent in np.median(extents, axis=0)
    ]
    if config.dimension == 3:
        config = replace(config, in_plane_spacing_mm=spacing, slice_spacing_mm=settled.slice_mm)
        return _resolve_blocks(config, geometries)
    if config.whole_slices:
        patch = config.patch_size or (window[0], window[1])
        return replace(config, in_plane_spacing_mm=spacing, patch_size=patch)
    needed_mm = _needed_extent_mm(config, annotated)
    for axis in range(2):
        needed = needed_mm[axis] / spacing + 2 * MARGIN_PIXELS if needed_mm[axis] else 0
        window[axis] = max(window[axis], _round_up(needed))
    if max(window) > LARGEST_WINDOW:
        spacing *= max(window) / LARGEST_WINDOW
        window = [min(LARGEST_WINDOW, side) for side in window]
    return replace(config, in_plane_spacing_mm=spacing, window_size=(window[0], window[1]))


def _ct_limits(
    config: PreprocessConfig, annotated: Sequence[Annotated]
) -> tuple[tuple[float, float] | None, ...]:
    """Return for each channel between which values the structures lie, if most cases are CT.

    Source: Isensee et al., Nature Methods 2021, supplement: clipping to the percentiles .5 and 99.5
        of the foreground of all cases.
    """
    if config.ct_limits_hu or not config.scale_ct:
        return config.ct_limits_hu
    channels = zip(*(case.values_hu for case in annotated), strict=True)
    limits = tuple(_limits_of_channel(values) for values in channels)
    return limits if any(limits) else ()


def _limits_of_channel(values_hu: Sequence[FloatArray | None]) -> tuple[float, float] | None:
    known = [values for values in values_hu if values is not None]
    if not mostly_ct([values is not None for values in values_hu]):
        return None
    together = np.concatenate(known)
    if not together.size:
        return None
    low, high = (float(value) for value in np.percentile(together, CT_PERCENTILES))
    return low, max(high, low + LEAST_CT_RANGE_HU)


def _resolve_blocks(config: PreprocessConfig, geometries: Sequence[Geometry]) -> PreprocessConfig:
    """Fill in the block of a network in 3-D."""
    distances = [g.spacing_mm[config.slicing_axis_of(g)] for g in geometries]
    spacing = config.block_spacing_mm
    if spacing is None:
        raise ValueError("the spacing must be settled before the block")
    block = config.patch_size
    if block is None:
        shapes = [
            (n * distance / spacing[0], *(mm / spacing[1] for mm in in_plane_extent_mm(g, config)))
            for g, distance in zip(geometries, distances, strict=True)
            for n in [g.size[config.slicing_axis_of(g)]]
        ]
        median = [max(1, round(n)) for n in np.median(shapes, axis=0)]
        block = largest_block(median, spacing)
    return replace(config, patch_size=fitting_block(block, spacing, NUM_LEVELS))


def _needed_extent_mm(
    config: PreprocessConfig, annotated: Sequence[Annotated]
) -> tuple[float, float]:
    """Return how high and wide the window must be to hold every annotated structure."""
    needed = [0.0, 0.0]
    for case in annotated:
        axis = config.slicing_axis_of(case.geometry)
        spacing = in_plane_spacing(case.geometry, config)
        turn = config.slice_turn_of(case.geometry)
        flat = turn.turn(np.any(case.foreground, axis=array_axis(axis), keepdims=False))
        for n in range(2):
            places = np.flatnonzero(np.any(flat, axis=1 - n))
            if len(places):
                middle = flat.shape[n] / 2 if case.window_center is None else case.window_center[n]
                reach = max(middle - places[0], places[-1] + 1 - middle)
                needed[n] = max(needed[n], 2 * reach * spacing[n])
    return needed[0], needed[1]


def _round_up(pixels: float) -> int:
    # a tenth of a pixel is rounding, not content
    return max(SIZE_MULTIPLE, SIZE_MULTIPLE * math.ceil((pixels - 0.1) / SIZE_MULTIPLE))
