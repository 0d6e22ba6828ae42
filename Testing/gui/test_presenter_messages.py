"""How long a message stays, where its button leads, and what counts as time of review."""

import pytest
from a_presenter import Stage
from PseudoLabelCLGui.panel_state import Light
from reviewing import edited, in_review, shown


@pytest.fixture
def review() -> Stage:
    return in_review()


def test_the_invitation_to_review_has_served_with_the_first_verdict(review):
    assert review.state.message.next_step.text == "Review"
    review.presenter.message_step()
    review.settle()
    assert review.state.message.light is Light.NONE


def test_what_was_said_about_the_round_before_does_not_stay_over_the_review(stage):
    stage.presenter.train.start()
    stage.settle()
    stage.train_round()
    assert stage.state.message.text == "Round 0 is done."
    stage.presenter.review.show_case("u0")
    stage.settle()
    assert stage.state.message.text == ""


def test_a_refusal_has_served_with_the_next_action_whatever_that_is(review):
    review.presenter.use.load_model("/m.plcl")
    review.presenter.review.accept_many(("nobody",))
    assert review.state.message.text
    review.presenter.cases.check()
    review.settle()
    assert review.state.message.text == ""


def test_a_person_can_close_a_message_but_not_a_question(review):
    assert review.state.message.text
    review.presenter.close_message()
    review.settle()
    assert review.state.message.light is Light.NONE
    edited(review)
    review.presenter.leave_module()
    review.settle()
    assert review.state.message.answers
    review.presenter.close_message()
    review.settle()
    assert review.state.message.answers


def test_what_failed_stays_over_other_actions(review):
    review.presenter._core.tell(Light.RED, "The worker was killed.", topic="train")
    shown(review, "u0")
    review.presenter.review.accept()
    review.settle()
    assert review.state.message.text == "The worker was killed."


def test_a_message_about_a_case_goes_with_it(review):
    shown(review, "u0")
    review.presenter._core.tell(Light.RED, "Not written.", topic="review", about="u0")
    review.presenter._core.facts.topic = "service of u0"
    shown(review, "u1")
    assert review.state.message.text == ""


def test_closing_the_project_takes_its_messages_along(review):
    review.presenter._core.tell(Light.RED, "The worker was killed.", topic="train")
    review.presenter.project.close()
    review.settle()
    assert review.state.message.light is Light.NONE


@pytest.mark.parametrize("has_just_trained", [True, False])
def test_the_button_of_a_message_leads_to_the_review(stage, has_just_trained):
    stage.presenter.train.start()
    stage.settle()
    stage.train_round()
    if not has_just_trained:
        stage.presenter.project.close()
        stage.settle()
        stage.presenter.project.open("/p")
        stage.settle()
    stage.heard.clear()
    stage.presenter.message_step()
    stage.settle()
    assert ("on_step_wanted", "review") in stage.heard


def test_the_button_of_a_message_about_cases_leads_to_them(stage):
    stage.presenter._core.tell(Light.AMBER, "Look.", topic="cases", step=("Look", lambda: None))
    stage.presenter.message_step()
    assert stage.heard[-1] == ("on_step_wanted", "cases")


# --- the pace


def progress_after(review: Stage, *, seconds: float) -> str:
    review.clock.now += seconds
    review.presenter.review.accept()
    review.settle()
    return review.state.review.progress


def test_time_in_another_module_does_not_count(review):
    shown(review, "u0")
    review.clock.now += 60
    review.presenter.leave_module()
    review.clock.now += 700
    review.presenter.enter_module()
    assert progress_after(review, seconds=60) == "1 of 3 reviewed, about 4 min left"


def test_a_case_that_came_while_another_module_was_shown_counts_from_entering_on(review):
    review.presenter.leave_module()
    shown(review, "u0")
    review.clock.now += 700
    review.presenter.enter_module()
    assert progress_after(review, seconds=60) == "1 of 3 reviewed, about 2 min left"


def test_time_in_which_a_round_was_trained_does_not_count(review):
    shown(review, "u0")
    review.presenter.train.start()
    review.settle()
    review.clock.now += 800
    review.train_round()
    shown(review, "u0")
    assert progress_after(review, seconds=60) == "1 of 3 reviewed, about 2 min left"


def test_time_in_which_another_case_was_looked_at_does_not_count(review):
    shown(review, "u0")
    review.clock.now += 600
    shown(review, "a")
    review.clock.now += 600
    shown(review, "u0")
    assert progress_after(review, seconds=120) == "1 of 3 reviewed, about 4 min left"


def test_the_time_until_a_case_is_in_the_views_does_not_count(review):
    review.reads_files = False
    review.presenter.review.show_case("u0")
    review.settle()
    review.clock.now += 500
    review.presenter.review.case_is_on_screen(review.heard[-1][1])
    assert progress_after(review, seconds=60) == "1 of 3 reviewed, about 2 min left"


def test_who_was_called_away_is_not_counted(review):
    shown(review, "u0")
    assert progress_after(review, seconds=5000) == "1 of 3 reviewed"
