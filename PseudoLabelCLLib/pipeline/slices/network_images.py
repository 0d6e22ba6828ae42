"""Intensities as the network sees them: evened out, scaled, on its slices."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from PseudoLabelCLLib.curation.check.scanned_values import looks_like_ct, scanned_values
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.preprocess_config import (
    PreprocessConfig,
)
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.pipeline.slices.neighbouring_slices import kept_slices
from PseudoLabelCLLib.pipeline.slices.slice_grid import SliceGrid

FloatArray = npt.NDArray[np.float32]

# N4 works on a coarser copy: the shading is smooth, and its cost grows with the voxels.
BIAS_CORRECTION_LONGEST_SIDE = 128


def network_channels(
    volumes: Sequence[Volume], grid: SliceGrid, config: PreprocessConfig
) -> FloatArray:
    """Return the images of one patient on the network's grid, each scaled by itself.

    Args:
        volumes: The images, all on one grid.
        grid: How their slices lie on the network's window.
        config: With pixel size and window filled in.

    Returns:
        Shape (slices, channels, rows, columns), as `with_neighbours` takes them.

    Raises:
        VolumeError: An image is constant between the percentiles.
    """
    images = [
        network_slices(volume, grid, config, channel=number)
        for number, volume in enumerate(volumes)
    ]
    return kept_slices(images, volumes[0].geometry, config)


def network_slices(
    volume: Volume, grid: SliceGrid, config: PreprocessConfig, *, channel: int = 0
) -> FloatArray:
    """Return a volume's slices as the network sees them: evened out, scaled, resampled, cropped.

    CT is never evened out: it has no coil shading, and its values are absolute. With limits in
    Hounsfield units these become 0 and 1 in every volume, and what lies outside is clipped.

    Other intensities are scaled so that the low percentile becomes 0 and the high one 1; they are
    not clipped. With `measured_values`, padding and metal set no scale.

    Raises:
        VolumeError: The image is constant between the percentiles, or between the limits.

    Source: Chaitanya et al., MedIA 2023, section 4.2; for CT Isensee et al., Nature Methods 2021.
    """
    limits_hu = config.ct_limits_of(channel)
    if limits_hu is not None:
        scaled = _scaled_ct(volume.array, limits_hu)
    else:
        scaled = _scaled(volume, config)
    return grid.images_to_network(grid.slices_of(scaled).astype(np.float32, copy=False))


def _scaled_ct(array: npt.NDArray[Any], limits_hu: tuple[float, float]) -> FloatArray:
    low, high = limits_hu
    scaled = (np.clip(array.astype(np.float32), low, high) - low) / (high - low)
    if scaled.min() == scaled.max():
        raise VolumeError(
            Text(
                "The image does not show anything between {low:g} and {high:g} HU, the values "
                "of the structures that the network has learned.",
                low=low,
                high=high,
            ),
            Text("Check that this is a CT volume, in Hounsfield units."),
        )
    return scaled


def _scaled(volume: Volume, config: PreprocessConfig) -> FloatArray:
    array, counts = volume.array.astype(np.float32), None
    if config.measured_values:
        array, counts = scanned_values(volume)
    if config.bias_correction and not looks_like_ct(volume):
        array = _correct_bias(array, volume.geometry, with_body_mask=config.body_mask)
    fractions = (100 * config.low_percentile, 100 * config.high_percentile)
    setting_scale = array if counts is None or not counts.any() else array[counts]
    low, high = (float(value) for value in np.percentile(setting_scale, fractions))
    if not high > low:
        low, high = float(array.min()), float(array.max())
    if not high > low:
        raise VolumeError(
            Text("The image is constant: every voxel is {value:g}.", value=low),
            Text("Check that this is the right volume."),
        )
    return (array - low) / (high - low)


def _correct_bias(array: FloatArray, geometry: Geometry, *, with_body_mask: bool) -> FloatArray:
    """Divide by the smooth shading that N4 finds (4 levels of 50 iterations, threshold 1e-3).

    Args:
        array: Intensities, shape (k, j, i).
        geometry: Their grid.
        with_body_mask: Whether N4 looks only at what Otsu's threshold tells from air.
    """
    image = sitk.GetImageFromArray(array - min(0.0, float(array.min())))
    image.SetSpacing(geometry.spacing_mm)
    factor = max(1, math.ceil(max(geometry.size) / BIAS_CORRECTION_LONGEST_SIDE))
    factors = [min(factor, max(1, n // 4)) for n in geometry.size]
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations([50] * 4)
    n4.SetConvergenceThreshold(1e-3)
    coarse = sitk.Shrink(image, factors)
    if with_body_mask:
        n4.Execute(coarse, sitk.OtsuThreshold(coarse, 0, 1))
    else:
        n4.Execute(coarse)
    field = np.asarray(sitk.GetArrayFromImage(sitk.Exp(n4.GetLogBiasFieldAsImage(image))))
    evened: FloatArray = (array / np.maximum(field, 1e-6)).astype(np.float32)
    return evened
