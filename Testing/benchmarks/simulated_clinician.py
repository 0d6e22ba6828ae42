"""A simulated clinician who knows the hidden truth: what is looked at, and what is handed back.

Which slices or cases are corrected follows from what a person would see (doubt) or from chance,
never from the truth; only `accept-good` asks the truth whether a proposal may be accepted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from PseudoLabelCLLib.domain.volume import LabelVolume


class Strategy(Enum):
    """What the clinician does between two rounds."""

    NONE = "none"
    ACCEPT_GOOD = "accept-good"
    DOUBT_CASES = "doubt-cases"
    RANDOM_CASES = "random-cases"
    DOUBT_SLICES = "doubt-slices"
    RANDOM_SLICES = "random-slices"

    @property
    def corrects(self) -> bool:
        """Whether slices are corrected, so that a budget matters."""
        return self not in (Strategy.NONE, Strategy.ACCEPT_GOOD)


@dataclass(frozen=True)
class Proposal:
    """One pseudo-label as the clinician finds it.

    Args:
        case_id: The case.
        doubt: Of the whole volume, 0 (sure) to 1.
        doubt_per_slice: The same for each slice along the slicing axis.
        open_slices: Indices of the slices that nobody has confirmed in an earlier round.
        dice: Hidden agreement with the truth, mean over structures.
    """

    case_id: str
    doubt: float
    doubt_per_slice: tuple[float, ...]
    open_slices: tuple[int, ...]
    dice: float


@dataclass(frozen=True)
class Effort:
    """How much is corrected between two rounds."""

    num_cases: int
    num_slices: int


# Case by case, the indices of the slices to correct.
Choice = dict[str, tuple[int, ...]]


def within_budget(proposals: Iterable[Proposal], budget: int) -> Effort:
    """The most doubtful whole cases, as many as come nearest to a number of slices, one at least.

    Their number and slices set the pace that the other strategies keep to.
    """
    totals = np.cumsum([len(proposal.open_slices) for proposal in _most_doubtful(proposals)])
    if not len(totals):
        return Effort(0, 0)
    nearest = int(np.abs(totals - budget).argmin())
    return Effort(nearest + 1, int(totals[nearest]))


def choose(
    strategy: Strategy, proposals: Sequence[Proposal], effort: Effort, rng: np.random.Generator
) -> Choice:
    """What is corrected: whole cases, as many as `effort` says, or as many single slices.

    Where fewer are left, all of them.
    """
    if not strategy.corrects:
        return {}
    if strategy is Strategy.DOUBT_CASES:
        return _whole(_most_doubtful(proposals)[: effort.num_cases])
    if strategy is Strategy.RANDOM_CASES:
        order = rng.permutation(len(proposals))[: effort.num_cases]
        return _whole([proposals[index] for index in order])
    slices = [(p, index) for p in proposals for index in p.open_slices]
    if strategy is Strategy.DOUBT_SLICES:
        slices.sort(key=lambda pair: -pair[0].doubt_per_slice[pair[1]])
    else:
        slices = [slices[index] for index in rng.permutation(len(slices))]
    return _by_case(slices[: effort.num_slices])


def good_enough(proposals: Iterable[Proposal], threshold: float) -> tuple[str, ...]:
    """Cases whose proposal agrees with the hidden truth at least so well."""
    return tuple(proposal.case_id for proposal in proposals if proposal.dice >= threshold)


def corrected_file(
    proposal: LabelVolume, truth: LabelVolume, slices: Sequence[int], axis: int
) -> LabelVolume:
    """The proposal with the truth on some slices: no other slice gives the truth away.

    Args:
        proposal: What the network proposes.
        truth: The hidden segmentation, on the same grid.
        slices: Which slices are corrected.
        axis: Axis of the arrays across the slices.

    Raises:
        ValueError: The two lie on different grids.
    """
    if not truth.geometry.is_close_to(proposal.geometry):
        raise ValueError(
            f"The hidden truth has {truth.geometry.describe()}, its proposal has "
            f"{proposal.geometry.describe()}; expected one grid."
        )
    array = proposal.array.copy()
    chosen = list(slices)
    np.moveaxis(array, axis, 0)[chosen] = np.moveaxis(truth.array, axis, 0)[chosen]
    return LabelVolume(array, proposal.geometry)


def slice_list(slices: Iterable[int]) -> str:
    """Indices from 0 as the command line takes them, counted from 1."""
    return ",".join(str(index + 1) for index in slices)


def mean_dice(first: LabelVolume, second: LabelVolume, values: Iterable[int]) -> float:
    """Mean Dice over the structures that either of the two holds; 1 if neither holds any."""
    scores = []
    for value in values:
        ours, theirs = first.array == value, second.array == value
        total = int(ours.sum()) + int(theirs.sum())
        if total:
            scores.append(2 * int((ours & theirs).sum()) / total)
    return float(np.mean(scores)) if scores else 1.0


def counted(choice: Mapping[str, Sequence[int]]) -> Effort:
    """How much a choice is."""
    return Effort(len(choice), sum(len(slices) for slices in choice.values()))


def _most_doubtful(proposals: Iterable[Proposal]) -> list[Proposal]:
    return sorted(proposals, key=lambda proposal: -proposal.doubt)


def _whole(proposals: Iterable[Proposal]) -> Choice:
    return {proposal.case_id: proposal.open_slices for proposal in proposals}


def _by_case(slices: Iterable[tuple[Proposal, int]]) -> Choice:
    chosen: Choice = {}
    for proposal, index in slices:
        chosen[proposal.case_id] = tuple(sorted((*chosen.get(proposal.case_id, ()), index)))
    return chosen
