"""What of a correction counts: the choice, and the voxels that count over the image."""

from typing import Any

from PseudoLabelCLGui.panel_state import ReviewState
from PseudoLabelCLGui.presenter.review.review_actions import ReviewActions
from PseudoLabelCLGui.sections.parts.background_work import BackgroundWork
from PseudoLabelCLGui.sections.parts.showing import showChoice, showVisible
from PseudoLabelCLGui.sections.review.shown_proposal import ShownProposal
from PseudoLabelCLLib.domain.review import TruthExtent


class CorrectionExtent:
    """Shows and hears which voxels of the changes at hand count as the person's.

    Args:
        ui: All widgets of the panel by name.
        actions: Hear the choice.
        proposal: What is shown.
        work: Reads voxels in threads.
    """

    def __init__(
        self, ui: Any, actions: ReviewActions, proposal: ShownProposal, work: BackgroundWork
    ) -> None:
        self._combo, self._label = ui.extentCombo, ui.extentLabel
        self._actions, self._proposal, self._work = actions, proposal, work
        self._review = ReviewState()
        self._nearShown: str | None = None
        self.show(self._review)

    def show(self, review: ReviewState) -> None:
        """Show the choices, each with how much it is; their place is kept while a case is shown.

        So the buttons of the verdicts stay where they are when the first stroke is drawn.
        """
        self._review = review
        texts = [choice.text for choice in review.extents]
        if [self._combo.itemText(n) for n in range(self._combo.count)] != texts:
            self._combo.blockSignals(True)
            self._combo.clear()
            for text in texts:
                self._combo.addItem(text)
            self._combo.blockSignals(False)
        extents = [choice.extent for choice in review.extents]
        if review.extent in extents:
            showChoice(self._combo, extents.index(review.extent))
        for widget in (self._combo, self._label):
            showVisible(widget, bool(review.case_id))
            if widget.enabled != bool(texts):
                widget.enabled = bool(texts)
        self._showNear()

    def chosen(self) -> None:
        """Hear what was chosen."""
        index = self._combo.currentIndex
        if 0 <= index < len(self._review.extents):
            self._actions.choose_extent(self._review.extents[index].extent)

    def forget(self) -> None:
        """No case is shown any more."""
        self._nearShown = None

    def _showNear(self) -> None:
        """Show which voxels count, before the verdict, if not whole slices do."""
        review, case = self._review, self._proposal.case
        isWanted = bool(review.extents) and review.extent is TruthExtent.CHANGED_VOXELS
        file = review.near if isWanted and case is not None else None
        if file == self._nearShown:
            return
        self._nearShown = file
        if file is None or case is None:
            self._proposal.near.hide()
            return
        voxels = self._proposal.near.read(file, case.files.geometry)

        def shown(_none: None) -> None:
            if self._nearShown == file and self._proposal.isStill(case):
                self._proposal.stage.owns(self._proposal.near.show(voxels))

        self._work.do(voxels.read, shown)
