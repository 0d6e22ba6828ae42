"""What the next round will learn from, told before it starts."""

from collections.abc import Iterator
from dataclasses import dataclass

from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import Use, Verdict
from PseudoLabelCLLib.domain.round import RoundState


@dataclass(frozen=True)
class TruthSource:
    """A segmentation that a person vouches for.

    Args:
        case_id: The case.
        segmentation: Path of the segmentation as the project stores it.
        truth_slices: Indices along the slicing axis that count; None means all.
    """

    case_id: str
    segmentation: str
    truth_slices: tuple[int, ...] | None


@dataclass(frozen=True)
class RoundPlan:
    """What one round learns from.

    Args:
        index: The round.
        human: Human truth, for each case oldest first: on a slice that two name, the later counts.
        pseudo: Cases whose newest proposal serves the contrastive loss, at least on the slices
            that `human` does not name.
        left_out: Cases whose newest proposal was rejected; slices corrected before still count.
        sentence: The same for a person.
    """

    index: int
    human: tuple[TruthSource, ...]
    pseudo: tuple[str, ...]
    left_out: tuple[str, ...]
    sentence: str


def plan_next_round(project: Project) -> RoundPlan:
    """Return what the next round learns from; one that was interrupted is still the next."""
    index = _next_index(project)
    human = tuple(_human_truth(project, index))
    pseudo, left_out = [], []
    for case in project.cases_with_role(CaseRole.UNLABELLED) if index > 0 else ():
        if _rejected_last(project, case.id, index):
            left_out.append(case.id)
        elif not _is_wholly_covered(project, case.id, human):
            pseudo.append(case.id)
    sentence = _sentence(index, human, len(pseudo), len(left_out))
    return RoundPlan(index, human, tuple(pseudo), tuple(left_out), sentence)


def truth_sources_of(project: Project, case_id: str, round_index: int) -> tuple[TruthSource, ...]:
    """Return the human truth of a case for a round, oldest first.

    What lies below a segmentation of all slices is not listed.
    """
    case = project.case(case_id)
    if project.use_in_round(case.id, round_index) is not Use.TRUTH:
        return ()
    if case.role is CaseRole.ANNOTATED and case.annotation is not None:
        return (TruthSource(case.id, case.annotation, None),)
    sources: list[TruthSource] = []
    for review in project.truth_reviews_of(case.id):
        if review.round_index < round_index and review.segmentation is not None:
            below = sources if review.truth_slices is not None else []
            sources = [*below, TruthSource(case.id, review.segmentation, review.truth_slices)]
    return tuple(sources)


def _next_index(project: Project) -> int:
    latest = project.latest_round
    if latest is None:
        return 0
    interrupted = latest.state in (RoundState.TRAINING, RoundState.PSEUDO_LABELLING)
    return latest.index if interrupted else latest.index + 1


def _human_truth(project: Project, index: int) -> Iterator[TruthSource]:
    for role in (CaseRole.ANNOTATED, CaseRole.UNLABELLED):
        for case in project.cases_with_role(role):
            yield from truth_sources_of(project, case.id, index)


def _rejected_last(project: Project, case_id: str, index: int) -> bool:
    return any(
        review.verdict is Verdict.REJECTED and review.round_index == index - 1
        for review in project.reviews_of(case_id)
    )


def _is_wholly_covered(project: Project, case_id: str, human: tuple[TruthSource, ...]) -> bool:
    own = [source.truth_slices for source in human if source.case_id == case_id]
    covered = {number for slices in own if slices is not None for number in slices}
    return None in own or len(covered) == project.num_slices_of(case_id)


def _sentence(
    index: int, human: tuple[TruthSource, ...], num_pseudo: int, num_left_out: int
) -> str:
    whole = {source.case_id for source in human if source.truth_slices is None}
    partial = {source.case_id for source in human} - whole
    text = f"Round {index} will learn from {_counted(len(whole | partial), 'human segmentation')}"
    if partial:
        text += f" ({len(partial)} of them on single slices only)"
    if index > 0:
        text += f" and {_counted(num_pseudo, 'pseudo-label')}"
    if num_left_out:
        verb = "is" if num_left_out == 1 else "are"
        text += f"; {_counted(num_left_out, 'rejected case')} {verb} left out"
    return f"{text}."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
