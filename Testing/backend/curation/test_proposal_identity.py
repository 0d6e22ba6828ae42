"""A verdict is on the very proposal that a person looked at; on any other it is refused."""

import hashlib
import shutil
from dataclasses import replace

import numpy as np
import pytest
from asking_services import answer, opened, refusal, shown
from small_projects import contents, drawn, make_project, put_in_review, write_drawing

from PseudoLabelCLLib.curation.review import proposals, review_cases
from PseudoLabelCLLib.curation.review.go_back import go_back
from PseudoLabelCLLib.curation.review.proposals import (
    ProposalFingerprints,
    judged_proposal,
    newest_proposal,
)
from PseudoLabelCLLib.domain.errors import ReviewError
from PseudoLabelCLLib.domain.review import ProposalIdentity, Verdict
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.messages import requests as ask
from PseudoLabelCLLib.messages.project_view import CaseState
from PseudoLabelCLLib.project_service.view_project import ViewMemory, view_of
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project, save_round

SHOW_AGAIN = "Show the case again."


@pytest.fixture
def in_review(tmp_path):
    root = make_project(tmp_path / "project")
    put_in_review(root, 0)
    return root


def next_round(root, index=1, shift=2):
    """Write another round, whose proposals are other voxels."""
    put_in_review(root, index)
    for case_id in ("other-1", "other-2"):
        write_drawing(ProjectLayout(root).proposal(index, case_id), drawn(shift=shift))


def every_verdict(root, proposal):
    """All that can be done to a proposal, as functions of the project."""
    array = drawn(shift=1)
    array[2] = 0
    file = write_drawing(root.parent / "corrected.seg.nrrd", array)
    return {
        "accept": lambda project: review_cases.accept(root, project, proposal),
        "reject": lambda project: review_cases.reject(root, project, proposal),
        "correct": lambda project: review_cases.correct(root, project, proposal, file),
        "take back": lambda project: review_cases.take_back(root, project, proposal),
    }


@pytest.mark.parametrize("verdict", ["accept", "reject", "correct", "take back"])
def test_proposal_of_the_round_before_is_refused(in_review, verdict):
    root = in_review
    old = newest_proposal(root, load_project(root), "other-1")
    judge = every_verdict(root, old)[verdict]
    review_cases.accept(root, load_project(root), old)
    next_round(root)
    before = contents(root)
    with pytest.raises(ReviewError) as refused:
        judge(load_project(root))
    assert refused.value.message == (
        "The proposal of 'other-1' shown here is round 0's; round 1 has made a new proposal."
    )
    assert refused.value.remedy == SHOW_AGAIN
    assert contents(root) == before


@pytest.mark.parametrize("verdict", ["accept", "reject", "correct", "take back"])
def test_proposal_of_a_round_that_was_given_up_is_refused(in_review, verdict):
    root = in_review
    next_round(root)
    project = load_project(root)
    judge = every_verdict(root, newest_proposal(root, project, "other-1"))[verdict]
    project = go_back(root, project, 0)
    before = contents(root)
    with pytest.raises(ReviewError, match="round 1's; the project is back at round 0"):
        judge(project)
    assert contents(root) == before


@pytest.mark.parametrize("verdict", ["accept", "reject", "correct", "take back"])
def test_same_round_trained_anew_is_another_proposal(in_review, verdict):
    root = in_review
    next_round(root)
    project = load_project(root)
    judge = every_verdict(root, newest_proposal(root, project, "other-1"))[verdict]
    go_back(root, project, 0)
    next_round(root, shift=3)
    before = contents(root)
    with pytest.raises(ReviewError, match="in round 1 is not the one shown here"):
        judge(load_project(root))
    assert contents(root) == before


