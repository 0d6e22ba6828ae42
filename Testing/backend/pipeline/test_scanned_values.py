"""Padding around the scanned field and metal set no scale; published recipes stay as they are."""

from dataclasses import replace

import numpy as np
import pytest
from learning_doubles import grid
from scipy import ndimage

from PseudoLabelCLLib.curation.check.scanned_values import looks_like_ct, scanned_values
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.preprocess_config import Crop, PreprocessConfig
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.pipeline.slices.network_images import network_slices
from PseudoLabelCLLib.pipeline.slices.slice_grid import slice_grid, window_center

SIZE = (64, 64, 12)
GRID = grid(SIZE, (1.0, 1.0, 3.0))
CONFIG = PreprocessConfig(None, 1.0, (64, 64))
MEASURED = replace(CONFIG, measured_values=True)
K, J, I = np.indices(SIZE[::-1])  # noqa: E741 - the names of the axes
RADIUS = np.hypot(J - 31.5, I - 31.5)
LIVER, SPLEEN = (RADIUS < 20) & (I < 32), (RADIUS < 20) & (I >= 32)
BODY = RADIUS < 26


def ct(noise=8.0):
    """Air, fat, two soft tissues 40 HU apart, and a spine."""
    array = np.where(BODY, -90.0, -1000.0)
    array[LIVER], array[SPLEEN] = 60.0, 100.0
    array[(np.hypot(J - 50, I - 31.5) < 3)] = 700.0
    return array + np.random.default_rng(0).normal(0, noise, array.shape)


def mr(noise=8.0):
    array = np.where(BODY, 220.0, 0.0)
    array[LIVER], array[SPLEEN] = 340.0, 420.0
    return np.abs(array + np.random.default_rng(0).normal(0, noise, array.shape))


def contrast(array, config):
    """How far the two soft tissues are from each other, as the network sees them."""
    volume = Volume(array.astype(np.float32), GRID)
    seen = network_slices(volume, slice_grid(volume, config), config)
    return float(np.median(seen[SPLEEN]) - np.median(seen[LIVER]))


def padded(array, value):
    return np.where(RADIUS > 31, value, array)


@pytest.mark.parametrize("value", [-3024, -2000, -32768, -1500])
@pytest.mark.parametrize("scan", [ct, mr])
def test_padding_changes_the_contrast_by_less_than_2_percent(scan, value):
    whole = contrast(scan(), MEASURED)
    assert contrast(padded(scan(), value), MEASURED) == pytest.approx(whole, rel=0.02)
    # which it does where all voxels set the scale
    assert contrast(padded(scan(), value), CONFIG) < 0.8 * contrast(scan(), CONFIG)


@pytest.mark.parametrize("value", [32767, 65535])
def test_the_largest_number_of_a_format_is_padding_too(value):
    whole = contrast(mr(), MEASURED)
    assert contrast(padded(mr(), value), MEASURED) == pytest.approx(whole, rel=0.02)


@pytest.mark.parametrize("value", [3071, 8000, 30000])
def test_metal_in_ct_changes_the_contrast_by_less_than_2_percent(value):
    metal = ct()
    metal[3:7, 40:52, 10:24] = value  # 1.4 % of the voxels
    whole = contrast(ct(), MEASURED)
    assert contrast(metal, MEASURED) == pytest.approx(whole, rel=0.02)
    assert contrast(metal, CONFIG) < 0.6 * contrast(ct(), CONFIG)


def test_padding_that_was_resampled_is_found_in_ct():
    smeared = ndimage.gaussian_filter(padded(ct(), -3024.0), (0, 1, 1))
    whole = contrast(ndimage.gaussian_filter(ct(), (0, 1, 1)), MEASURED)
    assert contrast(smeared, MEASURED) == pytest.approx(whole, rel=0.02)


@pytest.mark.parametrize("scan", [ct, mr])
def test_without_padding_or_metal_the_scale_is_what_it_was(scan):
    volume = Volume(scan().astype(np.float32), GRID)
    found = scanned_values(volume)
    is_ct = scan is ct
    np.testing.assert_array_equal(found.array, volume.array.clip(-1000 if is_ct else None))
    assert found.counts.all()
    # noise of air below -1000, which is the lowest density there is
    assert contrast(scan(), MEASURED) == pytest.approx(contrast(scan(), CONFIG), rel=0.02)


@pytest.mark.parametrize(
    "array",
    [
        np.where(BODY, 100.0, 0.0),  # a phantom of two values
        np.where(BODY, 100.0, -1.0) + 0.0 * I,  # as after scaling to a mean of 0
        np.where(RADIUS < 1, 5.0, 0.0),
        np.zeros(SIZE[::-1]),
    ],
    ids=["two values", "from -1", "mostly black", "constant"],
)
def test_background_of_simple_images_stays(array):
    volume = Volume(array.astype(np.float32), GRID)
    if array.min() < 0:  # nothing tells it from padding; body and what surrounds it stay apart
        assert scanned_values(volume).array.std() >= 0
    else:
        np.testing.assert_array_equal(scanned_values(volume).array, volume.array)


def test_mr_with_padding_is_not_taken_for_ct():
    assert looks_like_ct(Volume(padded(ct(), -3024).astype(np.float32), GRID))
    assert not looks_like_ct(Volume(padded(mr(), -32768).astype(np.float32), GRID))


def test_window_on_the_body_does_not_follow_the_padding():
    aside = np.roll(ct(), 4, axis=2)
    array = np.where(RADIUS > 31, -3024, aside).astype(np.float32)
    config = replace(MEASURED, crop=Crop.FOREGROUND)
    _, column = window_center(Volume(array, GRID), config)
    assert column == pytest.approx(36, abs=1.5)


@pytest.mark.parametrize("profile", Profile)
def test_published_recipes_take_percentiles_of_all_voxels(profile):
    own = config_for(profile).preprocess
    is_published = profile in (Profile.PAPER, Profile.LEGACY)
    assert own.measured_values != is_published
    assert own.body_mask != is_published


def test_models_and_projects_from_before_keep_their_scale():
    assert PreprocessConfig().measured_values is False
    assert PreprocessConfig().body_mask is False


# --- N4 on the body ---


@pytest.mark.long
def test_bias_correction_looks_at_the_body_where_asked():
    """Shading within the body is evened out; air, of which there is much, has no say in it."""
    small = (slice(None), slice(16, 48), slice(16, 48))
    tissue = np.where(RADIUS < 12, 400.0, 0.0)[small]
    shading = np.linspace(0.6, 1.4, 32)
    noise = np.abs(np.random.default_rng(1).normal(0, 6, tissue.shape))
    array = np.pad((tissue * shading + noise), ((0, 0), (0, 0), (0, 64)))
    geometry = grid(array.shape[::-1], (1.0, 1.0, 3.0))
    volume = Volume(array.astype(np.float32), geometry)
    config = replace(CONFIG, window_size=(32, 96), bias_correction=True)
    spread = {}
    for with_mask in (False, True):
        own = replace(config, body_mask=with_mask)
        seen = network_slices(volume, slice_grid(volume, own), own)[..., :32]
        inside = seen[(tissue > 0)]
        spread[with_mask] = inside.std() / inside.mean()
    plain = tissue * shading
    before = plain[tissue > 0].std() / plain[tissue > 0].mean()
    assert spread[True] < 0.5 * before
    assert spread[True] <= spread[False] + 0.01
