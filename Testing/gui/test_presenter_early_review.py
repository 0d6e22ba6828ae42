"""Review in the panel while the worker still makes the other proposals."""

import pytest
from a_presenter import Stage, opened
from presenter_fakes import ROOT, Disk
from PseudoLabelCLGui.panel_state import Light
from PseudoLabelCLGui.presenter.train.training_actions import LOOK_EVERY_S
from reviewing import SAVE, answers, left, shown, written

from PseudoLabelCLLib.domain.review import Verdict
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.messages.job_messages import WorkerCrashed
from PseudoLabelCLLib.messages.requests import Refresh

CASES = ("u0", "u1", "u2", "u3")
TRAINED = (
    "A round is being trained; you can review its proposals as soon as the first one is there."
)


def at_work(disk: Disk | None = None, num_rounds: int = 1) -> Stage:
    """A training of round 0 that has begun."""
    stage = opened(disk or Disk.with_cases(len(CASES)))
    stage.presenter.train.start(num_rounds)
    stage.settle()
    stage.worker.begin()
    stage.settle()
    return stage


def propose(stage: Stage, *case_ids: str) -> None:
    """Let the worker make proposals, and let the panel have looked."""
    stage.worker.propose(*case_ids)
    stage.clock.now += LOOK_EVERY_S
    stage.settle()


@pytest.fixture
def stage():
    """Two of four proposals are there; the second one is the more doubtful."""
    stage = at_work(Disk.with_cases(len(CASES)))
    stage.disk.doubts = {"u0": 0.2, "u1": 0.5, "u2": 0.9, "u3": 0.1}
    propose(stage, "u0", "u1")
    return stage


def queue(stage: Stage) -> list[str]:
    return [row.case_id for row in stage.state.review.queue]


def finished(stage: Stage) -> Stage:
    stage.worker.propose(*(one for one in CASES if one not in stage.disk.there))
    stage.worker.finish()
    stage.settle()
    return stage


# --- the review opens ---


def test_review_opens_with_the_first_proposal():
    stage = at_work()
    assert stage.state.review.accept.tool_tip == TRAINED
    stage.worker.propose()
    stage.settle()
    assert stage.state.review.accept.tool_tip == TRAINED
    propose(stage, "u0")
    assert queue(stage) == ["u0"]
    assert stage.state.review.progress == "0 of 1 reviewed. 1 of 4 proposals are there."
    assert stage.state.next_thing.step == "review"
    assert stage.state.next_thing.text == "Review 1 proposal"
    assert [one.summary for one in stage.state.steps][2] == "0 of 1 reviewed so far"


def test_progress_of_the_job_stays_visible_beside_the_review(stage):
    shown(stage, "u1")
    assert stage.state.status.text == "Round: pseudo-labels"
    assert stage.state.status.fraction == 0.5
    assert stage.state.train.is_running
    assert [row.state for row in stage.state.rounds.rows] == ["making proposals"]


def test_every_verdict_can_be_given(stage):
    shown(stage, "u1")
    stage.presenter.review.accept()
    stage.settle()
    assert stage.disk.verdicts == {(0, "u1"): Verdict.ACCEPTED}
    assert stage.state.review.case_id == "u0"  # the next one came by itself
    stage.presenter.review.reject()
    stage.settle()
    assert stage.disk.verdicts[0, "u0"] is Verdict.REJECTED
    stage.presenter.review.take_back()
    stage.settle()
    assert (0, "u0") not in stage.disk.verdicts
    stage.presenter.review.case_is_edited(True)
    stage.presenter.review.accept()
    written(stage)
    assert stage.disk.verdicts[0, "u0"] is Verdict.CORRECTED
    assert not stage.worker.is_cancel_asked


def test_once_all_that_are_there_are_reviewed_it_is_said_that_more_will_come(stage):
    shown(stage, "u0")
    stage.presenter.review.accept()
    stage.settle()
    stage.presenter.review.accept()
    stage.settle()
    message = stage.state.message
    assert (message.text, message.remedy) == (
        "You have reviewed what is there.",
        "The other proposals come into the list as they are made.",
    )
    assert stage.state.next_thing.is_doing
    assert not stage.state.steps[2].is_done


def test_case_without_a_proposal_yet_cannot_be_judged(stage):
    shown(stage, "u3")
    assert stage.state.review.accept.tool_tip == "This case has no proposal to review."
    stage.presenter.review.accept()
    stage.settle()
    assert stage.disk.verdicts == {}


