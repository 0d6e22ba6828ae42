"""The whole loop by clicks, with the real presenter, desk and worker on tiny phantoms."""

import sys
import time
from pathlib import Path

import pytest
import slicer
from a_panel import APanel, NoPackages
from PseudoLabelCLGui.panel_state import Light
from PseudoLabelCLGui.parameter_node import ParameterNode
from PseudoLabelCLGui.presenter import Presenter
from PySide6 import QtCore
from test_review_section import draw

from PseudoLabelCLLib.domain.readiness import ReadinessReport

LIMIT_S = 120.0
READY = {"python": sys.executable, "torch_works": True, "device": "CPU"}
# The smallest training that is one; the panel's fields cover what a person changes.
TINY = {
    "network.widths": "[4, 4, 4, 4, 4, 4]",
    "network.embedding_size": "4",
    "preprocess.window_size": "[32, 32]",
    "training.supervised.batch_size": "2",
}
TINY_FIELDS = {
    "supervisedStepsEdit": "2",
    "jointStepsEdit": "2",
    "batchSizeEdit": "2",
    "pixelSizeEdit": "4.0",
    "copiesEdit": "2",
}


class ThisPython(NoPackages):
    """The interpreter that runs the test, which has everything."""

    def default_python(self):
        return Path(sys.executable)

    def child_environment(self, _python):
        return {"OMP_NUM_THREADS": "1"}


def until(panel, condition):
    end = time.monotonic() + LIMIT_S
    while not condition(panel.presenter.state):
        message = panel.presenter.state.message
        assert time.monotonic() < end, message
        assert message.light is not Light.RED, message
        panel.tick()
        time.sleep(0.01)
    panel.tick()  # what the condition waited for is shown now


def is_idle(state):
    return state.cases.add.enabled and not state.train.is_running


def type_into(panel, name, text):
    edit = panel.widget(name)
    edit.setText(text)
    edit.editingFinished.emit()


@pytest.fixture
def a_real_panel(app, answers):
    children = []

    def remembering(start):
        def begin(*arguments):
            children.append(start(*arguments))
            return children[-1]

        return begin

    def make_presenter(start_desk, start_worker, *, scene):
        return Presenter(remembering(start_desk), remembering(start_worker), scene=scene)

    panel = APanel(make_presenter, answers, ThisPython())
    for on_report, _named in panel.packages.probed:
        on_report(ReadinessReport(**READY))
    panel.tick()
    yield panel
    panel.close()
    for child in children:
        child.close(30.0)  # the panel does not wait for a worker; the test leaves none behind


@pytest.mark.slow
def test_a_person_goes_through_all_six_sections_with_the_mouse(a_real_panel, tmp_path):
    panel = a_real_panel
    make_sample_project(panel, tmp_path)
    train_round_0(panel)
    queue = [row.case_id for row in panel.presenter.state.review.queue]
    assert [row[0] for row in panel.texts("queueTable")] == queue
    correct_first(panel, queue)
    judge_others(panel, queue)
    panel.ui.roundsSection.collapsed = False
    until(panel, lambda state: bool(state.rounds.rows[0].agreement))
    assert panel.texts("roundTable")[0][0] == "0"
    close_and_load_the_scene(panel)
    assert verdict_of(panel.presenter.state, queue[1]) == "rejected"
    use_and_export(panel, tmp_path)


def make_sample_project(panel, folder):
    panel.answers.paths = [str(folder)]
    panel.click("sampleProjectButton")
    until(panel, lambda state: is_idle(state) and len(state.cases.rows) > 2)
    assert len(panel.texts("caseTable")) == len(panel.presenter.state.cases.rows)
    panel.click("checkButton")
    until(panel, is_idle)
    for name, value in TINY.items():
        panel.presenter.change_setting(name, value)
        until(panel, lambda state, n=name, v=value: state.train.settings[n] == v and is_idle(state))
    for name, text in TINY_FIELDS.items():
        type_into(panel, name, text)
        until(panel, is_idle)
    assert panel.presenter.state.train.settings["training.joint.num_steps"] == "2"


def train_round_0(panel):
    panel.click("trainButton")
    until(panel, lambda state: state.train.is_running)
    until(panel, lambda state: bool(state.review.queue) and is_idle(state))
    assert panel.widget("trainingPlot").isVisible()


def correct_first(panel, queue):
    panel.choose("queueTable", 0)
    panel.click("showCaseButton")
    wait_for_shown(panel, queue[0])
    edited = panel.panel._review.proposal.case.proposal
    draw(panel)
    until(panel, lambda state: state.review.correct.enabled)
    panel.click("correctButton")
    until(panel, lambda state: verdict_of(state, queue[0]) == "corrected")
    wait_for_shown(panel, queue[1])
    assert not slicer.mrmlScene.IsNodePresent(edited)


def judge_others(panel, queue):
    panel.click("rejectButton")
    until(panel, lambda state: verdict_of(state, queue[1]) == "rejected")
    for case_id in queue[2:]:
        wait_for_shown(panel, case_id)
        panel.click("acceptButton")
        until(panel, lambda state, case_id=case_id: verdict_of(state, case_id) == "accepted")


def close_and_load_the_scene(panel):
    root = panel.presenter.state.project.root
    slicer.mrmlScene.Clear()
    until(panel, lambda state: not state.project.root)
    ParameterNode().rememberProject(root)
    slicer.mrmlScene.InvokeEvent(slicer.vtkMRMLScene.EndImportEvent)
    until(panel, lambda state: state.project.root == root and is_idle(state))


def wait_for_shown(panel, case_id):
    def is_shown(_state):
        case = panel.panel._review.proposal.case
        return case is not None and case.case_id == case_id

    until(panel, is_shown)


def verdict_of(state, case_id):
    return next((row.verdict for row in state.review.queue if row.case_id == case_id), "")


def use_and_export(panel, tmp_path):
    panel.ui.useSection.collapsed = False
    panel.click("newestModelButton")
    until(panel, lambda state: bool(state.use.model))
    row = panel.presenter.state.cases.rows[0]
    image = row.tool_tip.splitlines()[0]
    panel.answers.paths = [(image,)]
    panel.click("applyFilesButton")
    assert panel.widget("applyList").item(0).checkState() == QtCore.Qt.CheckState.Checked
    panel.ui.applyFolderEdit.setCurrentPath(str(tmp_path / "segmented"))
    panel.click("applyButton")
    until(panel, lambda state: state.use.is_running)
    until(panel, lambda state: not state.use.is_running)
    assert len(list((tmp_path / "segmented").iterdir())) == 1

    panel.ui.exportFolderEdit.setCurrentPath(str(tmp_path / "exported"))
    panel.ui.exportFormatCombo.setCurrentIndex(1)
    panel.click("exportButton")
    until(panel, lambda _state: any((tmp_path / "exported").glob("*.nii.gz")))