@pytest.mark.parametrize("verdict", ["accept", "reject", "correct", "take back"])
def test_nothing_is_judged_while_the_next_round_trains(in_review, verdict):
    root = in_review
    judge = every_verdict(root, newest_proposal(root, load_project(root), "other-1"))[verdict]
    save_round(root, Round(0, RoundState.CLOSED))
    save_round(root, Round(1, RoundState.TRAINING))
    with pytest.raises(ReviewError, match="Round 1 is 'training', not in review"):
        judge(load_project(root))


def test_what_is_stored_is_what_was_checked_though_the_file_changes_in_between(
    in_review, monkeypatch
):
    root = in_review
    project = load_project(root)
    file = ProjectLayout(root).proposal(0, "other-1")
    looked_at = file.read_bytes()
    shown_ = newest_proposal(root, project, "other-1")
    real = review_cases.read_proposal

    def change_meanwhile(*arguments):
        write_drawing(file, drawn(shift=3))
        return real(*arguments)

    monkeypatch.setattr(review_cases, "read_proposal", change_meanwhile)
    review_cases.accept(root, project, shown_)
    assert ProjectLayout(root).reviewed_segmentation(0, "other-1").read_bytes() == looked_at
    assert file.read_bytes() != looked_at


def test_copy_that_is_judged_is_gone_afterwards(in_review):
    project = load_project(in_review)
    shown_ = newest_proposal(in_review, project, "other-1")
    with judged_proposal(in_review, project, shown_) as judged:
        kept = judged.file
        assert hashlib.sha256(kept.read_bytes()).hexdigest() == shown_.fingerprint
    assert not kept.parent.exists()


def test_view_and_shown_case_name_the_same_proposal(a_service, a_project_in_review):
    view = opened(a_service, a_project_in_review)
    file = ProjectLayout(a_project_in_review).proposal(0, "other-1")
    expected = ProposalIdentity("other-1", 0, hashlib.sha256(file.read_bytes()).hexdigest())
    assert view.case("other-1").proposal == expected
    assert view.case("heart").proposal is None
    assert answer(a_service, ask.ShowCase("other-1")).identity == expected
    assert answer(a_service, ask.ShowCase("heart")).identity is None


def test_older_round_that_is_shown_is_named_as_such_and_cannot_be_judged(
    a_service, a_project_in_review
):
    root = a_project_in_review
    next_round(root)
    opened(a_service, root)
    old = answer(a_service, ask.ShowCase("other-1", 0)).identity
    assert old.round_index == 0
    told = refusal(a_service, ask.Accept((old,)))
    assert (told.message.endswith("round 1 has made a new proposal."), told.remedy) == (
        True,
        SHOW_AGAIN,
    )
    assert load_project(root).reviews == ()


@pytest.mark.parametrize("request_", [ask.Accept, ask.Reject])
def test_many_are_refused_as_a_whole_if_one_is_another_proposal(
    a_service, a_project_in_review, request_
):
    root = a_project_in_review
    opened(a_service, root)
    listed = shown(a_service, "other-1", "other-2")
    write_drawing(ProjectLayout(root).proposal(0, "other-2"), drawn(shift=3))
    before = contents(root)
    told = refusal(a_service, request_(listed))
    assert "'other-2' in round 0 is not the one shown here" in told.message
    assert contents(root) == before


def test_preview_is_of_what_is_shown_or_refused(a_service, a_project_in_review):
    root = a_project_in_review
    array = drawn(shift=1)
    array[2, 0, 0] = 2
    file = write_drawing(root.parent / "c.seg.nrrd", array)
    opened(a_service, root)
    (one,) = shown(a_service, "other-1")
    before = {name: hash_ for name, hash_ in contents(root).items() if not name.startswith("view/")}
    preview = answer(a_service, ask.PreviewCorrection(one, str(file)))
    assert (preview.changed_slices, preview.num_changed_voxels) == ((2,), 1)
    assert np.load(preview.near).sum() == preview.num_near_voxels
    after = {name: hash_ for name, hash_ in contents(root).items() if not name.startswith("view/")}
    assert after == before
    next_round(root)
    assert (
        "made a new proposal" in refusal(a_service, ask.PreviewCorrection(one, str(file))).message
    )


