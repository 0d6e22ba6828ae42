"""Review while a round still makes its proposals: what can be judged, and that nothing is lost."""

import shutil
import threading
from dataclasses import replace

import pytest
from judging import accept, correct, reject, take_back
from small_projects import begin_proposing, contents, drawn, make_project, propose, write_drawing

from PseudoLabelCLLib.curation.review import review_cases
from PseudoLabelCLLib.curation.review.plan_round import plan_next_round
from PseudoLabelCLLib.curation.review.proposals import (
    cases_awaiting_review,
    newest_proposal,
    proposals_so_far,
)
from PseudoLabelCLLib.curation.review.review_cases import review_queue
from PseudoLabelCLLib.curation.review.round_history import round_figures
from PseudoLabelCLLib.domain.errors import ProjectInUseError, ReviewError
from PseudoLabelCLLib.domain.review import Verdict
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_lock import brief_lock
from PseudoLabelCLLib.storage.project.project_store import load_project, save_round


@pytest.fixture(scope="module")
def a_template(tmp_path_factory):
    """One annotated case, and four whose proposals are made one after the other."""
    return make_project(tmp_path_factory.mktemp("template") / "project", num_unlabelled=4)


@pytest.fixture
def root(a_template, tmp_path):
    """Two of the four proposals are there; of the third one, only the voxels."""
    shutil.copytree(a_template.parent, tmp_path, dirs_exist_ok=True)
    root = tmp_path / "project"
    begin_proposing(root, 0, other_1=0.1, other_2=0.7)
    write_drawing(ProjectLayout(root).proposal(0, "other-3"))
    return root


def corrected_file(root, slices=(1, 2)):
    array = drawn(shift=1)
    for number in slices:
        array[number, 4:6, 4:6] = 2
    return write_drawing(root.parent / "corrected.seg.nrrd", array)


def told(root):
    return proposals_so_far(root, load_project(root)).sentence


def finish(root):
    """Let the round make the rest of its proposals."""
    for case_id in ("other-3", "other-4"):
        propose(root, 0, case_id, 0.9)
    save_round(root, Round(0, RoundState.IN_REVIEW, num_truth_cases=1))


def verdicts(root):
    return {one.case_id: one.verdict for one in load_project(root).reviews}


def test_only_whole_proposals_can_be_judged(root):
    queue = review_queue(root, load_project(root))
    assert [item.case_id for item in queue] == ["other-2", "other-1"]
    with pytest.raises(ReviewError, match=r"'other-3' is not there yet: .* made 2 of 4\.") as found:
        newest_proposal(root, load_project(root), "other-3")
    assert found.value.remedy == "Wait until it is there, or choose another case."


def test_how_many_are_there_is_said_in_one_sentence_until_all_are(root):
    assert told(root) == ("2 of 4 proposals are there; the order is provisional until all are.")
    ProjectLayout(root).doubt(0, "other-2").unlink()
    assert told(root).startswith("1 of 4 proposals is there;")
    finish(root)
    assert proposals_so_far(root, load_project(root)) is None


def test_cases_that_were_confirmed_meanwhile_still_count_among_all(root):
    project = accept(root, load_project(root), "other-1")
    assert told(root).startswith("2 of 4 ")
    assert [case.id for case in cases_awaiting_review(root, project)] == ["other-2"]
    assert [case.id for case in project.cases_to_propose()] == ["other-2", "other-3", "other-4"]
    assert len(project.cases_to_propose(0)) == 4


def test_case_that_was_confirmed_before_is_not_among_them(root):
    finish(root)
    accept(root, load_project(root), "other-1")
    begin_proposing(root, 1, other_2=0.2)
    assert told(root).startswith("1 of 3 ")


def test_every_kind_of_verdict_is_written_at_once(root):
    project = accept(root, load_project(root), "other-1")
    project = correct(root, project, "other-2", corrected_file(root))
    assert verdicts(root) == {"other-1": Verdict.ACCEPTED, "other-2": Verdict.CORRECTED}
    project = reject(root, project, "other-1")
    assert verdicts(root)["other-1"] is Verdict.REJECTED
    project = take_back(root, project, "other-1")
    assert verdicts(root) == {"other-1": Verdict.ACCEPTED, "other-2": Verdict.CORRECTED}
    take_back(root, take_back(root, project, "other-1"), "other-2")
    assert verdicts(root) == {}


