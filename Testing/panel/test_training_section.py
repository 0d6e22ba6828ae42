"""Readiness, training and rounds, by clicks."""

from dataclasses import replace
from types import SimpleNamespace

import panel_states as states
import pytest
import slicer
from layout_states import OPEN, TRAINING
from PseudoLabelCLGui.packages.installation import InstallProgress
from PseudoLabelCLGui.packages.python_packages import (
    MOST_GPUS_SETTING,
    WHEELS_SETTING,
    MissingPackages,
)
from PseudoLabelCLGui.panel_state import Action, PanelState, ReadinessState
from PySide6 import QtCore, QtWidgets
from stand_ins.pythonqt import unwrap

from PseudoLabelCLLib.messages.readiness import ReadinessReport
from PseudoLabelCLLib.storage.project.own_reports import write_sealed_report


@pytest.fixture
def an_open_project(a_panel):
    a_panel.show(states.OPEN)
    return a_panel


def test_train_hands_over_rounds_and_stop_rule(an_open_project):
    an_open_project.ui.roundsSpin.setValue(3)
    an_open_project.ui.stopWhenNoBetterCheck.setChecked(False)
    an_open_project.click("trainButton")
    assert an_open_project.calls == [("train.start", 3, False)]


def test_a_disabled_button_says_why(an_open_project):
    an_open_project.show(states.TRAINING)
    assert not an_open_project.ui.trainButton.enabled
    assert an_open_project.ui.trainButton.toolTip == "A round is being trained."


def test_what_cannot_be_chosen_now_says_why(a_panel):
    a_panel.show(states.OPEN)
    spin, seed = a_panel.ui.roundsSpin, a_panel.ui.seedEdit
    for_rounds, settled = spin.toolTip, "Cannot be changed once the first round has started."
    assert seed.toolTip == settled
    assert a_panel.ui.pretrainButton.toolTip == "Choose a pre-training method first."
    a_panel.show(states.TRAINING)
    for name in ("roundsSpin", "profileCombo", "pretrainingCombo", "jointStepsEdit"):
        assert a_panel.widget(name).toolTip() == "Pause the training first."
        assert not a_panel.widget(name).isEnabled()
    a_panel.show(states.OPEN)
    assert spin.toolTip == for_rounds
    a_panel.show(states.NEW)
    assert seed.toolTip == "Open a project first."


def with_start(*, has_start, text):
    start = Action(enabled=True, text=text)
    return replace(states.OPEN, train=replace(states.OPEN.train, start=start, has_start=has_start))


def test_a_model_to_start_from_is_asked_for_and_can_be_forgotten(a_panel):
    a_panel.show(with_start(has_start=False, text="Start from a model..."))
    assert a_panel.ui.startFromButton.text == "Start from a model..."
    a_panel.answers.paths = ["", "/models/colon.plcl"]
    a_panel.click("startFromButton")
    a_panel.click("startFromButton")
    a_panel.show(with_start(has_start=True, text="Start without the model"))
    a_panel.click("startFromButton")
    assert a_panel.calls == [
        ("train.start_from", "/models/colon.plcl"), ("train.start_from", ""),
    ]  # fmt: skip


def test_a_file_for_the_pretrained_network_is_asked_for(a_panel):
    saves = Action(enabled=True, tool_tip="Saves it.")
    a_panel.show(replace(states.OPEN, train=replace(states.OPEN.train, save_pretrained=saves)))
    assert a_panel.ui.savePretrainedButton.toolTip == "Saves it."
    a_panel.answers.paths = ["", "/models/start.plcl"]
    a_panel.click("savePretrainedButton")
    a_panel.click("savePretrainedButton")
    assert a_panel.calls == [("train.save_pretrained", "/models/start.plcl")]


def test_pause_asks_nothing_and_stop_asks(an_open_project):
    an_open_project.show(states.TRAINING)
    an_open_project.click("pauseButton")
    an_open_project.answers.confirms = [False, True]
    an_open_project.click("stopButton")
    an_open_project.click("stopButton")
    assert an_open_project.calls == [("train.pause",), ("train.stop",)]
    assert "is no longer used" in an_open_project.answers.asked[0]


def test_choosing_a_profile_tells_the_presenter_and_showing_one_does_not(an_open_project):
    an_open_project.show(replace(states.OPEN, train=replace(states.OPEN.train, profile="balanced")))
    assert an_open_project.calls == []
    assert an_open_project.ui.profileCombo.currentText.startswith("balanced")
    an_open_project.widget("profileCombo").setCurrentIndex(2)
    assert an_open_project.calls == [("train.set_profile", "paper")]


