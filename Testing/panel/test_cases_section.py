"""The step Cases by clicks: projects, the table, roles, adding, structures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import panel_states as states
import pytest
import slicer
from PseudoLabelCLGui.case_row import QuestionRow
from PseudoLabelCLGui.mrml_bridge import CaseMark, remember_case
from PySide6 import QtCore, QtGui, QtWidgets

from PseudoLabelCLLib.curation.grids.stored_files import read_segments
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema
from PseudoLabelCLLib.messages.answers import FoundVolume, Problem, VolumesFound
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation


@pytest.fixture
def an_open_project(a_panel):
    a_panel.show(states.OPEN)
    return a_panel


def a_volume(name="a heart"):
    array = np.arange(6 * 8 * 9, dtype=np.int16).reshape(6, 8, 9)
    return slicer.util.addVolumeFromArray(array, name=name)


def a_segmentation(volume, *names):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn by hand")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for number, name in enumerate(names):
        segment_id = node.GetSegmentation().AddEmptySegment(f"Segment_{number + 1}", name)
        drawn = np.zeros((6, 8, 9), dtype=np.uint8)
        drawn[2:4, 2 * number : 2 * number + 2] = 1
        slicer.util.updateSegmentBinaryLabelmapFromArray(drawn, node, segment_id, volume)
    return node


def wait_for_call(panel, name):
    import time  # noqa: PLC0415 - for this loop

    for _ in range(200):
        panel.tick()
        found = [call for call in panel.calls if call[0] == name]
        if found:
            return found[0]
        time.sleep(0.01)
    raise AssertionError(f"{name} was not called: {panel.calls}")


def test_the_table_shows_every_case(an_open_project):
    rows = an_open_project.texts("caseTable")
    assert [row[0] for row in rows] == ["heart 1", "heart 2", "heart 3", "heart 4", "heart 5"]
    assert [row[1] for row in rows][:3] == ["annotated", "validation", "unlabelled"]


def test_roles_are_set_in_bulk(an_open_project):
    an_open_project.choose("caseTable", 2, 3)
    an_open_project.ui.roleCombo.setCurrentIndex(3)
    an_open_project.click("setRoleButton")
    assert an_open_project.calls == [("cases.set_role", ("heart 3", "heart 4"), CaseRole.IGNORED)]


def test_a_role_needs_chosen_rows_and_says_so(an_open_project):
    an_open_project.choose("caseTable")
    assert not an_open_project.ui.setRoleButton.enabled
    assert an_open_project.ui.setRoleButton.toolTip == "Choose volumes in the table first"


def test_chosen_rows_stay_chosen_when_others_leave(an_open_project):
    an_open_project.choose("caseTable", 3)
    rows = states.OPEN.cases.rows
    an_open_project.show(
        replace(states.OPEN, cases=replace(states.OPEN.cases, rows=(rows[0], *rows[2:])))
    )
    an_open_project.click("setRoleButton")
    assert an_open_project.calls[-1][1] == ("heart 4",)


def test_removing_asks_first(an_open_project):
    an_open_project.choose("caseTable", 4)
    an_open_project.answers.confirms = [False, True]
    an_open_project.click("removeButton")
    assert an_open_project.calls == []
    an_open_project.click("removeButton")
    assert an_open_project.calls == [("cases.remove", ("heart 5",))]
    assert "heart 5" in an_open_project.answers.asked[0]


def test_findings_take_room_only_if_there_are_any(an_open_project):
    assert not an_open_project.widget("findingsList").isVisible()
    an_open_project.show(states.CHECKED)
    assert an_open_project.widget("findingsList").count() == 2


def test_questions_show_a_button_for_each_answer_and_go_when_they_are_answered(an_open_project):
    assert not an_open_project.widget("caseQuestionsArea").isVisible()
    an_open_project.show(states.ASKED)
    assert an_open_project.widget("caseQuestionsArea").isVisible()
    buttons = an_open_project.widget("caseQuestions").findChildren(QtWidgets.QPushButton)
    assert [button.text() for button in buttons] == [
        "Use it voxel for voxel", "Leave it out", "Axial slices", "Coronal slices",
        "Sagittal slices",
    ]  # fmt: skip
    buttons[0].click()
    buttons[3].click()
    assert an_open_project.calls == [
        ("cases.answer_question", 0, "voxels"),
        ("cases.answer_question", 1, "coronal"),
    ]
    an_open_project.show(states.OPEN)
    assert not an_open_project.widget("caseQuestionsArea").isVisible()


def test_more_answers_than_fit_beside_each_other_stand_in_a_list(an_open_project):
    choices = tuple((str(n), f"Number {n}", f"takes number {n}") for n in range(1, 31))
    row = QuestionRow("'cine.nii.gz' holds 30 volumes.", (*choices, ("leave", "Leave it out", "")))
    cases = replace(states.OPEN.cases, questions=(row,))
    an_open_project.show(replace(states.OPEN, cases=cases))
    area = an_open_project.widget("caseQuestions")
    (combo,) = area.findChildren(QtWidgets.QComboBox)
    assert combo.count() == 31
    combo.setCurrentIndex(11)
    (button,) = area.findChildren(QtWidgets.QPushButton)
    assert button.text() == "Answer"
    button.click()
    assert an_open_project.calls == [("cases.answer_question", 0, "12")]


def test_a_new_project_takes_names_that_were_typed(a_panel, tmp_path):
    a_panel.show(states.NEW)
    a_panel.click("newProjectButton")
    assert not a_panel.ui.createProjectButton.enabled
    a_panel.ui.newNameEdit.setText("Hearts é")
    a_panel.ui.newFolderEdit.setCurrentPath(str(tmp_path))
    a_panel.ui.newStructuresEdit.setText("left ventricle, , myocardium")
    a_panel.click("createProjectButton")
    name, root, title, labels = a_panel.calls[0]
    assert (name, root, title) == ("project.new", str(tmp_path / "Hearts é"), "Hearts é")
    assert labels.names == ("left ventricle", "myocardium")


def test_a_new_project_takes_structures_from_a_segmentation(a_panel, tmp_path):
    node = a_segmentation(a_volume(), "vessel", "wall")
    a_panel.show(states.NEW)
    a_panel.click("newProjectButton")
    a_panel.ui.newNameEdit.setText("Vessels")
    a_panel.ui.newFolderEdit.setCurrentPath(str(tmp_path))
    a_panel.ui.newSegmentationSelector.setCurrentNode(node)
    a_panel.click("createProjectButton")
    labels = a_panel.calls[0][3]
    assert labels.names == ("vessel", "wall")
    assert [label.segment_id for label in labels] == ["Segment_1", "Segment_2"]


def test_a_volume_of_the_scene_is_added_with_its_segmentation(an_open_project):
    volume = a_volume("a heart: new/old")
    node = a_segmentation(volume, "left ventricle", "myocardium")
    before = slicer.util.arrayFromSegmentBinaryLabelmap(node, "Segment_1", volume).copy()
    an_open_project.ui.volumeSelector.setCurrentNode(volume)
    an_open_project.ui.segmentationSelector.setCurrentNode(node)
    an_open_project.click("addButton")
    _name, (new,) = wait_for_call(an_open_project, "cases.add_volumes")
    assert (new.case_id, new.role, new.copy_image) == (
        "a heart_ new_old",
        CaseRole.ANNOTATED,
        True,
    )
    labels = LabelSchema(states.LABELS)
    saved, _labels, _words = read_segmentation(Path(new.annotation), labels)
    after = slicer.util.arrayFromSegmentBinaryLabelmap(node, "Segment_1", volume)
    assert (after == before).all()
    assert ((saved.array == 1) == (before == 1)).all()


def test_without_a_segmentation_a_volume_is_unlabelled(an_open_project):
    assert an_open_project.ui.addRoleCombo.currentText == "unlabelled"
    node = a_segmentation(a_volume(), "left ventricle")
    an_open_project.ui.segmentationSelector.setCurrentNode(node)
    assert an_open_project.ui.addRoleCombo.currentText == "annotated"


def test_a_volume_that_is_a_case_already_is_given_its_segmentation(an_open_project):
    volume = a_volume("heart 3")
    remember_case(volume, CaseMark("/projects/Hearts", "heart 3"))
    an_open_project.ui.volumeSelector.setCurrentNode(volume)
    assert not an_open_project.ui.addButton.enabled
    assert "is already case 'heart 3'" in an_open_project.ui.addButton.toolTip
    node = a_segmentation(volume, "left ventricle", "myocardium")
    an_open_project.ui.segmentationSelector.setCurrentNode(node)
    an_open_project.click("addButton")
    _name, case_id, file = wait_for_call(an_open_project, "cases.annotate")
    assert case_id == "heart 3"
    saved, _labels, _words = read_segmentation(Path(file), LabelSchema(states.LABELS))
    drawn = slicer.util.arrayFromSegmentBinaryLabelmap(node, "Segment_2", volume)
    assert ((saved.array == 2) == (drawn == 1)).all()


def test_a_case_of_another_project_is_a_new_volume_here(an_open_project):
    volume = a_volume("heart 3")
    remember_case(volume, CaseMark("/projects/Other", "heart 3"))
    an_open_project.ui.volumeSelector.setCurrentNode(volume)
    an_open_project.click("addButton")
    _name, (new,) = wait_for_call(an_open_project, "cases.add_volumes")
    assert (new.case_id, new.role) == ("heart 3 2", CaseRole.UNLABELLED)


def test_an_annotated_volume_needs_its_segmentation(an_open_project):
    an_open_project.ui.volumeSelector.setCurrentNode(a_volume())
    an_open_project.ui.addRoleCombo.setCurrentIndex(0)
    assert not an_open_project.ui.addButton.enabled
    assert "segmentation" in an_open_project.ui.addButton.toolTip


def test_a_segment_that_is_no_structure_goes_with_the_others_to_be_asked_about(an_open_project):
    volume = a_volume()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn by hand")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.GetSegmentation().AddEmptySegment("aorta-1", "aorta")
    an_open_project.ui.volumeSelector.setCurrentNode(volume)
    an_open_project.ui.segmentationSelector.setCurrentNode(node)
    an_open_project.click("addButton")
    _name, (new,) = wait_for_call(an_open_project, "cases.add_volumes")
    assert [segment.name for segment in read_segments(Path(new.annotation))] == ["aorta"]


def test_files_are_looked_at_before_they_are_added(an_open_project):
    an_open_project.answers.paths = [("/data/a.nrrd", "/data/b.nii.gz")]
    an_open_project.click("addFilesButton")
    assert an_open_project.calls == [("cases.add_paths", ("/data/a.nrrd", "/data/b.nii.gz"))]


def drag(panel, mime, *kinds):
    """Drag something over the table of cases; return whether each event was taken."""
    target = panel.widget("caseTable").viewport()
    moving = (QtCore.Qt.DropAction.CopyAction, mime)
    keys = (QtCore.Qt.MouseButton.LeftButton, QtCore.Qt.KeyboardModifier.NoModifier)
    taken = []
    for kind in kinds:
        event = kind(QtCore.QPointF(9, 9), *moving, *keys)
        event.ignore()
        QtWidgets.QApplication.sendEvent(target, event)
        taken.append(event.isAccepted())
    panel.settle()
    return taken


def test_files_and_folders_dropped_on_the_table_are_looked_at(an_open_project):
    mime = QtCore.QMimeData()
    mime.setUrls([QtCore.QUrl.fromLocalFile(path) for path in ("/data/é 1.nrrd", "/data/dicom")])
    kinds = (QtGui.QDragEnterEvent, QtGui.QDragMoveEvent, QtGui.QDropEvent)
    assert drag(an_open_project, mime, *kinds) == [True, True, True]
    assert an_open_project.calls == [("cases.add_paths", ("/data/é 1.nrrd", "/data/dicom"))]


def test_what_is_no_file_is_left_to_the_window(an_open_project):
    text, page = QtCore.QMimeData(), QtCore.QMimeData()
    text.setText("left ventricle")
    page.setUrls([QtCore.QUrl("https://example.org/heart.nrrd")])
    for mime in (text, page):
        assert drag(an_open_project, mime, QtGui.QDragEnterEvent) == [False]
    assert an_open_project.calls == []


def test_nothing_is_dropped_into_a_module_that_goes_away(an_open_project):
    section = an_open_project.widget("casesPage")
    an_open_project.close()
    assert not section.acceptDrops()


def test_a_dialog_that_was_cancelled_adds_nothing(an_open_project):
    an_open_project.answers.paths = ["", ()]
    an_open_project.click("addFolderButton")
    an_open_project.click("addFilesButton")
    assert an_open_project.calls == []


FOUND = (
    FoundVolume("one", "/dicom", "1.2.3", "CT, 40 slices"),
    FoundVolume("two", "/dicom", "1.2.4", "", None),
)
SEGMENTED = FoundVolume("three", "/d/three.nrrd", None, "", "/d/labels/three.nrrd")


def found(panel, *volumes, problems=()):
    panel.presenter.listeners.on_found(VolumesFound(volumes, problems))
    return panel.widget("foundList")


def test_of_what_was_found_only_the_marked_is_added(an_open_project):
    broken = Problem("", is_error=True, message="A file is broken.", remedy="Copy it again.")
    rows = found(an_open_project, *FOUND, problems=(broken,))
    assert [rows.item(n).text() for n in range(3)] == [
        "one  (CT, 40 slices)",
        "two",
        "A file is broken. Copy it again.",
    ]
    rows.item(1).setCheckState(QtCore.Qt.CheckState.Unchecked)
    an_open_project.click("addFoundButton")
    assert an_open_project.calls == [("cases.add_found", (FOUND[0],), CaseRole.UNLABELLED)]
    assert not rows.isVisible()


def test_what_was_found_takes_the_role_that_is_chosen(an_open_project):
    found(an_open_project, *FOUND)
    assert an_open_project.ui.foundRoleCombo.currentText == "unlabelled"
    an_open_project.ui.foundRoleCombo.setCurrentIndex(3)
    an_open_project.click("addFoundButton")
    assert an_open_project.calls == [("cases.add_found", FOUND, CaseRole.IGNORED)]


def test_a_segmentation_beside_a_volume_is_named_and_proposed(an_open_project):
    rows = found(an_open_project, *FOUND, SEGMENTED)
    assert rows.item(2).text() == "three, segmentation: three.nrrd"
    assert rows.item(2).toolTip() == "/d/three.nrrd\n/d/labels/three.nrrd"
    assert an_open_project.ui.foundRoleCombo.currentText == "as suggested"
    an_open_project.click("addFoundButton")
    assert an_open_project.calls == [("cases.add_found", (*FOUND, SEGMENTED), None)]


def test_what_was_found_is_seen_though_another_step_was_shown(an_open_project):
    an_open_project.click("useStepButton")
    assert found(an_open_project, *FOUND).isVisible()


def test_structures_are_shown_in_slicers_own_table(an_open_project):
    node = an_open_project.ui.structuresTable.segmentationNode()
    segmentation = node.GetSegmentation()
    names = [segmentation.GetNthSegment(n).GetName() for n in range(2)]
    assert names == ["left ventricle", "myocardium"]
    assert node.GetHideFromEditors()


def test_a_renamed_structure_keeps_its_value(an_open_project):
    node = an_open_project.ui.structuresTable.segmentationNode()
    node.GetSegmentation().GetSegment("Segment_2").SetName("muscle")
    node.GetSegmentation().GetSegment("Segment_2").SetColor(0, 1, 0)
    an_open_project.tick()
    _name, labels = an_open_project.calls[-1]
    changed = LabelClass(2, "muscle", "#00ff00", None, "Segment_2")
    assert labels == LabelSchema((states.LABELS[0], changed))


def test_showing_structures_asks_for_no_change(an_open_project):
    for _ in range(3):
        an_open_project.show(replace(states.OPEN, cases=replace(states.OPEN.cases)))
    assert an_open_project.calls == []


def rename(panel, segment_id, name):
    node = panel.ui.structuresTable.segmentationNode()
    node.GetSegmentation().GetSegment(segment_id).SetName(name)
    panel.tick()


def structure_names(panel):
    segmentation = panel.ui.structuresTable.segmentationNode().GetSegmentation()
    return [segmentation.GetNthSegment(n).GetName() for n in range(2)]


def test_a_name_that_cannot_change_now_is_put_back_with_the_reason(an_open_project):
    reason = "Pause the training first."
    cases = replace(states.OPEN.cases, add=states.cannot(reason))
    an_open_project.show(replace(states.OPEN, cases=cases))
    rename(an_open_project, "Segment_2", "muscle")
    assert structure_names(an_open_project) == ["left ventricle", "myocardium"]
    assert an_open_project.ui.messageLabel.text == reason
    assert an_open_project.ui.addStructureButton.toolTip == reason
    assert an_open_project.calls == []


def test_a_name_that_another_structure_has_is_put_back(an_open_project):
    rename(an_open_project, "Segment_2", "left ventricle")
    assert structure_names(an_open_project) == ["left ventricle", "myocardium"]
    assert "left ventricle" in an_open_project.ui.messageLabel.text
    assert an_open_project.calls == []


@pytest.mark.parametrize(
    ("button", "words"),
    [
        ("removeStructureButton", "Choose the structure to remove"),
        ("takeStructuresButton", "Choose the segmentation under 'Add volumes' first"),
    ],
)
def test_a_structure_button_that_lacks_a_choice_says_so(an_open_project, button, words):
    an_open_project.click(button)
    assert an_open_project.ui.messageLabel.text.startswith(words)
    assert an_open_project.calls == []


def test_the_last_structure_stays_and_this_is_said(an_open_project):
    one = replace(states.OPEN.cases, labels=states.LABELS[:1])
    an_open_project.show(replace(states.OPEN, cases=one))
    an_open_project.widget("structuresTable")._table.selectAll()
    an_open_project.click("removeStructureButton")
    assert "at least one structure" in an_open_project.ui.messageLabel.text
    assert an_open_project.calls == []


def test_an_empty_project_says_how_to_begin(a_panel):
    a_panel.show(states.NEW)
    assert not a_panel.widget("findingsList").isVisible()
    a_panel.show(replace(states.OPEN, cases=replace(states.OPEN.cases, rows=())))
    hints = a_panel.widget("findingsList")
    assert hints.isVisible()
    assert "drop files and folders here" in hints.item(0).text()


def test_the_roles_are_explained(a_panel):
    for combo in ("roleCombo", "addRoleCombo", "foundRoleCombo"):
        choices = [a_panel.widget(combo).itemText(n) for n in range(a_panel.widget(combo).count())]
        said = a_panel.widget(combo).toolTip().splitlines()
        assert [line.split(":")[0] for line in said] == choices


def test_structures_neither_come_nor_go_once_a_round_was_trained(an_open_project):
    assert an_open_project.ui.addStructureButton.enabled
    an_open_project.show(states.TRAINING)
    assert not an_open_project.ui.addStructureButton.enabled


def test_the_open_project_is_remembered_in_the_scene(an_open_project):
    class View:
        root = "/projects/Hearts"

    an_open_project.presenter.listeners.on_project_opened(View)
    node = slicer.mrmlScene.GetSingletonNode("PseudoLabelCL", "vtkMRMLScriptedModuleNode")
    assert node.GetParameter("ProjectFolder") == "/projects/Hearts"
    an_open_project.presenter.listeners.on_project_closed()
    assert node.GetParameter("ProjectFolder") == ""


def right_click_menu(panel):
    (menu,) = panel.widget("caseTable").findChildren(QtWidgets.QMenu)
    return {action.text(): action for action in menu.actions()}


def test_a_right_click_chooses_which_slices_of_annotated_cases_count(an_open_project):
    an_open_project.choose("caseTable", 0, 2)  # annotated, and one that nobody has segmented
    right_click_menu(an_open_project)["Only the drawn slices count"].trigger()
    right_click_menu(an_open_project)["All slices count"].trigger()
    assert [call[:2] for call in an_open_project.calls] == [
        ("cases.choose_slices", ("heart 1",))
    ] * 2


def test_the_table_has_the_columns_of_the_state(a_panel):
    cases = states.OPEN.cases
    rows = tuple(replace(row, cells=(*row.cells, "scanner B")) for row in cases.rows)
    columns = (*cases.columns, "Scanner")
    a_panel.show(replace(states.OPEN, cases=replace(cases, columns=columns, rows=rows)))
    table = a_panel.widget("caseTable")
    assert [table.horizontalHeaderItem(n).text() for n in range(table.columnCount())] == [
        "Volume", "Role", "State", "Doubt", "Scanner",
    ]  # fmt: skip
    assert {texts[4] for texts in a_panel.texts("caseTable")} == {"scanner B"}
