"""Random changes of slices: image and label move together, and by what the settings say."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_doubles import NO_CHANGE, make_generator, phantom_slices
from scipy import ndimage, optimize

from PseudoLabelCLLib.domain.method_config import Affine, AugmentationConfig, Mirror
from PseudoLabelCLLib.learning.training.augmentation import augment
from PseudoLabelCLLib.learning.training.class_channels import one_hot
from PseudoLabelCLLib.learning.training.view_intensity import change_intensity

STRONG = AugmentationConfig(
    shift_fraction=0.1, gamma_fraction=0.5, noise=0.1, blur_fraction=0.5, elastic_fraction=0.05
)
GEOMETRY_ONLY = replace(NO_CHANGE, rotation_deg=30.0, scale_fraction=0.15, mirror=Mirror.BOTH)
ONE_OF_FIVE = replace(NO_CHANGE, affine=Affine.ONE_OF_FIVE, rotation_deg=15.0, scale_fraction=0.05)


def phantom_batch(num_slices=3, shape=(64, 48)):
    slices = phantom_slices(num_slices, shape)
    targets = one_hot(torch.from_numpy(slices.classes.astype(np.int64)), 3)
    return torch.from_numpy(slices.images), targets


def blob(shape, center, width):
    rows, columns = np.indices(shape)
    squared = (rows - center[0]) ** 2 + (columns - center[1]) ** 2
    return np.exp(-squared / (2 * width**2)).astype(np.float32)


def batch_of(image, num_copies=1):
    images = torch.from_numpy(image)[None, None].repeat(num_copies, 1, 1, 1)
    return images, torch.cat((1 - images, images), dim=1)


def center_of_mass(image):
    return np.array(ndimage.center_of_mass(image.numpy()))


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**31))
def test_targets_stay_probabilities(seed):
    images, targets = phantom_batch()
    changed = augment(images, targets, STRONG, make_generator(seed))
    torch.testing.assert_close(changed.targets.sum(dim=1), torch.ones(3, 64, 48))
    # a bilinear mean of numbers in 0..1, up to float32 rounding
    assert changed.targets.min() >= -1e-5
    assert changed.targets.max() <= 1 + 1e-5
    assert torch.isfinite(changed.images).all()


def test_without_ranges_nothing_changes():
    images, targets = phantom_batch()
    changed = augment(images, targets, NO_CHANGE, make_generator())
    # sampling positions are rounded to float32: 1e-7 of 64 pixels, times the steepest edge
    torch.testing.assert_close(changed.images, images, rtol=0, atol=1e-4)
    torch.testing.assert_close(changed.targets, targets, rtol=0, atol=1e-4)


@pytest.mark.parametrize("config", [GEOMETRY_ONLY, replace(NO_CHANGE, elastic_fraction=0.05)])
def test_image_and_label_move_together(config):
    images, targets = batch_of(blob((64, 96), (24, 60), 2.0), num_copies=8)
    changed = augment(images, targets, config, make_generator(4))
    moved = [np.linalg.norm(center_of_mass(image[0]) - (24, 60)) for image in changed.images]
    assert max(moved) > 1  # pixels: something moved at all
    torch.testing.assert_close(changed.targets[:, 1:], changed.images, rtol=0, atol=1e-5)


@pytest.mark.parametrize("shape", [(64, 64), (48, 96), (96, 48)])
def test_rotation_is_a_true_rotation_on_any_slice(shape):
    center = (shape[0] / 2 + 5, shape[1] / 2 - 7)
    image = blob(shape, center, 4.0) + 0.5 * blob(shape, (center[0] - 9, center[1] + 4), 3.0)
    config = replace(NO_CHANGE, rotation_deg=30.0)
    turned = augment(*batch_of(image, 4), config, make_generator(2)).images[:, 0].numpy()

    for wanted in turned:

        def difference(angle_deg, wanted=wanted):
            ours = ndimage.rotate(image, angle_deg, reshape=False, order=1)
            return float(np.abs(ours - wanted).max())

        start = min(np.linspace(-30, 30, 31), key=difference)
        around = (start - 2, start + 2)
        best = optimize.minimize_scalar(difference, bounds=around, method="bounded")
        # both interpolate linearly; a sheared blob would differ by more than a tenth
        assert best.fun < 0.01


def test_mirroring_is_exact_and_takes_all_four_forms():
    image = blob((32, 64), (10, 50), 3.0)
    config = replace(NO_CHANGE, mirror=Mirror.BOTH)
    changed = augment(*batch_of(image, 24), config, make_generator(1)).images[:, 0].numpy()
    forms = [image[::up, ::left] for up in (1, -1) for left in (1, -1)]
    nearest = [int(np.argmin([np.abs(one - form).max() for form in forms])) for one in changed]
    assert set(nearest) == {0, 1, 2, 3}  # missed with a chance of 4 * 0.75^24 = 0.4 %, seed fixed
    for one, number in zip(changed, nearest, strict=True):
        np.testing.assert_allclose(one, forms[number], atol=1e-5)  # positions in float32


def test_zoom_stays_in_its_range_and_keeps_proportions():
    image = blob((96, 64), (47.5, 31.5), 6.0)
    config = replace(NO_CHANGE, scale_fraction=0.15)
    changed = augment(*batch_of(image, 16), config, make_generator(3)).images[:, 0].numpy()
    rows, columns = np.indices(image.shape)
    scales = []
    for one in changed:
        tall = np.sqrt((one * (rows - 47.5) ** 2).sum() / one.sum()) / 6.0
        wide = np.sqrt((one * (columns - 31.5) ** 2).sum() / one.sum()) / 6.0
        assert tall == pytest.approx(wide, rel=0.01)  # linear interpolation widens by < 1 %
        scales.append(tall)
    assert 0.84 < min(scales) < 0.95
    assert 1.05 < max(scales) < 1.16


def test_shift_is_a_fraction_of_each_side():
    image = blob((64, 128), (31.5, 63.5), 4.0)
    config = replace(NO_CHANGE, shift_fraction=0.1)
    changed = augment(*batch_of(image, 40), config, make_generator(5)).images
    moved = np.array([center_of_mass(one[0]) for one in changed]) - (31.5, 63.5)
    limits = np.array((6.4, 12.8))
    assert (np.abs(moved) <= limits + 0.05).all()  # interpolation
    assert (np.abs(moved).max(axis=0) > 0.8 * limits).all()


def test_every_slice_of_a_batch_gets_its_own_change():
    images, targets = batch_of(blob((64, 64), (20, 40), 3.0), num_copies=2)
    changed = augment(images, targets, GEOMETRY_ONLY, make_generator(6)).images
    assert (changed[0] - changed[1]).abs().max() > 0.1


def test_same_generator_gives_the_same_change_and_another_one_not():
    batch = phantom_batch()
    first, second, other = (augment(*batch, STRONG, make_generator(seed)) for seed in (9, 9, 10))
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.targets, second.targets)
    assert not torch.equal(first.images, other.images)


def test_contrast_stretches_around_the_mean_and_brightness_moves_it():
    images, targets = phantom_batch(16)
    config = replace(NO_CHANGE, contrast_fraction=0.3, brightness=0.2)
    changed = augment(images, targets, config, make_generator(7)).images
    for before, after in zip(images.numpy(), changed.numpy(), strict=True):
        slope, offset = np.polyfit(before.ravel(), after.ravel(), 1)
        np.testing.assert_allclose(after, slope * before + offset, atol=1e-4)  # float32
        assert 0.7 <= slope <= 1.3
        assert abs(after.mean() - before.mean()) <= 0.2 + 1e-5


def test_gamma_noise_and_blur_leave_finite_intensities_even_below_zero():
    images, targets = phantom_batch()
    changed = augment(images - 0.5, targets, STRONG, make_generator(8)).images
    assert torch.isfinite(changed).all()
    assert changed.shape == images.shape


def candidates(image):
    """What "one-of-five" may make of a slice, by scipy: kind and slice."""
    yield "nothing", image
    yield "mirrored", image[:, ::-1]
    for eighths in range(1, 8):
        yield "eighths of a turn", ndimage.rotate(image, 45 * eighths, reshape=False, order=1)
    for angle_deg in np.arange(-15, 15.1, 0.5):
        yield "turned a little", ndimage.rotate(image, angle_deg, reshape=False, order=1)
    middle = (np.array(image.shape) - 1) / 2
    for percent in (95, 96, 97, 98, 99, 101, 102, 103, 104, 105):
        shrink = np.diag((100 / percent, 100 / percent))
        offset = middle - shrink @ middle
        yield "zoomed", ndimage.affine_transform(image, shrink, offset, order=1)


def changes_seen(mirror, num_copies=150):
    """The kinds of change that a batch of one slice underwent, each within a tolerance."""
    image = blob((48, 48), (20, 33), 3.0) + 0.5 * blob((48, 48), (33, 19), 2.5)
    config = replace(ONE_OF_FIVE, mirror=mirror)
    changed = augment(*batch_of(image, num_copies), config, make_generator(11)).images[:, 0]
    kinds, forms = zip(*candidates(image), strict=True)
    differences = np.abs(changed.numpy()[:, None] - np.stack(forms)[None]).max(axis=(2, 3))
    # a quarter of a degree moves the farthest blob by 0.06 pixels, of slope 0.2 per pixel
    assert (differences.min(axis=1) < 0.03).all()
    return Counter(kinds[number] for number in differences.argmin(axis=1))


def test_one_of_five_makes_exactly_one_change_of_a_slice():
    seen = changes_seen(Mirror.LEFT_RIGHT)
    shares = {kind: count / seen.total() for kind, count in seen.items()}
    # the flip's coin, k = 0 and a zoom of 1.00 leave a slice alone: 1/5 + 1/10 + 1/40 + 1/50
    expected = {
        "nothing": 0.345,
        "mirrored": 0.1,
        "eighths of a turn": 0.175,
        "turned a little": 0.2,
        "zoomed": 0.18,
    }
    # 150 draws: three standard deviations are at most 0.12
    assert shares == pytest.approx(expected, abs=0.12)


def test_one_of_five_mirrors_only_where_the_settings_allow_it():
    assert "mirrored" not in changes_seen(Mirror.NEVER)
    assert "mirrored" in changes_seen(Mirror.BOTH)


def test_mixed_warp_leaves_the_first_slices_of_a_batch_alone():
    config = replace(NO_CHANGE, elastic_fraction=0.05, elastic_mixed=True)
    images, targets = batch_of(blob((48, 48), (20, 30), 3.0), num_copies=5)
    unwarped = []
    for seed in range(24):
        changed = augment(images, targets, config, make_generator(seed)).images
        alone = ((changed - images).abs().amax(dim=(1, 2, 3)) < 1e-4).tolist()  # positions rounded
        assert alone == sorted(alone, reverse=True)
        unwarped.append(sum(alone))
    assert set(unwarped) == {1, 2, 3}  # one to all but two


def test_mixed_warp_of_two_slices_warps_both():
    config = replace(NO_CHANGE, elastic_fraction=0.05, elastic_mixed=True)
    images, targets = batch_of(blob((48, 48), (20, 30), 3.0), num_copies=2)
    changed = augment(images, targets, config, make_generator(3)).images
    assert ((changed - images).abs().amax(dim=(1, 2, 3)) > 0.01).all()


def test_channels_of_a_slice_move_together():
    images, targets = phantom_batch()
    both = torch.cat((images, 2 * images), dim=1)
    changed = augment(both, targets, GEOMETRY_ONLY, make_generator(6)).images
    torch.testing.assert_close(changed[:, 1], 2 * changed[:, 0])
    assert not torch.allclose(changed[:, 0], images[:, 0], atol=0.01)


def test_each_channel_has_an_intensity_change_of_its_own():
    images, targets = phantom_batch()
    both = torch.cat((images, images), dim=1)
    config = replace(NO_CHANGE, brightness=0.3, contrast_fraction=0.3)
    changed = augment(both, targets, config, make_generator(4)).images
    assert ((changed[:, 0] - changed[:, 1]).abs().amax(dim=(1, 2)) > 0.01).all()
    for one in range(2):  # and each is a change of brightness and contrast alone
        slopes = [
            np.polyfit(before.ravel(), after.ravel(), 1)[0]
            for before, after in zip(both[:, one].numpy(), changed[:, one].numpy(), strict=True)
        ]
        assert all(0.7 <= slope <= 1.3 for slope in slopes)


def test_neighbouring_slices_of_an_image_change_alike():
    images, targets = phantom_batch()
    two = torch.cat((images, images), dim=1)  # two images of a patient, and their neighbours
    config = replace(STRONG, noise=0.0, brightness=0.3, contrast_fraction=0.3)
    changed = augment(two.repeat(1, 3, 1, 1), targets, config, make_generator(4), 3).images
    for before, itself, after in ((0, 2, 4), (1, 3, 5)):
        torch.testing.assert_close(changed[:, before], changed[:, itself])
        torch.testing.assert_close(changed[:, after], changed[:, itself])
    assert ((changed[:, 0] - changed[:, 1]).abs().amax(dim=(1, 2)) > 0.01).all()


def test_intensities_of_a_view_change_alike_in_neighbouring_slices():
    images = torch.cat([phantom_batch()[0]] * 2, dim=1).repeat(1, 3, 1, 1)
    for is_shared in (False, True):
        changed = change_intensity(
            images, brightness=0.2, contrast_fraction=0.2, is_shared=is_shared,
            generator=make_generator(1), slices_at_once=3,
        )  # fmt: skip
        torch.testing.assert_close(changed[:, :2], changed[:, 2:4])
        torch.testing.assert_close(changed[:, :2], changed[:, 4:])
        assert not torch.allclose(changed[:, 0], changed[:, 1], atol=0.01)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_gpu_makes_the_same_changes_and_its_noise_follows_the_seed():
    images, targets = (tensor.cuda() for tensor in phantom_batch())
    first, second = (augment(images, targets, STRONG, make_generator(9)) for _ in range(2))
    assert torch.equal(first.images, second.images)
    quiet = replace(STRONG, noise=0.0)
    there = augment(images, targets, quiet, make_generator(9))
    here = augment(images.cpu(), targets.cpu(), quiet, make_generator(9))
    # two ways to round positions, times the steepest edge
    torch.testing.assert_close(there.images.cpu(), here.images, rtol=0, atol=1e-3)
