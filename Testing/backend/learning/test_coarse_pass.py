"""A pass at half the resolution leaves slices out, and nothing else changes."""

import numpy as np
import pytest
from learning_doubles import CPU, CrowdedNetwork, ThresholdNetwork
from test_further_copies import COPIES, CountingNetwork, slice_with, stack

from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.learning.copies import UNSEEN_CLASS
from PseudoLabelCLLib.learning.inference import Saving, predict_slices

SIDES = (96, 65)
PIXELS = 96 * 96  # of a slice of these sides, on multiples of 32
COARSE_PIXELS = 64 * 64
EMPTY = np.zeros(SIDES, np.float32)


def volume(num_slices, shown):
    """Slices of which some show a disk."""
    disk = slice_with(40, 30, 6, SIDES)
    return stack(*[disk if number in shown else EMPTY for number in range(num_slices)])


def predicted(images, coarse_from, network=None, further_from=0.0):
    return predict_slices(
        network or ThresholdNetwork(), images, COPIES, CPU,
        saving=Saving(further_from, coarse_from),
    )  # fmt: skip


@pytest.mark.parametrize("shown", [(0,), (12,), (5, 6), (3, 9), ()])
def test_labels_are_those_of_the_full_sweep(shown):
    images = volume(13, shown)
    coarse, full = predicted(images, 0.1), predicted(images, 0.0)
    # what a copy does not see of a slice that is left out is background there
    of_coarse, of_full = (one.copies * (one.copies != UNSEEN_CLASS) for one in (coarse, full))
    np.testing.assert_array_equal(of_coarse, of_full)
    wanted = sorted({n + step for n in shown for step in (-1, 0, 1)} & set(range(13)))
    np.testing.assert_allclose(coarse.probabilities[wanted], full.probabilities[wanted], atol=1e-6)
    np.testing.assert_array_equal(
        coarse.probabilities.argmax(axis=1), full.probabilities.argmax(axis=1)
    )


def test_only_slices_that_may_show_something_and_their_neighbours_are_predicted_in_full():
    network = CountingNetwork()
    predicted(volume(13, (6,)), 0.1, network)
    coarse = CountingNetwork()
    predicted(volume(13, ()), 0.1, coarse)
    full = CountingNetwork()
    predicted(volume(3, (1,)), 0.0, full)
    # a part in which any slice is left out has the coarse pass twice
    assert network.num_pixels <= coarse.num_pixels + full.num_pixels
    assert network.num_pixels >= full.num_pixels + coarse.num_pixels / 2


def test_without_a_probability_there_is_no_coarse_pass():
    without, full = CountingNetwork(), CountingNetwork()
    predicted(volume(5, (2,)), 0.0, without)
    predicted(volume(5, (0, 1, 2, 3, 4)), 0.0, full)
    assert without.num_pixels == full.num_pixels


def test_an_unsure_slice_is_never_left_out():
    unsure = np.full(SIDES, 0.45, np.float32)  # the network gives the structure 0.27 everywhere
    images = stack(EMPTY, EMPTY, unsure, EMPTY, EMPTY)
    network = CountingNetwork()
    found = predicted(images, 0.2, network)
    np.testing.assert_allclose(
        found.probabilities[1:4], predicted(images, 0.0).probabilities[1:4], atol=1e-6
    )
    surer = CountingNetwork()
    predicted(images, 0.3, surer)
    assert surer.num_pixels < network.num_pixels


def test_it_goes_together_with_fewer_copies():
    images = volume(9, (4,))
    both = predicted(images, 0.1, further_from=0.02)
    copies_alone = predicted(images, 0.0, further_from=0.02)
    np.testing.assert_array_equal(both.copies, copies_alone.copies)


def test_short_memory_predicts_fewer_slices_at_once():
    images = np.zeros((5, 1, 64, 64), np.float32)
    images[2, 0, 10:30, 10:30] = 1
    found = predicted(images, 0.9, CrowdedNetwork(limit=1))
    assert found.probabilities.shape == (5, 3, 64, 64)


@pytest.mark.parametrize("profile", list(Profile))
def test_no_profile_has_it(profile):
    assert config_for(profile).pseudo_label.coarse_pass_from == 0


def test_it_is_a_probability():
    with pytest.raises(ProjectError, match="coarse_pass_from"):
        type(config_for(Profile.QUICK).pseudo_label)(coarse_pass_from=1.5)
