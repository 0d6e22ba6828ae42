"""A verdict is on what is in the views; changes that are not saved are asked about."""

import pytest
from a_presenter import Stage, opened
from presenter_fakes import ROOT, Disk
from PseudoLabelCLGui.panel_state import Light
from reviewing import (
    BACK,
    DISCARD,
    DROP,
    KEEP,
    SAVE,
    answers,
    edited,
    in_review,
    left,
    shown,
    written,
)

from PseudoLabelCLLib.domain.review import Verdict
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.messages.requests import (
    Accept,
    CloseProject,
    Correct,
    GoBack,
    Refresh,
    Reject,
    ShowCase,
    TakeBackVerdict,
)


@pytest.fixture
def review() -> Stage:
    """A project whose round 0 is in review, with three proposals."""
    return in_review()


# --- only what is in the views


def test_a_verdict_waits_until_the_case_is_in_the_views(review):
    review.reads_files = False
    review.presenter.review.show_case("u0")
    review.settle()
    files = review.heard[-1][1]
    assert review.state.review.is_loading
    review.presenter.review.accept()
    review.settle()
    assert not review.service.requests(Accept)
    review.presenter.review.case_is_on_screen(files)
    assert not review.state.review.is_loading
    assert review.state.review.accept.enabled


def test_the_views_of_a_case_that_was_left_allow_nothing(review):
    review.reads_files = False
    review.presenter.review.show_case("u0")
    review.settle()
    late = review.heard[-1][1]
    review.presenter.review.show_case("u1")
    review.settle()
    review.presenter.review.case_is_on_screen(late)
    assert not review.state.review.accept.enabled


def test_a_verdict_names_the_proposal_that_is_shown(review):
    shown(review, "u0")
    identity = review.state.review.identity
    assert identity == review.disk.identity("u0", 0)
    review.presenter.review.accept((1,))
    assert review.service.requests(Accept) == [Accept((identity,), (1,))]


def test_the_round_that_ends_while_a_case_is_shown_takes_it_out_of_the_views(review):
    shown(review, "u0")
    review.presenter.train.start()
    review.settle()
    assert left(review) == [("u0", False)]
    shown(review, "u0")  # one may look at it while the round is trained
    assert not review.state.review.accept.enabled
    review.train_round()
    assert review.state.review.case_id == ""
    assert not review.state.review.accept.enabled
    review.presenter.review.accept()
    review.settle()
    assert not review.service.requests(Accept)


def test_a_proposal_that_was_made_anew_in_the_same_round_is_not_accepted_unseen(review):
    shown(review, "u0")
    review.disk.generation += 1
    review.presenter.review.show_case("u1")
    review.presenter.review.accept()
    review.settle()
    assert not review.disk.verdicts


def test_a_proposal_that_the_presenter_knows_to_be_replaced_leaves_the_views(review):
    shown(review, "u0")
    review.disk.generation += 1
    review.presenter._core.ask(Refresh())
    review.settle()
    assert review.state.review.case_id == ""
    assert left(review) == [("u0", False)]


def test_a_refused_verdict_on_an_old_proposal_stores_nothing_and_says_why(review):
    shown(review, "u0")
    review.disk.generation += 1
    review.presenter.review.accept()
    review.settle()
    assert not review.disk.verdicts
    assert review.state.message.text == "'u0' has a newer proposal."
    assert review.state.review.case_id == ""


def test_a_saved_correction_in_the_views_is_not_accepted_as_the_proposal(review):
    review.presenter.review.go_on_after_verdict(False)
    edited(review)
    review.presenter.review.accept()
    written(review)
    assert review.state.review.accept.text == "Accept"
    assert not review.state.review.accept.enabled
    assert "take it back" in review.state.review.accept.tool_tip
    review.presenter.review.accept()
    review.settle()
    assert not review.service.requests(Accept)
    shown(review, "u1")
    shown(review, "u0")  # the service gives the correction now
    assert not review.state.review.accept.enabled
    review.presenter.review.case_is_edited(True)
    assert review.state.review.accept.enabled
    assert review.state.review.accept.text == "Save correction"


def test_what_is_drawn_after_a_verdict_was_given_stays_and_is_not_taken_for_saved(review):
    shown(review, "u0")
    review.service.by_hand = True
    review.presenter.review.accept()
    review.presenter.review.case_is_edited(True)
    review.service.by_hand = False
    review.settle()
    assert review.disk.verdicts == {(0, "u0"): Verdict.ACCEPTED}
    assert review.state.review.case_id == "u0"
    assert review.state.review.accept.text == "Save correction"


# --- the question


