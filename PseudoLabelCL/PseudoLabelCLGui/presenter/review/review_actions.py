"""Verdicts: each names exactly the proposal that is in the views, or that was listed."""

from collections.abc import Callable
from functools import partial

from PseudoLabelCLGui.panel_state import Light
from PseudoLabelCLGui.presenter.core import Core
from PseudoLabelCLGui.presenter.facts.facts import Answer, Decision, Facts
from PseudoLabelCLGui.presenter.facts.review_facts import Writing
from PseudoLabelCLGui.presenter.leaving import Leaving
from PseudoLabelCLGui.presenter.reasons import no_accept, no_judging, no_listed_verdict, no_verdict
from PseudoLabelCLGui.presenter.review.case_queue import CaseQueue
from PseudoLabelCLGui.presenter.service_line import nothing
from PseudoLabelCLGui.presenter.words import counted
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.review import ProposalIdentity, TruthExtent, Verdict
from PseudoLabelCLLib.messages.answers import CorrectionPreview
from PseudoLabelCLLib.messages.project_view import ProjectView
from PseudoLabelCLLib.messages.requests import (
    Accept,
    Correct,
    PreviewCorrection,
    Refresh,
    Reject,
    TakeBackVerdict,
)

VerdictRequest = Accept | Reject | Correct | TakeBackVerdict