# --- fingerprints ---


def test_fingerprint_is_made_once_while_a_file_stays_and_anew_when_it_changes(
    tmp_path, monkeypatch
):
    hashed = []
    real = proposals._sha256
    monkeypatch.setattr(proposals, "_sha256", lambda content: hashed.append(1) or real(content))
    file, memory = tmp_path / "a", ProposalFingerprints()
    file.write_bytes(b"one")
    assert memory.of(file) == memory.of(file) == hashlib.sha256(b"one").hexdigest()
    assert len(hashed) == 1
    (tmp_path / "b").write_bytes(b"two")
    shutil.copystat(file, tmp_path / "b")
    (tmp_path / "b").replace(file)  # the same name, size and time
    assert memory.of(file) == hashlib.sha256(b"two").hexdigest()


def test_view_reads_a_proposal_anew_only_when_it_changed(in_review, monkeypatch):
    root, memory = in_review, ViewMemory()
    hashed = []
    real = proposals._sha256
    monkeypatch.setattr(proposals, "_sha256", lambda content: hashed.append(1) or real(content))
    project = load_project(root)
    first = view_of(root, project, memory)
    view_of(root, project, memory)
    assert len(hashed) == 2
    write_drawing(ProjectLayout(root).proposal(0, "other-2"), drawn(shift=3))
    second = view_of(root, project, memory)
    assert len(hashed) == 3
    assert second.case("other-1").proposal == first.case("other-1").proposal
    assert second.case("other-2").proposal != first.case("other-2").proposal


def test_proposal_that_cannot_be_read_has_no_identity_and_the_others_have(in_review, monkeypatch):
    real = ProposalFingerprints.of

    def of(memory, path):
        if "other-1" in path.name:
            raise proposals.storage_error(path, PermissionError(13, "denied"), action="read")
        return real(memory, path)

    monkeypatch.setattr(ProposalFingerprints, "of", of)
    view = view_of(in_review, load_project(in_review))
    assert view.case("other-1").proposal is None
    assert view.case("other-2").proposal is not None


# --- verdicts of earlier rounds ---


def test_verdict_of_an_earlier_round_is_told_beside_the_new_proposal(in_review):
    root = in_review
    project = load_project(root)
    case = view_of(root, project).case("other-1")
    assert (case.last_verdict, case.last_verdict_round) == (None, None)
    assert not case.has_new_proposal_after_verdict
    array = drawn(shift=1)
    array[2] = 0
    file = write_drawing(root.parent / "c.seg.nrrd", array)
    shown_ = newest_proposal(root, project, "other-1")
    case = view_of(root, review_cases.correct(root, project, shown_, file)).case("other-1")
    assert (case.last_verdict, case.last_verdict_round) == (Verdict.CORRECTED, 0)
    assert not case.has_new_proposal_after_verdict
    next_round(root)
    case = view_of(root, load_project(root)).case("other-1")
    assert (case.state, case.verdict) == (CaseState.PROPOSED, None)
    assert (case.last_verdict, case.last_verdict_round) == (Verdict.CORRECTED, 0)
    assert case.has_new_proposal_after_verdict
    project = load_project(root)
    shown_ = newest_proposal(root, project, "other-1")
    case = view_of(root, review_cases.reject(root, project, shown_)).case("other-1")
    assert (case.verdict, case.last_verdict, case.last_verdict_round) == (
        Verdict.REJECTED, Verdict.REJECTED, 1,
    )  # fmt: skip


def test_identity_is_compared_as_a_whole(in_review):
    project = load_project(in_review)
    shown_ = newest_proposal(in_review, project, "other-1")
    with pytest.raises(ReviewError, match="is not the one shown here"):
        review_cases.accept(
            in_review, project, replace(shown_, fingerprint=shown_.fingerprint[:12])
        )
