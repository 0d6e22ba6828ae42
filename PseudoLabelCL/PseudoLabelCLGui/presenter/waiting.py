"""What waits for the person, and what the worker does, in words."""

from PseudoLabelCLGui.presenter.facts.training_facts import Work, WorkKind
from PseudoLabelCLGui.presenter.words import counted
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.messages.project_view import ProjectView


def is_waiting(view: ProjectView, case_id: str) -> bool:
    """Tell whether nobody has judged the newest proposal of a case."""
    case = view.case(case_id)
    return case is not None and case.verdict is None


def num_waiting(view: ProjectView) -> int:
    """Return how many proposals wait for a verdict."""
    return sum(is_waiting(view, case_id) for case_id in view.review_order)


def waiting_words(number: int) -> str:
    """Return how many proposals wait, as a sentence."""
    return counted(
        number,
        _("1 proposal is waiting for review."),
        _("{count} proposals are waiting for review."),
    )


def cases_to_check(view: ProjectView | None) -> object:
    """Return what the check of the cases depends on; the same need not be checked again."""
    cases = view.cases if view else ()
    return tuple((case.id, case.role, case.image, case.annotation) for case in cases)


def work_words(work: Work) -> str:
    """Return what a worker does."""
    if work.kind is WorkKind.PRETRAIN:
        return _("The pre-training")
    return _("Round {index}").format(index=work.round_index)
