"""Which case of the review is shown, and which comes next."""

from functools import partial

from PseudoLabelCLGui.panel_state import Light
from PseudoLabelCLGui.presenter.core import Core
from PseudoLabelCLGui.presenter.leaving import Leaving, round_key
from PseudoLabelCLGui.presenter.reasons import no_project, no_review
from PseudoLabelCLGui.presenter.waiting import is_waiting
from PseudoLabelCLGui.translation import _, translated
from PseudoLabelCLLib.messages.answers import CaseFiles
from PseudoLabelCLLib.messages.requests import Refresh, ShowCase


class CaseQueue:
    """Shows the cases, one after the other.

    Args:
        core: What all parts share.
        leaving: Asks about unsaved changes before another case is shown.
    """

    def __init__(self, core: Core, leaving: Leaving) -> None:
        self._core = core
        self._leaving = leaving

    # --- which case is shown

    def begin(self) -> None:
        """Open step "review" and show the first case."""
        self._core.listeners.on_step_wanted("review")
        self.show_first()

    def show_case(self, case_id: str) -> None:
        """Show a case, once unsaved changes were asked about; `on_case_files` follows."""
        core = self._core
        view = core.facts.view
        if not core.may(no_project, topic="review") or view is None:
            return
        if view.case(case_id) is None:
            text = _("Case '{case}' is no longer in this project.").format(case=case_id)
            core.refuse(text, topic="review")
        else:
            self._leaving.before(partial(self._want, case_id))

    def _want(self, case_id: str) -> None:
        self._core.facts.review.wanted = case_id
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
            core.refuse(_("Round {index} does not exist.").format(index=index), topic="rounds")
            return
        review.round_index = None if index == len(view.rounds) - 1 else index
        unlabelled = [case.id for case in view.cases if case.doubt is not None]
        case_id = review.shown or next(iter((*self._order(), *unlabelled)), "")
        if case_id:
            self.show_case(case_id)

    def go_on_after_verdict(self, goes_on: bool) -> None:
        """Choose whether the next case comes by itself after a verdict."""
        self._core.facts.review.goes_on = goes_on

    def _go_on(self, judged: str) -> None:
        """After a verdict: the next case that waits.

        Args:
            judged: The case that the verdict was on; it is shown again if it was left.
        """
        review = self._core.facts.review
        upcoming = self._next_waiting(judged) if review.goes_on else ""
        if review.wanted:
            return
        if upcoming:
            self.show_case(upcoming)
        elif not review.shown and judged:
            self.show_case(judged)

    def _tell_saved(self, told: str) -> None:
        """Say what was saved, and whether it was the last.

        Args:
            told: What was saved, if it needs to be said.
        """
        view = self._core.facts.view
        over = remedy = ""
        if view is not None and self._order() and not self._waiting():
            over = _("All proposals of this round have been reviewed.")
            remedy = translated(view.plan.sentence)
            if view.is_proposing:
                over = _("You have reviewed what is there.")
                remedy = _("The other proposals come into the list as they are made.")
                if not self._core.facts.trains:
                    remedy = _("Continue the round to get the other proposals.")
        if text := f"{told} {over}".strip():
            self._core.tell(Light.GREEN, text, remedy, topic="review")

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

    def _next_waiting(self, here: str) -> str:
        """The next case that waits for a verdict, from one case on and then from the top."""
        order, saving = self._order(), self._core.facts.review.saving
        start = order.index(here) + 1 if here in order else 0
        waiting = self._waiting()
        around = (*order[start:], *order[:start])
        candidates = (case for case in around if case in waiting and case not in saving)
        return next((case for case in candidates if case != here), "")

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

    def _files_came(self, files: CaseFiles) -> None:
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
        core, review, view = self._core, self._core.facts.review, self._core.facts.view
        if review.is_edited:
            # the person began to draw while the next case was on its way
            review.wanted = ""
            self._leaving.before(partial(self._want, files.case_id))
            return
        core.leave_case()
        review.shown, review.files, review.wanted = files.case_id, files, ""
        review.has_correction = bool(files.reviewed) and files.reviewed != files.proposal
        if view is not None:
            review.round_key = round_key(view, files.case_id)
        core.listeners.on_case_files(files)
        self._prefetch()

    def _prefetch(self) -> None:
        """Let the service make the files of the next case, so that switching to it is quick."""
        review = self._core.facts.review
        upcoming = self._next_waiting(review.shown)
        if upcoming and not review.asked and not review.wanted:
            self._ask_for(upcoming, is_quiet=True)

    # --- what the panel tells of the case that it shows

    def case_is_on_screen(self, files: CaseFiles) -> None:
        """Tell that what `on_case_files` brought is in the views; verdicts are possible now."""
        review = self._core.facts.review
        if files is review.files and not review.is_on_screen:
            review.is_on_screen = True
            review.pace.begin(self._core.clock())
            if files.identity is not None:
                review.looked_at.add(files.identity)
            self._core.is_dirty = True

    def case_cannot_be_shown(self, files: CaseFiles, text: str, remedy: str = "") -> None:
        """Tell why what `on_case_files` brought is not in the views."""
        core, review = self._core, self._core.facts.review
        if files is not review.files:
            return
        core.leave_case()
        step = (_("Show it again"), partial(self.show_case, files.case_id))
        core.tell(Light.RED, text, remedy, topic="review", step=step)
        core.ask(Refresh())  # if the project is gone, its own message takes the place of this one

    def case_is_lost(self) -> None:
        """Tell that the shown volume or segmentation was deleted from the scene."""
        core, review = self._core, self._core.facts.review
        case_id = review.shown
        if not case_id:
            return
        core.leave_case()
        text = _("The volume or the segmentation of '{case}' was deleted from the scene.")
        remedy = _("All verdicts are saved; only changes since the last one are lost.")
        step = (_("Show it again"), partial(self.show_case, case_id))
        core.tell(Light.AMBER, text.format(case=case_id), remedy, topic="review", step=step)

    def scene_is_closed(self) -> None:
        """Tell that the scene was closed, and the shown case with it."""
        self._core.facts.review.wanted = ""
        self._core.leave_case()
        self._core.drop_message()
