"""The review: the queue, showing cases, verdicts, pace."""

import pytest
from a_presenter import Stage, opened
from presenter_fakes import Disk

from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.messages.requests import (
    Accept,
    Refresh,
    Reject,
    ShowCase,
    TakeBackVerdict,
)


@pytest.fixture
def review() -> Stage:
    """A project whose round 0 is in review, with three proposals."""
    return opened(Disk.with_cases(3, (RoundState.IN_REVIEW,)))


def shown(stage: Stage, case_id: str) -> Stage:
    stage.presenter.review.show_case(case_id)
    stage.settle()
    assert stage.state.review.case_id == case_id
    return stage


def files_heard(stage: Stage) -> list[str]:
    return [heard[1].case_id for heard in stage.heard if heard[0] == "on_case_files"]


def test_the_queue_is_most_doubtful_first_with_doubt_and_reason(review):
    queue = review.state.review.queue
    assert [row.case_id for row in queue] == ["u0", "u1", "u2"]
    assert [row.doubt for row in queue] == ["50 %", "33 %", "25 %"]
    assert queue[0].reason == "The edges are unsure."
    assert review.state.review.progress == "0 of 3 reviewed"


def test_before_a_round_the_review_says_what_is_missing(stage):
    assert (
        stage.state.review.accept.tool_tip == "Train a round first; you review its proposals here."
    )


def test_a_case_is_shown_when_its_files_are_there(review):
    review.service.by_hand = True
    review.presenter.review.show_case("u1")
    assert review.state.review.is_loading
    assert review.state.review.accept.tool_tip == "The case is being loaded."
    review.service.handle()
    review.settle()
    assert files_heard(review) == ["u1"]
    assert not review.state.review.is_loading
    assert review.state.review.accept.enabled


def test_an_image_that_the_scene_has_is_not_asked_for(review):
    review.scene.images.add("u0")
    shown(review, "u0")
    assert review.service.requests(ShowCase)[0] == ShowCase("u0", None, with_image=False)


def test_the_next_case_is_made_ready_while_one_looks_at_this_one(review):
    shown(review, "u0")
    assert [r.case_id for r in review.service.requests(ShowCase)] == ["u0", "u1"]
    assert files_heard(review) == ["u0"]


def test_who_asks_for_a_case_that_is_being_made_ready_gets_that_answer(review):
    review.service.by_hand = True
    review.presenter.review.show_case("u0")
    review.service.handle()
    review.settle()
    review.presenter.review.next_case()
    review.service.handle()
    review.settle()
    assert review.state.review.case_id == "u1"
    assert [r.case_id for r in review.service.requests(ShowCase)] == ["u0", "u1", "u2"]


def test_going_fast_through_the_queue_waits_for_the_last_case_only(review):
    review.service.by_hand = True
    for case_id in ("u0", "u1", "u2", "a"):
        review.presenter.review.show_case(case_id)
    for _ in range(10):
        review.service.handle()
        review.settle()
    assert files_heard(review) == ["a"]
    assert [r.case_id for r in review.service.requests(ShowCase)][:2] == ["u0", "a"]


def test_leaving_a_case_is_told_before_the_next_comes(review):
    shown(review, "u0")
    shown(review, "u1")
    told = [heard[:2] for heard in review.heard if heard[0] in ("on_case_left", "on_case_files")]
    assert [name for name, _ in told] == ["on_case_files", "on_case_left", "on_case_files"]
    assert told[1][1] == "u0"


def test_next_and_previous_keep_to_the_queue_and_say_where_it_ends(review):
    review.presenter.review.next_case()
    review.settle()
    assert review.state.review.case_id == "u0"
    assert review.state.review.previous_case.tool_tip == "This is the first case in the list."
    review.presenter.review.next_case()
    review.settle()
    review.presenter.review.next_case()
    review.settle()
    assert review.state.review.case_id == "u2"
    assert review.state.review.next_case.tool_tip == "This is the last case in the list."
    review.presenter.review.previous_case()
    review.settle()
    assert review.state.review.case_id == "u1"


def test_a_verdict_is_shown_as_given_only_when_the_service_has_it_on_disk(review):
    shown(review, "u0")
    review.service.by_hand = True
    review.presenter.review.accept((1,))
    review.settle()
    assert review.service.asked[-1] == Accept((review.disk.identity("u0", 0),), (1,))
    assert review.state.review.queue[0].verdict == ""
    assert review.state.review.reject.tool_tip == "The verdict is being saved."
    review.presenter.review.reject()
    assert not review.service.requests(Reject)
    review.service.handle()
    review.settle()
    assert review.state.review.queue[0].verdict == "accepted"
    assert ("on_verdict_saved", ("u0",)) in review.heard


