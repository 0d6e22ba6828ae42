"""A project as it is shown: how far cases have come, what comes next, and what is read for it."""

import json
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from judging import accept, correct, reject
from small_projects import begin_proposing, drawn, propose, put_in_review, write_drawing

from PseudoLabelCLLib.curation.review.plan_round import plan_next_round
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.doubt import Doubt
from PseudoLabelCLLib.domain.pretraining_config import Pretraining
from PseudoLabelCLLib.domain.review import Verdict
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.messages.project_view import CaseState
from PseudoLabelCLLib.project_service.image_availability import ImageAvailability
from PseudoLabelCLLib.project_service.view_project import ViewMemory, view_of
from PseudoLabelCLLib.storage.project.pretraining_record import (
    PretrainingRecord,
    pretraining_settings,
    write_pretraining,
)
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project, save_cases, save_round


def view_now(root):
    return view_of(root, load_project(root))


def states(root):
    return {case.id: case.state for case in view_now(root).cases}


def corrected_file(root, array):
    return write_drawing(root.parent / "corrected.seg.nrrd", array)


def changed_on(*slices):
    array = drawn(shift=1)
    for number in slices:
        array[number, 4:6, 4:6] = 2
    return array


# --- before round 0 ---


def test_new_project_shows_its_cases_with_absolute_paths(a_project):
    heart, other, _ = view_now(a_project).cases
    data = a_project.parent / "data"
    assert (heart.state, other.state) == (CaseState.ANNOTATED, CaseState.WAITING)
    assert heart.image == str(data / "heart.nrrd")
    assert heart.annotation == str(a_project / "annotations" / "heart.seg.nrrd")
    assert other.annotation is None
    assert (heart.truth_fraction, other.truth_fraction) == (1.0, 0.0)
    assert (heart.num_slices, heart.case.geometry.spacing_mm) == (5, (1.5, 1.5, 8.0))
    assert (other.doubt, other.reason, other.verdict, other.left_out) == (None, "", None, ())


def test_new_project_can_train_round_0_and_change_its_structures(a_project):
    view = view_now(a_project)
    assert (view.plan.index, view.plan.can_train, view.plan.goes_on) == (0, True, False)
    assert view.plan.sentence == plan_next_round(load_project(a_project)).sentence
    assert not view.labels_are_settled
    assert view.rounds == ()
    assert view.review_order == ()
    assert view.free_disk_bytes > 0


def test_project_without_an_annotation_cannot_train(a_project):
    project = load_project(a_project)
    ignored = project.with_case(project.case("heart").with_role(CaseRole.IGNORED))
    plan = view_of(a_project, ignored).plan
    assert (plan.can_train, plan.num_human) == (False, 0)


def test_image_that_is_gone_is_marked(a_project):
    (a_project.parent / "data" / "other-1.nrrd").unlink()
    missing = {case.id: case.image_is_missing for case in view_now(a_project).cases}
    assert missing == {"heart": False, "other-1": True, "other-2": False}


# --- in review ---


def test_proposals_are_shown_most_doubtful_first(a_project_in_review):
    view = view_now(a_project_in_review)
    assert view.review_order == ("other-2", "other-1")
    assert view.case("other-2").doubt == 0.2
    assert view.case("other-2").reason == "Look at other-2."
    assert view.case("heart").doubt is None
    assert view.round_in_review.index == 0
    assert view.labels_are_settled


def test_state_follows_the_verdicts(a_project_in_review):
    root = a_project_in_review
    assert set(states(root).values()) == {CaseState.ANNOTATED, CaseState.PROPOSED}
    reject(root, load_project(root), "other-1")
    accept(root, load_project(root), "other-2")
    view = view_now(root)
    assert states(root) == {
        "heart": CaseState.ANNOTATED,
        "other-1": CaseState.REJECTED,
        "other-2": CaseState.ACCEPTED,
    }
    assert view.case("other-2").truth_fraction == 1.0
    assert view.case("other-1").verdict is Verdict.REJECTED
    assert (view.plan.num_human, view.plan.num_left_out) == (2, 1)


def test_structure_left_out_of_a_verdict_is_shown(a_project_in_review):
    root = a_project_in_review
    accept(root, load_project(root), "other-1", left_out=(2,))
    assert view_now(root).case("other-1").left_out == (2,)


def test_case_corrected_on_some_slices_is_partly_reviewed_until_all_are_confirmed_for(
    a_project_in_review,
):
    root = a_project_in_review
    correct(root, load_project(root), "other-1", corrected_file(root, changed_on(1, 2)))
    case = view_now(root).case("other-1")
    assert (case.state, case.truth_fraction) == (CaseState.PARTLY_REVIEWED, 2 / 5)
    put_in_review(root, 1)
    assert states(root)["other-1"] is CaseState.PROPOSED
    assert view_now(root).case("other-1").truth_fraction == 2 / 5
    correct(root, load_project(root), "other-1", corrected_file(root, changed_on(0, 3, 4)))
    case = view_now(root).case("other-1")
    assert (case.state, case.truth_fraction) == (CaseState.CORRECTED, 1.0)


