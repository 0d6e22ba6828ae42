"""Changes of a proposal in the panel: when they count, what of them, and that none is lost."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import panel_states as states
import slicer
from PySide6 import QtCore
from review_things import corrected, draw, leave, pause, proposal_of, show, wait_until

from PseudoLabelCLLib.domain.review import TruthExtent
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation

KEY = QtCore.Qt.Key


def test_an_edit_is_told_once(a_shown_case):
    draw(a_shown_case)
    a_shown_case.tick()
    assert a_shown_case.calls == [("review.case_is_edited", True)]


def test_a_correction_is_written_and_handed_over(a_shown_case):
    draw(a_shown_case)
    _name, file, left_out = corrected(a_shown_case)
    assert left_out == ()
    labels = LabelSchema(states.LABELS)
    saved, _labels, _words = read_segmentation(Path(file), labels)
    case = a_shown_case.panel._review.proposal.case
    expected = np.load(case.files.proposal)
    expected[0, 0, 0] = 1
    assert (saved.array == expected).all()


def test_structures_marked_as_wrong_go_with_a_correction_too(a_shown_case):
    draw(a_shown_case)
    a_shown_case.widget("segmentEditor").setCurrentSegmentID("Segment_2")
    a_shown_case.click("rejectStructureButton")
    assert corrected(a_shown_case)[2] == (2,)


def test_a_correction_of_another_grid_is_refused_in_words(a_shown_case):
    # what a failing Apply does to a segment once its volume is gone
    case = a_shown_case.panel._review.proposal.case
    segment = case.proposal.GetSegmentation().GetSegment("Segment_1")
    other = slicer.vtkOrientedImageData()
    other.DeepCopy(segment.GetRepresentation("Binary labelmap"))
    other.SetSpacing(0.7, 0.7, 0.7)
    segment.AddRepresentation("Binary labelmap", other)
    a_shown_case.show(states.EDITED)
    a_shown_case.presenter.listeners.on_correction_wanted(())
    name, text, *_rest = a_shown_case.calls[-1]
    assert name == "review.correction_failed"
    assert "different grid" in text
    assert slicer.mrmlScene.IsNodePresent(case.proposal)


def test_a_correction_of_a_case_that_was_left_is_not_handed_over(a_shown_case, tmp_path):
    draw(a_shown_case)
    a_shown_case.presenter.listeners.on_correction_wanted(())
    a_shown_case.presenter.listeners.on_case_left("heart 4", False)
    show(a_shown_case, tmp_path / "b", "heart 3")
    assert "correct" not in {call[0] for call in a_shown_case.calls}


def test_a_stroke_that_was_undone_is_no_edit(a_shown_case):
    draw(a_shown_case)
    assert a_shown_case.calls == [("review.case_is_edited", True)]
    draw(a_shown_case, value=0)  # as undo does: the voxels are as they were, their time is not
    pause(a_shown_case)
    assert a_shown_case.calls[-1] == ("review.case_is_edited", False)
    assert "preview_correction" not in {call[0] for call in a_shown_case.calls}


def test_a_pause_after_a_stroke_lets_the_service_tell_what_would_count(a_shown_case):
    draw(a_shown_case)
    pause(a_shown_case)
    name, file, left_out, edit = a_shown_case.calls[-1]
    assert (name, left_out, edit) == ("review.preview_correction", (), 0)
    saved, _labels, _words = read_segmentation(Path(file), LabelSchema(states.LABELS))
    assert saved.array[0, 0, 0] == 1
    a_shown_case.tick()
    assert a_shown_case.calls[-1][1] == file  # once for each stroke


def test_what_counts_is_chosen_beside_the_button(a_shown_case):
    assert not a_shown_case.widget("extentCombo").isEnabled()
    a_shown_case.show(states.EDITED)
    combo = a_shown_case.widget("extentCombo")
    texts = [combo.itemText(n) for n in range(combo.count())]
    assert texts == [choice.text for choice in states.EDITED.review.extents]
    assert a_shown_case.ui.acceptButton.text == "Save correction"
    combo.setCurrentIndex(1)
    assert a_shown_case.calls[-1] == ("review.choose_extent", TruthExtent.CHANGED_VOXELS)
    a_shown_case.show(states.REVIEW)
    assert not combo.isHidden()  # the buttons below stay where they are
    assert not combo.isEnabled()


def near_state(tmp_path):
    near = np.zeros(states.SHAPE, np.uint8)
    near[1, 2, 3] = 1
    np.save(tmp_path / "near.npy", near)
    review = replace(
        states.EDITED.review, extent=TruthExtent.CHANGED_VOXELS, near=str(tmp_path / "near.npy")
    )
    return replace(states.EDITED, review=review)


def test_the_voxels_that_count_are_seen_before_the_verdict(a_shown_case, tmp_path):
    composite = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    a_shown_case.show(near_state(tmp_path))
    wait_until(a_shown_case, composite.GetLabelVolumeID)
    node = slicer.mrmlScene.GetNodeByID(composite.GetLabelVolumeID())
    assert [tuple(v) for v in np.argwhere(slicer.util.arrayFromVolume(node))] == [(1, 2, 3)]
    assert composite.GetLabelOpacity() > 0
    a_shown_case.show(states.EDITED)  # whole slices count
    assert not composite.GetLabelVolumeID()


def test_edits_that_were_not_saved_stay_in_the_scene(a_shown_case):
    draw(a_shown_case)
    proposal = proposal_of(a_shown_case)
    leave(a_shown_case)
    assert slicer.mrmlScene.IsNodePresent(proposal)
    assert "not saved" in a_shown_case.ui.messageLabel.text


def test_the_next_case_never_takes_the_node_with_somebodys_edits(a_shown_case, tmp_path):
    draw(a_shown_case)
    mine, volume = proposal_of(a_shown_case), a_shown_case.panel._review.proposal.case.volume
    a_shown_case.presenter.listeners.on_case_left("heart 4", False)
    show(a_shown_case, tmp_path / "b", "heart 3")
    assert proposal_of(a_shown_case) is not mine
    voxels = slicer.util.arrayFromSegmentBinaryLabelmap(mine, "Segment_1", volume)
    assert voxels[0, 0, 0] == 1
    assert not mine.GetDisplayNode().GetVisibility()  # it would lie over the other case


def test_edits_that_the_person_discards_leave_with_the_case(a_shown_case):
    draw(a_shown_case)
    proposal = proposal_of(a_shown_case)
    leave(a_shown_case, discard=True)
    assert not slicer.mrmlScene.IsNodePresent(proposal)


def test_edits_that_are_in_the_project_leave_with_the_case(a_shown_case):
    draw(a_shown_case)
    corrected(a_shown_case)
    a_shown_case.presenter.listeners.on_verdict_saved(("heart 4",))
    proposal = proposal_of(a_shown_case)
    leave(a_shown_case)
    assert not slicer.mrmlScene.IsNodePresent(proposal)


def test_what_is_drawn_after_a_correction_is_an_edit_again(a_shown_case):
    draw(a_shown_case)
    a_shown_case.click("rejectButton")
    a_shown_case.presenter.listeners.on_verdict_saved(("heart 4",))
    a_shown_case.tick()
    assert a_shown_case.calls == [("review.case_is_edited", True), ("review.reject",)]
    draw(a_shown_case)
    assert a_shown_case.calls[-1] == ("review.case_is_edited", True)


def test_a_correction_that_was_refused_does_not_let_the_edits_go(a_shown_case):
    draw(a_shown_case)
    corrected(a_shown_case)
    a_shown_case.show(replace(states.EDITED, message=states.FAULT.message))
    proposal = proposal_of(a_shown_case)
    leave(a_shown_case)
    assert slicer.mrmlScene.IsNodePresent(proposal)


def test_edits_on_a_volume_that_is_deleted_stay_and_that_is_said(a_shown_case):
    draw(a_shown_case)
    proposal = proposal_of(a_shown_case)
    slicer.mrmlScene.RemoveNode(a_shown_case.panel._review.proposal.case.volume)
    a_shown_case.tick()
    assert slicer.mrmlScene.IsNodePresent(proposal)
    assert "deleted from the scene" in a_shown_case.ui.messageLabel.text
    assert proposal.GetName() in a_shown_case.ui.messageRemedyLabel.text
