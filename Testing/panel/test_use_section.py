"""The step Use by clicks: the model, the queue of volumes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import panel_states as states
import pytest
import slicer
from PseudoLabelCLGui.case_row import QuestionRow
from PseudoLabelCLGui.mrml_bridge import SavedVolume
from PySide6 import QtCore, QtWidgets
from test_review_section import wait_until

from PseudoLabelCLLib.domain.file_formats import SegmentationFormat

CHECKED = QtCore.Qt.CheckState.Checked


@pytest.fixture
def a_model(a_panel):
    a_panel.show(states.REVIEW)
    return a_panel


def test_marked_volumes_of_the_scene_are_segmented(a_model, tmp_path):
    voxels = np.ones((5, 6, 7), dtype=np.int16)
    slicer.util.addVolumeFromArray(voxels, name="heart 7")
    slicer.util.addVolumeFromArray(voxels, name="heart 8")
    a_model.tick()
    assert not a_model.ui.applyButton.enabled
    a_model.widget("applyList").item(1).setCheckState(CHECKED)
    assert a_model.ui.applyButton.enabled
    a_model.ui.applyFolderEdit.setCurrentPath(str(tmp_path))
    a_model.ui.applyFormatCombo.setCurrentIndex(1)
    a_model.click("applyButton")
    wait_until(a_model, lambda: bool(a_model.calls))
    name, (image,), folder, form, series, further = a_model.calls[0]
    assert (name, folder, form) == ("use.apply", str(tmp_path), SegmentationFormat.NIFTI)
    assert (series, further) == ((None,), ())
    assert Path(image).is_file()


def test_the_series_of_a_volume_from_dicom_is_named(a_model, tmp_path, monkeypatch):
    for name in ("CT 1", "CT 2"):
        slicer.util.addVolumeFromArray(np.ones((5, 6, 7), dtype=np.int16), name=name)
    folder = tmp_path / "dicom"
    monkeypatch.setattr(
        "PseudoLabelCLGui.sections.use.use.source_of",
        lambda node: SavedVolume(folder, f"1.2.{node.GetName()[-1]}"),
    )
    a_model.tick()
    a_model.click("markAllButton")
    a_model.ui.applyFolderEdit.setCurrentPath(str(tmp_path))
    a_model.click("applyButton")
    wait_until(a_model, lambda: bool(a_model.calls))
    form = SegmentationFormat.SEG_NRRD
    images = (str(folder), str(folder))
    assert a_model.calls == [("use.apply", images, str(tmp_path), form, ("1.2.1", "1.2.2"), ())]


def test_marks_stay_when_volumes_come_and_go(a_model):
    for name in ("one", "two"):
        slicer.util.addVolumeFromArray(np.ones((3, 3, 3)), name=name)
    a_model.tick()
    volumes = a_model.widget("applyList")
    volumes.item(1).setCheckState(CHECKED)
    slicer.mrmlScene.RemoveNode(slicer.util.getNode("one"))
    a_model.tick()
    assert [volumes.item(n).text() for n in range(volumes.count())] == ["two"]
    assert volumes.item(0).checkState() == CHECKED


def test_questions_about_volumes_show_their_answers_and_go_when_they_are_answered(a_model):
    assert a_model.widget("applyQuestionsArea").isHidden()
    choices = (("1", "Number 1", ""), ("2", "Number 2", ""), ("leave", "Leave it out", ""))
    row = QuestionRow("'cine.nii.gz' holds 2 volumes.", choices)
    asked = replace(states.REVIEW.use, questions=(row,))
    a_model.show(replace(states.REVIEW, use=asked))
    assert not a_model.widget("applyQuestionsArea").isHidden()
    a_model.widget("applyQuestions").findChildren(QtWidgets.QPushButton)[1].click()
    assert a_model.calls == [("use.answer_question", 0, "2")]
    a_model.show(states.REVIEW)
    assert a_model.widget("applyQuestionsArea").isHidden()


def test_files_that_are_added_are_marked(a_model):
    a_model.answers.paths = [("/data/a.nrrd",)]
    a_model.click("applyFilesButton")
    item = a_model.widget("applyList").item(0)
    assert (item.text(), item.checkState()) == ("a.nrrd", CHECKED)


def test_models_are_loaded_and_saved(a_model):
    a_model.answers.paths = ["/models/a.pt", "", "/models/b.pt"]
    a_model.click("loadModelButton")
    a_model.click("saveModelButton")
    a_model.click("saveModelButton")
    a_model.click("newestModelButton")
    assert a_model.calls == [
        ("use.load_model", "/models/a.pt"),
        ("use.save_model", "/models/b.pt"),
        ("use.load_newest_model",),
    ]


def test_the_queue_is_followed_and_can_be_cancelled(a_model):
    a_model.show(states.USING)
    assert a_model.widget("resultsList").count() == 2
    a_model.click("cancelApplyButton")
    assert a_model.calls == [("use.cancel",)]
