"""The part of Slicer's self-test that looks at the panel."""

import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import panel_states as states
import pytest
from a_panel import APanel, NoPackages, RecordingPresenter
from PseudoLabelCLGui.panel_state import PanelState
from PseudoLabelCLGui.presenter import Presenter
from PseudoLabelCLGui.self_test_panel import PanelTest
from PySide6 import QtWidgets
from stand_ins.pythonqt import unwrap


class ThisPython(NoPackages):
    """The interpreter that runs now."""

    def default_python(self):
        return Path(sys.executable)


class QuickPresenter(RecordingPresenter):
    """Has a project at once, and the files of a case one tick later."""

    folder: Path
    wanted: str = ""
    num_ticks_left = 0

    def make_sample_project(self, _folder):
        first, *_ = states.OPEN.cases.rows
        rows = tuple(replace(first, case_id=f"heart {number}") for number in range(1, 6))
        self.state = replace(states.OPEN, cases=replace(states.OPEN.cases, rows=rows))

    def show_case(self, case_id):
        self.wanted, self.num_ticks_left = case_id, 2

    def tick(self):
        self.num_ticks_left -= 1
        if self.num_ticks_left == 0:
            self.listeners.on_case_files(states.phantom_files(self.folder, self.wanted))
        return super().tick()

    def close_project(self):
        self.state = PanelState()


def wait(condition, limit_s):
    deadline_s = time.monotonic() + limit_s
    while not condition() and time.monotonic() < deadline_s:
        QtWidgets.QApplication.processEvents()
        time.sleep(0.01)


def panel_test_of(a_panel, folder):
    panel = a_panel.panel
    widget = SimpleNamespace(panel=panel, enter=panel.enter, exit=panel.exit)
    return PanelTest(widget, folder, [].append, wait)


@pytest.fixture
def quick_panel(app, answers, tmp_path, monkeypatch):
    monkeypatch.setattr("PseudoLabelCLGui.self_test_panel.QUICK_S", 5.0)
    panel = APanel(QuickPresenter, answers)
    panel.presenter.folder = tmp_path
    yield panel
    panel.close()


@pytest.mark.slow
def test_the_panel_with_its_desk_passes(app, answers, tmp_path):
    panel = APanel(Presenter, answers, ThisPython())
    try:
        panel_test_of(panel, tmp_path / "project").run()
    finally:
        panel.close()


def test_a_panel_that_works_passes(quick_panel, tmp_path):
    panel_test_of(quick_panel, tmp_path).run()


@pytest.mark.parametrize("name", ["setSourceVolumeNode", "setActiveEffectByName"])
def test_an_editor_that_does_not_follow_is_told(quick_panel, tmp_path, name, monkeypatch):
    monkeypatch.setattr(unwrap(quick_panel.ui.segmentEditor), name, lambda *_: None)
    with pytest.raises(AssertionError, match=r"no source volume|gave no brush"):
        panel_test_of(quick_panel, tmp_path).run()


def test_a_view_that_shows_something_else_is_told(quick_panel, tmp_path, monkeypatch):
    monkeypatch.setattr("PseudoLabelCLGui.slice_views.Stage.showCase", lambda *_: None)
    with pytest.raises(AssertionError, match="View Red shows 'None'"):
        panel_test_of(quick_panel, tmp_path).run()


def test_an_error_in_the_panel_is_told(quick_panel, tmp_path, monkeypatch):
    editor = unwrap(quick_panel.ui.segmentEditor)
    monkeypatch.setattr(editor, "setupViewObservations", lambda: 1 / 0, raising=False)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        panel_test_of(quick_panel, tmp_path).run()