def test_next_round_is_closed_until_all_are_there_and_why_is_said(stage):
    assert not stage.state.train.train.enabled
    assert stage.state.train.train.tool_tip == (
        "Round 0 is still making proposals; the next one can begin once all are there."
    )
    finished(stage)
    assert stage.state.train.train.enabled
    assert stage.state.train.train.text == "Train round 1"


# --- the queue fills ---


def test_new_proposals_come_behind_and_leave_the_shown_case_alone(stage):
    assert queue(stage) == ["u1", "u0"]
    shown(stage, "u0")
    stage.presenter.review.case_is_edited(True)
    identity, heard = stage.state.review.identity, len(stage.heard)
    propose(stage, "u2", "u3")  # u2 is the most doubtful of all
    assert queue(stage) == ["u1", "u0", "u2", "u3"]
    assert stage.state.review.case_id == "u0"
    assert stage.state.review.identity == identity
    assert stage.state.review.accept.text == "Save correction"
    assert stage.heard[heard:] == []


def test_case_that_is_only_looked_at_stays_in_the_views_when_its_proposal_comes(stage):
    shown(stage, "u3")
    propose(stage, "u2", "u3")
    assert stage.state.review.case_id == "u3"
    assert left(stage) == []
    assert stage.state.review.accept.tool_tip == (
        "There is a newer proposal for this case: show the case again."
    )
    shown(stage, "u3")
    assert stage.state.review.accept.enabled


def test_earlier_proposal_stays_in_the_views_while_the_first_of_the_round_come():
    disk = Disk.with_cases(len(CASES), (RoundState.IN_REVIEW,))
    stage = at_work(disk)
    shown(stage, "u2")
    heard = len(stage.heard)
    propose(stage, "u0")
    propose(stage, "u1", "u2", "u3")
    finished(stage)
    assert stage.state.review.case_id == "u2"
    assert [one[0] for one in stage.heard[heard:]] == []


def test_once_all_are_there_the_rest_is_ordered_by_doubt_and_that_is_said_once(stage):
    shown(stage, "u1")
    stage.presenter.review.go_on_after_verdict(False)
    stage.presenter.review.accept()
    stage.settle()
    shown(stage, "u0")
    finished(stage)
    # judged and looked at come first, then those that wait, most doubtful first
    assert queue(stage) == ["u1", "u0", "u2", "u3"]
    assert stage.state.review.case_id == "u0"
    message = stage.state.message
    assert message.text == "Round 0 is done."
    assert message.remedy == (
        "3 proposals are waiting for review. All are there now, and the rest is ordered by doubt."
    )
    assert stage.state.review.progress == "1 of 4 reviewed"
    stage.presenter.review.accept()
    stage.settle()
    assert queue(stage) == ["u1", "u0", "u2", "u3"]
    assert "ordered by doubt" not in stage.state.message.remedy


def test_who_did_not_review_early_gets_the_order_by_doubt_without_a_word(stage):
    finished(stage)
    assert queue(stage) == ["u2", "u1", "u0", "u3"]
    assert stage.state.message.remedy == "4 proposals are waiting for review."


def test_project_is_read_at_once_for_the_first_proposal_then_seldom():
    stage = at_work()
    before = len(stage.service.requests(Refresh))
    stage.worker.propose("u0")
    stage.settle()
    assert len(stage.service.requests(Refresh)) == before + 1
    for case_id in ("u1", "u2", "u3"):
        stage.worker.propose(case_id)
        stage.settle()
    assert len(stage.service.requests(Refresh)) == before + 1
    stage.clock.now += LOOK_EVERY_S
    stage.settle()
    assert len(stage.service.requests(Refresh)) == before + 2
    stage.settle()
    assert len(queue(stage)) == 4


# --- interrupted ---


def test_pause_keeps_what_was_reviewed_and_the_review_goes_on(stage):
    shown(stage, "u1")
    stage.presenter.review.accept()
    stage.settle()
    stage.presenter.train.pause()
    stage.settle()
    assert stage.worker.is_cancel_asked
    stage.worker.stop()
    stage.settle()
    assert stage.state.message.text == "Round 0 is paused."
    assert stage.state.review.case_id == "u0"
    stage.presenter.review.accept()
    stage.settle()
    assert set(stage.disk.verdicts) == {(0, "u1"), (0, "u0")}
    assert stage.state.message.remedy == "Continue the round to get the other proposals."
    assert [row.state for row in stage.state.rounds.rows] == ["interrupted while proposing"]
    assert stage.state.train.train.text == "Continue round 0"


