"""Corrections of single voxels as a round learns from them: truth there, ignored beside them."""

import numpy as np
import pytest
from judging import accept, correct
from small_projects import with_saved_rounds
from test_left_out_in_training import (
    GRID,
    INSIDE,
    NUM_SLICES,
    a_service,
    changed,
    proposed,
    put,
    slices_of_the_next_round,
    slow_classes,
    taught,
)

from PseudoLabelCLLib.domain.review import TruthExtent
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.learning.training.sampling import IGNORED_CLASS
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout

assert a_service  # the fixture of a round in review, for the tests below
SPACING_KJI = GRID.spacing_mm[::-1]


def touched(array, *voxels, value=4):
    """A segmentation with another label at some voxels (k, j, i)."""
    array = array.copy()
    for voxel in voxels:
        array[voxel] = value if array[voxel] != value else 0
    return array


def near(first, second):
    """The voxels at most 3 mm from one in which two segmentations differ, pair by pair."""
    marked = np.argwhere(first != second)
    found = np.zeros(first.shape, bool)
    for voxel in np.ndindex(first.shape):
        found[voxel] = np.linalg.norm((marked - voxel) * SPACING_KJI, axis=1).min() <= 3.0 + 1e-6
    return found


def only(classes, mask):
    """Class indices on the network's grid where a mask of the volume is true, else ignored."""
    found = np.full_like(classes, IGNORED_CLASS)
    found[INSIDE][mask] = classes[INSIDE][mask]
    return found


def without(classes, mask):
    """Class indices on the network's grid, ignored where a mask of the volume is true."""
    found = classes.copy()
    found[INSIDE][mask] = IGNORED_CLASS
    return found


def corrected_voxels(root, project, array, case_id="a", **how):
    file = put(root.parent / "drawn.seg.nrrd", array)
    return correct(root, project, case_id, file, **{"extent": TruthExtent.CHANGED_VOXELS, **how})


def with_round(root, project, index, array):
    """The project in the review of a later round that proposes the same for every case."""
    rounds = Round(index - 1, RoundState.CLOSED), Round(index, RoundState.IN_REVIEW)
    for name in "ab":
        put(ProjectLayout(root).proposal(index, name), array)
    return with_saved_rounds(root, project, *rounds)


def test_exactly_the_voxels_that_count_are_truth_and_the_rest_stays_pseudo_label(
    a_service, monkeypatch
):
    root, project = a_service
    array = touched(proposed(), (0, 10, 12), (2, 20, 3))
    project = corrected_voxels(root, project, array)
    mask = near(proposed(), array)
    assert 0 < mask.sum() < mask.size / 20

    data, truth, pseudo = slices_of_the_next_round(root, project, monkeypatch)

    (numbers, classes), _ = taught(truth)
    assert numbers == [0, 2]
    np.testing.assert_array_equal(classes, only(slow_classes(array), mask))
    (of_a, of_a_classes), (of_b, _) = taught(pseudo)
    assert (of_a, of_b) == ([0, 1, 2, 3], [0, 1, 2, 3])
    np.testing.assert_array_equal(of_a_classes, without(slow_classes(proposed()), mask))
    assert data.has_ignored


def test_background_is_truth_where_a_person_erased(a_service, monkeypatch):
    root, project = a_service
    voxel = tuple(np.argwhere(proposed() == 4)[0])
    project = corrected_voxels(root, project, touched(proposed(), voxel))
    _, truth, _ = slices_of_the_next_round(root, project, monkeypatch)
    classes = taught(truth)[0][1]
    assert classes[INSIDE][voxel] == 0


def test_voxels_lie_over_what_earlier_rounds_say_of_their_slices(a_service, monkeypatch):
    root, project = a_service
    first = changed(1, 2)
    project = corrected_voxels(root, project, first, extent=TruthExtent.CHANGED_SLICES)
    project = with_round(root, project, 1, proposed())
    second = touched(proposed(), (2, 12, 12), (3, 5, 5))
    project = corrected_voxels(root, project, second)
    project = with_round(root, project, 2, proposed())
    third = touched(proposed(), (3, 6, 5), value=7)
    project = corrected_voxels(root, project, third)

    _, truth, pseudo = slices_of_the_next_round(root, project, monkeypatch)

    expected = np.full_like(slow_classes(first), IGNORED_CLASS)
    expected[[1, 2]] = slow_classes(first)[[1, 2]]
    for array in (second, third):
        mask = near(proposed(), array)
        expected[INSIDE][mask] = slow_classes(array)[INSIDE][mask]
    (numbers, classes), _ = taught(truth)
    assert numbers == [1, 2, 3]
    np.testing.assert_array_equal(classes, expected)
    (beside, beside_classes), _ = taught(pseudo)
    assert beside == [0, 3]  # what a person said of slices 1 and 2 covers them
    both = near(proposed(), second) | near(proposed(), third)
    np.testing.assert_array_equal(beside_classes, without(slow_classes(proposed()), both))


def test_whole_slices_of_a_later_round_replace_the_voxels_on_them(a_service, monkeypatch):
    root, project = a_service
    first = touched(proposed(), (1, 12, 12), (3, 5, 5))
    project = corrected_voxels(root, project, first)
    project = with_round(root, project, 1, proposed())
    project = corrected_voxels(root, project, changed(3), extent=TruthExtent.CHANGED_SLICES)
    _, truth, _ = slices_of_the_next_round(root, project, monkeypatch)
    expected = only(slow_classes(first), near(proposed(), first))
    expected[3] = slow_classes(changed(3))[3]
    np.testing.assert_array_equal(taught(truth)[0][1], expected)


def test_acceptance_of_a_later_round_replaces_all_voxels(a_service, monkeypatch):
    root, project = a_service
    project = corrected_voxels(root, project, touched(proposed(), (1, 12, 12)))
    project = with_round(root, project, 1, changed(0))
    _, truth, pseudo = slices_of_the_next_round(root, accept(root, project, "a"), monkeypatch)
    numbers, classes = taught(truth)[0]
    assert numbers == list(range(NUM_SLICES))
    np.testing.assert_array_equal(classes, slow_classes(changed(0)))
    assert len(pseudo) == 1


@pytest.mark.parametrize("left_out", [(4,), (4, 7)])
def test_structures_that_are_left_out_are_ignored_among_the_voxels_too(
    a_service, monkeypatch, left_out
):
    root, project = a_service
    array = touched(proposed(), (2, 12, 12), value=1)
    project = corrected_voxels(root, project, array, left_out=left_out)
    _, truth, _ = slices_of_the_next_round(root, project, monkeypatch)
    numbers, classes = taught(truth)[0]
    assert numbers == [2]
    expected = only(slow_classes(array, left_out), near(proposed(), array))
    np.testing.assert_array_equal(classes, expected)


def test_labels_beside_the_voxels_change_nothing_that_is_learned(a_service, monkeypatch):
    root, project = a_service
    array = touched(proposed(), (2, 12, 12))
    project = corrected_voxels(root, project, array)
    _, truth, _ = slices_of_the_next_round(root, project, monkeypatch)
    before = taught(truth)[0][1]
    mask = near(proposed(), array)
    stored = ProjectLayout(root).reviewed_segmentation(0, "a")
    put(stored, np.where(mask, array, 7).astype(np.int16))
    _, truth, _ = slices_of_the_next_round(root, project, monkeypatch)
    np.testing.assert_array_equal(taught(truth)[0][1], before)
