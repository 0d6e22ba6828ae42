"""What the network of a project sees, in one sentence."""

from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.text import Text, counted, joined


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
