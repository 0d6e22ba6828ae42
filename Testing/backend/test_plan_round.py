"""What the next round learns from, and the sentence that says so."""

from dataclasses import replace

import pytest

from PseudoLabelCLLib.curation.plan_round import TruthSource, plan_next_round
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import Review, Verdict
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
GRID = Geometry((32, 32, 4), (1.0, 1.0, 5.0), (0.0, 0.0, 0.0), IDENTITY)


def a_case(case_id, role=CaseRole.UNLABELLED):
    annotation = f"annotations/{case_id}.seg.nrrd" if role.needs_annotation else None
    return Case(case_id, role, f"../{case_id}.nii", GRID, annotation)


def review(case_id, index, verdict, slices=None):
    file = None if verdict is Verdict.REJECTED else f"{case_id}@{index}"
    return Review(case_id, index, verdict, file, slices)


@pytest.fixture
def a_project():
    """One annotated case and the unlabelled cases a to e, round 0 reviewed."""
    cases = (
        *(a_case(name) for name in "abcde"),
        a_case("truth", CaseRole.ANNOTATED),
        a_case("held", CaseRole.VALIDATION),
        a_case("odd", CaseRole.IGNORED),
    )
    schema = LabelSchema.from_values((1,))
    rounds = (Round(0, RoundState.IN_REVIEW),)
    return Project("p", schema, config_for(Profile.QUICK), cases, rounds)


def reviewed(project, *reviews):
    return replace(project, reviews=reviews)


def test_first_round_learns_from_annotations_alone(a_project):
    plan = plan_next_round(replace(a_project, rounds=()))

    assert plan.index == 0
    assert plan.human == (TruthSource("truth", "annotations/truth.seg.nrrd", None),)
    assert (plan.pseudo, plan.left_out) == ((), ())
    assert plan.sentence == "Round 0 will learn from 1 human segmentation."


def test_unreviewed_cases_are_pseudo_labels(a_project):
    plan = plan_next_round(a_project)

    assert plan.pseudo == tuple("abcde")
    assert plan.sentence == "Round 1 will learn from 1 human segmentation and 5 pseudo-labels."


def test_verdicts_decide_what_a_pseudo_label_may_do(a_project):
    project = reviewed(
        a_project,
        review("a", 0, Verdict.ACCEPTED),
        review("b", 0, Verdict.CORRECTED),
        review("c", 0, Verdict.REJECTED),
    )

    plan = plan_next_round(project)

    assert [source.case_id for source in plan.human] == ["truth", "a", "b"]
    assert (plan.pseudo, plan.left_out) == (("d", "e"), ("c",))
    assert plan.sentence == (
        "Round 1 will learn from 3 human segmentations and 2 pseudo-labels; "
        "1 rejected case is left out."
    )


def test_partly_corrected_case_is_truth_and_pseudo_label(a_project):
    plan = plan_next_round(reviewed(a_project, review("a", 0, Verdict.CORRECTED, (1, 2))))

    assert TruthSource("a", "a@0", (1, 2)) in plan.human
    assert "a" in plan.pseudo
    assert "2 human segmentations (1 of them on single slices only)" in plan.sentence


def test_corrections_add_up_until_they_cover_the_case(a_project):
    project = replace(a_project, rounds=tuple(Round(n, RoundState.CLOSED) for n in range(3)))
    project = reviewed(
        project,
        review("a", 1, Verdict.CORRECTED, (2, 3)),
        review("a", 0, Verdict.CORRECTED, (0, 1, 2)),
    )

    plan = plan_next_round(project)

    own = [source for source in plan.human if source.case_id == "a"]
    assert own == [TruthSource("a", "a@0", (0, 1, 2)), TruthSource("a", "a@1", (2, 3))]
    assert "a" not in plan.pseudo


def test_later_whole_verdict_hides_earlier_slices(a_project):
    project = replace(a_project, rounds=tuple(Round(n, RoundState.CLOSED) for n in range(2)))
    project = reviewed(
        project,
        review("a", 0, Verdict.CORRECTED, (0,)),
        review("a", 1, Verdict.ACCEPTED),
    )

    own = [source for source in plan_next_round(project).human if source.case_id == "a"]

    assert own == [TruthSource("a", "a@1", None)]


def test_rejection_leaves_earlier_corrected_slices_as_truth(a_project):
    project = replace(a_project, rounds=tuple(Round(n, RoundState.CLOSED) for n in range(2)))
    project = reviewed(
        project, review("a", 0, Verdict.CORRECTED, (0,)), review("a", 1, Verdict.REJECTED)
    )

    plan = plan_next_round(project)

    assert TruthSource("a", "a@0", (0,)) in plan.human
    assert plan.left_out == ("a",)
    assert "a" not in plan.pseudo


@pytest.mark.parametrize("state", [RoundState.TRAINING, RoundState.PSEUDO_LABELLING])
def test_interrupted_round_is_still_the_next(a_project, state):
    project = replace(a_project, rounds=(Round(0, RoundState.CLOSED), Round(1, state)))

    assert plan_next_round(project).index == 1


def test_two_rejections_are_told_in_the_plural(a_project):
    project = reviewed(
        a_project, review("a", 0, Verdict.REJECTED), review("b", 0, Verdict.REJECTED)
    )

    assert plan_next_round(project).sentence.endswith("; 2 rejected cases are left out.")
