"""Slices that are stored turned or mirrored reach the network lying one way, and go back."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.slice_turn import (
    AS_STORED,
    SliceTurn,
    most_common_directions,
    slice_directions,
    turn_onto,
)
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.messages.json_codec import from_json, to_json
from PseudoLabelCLLib.pipeline.slices.network_images import network_slices
from PseudoLabelCLLib.pipeline.slices.preprocess import Annotated, resolve_preprocess
from PseudoLabelCLLib.pipeline.slices.slice_grid import slice_grid

# every way to store slices that are cut across the third world axis, as ITK names axes
WAYS_TO_STORE = tuple(
    "".join(letters)
    for first, second, third in itertools.product("LR", "AP", "SI")
    for letters in ((first, second, third), (second, first, third))
)


def oblique_volume():
    """Random voxels, 7 x 5 x 4, 2 x 3 x 8 mm, on a grid turned by some degrees about each axis."""
    image = sitk.GetImageFromArray(np.random.default_rng(0).normal(size=(4, 5, 7)))
    image.SetSpacing((2.0, 3.0, 8.0))
    image.SetOrigin((-10.0, 20.0, 30.0))
    turned = Rotation.from_euler("xyz", (7, -11, 13), degrees=True).as_matrix()
    image.SetDirection(turned.ravel().tolist())
    return image


def volume_of(image):
    geometry = Geometry(
        image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection()
    )
    return Volume(sitk.GetArrayFromImage(image).astype(np.float32), geometry)


def stored(way):
    """The same voxels at the same places of the patient, stored as the letters say."""
    return volume_of(sitk.DICOMOrient(oblique_volume(), way))


def settled(*volumes, **settings):
    config = PreprocessConfig(in_plane_spacing_mm=1.5, window_size=(32, 32), **settings)
    return resolve_preprocess(config, [volume.geometry for volume in volumes], [])


def seen(volume, config):
    """What the network sees, first slice that of the lowest place along the third world axis."""
    slices = network_slices(volume, slice_grid(volume, config), config)
    return slices if volume.geometry.direction_matrix[2, 2] > 0 else slices[::-1]


@pytest.mark.parametrize("way", WAYS_TO_STORE)
def test_network_sees_the_same_picture_however_a_volume_is_stored(way):
    reference = stored("LPS")
    config = settled(reference, reference, stored(way))
    np.testing.assert_allclose(seen(stored(way), config), seen(reference, config), atol=1e-6)


@pytest.mark.parametrize("way", WAYS_TO_STORE)
def test_what_is_laid_on_turned_slices_comes_back_to_the_voxels_that_it_came_from(way):
    volume = stored(way)
    grid = slice_grid(volume, settled(stored("LPS"), stored("LPS"), volume))
    np.testing.assert_array_equal(grid.volume_of(grid.slices_of(volume.array)), volume.array)


@pytest.mark.parametrize("way", WAYS_TO_STORE)
def test_window_holds_a_structure_of_a_turned_volume(way):
    reference, volume = stored("LPS"), stored(way)
    foreground = volume.array > np.quantile(volume.array, 0.99)
    config = resolve_preprocess(
        PreprocessConfig(in_plane_spacing_mm=0.1, max_window_size=32),
        [reference.geometry, reference.geometry, volume.geometry],
        [Annotated(volume.geometry, foreground)],
    )
    grid = slice_grid(volume, config)
    shown = grid.labels_to_network(grid.slices_of(foreground.astype(np.uint8)))
    # 2 x 3 mm are 20 x 30 pixels
    assert shown.sum() == foreground.sum() * 600


def test_turning_can_be_left_out():
    reference, other = stored("LPS"), stored("RAS")
    config = settled(reference, reference, other, turn_slices=False)
    assert slice_grid(other, config).turn == AS_STORED


def test_settings_from_before_slices_were_turned_turn_nothing():
    told = to_json(settled(stored("LPS"), turn_slices=False))
    del told["turn_slices"], told["slice_directions"]
    config = from_json(PreprocessConfig, told, "settings")
    assert slice_grid(stored("RAS"), config).turn == AS_STORED


def test_slices_lie_as_those_of_most_cases_and_as_the_first_of_two():
    ways = {way: slice_directions(stored(way).geometry, 2) for way in ("LPS", "RAS", "PLS")}
    assert most_common_directions([ways["RAS"], ways["LPS"], ways["LPS"]]) == ways["LPS"]
    assert most_common_directions([ways["RAS"], ways["LPS"]]) == ways["RAS"]
    assert most_common_directions([ways["PLS"], ways["RAS"], ways["PLS"]]) == ways["PLS"]


def test_settings_say_which_way_slices_lie_if_a_person_chose_it():
    chosen = slice_directions(stored("RAS").geometry, 2)
    config = settled(stored("LPS"), stored("LPS"), slice_directions=chosen)
    assert config.slice_directions == chosen


@pytest.mark.parametrize("degrees", [0, 20, 45, 59])
@pytest.mark.parametrize("axis", "xyz")
def test_obliqueness_of_a_patient_is_no_turn(degrees, axis):
    upright = ((0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
    rotation = Rotation.from_euler(axis, degrees, degrees=True)
    oblique = tuple(tuple(direction) for direction in rotation.apply(upright).tolist())
    assert turn_onto(upright, oblique) == AS_STORED


def test_slices_of_another_plane_are_not_turned():
    axial, sagittal = ((0.0, 1.0, 0.0), (1.0, 0.0, 0.0)), ((0.0, 0.0, -1.0), (0.0, 1.0, 0.0))
    assert turn_onto(axial, sagittal) == AS_STORED


@pytest.mark.parametrize("parts", list(itertools.product((False, True), repeat=3)))
def test_a_turn_is_undone_by_turning_back(parts):
    turn = SliceTurn(*parts)
    slices = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    np.testing.assert_array_equal(turn.turn_back(turn.turn(slices)), slices)
    assert replace(turn, rows_flipped=not turn.rows_flipped).turn(slices).tolist() != (
        turn.turn(slices).tolist()
    )
