"""The whole loop by clicks, with the real presenter, service and worker on tiny phantoms."""

import sys
import time
from pathlib import Path

import dicom_phantoms as phantoms
import pytest
import slicer
from a_panel import APanel, NoPackages
from PseudoLabelCLGui.panel_state import Light
from PseudoLabelCLGui.parameter_node import ParameterNode
from PseudoLabelCLGui.presenter import Presenter
from PySide6 import QtCore

from PseudoLabelCLLib.curation.export.verify_segmentation_object import verify_segmentation_object
from PseudoLabelCLLib.messages.answers import ExportFix
from PseudoLabelCLLib.messages.readiness import ReadinessReport
from PseudoLabelCLLib.storage.dicom.source_series import read_source_series

LIMIT_S = 120.0
NIFTI, DICOM = 1, 2
# A series like the sample volumes, but from a scanner: oblique, its files in no order.
SCAN = "scan"
SCAN_GRID = phantoms.grid("oblique", size=(48, 48, 7), spacing=(2.0, 2.0, 8.0))
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

    def make_presenter(start_service, start_worker, *, scene, recent):
        starters = remembering(start_service), remembering(start_worker)
        return Presenter(*starters, scene=scene, recent=recent)

    panel = APanel(make_presenter, answers, ThisPython())
    for on_report, _named in panel.packages.probed:
        on_report(ReadinessReport(**READY))
    panel.tick()
    yield panel
    panel.close()
    for child in children:
        child.close(30.0)  # the panel does not wait for a worker; the test leaves none behind


@pytest.mark.slow
def test_a_person_goes_through_all_steps_with_the_mouse(a_real_panel, tmp_path):
    panel = a_real_panel
    make_sample_project(panel, tmp_path)
    add_dicom_series(panel, tmp_path / SCAN)
    train_round_0(panel)
    queue = [row.case_id for row in panel.presenter.state.review.queue]
    assert [row[0] for row in panel.texts("queueTable")] == queue
    correct(panel, queue.index(SCAN))
    others = [case_id for case_id in queue if case_id != SCAN]
    judge_others(panel, queue, others)
    panel.click("trainStepButton")
    panel.click("historyToggle")
    until(panel, lambda state: bool(state.rounds.rows[0].agreement))
    assert panel.texts("roundTable")[0][0] == "0"
    close_and_load_the_scene(panel)
    assert verdict_of(panel.presenter.state, others[0]) == "rejected"
    use_model(panel, tmp_path)
    export_files(panel, tmp_path / "exported")
    export_dicom(panel, tmp_path)


def make_sample_project(panel, folder):
    panel.answers.paths = [str(folder)]
    panel.click("sampleProjectButton")
    until(panel, lambda state: is_idle(state) and len(state.cases.rows) > 2)
    assert len(panel.texts("caseTable")) == len(panel.presenter.state.cases.rows)
    panel.click("checkButton")
    until(panel, is_idle)
    for name, value in TINY.items():
        panel.presenter.train.change_setting(name, value)
        until(panel, lambda state, n=name, v=value: state.train.settings[n] == v and is_idle(state))
    for name, text in TINY_FIELDS.items():
        type_into(panel, name, text)
        until(panel, is_idle)
    assert panel.presenter.state.train.settings["training.joint.num_steps"] == "2"


def train_round_0(panel):
    panel.click("trainButton")
    until(panel, lambda state: state.train.is_running)
    until(panel, lambda state: bool(state.review.queue) and is_idle(state))
    panel.click("trainStepButton")
    assert panel.widget("curveFrame").isVisible()
    panel.click("reviewStepButton")


def add_dicom_series(panel, folder):
    phantoms.write_series(folder, SCAN_GRID, order=[4, 1, 6, 0, 3, 5, 2], SeriesDescription=SCAN)
    panel.answers.paths = [str(folder)]
    panel.click("addFolderButton")
    until(panel, lambda _state: panel.widget("foundList").count() == 1)
    panel.click("addFoundButton")
    until(panel, lambda state: is_idle(state) and state.cases.rows[-1].case_id == SCAN)