ACTIONS = {
    "show": lambda p: p.review.show_case("u2"),
    "next": lambda p: p.review.next_case(),
    "train": lambda p: p.train.start(),
    "close": lambda p: p.project.close(),
    "open another": lambda p: p.project.open("/other"),
    "go back": lambda p: p.train.go_back(0),
    "accept many": lambda p: p.review.accept_many(("u0", "u1")),
    "leave module": lambda p: p.leave_module(),
}


def gone_on(stage: Stage) -> set[str]:
    """Which of the actions have gone on."""
    done = {
        "show": stage.state.review.case_id == "u2",
        "next": stage.state.review.case_id == "u1",
        "train": bool(stage.workers),
        "close": bool(stage.service.requests(CloseProject)) and not stage.state.project.root,
        "open another": bool(stage.service.requests(CloseProject))
        and bool(stage.state.project.root),
        "go back": bool(stage.service.requests(GoBack)),
        "accept many": bool(stage.service.requests(Accept)),
    }
    return {name for name, is_so in done.items() if is_so}


@pytest.mark.parametrize("name", ACTIONS)
def test_while_it_is_asked_nothing_goes_on_and_no_verdict_is_possible(review, name):
    edited(review)
    ACTIONS[name](review.presenter)
    review.settle()
    assert answers(review) == [SAVE, DISCARD, BACK]
    assert "'u0'" in review.state.message.text
    assert review.state.review.case_id == "u0"
    assert review.state.review.accept.tool_tip == "Answer the question first."
    assert not review.state.review.reject.enabled
    review.presenter.review.accept()
    review.presenter.review.reject()
    review.presenter.review.reject_many(("u1",))
    review.settle()
    assert gone_on(review) == set()
    assert not review.service.requests(Reject)
    assert not left(review)


@pytest.mark.parametrize("name", ACTIONS)
def test_go_back_keeps_all_as_it_is(review, name):
    edited(review)
    ACTIONS[name](review.presenter)
    review.answer(BACK)
    assert gone_on(review) == set()
    assert not left(review)
    assert review.state.review.case_id == "u0"
    assert review.state.review.accept.text == "Save correction"
    assert review.state.review.accept.enabled


@pytest.mark.parametrize("name", ACTIONS)
def test_saved_as_a_correction_the_action_goes_on_once_that_is_on_disk(review, name):
    edited(review)
    ACTIONS[name](review.presenter)
    review.answer(SAVE)
    assert gone_on(review) == set()
    assert not review.state.review.reject.enabled
    review.service.by_hand = True
    review.presenter.review.correct("/mine.seg.nrrd")
    review.settle()
    assert gone_on(review) == set()
    review.service.by_hand = False
    review.settle()
    assert review.disk.verdicts[0, "u0"] is Verdict.CORRECTED
    if name == "accept many":
        review.answer("Accept it")  # u1, which nobody has looked at
        assert review.service.requests(Accept) == [Accept((review.disk.identity("u1", 0),))]
    assert gone_on(review) == ({name} - {"leave module"})
    assert (("u0", True)) not in left(review)


@pytest.mark.parametrize("name", ACTIONS)
def test_if_the_correction_is_refused_nothing_goes_on_and_the_message_says_why(review, name):
    edited(review)
    ACTIONS[name](review.presenter)
    review.answer(SAVE)
    review.service.refuse(Correct, "StorageError", "The disk is full.")
    written(review)
    assert gone_on(review) == set()
    assert review.state.message.text == "The disk is full."
    assert review.state.review.case_id == "u0"
    assert review.state.review.accept.text == "Save correction"
    assert not left(review)


def test_if_the_correction_cannot_be_written_nothing_goes_on(review):
    edited(review)
    review.presenter.project.close()
    review.answer(SAVE)
    review.presenter.review.correction_failed("The disk is full.", "Free some space.")
    review.settle()
    assert review.state.message.text == "The disk is full."
    assert review.state.project.root == ROOT
    assert review.state.review.accept.enabled


@pytest.mark.parametrize("name", ACTIONS)
def test_discarded_changes_go_and_the_action_goes_on(review, name):
    edited(review)
    ACTIONS[name](review.presenter)
    review.answer(DISCARD)
    assert left(review)[0] == ("u0", True)
    assert not review.service.requests(Correct)
    if name == "accept many":
        review.answer("Only the one that I looked at")
    assert gone_on(review) == ({name} - {"leave module"})


def test_an_action_that_is_not_possible_asks_nothing(review):
    edited(review)
    review.presenter._core.facts.changing = "The volumes are being read."
    review.presenter.train.start()
    assert answers(review) == []
    assert review.state.message.text == "The volumes are being read."


def test_another_action_meanwhile_takes_the_place_of_the_first(review):
    edited(review)
    review.presenter.review.next_case()
    review.presenter.project.close()
    review.answer(DISCARD)
    assert review.state.project.root == ""


