"""Further copies only where there may be structure: less work, and nothing that it takes away."""

import numpy as np
import pytest
from learning_doubles import CPU, ThresholdNetwork

from PseudoLabelCLLib.domain.config import Profile, PseudoLabelConfig
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.learning.copies import UNSEEN_CLASS, draw_copies
from PseudoLabelCLLib.learning.inference import Saving, predict_slices

COPIES = draw_copies(PseudoLabelConfig(num_augmented_copies=4), 3, mirror=True)
SIDE = 320


class CountingNetwork(ThresholdNetwork):
    """Tells how many pixels it was given."""

    num_pixels = 0

    def forward(self, images):
        self.num_pixels += images[:, 0].numel()
        return super().forward(images)


def slice_with(row, column, radius, sides=(SIDE, SIDE)):
    """A disk with a soft border, 1 inside and exactly 0 from a pixel outside of it on."""
    rows, columns = np.indices(sides)
    distance = np.hypot(rows - row, columns - column)
    return np.clip(radius + 0.5 - distance, 0, 1).astype(np.float32)


def stack(*slices):
    return np.stack(slices)[:, None]


def predicted(images, further_from, network=None):
    return predict_slices(
        network or ThresholdNetwork(), images, COPIES, CPU, saving=Saving(further_from)
    )


def test_a_slice_of_background_is_predicted_once():
    network = CountingNetwork()
    found = predicted(np.zeros((2, 1, SIDE, SIDE), np.float32), 0.02, network)
    assert network.num_pixels == 2 * SIDE * SIDE
    assert found.copies.shape == (4, 2, SIDE, SIDE)
    assert not found.copies.any()


def test_copies_of_a_part_are_those_of_the_part_as_a_slice_of_its_own():
    images = stack(slice_with(100, 200, 20))
    found = predicted(images, 0.02)
    rows, columns = (slice(n - 64, n + 64) for n in (100, 200))
    alone = predicted(np.ascontiguousarray(images[..., rows, columns]), 0.0)
    np.testing.assert_allclose(
        found.probabilities[..., rows, columns], alone.probabilities, atol=1e-4
    )
    np.testing.assert_array_equal(found.copies[..., rows, columns], alone.copies)


@pytest.mark.parametrize(("row", "column"), [(160, 160), (4, 5), (310, 40), (60, 318)])
@pytest.mark.parametrize("radius", [3, 30])
def test_every_copy_sees_a_structure_as_well_as_a_copy_of_the_whole_slice(row, column, radius):
    images = stack(slice_with(row, column, radius), slice_with(160, 100, 15))
    true = images[:, 0] > 0.5
    copies, whole_copies = (predicted(images, least).copies for least in (0.02, 0.0))
    for copy, whole_copy in zip(copies, whole_copies, strict=True):
        found, is_seen = copy == 1, copy != UNSEEN_CLASS
        assert 2 * (found & true).sum() / (found.sum() + (true & is_seen).sum()) > 0.9
        assert is_seen[true].sum() >= 0.85 * (whole_copy[true] != UNSEEN_CLASS).sum()


def test_a_long_structure_stays_inside_its_copies():
    images = stack(np.zeros((SIDE, SIDE), np.float32))
    images[..., 150:170, 50:270] = 1
    found = predicted(images, 0.02)
    assert (found.copies[:, images[:, 0] > 0.5] != UNSEEN_CLASS).all()


def test_outside_of_the_part_the_slice_itself_speaks_for_its_copies():
    images = stack(slice_with(60, 60, 20))
    found, once = (
        predicted(images, 0.02),
        predict_slices(ThresholdNetwork(), images, COPIES[:1], CPU),
    )
    np.testing.assert_array_equal(
        found.probabilities[..., 200:, :], once.probabilities[..., 200:, :]
    )
    assert not found.copies[..., 200:, :].any()


def test_pixels_that_may_be_structure_are_enough():
    faint = 0.3 * slice_with(60, 60, 20)  # at a steepness of 20: exp(-4), a probability of .018
    network = CountingNetwork()
    predicted(stack(faint), 0.03, network)
    assert network.num_pixels == SIDE * SIDE
    predicted(stack(faint), 0.01, network)
    assert network.num_pixels > 2 * SIDE * SIDE


def test_less_is_computed_where_structures_are_small():
    images = stack(*(slice_with(100, 150, 25) for _ in range(4)), *np.zeros((4, SIDE, SIDE)))
    everywhere, around = CountingNetwork(), CountingNetwork()
    predicted(images.astype(np.float32), 0.0, everywhere)
    predicted(images.astype(np.float32), 0.02, around)
    assert around.num_pixels < 0.4 * everywhere.num_pixels


def test_slices_too_small_for_a_margin_are_predicted_as_a_whole():
    images = stack(slice_with(20, 20, 8, (40, 50)))
    np.testing.assert_allclose(
        predicted(images, 0.02).probabilities, predicted(images, 0.0).probabilities, atol=1e-6
    )


@pytest.mark.parametrize("profile", Profile)
def test_every_profile_predicts_every_copy_everywhere(profile):
    assert config_for(profile).pseudo_label.further_copies_from == 0
