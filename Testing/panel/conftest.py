"""The panel under an offscreen Qt, with stand-ins for Slicer's widgets over real MRML."""

import gc
import os
import sys
from pathlib import Path

import pytest
import vtk

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "backend"))  # DICOM series made in code
sys.path.append(str(Path(__file__).parents[1] / "gui"))  # a presenter with a pretended service

import panel_states as states
from a_panel import APanel, RecordingPresenter
from own_state import own_state  # noqa: F401 - a fixture of every test
from PySide6 import QtCore
from real_panel import RealPanel
from review_things import show
from stand_ins import application


@pytest.fixture(scope="session", autouse=True)
def quiet_vtk():
    # without the application's colour tables and terminologies the logics log errors that say
    # nothing about the panel
    vtk.vtkObject.GlobalWarningDisplayOff()


@pytest.fixture(scope="session", autouse=True)
def modules_are_no_garbage():
    """What is loaded stays, and need not be looked through whenever a panel is closed."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def own_settings(tmp_path):
    """Settings that nobody else reads, and that go with the test."""
    native, user = QtCore.QSettings.Format.NativeFormat, QtCore.QSettings.Scope.UserScope
    QtCore.QSettings.setPath(native, user, str(tmp_path / "settings"))


@pytest.fixture
def answers():
    """What the person answers in dialogs."""
    return application.Answers()


@pytest.fixture
def app(answers):
    """`slicer.app` over an empty scene."""
    return application.install(answers)


@pytest.fixture
def a_panel(app, answers):
    """The panel with a presenter that only remembers what it was asked for."""
    panel = APanel(RecordingPresenter, answers)
    yield panel
    panel.close()
    assert app.complaints.look() == []  # Slicer's log stays clean


@pytest.fixture
def a_real_panel(app, answers):
    """The panel with its real presenter, service and worker."""
    panel = RealPanel(answers)
    yield panel
    panel.close()


@pytest.fixture
def a_shown_case(a_panel, tmp_path):
    """The panel with a case under review in the views."""
    a_panel.show(states.REVIEW)
    show(a_panel, tmp_path)
    return a_panel