def correct(panel, number):
    """Draw into a proposal; the next case of the queue comes by itself."""
    panel.choose("queueTable", number)
    panel.click("showCaseButton")
    wait_for_shown(panel, SCAN)
    draw_box(panel)
    until(panel, lambda state: state.review.accept.text == "Save correction")
    panel.click("acceptButton")
    until(panel, lambda state: verdict_of(state, SCAN) == "corrected")
    until(panel, lambda state: state.review.case_id != SCAN)
    # the node may serve the next case; nothing of this one is left
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert not [node.GetName() for node in nodes if SCAN in node.GetName()]


def draw_box(panel):
    """Turn a box of the first structure over, whatever was proposed there."""
    case = panel.panel._review.proposal.case
    voxels = slicer.util.arrayFromSegmentBinaryLabelmap(case.proposal, "Segment_1", case.volume)
    voxels = voxels.copy()
    voxels[2:5, 10:20, 12:30] = 1 - voxels[2:5, 10:20, 12:30]
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        voxels, case.proposal, "Segment_1", case.volume
    )
    panel.tick()


def judge_others(panel, queue, others):
    for case_id in others:
        until(panel, lambda state: not state.review.is_loading)
        panel.choose("queueTable", queue.index(case_id))
        panel.click("showCaseButton")
        until(panel, lambda state: not state.review.is_loading)
        wait_for_shown(panel, case_id)
        is_first = case_id == others[0]
        panel.click("rejectButton" if is_first else "acceptButton")
        verdict = "rejected" if is_first else "accepted"
        until(panel, lambda state, c=case_id, v=verdict: verdict_of(state, c) == v)


def close_and_load_the_scene(panel):
    root = panel.presenter.state.project.root
    slicer.mrmlScene.Clear()
    until(panel, lambda state: not state.project.root)
    ParameterNode().rememberProject(root)
    slicer.mrmlScene.InvokeEvent(slicer.vtkMRMLScene.EndImportEvent)
    until(panel, lambda state: bool(state.message.answers))
    panel.click("answerButton1")
    until(panel, lambda state: state.project.root == root and is_idle(state))


def wait_for_shown(panel, case_id):
    def is_shown(_state):
        case = panel.panel._review.proposal.case
        return case is not None and case.case_id == case_id

    until(panel, is_shown)


def verdict_of(state, case_id):
    return next((row.verdict for row in state.review.queue if row.case_id == case_id), "")


def use_model(panel, tmp_path):
    panel.click("useStepButton")
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


def export_files(panel, folder):
    panel.click("exportChoiceButton")
    panel.ui.exportFolderEdit.setCurrentPath(str(folder))
    panel.ui.exportFormatCombo.setCurrentIndex(NIFTI)
    panel.click("exportButton")
    until(panel, lambda state: bool(state.export.results) and is_idle(state))
    assert len(list(folder.glob("*.nii.gz"))) == len(panel.presenter.state.export.results)


def export_dicom(panel, tmp_path):
    """Of two cases the scan came from DICOM: the other is named, it goes out on its slices."""
    panel.ui.exportFormatCombo.setCurrentIndex(DICOM)
    panel.ui.exportFolderEdit.setCurrentPath(str(tmp_path / "dicom"))
    panel.ui.exportChosenCheck.setChecked(True)
    cases = panel.presenter.state.cases.rows
    panel.choose("caseTable", 0, len(cases) - 1)
    panel.click("checkExportButton")
    until(panel, lambda state: bool(state.export.summary.text))
    findings = panel.presenter.state.export.findings
    stops = [(row.case_id, row.fix) for row in findings if row.light is Light.RED]
    assert stops == [(cases[0].case_id, ExportFix.NOT_FROM_DICOM)]
    panel.click("exportButton")
    until(panel, lambda state: len(state.export.results) == 2 and not state.export.is_running)
    (file,) = (tmp_path / "dicom").glob("*.dcm")
    source = read_source_series(tmp_path / SCAN)
    found = verify_segmentation_object(file, source)
    assert found.problems == ()
    assert found.segments[0].algorithm_type == "SEMIAUTOMATIC"
    assert found.segments[0].num_voxels > 0
