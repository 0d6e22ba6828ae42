"""The step Review by clicks and keys: the queue, the shown case, verdicts, what was drawn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import panel_states as states
import pytest
import slicer
from PseudoLabelCLGui.mrml_bridge import CaseMark, remember_case, show_volume
from PseudoLabelCLGui.panel_state import Action
from PySide6 import QtCore, QtGui, QtTest, QtWidgets
from review_things import leave, proposal_of, show, wait_until
from stand_ins.pythonqt import wrap

KEY = QtCore.Qt.Key


def offsets():
    names = ("Red", "Green", "Yellow")
    manager = slicer.app.layoutManager()
    return [manager.sliceWidget(name).sliceLogic().GetSliceOffset() for name in names]


def test_the_queue_is_shown_in_its_order(a_shown_case):
    rows = a_shown_case.texts("queueTable")
    assert [row[0] for row in rows] == ["heart 4", "heart 3", "heart 6"]
    assert a_shown_case.ui.reviewProgressLabel.text.startswith("1 of 3 reviewed")


def test_the_case_in_the_views_is_the_one_chosen_in_the_queue(a_shown_case):
    a_shown_case.choose("queueTable", 0)
    shown = replace(states.REVIEW.review, case_id="heart 6")
    a_shown_case.show(replace(states.REVIEW, review=shown))
    chosen = a_shown_case.widget("queueTable").selectionModel().selectedRows()
    assert [index.data() for index in chosen] == ["heart 6"]


def test_a_case_is_shown_with_volume_doubt_and_editable_proposal(a_shown_case):
    case = a_shown_case.panel._review.proposal.case
    composite = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    assert composite.GetBackgroundVolumeID() == case.volume.GetID()
    assert composite.GetForegroundVolumeID() == case.doubt.GetID()
    editor = a_shown_case.widget("segmentEditor")
    assert editor.segmentationNode() is case.proposal
    assert not a_shown_case.widget("editorFrame").isHidden()
    files = case.files
    assert ("review.case_is_on_screen", files) in a_shown_case.presenter.calls


def test_the_editor_gets_the_volume_with_the_brush_and_gives_it_back(a_shown_case):
    # Slicer then looks at every voxel: a second or two that nobody needs who only looks
    editor = a_shown_case.widget("segmentEditor")
    assert editor.sourceVolumeNode() is None
    a_shown_case.press(KEY.Key_E)
    assert editor.sourceVolumeNode() is a_shown_case.panel._review.proposal.case.volume
    leave(a_shown_case)
    assert editor.sourceVolumeNode() is None


def test_the_views_show_the_most_doubtful_slice_and_n_goes_on(a_shown_case):
    spacing, origin = states.GEOMETRY.spacing_mm[2], states.GEOMETRY.origin_mm[2]
    seen = [offsets()[0]]
    for _ in range(3):
        a_shown_case.press(KEY.Key_N)
        seen.append(offsets()[0])
    assert seen == pytest.approx([origin + spacing * k for k in (3, 8, 5, 3)])


def test_keys_press_the_buttons(a_shown_case):
    a_shown_case.press(KEY.Key_K)
    a_shown_case.press(KEY.Key_D)
    assert a_shown_case.calls == [("review.accept", ()), ("review.reject",)]
    a_shown_case.press(KEY.Key_P)  # the first case has none before it
    assert a_shown_case.calls == [("review.accept", ()), ("review.reject",)]


def test_keys_count_only_while_the_panel_is_entered(a_shown_case):
    a_shown_case.panel.exit()
    a_shown_case.press(KEY.Key_K)
    assert a_shown_case.calls == []
    a_shown_case.panel.enter()
    a_shown_case.press(KEY.Key_K)
    assert a_shown_case.calls == [("review.accept", ())]


def test_a_letter_typed_into_a_field_is_no_verdict(a_shown_case):
    a_shown_case.panel._steps.open("newProject")
    a_shown_case.settle()
    edit = a_shown_case.widget("newNameEdit")
    edit.setFocus()
    QtTest.QTest.keyClicks(edit, "kodenp")
    assert edit.text() == "kodenp"
    assert a_shown_case.calls == []


@pytest.fixture
def a_slice_view(a_shown_case, monkeypatch):
    """A view beside the panel in Slicer's window, with the focus."""
    window = a_shown_case.module_widget.window
    monkeypatch.setattr(slicer.util, "mainWindow", lambda: wrap(window))
    a_shown_case.panel.exit()
    a_shown_case.panel.enter()
    view = KeysSeen(window)
    view.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
    view.show()
    window.activateWindow()
    view.setFocus()
    a_shown_case.settle()
    return view