def test_undoing_the_changes_ends_the_question(review):
    edited(review)
    review.presenter.review.next_case()
    assert answers(review)
    review.presenter.review.case_is_edited(False)
    assert answers(review) == []
    assert review.state.review.accept.text == "Accept"
    assert review.state.review.case_id == "u0"


def test_drawing_while_the_next_case_is_on_its_way_holds_it_back(review):
    shown(review, "u0")
    review.service.by_hand = True
    review.presenter.review.show_case("u2")
    review.presenter.review.case_is_edited(True)
    review.service.by_hand = False
    review.settle()
    assert review.state.review.case_id == "u0"
    assert not review.state.review.is_loading
    review.answer(DISCARD)
    assert review.state.review.case_id == "u2"


def test_an_action_while_the_correction_is_on_its_way_waits_for_it_without_a_question(review):
    edited(review)
    review.presenter.review.accept()
    review.presenter.review.show_case("u2")
    assert answers(review) == []
    written(review)
    assert review.disk.verdicts[0, "u0"] is Verdict.CORRECTED
    assert review.state.review.case_id == "u2"


def test_a_correction_of_a_case_that_was_left_meanwhile_is_not_given_to_another(review):
    edited(review)
    review.presenter.review.accept()
    review.presenter.review.case_is_lost()
    shown(review, "u1")
    review.presenter.review.correct("/of-u0.seg.nrrd")
    review.settle()
    assert not review.service.requests(Correct)


# --- when the proposal can no longer be corrected


def test_a_round_that_ends_over_changes_asks_whether_to_keep_them(review):
    review.presenter.train.start()
    review.settle()
    edited(review)
    review.train_round()
    assert answers(review) == [DROP, KEEP]
    assert not review.state.review.accept.enabled
    review.answer(KEEP)
    assert left(review) == [("u0", False)]
    assert review.state.review.case_id == ""
    assert not review.service.requests(Correct)


def test_such_changes_can_be_discarded(review):
    review.presenter.train.start()
    review.settle()
    edited(review)
    review.train_round()
    review.answer(DROP)
    assert left(review) == [("u0", True)]


def test_what_was_drawn_between_train_and_the_first_step_is_asked_about(review):
    shown(review, "u0")
    review.service.by_hand = True
    review.presenter.train.start()
    review.presenter.review.case_is_edited(True)
    review.service.by_hand = False
    review.settle()
    assert len(review.workers) == 1
    assert answers(review) == [DROP, KEEP]


def test_a_question_about_saving_becomes_one_about_keeping_when_the_round_is_over(review):
    edited(review)
    review.presenter.review.next_case()
    assert answers(review) == [SAVE, DISCARD, BACK]
    review.disk.generation += 1
    review.presenter._core.ask(Refresh())
    review.settle()
    assert answers(review) == [DROP, KEEP]
    review.presenter.review.show_case("u1")
    review.answer(KEEP)
    assert review.state.review.case_id == "u1"
    assert left(review)[0] == ("u0", False)


def test_changes_of_an_earlier_rounds_proposal_can_only_be_kept_or_not():
    stage = shown(in_review(2, num_closed=1), "u0")
    stage.presenter.review.show_round(0)
    stage.settle()
    stage.presenter.review.case_is_edited(True)
    stage.presenter.review.show_case("u1")
    assert answers(stage) == [DROP, KEEP]


def test_going_back_a_round_leaves_the_case():
    stage = shown(in_review(2, num_closed=1), "u0")
    stage.presenter.train.go_back(0)
    stage.settle()
    assert stage.state.review.case_id == ""
    assert left(stage) == [("u0", False)]


def test_a_project_that_is_away_does_not_hold_its_changes_captive(review):
    edited(review)
    review.disk.exists = False
    review.presenter._core.ask(Refresh())
    review.settle()
    review.presenter.message_step()
    review.settle()
    review.presenter.project.close()
    assert answers(review) == [DROP, KEEP]
    review.answer(KEEP)
    assert review.state.project.root == ""


# --- rejecting, taking back, and losing what is shown


@pytest.mark.parametrize(
    ("answer", "discard"),
    [("Reject and discard my changes", True), ("Reject but keep my changes", False)],
)
def test_rejecting_a_changed_proposal_asks_what_becomes_of_the_changes(review, answer, discard):
    edited(review)
    review.presenter.review.reject()
    review.settle()
    assert not review.service.requests(Reject)
    assert answers(review)[-1] == BACK
    review.answer(answer)
    assert review.disk.verdicts == {(0, "u0"): Verdict.REJECTED}
    assert left(review) == [("u0", discard)]
    assert review.state.review.case_id == "u1"


