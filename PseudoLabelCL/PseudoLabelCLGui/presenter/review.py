"""The review: which case is shown, verdicts, what comes next."""

from collections.abc import Callable
from functools import partial

from PseudoLabelCLGui.panel_state import Light
from PseudoLabelCLGui.presenter.core import Core
from PseudoLabelCLGui.presenter.reasons import no_project, no_review, no_verdict
from PseudoLabelCLGui.presenter.training import is_waiting
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.desk_answers import CaseFiles
from PseudoLabelCLLib.domain.desk_requests import (
    Accept,
    Correct,
    Refresh,
    Reject,
    ShowCase,
    TakeBackVerdict,
)
from PseudoLabelCLLib.process.desk_protocol import DeskAnswer

# Whoever looks at a case for longer was called away.
LONGEST_PACE_S = 900.0
NUM_PACES = 10


class ReviewActions:
    """The actions of section "review".

    Args:
        core: What all parts share.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    # --- which case is shown

    def show_case(self, case_id: str) -> None:
        """Show a case; an unsaved change of the one that is shown is told once before."""
        core, review = self._core, self._core.facts.review
        core.begin("review")
        view = core.facts.view
        if (reason := no_project(core.facts)) or view is None:
            core.refuse(reason, topic="review")
        elif view.case(case_id) is None:
            text = _("There is no case '{case}' in this project any more.").format(case=case_id)
            core.refuse(text, topic="review")
        elif review.is_edited and not review.may_leave:
            self._warn_unsaved(review.shown)
        else:
            review.wanted = case_id
            self._ask_files()

    def show_first(self) -> None:
        """Show the most doubtful case that nobody has reviewed, or else the most doubtful."""
        order = self._order()
        waiting = self._waiting()
        if order:
            self.show_case((waiting or order)[0])
        else:
            self._core.refuse(no_review(self._core.facts), topic="review")

    def next_case(self) -> None:
        """Show the case after this one in the queue."""
        self._step(1)

    def previous_case(self) -> None:
        """Show the case before this one in the queue."""
        self._step(-1)

    def show_round(self, index: int) -> None:
        """Show what another round proposed for the shown case, or for the first."""
        core, review = self._core, self._core.facts.review
        view = core.facts.view
        if view is None or not 0 <= index < len(view.rounds):
            core.refuse(_("There is no round {index}.").format(index=index), topic="rounds")
            return
        review.round_index = None if index == len(view.rounds) - 1 else index
        unlabelled = [case.id for case in view.cases if case.doubt is not None]
        case_id = review.shown or next(iter((*self._order(), *unlabelled)), "")
        if case_id:
            self.show_case(case_id)

    def case_is_edited(self, is_edited: bool) -> None:
        """Tell whether the shown proposal was changed since it was loaded."""
        review = self._core.facts.review
        if review.is_edited != is_edited:
            review.is_edited, review.may_leave = is_edited, False
            self._core.is_dirty = True

    def _step(self, by: int) -> None:
        order, review = self._order(), self._core.facts.review
        here = review.wanted or review.shown
        if here not in order:
            self.show_first()
            return
        index = order.index(here) + by
        if 0 <= index < len(order):
            self.show_case(order[index])

    def _order(self) -> tuple[str, ...]:
        view = self._core.facts.view
        return view.review_order if view else ()

    def _waiting(self) -> list[str]:
        view = self._core.facts.view
        return [case_id for case_id in self._order() if view and is_waiting(view, case_id)]

    def _warn_unsaved(self, case_id: str) -> None:
        self._core.facts.review.may_leave = True
        text = _("You changed the proposal of '{case}', and it is not saved.").format(case=case_id)
        remedy = _("Save it as a correction, or choose again to leave it unsaved in the scene.")
        step = (_("Save as correction"), partial(self._want_correction, ()))
        self._core.tell(Light.AMBER, text, remedy, topic="review", step=step)

    # --- its files

    def _ask_files(self) -> None:
        review = self._core.facts.review
        if not review.asked and review.wanted:
            self._ask_for(review.wanted, is_quiet=False)

    def _ask_for(self, case_id: str, *, is_quiet: bool) -> None:
        """Ask for one case at a time: who goes through the queue fast waits for the last only."""
        review = self._core.facts.review
        review.asked, review.asked_round = case_id, review.round_index
        with_image = not self._core.scene.has_image(case_id)
        self._core.ask(
            ShowCase(case_id, review.round_index, with_image),
            self._files_came,
            failed=self._no_files,
            is_quiet=is_quiet,
        )

    def _files_came(self, files: DeskAnswer) -> None:
        assert isinstance(files, CaseFiles)
        review = self._core.facts.review
        is_same_round = review.asked_round == review.round_index
        review.asked = ""
        if review.wanted == files.case_id and is_same_round:
            self._show(files)
        else:
            self._ask_files()

    def _no_files(self) -> None:
        review = self._core.facts.review
        if review.wanted == review.asked:
            review.wanted = ""
        review.asked = ""
        self._ask_files()

    def _show(self, files: CaseFiles) -> None:
        core, review = self._core, self._core.facts.review
        if review.is_edited and not review.may_leave:
            review.wanted = ""  # the person began to draw while the next case was on its way
            self._warn_unsaved(review.shown)
            return
        core.leave_case()
        review.shown, review.files, review.wanted = files.case_id, files, ""
        review.shown_at_s = core.clock()
        core.listeners.on_case_files(files)
        self._prefetch()

    def _prefetch(self) -> None:
        """Let the desk make the files of the next case, so that switching to it is quick."""
        review = self._core.facts.review
        upcoming = self._next_waiting()
        if upcoming and upcoming != review.shown and not review.asked and not review.wanted:
            self._ask_for(upcoming, is_quiet=True)

    def _next_waiting(self) -> str:
        """The next case that waits for a verdict, from the shown one on and then from the top."""
        order, saving = self._order(), self._core.facts.review.saving
        shown = self._core.facts.review.shown
        start = order.index(shown) + 1 if shown in order else 0
        waiting = self._waiting()
        around = (*order[start:], *order[:start])
        candidates = (case for case in around if case in waiting and case not in saving)
        return next((case for case in candidates if case != shown), "")

    # --- verdicts

    def accept(self, left_out: tuple[int, ...] = ()) -> None:
        """Take the shown proposal; if it was changed, the changed one counts."""
        core, review = self._core, self._core.facts.review
        if not self._may_judge():
            return
        if review.is_edited and core.is_heard("on_correction_wanted"):
            self._want_correction(left_out)
        elif review.is_edited:
            core.refuse(_("You changed this proposal: Correct saves it."), topic="review")
        else:
            self._give((review.shown,), Accept((review.shown,), left_out))

    def correct(self, file: str, *, whole: bool = False, left_out: tuple[int, ...] = ()) -> None:
        """Take a person's segmentation, which the panel has written to a file."""
        review = self._core.facts.review
        if self._may_judge():
            self._give((review.shown,), Correct(review.shown, file, whole, left_out))

    def reject(self) -> None:
        """Leave the shown proposal out of the next round."""
        review = self._core.facts.review
        if self._may_judge():
            self._give((review.shown,), Reject((review.shown,)))

    def accept_many(self, case_ids: tuple[str, ...]) -> None:
        """Take several proposals as they are."""
        if ids := self._to_judge(case_ids):
            self._give(ids, Accept(ids))

    def reject_many(self, case_ids: tuple[str, ...]) -> None:
        """Leave several proposals out of the next round."""
        if ids := self._to_judge(case_ids):
            self._give(ids, Reject(ids))

    def take_back(self) -> None:
        """Undo the newest verdict on the shown case."""
        if not self._may_judge():
            return
        shown = self._core.facts.review.shown

        def again(_answer: DeskAnswer) -> None:
            review = self._core.facts.review
            review.saving.discard(shown)
            if review.shown == shown and not review.is_edited and not review.wanted:
                self.show_case(shown)

        self._save((shown,), TakeBackVerdict(shown), again)

    def _want_correction(self, left_out: tuple[int, ...]) -> None:
        self._core.begin("review")
        self._core.listeners.on_correction_wanted(left_out)

    def _may_judge(self) -> bool:
        self._core.begin("review")
        if reason := no_verdict(self._core.facts):
            self._core.refuse(reason, topic="review")
            return False
        return True

    def _to_judge(self, case_ids: tuple[str, ...]) -> tuple[str, ...]:
        core = self._core
        core.begin("review")
        if reason := no_review(core.facts):
            core.refuse(reason, topic="review")
            return ()
        review = core.facts.review
        known = tuple(c for c in case_ids if c in self._order() and c not in review.saving)
        edited = review.shown if review.is_edited else ""
        if edited in known:
            text = _("'{case}' was changed and is not saved: judge it by itself.")
            core.refuse(text.format(case=edited), topic="review")
            return ()
        if not known:
            core.refuse(_("None of these cases has a proposal to review."), topic="review")
        return known

    def _give(self, case_ids: tuple[str, ...], request: Accept | Reject | Correct) -> None:
        review = self._core.facts.review
        is_shown = case_ids == (review.shown,)
        took_s = min(self._core.clock() - review.shown_at_s, LONGEST_PACE_S)

        def saved(_answer: DeskAnswer) -> None:
            review = self._core.facts.review
            review.saving.difference_update(case_ids)
            if is_shown:
                review.paces_s = [*review.paces_s, took_s][-NUM_PACES:]
            if review.shown in case_ids:
                review.is_edited = False
            self._core.listeners.on_verdict_saved(case_ids)
            if review.shown in case_ids:
                self._go_on()

        self._save(case_ids, request, saved)

    def _save(
        self,
        case_ids: tuple[str, ...],
        request: Accept | Reject | Correct | TakeBackVerdict,
        saved: Callable[[DeskAnswer], None],
    ) -> None:
        core = self._core
        core.facts.review.saving.update(case_ids)

        def failed() -> None:
            core.facts.review.saving.difference_update(case_ids)
            if core.desk.is_started:
                core.ask(Refresh(), is_quiet=True)

        core.ask(request, saved, failed=failed)

    def _go_on(self) -> None:
        """After a verdict: the next case, or the word that all are reviewed."""
        review, view = self._core.facts.review, self._core.facts.view
        if view is not None and not self._waiting():
            text = _("All proposals of this round are reviewed.")
            self._core.tell(Light.GREEN, text, view.plan.sentence, topic="review")
        elif review.goes_on and not review.wanted and (upcoming := self._next_waiting()):
            self.show_case(upcoming)
