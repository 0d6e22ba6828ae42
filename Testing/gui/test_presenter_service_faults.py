"""What happens when the service dies or the project's folder goes away."""

import pytest
from a_presenter import Stage, opened
from presenter_fakes import ROOT, Disk
from PseudoLabelCLGui.panel_state import Light
from PseudoLabelCLGui.presenter.core import RESTART_AGAIN_S

from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.review import Verdict
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.messages.requests import Accept, OpenProject, Refresh, ShowCase


@pytest.fixture
def review() -> Stage:
    """A project in review with a case shown."""
    stage = opened(Disk.with_cases(3, (RoundState.IN_REVIEW,)))
    stage.presenter.review.show_case("u0")
    stage.settle()
    return stage


def test_a_service_that_crashed_is_started_once_more_and_the_project_opened_again(review):
    review.service.crash()
    review.settle()
    assert len(review.services) == 2
    assert review.service.asked[0] == OpenProject(ROOT)
    assert review.state.project.root == ROOT
    assert review.state.review.case_id == "u0"
    assert review.state.message.light is Light.AMBER
    assert review.state.review.accept.enabled


def test_a_verdict_on_its_way_is_not_repeated_and_the_person_is_told_to_look(review):
    review.service.by_hand = True
    review.presenter.review.accept()
    review.by_hand = False
    review.service.crash()
    review.settle()
    assert not review.service.requests(Accept)
    assert "Check that your last action was saved" in review.state.message.remedy
    assert review.state.review.queue[0].verdict == ""
    assert review.state.review.accept.enabled


def test_a_verdict_that_reached_the_disk_before_the_crash_is_there_afterwards(review):
    review.service.by_hand = True
    review.presenter.review.accept()
    review.service.handle()
    review.service.events.clear()
    review.service.crash()
    review.service.by_hand = review.by_hand = False
    review.settle()
    assert review.state.review.queue[0].verdict == "accepted"
    assert review.disk.verdicts == {(0, "u0"): Verdict.ACCEPTED}


def test_a_case_that_kills_the_service_is_not_asked_for_again(review):
    review.service.by_hand = True
    review.presenter.review.show_case("u2")
    review.service.crash()
    review.by_hand = False
    review.settle()
    assert not review.service.requests(ShowCase)
    assert not review.state.review.is_loading
    assert review.state.review.case_id == "u0"


def test_a_service_that_dies_again_at_once_waits_for_the_person(review):
    review.service.crash()
    review.settle()
    review.clock.now += RESTART_AGAIN_S - 1
    review.service.crash()
    review.settle()
    assert len(review.services) == 2
    assert review.state.message.light is Light.RED
    assert review.state.message.next_step.text == "Open again"
    assert "open it again" in review.state.review.accept.tool_tip
    review.presenter.message_step()
    review.settle()
    assert len(review.services) == 3
    assert review.state.review.accept.enabled


def test_a_service_that_dies_long_after_is_started_again(review):
    review.service.crash()
    review.settle()
    review.clock.now += RESTART_AGAIN_S + 1
    review.service.crash()
    review.settle()
    assert len(review.services) == 3
    assert review.state.review.accept.enabled


def test_a_service_that_dies_without_a_project_is_started_with_the_next_request():
    stage = Stage(Disk.with_cases(1))
    stage.presenter.use.load_model("/m.plcl")
    stage.settle()
    stage.service.crash()
    stage.settle()
    assert stage.state.message.light is Light.RED
    stage.presenter.project.open(ROOT)
    stage.settle()
    assert stage.state.project.root == ROOT


def test_while_a_worker_trains_a_new_service_does_not_disturb_it(stage):
    stage.presenter.train.start()
    stage.settle()
    stage.worker.begin()
    stage.settle()
    stage.service.crash()
    stage.settle()
    assert stage.state.train.is_running
    assert not stage.worker.is_cancel_asked
    stage.worker.finish()
    stage.settle()
    assert stage.state.train.train.text == "Train round 1"


def test_a_folder_that_vanished_is_told_with_every_request_and_comes_back(review):
    review.disk.exists = False
    review.presenter.review.accept()
    review.settle()
    assert review.state.message.text == "The folder is gone."
    assert review.state.message.next_step.text == "Open again"
    review.presenter.message_step()
    review.settle()
    assert "open it again" in review.state.review.accept.tool_tip
    assert review.state.project.root == ROOT
    assert review.state.project.close.enabled
    review.disk.exists = True
    review.presenter.project.open(ROOT)
    review.settle()
    assert review.state.review.accept.enabled


def test_a_folder_that_vanished_during_training_is_told_and_can_be_closed(stage):
    stage.presenter.train.start()
    stage.settle()
    stage.worker.begin()
    stage.disk.exists = False
    stage.worker.stop()
    stage.settle()
    assert stage.state.message.light is Light.RED
    assert not stage.state.train.is_running
    stage.presenter.project.close()
    stage.settle()
    assert stage.state.project.root == ""
    assert stage.state.project.new.enabled


def test_a_change_on_its_way_when_the_service_dies_frees_the_buttons(stage):
    stage.service.by_hand = True
    stage.presenter.cases.set_role(("u0",), CaseRole.IGNORED)
    stage.by_hand = False
    stage.service.crash()
    stage.settle()
    assert stage.state.cases.set_role.enabled
    assert [row.role for row in stage.state.cases.rows][1] is CaseRole.UNLABELLED


def test_a_training_that_was_about_to_start_when_the_service_died_does_not_start_by_itself(stage):
    stage.service.by_hand = True
    stage.presenter.train.start()
    stage.by_hand = False
    stage.service.crash()
    stage.settle()
    assert stage.workers == []
    assert stage.state.train.train.enabled
    assert not stage.service.requests(Refresh)