def test_a_round_that_ends_while_rejecting_is_asked_about_leaves_only_the_changes(review):
    edited(review)
    review.presenter.review.reject()
    review.disk.generation += 1
    review.presenter._core.ask(Refresh())
    review.settle()
    assert answers(review) == [DROP, KEEP]
    review.answer(KEEP)
    assert not review.service.requests(Reject)
    assert left(review) == [("u0", False)]


def test_who_does_not_go_on_sees_the_rejected_proposal_as_it_was_proposed(review):
    review.presenter.review.go_on_after_verdict(False)
    edited(review)
    review.presenter.review.reject()
    review.answer("Reject but keep my changes")
    assert review.state.review.case_id == "u0"
    assert review.names_heard().count("on_case_files") == 2
    assert review.state.review.accept.text == "Accept"


def test_taking_back_with_changes_asks_first(review):
    review.presenter.review.go_on_after_verdict(False)
    shown(review, "u0")
    review.presenter.review.accept()
    review.settle()
    review.presenter.review.case_is_edited(True)
    review.presenter.review.take_back()
    review.settle()
    assert not review.service.requests(TakeBackVerdict)
    review.answer(SAVE)
    written(review)
    assert not review.service.requests(TakeBackVerdict)
    assert review.disk.verdicts == {(0, "u0"): Verdict.CORRECTED}


def test_a_case_that_was_deleted_from_the_scene_is_left_and_can_be_shown_again(review):
    edited(review)
    review.presenter.review.next_case()
    review.presenter.review.case_is_lost()
    assert answers(review) == []
    assert review.state.review.case_id == ""
    assert review.state.message.light is Light.AMBER
    assert not review.state.review.accept.enabled
    review.presenter.message_step()
    review.settle()
    assert review.state.review.case_id == "u0"


def test_a_case_that_cannot_be_shown_is_said_and_allows_no_verdict(review):
    review.reads_files = False
    review.presenter.review.show_case("u0")
    review.settle()
    review.presenter.review.case_cannot_be_shown(review.heard[-1][1], "The file is damaged.", "")
    review.settle()
    assert review.state.message.text == "The file is damaged."
    assert review.state.message.next_step.text == "Show it again"
    assert review.state.review.case_id == ""


def test_a_folder_that_vanished_under_the_review_offers_to_open_it_again(review):
    review.reads_files = False
    review.presenter.review.show_case("u0")
    review.settle()
    files = review.heard[-1][1]
    review.disk.exists = False
    review.presenter.review.case_cannot_be_shown(files, "The file is not there.", "")
    review.settle()
    assert review.state.message.text == "The folder is gone."
    assert review.state.message.next_step.text == "Open again"


def test_the_same_proposal_stays_in_the_views_when_the_service_comes_back(review):
    edited(review)
    review.service.crash()
    review.settle()
    assert review.state.review.case_id == "u0"
    assert review.state.review.accept.text == "Save correction"
    assert review.state.review.accept.enabled
    assert not left(review)


def test_a_round_that_changed_while_the_service_was_gone_leaves_the_views(review):
    shown(review, "u0")
    review.disk.rounds[-1] = RoundState.CLOSED
    review.disk.rounds.append(RoundState.IN_REVIEW)
    review.disk.dice.append(None)
    review.service.crash()
    review.settle()
    assert left(review) == [("u0", False)]
    assert review.state.review.case_id == ""


def test_a_scene_that_was_closed_took_the_case_and_its_message_along(review):
    edited(review)
    review.presenter.review.reject_many(("nobody",))
    assert review.state.message.text
    review.presenter.review.scene_is_closed()
    assert review.state.message.text == ""
    assert review.state.review.case_id == ""
    review.presenter.project.close()
    assert answers(review) == []
    assert review.state.project.root == ""


def test_a_case_on_its_way_does_not_come_into_the_next_scene(review):
    review.service.by_hand = True
    review.presenter.review.show_case("u0")
    review.presenter.review.scene_is_closed()
    review.service.by_hand = False
    review.settle()
    assert "on_case_files" not in review.names_heard()
    assert not review.state.review.is_loading


def test_no_file_is_asked_for_while_the_person_has_not_answered(review):
    edited(review)
    before = len(review.service.requests(ShowCase))
    review.presenter.review.next_case()
    review.settle()
    assert len(review.service.requests(ShowCase)) == before


def test_a_new_project_asks_too():
    stage = edited(opened(Disk.with_cases(1, (RoundState.IN_REVIEW,))))
    stage.presenter.project.make_sample("/samples")
    assert answers(stage) == [SAVE, DISCARD, BACK]
    stage.answer(DISCARD)
    assert [row.case_id for row in stage.state.cases.rows][-1] == "s1"
