"""The simulated clinician keeps to a budget and gives no truth away."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.volume import LabelVolume

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from simulated_clinician import (
    Effort,
    Proposal,
    Strategy,
    choose,
    corrected_file,
    counted,
    good_enough,
    mean_dice,
    slice_list,
    within_budget,
)

GRID = Geometry((7, 6, 4), (1.0, 1.0, 8.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
CORRECTING = [strategy for strategy in Strategy if strategy.corrects]
PLENTY = Effort(10**6, 10**6)


@st.composite
def proposal_lists(draw, min_size=1):
    """Proposals with doubts of their own, some slices of them confirmed already."""
    proposals = []
    for number in range(draw(st.integers(min_size, 6))):
        doubts = draw(st.lists(st.floats(0, 1), min_size=1, max_size=9))
        indices = st.sets(st.integers(0, len(doubts) - 1), min_size=1)
        opened = tuple(sorted(draw(indices)))
        doubt, dice = draw(st.floats(0, 1)), draw(st.floats(0, 1))
        proposals.append(Proposal(f"{number:03d}", doubt, tuple(doubts), opened, dice))
    return proposals


def rng(seed=0):
    return np.random.default_rng(seed)


def pairs(choice):
    return {(case, index) for case, slices in choice.items() for index in slices}


def all_open(proposals):
    return {(p.case_id, index) for p in proposals for index in p.open_slices}


@given(proposal_lists(), st.integers(1, 60))
def test_whole_cases_come_as_near_to_the_budget_as_any_number_of_them(proposals, budget):
    effort = within_budget(proposals, budget)

    doubtful = sorted(proposals, key=lambda p: p.doubt, reverse=True)
    totals = [
        sum(len(p.open_slices) for p in doubtful[:number]) for number in range(1, len(doubtful) + 1)
    ]
    assert effort.num_slices == totals[effort.num_cases - 1]
    assert abs(effort.num_slices - budget) == min(abs(total - budget) for total in totals)


def test_budget_of_nothing_to_review_is_nothing():
    assert within_budget([], 10) == Effort(0, 0)


@given(proposal_lists(), st.integers(0, 6))
def test_no_case_left_out_is_more_doubtful_than_a_corrected_one(proposals, num_cases):
    choice = choose(Strategy.DOUBT_CASES, proposals, Effort(num_cases, 0), rng())

    assert len(choice) == min(num_cases, len(proposals))
    for proposal in proposals:
        if proposal.case_id in choice:
            assert choice[proposal.case_id] == proposal.open_slices
        else:
            assert all(proposal.doubt <= p.doubt for p in proposals if p.case_id in choice)


@given(proposal_lists(), st.integers(0, 60))
def test_no_slice_left_out_is_more_doubtful_than_a_corrected_one(proposals, num_slices):
    chosen = pairs(choose(Strategy.DOUBT_SLICES, proposals, Effort(0, num_slices), rng()))

    doubts = {(p.case_id, n): p.doubt_per_slice[n] for p in proposals for n in p.open_slices}
    assert len(chosen) == min(num_slices, len(doubts))
    left_out = [doubt for pair, doubt in doubts.items() if pair not in chosen]
    assert max(left_out, default=0) <= min((doubts[pair] for pair in chosen), default=1)


@given(proposal_lists(), st.integers(0, 60), st.integers(0, 99))
def test_chance_takes_as_many_as_asked_and_nothing_that_is_confirmed(proposals, number, seed):
    slices = choose(Strategy.RANDOM_SLICES, proposals, Effort(0, number), rng(seed))
    cases = choose(Strategy.RANDOM_CASES, proposals, Effort(number, 0), rng(seed))

    assert counted(slices).num_slices == min(number, len(all_open(proposals)))
    assert pairs(slices) <= all_open(proposals)
    assert len(cases) == min(number, len(proposals))
    assert all(cases[p.case_id] == p.open_slices for p in proposals if p.case_id in cases)


@pytest.mark.parametrize("strategy", [Strategy.RANDOM_CASES, Strategy.RANDOM_SLICES])
def test_chance_is_blind_to_doubt_and_truth(strategy):
    proposals = [Proposal(str(n), n / 8, (n / 8,) * 3, (0, 1, 2), n / 8) for n in range(8)]
    effort = Effort(2, 6)
    num_draws = 1000

    times = dict.fromkeys(all_open(proposals), 0)
    for seed in range(num_draws):
        for pair in pairs(choose(strategy, proposals, effort, rng(seed))):
            times[pair] += 1

    # a quarter each: 250, standard deviation sqrt(1000 * 1/4 * 3/4) = 13.7; five of them
    assert all(abs(count - num_draws / 4) < 5 * 13.7 for count in times.values()), times


@pytest.mark.parametrize("strategy", CORRECTING)
def test_clinician_with_time_for_all_corrects_all_that_is_open(strategy):
    proposals = [
        Proposal("a", 0.5, (0.1, 0.9, 0.3), (0, 2), 0.7),
        Proposal("b", 0.2, (0.4,) * 2, (1,), 0.6),
    ]

    choice = choose(strategy, proposals, PLENTY, rng())

    assert choice == {"a": (0, 2), "b": (1,)}
    assert counted(choice) == Effort(2, 3)


@pytest.mark.parametrize("strategy", [Strategy.NONE, Strategy.ACCEPT_GOOD])
def test_some_strategies_correct_nothing(strategy):
    assert choose(strategy, [Proposal("a", 1.0, (1.0,), (0,), 0.0)], PLENTY, rng()) == {}


def test_only_proposals_that_agree_with_the_truth_are_good_enough():
    hidden = {"a": 0.84, "b": 0.85, "c": 0.9}
    proposals = [Proposal(case_id, 0.5, (), (), dice) for case_id, dice in hidden.items()]

    assert good_enough(proposals, 0.85) == ("b", "c")


@settings(deadline=None)
@given(st.integers(0, 2), st.data())
def test_corrected_file_holds_the_truth_on_the_chosen_slices_alone(axis, data):
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    proposal, truth = (
        LabelVolume(random.integers(0, 3, GRID.array_shape).astype(np.int16), GRID)
        for _ in range(2)
    )
    slices = data.draw(st.sets(st.integers(0, GRID.array_shape[axis] - 1), min_size=1))

    corrected = corrected_file(proposal, truth, sorted(slices), axis)

    for place in np.ndindex(*GRID.array_shape):
        source = truth if place[axis] in slices else proposal
        assert corrected.array[place] == source.array[place]


def test_truth_on_another_grid_is_refused():
    moved = replace(GRID, origin_mm=(9.0, 0.0, 0.0))
    array = np.zeros(GRID.array_shape, np.int16)

    with pytest.raises(ValueError, match="expected one grid"):
        corrected_file(LabelVolume(array, GRID), LabelVolume(array, moved), (0,), 0)


@settings(deadline=None)
@given(st.integers(0, 99))
def test_hidden_dice_is_that_of_sets_of_voxels(seed):
    random = np.random.default_rng(seed)
    # few voxels, so that structures are often absent from one or from both
    first, second = (
        (random.random(GRID.array_shape) < 0.01) * random.integers(1, 3, GRID.array_shape)
        for _ in range(2)
    )
    scores = []
    for value in (1, 2):
        ours, theirs = (
            {p for p in np.ndindex(*GRID.array_shape) if side[p] == value}
            for side in (first, second)
        )
        if ours | theirs:
            scores.append(2 * len(ours & theirs) / (len(ours) + len(theirs)))

    found = mean_dice(LabelVolume(first, GRID), LabelVolume(second, GRID), (1, 2))

    assert found == pytest.approx(sum(scores) / len(scores) if scores else 1.0)


def test_slices_are_told_as_a_person_counts_them():
    assert slice_list((0, 3, 4)) == "1,4,5"
