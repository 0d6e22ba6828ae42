"""Verdicts that leave single structures out: what is stored, planned, exported and refused."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from a_service import copied_service, named, worker_in_this_process, write_service
from hypothesis import given
from hypothesis import strategies as st
from judging import accept, correct, take_back

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.curation.export.export_segmentations import export_segmentations
from PseudoLabelCLLib.curation.review.agreement import agreement_with_proposal
from PseudoLabelCLLib.curation.review.plan_round import TruthSource, plan_next_round
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import ReviewError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import Review, TruthExtent, Use, Verdict, fully_confirmed_slices
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project, save_round
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation

# Left-handed and turned by 90 degrees about x: nothing may depend on an upright grid.
DIRECTION = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0)
GRID = Geometry((10, 9, 4), (1.5, 1.5, 8.0), (5.0, -7.0, 30.0), DIRECTION)
SCHEMA = LabelSchema.from_values((1, 4, 7))
ALL_SLICES = 4


def proposed():
    """Structure 1 in slices 1 and 2 with 4 inside; none of 7."""
    array = np.zeros(GRID.array_shape, np.int16)
    array[1:3, 2:7, 2:8] = 1
    array[1:3, 3:6, 4:6] = 4
    return array


def put(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_segmentation(path, LabelVolume(array, GRID), SCHEMA)
    return path


def read(path):
    return read_segmentation(path, SCHEMA)[0].array


@pytest.fixture(scope="module")
def a_project_on_disk(tmp_path_factory):
    cases = [Case(name, CaseRole.UNLABELLED, f"../{name}.nii", GRID) for name in "ab"]
    cases.append(Case("t", CaseRole.ANNOTATED, "../t.nii", GRID, "annotations/t.seg.nrrd"))
    project = Project(
        "p", SCHEMA, config_for(Profile.QUICK), tuple(cases), (Round(0, RoundState.IN_REVIEW),)
    )
    root = tmp_path_factory.mktemp("made") / "project"
    create_project(root, project)
    for name in "ab":
        put(ProjectLayout(root).proposal(0, name), proposed())
    put(ProjectLayout(root).annotation("t"), proposed())
    return root, project


@pytest.fixture
def a_project(a_project_on_disk, tmp_path):
    """Round 0 in review, with proposals for a and b."""
    made, project = a_project_on_disk
    return shutil.copytree(made, tmp_path / "project"), project


def next_round(root, project, **proposals):
    """Close the newest round and put the next one in review, with these proposals."""
    latest = project.latest_round.moved_to(RoundState.CLOSED)
    new = Round(latest.index + 1, RoundState.IN_REVIEW)
    for round_ in (latest, new):
        save_round(root, round_)
        project = project.with_round(round_)
    for case_id, array in proposals.items():
        put(ProjectLayout(root).proposal(new.index, case_id), array)
    return project


# --- the verdict ---


def test_accepted_structures_are_told_from_rejected_ones(a_project):
    root, project = a_project
    project = accept(root, project, "a", left_out=(4,))

    (review,) = project.reviews
    assert (review.verdict, review.left_out) == (Verdict.ACCEPTED, (4,))
    assert load_project(root).reviews == project.reviews
    assert np.array_equal(read(ProjectLayout(root).resolve(review.segmentation)), proposed())


def test_structures_are_kept_once_and_in_the_order_of_the_labels(a_project):
    root, project = a_project

    assert accept(root, project, "a", left_out=[7, 4, 7]).reviews[0].left_out == (4, 7)


def test_verdict_from_before_structures_could_be_left_out_is_read(a_project):
    root, project = a_project
    project = accept(root, project, "a")
    path = ProjectLayout(root).review(0, "a")
    stored = json.loads(path.read_text())
    del stored["left_out"]
    path.write_text(json.dumps(stored))

    assert load_project(root).reviews == project.reviews


@pytest.mark.parametrize(
    ("left_out", "words"),
    [
        ((1, 4, 7), "Every structure of case 'a' is left out. Reject the proposal"),
        ((4, 5), r"no structure with the value 5 .*Name structures among 1 \(label 1\), 4"),
        ((1, 4), "no voxel left that would count as yours. Reject the proposal"),
    ],
)
def test_verdict_that_confirms_nothing_is_refused(a_project, left_out, words):
    root, project = a_project

    with pytest.raises(ReviewError, match=words):
        accept(root, project, "a", left_out=left_out)
    assert load_project(root).reviews == ()


def test_rejection_names_no_structures():
    with pytest.raises(ReviewError, match="leaves single structures out"):
        Review("a", 0, Verdict.REJECTED, None, left_out=(4,))


def test_what_happens_to_a_rejected_structure_makes_no_slice_true(a_project, tmp_path):
    root, project = a_project
    drawn = proposed()
    drawn[drawn == 4] = 0  # in both slices
    drawn[2, 7, 2:8] = 1
    file = put(tmp_path / "drawn.seg.nrrd", drawn)

    (review,) = correct(root, project, "a", file, left_out=(4,)).reviews

    assert (review.truth_slices, review.left_out) == ((2,), (4,))


def test_erasing_what_is_left_out_is_no_correction(a_project, tmp_path):
    root, project = a_project
    file = put(tmp_path / "drawn.seg.nrrd", np.where(proposed() == 4, 0, proposed()))

    with pytest.raises(ReviewError, match=r"in what is not left out. Accept .* the same"):
        correct(root, project, "a", file, left_out=(4,))


def test_slices_of_which_nothing_would_be_known_are_no_correction(a_project, tmp_path):
    root, project = a_project
    file = put(tmp_path / "drawn.seg.nrrd", proposed())

    with pytest.raises(ReviewError, match="no voxel left that would count as yours"):
        correct(root, project, "a", file, slices=[0, 3], left_out=(4,))


def test_an_accepted_structure_may_be_erased_from_all_slices_that_count(a_project, tmp_path):
    root, project = a_project
    file = put(tmp_path / "drawn.seg.nrrd", np.where(proposed() == 1, 0, proposed()))
    assert np.any(proposed() == 1)

    (review,) = correct(root, project, "a", file, left_out=(4, 7)).reviews

    assert (review.verdict, review.left_out) == (Verdict.CORRECTED, (4, 7))


def test_agreement_says_nothing_of_a_rejected_structure(a_project, tmp_path):
    root, project = a_project
    drawn = np.where(proposed() == 4, 0, proposed())
    drawn[1, 2:7, 2:4] = 0
    file = put(tmp_path / "drawn.seg.nrrd", drawn)
    project = correct(root, project, "a", file, extent=TruthExtent.WHOLE, left_out=(4,))

    agreement = agreement_with_proposal(root, project, project.reviews[0])

    kept, proposed_voxels = int((drawn == 1).sum()), int((proposed() == 1).sum())
    assert agreement["label 4"] is None
    assert agreement["label 1"] == pytest.approx(2 * kept / (kept + proposed_voxels))


def test_verdict_taken_back_brings_the_structures_of_the_one_before(a_project):
    root, project = a_project
    project = accept(root, accept(root, project, "a", left_out=(4,)), "a")
    assert project.reviews[0].left_out == ()

    project = take_back(root, project, "a")

    assert project.reviews[0].left_out == (4,)
    assert load_project(root).reviews == project.reviews


# --- what comes of it ---


def test_partly_reviewed_case_is_truth_and_gets_a_new_proposal(a_project):
    root, project = a_project
    project = accept(root, accept(root, project, "a", left_out=(4,)), "b")

    assert project.use_in_round("a", 1) is Use.TRUTH
    assert [case.id for case in project.cases_to_propose()] == ["a"]
    assert project.cases_awaiting_review() == ()
    plan = plan_next_round(project)
    assert plan.pseudo == plan.left_out == ()
    assert TruthSource("a", "reviews/round_00/a.seg.nrrd", None, (4,)) in plan.human
    assert plan.sentence == (
        "Round 1 will learn from 3 human segmentations (1 of them without some structures) and "
        "0 pseudo-labels."
    )

    project = next_round(root, project, a=proposed())
    assert [case.id for case in project.cases_awaiting_review()] == ["a"]


def test_truth_of_an_earlier_verdict_holds_until_a_later_one(a_project, tmp_path):
    root, project = a_project
    project = next_round(root, accept(root, project, "a", left_out=(4,)), a=proposed())
    first = TruthSource("a", "reviews/round_00/a.seg.nrrd", None, (4,))
    assert first in plan_next_round(project).human
    drawn = proposed()
    drawn[2, 7, 2:8] = 1
    project = correct(root, project, "a", put(tmp_path / "drawn.seg.nrrd", drawn))

    own = [source for source in plan_next_round(project).human if source.case_id == "a"]
    assert own == [first, TruthSource("a", "reviews/round_01/a.seg.nrrd", (2,))]
    assert not project.is_wholly_true("a")

    project = accept(root, next_round(root, project, a=proposed()), "a")
    own = [source for source in plan_next_round(project).human if source.case_id == "a"]
    assert own == [TruthSource("a", "reviews/round_02/a.seg.nrrd", None)]
    assert project.is_wholly_true("a")


def test_structures_left_out_of_a_later_verdict_open_the_case_again():
    cases = (Case("a", CaseRole.UNLABELLED, "../a.nii", GRID),)
    whole = Review("a", 0, Verdict.ACCEPTED, "0")
    slices_only = Review("a", 1, Verdict.CORRECTED, "1", (2,))
    partly = replace(slices_only, left_out=(4,))
    rounds = tuple(Round(n, RoundState.CLOSED) for n in range(2))

    def is_true(*reviews):
        project = Project("p", SCHEMA, config_for(Profile.QUICK), cases, rounds, reviews)
        return project.is_wholly_true("a")

    assert is_true(whole)
    assert is_true(whole, slices_only)
    assert not is_true(whole, partly)
    assert not is_true(replace(whole, left_out=(7,)))


VERDICTS = st.tuples(
    st.none() | st.sets(st.integers(0, ALL_SLICES - 1), min_size=1).map(tuple),
    st.sampled_from([(), (4,)]),
)


@given(st.lists(VERDICTS, max_size=5))
def test_newest_verdict_on_a_slice_decides_whether_it_is_human_share(verdicts):
    sources = [TruthSource("a", "file", slices, left_out) for slices, left_out in verdicts]

    def is_share(number):
        own = [s for s in reversed(sources) if s.truth_slices is None or number in s.truth_slices]
        return bool(own) and not own[0].left_out

    expected = {number for number in range(ALL_SLICES) if is_share(number)}
    assert fully_confirmed_slices(sources, ALL_SLICES) == expected


# --- export ---


def test_rejected_structure_does_not_go_out_as_human_truth(a_project, tmp_path):
    root, project = a_project
    project = accept(root, project, "a", left_out=(4,))

    for include in (False, True):  # the proposal itself was rejected there: it fills nothing
        out = tmp_path / f"out-{include}"
        (item,) = export_segmentations(
            root, project, out, case_ids=["a"], include_unreviewed=include
        )
        assert item.path.name == "a.partly-reviewed.seg.nrrd"
        assert (item.source, item.human_fraction, item.left_out) == ("accepted", 0.0, ("label 4",))
        assert np.array_equal(read(item.path), np.where(proposed() == 4, 0, proposed()))
    record = json.loads((out / "export.json").read_text())["segmentations"]
    assert record[0]["left_out"] == ["label 4"]


def test_newer_proposal_says_on_demand_where_the_rejected_structure_lies(a_project, tmp_path):
    root, project = a_project
    newer = np.zeros_like(proposed())
    newer[:, 1:8, 1:3] = 4  # also over voxels that a person confirmed
    newer[:, 1:8, 8:] = 1
    project = next_round(root, accept(root, project, "a", left_out=(4,)), a=newer)
    confirmed = np.where(proposed() == 4, 0, proposed())

    def exported(folder, *, include):
        (item,) = export_segmentations(
            root, project, tmp_path / folder, case_ids=["a"], include_unreviewed=include
        )
        assert item.human_fraction == 0.0
        return item.round_index, read(item.path)

    round_index, array = exported("plain", include=False)
    assert round_index == 0
    assert np.array_equal(array, confirmed)
    round_index, array = exported("filled", include=True)
    assert round_index == 1
    assert np.array_equal(array, np.where((confirmed == 0) & (newer == 4), 4, confirmed))


def test_slices_beside_a_correction_lack_what_was_rejected_in_the_proposal(a_project, tmp_path):
    root, project = a_project
    drawn = proposed()
    drawn[2, 7, 2:8] = 1
    file = put(tmp_path / "drawn.seg.nrrd", drawn)
    project = correct(root, project, "a", file, left_out=(4,))

    (item,) = export_segmentations(root, project, tmp_path / "out", case_ids=["a"])

    assert np.array_equal(read(item.path), np.where(drawn == 4, 0, drawn))


def test_human_share_counts_slices_with_every_structure(a_project, tmp_path):
    root, project = a_project
    project = next_round(root, accept(root, project, "a", left_out=(4,)), a=proposed())
    drawn = proposed()
    drawn[2, 7, 2:8] = 1
    project = correct(root, project, "a", put(tmp_path / "drawn.seg.nrrd", drawn))

    (item,) = export_segmentations(root, project, tmp_path / "out", case_ids=["a"])

    assert item.human_fraction == 1 / ALL_SLICES
    expected = np.where(proposed() == 4, 0, proposed())
    expected[2] = drawn[2]
    assert np.array_equal(read(item.path), expected)


# --- the command line ---


@pytest.fixture(scope="module")
def a_filled_service(tmp_path_factory):
    return write_service(tmp_path_factory.mktemp("service"))


@pytest.fixture
def a_service(a_filled_service, tmp_path):
    return copied_service(a_filled_service, tmp_path / "service")


def test_command_leaves_structures_out_by_name(a_service, capfd):
    review = ["review", a_service.project, "other-1", *named(a_service.project, "other-1")]
    assert main([*review, "--accept", "--leave-out", "LABEL 2"]) == 0
    assert "other-1: accepted without label 2" in capfd.readouterr().out
    assert load_project(a_service.path("project")).reviews[0].left_out == (2,)
    assert main(["review", a_service.project]) == 0
    assert "accepted without label 2" in capfd.readouterr().out

    correction = [*review, "--correct", a_service.label, "--whole", "--leave-out", "label 2"]
    assert main(correction) == 0
    (stored,) = load_project(a_service.path("project")).reviews
    assert (stored.verdict, stored.left_out) == (Verdict.CORRECTED, (2,))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("other-1", "--accept", "--leave-out", "liver"), "no structure 'liver' to leave out"),
        (("other-1", "--reject", "--leave-out", "label 1"), "left out as a whole"),
        (("other-1", "--accept", "--leave-out", "label 1", "label 2"), "Every structure of case"),
        (("--leave-out", "label 1"), "Structures to leave out are given, but no case"),
    ],
)
def test_command_refuses_what_leaves_nothing_to_confirm(a_service, capfd, words, told):
    names = named(a_service.project, "other-1") if words[0] == "other-1" else []
    assert main(["review", a_service.project, *words, *names]) != 0
    assert told in capfd.readouterr().err
    assert load_project(a_service.path("project")).reviews == ()


def test_partly_reviewed_case_waits_for_review_after_the_next_round(a_service, monkeypatch, capfd):
    project = a_service.project
    accept_ = ["review", project, "other-1", "--accept", *named(project, "other-1")]
    assert main([*accept_, "--leave-out", "label 2"]) == 0
    assert main(["review", project, "other-2", "--accept", *named(project, "other-2")]) == 0
    with worker_in_this_process(monkeypatch):
        assert main(["train", project, "--device", "cpu"]) == 0

    assert "(1 of them without some structures)" in capfd.readouterr().out
    waiting = load_project(a_service.path("project")).cases_awaiting_review()
    assert [case.id for case in waiting] == ["other-1"]
