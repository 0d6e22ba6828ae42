"""Rules over cases, rounds and reviews; a random walk through a project's life."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from PseudoLabelCLLib.curation.review.plan_round import plan_next_round
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.doubt import Doubt
from PseudoLabelCLLib.domain.errors import ProjectError, ReviewError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import Review, Use, Verdict
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
NUM_SLICES = 4
GRID = Geometry((32, 32, NUM_SLICES), (1.0, 1.0, 5.0), (0.0, 0.0, 0.0), IDENTITY)


def a_case(case_id, role=CaseRole.UNLABELLED):
    annotation = f"annotations/{case_id}.seg.nrrd" if role.needs_annotation else None
    return Case(case_id, role, f"../{case_id}.nii", GRID, annotation)


def a_project(*cases, rounds=(), reviews=()):
    schema = LabelSchema.from_values((1,))
    return Project("p", schema, config_for(Profile.QUICK), cases, rounds, reviews)


def rejected(case_id, index):
    return Review(case_id, index, Verdict.REJECTED, None)


def accepted(case_id, index):
    return Review(case_id, index, Verdict.ACCEPTED, f"reviews/{index}/{case_id}")


def corrected(case_id, index, slices=None):
    return Review(case_id, index, Verdict.CORRECTED, f"reviews/{index}/{case_id}", slices)


def closed_rounds(number):
    return tuple(Round(index, RoundState.CLOSED) for index in range(number))


def test_names_differ_in_more_than_upper_and_lower_case():
    with pytest.raises(ProjectError, match="Two cases"):
        a_project(a_case("Anna"), a_case("anna"))


def test_case_is_found_in_any_case_of_letters():
    assert a_project(a_case("Anna")).case("ANNA").id == "Anna"


def test_unknown_case_is_told_with_the_known_ones():
    with pytest.raises(ProjectError, match=r"no case 'x'.*Anna"):
        a_project(a_case("Anna")).case("x")


def test_rounds_stand_in_order():
    with pytest.raises(ProjectError, match="out of order"):
        a_project(rounds=(Round(1, RoundState.CLOSED),))


def test_a_case_has_one_verdict_for_a_round():
    with pytest.raises(ProjectError, match="two verdicts"):
        a_project(a_case("a"), reviews=(accepted("a", 0), rejected("a", 0)))


def test_round_states_follow_each_other():
    round_ = Round(0, RoundState.TRAINING)

    with pytest.raises(ProjectError):
        round_.moved_to(RoundState.IN_REVIEW)
    for state in (RoundState.PSEUDO_LABELLING, RoundState.IN_REVIEW, RoundState.CLOSED):
        round_ = round_.moved_to(state)
    with pytest.raises(ProjectError):
        round_.moved_to(RoundState.TRAINING)


def test_annotated_case_is_truth_in_every_round():
    project = a_project(a_case("a", CaseRole.ANNOTATED), rounds=closed_rounds(2))

    assert [project.use_in_round("a", n) for n in range(3)] == [Use.TRUTH] * 3


def test_unlabelled_case_does_nothing_in_round_zero():
    assert a_project(a_case("a")).use_in_round("a", 0) is Use.NOTHING
    assert a_project(a_case("a")).use_in_round("a", 1) is Use.PSEUDO


@pytest.mark.parametrize("role", [CaseRole.VALIDATION, CaseRole.IGNORED])
def test_validation_and_ignored_cases_never_train(role):
    project = a_project(a_case("a", role))

    assert [project.use_in_round("a", n) for n in range(3)] == [Use.NOTHING] * 3


def test_rejection_counts_for_one_round():
    project = a_project(a_case("a"), reviews=(rejected("a", 0),))

    uses = [project.use_in_round("a", n) for n in range(4)]
    assert uses == [Use.NOTHING, Use.NOTHING, Use.PSEUDO, Use.PSEUDO]


def test_verdict_counts_from_the_next_round_on():
    project = a_project(a_case("a"), reviews=(accepted("a", 1),))

    uses = [project.use_in_round("a", n) for n in range(4)]
    assert uses == [Use.NOTHING, Use.PSEUDO, Use.TRUTH, Use.TRUTH]


def test_partly_corrected_case_is_still_proposed():
    partly = a_project(a_case("a"), reviews=(corrected("a", 0, (1,)),))
    wholly = a_project(a_case("a"), reviews=(corrected("a", 0),))

    assert [case.id for case in partly.cases_to_propose()] == ["a"]
    assert wholly.cases_to_propose() == ()


def test_slicing_axis_is_the_least_resolved_unless_chosen():
    project = a_project(a_case("a"))
    along_i = replace(project.config.preprocess, slicing_axis=0)
    chosen = replace(project, config=replace(project.config, preprocess=along_i))

    assert (project.slicing_axis_of("a"), project.num_slices_of("a")) == (2, NUM_SLICES)
    assert (chosen.slicing_axis_of("a"), chosen.num_slices_of("a")) == (0, 32)


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan")])
def test_doubt_lies_between_zero_and_one(score):
    with pytest.raises(ReviewError):
        Doubt(score, 0.5, (0.5,), "odd")


@st.composite
def verdicts(draw):
    kind = draw(st.sampled_from(Verdict))
    if kind is not Verdict.CORRECTED or draw(st.booleans()):
        return kind, None
    numbers = st.integers(0, NUM_SLICES - 1)
    return kind, tuple(sorted(draw(st.sets(numbers, min_size=1))))


class ProjectLife(RuleBasedStateMachine):
    """Trains and reviews at random; keeps its own plain book of who confirmed which slice."""

    def __init__(self):
        super().__init__()
        self.project = a_project(a_case("truth", CaseRole.ANNOTATED))
        self.verdicts = {}  # (case, round) -> (verdict, slices)
        self.proposed = {}  # round -> cases proposed in it

    @property
    def state(self):
        return self.project.latest_round.state if self.project.rounds else None

    def confirmed(self, case_id, before):
        slices = set()
        for (known, index), (verdict, numbers) in self.verdicts.items():
            if known == case_id and index < before and verdict is not Verdict.REJECTED:
                slices |= set(range(NUM_SLICES) if numbers is None else numbers)
        return slices

    @rule(number=st.integers(0, 5))
    def add_a_case(self, number):
        if f"c{number}" not in [case.id for case in self.project.cases]:
            self.project = self.project.with_case(a_case(f"c{number}"))

    @precondition(lambda self: self.state in (None, RoundState.CLOSED))
    @rule()
    def start_a_round(self):
        index = len(self.project.rounds)
        self.project = self.project.with_round(Round(index, RoundState.TRAINING))

    @precondition(lambda self: self.state is RoundState.TRAINING)
    @rule()
    def finish_training(self):
        latest = self.project.latest_round
        self.proposed[latest.index] = [case.id for case in self.project.cases_to_propose()]
        labelling = latest.moved_to(RoundState.PSEUDO_LABELLING)
        self.project = self.project.with_round(labelling.moved_to(RoundState.IN_REVIEW))

    @precondition(lambda self: self.state is RoundState.IN_REVIEW)
    @rule(data=st.data(), judged=verdicts())
    def judge(self, data, judged):
        index = self.project.latest_round.index
        if not self.proposed[index]:
            return
        case_id = data.draw(st.sampled_from(self.proposed[index]))
        verdict, slices = judged
        file = None if verdict is Verdict.REJECTED else f"reviews/{index}/{case_id}"
        self.project = self.project.with_review(Review(case_id, index, verdict, file, slices))
        self.verdicts[case_id, index] = judged

    @precondition(lambda self: self.state is RoundState.IN_REVIEW)
    @rule()
    def close_the_round(self):
        latest = self.project.latest_round
        self.project = self.project.with_round(latest.moved_to(RoundState.CLOSED))

    @invariant()
    def no_verdict_is_lost(self):
        stored = {(r.case_id, r.round_index): (r.verdict, r.truth_slices)
                  for r in self.project.reviews}  # fmt: skip
        assert stored == self.verdicts

    @invariant()
    def plan_teaches_exactly_the_slices_that_a_person_confirmed(self):
        plan = plan_next_round(self.project)
        for case in self.project.cases_with_role(CaseRole.UNLABELLED):
            planned = set()
            for source in plan.human:
                if source.case_id == case.id:
                    numbers = source.truth_slices
                    planned |= set(range(NUM_SLICES) if numbers is None else numbers)
            assert planned == self.confirmed(case.id, plan.index)

    @invariant()
    def plan_uses_the_rest_as_pseudo_label_unless_rejected(self):
        plan = plan_next_round(self.project)
        assert not set(plan.pseudo) & set(plan.left_out)
        for case in self.project.cases_with_role(CaseRole.UNLABELLED):
            last = self.verdicts.get((case.id, plan.index - 1), (None, None))[0]
            whole = len(self.confirmed(case.id, plan.index)) == NUM_SLICES
            expected = plan.index > 0 and not whole and last is not Verdict.REJECTED
            assert (case.id in plan.pseudo) == expected
            assert (case.id in plan.left_out) == (last is Verdict.REJECTED)

    @invariant()
    def plan_agrees_with_the_use_of_each_case(self):
        plan = plan_next_round(self.project)
        taught = {source.case_id for source in plan.human}
        for case in self.project.cases:
            use = self.project.use_in_round(case.id, plan.index)
            assert (case.id in taught) == (use is Use.TRUTH)
            if use is Use.PSEUDO:
                assert case.id in plan.pseudo

    @invariant()
    def awaiting_review_are_the_unjudged(self):
        awaiting = {case.id for case in self.project.cases_awaiting_review()}
        latest = self.project.latest_round
        for case_id in awaiting:
            assert (case_id, latest.index) not in self.verdicts


TestProjectLife = ProjectLife.TestCase
TestProjectLife.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