class ReviewActions(CaseQueue):
    """The actions of step "review": what a person says about the proposal in the views.

    Args:
        core: What all parts share.
        leaving: Asks about unsaved changes first.
    """

    def __init__(self, core: Core, leaving: Leaving) -> None:
        super().__init__(core, leaving)
        leaving.save = self._save_changes

    @property
    def edit(self) -> int:
        """The newest reported change; for `preview_correction`, taken with its snapshot."""
        return self._core.facts.review.edit

    def case_is_edited(self, is_edited: bool) -> None:
        """Tell whether what is shown differs from what was loaded or saved.

        True again tells that it was changed further: a preview of what it was before has served.
        """
        review = self._core.facts.review
        if not review.shown or (not is_edited and not review.is_edited):
            return
        self._core.is_dirty = True
        review.is_edited = is_edited
        review.edit += 1
        if not is_edited:
            review.extent = TruthExtent.CHANGED_SLICES
            self._leaving.changes_are_gone()

    # --- what is shown is right

    def accept(self, left_out: tuple[int, ...] = ()) -> None:
        """Take the shown proposal; if it was changed, `on_correction_wanted` comes instead."""
        review = self._core.facts.review
        if not self._may(no_accept):
            return
        if review.is_edited:
            self._want_correction(left_out)
        elif review.identity is not None:
            self._give((review.identity,), Accept((review.identity,), left_out))

    # --- what is shown was changed

    def _save_changes(self) -> None:
        """Save the changes as a correction before something else goes on."""
        if self._may(no_verdict):
            self._want_correction(())
        else:
            self._core.facts.review.after_saving = None

    def _want_correction(self, left_out: tuple[int, ...]) -> None:
        review = self._core.facts.review
        assert review.identity is not None
        review.writing = Writing(review.identity, review.edit)
        self._core.listeners.on_correction_wanted(left_out)

    def correct(self, file: str, left_out: tuple[int, ...] = ()) -> None:
        """Take the changed proposal, which the panel has written since `on_correction_wanted`."""
        core, review = self._core, self._core.facts.review
        writing, review.writing = review.writing, None
        if writing is None or writing.identity != review.identity:
            return  # the case was left meanwhile; the person was asked about the changes
        core.is_dirty = True
        if reason := no_judging(core.facts):
            review.after_saving = None
            text = _("The correction of '{case}' was not saved: {reason}")
            said = text.format(case=review.shown, reason=reason)
            core.tell(Light.AMBER, said, topic="review", about=review.shown)
            return
        request = Correct(writing.identity, file, review.extent, left_out)
        self._give((writing.identity,), request, edit=writing.edit)

    def correction_failed(self, text: str, remedy: str = "") -> None:
        """Tell why the file that `on_correction_wanted` asked for cannot be written."""
        core, review = self._core, self._core.facts.review
        if review.writing is not None:
            review.writing = review.after_saving = None
            core.tell(Light.RED, text, remedy, topic="review", about=review.shown)

    def choose_extent(self, extent: TruthExtent) -> None:
        """Choose what of the changes counts as human truth."""
        self._core.facts.review.extent = extent
        self._core.is_dirty = True

    def preview_correction(
        self, file: str, left_out: tuple[int, ...] = (), edit: int | None = None
    ) -> None:
        """Let the service tell what of the changes would count; `state.review.extents` says it.

        Args:
            file: The proposal as it is in the views.
            left_out: Label values of structures that are rejected.
            edit: What `edit` was when the file's voxels were copied; None takes it as it is.
        """
        review = self._core.facts.review
        review.preview_wanted = (file, left_out, review.edit if edit is None else edit)
        self._preview_next()

    def _preview_next(self) -> None:
        core, review = self._core, self._core.facts.review
        is_possible = review.is_edited and not no_judging(core.facts)
        if review.is_previewing or review.preview_wanted is None or not is_possible:
            return
        (file, left_out, edit), review.preview_wanted = review.preview_wanted, None
        identity = review.identity
        assert identity is not None
        review.is_previewing = True

        def came(answer: CorrectionPreview) -> None:
            review.is_previewing = False
            review.preview, review.preview_edit = answer, edit
            self._preview_next()

        def failed() -> None:
            review.is_previewing = False

        request = PreviewCorrection(identity, file, left_out)
        core.ask(request, came, failed=failed, is_quiet=True)

    # --- what is shown is wrong

    def reject(self) -> None:
        """Leave the shown proposal out of the next round; changes of it are asked about."""
        review = self._core.facts.review
        if not self._may(no_verdict):
            return
        if not review.is_edited:
            self._reject(leave=None)
            return
        text = _("You changed the proposal for '{case}'. Rejecting it will not use your changes.")
        keep = _("They stay in the scene as a separate segmentation.")
        self._ask(
            text.format(case=review.shown),
            (
                Answer(
                    _("Reject and discard my changes"),
                    _("Your changes are lost."),
                    partial(self._reject, leave=True),
                ),
                Answer(_("Reject but keep my changes"), keep, partial(self._reject, leave=False)),
                Answer(_("Cancel"), _("Changes nothing."), nothing),
            ),
            is_about_changes=True,
        )

    def _reject(self, *, leave: bool | None) -> None:
        """Reject what is shown.

        Args:
            leave: Whether the changes are discarded; None if there are none.
        """
        identity = self._core.facts.review.identity
        if identity is not None and self._may(no_verdict):
            self._give((identity,), Reject((identity,)), discard=leave)

    # --- several at once

    def accept_many(self, case_ids: tuple[str, ...]) -> None:
        """Take several proposals as they are; those that nobody looked at are asked about."""
        if self._may_judge_many(case_ids):
            go_on = partial(self._accept_listed, self._listed(case_ids))
            self._after_edits(case_ids, go_on, go_on)

    def reject_many(self, case_ids: tuple[str, ...]) -> None:
        """Leave several proposals out of the next round."""
        if not self._may_judge_many(case_ids):
            return
        listed, shown = self._listed(case_ids), self._core.facts.review.shown
        others = tuple(one for one in listed if one.case_id != shown)
        go_on = partial(self._give_listed, listed, Reject)
        self._after_edits(case_ids, go_on, partial(self._give_listed, others, Reject))

    def _after_edits(
        self, case_ids: tuple[str, ...], then: Callable[[], None], once_saved: Callable[[], None]
    ) -> None:
        if self._core.facts.review.shown in case_ids:
            self._leaving.before(then, once_saved=once_saved)
        else:
            then()

    def _may_judge_many(self, case_ids: tuple[str, ...]) -> bool:
        core = self._core
        core.begin("review")
        reason = no_listed_verdict(core.facts)
        if not reason and not self._listed(case_ids):
            reason = _("None of these cases has a proposal to review.")
        if reason:
            core.refuse(reason, topic="review")
        return not reason

    def _listed(self, case_ids: tuple[str, ...]) -> tuple[ProposalIdentity, ...]:
        """The proposals that the queue lists for these cases now."""
        view, saving = self._core.facts.view, self._core.facts.review.saving
        cases = [view.case(one) for one in case_ids if one in view.review_order] if view else []
        return tuple(
            case.proposal for case in cases if case and case.proposal and case.id not in saving
        )

    def _accept_listed(self, listed: tuple[ProposalIdentity, ...]) -> None:
        """Accept what was listed, without what a person has corrected since or before."""
        review, view = self._core.facts.review, self._core.facts.view
        cases = view.cases if view else ()
        corrected = [case.id for case in cases if case.verdict is Verdict.CORRECTED]
        listed = tuple(one for one in listed if one.case_id not in corrected)
        known = tuple(one for one in listed if one in review.looked_at)
        if not listed:
            text = _("These have already been corrected; your corrections stand.")
            self._core.refuse(text, topic="review")
        elif len(known) == len(listed):
            self._give_listed(listed, Accept)
        else:
            self._ask_unseen(listed, known)

    def _ask_unseen(
        self, listed: tuple[ProposalIdentity, ...], known: tuple[ProposalIdentity, ...]
    ) -> None:
        num_unseen = len(listed) - len(known)
        text = counted(
            num_unseen,
            _("You have not looked at 1 of these proposals."),
            _("You have not looked at {count} of these proposals."),
        )
        every = counted(len(listed), _("Accept it"), _("Accept all {count}"))
        seen = counted(
            len(known),
            _("Only the one that I looked at"),
            _("Only the {count} that I looked at"),
        )
        tip = _("They will count as if you had drawn them.")
        answers = [Answer(every, tip, partial(self._give_listed, listed, Accept))]
        if known:
            answers.append(Answer(seen, tip, partial(self._give_listed, known, Accept)))
        answers.append(Answer(_("Cancel"), _("Nothing is accepted."), nothing))
        self._ask(text, tuple(answers), remedy=_("Accept them anyway?"))

    def _give_listed(
        self, listed: tuple[ProposalIdentity, ...], kind: type[Accept] | type[Reject]
    ) -> None:
        core = self._core
        if not listed or not core.can(no_listed_verdict, topic="review"):
            return
        num_unseen = sum(one not in core.facts.review.looked_at for one in listed)
        self._give(listed, kind(listed), told=told_of_many(kind, len(listed), num_unseen))

    # --- taking back

    def take_back(self) -> None:
        """Undo the newest verdict on the shown case, once unsaved changes were asked about."""
        if self._may(no_verdict):
            self._leaving.before(self._take_back, once_saved=nothing)

    def _take_back(self) -> None:
        identity = self._core.facts.review.identity
        if identity is None or not self._may(no_verdict):
            return
        shown = identity.case_id

        def again(_view: ProjectView) -> None:
            review = self._core.facts.review
            review.saving.discard(shown)
            if review.shown == shown and not review.wanted:
                self.show_case(shown)  # with what counts now

        self._save((identity,), TakeBackVerdict(identity), again)

    # --- to the service and back

    def _may(self, why_not: Callable[[Facts], str]) -> bool:
        return self._core.may(why_not, topic="review")

    def _ask(
        self,
        text: str,
        answers: tuple[Answer, ...],
        *,
        remedy: str = "",
        is_about_changes: bool = False,
    ) -> None:
        self._core.facts.decision = Decision(text, remedy, answers, is_about_changes)
        self._core.is_dirty = True

    def _give(
        self,
        proposals: tuple[ProposalIdentity, ...],
        request: Accept | Reject | Correct,
        *,
        edit: int | None = None,
        discard: bool | None = None,
        told: str = "",
    ) -> None:
        """Send a verdict; what is shown goes on once it is on disk.

        Args:
            proposals: What it is on.
            request: The verdict.
            edit: The change that it saves; None for the newest.
            discard: Whether unsaved changes of the shown case are lost; None if there are none.
            told: What to say once it is on disk.
        """
        core, review = self._core, self._core.facts.review
        edit = review.edit if edit is None else edit
        case_ids = tuple(one.case_id for one in proposals)

        def saved(_view: ProjectView) -> None:
            review.saving.difference_update(case_ids)
            shown, is_shown = review.shown, review.identity in proposals
            if is_shown:
                review.pace.judged(core.clock())
                self._settle(request, edit, discard)
            if core.facts.topic == "review":
                core.drop_message()
            core.listeners.on_verdict_saved(case_ids)
            then, review.after_saving = review.after_saving, None
            if then is not None:
                then()
                return
            if is_shown and not review.is_edited:
                self._go_on(shown)
            self._tell_saved(told)

        self._save(proposals, request, saved)

    def _settle(self, request: VerdictRequest, edit: int, discard: bool | None) -> None:
        """Bring what is known of the shown case to what its verdict has made of it."""
        review = self._core.facts.review
        if isinstance(request, Correct):
            review.has_correction = True
            if edit == review.edit:
                review.is_edited, review.preview = False, None
                review.extent = TruthExtent.CHANGED_SLICES
        elif discard is not None or (isinstance(request, Reject) and review.has_correction):
            # what is in the views is not what was judged; it is shown anew
            self._core.leave_case(discard=bool(discard))

    def _save(
        self,
        proposals: tuple[ProposalIdentity, ...],
        request: VerdictRequest,
        saved: Callable[[ProjectView], None],
    ) -> None:
        core, review = self._core, self._core.facts.review
        case_ids = {one.case_id for one in proposals}
        review.saving |= case_ids

        def failed() -> None:
            review.saving.difference_update(case_ids)
            review.after_saving = None
            if core.service.is_started:
                core.ask(Refresh(), is_quiet=True)

        core.ask(request, saved, failed=failed)


def told_of_many(kind: type[Accept] | type[Reject], num: int, num_unseen: int) -> str:
    """Return what to say once several verdicts are on disk."""
    if kind is Accept:
        text = counted(num, _("1 proposal accepted"), _("{count} proposals accepted"))
    else:
        text = counted(num, _("1 proposal rejected"), _("{count} proposals rejected"))
    if not num_unseen:
        return f"{text}."
    unseen = counted(
        num_unseen,
        _("1 of them without having been shown"),
        _("{count} of them without having been shown"),
    )
    return f"{text}, {unseen}."
