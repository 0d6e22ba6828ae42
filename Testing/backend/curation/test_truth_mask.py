"""Corrections of which single voxels count: which ones, where they are kept, what they do."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judging import accept, correct, reject, take_back
from small_projects import GRID, SCHEMA, drawn, make_project, put_in_review, write_drawing

from PseudoLabelCLLib.curation.cases.change_cases import remove_cases
from PseudoLabelCLLib.curation.export.dicom_provenance import SegmentOrigin, description_of
from PseudoLabelCLLib.curation.export.export_segmentations import export_segmentations
from PseudoLabelCLLib.curation.review.agreement import agreement_with_proposal
from PseudoLabelCLLib.curation.review.correction_preview import preview_correction
from PseudoLabelCLLib.curation.review.go_back import go_back
from PseudoLabelCLLib.curation.review.plan_round import plan_next_round
from PseudoLabelCLLib.curation.review.proposals import newest_proposal
from PseudoLabelCLLib.curation.review.round_history import round_figures
from PseudoLabelCLLib.curation.review.truth_mask import near_changed, read_truth_mask
from PseudoLabelCLLib.domain.errors import ReviewError, VolumeError
from PseudoLabelCLLib.domain.review import Review, TruthExtent, Verdict
from PseudoLabelCLLib.messages.project_view import CaseState
from PseudoLabelCLLib.project_service.handlers.results import _source
from PseudoLabelCLLib.project_service.view_project import view_of
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation

VOXELS = TruthExtent.CHANGED_VOXELS
SPACING_MM = GRID.spacing_mm[::-1]  # k, j, i


def slowly_near(changed, spacing_kji):
    """Every voxel whose centre is at most 3 mm from that of a changed one, pair by pair."""
    near = np.zeros_like(changed)
    marked = np.argwhere(changed)
    for voxel in np.ndindex(changed.shape):
        away_mm = np.linalg.norm((marked - voxel) * spacing_kji, axis=1)
        near[voxel] = len(marked) > 0 and away_mm.min() <= 3.0 + 1e-6
    return near


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 18)),
    spacing=st.tuples(*[st.sampled_from((0.4, 0.75, 1.0, 1.5, 2.9, 3.0, 8.0))] * 3),
    num=st.integers(0, 6),
)
def test_near_is_what_a_slow_loop_over_all_pairs_finds(seed, shape, spacing, num):
    changed = np.zeros(shape, bool)
    rng = np.random.default_rng(seed)
    for _ in range(num):
        changed[tuple(rng.integers(0, size) for size in shape)] = True
    np.testing.assert_array_equal(
        near_changed(changed, spacing[::-1]), slowly_near(changed, spacing)
    )


@pytest.fixture
def a_project(tmp_path):
    root = make_project(tmp_path / "project")
    put_in_review(root, 0)
    return root, load_project(root)


def stroke(*slices, value=1):
    """The proposal with a stroke of two voxels on some slices."""
    array = drawn(shift=1)
    array[list(slices), 1, 5:7] = value
    return array


def corrected_by(root, array, project=None, *, case_id="other-1", **how):
    file = write_drawing(root.parent / "corrected.seg.nrrd", array)
    project = load_project(root) if project is None else project
    return correct(root, project, case_id, file, **{"extent": VOXELS, **how})


def mask_of(root, review):
    return read_truth_mask(ProjectLayout(root).resolve(review.truth_mask), GRID)


def near_of(array):
    return slowly_near(array != drawn(shift=1), SPACING_MM)


def test_only_what_was_changed_and_what_is_near_it_counts(a_project):
    root, project = a_project
    project = corrected_by(root, stroke(0, 2))
    (review,) = project.reviews
    assert (review.truth_slices, review.truth_mask) == (
        (0, 2), "reviews/round_00/other-1.truth.nrrd",
    )  # fmt: skip
    np.testing.assert_array_equal(mask_of(root, review), near_of(stroke(0, 2)))
    assert near_of(stroke(0, 2)).sum() < stroke(0, 2).size / 10
    stored = read_segmentation(ProjectLayout(root).resolve(review.segmentation), SCHEMA)[0].array
    np.testing.assert_array_equal(stored, stroke(0, 2))
    assert load_project(root) == project


def test_preview_tells_what_each_extent_stores(a_project):
    root, project = a_project
    file = write_drawing(root.parent / "c.seg.nrrd", stroke(0, 2))
    shown = newest_proposal(root, project, "other-1")
    preview = preview_correction(root, project, shown, file)
    assert (preview.proposal, preview.changed_slices, preview.num_changed_voxels) == (
        shown,
        (0, 2),
        4,
    )
    assert preview.num_near_voxels == near_of(stroke(0, 2)).sum()
    near = np.load(preview.near)
    assert (near.dtype, near.shape) == (np.uint8, GRID.array_shape)
    project = corrected_by(root, stroke(0, 2))
    np.testing.assert_array_equal(near == 1, mask_of(root, project.reviews[0]))
    project = corrected_by(root, stroke(0, 2), project, extent=TruthExtent.CHANGED_SLICES)
    assert project.reviews[0].truth_slices == preview.changed_slices


def test_preview_of_nothing_has_nothing(a_project):
    root, project = a_project
    file = write_drawing(root.parent / "c.seg.nrrd", drawn(shift=1))
    preview = preview_correction(root, project, newest_proposal(root, project, "other-1"), file)
    assert (preview.changed_slices, preview.num_changed_voxels, preview.near) == ((), 0, None)
    with pytest.raises(ReviewError, match="identical to the proposal"):
        corrected_by(root, drawn(shift=1))


def test_changes_of_a_structure_that_is_left_out_are_none(a_project):
    root, project = a_project
    array = stroke(0, value=2)
    array[2, 1, 5:7] = 1
    file = write_drawing(root.parent / "c.seg.nrrd", array)
    shown = newest_proposal(root, project, "other-1")
    assert preview_correction(root, project, shown, file, (2,)).changed_slices == (2,)
    project = corrected_by(root, array, left_out=(2,))
    np.testing.assert_array_equal(mask_of(root, project.reviews[0]), near_of(stroke(2)))
    with pytest.raises(ReviewError, match="identical to the proposal"):
        corrected_by(root, np.where(drawn(shift=1) == 2, 0, drawn(shift=1)), left_out=(2,))


# --- nothing is lost, and the verdict on disk goes with its files at every moment ---


def test_second_thoughts_bring_mask_and_segmentation_back(a_project):
    root, _ = a_project
    first = corrected_by(root, stroke(0))
    second = corrected_by(root, stroke(2, 3), first)
    third = accept(root, second, "other-1")
    assert third.reviews[0].truth_mask is None
    for array in (stroke(2, 3), stroke(0)):
        third = take_back(root, third, "other-1")
        assert load_project(root) == third
        np.testing.assert_array_equal(mask_of(root, third.reviews[0]), near_of(array))
    assert take_back(root, third, "other-1").reviews == ()
    layout = ProjectLayout(root)
    assert not layout.truth_mask(0, "other-1").exists()
    taken_back = layout.review_folder(0) / "history" / "taken_back"
    assert len(list(taken_back.glob("other-1.*.truth.nrrd"))) == 2


def test_rejecting_after_a_correction_keeps_its_mask_in_the_history(a_project):
    root, project = a_project
    project = reject(root, corrected_by(root, stroke(1)), "other-1")
    kept = json.loads((root / "reviews/round_00/history/other-1.1.json").read_text())
    assert kept["truth_mask"] == "reviews/round_00/history/other-1.1.truth.nrrd"
    project = take_back(root, project, "other-1")
    np.testing.assert_array_equal(mask_of(root, project.reviews[0]), near_of(stroke(1)))


def test_verdict_whose_mask_is_gone_is_not_brought_back(a_project):
    root, project = a_project
    project = reject(root, corrected_by(root, stroke(1)), "other-1")
    (root / "reviews/round_00/history/other-1.1.truth.nrrd").unlink()
    with pytest.raises(ReviewError, match="mask of the verdict on case 'other-1' is missing"):
        take_back(root, project, "other-1")
    assert load_project(root).reviews[0].verdict is Verdict.REJECTED


def test_case_that_is_taken_out_takes_its_masks_along(a_project):
    root, project = a_project
    project = accept(root, corrected_by(root, stroke(1)), "other-1")
    remove_cases(root, corrected_by(root, stroke(2), project), ["other-1"])
    assert not list((root / "reviews").rglob("other-1.*"))
    assert len(list((root / "set_aside").rglob("other-1*.truth.nrrd"))) == 2


def test_going_back_keeps_the_masks_of_the_rounds_that_stay(a_project):
    root, project = a_project
    corrected_by(root, stroke(1))
    put_in_review(root, 1)
    project = go_back(root, corrected_by(root, stroke(2)), 0)
    assert [review.round_index for review in project.reviews] == [0]
    np.testing.assert_array_equal(mask_of(root, project.reviews[0]), near_of(stroke(1)))


def test_mask_of_another_grid_is_refused(a_project):
    root, _ = a_project
    corrected_by(root, stroke(1))
    other = replace(GRID, origin_mm=(0.0, 0.0, 0.0))
    with pytest.raises(VolumeError, match="its case has"):
        read_truth_mask(ProjectLayout(root).truth_mask(0, "other-1"), other)


def test_review_with_a_mask_must_say_on_which_slices_it_lies():
    with pytest.raises(ReviewError, match="single voxels, but not their slices"):
        Review("a", 0, Verdict.CORRECTED, "s", truth_mask="m")


# --- what it is counted as ---


def test_plan_and_view_say_that_single_voxels_count(a_project):
    root, project = a_project
    project = corrected_by(root, stroke(1))
    assert plan_next_round(project).sentence == (
        "Round 1 will learn from 2 human segmentations (1 of them on single voxels only) and "
        "2 pseudo-labels."
    )
    case = view_of(root, project).case("other-1")
    assert (case.state, case.truth_fraction, case.is_confirmed) == (
        CaseState.PARTLY_REVIEWED, 0.0, True,
    )  # fmt: skip


def test_single_voxels_on_every_slice_leave_the_case_to_be_proposed(a_project):
    root, project = a_project
    project = corrected_by(root, stroke(0, 1, 2, 3, 4))
    assert [case.id for case in project.cases_to_propose()] == ["other-1", "other-2"]
    assert plan_next_round(project).pseudo == ("other-1", "other-2")


def test_agreement_is_measured_on_what_counts(a_project):
    root, project = a_project
    project = corrected_by(root, stroke(1))
    counts, reviewed = near_of(stroke(1)), stroke(1)
    first, second = drawn(shift=1)[counts] == 1, reviewed[counts] == 1
    dice = 2 * (first & second).sum() / (first.sum() + second.sum())
    found = agreement_with_proposal(root, project, project.reviews[0])
    assert found == {"label 1": pytest.approx(dice), "label 2": None}
    assert dice < 0.9
    (figures,) = round_figures(root, project, lambda *_: None)
    assert figures.agreement == pytest.approx(dice)


def test_export_lays_the_voxels_over_the_proposal_and_says_so(a_project):
    root, project = a_project
    corrected_by(root, stroke(1, 2), extent=TruthExtent.CHANGED_SLICES)
    put_in_review(root, 1)
    array = drawn()
    write_drawing(ProjectLayout(root).proposal(1, "other-1"), array)
    changed = array.copy()
    changed[0, 1, 5:7] = 2
    changed[3, 12, 6] = 2
    project = corrected_by(root, changed)
    (item,) = export_segmentations(root, project, root.parent / "out", case_ids=["other-1"])
    counts = slowly_near(changed != array, SPACING_MM)
    expected = array.copy()
    expected[[1, 2]] = stroke(1, 2)[[1, 2]]
    expected[counts] = changed[counts]
    np.testing.assert_array_equal(read_segmentation(item.path, SCHEMA)[0].array, expected)
    assert item.path.name == "other-1.partly-reviewed.seg.nrrd"
    assert (item.human_fraction, item.has_single_voxels) == (0.4, True)
    assert _source(item) == "corrected on 40 % of the slices and single voxels of others"
    told = description_of(SegmentOrigin(item, expected, None, ""), "").content_description
    assert told == "Reviewed by a person: 40% of the slices, and single voxels"
    assert len(told) <= 64


def test_export_of_nothing_but_voxels_says_so(a_project):
    root, project = a_project
    project = corrected_by(root, stroke(1))
    (item,) = export_segmentations(root, project, root.parent / "out", case_ids=["other-1"])
    assert (item.human_fraction, _source(item)) == (0.0, "corrected on single voxels")
    assert item.path.name == "other-1.partly-reviewed.seg.nrrd"
