"""The order of the review: a case keeps its place while proposals come, and by doubt once all have.

The service lists proposals by their doubt, which new ones would move about under a person's hands.
"""

from collections.abc import Collection
from dataclasses import replace

from PseudoLabelCLLib.messages.project_view import ProjectView


def with_queue_kept(
    view: ProjectView, before: ProjectView | None, here: Collection[str]
) -> ProjectView:
    """Return a view whose queue goes on from that of the view before.

    New proposals come behind the others. Once all are there, what is judged and what is looked at
    stay in front, and the rest follows by doubt.

    Args:
        view: The project as it is now.
        before: As it was shown before, or None.
        here: The cases that a person looks at, or is about to.
    """
    if before is None or not _is_of_same_round(view, before):
        return view
    by_doubt = view.review_order
    kept = [case_id for case_id in before.review_order if case_id in by_doubt]
    if before.is_proposing and not view.is_proposing:
        kept = [case_id for case_id in kept if case_id in here or _is_judged(view, case_id)]
    known = set(kept)
    rest = (case_id for case_id in by_doubt if case_id not in known)
    return replace(view, review_order=(*kept, *rest))


def _is_of_same_round(view: ProjectView, before: ProjectView) -> bool:
    if view.root != before.root or not view.rounds or not before.rounds:
        return False
    return view.rounds[-1].index == before.rounds[-1].index


def _is_judged(view: ProjectView, case_id: str) -> bool:
    case = view.case(case_id)
    return case is not None and case.verdict is not None
