"""The head, the steps, the foot and what the panel remembers, by clicks."""

from dataclasses import replace
from pathlib import Path

import layout_states as laid_out
import numpy as np
import panel_states as states
import pytest
import slicer
from PseudoLabelCLGui.panel_state import Light, Message
from PySide6 import QtWidgets
from stand_ins.pythonqt import unwrap


@pytest.fixture
def an_open_project(a_panel):
    a_panel.show(laid_out.OPEN)
    return a_panel


def page(panel):
    return panel.widget("pages").currentWidget().objectName()


def actions(menu):
    return {action.text(): action for action in menu.actions() if action.text()}


def project_menu(panel):
    return actions(panel.widget("projectButton").menu())


def test_each_step_has_one_page_and_a_foot_of_its_own(an_open_project):
    feet = {"cases": "checkButton", "train": "trainButton", "review": "acceptButton",
            "use": "applyButton"}  # fmt: skip
    for step, button in feet.items():
        an_open_project.click(f"{step}StepButton")
        assert page(an_open_project) == f"{step}Page"
        shown = [name for name in feet.values() if an_open_project.widget(name).isVisible()]
        assert shown == [button]


def test_a_closed_project_leaves_the_page_on_which_the_next_one_is_opened(an_open_project):
    an_open_project.click("useStepButton")
    an_open_project.presenter.listeners.on_project_closed()
    assert page(an_open_project) == "casesPage"


def test_training_is_started_by_one_button_only(an_open_project):
    an_open_project.show(laid_out.CHECKED)
    top = unwrap(an_open_project.panel.top)
    words = "Train round 0"
    named = [one for one in top.findChildren(QtWidgets.QAbstractButton) if one.text() == words]
    assert [one.objectName() for one in named] == ["trainButton"]
    an_open_project.click("nextThingButton")
    assert an_open_project.calls == [("go_to_next",)]


def test_done_steps_are_ticked_and_told_in_one_line(a_panel):
    a_panel.show(laid_out.REVIEW)
    a_panel.click("reviewStepButton")
    texts = [a_panel.widget(f"{step}StepButton").text() for step in ("cases", "train", "review")]
    assert texts == ["\N{CHECK MARK} Cases", "\N{CHECK MARK} Train", "Review"]
    told = "Cases: 1 annotated, 5 unlabelled, 1 validation; Train: Round 1 trained"
    assert a_panel.ui.doneLabel.toolTip.startswith(told)


@pytest.mark.parametrize("step", ["cases", "train", "review", "use"])
def test_a_step_that_the_presenter_wants_is_opened(an_open_project, step):
    an_open_project.panel._steps.open("computer")
    an_open_project.presenter.listeners.on_step_wanted(step)
    assert page(an_open_project) == f"{step}Page"


def test_what_runs_is_said_in_the_head_whatever_step_is_shown(a_panel):
    a_panel.show(laid_out.EXPORTING)
    for step in ("cases", "train", "review", "use"):
        a_panel.click(f"{step}StepButton")
        assert a_panel.widget("statusBar").isVisible()
    a_panel.show(laid_out.OPEN)
    assert not a_panel.widget("statusFrame").isVisible()


def test_a_question_stands_in_the_head_and_its_buttons_answer_it(a_panel):
    a_panel.show(replace(laid_out.EDITED, message=laid_out.QUESTION))
    buttons = [a_panel.widget(f"answerButton{n}") for n in (1, 2, 3, 4)]
    assert [one.text() for one in buttons if one.isVisible()] == [
        "Save correction", "Discard", "Cancel",
    ]  # fmt: skip
    assert [one.isDefault() for one in buttons[:3]] == [False, False, True]
    a_panel.click("answerButton3")
    assert a_panel.calls == [("answer", 2)]


def test_a_question_stays_while_the_panel_has_something_of_its_own_to_say(a_panel):
    a_panel.show(replace(laid_out.EDITED, message=laid_out.QUESTION))
    a_panel.panel._tell(Light.AMBER, "A volume left the scene.")
    assert a_panel.ui.messageLabel.text == laid_out.QUESTION.text


def test_a_message_can_be_closed_and_a_question_cannot(a_panel):
    a_panel.show(replace(laid_out.CHECKED, message=Message(Light.RED, "The volume is gone.")))
    a_panel.click("closeMessageButton")
    assert a_panel.calls == [("close_message",)]
    a_panel.panel._tell(Light.AMBER, "A volume left the scene.")
    a_panel.click("closeMessageButton")
    assert a_panel.ui.messageLabel.text == "The volume is gone."
    assert a_panel.calls == [("close_message",)]
    a_panel.show(replace(laid_out.EDITED, message=laid_out.QUESTION))
    assert not a_panel.widget("closeMessageButton").isVisible()


def test_a_message_of_any_length_leaves_the_foot_in_sight_and_is_all_in_the_tool_tip(a_panel):
    text = "The volume is on another grid. " * 40
    a_panel.show(replace(laid_out.CHECKED, message=Message(Light.RED, text)))
    a_panel.module_widget.window.resize(400, 440)
    a_panel.settle()
    view = a_panel.module_widget.window.viewport()
    foot = a_panel.widget("footFrame")
    assert foot.mapTo(view, foot.rect().bottomLeft()).y() < view.height()
    assert a_panel.ui.messageLabel.toolTip == text


