"""What of a correction counts as human truth is said, and chosen, before the verdict."""

from dataclasses import replace

import numpy as np
import pytest
from a_presenter import Stage
from PseudoLabelCLGui.presenter.facts.facts import Facts
from PseudoLabelCLGui.presenter.review.show_review import extent_choices
from reviewing import edited, in_review, shown, written

from PseudoLabelCLLib.domain.review import TruthExtent, Verdict
from PseudoLabelCLLib.messages.answers import CorrectionPreview
from PseudoLabelCLLib.messages.requests import Accept, Correct, PreviewCorrection

SLICES, VOXELS, WHOLE = TruthExtent


@pytest.fixture
def review() -> Stage:
    return in_review()


def texts(stage: Stage) -> list[str]:
    return [choice.text for choice in stage.state.review.extents]


def test_an_unchanged_proposal_has_nothing_to_choose(review):
    shown(review, "u0")
    assert review.state.review.extents == ()
    assert review.state.review.accept.text == "Accept"
    assert "proposal as shown" in review.state.review.accept.tool_tip


def test_changing_and_saving_is_one_button_that_says_so(review):
    edited(review)
    assert review.state.review.accept.text == "Save correction"
    review.presenter.review.accept((1,))
    assert review.heard[-1] == ("on_correction_wanted", (1,))
    assert not review.service.requests(Accept)
    review.presenter.review.correct("/mine.seg.nrrd", left_out=(1,))
    review.settle()
    identity = review.disk.identity("u0", 0)
    assert review.service.requests(Correct) == [Correct(identity, "/mine.seg.nrrd", SLICES, (1,))]
    assert review.disk.verdicts == {(0, "u0"): Verdict.CORRECTED}
    assert review.state.review.case_id == "u1"


def test_undoing_everything_makes_it_accept_again(review):
    edited(review)
    review.presenter.review.choose_extent(WHOLE)
    review.presenter.review.case_is_edited(False)
    assert review.state.review.accept.text == "Accept"
    assert review.state.review.extents == ()
    review.presenter.review.accept()
    review.settle()
    assert review.service.requests(Accept)


def test_before_the_service_has_counted_the_choices_have_no_numbers(review):
    edited(review)
    assert texts(review) == [
        "the slices that I changed",
        "only the voxels that I changed and 3 mm around them",
        "all 4 slices",
    ]
    assert review.state.review.near is None


def test_after_it_has_counted_they_do(review):
    edited(review)
    review.presenter.review.preview_correction("/now.seg.nrrd")
    review.settle()
    assert review.service.requests(PreviewCorrection)[0].proposal == review.state.review.identity
    assert texts(review) == [
        "the 2 slices that I changed (k = 1 to 2)",
        "only the voxels that I changed and 3 mm around them (1,240 voxels)",
        "all 4 slices",
    ]
    assert review.state.review.near == "/near.npy"
    assert "the 2 slices that I changed (k = 1 to 2)" in review.state.review.accept.tool_tip


def test_one_slice_and_one_voxel_are_told_in_the_singular(review):
    edited(review)
    facts: Facts = review.presenter._core.facts
    identity = review.state.review.identity
    facts.review.preview = CorrectionPreview(identity, (3,), 1, 1, "/near.npy")
    facts.review.preview_edit = facts.review.edit
    assert [choice.text for choice in extent_choices(facts)][:2] == [
        "the slice that I changed (k = 3)",
        "only the voxels that I changed and 3 mm around them (1 voxel)",
    ]


def test_slices_are_numbered_as_slicer_does_which_reverses_left_handed_volumes(review):
    edited(review)
    facts: Facts = review.presenter._core.facts
    files = facts.review.files
    i, j, k = files.geometry.direction[0::3], files.geometry.direction[1::3], (0.0, 0.0, -1.0)
    mirrored = replace(files.geometry, direction=tuple(np.column_stack([i, j, k]).ravel().tolist()))
    assert mirrored.is_left_handed
    facts.review.files = replace(files, geometry=mirrored)
    identity = review.state.review.identity
    facts.review.preview = CorrectionPreview(identity, (0, 2), 2, 9, "/near.npy")
    facts.review.preview_edit = facts.review.edit
    assert extent_choices(facts)[0].text == "the 2 slices that I changed (k = 1 to 3)"


def test_a_preview_of_what_was_changed_since_is_not_shown(review):
    edited(review)
    review.presenter.review.preview_correction("/now.seg.nrrd")
    review.settle()
    review.presenter.review.case_is_edited(True)
    assert texts(review)[0] == "the slices that I changed"
    assert review.state.review.near is None


def test_a_preview_that_comes_after_the_next_change_is_not_shown(review):
    edited(review)
    review.service.by_hand = True
    review.presenter.review.preview_correction("/now.seg.nrrd")
    review.presenter.review.case_is_edited(True)
    review.service.by_hand = False
    review.settle()
    assert review.state.review.near is None


def test_a_preview_of_voxels_that_were_copied_before_the_newest_change_is_not_shown(review):
    edited(review)
    copied_at = review.presenter.review.edit
    review.presenter.review.case_is_edited(True)
    review.presenter.review.preview_correction("/older.seg.nrrd", edit=copied_at)
    review.settle()
    assert review.state.review.near is None


def test_a_preview_of_another_case_is_not_shown(review):
    edited(review)
    review.service.by_hand = True
    review.presenter.review.preview_correction("/now.seg.nrrd")
    review.presenter.review.next_case()
    review.service.by_hand = False
    review.answer("Discard my changes")
    review.presenter.review.case_is_edited(True)
    assert review.state.review.case_id == "u1"
    assert review.state.review.near is None


def test_of_several_previews_only_the_newest_is_asked_for(review):
    edited(review)
    review.service.by_hand = True
    for number in range(5):
        review.presenter.review.preview_correction(f"/{number}.seg.nrrd")
    review.service.by_hand = False
    review.settle()
    asked = [request.file for request in review.service.requests(PreviewCorrection)]
    assert asked == ["/0.seg.nrrd", "/4.seg.nrrd"]
    assert review.state.review.near == "/near.npy"


@pytest.mark.parametrize("extent", list(TruthExtent))
def test_the_chosen_extent_is_stored_and_the_next_case_begins_with_its_slices(review, extent):
    edited(review)
    review.presenter.review.choose_extent(extent)
    assert review.state.review.extent is extent
    review.presenter.review.accept()
    written(review)
    assert review.service.requests(Correct)[0].extent is extent
    assert review.state.review.case_id == "u1"
    assert review.state.review.extent is SLICES


def test_a_refused_preview_says_nothing_and_does_not_stop_the_next(review):
    edited(review)
    review.service.refuse(PreviewCorrection, "AnnotationError", "It lies elsewhere.")
    review.presenter.review.preview_correction("/bad.seg.nrrd")
    review.settle()
    assert review.state.message.text == ""
    review.presenter.review.preview_correction("/good.seg.nrrd")
    review.settle()
    assert review.state.review.near == "/near.npy"