class KeysSeen(QtWidgets.QWidget):
    """Remembers the keys that reach it."""

    def __init__(self, parent):
        super().__init__(parent)
        self.seen = []

    def keyPressEvent(self, event):  # noqa: N802 - Qt's name
        self.seen.append(event.text())


def test_keys_count_while_a_slice_view_has_the_focus(a_shown_case, a_slice_view):
    QtTest.QTest.keyClick(a_slice_view, KEY.Key_K)
    QtTest.QTest.keyClick(a_slice_view, KEY.Key_D)
    assert a_shown_case.calls == [("review.accept", ()), ("review.reject",)]
    a_shown_case.panel.exit()
    QtTest.QTest.keyClick(a_slice_view, KEY.Key_K)
    assert a_shown_case.calls == [("review.accept", ()), ("review.reject",)]
    assert a_slice_view.seen == ["k"]


# Slicer 5.12.3: qMRMLSegmentEditorWidget::installKeyboardShortcuts, SegmentEditorDrawEffect.py,
# qSlicerSegmentEditorPaintEffect.cxx, vtkMRMLSliceIntersectionWidget.cxx
KEYS_OF_SLICER = "1234567890 zyqw/*,.<>iax+=-_gtfbvr[]{}"


def test_keys_of_segment_editor_and_slice_views_reach_them(a_shown_case, a_slice_view):
    QtTest.QTest.keyClicks(a_slice_view, KEYS_OF_SLICER)
    assert "".join(a_slice_view.seen) == KEYS_OF_SLICER
    assert a_shown_case.calls == []


def test_a_key_held_down_is_one_verdict(a_shown_case, a_slice_view):
    for is_repeat in (False, True, True):
        event = QtGui.QKeyEvent(
            QtCore.QEvent.Type.KeyPress, KEY.Key_K, QtCore.Qt.KeyboardModifier.NoModifier, "k",
            is_repeat,
        )  # fmt: skip
        QtWidgets.QApplication.sendEvent(a_slice_view.window().windowHandle(), event)
    assert a_shown_case.calls == [("review.accept", ())]


def test_the_buttons_name_their_keys(a_shown_case):
    said = "Takes the proposal; it counts as yours."
    review = replace(states.REVIEW.review, accept=Action(enabled=True, tool_tip=said))
    a_shown_case.show(replace(states.REVIEW, review=review))
    assert a_shown_case.ui.acceptButton.toolTip == f"{said} Key: K"


def test_a_review_without_proposals_says_why(a_panel, tmp_path):
    reason = "Train a round first; you review its proposals here."
    no = states.cannot(reason)
    review = replace(states.OPEN.review, next_case=no, reject=no)
    a_panel.show(replace(states.OPEN, review=review))
    assert a_panel.ui.reviewProgressLabel.text == reason
    assert a_panel.ui.acceptStructureButton.toolTip == reason
    assert a_panel.ui.showCaseButton.toolTip == "Choose a case in the table first"
    a_panel.show(states.REVIEW)
    show(a_panel, tmp_path)
    assert a_panel.ui.acceptStructureButton.toolTip == "Mark the selected structure as reviewed"


def test_the_key_for_editing_does_nothing_without_a_case(a_panel):
    a_panel.show(states.REVIEW)
    a_panel.press(KEY.Key_E)
    assert not a_panel.ui.editButton.checked
    assert a_panel.widget("segmentEditor").activeEffect() is None


def test_o_toggles_outline_and_fill(a_shown_case):
    display = proposal_of(a_shown_case).GetDisplayNode()
    assert display.GetVisibility2DFill()
    a_shown_case.press(KEY.Key_O)
    assert not display.GetVisibility2DFill()
    assert display.GetVisibility2DOutline()
    a_shown_case.press(KEY.Key_O)
    assert display.GetVisibility2DFill()