def test_missing_packages_lead_to_the_page_of_this_computer(a_panel):
    needed = replace(laid_out.CHECKED, readiness=states.MISSING.readiness)
    a_panel.show(needed)
    a_panel.click("nextThingButton")
    assert page(a_panel) == "computerPage"
    assert a_panel.widget("installButton").isVisible()


def test_projects_that_were_open_before_are_in_the_menu_and_on_the_first_page(a_panel):
    a_panel.show(laid_out.with_recent(laid_out.NEW))
    listed = a_panel.widget("recentList")
    assert [listed.item(n).text().split()[0] for n in range(2)] == ["Hearts", laid_out.LONG_NAME]
    recent = actions(project_menu(a_panel)["Recent projects"].menu())
    recent["Hearts  (in /home/someone/projects)"].trigger()
    listed.setCurrentRow(1)
    listed.itemDoubleClicked.emit(listed.item(1))
    assert a_panel.calls == [
        ("project.open", "/home/someone/projects/Hearts"),
        ("project.open", f"/home/someone/projects/{laid_out.LONG_NAME}"),
    ]


def test_recent_projects_outlive_the_session(app):
    from PseudoLabelCLGui.sections.parts.remembering import (  # noqa: PLC0415 - the stand-ins come first
        RememberedProjects,
    )

    RememberedProjects().write(("/projects/Hearts", "/projects/Hips"))
    assert RememberedProjects().read() == ("/projects/Hearts", "/projects/Hips")


def test_the_menu_offers_what_can_be_done_with_a_project(an_open_project):
    menu = project_menu(an_open_project)
    assert list(menu) == [
        "New...", "Open...", "Recent projects", "Sample project...", "Close the project",
        "Show the folder", "This computer...",
    ]  # fmt: skip
    menu["Close the project"].trigger()
    assert an_open_project.calls == [("project.close",)]
    menu["This computer..."].trigger()
    assert page(an_open_project) == "computerPage"
    an_open_project.show(laid_out.NEW)
    assert not menu["Close the project"].isEnabled()
    assert not menu["Show the folder"].isEnabled()


def test_a_dialog_begins_where_the_last_one_ended(an_open_project, tmp_path, monkeypatch):
    starts = []

    def ask(_parent, _title, start, *_kinds):
        starts.append(start)
        return (str(tmp_path / "heart.nrrd"),)

    monkeypatch.setattr(
        "PseudoLabelCLGui.sections.parts.asking.qt.QFileDialog.getOpenFileNames", ask
    )
    an_open_project.click("addFilesButton")
    an_open_project.click("addFilesButton")
    assert starts[1] == str(tmp_path)


def test_after_new_from_a_segmentation_it_and_its_volume_are_chosen(a_panel, tmp_path):
    a_panel.show(laid_out.NEW)
    volume = slicer.util.addVolumeFromArray(np.ones((4, 5, 6), np.int16), name="heart 1")
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.GetSegmentation().AddEmptySegment("ventricle")
    a_panel.click("newProjectButton")
    assert page(a_panel) == "newProjectPage"
    a_panel.widget("newNameEdit").setText("Hearts")
    a_panel.ui.newFolderEdit.setCurrentPath(str(tmp_path))
    a_panel.ui.newSegmentationSelector.setCurrentNode(node)
    a_panel.click("createProjectButton")
    empty = replace(laid_out.OPEN, cases=replace(laid_out.OPEN.cases, rows=()))
    a_panel.show(replace(empty, project=replace(empty.project, root=str(Path(tmp_path, "Hearts")))))
    assert page(a_panel) == "casesPage"
    assert a_panel.ui.segmentationSelector.currentNode() is node
    assert a_panel.ui.volumeSelector.currentNode() is volume
    assert a_panel.widget("addButton").isVisible()


def test_roles_are_set_from_the_menu_and_the_present_one_is_ticked(an_open_project):
    an_open_project.choose("caseTable", 1)
    table = an_open_project.widget("caseTable")
    table.customContextMenuRequested.emit(table.rect().center())
    menu = next(one for one in table.findChildren(QtWidgets.QMenu) if one.actions())
    texts = [action.text() for action in menu.actions()]
    assert texts[:4] == [
        "Set role: annotated", "Set role: unlabelled", "Set role: validation", "Set role: ignored",
    ]  # fmt: skip
    ticked = [action.isChecked() for action in menu.actions()]
    assert ticked[:4] == [False, False, True, False]
    menu.close()


def test_volumes_of_the_scene_are_segmented_without_a_folder(a_panel, tmp_path):
    a_panel.show(laid_out.REVIEW)
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "heart 7")
    a_panel.tick()
    a_panel.click("useStepButton")
    a_panel.click("markAllButton")
    assert a_panel.ui.applyButton.enabled
    assert "exist only in the scene" in a_panel.ui.applyFolderNote.text
    file = tmp_path / "heart 9.nrrd"
    a_panel.answers.paths = [(str(file),)]
    a_panel.click("applyFilesButton")
    assert not a_panel.ui.applyButton.enabled
    assert "not in the scene" in a_panel.ui.applyButton.toolTip