def test_a_setting_that_is_left_to_the_program_has_an_empty_field(a_panel):
    name = "preprocess.in_plane_spacing_mm"
    for value, shown in (("null", ""), ("1.5", "1.5")):
        settings = {**states.OPEN.train.settings, name: value}
        free = states.OPEN.train.can_change | {name}
        train = replace(states.OPEN.train, settings=settings, can_change=free)
        a_panel.show(replace(states.OPEN, train=train))
        assert a_panel.ui.pixelSizeEdit.text == shown
    edit = a_panel.widget("pixelSizeEdit")
    edit.setText("")
    edit.editingFinished.emit()
    assert a_panel.calls == [("train.change_setting", name, "null")]


def test_a_setting_is_changed_once_it_was_typed(an_open_project):
    edit = an_open_project.widget("jointStepsEdit")
    assert edit.text() == "600"
    edit.setText("400")
    assert an_open_project.calls == []
    edit.editingFinished.emit()
    assert an_open_project.calls == [("train.change_setting", "training.joint.num_steps", "400")]


def test_settings_that_are_settled_cannot_be_changed(an_open_project):
    an_open_project.show(states.TRAINING)
    assert not an_open_project.ui.jointStepsEdit.enabled
    assert not an_open_project.ui.profileCombo.enabled


def test_progress_is_shown_while_training_only(an_open_project):
    bar = an_open_project.widget("statusBar")
    assert not bar.isVisible()
    an_open_project.show(TRAINING)
    assert bar.isVisible()
    assert bar.value() / bar.maximum() == pytest.approx(0.45)
    assert an_open_project.ui.statusLabel.toolTip == "Round 1: training, step 300 of 600"
    assert an_open_project.ui.timeLeftLabel.text == "about 3 min left"
    unknown = replace(TRAINING.status, fraction=None)
    an_open_project.show(replace(TRAINING, status=unknown))
    assert bar.maximum() == 0
    an_open_project.show(OPEN)
    assert not bar.isVisible()


def test_curves_are_a_native_plot(an_open_project):
    plot = an_open_project.widget("trainingPlot")
    assert plot.isHidden()
    an_open_project.show(states.TRAINING)
    assert not plot.isHidden()
    ((node, points),) = plot.series()
    loss = states.TRAINING.train.loss
    assert node.GetName() == "loss"
    assert points == list(zip(loss.x, loss.y, strict=True))
    beside = plot.parentWidget().findChild(QtWidgets.QWidget, "trainingPlotBeside")
    ((node, points),) = beside.series()
    assert node.GetName() == "Dice"
    assert [x for x, _y in points] == [0.0, 100.0, 200.0]


def test_curves_come_back_after_the_scene_was_closed(an_open_project):
    an_open_project.show(states.TRAINING)
    slicer.mrmlScene.Clear()
    an_open_project.show(replace(states.TRAINING))
    ((node, _points),) = an_open_project.widget("trainingPlot").series()
    assert node.GetName() == "loss"


def test_ten_updates_a_second_leave_what_did_not_change_alone(an_open_project):
    an_open_project.show(states.TRAINING)
    chart = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLPlotChartNode")
    modified, count = chart.GetMTime(), slicer.mrmlScene.GetNumberOfNodes()
    for step in range(20):
        stage = replace(states.TRAINING.train, stage=f"step {step}")
        an_open_project.show(replace(states.TRAINING, train=stage))
    assert slicer.mrmlScene.GetNumberOfNodes() == count
    assert chart.GetMTime() == modified


def test_log_lines_are_appended(an_open_project):
    an_open_project.show(states.TRAINING)
    longer = (*states.TRAINING.train.log, "Step 400")
    an_open_project.show(replace(states.TRAINING, train=replace(states.TRAINING.train, log=longer)))
    assert an_open_project.widget("logText").toPlainText().splitlines() == list(longer)


def test_closing_the_scene_while_training_keeps_the_project(an_open_project):
    an_open_project.show(states.TRAINING)
    slicer.mrmlScene.Clear()
    assert ("project.close",) not in an_open_project.calls
    node = slicer.mrmlScene.GetSingletonNode("PseudoLabelCL", "vtkMRMLScriptedModuleNode")
    assert node.GetParameter("ProjectFolder") == states.TRAINING.project.root


def test_closing_the_scene_closes_an_idle_project(an_open_project):
    slicer.mrmlScene.Clear()
    assert an_open_project.calls == [("project.close",)]


def test_a_project_that_a_loaded_scene_names_is_asked_about(a_panel):
    node = slicer.vtkMRMLScriptedModuleNode()
    node.SetSingletonTag("PseudoLabelCL")
    node.SetParameter("ProjectFolder", "/projects/Hearts")
    slicer.mrmlScene.AddNode(node)
    slicer.mrmlScene.InvokeEvent(slicer.vtkMRMLScene.EndImportEvent)
    assert a_panel.calls == [("project.offer", "/projects/Hearts")]