def test_the_round_before_is_an_outline_on_demand(a_shown_case):
    display = a_shown_case.panel._review.proposal.case.previous.GetDisplayNode()
    assert not display.GetVisibility()
    a_shown_case.click("compareCheck")
    assert display.GetVisibility()


def test_doubt_can_be_hidden(a_shown_case):
    composite = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    assert composite.GetForegroundOpacity() > 0
    a_shown_case.click("doubtCheck")
    assert composite.GetForegroundOpacity() == 0


def test_e_takes_the_brush_and_puts_it_down(a_shown_case):
    editor = a_shown_case.widget("segmentEditor")
    a_shown_case.press(KEY.Key_E)
    assert editor.activeEffect() == "Paint"
    a_shown_case.press(KEY.Key_E)
    assert editor.activeEffect() is None


def test_a_structure_that_is_left_out_goes_with_the_verdict(a_shown_case):
    a_shown_case.widget("segmentEditor").setCurrentSegmentID("Segment_2")
    a_shown_case.click("rejectStructureButton")
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    segment = proposal_of(a_shown_case).GetSegmentation().GetSegment("Segment_2")
    assert logic.GetSegmentStatus(segment) == logic.Flagged
    a_shown_case.click("acceptButton")
    assert a_shown_case.calls == [("review.accept", (2,))]


def test_a_proposal_that_the_views_do_not_hold_takes_no_verdict(a_shown_case):
    other = states.identity_of("heart 4", round_index=2)
    a_shown_case.show(replace(states.REVIEW, review=replace(states.REVIEW.review, identity=other)))
    for name in ("acceptButton", "rejectButton", "takeBackButton", "rejectStructureButton"):
        assert not a_shown_case.widget(name).isEnabled()
    assert "another proposal" in a_shown_case.ui.acceptButton.toolTip
    a_shown_case.press(KEY.Key_K)
    a_shown_case.press(KEY.Key_D)
    assert a_shown_case.calls == []


def test_no_verdict_is_possible_before_the_case_is_in_the_views(a_panel, tmp_path):
    a_panel.show(states.REVIEW)
    assert not a_panel.widget("acceptButton").isEnabled()
    show(a_panel, tmp_path)
    assert a_panel.widget("acceptButton").isEnabled()
    leave(a_panel)
    assert not a_panel.widget("acceptButton").isEnabled()


def test_files_that_cannot_be_read_are_told_to_the_presenter(a_panel, tmp_path):
    a_panel.show(states.REVIEW)
    files = states.phantom_files(tmp_path, "heart 4")
    Path(files.proposal).write_bytes(Path(files.proposal).read_bytes()[:400])
    a_panel.presenter.listeners.on_case_files(files)
    wait_until(a_panel, lambda: a_panel.calls)
    assert a_panel.calls[0][:2] == ("review.case_cannot_be_shown", files)


def test_leaving_a_case_takes_the_machines_nodes_away(a_shown_case):
    case = a_shown_case.panel._review.proposal.case
    nodes = (case.volume, case.proposal, case.doubt, case.previous)
    leave(a_shown_case)
    assert not any(slicer.mrmlScene.IsNodePresent(node) for node in nodes)
    assert a_shown_case.widget("editorFrame").isHidden()


def test_the_next_case_is_shown_by_the_same_nodes(a_shown_case, tmp_path):
    # Slicer takes half a second to remove a large segmentation, and more to edit another
    case = a_shown_case.panel._review.proposal.case
    before = [node.GetID() for node in (case.volume, case.proposal, case.doubt, case.previous)]
    editor = a_shown_case.widget("segmentEditor")
    editor.calls.clear()
    a_shown_case.presenter.listeners.on_case_left("heart 4", False)
    show(a_shown_case, tmp_path / "b", "heart 3")
    case = a_shown_case.panel._review.proposal.case
    after = [node.GetID() for node in (case.volume, case.proposal, case.doubt, case.previous)]
    assert after == before
    assert "heart 3" in case.proposal.GetName()
    assert not {"setSegmentationNode", "setSourceVolumeNode"} & {call[0] for call in editor.calls}
    labels = slicer.util.arrayFromSegmentBinaryLabelmap(case.proposal, "Segment_2", case.volume)
    assert (labels == (np.load(case.files.proposal) == 2)).all()


