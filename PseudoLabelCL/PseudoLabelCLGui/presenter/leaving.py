"""Leaving the case that is shown: changes that are in no verdict are asked about first."""

from collections.abc import Callable
from functools import partial

from PseudoLabelCLGui.presenter.core import Core
from PseudoLabelCLGui.presenter.facts.facts import Answer, Decision
from PseudoLabelCLGui.presenter.facts.review_facts import RoundKey
from PseudoLabelCLGui.presenter.reasons import no_judging
from PseudoLabelCLGui.presenter.service_line import nothing
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.messages.project_view import ProjectView

Do = Callable[[], None]


class Leaving:
    """Lets an action go on once no unsaved change stands in its way.

    Args:
        core: What all parts share.

    Attributes:
        save: Saves the changes as a correction; what `after_saving` holds follows. The review sets
            it.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self.save: Do = nothing

    def before(self, then: Do, *, once_saved: Do | None = None) -> None:
        """Do something that leaves the shown case, after its unsaved changes were asked about.

        Args:
            then: What the person wants to do.
            once_saved: The same if the changes were saved as a correction before; `then` if None.
        """
        review = self._core.facts.review
        self._core.is_dirty = True
        if not review.is_edited:
            self._drop_question()
            then()
            return
        review.wanted = ""  # what is wanted now takes its place
        self._ask_about(then, once_saved or then)

    def _ask_about(self, then: Do, once_saved: Do) -> None:
        review = self._core.facts.review
        if review.shown in review.saving or review.writing is not None:
            review.after_saving = once_saved
        elif no_judging(self._core.facts):
            self._ask_to_keep(then)
        else:
            self._ask_to_save(then, once_saved)

    def look(self) -> None:
        """Leave the shown case if another round, or none, is in its place in the newest view."""
        core, review = self._core, self._core.facts.review
        if not review.shown or core.facts.view is None:
            return
        if self._still_holds(core.facts.view):
            review.round_key = round_key(core.facts.view, review.shown)
        else:
            self.leave()

    def leave(self) -> None:
        """Leave the shown case as its round is over; what was drawn can only be kept or not."""
        core, review = self._core, self._core.facts.review
        question = core.facts.decision
        is_asked = question is not None and question.is_closed
        if not review.shown or is_asked:
            return
        review.wanted = review.wanted if review.wanted != review.shown else ""
        review.writing = review.after_saving = None
        if review.is_edited:
            self._ask_to_keep(nothing)
        else:
            core.leave_case()

    def changes_are_gone(self) -> None:
        """The person has undone the changes: nothing is to be asked about them any more."""
        self._drop_question()

    def _still_holds(self, view: ProjectView) -> bool:
        review = self._core.facts.review
        case = view.case(review.shown)
        if case is None:
            return False
        if round_key(view, review.shown) == review.round_key:
            return True
        is_in_review = view.round_in_review is not None and review.shown in view.review_order
        if is_in_review and review.identity is not None and case.proposal == review.identity:
            return True
        return self._was_only_looked_at(view)

    def _was_only_looked_at(self, view: ProjectView) -> bool:
        """Tell whether what is shown could not be judged before, and is still part of the project.

        The proposals that come while a round is at work take nothing out of the views.
        """
        review = self._core.facts.review
        round_index, is_in_review, _proposal = review.round_key
        shown = -1 if review.identity is None else review.identity.round_index
        could_be_judged = is_in_review and shown == round_index
        newest = view.rounds[-1].index if view.rounds else -1
        return not could_be_judged and shown <= newest

    def _drop_question(self) -> None:
        question = self._core.facts.decision
        if question is not None and question.is_about_changes:
            self._core.facts.decision = None
            self._core.is_dirty = True

    def _ask_to_save(self, then: Do, once_saved: Do) -> None:
        review = self._core.facts.review
        text = _("Your changes to the proposal for '{case}' are not saved.")
        answers = (
            Answer(
                _("Save as correction"),
                _("Saves your changes as a correction and continues."),
                partial(self._save_first, once_saved),
            ),
            Answer(
                _("Discard my changes"),
                _("Discards your changes and continues."),
                partial(self._leave_then, then, discard=True),
            ),
            Answer(_("Cancel"), _("Changes nothing."), nothing),
        )
        remedy = _("What do you want to do with them?")
        said = text.format(case=review.shown)
        self._ask(Decision(said, remedy, answers, is_about_changes=True))

    def _ask_to_keep(self, then: Do) -> None:
        review = self._core.facts.review
        text = _(
            "Your changes to '{case}' are not saved and can no longer be saved as a correction: "
            "the proposal you changed is no longer in review."
        )
        answers = (
            Answer(
                _("Discard"),
                _("Your changes are lost."),
                partial(self._leave_then, then, discard=True),
            ),
            Answer(
                _("Keep them in the scene"),
                _("Keeps your changes in the scene as a separate segmentation."),
                partial(self._leave_then, then, discard=False),
            ),
        )
        remedy = _("What do you want to do with them?")
        self._ask(
            Decision(
                text.format(case=review.shown),
                remedy,
                answers,
                is_about_changes=True,
                is_closed=True,
            )
        )

    def _ask(self, decision: Decision) -> None:
        self._core.facts.decision = decision
        self._core.is_dirty = True

    def _save_first(self, then: Do) -> None:
        self._core.facts.review.after_saving = then
        self.save()

    def _leave_then(self, then: Do, *, discard: bool) -> None:
        self._core.leave_case(discard=discard)
        then()


def round_key(view: ProjectView, case_id: str) -> RoundKey:
    """Return what must stay the same while a case is shown.

    For a case without a proposal the rounds do not matter.
    """
    case = view.case(case_id)
    proposal = case.proposal if case else None
    if proposal is None or not view.rounds:
        return (None, False, proposal)
    return (view.rounds[-1].index, view.round_in_review is not None, proposal)