def test_rounds_are_listed_and_going_back_asks(an_open_project):
    an_open_project.show(states.REVIEW)
    assert not an_open_project.widget("roundTable").isVisible()
    an_open_project.click("trainStepButton")
    an_open_project.click("historyToggle")
    assert [row[0] for row in an_open_project.texts("roundTable")] == ["0", "1"]
    assert not an_open_project.ui.goBackButton.enabled
    an_open_project.choose("roundTable", 0)
    an_open_project.answers.confirms = [True]
    an_open_project.click("goBackButton")
    an_open_project.click("showResultButton")
    an_open_project.click("trainButton")
    assert an_open_project.calls == [
        ("train.read_history",),
        ("train.go_back", 0),
        ("review.show_round", 0),
        ("train.start", 1, True),
    ]


def test_a_missing_report_is_told(an_open_project):
    an_open_project.show(states.REVIEW)
    an_open_project.choose("roundTable", 1)
    an_open_project.click("openReportButton")
    assert an_open_project.ui.messageLabel.text == "Round 1 has no report yet."


@pytest.mark.parametrize("is_own", [True, False])
def test_a_report_from_elsewhere_is_opened_only_once_the_person_says_so(
    an_open_project, tmp_path, monkeypatch, is_own
):
    from PseudoLabelCLGui.sections.train import rounds as rounds_section  # noqa: PLC0415 - needs `qt`

    pages = []
    monkeypatch.setattr(rounds_section, "_openInBrowser", pages.append)
    file = tmp_path / "rounds" / "round_01" / "report.html"
    file.parent.mkdir(parents=True)
    write_sealed_report(file, ["<html></html>"])
    if not is_own:
        file.write_text(file.read_text("utf-8").replace("<html>", "<html> "), "utf-8")
    project = replace(states.REVIEW.project, root=str(tmp_path))
    an_open_project.show(replace(states.REVIEW, project=project))
    an_open_project.choose("roundTable", 1)
    an_open_project.click("openReportButton")
    if not is_own:
        assert pages == []
        told = an_open_project.ui.messageLabel.text
        assert told == "The report of round 1 was not written on this computer."
        assert an_open_project.ui.messageButton.text == "Open it anyway"
        an_open_project.click("messageButton")
    assert pages == [file]


def test_the_messages_next_step_is_done_by_its_button(an_open_project):
    an_open_project.show(states.FAULT)
    assert an_open_project.widget("messageFrame").isVisible()
    an_open_project.click("messageButton")
    assert an_open_project.calls == [("message_step",)]
    an_open_project.show(states.OPEN)
    assert not an_open_project.widget("messageFrame").isVisible()


def report(**named):
    return ReadinessReport(python="/usr/bin/python3", missing=("torch>=2.4",), **named)


def test_probing_goes_to_a_child_and_its_report_to_the_presenter(a_panel):
    a_panel.presenter.listeners.on_probe_wanted("/opt/python")
    on_report, named = a_panel.packages.probed[0]
    assert str(named["python"]) == "/opt/python"
    found = report()
    on_report(found)
    assert a_panel.calls == [("readiness.found", found)]


def test_installing_asks_with_the_size_and_probes_again(a_panel):
    a_panel.presenter.listeners.on_probe_wanted("")
    a_panel.packages.probed[0][0](report())
    a_panel.packages.missing = MissingPackages(("torch",), "3 GB", "3 GB will be fetched.", "")
    a_panel.show(states.MISSING)
    a_panel.answers.confirms = [False, True]
    a_panel.click("installButton")
    assert a_panel.packages.installed == []
    a_panel.click("installButton")
    assert a_panel.answers.asked == ["3 GB will be fetched."] * 2
    _report, on_progress = a_panel.packages.installed[0]
    on_progress(InstallProgress("Downloading torch"))
    assert a_panel.ui.readinessLabel.text == "Downloading torch"
    on_progress(InstallProgress("", is_done=True, problem="No space.", remedy="Free some."))
    assert a_panel.ui.messageLabel.text == "No space."
    assert a_panel.presenter.calls[-1] == ("readiness.probe",)


def test_what_cannot_be_installed_from_here_is_told(a_panel):
    a_panel.presenter.listeners.on_probe_wanted("")
    a_panel.packages.probed[0][0](report())
    a_panel.packages.missing = SimpleNamespace(obstacle="Get the PyTorch extension.", names=())
    a_panel.presenter.listeners.on_install_wanted()
    assert a_panel.ui.messageLabel.text == "Get the PyTorch extension."
    assert a_panel.answers.asked == []


