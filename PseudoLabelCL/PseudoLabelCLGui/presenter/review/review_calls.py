"""The presenter's actions of step "review": what the panel calls about cases and verdicts."""

from PseudoLabelCLGui.presenter.core import Core
from PseudoLabelCLGui.presenter.review.review import ReviewActions
from PseudoLabelCLGui.presenter.review.verdicts import VerdictActions
from PseudoLabelCLLib.domain.review import TruthExtent
from PseudoLabelCLLib.messages.answers import CaseFiles


class ReviewCalls:
    """A part of `Presenter`, which sets the attributes below."""

    _core: Core
    _review: ReviewActions
    _verdicts: VerdictActions

    # --- the review

    def show_case(self, case_id: str) -> None:
        """Show a case; `on_case_files` follows."""
        self._review.show_case(case_id)

    def next_case(self) -> None:
        """Show the next case of the queue, or the first that waits."""
        self._review.next_case()

    def previous_case(self) -> None:
        """Show the case before in the queue."""
        self._review.previous_case()

    def show_round(self, index: int) -> None:
        """Show what a round proposed for the shown case."""
        self._review.show_round(index)

    def go_on_after_verdict(self, goes_on: bool) -> None:
        """Choose whether the next case comes by itself after a verdict."""
        self._core.facts.review.goes_on = goes_on

    # --- what the panel tells of the case that it shows

    def case_is_on_screen(self, files: CaseFiles) -> None:
        """Tell that what `on_case_files` brought is in the views; verdicts are possible now."""
        self._review.is_on_screen(files)

    def case_cannot_be_shown(self, files: CaseFiles, text: str, remedy: str = "") -> None:
        """Tell why what `on_case_files` brought is not in the views."""
        self._review.cannot_be_shown(files, text, remedy)

    def case_is_lost(self) -> None:
        """Tell that the shown volume or segmentation was deleted from the scene."""
        self._review.is_lost()

    def scene_is_closed(self) -> None:
        """Tell that the scene was closed, and the shown case with it."""
        self._core.facts.review.wanted = ""
        self._core.leave_case()
        self._core.drop_message()

    @property
    def edit(self) -> int:
        """The newest change that was told; for `preview_correction`, taken with its snapshot."""
        return self._core.facts.review.edit

    def case_is_edited(self, is_edited: bool) -> None:
        """Tell whether what is shown differs from what was loaded or saved.

        True again tells that it was changed further: a preview of what it was before has served.
        """
        self._verdicts.case_is_edited(is_edited=is_edited)

    # --- verdicts

    def accept(self, left_out: tuple[int, ...] = ()) -> None:
        """Take the shown proposal; if it was changed, `on_correction_wanted` comes instead."""
        self._verdicts.accept(left_out)

    def correct(self, file: str, left_out: tuple[int, ...] = ()) -> None:
        """Take the changed proposal, which the panel has written since `on_correction_wanted`."""
        self._verdicts.correct(str(file), left_out)

    def correction_failed(self, text: str, remedy: str = "") -> None:
        """Tell why the file that `on_correction_wanted` asked for cannot be written."""
        self._verdicts.correction_failed(text, remedy)

    def choose_extent(self, extent: TruthExtent) -> None:
        """Choose what of the changes counts as human truth."""
        self._verdicts.choose_extent(extent)

    def preview_correction(
        self, file: str, left_out: tuple[int, ...] = (), edit: int | None = None
    ) -> None:
        """Let the service tell what of the changes would count; `state.review.extents` says it.

        Args:
            file: The proposal as it is in the views.
            left_out: Label values of structures that are rejected.
            edit: What `edit` was when the file's voxels were copied; None for now.
        """
        self._verdicts.preview(str(file), left_out, edit)

    def reject(self) -> None:
        """Leave the shown proposal out of the next round."""
        self._verdicts.reject()

    def accept_many(self, case_ids: tuple[str, ...]) -> None:
        """Take several proposals of the queue as they are."""
        self._verdicts.accept_many(case_ids)

    def reject_many(self, case_ids: tuple[str, ...]) -> None:
        """Leave several proposals of the queue out."""
        self._verdicts.reject_many(case_ids)

    def take_back(self) -> None:
        """Undo the newest verdict on the shown case."""
        self._verdicts.take_back()