def test_after_a_verdict_the_next_case_that_waits_comes_by_itself(review):
    shown(review, "u1")
    review.presenter.review.reject()
    review.settle()
    assert review.state.review.case_id == "u2"
    review.presenter.review.accept()
    review.settle()
    assert review.state.review.case_id == "u0"
    review.presenter.review.accept()
    review.settle()
    assert review.state.review.case_id == "u0"
    assert review.state.message.text == "All proposals of this round have been reviewed."
    assert review.state.review.progress == "3 of 3 reviewed"


def test_who_does_not_want_that_stays_where_he_is(review):
    review.presenter.review.go_on_after_verdict(goes_on=False)
    shown(review, "u0")
    review.presenter.review.accept()
    review.settle()
    assert review.state.review.case_id == "u0"


def test_who_went_on_meanwhile_is_not_called_back(review):
    shown(review, "u0")
    review.service.by_hand = True
    review.presenter.review.accept()
    review.presenter.review.show_case("u2")
    for _ in range(6):
        review.service.handle()
        review.settle()
    assert review.state.review.case_id == "u2"


def test_a_refused_verdict_leaves_the_queue_as_the_disk_has_it(review):
    shown(review, "u0")
    review.service.refuse(Accept, "StorageError", "The disk is full.")
    review.presenter.review.accept()
    review.settle()
    assert review.state.message.text == "The disk is full."
    assert review.state.review.queue[0].verdict == ""
    assert review.state.review.accept.enabled
    assert isinstance(review.service.asked[-1], Refresh)


def test_taking_back_shows_the_proposal_again(review):
    review.presenter.review.go_on_after_verdict(goes_on=False)
    shown(review, "u0")
    assert review.state.review.take_back.tool_tip == "There is no verdict to take back."
    review.presenter.review.reject()
    review.settle()
    assert review.state.review.take_back.enabled
    review.presenter.review.take_back()
    review.settle()
    assert review.service.requests(TakeBackVerdict)
    assert review.state.review.queue[0].verdict == ""
    assert files_heard(review) == ["u0", "u0"]


def test_the_time_left_follows_the_pace_of_this_session(review):
    shown(review, "u0")
    review.clock.now += 180
    review.presenter.review.accept()
    review.settle()
    assert review.state.review.progress == "1 of 3 reviewed, about 6 min left"
    review.clock.now += 5 * 3600
    review.presenter.review.accept()
    review.settle()
    assert review.state.review.progress == "2 of 3 reviewed, about 3 min left"


def test_an_earlier_round_can_be_looked_at_but_not_judged():
    stage = opened(Disk.with_cases(2, (RoundState.CLOSED, RoundState.IN_REVIEW)))
    shown(stage, "u0")
    stage.presenter.review.show_round(0)
    stage.settle()
    assert stage.service.requests(ShowCase)[-2].round_index == 0
    assert "round 0" in stage.state.review.accept.tool_tip
    stage.presenter.review.show_round(1)
    stage.settle()
    assert stage.state.review.accept.enabled
    stage.presenter.review.show_round(7)
    assert stage.state.message.text == "Round 7 does not exist."


def test_while_a_round_is_trained_the_review_waits(review):
    shown(review, "u0")
    review.presenter.train.start()
    review.settle()
    assert "as soon as the first one is there" in review.state.review.accept.tool_tip
    review.presenter.review.accept()
    review.presenter.review.accept_many(("u1",))
    review.settle()
    assert not review.service.requests(Accept)


def test_a_case_that_is_taken_out_is_no_longer_shown(review):
    shown(review, "u0")
    review.presenter.cases.remove(("u0",))
    review.settle()
    assert review.state.review.case_id == ""
    assert review.heard[-1] == ("on_case_left", "u0", False)


def test_a_case_whose_files_cannot_be_made_is_told_and_the_others_go_on(review):
    review.service.refuse(ShowCase, "VolumeError", "'u0' cannot be read.")
    review.presenter.review.show_case("u0")
    review.settle()
    assert review.state.message.text == "'u0' cannot be read."
    assert not review.state.review.is_loading
    shown(review, "u1")


def test_next_doubt_and_comparison_say_why_they_cannot_be_used(review):
    assert review.state.review.next_doubt.tool_tip == "Choose a case first."
    shown(review, "u0")
    assert review.state.review.next_doubt.enabled
    assert not review.state.review.compare.enabled