def test_another_python_is_taken_once_it_exists(a_panel, tmp_path):
    python = tmp_path / "python3"
    a_panel.ui.pythonPathEdit.setCurrentPath(str(python))
    assert a_panel.calls == []
    python.touch()
    a_panel.ui.pythonPathEdit.setCurrentPath("")
    a_panel.ui.pythonPathEdit.setCurrentPath(str(python))
    assert ("readiness.set_python", str(python)) in a_panel.calls


def test_a_folder_of_wheel_files_is_kept_once_it_exists_and_looked_at(a_panel, tmp_path):
    folder = tmp_path / "wheels"
    a_panel.ui.wheelsFolderEdit.setCurrentPath(str(folder))
    assert not QtCore.QSettings().value(WHEELS_SETTING)
    folder.mkdir()
    a_panel.ui.wheelsFolderEdit.setCurrentPath("")
    a_panel.ui.wheelsFolderEdit.setCurrentPath(str(folder))
    assert QtCore.QSettings().value(WHEELS_SETTING) == str(folder)
    assert a_panel.presenter.calls[-1] == ("readiness.probe",)


def test_number_of_gpus_can_be_chosen_where_there_are_several_and_is_kept(a_panel):
    several = replace(states.OPEN, readiness=ReadinessState(num_gpus=4))
    a_panel.show(states.OPEN)
    assert not a_panel.widget("mostGpusSpin").isVisibleTo(a_panel.widget("mostGpusSpin").parent())
    a_panel.show(several)
    assert a_panel.widget("mostGpusSpin").isVisibleTo(a_panel.widget("mostGpusSpin").parent())
    assert a_panel.ui.mostGpusSpin.text == "All"
    assert a_panel.ui.mostGpusSpin.maximum == 4
    a_panel.ui.mostGpusSpin.setValue(3)
    assert a_panel.calls[-1] == ("readiness.set_most_gpus", 3)
    assert int(QtCore.QSettings().value(MOST_GPUS_SETTING)) == 3


def test_the_mark_differs_in_picture_and_takes_no_room_without_one(a_panel):
    a_panel.show(states.NEW)
    green = unwrap(a_panel.ui.readinessLight).pixmap().toImage()
    a_panel.show(states.MISSING)
    assert unwrap(a_panel.ui.readinessLight).pixmap().toImage() != green
    assert not a_panel.widget("messageLight").isVisible()


@pytest.mark.parametrize("closes_scene", [False, True])
def test_a_chart_of_another_module_does_not_take_the_place_of_the_curves(
    an_open_project, closes_scene
):
    an_open_project.show(states.TRAINING)
    if closes_scene:
        slicer.mrmlScene.Clear(0)
        an_open_project.show(states.TRAINING)
    view = an_open_project.widget("trainingPlot").mrmlPlotViewNode()
    curves = view.GetPlotChartNodeID()
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode", "of another module")
    logic = slicer.mrmlScene.kept[0]
    logic.GetSelectionNode().SetReferenceActivePlotChartID(other.GetID())
    logic.PropagatePlotChartSelection()
    assert curves is not None
    assert view.GetPlotChartNodeID() == curves


def test_the_name_on_verdicts_can_be_chosen_while_a_project_is_open(a_panel):
    edit = a_panel.widget("authorEdit")
    assert not edit.isEnabled()
    assert edit.toolTip() == "Open a project first"
    project = replace(PanelState().project, root="/hearts", author="reader 1")
    a_panel.show(replace(PanelState(), project=project))
    assert edit.isEnabled()
    assert edit.text() == "reader 1"
    assert "verdict" in edit.toolTip()
    edit.setText(" reader 2 ")
    edit.editingFinished.emit()
    assert a_panel.calls[-1] == ("project.sign_verdicts", "reader 2")


@pytest.mark.parametrize(
    ("name", "setting", "told"),
    [
        ("biasCorrectionCheck", "preprocess.bias_correction", "never applied to CT"),
        ("singlePiecesCheck", "pseudo_label.single_pieces", "keep one piece"),
        ("anatomyPriorCheck", "pseudo_label.anatomy_prior.enabled", "carried over"),
    ],
)
def test_setting_is_switched_by_its_box(a_panel, name, setting, told):
    train = states.OPEN.train
    settings = {**train.settings, setting: "true"}
    free = train.can_change | {setting}
    a_panel.show(replace(states.OPEN, train=replace(train, settings=settings, can_change=free)))
    box = getattr(a_panel.ui, name)
    assert box.checked
    assert told in box.toolTip
    a_panel.calls.clear()
    a_panel.click(name)
    assert a_panel.calls == [("train.change_setting", setting, "false")]