def test_accepted_case_stays_accepted_when_the_next_round_proposes_nothing_for_it(
    a_project_in_review,
):
    root = a_project_in_review
    accept(root, load_project(root), "other-1")
    put_in_review(root, 1)
    view = view_now(root)
    assert view.case("other-1").state is CaseState.ACCEPTED
    assert view.case("other-1").verdict is Verdict.ACCEPTED
    assert view.review_order == ("other-2",)


def test_verdict_on_an_older_proposal_is_not_shown_for_the_new_one(a_project_in_review):
    root = a_project_in_review
    reject(root, load_project(root), "other-1")
    put_in_review(root, 1)
    case = view_now(root).case("other-1")
    assert (case.state, case.verdict) == (CaseState.PROPOSED, None)


def test_while_the_next_round_trains_the_verdicts_and_doubts_stay_in_view(a_project_in_review):
    root = a_project_in_review
    reject(root, load_project(root), "other-1")
    save_round(root, Round(0, RoundState.CLOSED))
    save_round(root, Round(1, RoundState.TRAINING))
    view = view_now(root)
    assert view.case("other-1").state is CaseState.REJECTED
    assert view.case("other-2").doubt == 0.2
    assert view.review_order == ()
    assert view.round_in_review is None
    assert (view.plan.index, view.plan.goes_on) == (1, True)


def test_case_that_came_after_the_proposals_waits(a_project_in_review):
    root = a_project_in_review
    project = load_project(root)
    new = replace(project.case("other-1"), id="new")
    save_cases(root, project.with_case(new))
    assert states(root)["new"] is CaseState.WAITING


def test_case_that_gets_another_role_leaves_the_queue(a_project_in_review):
    root = a_project_in_review
    memory = ViewMemory()
    project = load_project(root)
    view_of(root, project, memory)
    ignored = project.with_case(project.case("other-2").with_role(CaseRole.IGNORED))
    view = view_of(root, ignored, memory)
    assert view.review_order == ("other-1",)
    assert view.case("other-2").state is CaseState.IGNORED


def test_report_and_model_of_a_round_are_shown_once_they_are_there(a_project_in_review):
    root, layout = a_project_in_review, ProjectLayout(a_project_in_review)
    (round_,) = view_now(root).rounds
    assert (round_.report, round_.model, round_.num_truth_cases) == (None, None, 1)
    layout.report(0).write_text("report")
    layout.model(0).write_text("model")
    (round_,) = view_now(root).rounds
    assert (round_.report, round_.model) == (str(layout.report(0)), str(layout.model(0)))


def test_pretraining_counts_only_with_the_settings_it_was_done_with(a_project):
    layout = ProjectLayout(a_project)
    project = load_project(a_project)
    pretraining = replace(project.config.pretraining, method=Pretraining.POSITIONAL)
    project = replace(project, config=replace(project.config, pretraining=pretraining))
    memory = ViewMemory()
    assert not view_of(a_project, project, memory).is_pretrained
    record = PretrainingRecord(
        pretraining_settings(project), project.config.preprocess, (), (), (), 0, (), (), "", 0.0, ""
    )
    write_pretraining(a_project, record)
    layout.pretrained_weights.write_bytes(b"weights")
    assert view_of(a_project, project, memory).is_pretrained
    training = replace(project.config.training, seed=5)
    other = replace(project, config=replace(project.config, training=training))
    assert not view_of(a_project, other, memory).is_pretrained
    layout.pretraining_record.write_text("damaged")
    assert not view_of(a_project, project, memory).is_pretrained


# --- what is read ---


@pytest.fixture
def opened_files():
    """The files that are opened while the list is in use."""
    opened, is_on = [], threading.Event()
    is_on.set()
    here = threading.get_ident()

    def note(event, arguments):
        if event == "open" and is_on.is_set() and threading.get_ident() == here:
            opened.append(str(arguments[0]))

    sys.addaudithook(note)  # it cannot be taken away, only told to be quiet
    yield opened
    is_on.clear()


def test_second_view_of_200_cases_opens_no_file(a_project, opened_files):
    project = load_project(a_project)
    waiting = project.case("other-1")
    names = [f"case {number:03}" for number in range(199)]
    cases = tuple(replace(waiting, id=name) for name in names)
    project = replace(project, cases=(project.case("heart"), *cases))
    save_cases(a_project, project)
    put_in_review(a_project, 0, cases=())
    layout = ProjectLayout(a_project)
    layout.proposal(0, "any").parent.mkdir()
    for number, name in enumerate(names):
        layout.proposal(0, name).touch()
        layout.doubt(0, name).write_text(json.dumps(to_json(Doubt(number / 200, 0.9, (), "?"))))
    project, memory = load_project(a_project), ViewMemory()
    first = view_of(a_project, project, memory)
    assert first.review_order == tuple(reversed(names))
    opened_files.clear()
    assert replace(view_of(a_project, project, memory), free_disk_bytes=0) == replace(
        first, free_disk_bytes=0
    )
    assert opened_files == []