def test_a_volume_of_the_person_is_used_and_stays(a_panel, tmp_path):
    a_panel.show(states.REVIEW)
    files = states.phantom_files(tmp_path, "heart 4")
    volume = show_volume(Path(files.image), files.geometry, "my volume")
    remember_case(volume, CaseMark("/projects/Hearts", "heart 4"))
    assert a_panel.panel.has_image("heart 4")
    show(a_panel, tmp_path)
    assert a_panel.panel._review.proposal.case.volume is volume
    leave(a_panel)
    assert slicer.mrmlScene.IsNodePresent(volume)


@pytest.mark.parametrize("which", ["volume", "proposal"])
def test_a_case_whose_nodes_are_deleted_is_left_at_once(a_shown_case, which):
    editor = a_shown_case.widget("segmentEditor")
    a_shown_case.press(KEY.Key_E)
    node = getattr(a_shown_case.panel._review.proposal.case, which)
    effects = []
    slicer.mrmlScene.AddObserver(
        slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent,
        lambda *_: effects.append(editor.activeEffect()),
        -1.0,  # after all others
    )
    slicer.mrmlScene.RemoveNode(node)  # and no tick
    assert effects[0] is None  # nothing paints on nothing
    assert a_shown_case.panel._review.proposal.case is None
    assert not a_shown_case.widget("acceptButton").isEnabled()
    assert a_shown_case.calls[-1] == ("review.case_is_lost",)
    a_shown_case.tick()
    assert editor.segmentationNode() is None
    assert editor.sourceVolumeNode() is None


def test_closing_the_scene_lets_go_of_everything(a_shown_case):
    slicer.mrmlScene.Clear()
    assert ("review.scene_is_closed",) in a_shown_case.presenter.calls
    a_shown_case.tick()
    assert a_shown_case.widget("segmentEditor").segmentationNode() is None
    assert a_shown_case.widget("editorFrame").isHidden()
    show(a_shown_case, Path(a_shown_case.panel.temporary_folder()) / "again")
    assert a_shown_case.widget("segmentEditor").segmentationNode() is not None


def test_who_goes_on_quickly_sees_only_the_last_case(a_panel, tmp_path):
    a_panel.show(states.REVIEW)
    a_panel.presenter.listeners.on_case_files(states.phantom_files(tmp_path / "a", "heart 4"))
    a_panel.presenter.listeners.on_case_left("heart 4", False)
    show(a_panel, tmp_path / "b", "heart 3")
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert not any("heart 4" in node.GetName() for node in nodes)


def test_chosen_cases_are_judged_together(a_shown_case):
    a_shown_case.choose("queueTable", 0, 1)
    menus = a_shown_case.widget("queueTable").findChildren(QtCore.QObject)
    actions = {a.text(): a for a in menus if a.metaObject().className() == "QAction"}
    actions["Accept selected"].trigger()
    assert a_shown_case.calls == [("review.accept_many", ("heart 4", "heart 3"))]


def test_another_module_stops_painting_and_keys_of_the_editor(a_shown_case):
    editor = a_shown_case.widget("segmentEditor")
    a_shown_case.press(KEY.Key_E)
    editor.calls.clear()
    a_shown_case.panel.exit()
    names = [call[0] for call in editor.calls]
    assert names.index("setActiveEffect") < names.index("removeViewObservations")
    assert "uninstallKeyboardShortcuts" in names
    editor.calls.clear()
    a_shown_case.panel.enter()
    assert [call[0] for call in editor.calls] == [
        "setupViewObservations",
        "installKeyboardShortcuts",
    ]


def test_nothing_of_the_panel_stays_in_the_scene_once_it_is_gone(a_shown_case):
    a_shown_case.presenter.listeners.on_case_left("heart 4", False)
    a_shown_case.close()
    classes = ("SegmentationNode", "SegmentEditorNode", "PlotChartNode", "PlotViewNode")
    left = [node for name in classes for node in slicer.util.getNodesByClass(f"vtkMRML{name}")]
    assert left == []


def test_without_a_window_a_case_is_shown_too(a_panel, tmp_path):
    slicer.app.withoutMainWindow()
    a_panel.show(states.REVIEW)
    show(a_panel, tmp_path)
    assert proposal_of(a_panel) is not None
