"""How far each case of a project has come, as it is shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PseudoLabelCLLib.curation.review.plan_round import truth_sources_of
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import Confirming, Review, Use, Verdict, fully_confirmed_slices
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.messages.project_view import CaseState

_BY_ROLE = {
    CaseRole.ANNOTATED: CaseState.ANNOTATED,
    CaseRole.VALIDATION: CaseState.VALIDATING,
    CaseRole.IGNORED: CaseState.IGNORED,
}
_WITH_PROPOSALS = (RoundState.IN_REVIEW, RoundState.CLOSED)


@dataclass(frozen=True)
class CaseProgress:
    """How far a case has come.

    Args:
        state: In one word.
        review: The verdict on the newest proposal, or None.
        truth_fraction: Share of the slices that a person confirmed, 0..1.
        is_confirmed: Whether a person confirmed any part of it, if only for one structure.
        last: The newest verdict of all rounds, or None.
    """

    state: CaseState
    review: Review | None
    truth_fraction: float
    is_confirmed: bool
    last: Review | None = None


def newest_whole_round(project: Project) -> int | None:
    """Return the newest round that has made all its proposals, or None."""
    ready = [round_.index for round_ in project.rounds if round_.state in _WITH_PROPOSALS]
    return ready[-1] if ready else None


def progress_of_cases(project: Project, proposed_by: Mapping[str, int]) -> dict[str, CaseProgress]:
    """Return how far every case has come, by its name.

    Args:
        project: The project as it is now.
        proposed_by: The round of the newest proposal of each case that has one.
    """
    reviews: dict[str, list[Review]] = {case.id: [] for case in project.cases}
    for review in sorted(project.reviews, key=lambda review: review.round_index):
        reviews.setdefault(review.case_id, []).append(review)
    return {
        case.id: _progress(project, case, reviews[case.id], proposed_by.get(case.id))
        for case in project.cases
    }


def _progress(
    project: Project, case: Case, reviews: Sequence[Review], proposed_by: int | None
) -> CaseProgress:
    """Return how far a case has come.

    Args:
        project: The project.
        case: The case.
        reviews: All verdicts on it, oldest first.
        proposed_by: The round of its newest proposal, or None.
    """
    if not case.gets_proposals:
        confirmed = 1.0 if case.annotation is not None else 0.0
        return CaseProgress(_BY_ROLE[case.role], None, confirmed, bool(confirmed))
    axis = project.preprocess.slicing_axis_of(case.geometry)
    truth: Sequence[Confirming] = [review for review in reviews if review.use is Use.TRUTH]
    if case.is_partly_drawn:
        truth = truth_sources_of(project, case.id, len(project.rounds))
    num_slices = case.geometry.size[axis]
    fraction = len(fully_confirmed_slices(truth, num_slices)) / num_slices
    # Without a proposal in the newest round, the newest is the one that was judged last.
    last = current = reviews[-1] if reviews else None
    if last is not None and proposed_by is not None and last.round_index != proposed_by:
        current = None
    state = _state(current, fraction, is_proposed=proposed_by is not None)
    if case.is_partly_drawn and state is CaseState.WAITING:
        state = CaseState.ANNOTATED
    return CaseProgress(state, current, fraction, bool(truth), last)


def _state(review: Review | None, truth_fraction: float, *, is_proposed: bool) -> CaseState:
    if review is None:
        return CaseState.PROPOSED if is_proposed else CaseState.WAITING
    if review.verdict is Verdict.REJECTED:
        return CaseState.REJECTED
    if review.left_out:
        return CaseState.PARTLY_REVIEWED
    if review.verdict is Verdict.ACCEPTED:
        return CaseState.ACCEPTED
    return CaseState.CORRECTED if truth_fraction == 1 else CaseState.PARTLY_REVIEWED
