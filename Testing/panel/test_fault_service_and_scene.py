"""What a person sees when the service dies, the scene goes, or another Slicer has the project."""

import os
import sys

import mistreated_projects as projects
import pytest
import slicer
from PseudoLabelCLGui.panel_state import Light
from PseudoLabelCLGui.parameter_node import ParameterNode

from PseudoLabelCLLib.messages.requests import OpenProject
from PseudoLabelCLLib.messages.service_messages import Answered
from PseudoLabelCLLib.process.service_process import ServiceProcess

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="these kills are POSIX signals"),
]


@pytest.fixture
def reviewing(a_real_panel, tmp_path):
    """The panel with the most doubtful case of a round shown."""
    a_real_panel.open(projects.in_review(tmp_path))
    a_real_panel.until(lambda state: len(state.review.queue) == 2)
    a_real_panel.choose("queueTable", 0)
    a_real_panel.click("showCaseButton")
    a_real_panel.until(lambda _state: a_real_panel.is_shown("other-2"))
    return a_real_panel


def test_a_service_that_was_killed_is_started_again_and_the_review_goes_on(reviewing, tmp_path):
    projects.end_at_once(reviewing.services[0].pid)
    reviewing.until(lambda state: len(reviewing.services) == 2 and state.review.accept.enabled)
    text, remedy, button = reviewing.said
    assert "It has been restarted, and the project is being reopened." in text
    assert remedy == "Everything the panel showed as saved is saved."
    assert not button
    assert reviewing.is_shown("other-2")
    reviewing.click("acceptButton")
    reviewing.until(lambda _state: reviewing.is_shown("other-1"))
    assert projects.verdicts(tmp_path / "hearts") == {"other-2": "accepted"}


def test_a_service_that_dies_again_at_once_waits_for_the_person(reviewing):
    projects.end_at_once(reviewing.services[0].pid)
    reviewing.until(lambda state: len(reviewing.services) == 2 and state.review.accept.enabled)
    projects.end_at_once(reviewing.services[1].pid)
    reviewing.until(lambda state: state.message.light is Light.RED, fault=True)
    text, remedy, button = reviewing.said
    assert "process" in text, text
    assert remedy
    assert button == "Open again"
    reviewing.click("messageButton")
    reviewing.until(lambda state: state.review.accept.enabled, fault=True)


def test_a_volume_deleted_during_review_is_told_and_shown_again(reviewing):
    case = reviewing.panel._review.proposal.case
    slicer.mrmlScene.RemoveNode(case.volume)
    reviewing.until(lambda _state: not reviewing.is_shown("other-2"))
    text, remedy, button = reviewing.said
    assert text == "The volume or the segmentation of 'other-2' was deleted from the scene."
    assert remedy == "All verdicts are saved; only changes since the last one are lost."
    assert button == "Show it again"
    reviewing.click("messageButton")
    reviewing.until(lambda _state: reviewing.is_shown("other-2"))


def test_a_second_slicer_is_told_who_has_the_project_and_gets_it_later(a_real_panel, tmp_path):
    root = projects.in_review(tmp_path)
    other = ServiceProcess.start(sys.executable)
    try:
        other.ask(OpenProject(str(root)))
        a_real_panel.until(lambda _state: any(isinstance(e, Answered) for e in other.poll()))
        a_real_panel.open(root)
        a_real_panel.until(lambda state: state.message.light is Light.RED, fault=True)
        text, remedy, button = a_real_panel.said
        assert "is in use by" in text
        assert f"process {other.pid} on {os.uname().nodename}" in text
        assert remedy
        assert button == "Open again"
    finally:
        other.close()
    a_real_panel.click("messageButton")
    a_real_panel.until(lambda state: state.project.root == str(root), fault=True)


@pytest.mark.long
def test_closing_the_scene_during_training_lets_the_training_go_on(a_real_panel, tmp_path):
    root = projects.untrained(tmp_path, num_steps=40)
    a_real_panel.open(root)
    a_real_panel.until(lambda state: state.train.train.enabled)
    a_real_panel.click("trainButton")
    a_real_panel.until(lambda state: state.train.loss.x)
    slicer.mrmlScene.Clear()
    assert ParameterNode().project() == str(root)
    assert a_real_panel.state.train.is_running
    assert a_real_panel.widget("statusBar").isVisible()
    a_real_panel.until(lambda state: len(state.review.queue) == 2 and not state.train.is_running)
    text, remedy, button = a_real_panel.said
    assert text == "Round 0 is done."
    assert remedy == "2 proposals are waiting for review."
    assert button == "Review"
    a_real_panel.click("messageButton")
    a_real_panel.until(lambda state: a_real_panel.is_shown(state.review.queue[0].case_id))
