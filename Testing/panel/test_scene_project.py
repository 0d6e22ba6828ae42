"""Scenes that name a project: the panel asks, with its own buttons, and looks at nothing before."""

import sys

import mistreated_projects as projects
import pytest
import slicer
from a_panel import APanel
from PseudoLabelCLGui.parameter_node import ParameterNode
from PseudoLabelCLGui.presenter import Presenter

STRANGE = "\\\\stranger\\share\\project"


@pytest.fixture
def started():
    """What was started since the panel was made."""
    return []


@pytest.fixture
def a_live_panel(app, answers, started):
    """The panel with its real presenter, whose children cannot be started."""

    def make(_start_service, start_worker, **named):
        def start_service():
            started.append("service")
            raise OSError("no service in this test")

        return Presenter(start_service, start_worker, **named)

    panel = APanel(make, answers)
    yield panel
    panel.close()


def import_scene_of(root):
    ParameterNode().rememberProject(root)
    slicer.mrmlScene.InvokeEvent(slicer.vtkMRMLScene.EndImportEvent)


def said(panel):
    panel.tick()
    return panel.widget("messageLabel").text()


def is_asked(panel):
    panel.tick()
    return panel.widget("answerButton1").isVisible()


def test_a_scene_that_names_a_project_asks_before_anything_is_started(a_live_panel, started):
    import_scene_of(STRANGE)
    assert said(a_live_panel) == f"This scene belongs to the project '{STRANGE}'."
    assert a_live_panel.widget("answerButton1").text() == "Open the project"
    assert a_live_panel.widget("answerButton2").text() == "Not now"
    assert started == []


def test_the_project_is_opened_by_the_button(a_live_panel, started):
    import_scene_of("/project")
    said(a_live_panel)
    a_live_panel.click("answerButton1")
    assert started == ["service"]


def test_who_does_not_want_it_is_asked_again_by_the_next_scene_only(a_live_panel, started):
    import_scene_of("/project")
    said(a_live_panel)
    a_live_panel.click("answerButton2")
    a_live_panel.panel.exit()
    a_live_panel.panel.enter()
    assert not is_asked(a_live_panel)
    import_scene_of("/project")
    assert is_asked(a_live_panel)
    assert started == []


def test_a_closed_scene_takes_its_question_along(a_live_panel, started):
    import_scene_of("/project")
    assert is_asked(a_live_panel)
    slicer.mrmlScene.Clear()
    assert not is_asked(a_live_panel)
    assert started == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="as the other tests with a real service")
def test_a_scene_that_is_loaded_again_brings_its_project_back_after_one_click(
    a_real_panel, tmp_path
):
    root = projects.in_review(tmp_path)
    a_real_panel.open(root)
    a_real_panel.until(lambda state: len(state.review.queue) == 2)
    slicer.mrmlScene.Clear()
    a_real_panel.until(lambda state: not state.project.root)
    import_scene_of(str(root))
    a_real_panel.until(lambda state: bool(state.message.answers))
    assert a_real_panel.state.project.root == ""
    a_real_panel.click("answerButton1")
    a_real_panel.until(lambda state: state.project.root == str(root))
