"""The phantoms of `two_contrasts.py`: what each image shows of the structures."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from two_contrasts import INPUTS, phantom, seen


@pytest.fixture(scope="module")
def brightness():
    """Mean intensity of background and both structures in each image, over several patients."""
    patients = [phantom(seed) for seed in range(6)]
    images = np.concatenate([patient.images for patient in patients])
    classes = np.concatenate([patient.classes for patient in patients])
    return [[images[:, channel][classes == kind].mean() for kind in range(3)] for channel in (0, 1)]


def test_the_first_image_shows_both_structures_alike(brightness):
    background, both, first_only = brightness[0]
    assert both == pytest.approx(first_only, abs=0.05)
    assert both > background + 0.3


def test_the_second_image_shows_the_first_structure_alone_and_other_things_like_it(brightness):
    background, both, first_only = brightness[1]
    assert both > first_only + 0.3
    assert first_only == pytest.approx(background, abs=0.1)
    patient = phantom(0)
    outside = patient.images[:, 1][patient.classes == 0]
    assert (outside > brightness[1][1] - 0.1).mean() > 0.005  # the third kind


def test_the_second_image_lands_on_the_structures_although_its_grid_is_another_one():
    patient = phantom(3)
    second, structure = patient.images[:, 1], patient.classes == 1
    shifted = np.roll(structure, 4, axis=2)
    assert second[structure].mean() > second[shifted].mean() + 0.2


def test_inputs_are_the_channels_that_they_name():
    patient = phantom(1)
    np.testing.assert_array_equal(
        seen(patient, INPUTS["second"]).images[:, 0], patient.images[:, 1]
    )
    assert seen(patient, INPUTS["both"]).images.shape[1] == 2
