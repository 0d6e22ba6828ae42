"""Several images of one patient in the panel: added to a case, and given to a model."""

from dataclasses import replace

import numpy as np
import panel_states as states
import pytest
import slicer
from PySide6 import QtCore, QtWidgets
from test_cases_section import a_volume, right_click_menu, wait_for_call

from PseudoLabelCLLib.domain.channels import NamedImage
from PseudoLabelCLLib.messages.answers import FoundVolume, VolumesFound
from PseudoLabelCLLib.storage.volume_io import read_volume

CHECKED = QtCore.Qt.CheckState.Checked
FURTHER = "Further image of this patient..."


def with_channels(*channels, missing=()):
    """The open project, with names for its images; the third case lacks some."""
    cases = replace(states.OPEN.cases, channels=channels, add_further=states.CAN)
    rows = [
        replace(row, missing_channels=missing if number == 2 else ())
        for number, row in enumerate(cases.rows)
    ]
    return replace(states.OPEN, cases=replace(cases, rows=tuple(rows)))


@pytest.fixture
def two_channels(a_panel):
    a_panel.show(with_channels("FLAIR", "T1", missing=("T1",)))
    return a_panel


def open_further(panel, row=2):
    panel.choose("caseTable", row)
    right_click_menu(panel)[FURTHER].trigger()


def test_the_menu_of_a_case_opens_fields_with_the_image_that_it_lacks(two_channels):
    assert not two_channels.widget("furtherBox").isVisible()
    open_further(two_channels)
    assert two_channels.widget("furtherBox").isVisible()
    assert two_channels.ui.furtherChannelEdit.text == "T1"
    assert not two_channels.widget("furtherFirstEdit").isVisible()
    assert "heart 3" in two_channels.ui.furtherLabel.text
    two_channels.click("furtherDismissButton")
    assert not two_channels.widget("furtherBox").isVisible()
    assert two_channels.calls == []


def test_a_file_is_added_as_the_channel_that_is_named(two_channels, tmp_path):
    open_further(two_channels)
    two_channels.answers.paths = [str(tmp_path / "t1.nii.gz")]
    two_channels.click("furtherFileButton")
    call = wait_for_call(two_channels, "cases.add_further_image")
    assert call[1:] == ("heart 3", NamedImage("T1", str(tmp_path / "t1.nii.gz")), "", False)
    assert not two_channels.widget("furtherBox").isVisible()


def test_a_volume_that_lies_nowhere_on_disk_is_written_and_copied(two_channels):
    volume = a_volume("ADC of the heart")
    open_further(two_channels)
    assert not two_channels.ui.furtherAddButton.enabled
    two_channels.ui.furtherVolumeSelector.setCurrentNode(volume)
    assert two_channels.ui.furtherAddButton.enabled
    two_channels.click("furtherAddButton")
    _, case_id, image, first, copy_image = wait_for_call(two_channels, "cases.add_further_image")
    assert (case_id, image.channel, first, copy_image) == ("heart 3", "T1", "", True)
    np.testing.assert_array_equal(
        read_volume_of(image), np.arange(6 * 8 * 9, dtype=np.int16).reshape(6, 8, 9)
    )


def read_volume_of(image):
    from pathlib import Path  # noqa: PLC0415 - only here

    return read_volume(Path(image.image)).array


def test_the_first_image_is_named_too_where_the_project_has_no_names(a_panel, tmp_path):
    a_panel.show(with_channels())
    open_further(a_panel)
    assert a_panel.widget("furtherFirstEdit").isVisible()
    assert not a_panel.ui.furtherFileButton.enabled
    a_panel.ui.furtherChannelEdit.setText("T1")
    assert "first image" in a_panel.ui.furtherFileButton.toolTip
    a_panel.ui.furtherFirstEdit.setText("FLAIR")
    assert a_panel.ui.furtherFileButton.enabled
    a_panel.answers.paths = [str(tmp_path / "t1.nrrd")]
    a_panel.click("furtherFileButton")
    call = wait_for_call(a_panel, "cases.add_further_image")
    assert call[1:4] == ("heart 3", NamedImage("T1", str(tmp_path / "t1.nrrd")), "FLAIR")


