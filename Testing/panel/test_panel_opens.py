"""The panel without a project: it opens, explains itself, and asks for nothing."""

from types import SimpleNamespace

import pytest
from a_panel import RESOURCES, ModuleWidget, NoPackages, RecordingPresenter
from PySide6 import QtWidgets
from stand_ins.pythonqt import unwrap


def test_the_panel_opens_without_a_project(a_panel):
    assert a_panel.ui.projectLabel.text == "No project is open"
    assert a_panel.answers.asked == []


def test_opening_looks_at_this_computer_once(a_panel):
    a_panel.panel.exit()
    a_panel.panel.enter()
    assert [call for call in a_panel.presenter.calls if call[0] == "readiness.probe"] == [
        ("readiness.probe",)
    ]


def test_no_child_is_started_by_opening(a_panel):
    assert a_panel.calls == []


def test_nothing_is_cut_off_at_400_pixels(a_panel):
    top = unwrap(a_panel.panel.top)
    assert top.minimumSizeHint().width() <= 390
    for button in top.findChildren(QtWidgets.QPushButton):
        if button.isVisibleTo(top) and button.isVisible():
            assert button.width() >= button.fontMetrics().horizontalAdvance(button.text()), (
                button.objectName()
            )


@pytest.mark.parametrize("is_shown", [False, True])
def test_reload_of_a_module_that_is_shown_builds_a_panel_that_lives(app, is_shown):
    from PseudoLabelCLGui.panel import Panel  # noqa: PLC0415 - the stand-ins come before it

    module_widget = ModuleWidget()
    module_widget.parent = SimpleNamespace(isEntered=is_shown)
    panel = Panel(
        module_widget, lambda name: str(RESOURCES / name), NoPackages(), RecordingPresenter
    )
    panel.setUp()
    assert (("readiness.probe",) in panel.presenter.calls) == is_shown
    assert panel._ticker._timer.active == is_shown
    panel.cleanUp()