def test_new_proposals_are_seen_by_a_view_that_remembers(a_project_in_review):
    root, memory = a_project_in_review, ViewMemory()
    assert view_of(root, load_project(root), memory).review_order == ("other-2", "other-1")
    put_in_review(root, 1, doubts={"other-1": 0.9, "other-2": 0.1})
    view = view_of(root, load_project(root), memory)
    assert view.review_order == ("other-1", "other-2")
    assert view.case("other-1").doubt == 0.9


# --- drives that hang ---


@pytest.fixture
def a_hanging_drive():
    """Tells whether a path is there; for paths below /mnt/away it hangs until the test ends."""
    is_over = threading.Event()
    asked = []

    def exists(path):
        asked.append(path)
        if path.parts[:3] == ("/", "mnt", "away"):
            is_over.wait(60)
            return False
        return path.name != "gone"

    exists.asked = asked
    yield exists
    is_over.set()


AWAY = tuple(Path(f"/mnt/away/{number}") for number in range(50))
HERE = tuple(Path(f"/mnt/here/{number}") for number in range(50))


def test_drive_that_hangs_counts_as_away_and_hides_no_other(a_hanging_drive):
    images = ImageAvailability(a_hanging_drive, patience_s=0.2)
    assert images.missing([*AWAY, *HERE, Path("/mnt/here/gone")]) == {
        *AWAY,
        Path("/mnt/here/gone"),
    }


def test_drive_that_hangs_is_not_asked_again_while_it_hangs(a_hanging_drive):
    images = ImageAvailability(a_hanging_drive, patience_s=0.1)
    for _ in range(3):
        assert images.missing(AWAY) == set(AWAY)
    assert len(a_hanging_drive.asked) == 1


def test_image_seen_a_moment_ago_is_not_asked_for_again_unless_forgotten(a_hanging_drive):
    images = ImageAvailability(a_hanging_drive)
    images.missing(HERE)
    images.missing(HERE)
    assert len(a_hanging_drive.asked) == 50
    images.forget()
    images.missing(HERE)
    assert len(a_hanging_drive.asked) == 100


def test_image_that_was_gone_is_asked_for_again(a_hanging_drive):
    images, gone = ImageAvailability(a_hanging_drive), Path("/mnt/here/gone")
    assert images.missing([gone]) == {gone}
    assert images.missing([gone]) == {gone}
    assert a_hanging_drive.asked == [gone, gone]


def test_path_that_no_system_takes_is_missing():
    odd = Path("/a\0b")
    assert ImageAvailability().missing([odd]) == {odd}


# --- while a round still makes its proposals ---


def test_first_proposals_are_shown_with_those_of_the_round_before_for_the_others(
    a_project_in_review,
):
    root, memory = a_project_in_review, ViewMemory()
    reject(root, load_project(root), "other-1")
    begin_proposing(root, 1)
    view = view_of(root, load_project(root), memory)
    assert (view.review_order, view.round_in_review) == ((), None)
    assert view.so_far == "0 of 2 proposals are there; the order is provisional until all are."
    assert view.case("other-1").state is CaseState.REJECTED
    propose(root, 1, "other-1", 0.4)
    view = view_of(root, load_project(root), memory)
    assert (view.review_order, view.round_in_review.index) == (("other-1",), 1)
    assert view.so_far == "1 of 2 proposals is there; the order is provisional until all are."
    first, second = view.case("other-1"), view.case("other-2")
    assert (first.state, first.doubt, first.proposal.round_index) == (CaseState.PROPOSED, 0.4, 1)
    assert (second.doubt, second.proposal.round_index) == (0.2, 0)
    assert view.plan.goes_on


def test_view_that_remembers_sees_each_new_proposal_and_the_end_of_the_round(a_project):
    root, memory = a_project, ViewMemory()
    begin_proposing(root, 0, other_1=0.3)
    assert view_of(root, load_project(root), memory).review_order == ("other-1",)
    accept(root, load_project(root), "other-1")
    propose(root, 0, "other-2", 0.6)
    view = view_of(root, load_project(root), memory)
    assert view.review_order == ("other-2", "other-1")
    assert view.is_proposing
    save_round(root, Round(0, RoundState.IN_REVIEW))
    view = view_of(root, load_project(root), memory)
    assert (view.is_proposing, view.so_far) == (False, "")
    assert view.case("other-1").verdict is Verdict.ACCEPTED