def given(root):
    project = accept(root, load_project(root), "other-1", left_out=(2,))
    correct(root, project, "other-2", corrected_file(root))


def without_time(reviews):
    return [replace(one, time="", origin="") for one in reviews]


def test_verdicts_count_as_those_that_are_given_once_all_are_there(root, tmp_path):
    later = shutil.copytree(tmp_path, tmp_path / "later") / "project"
    given(root)
    finish(root)
    finish(later)
    given(later)
    early_project, later_project = load_project(root), load_project(later)
    assert without_time(early_project.reviews) == without_time(later_project.reviews)
    assert plan_next_round(early_project) == plan_next_round(later_project)
    (figures,) = round_figures(root, early_project, lambda *_: None)
    assert (figures,) == round_figures(later, later_project, lambda *_: None)
    assert figures.num_compared == 2
    assert review_queue(root, early_project) == review_queue(later, later_project)


def test_proposals_stay_as_they_are_whatever_is_judged(root):
    before = contents(root / "rounds")
    given(root)
    assert contents(root / "rounds") == before


def test_round_that_has_no_proposals_yet_cannot_be_judged(root):
    save_round(root, Round(0, RoundState.TRAINING))
    assert review_queue(root, load_project(root)) == ()
    with pytest.raises(ReviewError, match="'training', not in review"):
        accept(root, load_project(root), "other-1")


# --- beside another process ---


def test_verdict_that_comes_after_the_review_was_closed_is_refused(root):
    """The project was read before the training closed the round, the verdict saved afterwards."""
    finish(root)
    project = load_project(root)
    proposal = newest_proposal(root, project, "other-1")
    save_round(root, Round(0, RoundState.CLOSED))
    before = contents(root)
    for judge in (review_cases.accept, review_cases.reject):
        with pytest.raises(ReviewError, match="Round 0 is 'closed', not in review") as found:
            judge(root, project, proposal)
        assert found.value.remedy == "Wait until the next proposals are there."
    with pytest.raises(ReviewError, match="closed"):
        review_cases.correct(root, project, proposal, corrected_file(root))
    with pytest.raises(ReviewError, match="closed"):
        review_cases.take_back(root, project, proposal)
    assert contents(root) == before


def test_verdict_waits_while_the_review_is_closed_and_is_refused_then(root):
    finish(root)
    project = load_project(root)
    proposal = newest_proposal(root, project, "other-1")
    found = []

    def judge():
        try:
            review_cases.accept(root, project, proposal)
        except ReviewError as error:
            found.append(error.message)

    with brief_lock(ProjectLayout(root).review_lock, Text("the test"), 1.0):
        thread = threading.Thread(target=judge)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        assert found == []
        save_round(root, Round(0, RoundState.CLOSED))
    thread.join(10.0)
    assert found == ["Round 0 is 'closed', not in review."]
    assert verdicts(root) == {}


def test_verdicts_that_are_held_for_too_long_are_reported(root, monkeypatch):
    monkeypatch.setattr(review_cases, "_PATIENCE_S", 0.05)
    project = load_project(root)
    with (
        brief_lock(ProjectLayout(root).review_lock, Text("another verdict"), 1.0),
        pytest.raises(ProjectInUseError, match="in use by another verdict"),
    ):
        accept(root, project, "other-1")
    accept(root, project, "other-1")


def test_verdict_of_another_process_is_kept_when_one_on_the_same_proposal_follows(root):
    """Two terminals have read the project before either gave its verdict."""
    first = second = load_project(root)
    correct(root, first, "other-1", corrected_file(root))
    project = reject(root, second, "other-1")
    assert verdicts(root) == {"other-1": Verdict.REJECTED}
    history = ProjectLayout(root).review_history(0)
    assert {path.name for path in history.iterdir()} == {"other-1.1.json", "other-1.1.seg.nrrd"}
    assert [one.verdict for one in project.reviews] == [Verdict.REJECTED]
    take_back(root, first, "other-1")
    assert verdicts(root) == {"other-1": Verdict.CORRECTED}