def test_a_name_that_no_channel_can_have_is_told_and_nothing_is_added(two_channels, tmp_path):
    open_further(two_channels)
    two_channels.ui.furtherChannelEdit.setText("a/b")
    two_channels.answers.paths = [str(tmp_path / "t1.nrrd")]
    two_channels.click("furtherFileButton")
    assert "contains one of" in two_channels.ui.messageLabel.text
    assert two_channels.calls == []


def test_the_fields_go_with_their_case(two_channels):
    open_further(two_channels)
    shown = with_channels("FLAIR", "T1")
    rows = tuple(row for row in shown.cases.rows if row.case_id != "heart 3")
    two_channels.show(replace(shown, cases=replace(shown.cases, rows=rows)))
    assert not two_channels.widget("furtherBox").isVisible()


def test_found_patients_tell_which_images_they_have(two_channels):
    found = FoundVolume("p1", "/d/p1_FLAIR.nrrd", None, "20 slices", channel="FLAIR",
                        further_images=(NamedImage("T1", "/d/p1_T1.nrrd"),))  # fmt: skip
    two_channels.panel.presenter.listeners.on_found(VolumesFound((found,), ()))
    item = two_channels.widget("foundList").item(0)
    assert item.text() == "p1  (20 slices), FLAIR, T1"
    assert "/d/p1_T1.nrrd" in item.toolTip()


@pytest.fixture
def a_model_of_two(a_panel):
    use = replace(states.REVIEW.use, channels=("FLAIR", "T1"))
    a_panel.show(replace(states.REVIEW, use=use))
    return a_panel


def mark(panel, *names):
    for name in names:
        slicer.util.addVolumeFromArray(np.ones((5, 6, 7), dtype=np.int16), name=name)
    panel.tick()
    volumes = panel.widget("applyList")
    for row in range(volumes.count()):
        volumes.item(row).setCheckState(CHECKED)


def test_marked_images_of_a_patient_go_to_the_model_together(a_model_of_two, tmp_path):
    mark(a_model_of_two, "p2 T1", "p1 FLAIR", "p1 T1", "p2 FLAIR")
    assert a_model_of_two.ui.applyButton.enabled
    a_model_of_two.ui.applyFolderEdit.setCurrentPath(str(tmp_path))
    a_model_of_two.click("applyButton")
    call = wait_for_call(a_model_of_two, "use.apply")
    images, further = call[1], call[5]
    assert len(images) == len(further) == 2
    nodes = {node.GetName(): node.GetID()
             for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")}  # fmt: skip
    found = {image: [(one.channel, one.image) for one in others]
             for image, others in zip(images, further, strict=True)}  # fmt: skip
    file_of = {name: str(a_model_of_two.panel._folder / "to-segment" / f"{node}.nrrd")
               for name, node in nodes.items()}  # fmt: skip
    assert found == {
        file_of["p1 FLAIR"]: [("T1", file_of["p1 T1"])],
        file_of["p2 FLAIR"]: [("T1", file_of["p2 T1"])],
    }


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("p1 FLAIR", "p1 T1", "p2 FLAIR"), "of 'p2' there is no T1 image"),
        (("p1 FLAIR", "scan 7"), "The name 'scan 7' does not say which of FLAIR, T1 it is"),
    ],
)
def test_a_missing_image_is_named_at_the_button(a_model_of_two, names, why):
    mark(a_model_of_two, *names)
    assert not a_model_of_two.ui.applyButton.enabled
    assert why in a_model_of_two.ui.applyButton.toolTip


def test_one_image_of_each_channel_is_one_patient_whatever_the_series_are_called(a_model_of_two):
    mark(a_model_of_two, "5: ax FLAIR", "7: sag T1")
    assert a_model_of_two.ui.applyButton.enabled


def test_the_menu_has_the_entry_for_further_images(two_channels):
    (menu,) = two_channels.widget("caseTable").findChildren(QtWidgets.QMenu)
    assert FURTHER in [action.text() for action in menu.actions()]