def test_crash_of_the_worker_leaves_case_and_drawing_where_they_are(stage):
    shown(stage, "u1")
    stage.presenter.review.case_is_edited(True)
    stage.worker.end_with(WorkerCrashed(-9, "The worker was killed.", "", "Continue."))
    stage.settle()
    assert stage.state.review.case_id == "u1"
    assert stage.state.next_thing.text == "Continue round 0"
    stage.presenter.review.accept()
    written(stage)
    assert stage.disk.verdicts == {(0, "u1"): Verdict.CORRECTED}


def test_round_goes_on_without_closing_the_review(stage):
    stage.worker.stop()
    stage.settle()
    shown(stage, "u0")
    stage.presenter.review.case_is_edited(True)
    stage.presenter.train.start()
    stage.settle()
    assert answers(stage) == []
    assert len(stage.workers) == 2
    assert stage.state.review.case_id == "u0"
    stage.worker.begin()
    propose(stage, "u2")
    assert stage.state.review.accept.text == "Save correction"
    stage.presenter.review.accept()
    written(stage)
    assert stage.disk.verdicts == {(0, "u0"): Verdict.CORRECTED}
    assert left(stage) == [("u0", False)]  # the next case came by itself


def test_project_opened_between_the_proposals_can_be_reviewed_and_continued():
    disk = Disk.with_cases(len(CASES), (RoundState.PSEUDO_LABELLING,))
    disk.there = {"u0", "u2"}
    stage = opened(disk)
    assert stage.state.message.text == "Round 0 was interrupted; everything is saved."
    assert stage.state.message.remedy == "2 proposals are waiting for review."
    shown(stage, "u2")
    stage.presenter.review.accept()
    stage.settle()
    assert disk.verdicts == {(0, "u2"): Verdict.ACCEPTED}


def test_round_that_stopped_before_its_first_proposal_is_to_be_continued():
    stage = opened(Disk.with_cases(len(CASES), (RoundState.PSEUDO_LABELLING,)))
    assert stage.state.review.next_case.tool_tip == (
        "The round has made no proposal yet; continue it first."
    )
    assert stage.state.next_thing.text == "Continue round 0"


def test_discarding_the_round_says_what_goes_with_it_and_asks_about_a_drawing(stage):
    assert stage.state.train.lost_with_it == ""
    shown(stage, "u1")
    stage.presenter.review.accept()
    stage.settle()
    assert stage.state.train.lost_with_it == (
        "Your verdict on a proposal of this round goes with it."
    )
    stage.presenter.review.case_is_edited(True)
    stage.presenter.train.stop()
    stage.settle()
    stage.worker.stop()
    stage.settle()
    assert answers(stage) == ["Discard", "Keep them in the scene"]
    assert queue(stage) == []


def test_service_that_dies_meanwhile_leaves_the_review_open(stage):
    shown(stage, "u1")
    stage.service.crash()
    stage.settle()
    assert stage.state.review.case_id == "u1"
    stage.presenter.review.accept()
    stage.settle()
    assert stage.disk.verdicts == {(0, "u1"): Verdict.ACCEPTED}
    propose(stage, "u2")
    assert queue(stage) == ["u1", "u0", "u2"]


def test_closing_the_project_asks_about_a_drawing_as_elsewhere(stage):
    shown(stage, "u1")
    stage.presenter.review.case_is_edited(True)
    stage.presenter.project.close()
    stage.settle()
    assert SAVE in answers(stage)
    stage.answer(SAVE)
    written(stage)
    assert stage.disk.verdicts == {(0, "u1"): Verdict.CORRECTED}
    assert stage.state.project.root != ROOT
    assert stage.worker.is_cancel_asked


# --- several rounds in a row ---


def test_next_round_waits_for_a_person_who_is_reviewing():
    stage = at_work(num_rounds=2)
    propose(stage, "u0")
    shown(stage, "u0")
    stage.presenter.review.case_is_edited(True)
    finished(stage)
    assert len(stage.workers) == 1
    assert stage.state.message.light is Light.GREEN
    assert stage.state.message.text == (
        "Round 0 is done. The next one waits until you have reviewed."
    )
    assert stage.state.review.case_id == "u0"
    assert stage.state.review.accept.text == "Save correction"


def test_next_round_begins_by_itself_where_nobody_reviews():
    stage = at_work(num_rounds=2)
    propose(stage, "u0")
    finished(stage)
    assert len(stage.workers) == 2


def test_next_round_begins_by_itself_once_everything_is_reviewed():
    stage = at_work(num_rounds=2)
    propose(stage, *CASES)
    for case_id in CASES:
        shown(stage, case_id)
        stage.presenter.review.accept()
        stage.settle()
    finished(stage)
    assert len(stage.workers) == 2
