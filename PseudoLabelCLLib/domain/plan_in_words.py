"""What the network of a project sees, in one sentence, and what may fit its volumes better."""

from PseudoLabelCLLib.domain.network_plan import Extent
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.text import NO_TEXT, Text, counted, joined


def plan_in_words(settled: PreprocessConfig, cost: Text | None = None) -> Text:
    """Return what the network sees of a volume: dimension, patch, voxels, intensities.

    Args:
        settled: With all that round 0 settles.
        cost: Time and memory of a round on this computer, as far as they are known.
    """
    if cost is not None:
        return Text(
            "The network sees {shape}; {intensities}; {cost}.",
            shape=_shape(settled),
            intensities=_intensities(settled),
            cost=cost,
        )
    return Text(
        "The network sees {shape}; {intensities}.",
        shape=_shape(settled),
        intensities=_intensities(settled),
    )


def better_extent_in_words(settled: PreprocessConfig, fitting: Extent) -> Text:
    """Return that a network would better see more at once than it does, or nothing.

    Args:
        settled: The plan.
        fitting: What the grids of the volumes ask for.
    """
    if settled.dimension == 3 or settled.neighbouring_slices or fitting is Extent.SLICE:
        return NO_TEXT
    if fitting is Extent.NEIGHBOURS:
        return Text(
            "The slices of these volumes are not much farther apart than their pixels: "
            "neighbouring slices (preprocess.neighbouring_slices) may give better results."
        )
    return Text(
        "The slices of these volumes are about as close as their pixels: neighbouring slices "
        "(preprocess.neighbouring_slices) or a project in 3-D may give better results."
    )


def _shape(settled: PreprocessConfig) -> Text:
    if not settled.neighbouring_slices:
        return _shape_of_one(settled)
    return counted(
        settled.neighbouring_slices,
        "{shape}, with {count} neighbouring slice on each side",
        "{shape}, with {count} neighbouring slices on each side",
        shape=_shape_of_one(settled),
    )


def _shape_of_one(settled: PreprocessConfig) -> Text:
    sides = settled.patch_size or settled.window_size or ()
    size = " x ".join(map(str, sides))
    pixel = settled.in_plane_spacing_mm or 0.0
    if settled.dimension == 3:
        return Text(
            "whole volumes in 3-D and learns from blocks of {size} voxels of {distance:.2g} x "
            "{pixel:.2g} x {pixel:.2g} mm",
            size=size,
            distance=settled.slice_spacing_mm or 0.0,
            pixel=pixel,
        )
    if settled.sees_whole_slices:
        return Text(
            "whole slices and learns from patches of {size} pixels of {pixel:.3g} mm",
            size=size,
            pixel=pixel,
        )
    return Text("a window of {size} pixels of {pixel:.3g} mm in each slice", size=size, pixel=pixel)


def _intensities(settled: PreprocessConfig) -> Text:
    limits = [one for one in settled.ct_limits_hu if one is not None]
    if not limits:
        return Text("intensities are scaled for each volume by itself")
    ranges = [Text("{low:.0f} to {high:.0f} HU", low=low, high=high) for low, high in limits]
    return Text("CT values from {ranges} are told apart", ranges=joined(*ranges, by=", "))
