"""Several verdicts at once: on what was listed, and with a word about what nobody looked at."""

import pytest
from a_presenter import Stage
from reviewing import BACK, SAVE, answers, edited, in_review, shown, written

from PseudoLabelCLLib.domain.review import Verdict
from PseudoLabelCLLib.messages.requests import Accept, Refresh, Reject


@pytest.fixture
def review() -> Stage:
    """A project whose round 0 is in review, with five proposals, two of which were looked at."""
    stage = in_review(5)
    return shown(shown(stage, "u0"), "u1")


ALL = ("u0", "u1", "u2", "u3", "u4")


def identities(stage, *case_ids):
    return tuple(stage.disk.identity(case_id, 0) for case_id in case_ids)


def test_accepting_what_nobody_looked_at_is_asked_about(review):
    review.presenter.review.accept_many(ALL)
    review.settle()
    assert review.state.message.text == "You have not looked at 3 of these proposals."
    assert answers(review) == ["Accept all 5", "Only the 2 that I looked at", BACK]
    assert not review.service.requests(Accept)
    assert not review.state.review.accept.enabled


def test_all_of_them_are_accepted_with_the_number_that_was_not_shown(review):
    review.presenter.review.accept_many(ALL)
    review.answer("Accept all 5")
    assert review.service.requests(Accept) == [Accept(identities(review, *ALL))]
    assert review.state.message.text.startswith(
        "5 proposals accepted, 3 of them without having been shown."
    )


def test_only_those_that_were_looked_at_are_accepted(review):
    review.presenter.review.accept_many(ALL)
    review.answer("Only the 2 that I looked at")
    assert review.service.requests(Accept) == [Accept(identities(review, "u0", "u1"))]
    assert review.state.message.text == "2 proposals accepted."


def test_none_is_accepted(review):
    review.presenter.review.accept_many(ALL)
    review.answer(BACK)
    assert not review.service.requests(Accept)


def test_one_that_nobody_looked_at_is_asked_about_in_the_singular(review):
    review.presenter.review.accept_many(("u4",))
    assert review.state.message.text == "You have not looked at 1 of these proposals."
    assert answers(review) == ["Accept it", BACK]


def test_what_was_looked_at_is_accepted_at_once(review):
    review.presenter.review.accept_many(("u0", "u1", "a", "nobody"))
    review.settle()
    assert review.service.requests(Accept) == [Accept(identities(review, "u0", "u1"))]
    assert answers(review) == []


def test_what_was_only_made_ready_was_not_looked_at(review):
    # the files of u2 are there already
    review.presenter.review.accept_many(("u2",))
    assert answers(review) == ["Accept it", BACK]


def test_having_looked_at_a_proposal_says_nothing_about_the_next_rounds(review):
    review.presenter.train.start()
    review.settle()
    review.train_round()
    review.presenter.review.accept_many(("u0", "u1"))
    assert answers(review) == ["Accept all 2", BACK]


def test_rejecting_needs_no_look_but_says_how_many(review):
    review.presenter.review.reject_many(("u1", "u2"))
    review.settle()
    assert review.service.requests(Reject) == [Reject(identities(review, "u1", "u2"))]
    assert review.state.message.text == (
        "2 proposals rejected, 1 of them without having been shown."
    )


def test_the_answer_is_about_what_was_listed_when_it_was_asked(review):
    listed = identities(review, *ALL)
    review.presenter.review.accept_many(ALL)
    review.disk.generation += 1
    review.presenter._core.ask(Refresh())
    review.settle()
    review.answer("Accept all 5")
    assert review.service.requests(Accept) == [Accept(listed)]
    assert not review.disk.verdicts
    assert "newer proposal" in review.state.message.text


def test_a_correction_is_not_replaced_by_the_proposal(review):
    edited(review, "u2")
    review.presenter.review.accept()
    written(review)
    review.presenter.review.accept_many(("u0", "u1", "u2"))
    review.settle()
    assert review.service.requests(Accept) == [Accept(identities(review, "u0", "u1"))]
    assert review.disk.verdicts[0, "u2"] is Verdict.CORRECTED
    review.presenter.review.accept_many(("u2",))
    assert "your corrections stand" in review.state.message.text


def test_a_changed_case_among_them_is_asked_about_first_and_its_correction_stays(review):
    edited(review, "u1")
    review.presenter.review.reject_many(("u0", "u1"))
    review.answer(SAVE)
    written(review)
    assert review.service.requests(Reject) == [Reject(identities(review, "u0"))]
    assert review.disk.verdicts[0, "u1"] is Verdict.CORRECTED


def test_when_all_are_judged_that_is_said(review):
    review.presenter.review.reject_many(ALL)
    review.settle()
    assert "All proposals of this round have been reviewed." in review.state.message.text
