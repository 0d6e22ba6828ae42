"""The step Review: the queue of pseudo-labels, the shown case, the verdicts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PseudoLabelCLGui.mrml_bridge import CaseMemory, ShownCase
from PseudoLabelCLGui.panel_state import Light, PanelState, ReviewState
from PseudoLabelCLGui.sections.parts.background_work import BackgroundWork
from PseudoLabelCLGui.sections.parts.menus import makeMenu
from PseudoLabelCLGui.sections.parts.node_watch import NodeWatch
from PseudoLabelCLGui.sections.parts.section import Section, Surroundings
from PseudoLabelCLGui.sections.parts.showing import (
    showAction,
    showChecked,
    showText,
    showUsable,
    showVisible,
)
from PseudoLabelCLGui.sections.parts.tables import chooseId, chosenIds, fillTable, stretchColumns
from PseudoLabelCLGui.sections.review import review_keys
from PseudoLabelCLGui.sections.review.edit_watch import EditWatch
from PseudoLabelCLGui.sections.review.extents import CorrectionExtent
from PseudoLabelCLGui.sections.review.review_keys import ReviewKeys, withKey
from PseudoLabelCLGui.sections.review.segment_editor import EmbeddedSegmentEditor
from PseudoLabelCLGui.sections.review.shown_proposal import ShownProposal, correctionFile
from PseudoLabelCLGui.translation import _, translated
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.domain.review import Verdict
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.messages.answers import CaseFiles


class ReviewSection(Section):
    """Shows one proposal after the other and hears what the person says about it.

    Args:
        surroundings: What a section works with.
        work: Reads and writes voxels in threads.
        folder: Where corrected proposals are written for the service.
    """

    def __init__(self, surroundings: Surroundings, work: BackgroundWork, folder: Path) -> None:
        super().__init__(surroundings)
        self._work = work
        self._folder = folder
        self._shown: ReviewState | None = None
        self._labels: LabelSchema | None = None
        self._root = ""
        self._wanted = ""
        self._numCorrections = 0
        self.proposal = ShownProposal(work)
        self.editor = EmbeddedSegmentEditor(self.ui.segmentEditor)
        self._edits = EditWatch(
            self.proposal, work, folder, self.presenter.review, self.proposal.keepWithScene
        )
        self._extent = CorrectionExtent(self.ui, self.presenter.review, self.proposal, work)
        self._watch = NodeWatch(self.proposal.holds, self._onGoing, self._onGone)
        self._keys = ReviewKeys(self.top, self._keySlots())
        stretchColumns(self.ui.queueTable, 0, 2)
        makeMenu(
            self,
            self.ui.queueTable,
            (
                (_("Show"), self._onShow),
                (_("Accept selected"), self._onAcceptMany),
                (_("Reject selected"), self._onRejectMany),
            ),
        )
        buttons = (self.ui.acceptStructureButton, self.ui.rejectStructureButton)
        self._structureButtons = tuple((button, button.toolTip) for button in buttons)
        showVisible(self.ui.editorFrame, visible=False)
        self._connectButtons()

    def show(self, state: PanelState) -> None:
        """Show queue, reason, and which verdicts can be given."""
        if state.project.root != self._root:
            self._root = state.project.root
            self.proposal.forgetProject()
        if state.cases.labels and (not self._labels or self._labels.classes != state.cases.labels):
            self._labels = LabelSchema(state.cases.labels)
        review = state.review
        if review == self._shown:
            return
        if self._shown is None or review.queue != self._shown.queue:
            rows = [(r.case_id, r.doubt, r.reason, r.verdict) for r in review.queue]
            fillTable(self.ui.queueTable, [r.case_id for r in review.queue], rows)
        if self._shown is None or review.case_id != self._shown.case_id:
            chooseId(self.ui.queueTable, review.case_id)
        self._shown = review
        loading = _("Loading {case}...").format(case=self._wanted or review.case_id)
        showText(self.ui.reviewProgressLabel, review.progress or review.next_case.tool_tip)
        showText(self.ui.reasonLabel, loading if review.is_loading else self._reasonWords(review))
        self._showButtons(review)
        self._extent.show(review)

    def tick(self) -> None:
        """Look whether the proposal was edited, and tidy up after a case that was left."""
        if self.proposal.case is None:
            if not self._wanted:
                self.editor.leave()
                self.proposal.settle()
            return
        self._edits.tick()
        if self.ui.editorFrame.visible:
            showChecked(self.ui.editButton, self.editor.hasEffect)

    def showFiles(self, files: CaseFiles) -> None:
        """Read the files of a case in a thread, then show it."""
        if self._labels is None:
            return
        self._wanted = files.case_id
        try:
            memory = self.proposal.read(
                files, self._labels, self._root, withDoubt=self.ui.doubtCheck.checked
            )
        except PseudoLabelCLError as error:
            self._notShown(files, error)
            return
        self._work.do(
            memory.read,
            lambda _none: self._put(memory),
            lambda error: self._notShown(files, error),
        )

    def leaveCase(self, case_id: str, discard: bool = False) -> None:
        """Take a case out of the scene and let the views be as they were before.

        Args:
            case_id: The case.
            discard: Whether edits that are not in the project go too; otherwise they stay as a
                node of the person.
        """
        if self._wanted == case_id:
            self._wanted = ""
        case = self.proposal.case
        if case is None or case.case_id != case_id:
            return
        kept = self._letGo(editsAreSaved=discard or self._edits.isSaved)
        if kept:
            self.tell(
                Light.AMBER,
                _("Your changes to '{case}' were not saved as a correction.").format(case=case_id),
                _("They stay in the scene as '{node}'.").format(node=kept[0]),
            )

    def verdictSaved(self, case_ids: tuple[str, ...]) -> None:
        """Hear that verdicts are on disk: from now on only what is drawn later is an edit."""
        case = self.proposal.case
        if case is not None and case.case_id in case_ids:
            self._edits.judged()

    def saveCorrection(self, leftOut: tuple[int, ...] = ()) -> None:
        """Write the proposal as it is now in a thread, then hand it over as a correction."""
        case = self.proposal.case
        try:
            snapshot = self.proposal.snapshot()
        except PseudoLabelCLError as error:
            self._notWritten(error)
            return
        if case is None or snapshot is None:
            return
        leftOut = tuple(sorted({*leftOut, *self.proposal.leftOut()}))
        self._numCorrections += 1
        file = correctionFile(self._folder, self._numCorrections)
        self._edits.sent(snapshot)
        self._work.do(
            lambda: snapshot.write(file),
            lambda _none: self._handOver(case, file, leftOut),
            self._notWritten,
        )

    def _handOver(self, case: ShownCase, file: Path, leftOut: tuple[int, ...]) -> None:
        """Give a correction to the presenter, if what it was made of is still on the screen."""
        if not self.proposal.isStill(case):
            file.unlink(missing_ok=True)
            return  # the presenter asked about the changes before the case was left
        self.presenter.review.correct(str(file), leftOut)

    def _notWritten(self, error: Exception) -> None:
        """Tell why a correction is not saved: another grid, a full disk."""
        if not isinstance(error, PseudoLabelCLError):
            raise error
        self.presenter.review.correction_failed(translated(error.message), translated(error.remedy))

    def enter(self) -> None:
        """Let keys and mouse count."""
        self.presenter.enter_module()
        self._keys.enter()
        self._watch.start()
        self.editor.enter()

    def exit(self) -> None:
        """Let neither keys nor mouse count."""
        self._keys.exit()
        self.editor.exit()
        self.presenter.leave_module()

    def sceneClosing(self) -> None:
        """Forget the nodes that the scene is about to remove."""
        self._wanted = ""
        self.editor.sceneClosed()
        self.proposal.sceneClosed()
        self._edits.forget()
        self._extent.forget()
        showChecked(self.ui.editButton, checked=False)
        showVisible(self.ui.editorFrame, visible=False)
        self.presenter.review.scene_is_closed()
        self._refreshButtons()

    def cleanUp(self) -> None:
        """Release everything."""
        self._keys.exit()
        self._watch.stop()
        self.editor.cleanUp()
        self.proposal.settle()
        super().cleanUp()

    def _connectButtons(self) -> None:
        for button, slot in (
            (self.ui.acceptButton, self._onAccept),
            (self.ui.rejectButton, self._onReject),
            (self.ui.takeBackButton, self._onTakeBack),
            (self.ui.previousCaseButton, self._onPrevious),
            (self.ui.nextCaseButton, self._onNext),
            (self.ui.showCaseButton, self._onShow),
            (self.ui.nextDoubtButton, self._onNextDoubt),
            (self.ui.editButton, self._onEdit),
            (self.ui.acceptStructureButton, self._onAcceptStructure),
            (self.ui.rejectStructureButton, self._onRejectStructure),
        ):
            self.connect(button, "clicked()", slot)
        for box in (self.ui.outlineCheck, self.ui.doubtCheck, self.ui.compareCheck):
            self.connect(box, "toggled(bool)", self._applyLook)
        self.connect(self.ui.extentCombo, "currentIndexChanged(int)", self._extent.chosen)
        self.connect(self.ui.nextByItselfCheck, "toggled(bool)", self._onNextByItself)
        self.connect(self.ui.queueTable, "cellDoubleClicked(int,int)", self._onShow)
        self.connect(self.ui.queueTable, "itemSelectionChanged()", self._showShowButton)

    def _keySlots(self) -> dict[str, Callable[[], None]]:
        ui = self.ui
        return {
            review_keys.ACCEPT: ui.acceptButton.click,
            review_keys.REJECT: ui.rejectButton.click,
            review_keys.EDIT: ui.editButton.click,
            review_keys.NEXT_DOUBT: ui.nextDoubtButton.click,
            review_keys.PREVIOUS_CASE: ui.previousCaseButton.click,
            review_keys.OUTLINE: ui.outlineCheck.toggle,
        }

    def _whyNoVerdict(self) -> str:
        """Say why no verdict may be given: the views must hold the proposal that it is on."""
        review, case = self._shown, self.proposal.case
        if review is None or case is None or case.case_id != review.case_id:
            return _("The views do not show this case yet.")
        if self.proposal.identity != review.identity:
            return _("The views show another proposal of this case: show the case again.")
        return ""

    def _refreshButtons(self) -> None:
        if self._shown is not None:
            self._showButtons(self._shown)

    def _showButtons(self, review: ReviewState) -> None:
        why = self._whyNoVerdict()
        accept, reject, takeBack = (
            replace(action, enabled=False, tool_tip=why) if why and action.enabled else action
            for action in (review.accept, review.reject, review.take_back)
        )
        for button, action, key in (
            (self.ui.acceptButton, accept, review_keys.ACCEPT),
            (self.ui.rejectButton, reject, review_keys.REJECT),
            (self.ui.takeBackButton, takeBack, ""),
            (self.ui.previousCaseButton, review.previous_case, review_keys.PREVIOUS_CASE),
            (self.ui.nextCaseButton, review.next_case, ""),
            (self.ui.nextDoubtButton, review.next_doubt, review_keys.NEXT_DOUBT),
            (self.ui.compareCheck, review.compare, ""),
        ):
            showAction(button, withKey(action, key))
        whyNot = "" if reject.enabled else reject.tool_tip or _("Show a case first")
        for button, tip in self._structureButtons:
            showUsable(button, whyNot, tip)
        self._showShowButton()

    def _showShowButton(self) -> None:
        whyNot = "" if chosenIds(self.ui.queueTable) else _("Choose a case in the table first")
        showUsable(self.ui.showCaseButton, whyNot, _("Shows the selected case."))

    def _reasonWords(self, review: ReviewState) -> str:
        if not review.case_id:
            return ""
        words = _("{case}: {reason}") if review.reason else "{case}"
        return words.format(case=review.case_id, reason=review.reason)

    def _put(self, memory: CaseMemory) -> None:
        if memory.files.case_id != self._wanted:
            return  # the person went on before it was read
        self._letGo(editsAreSaved=False)
        try:
            case = self.proposal.put(memory, self._root)
        except PseudoLabelCLError as error:
            self._notShown(memory.files, error)
            return
        self._edits.begin()
        if case.proposal is not None:
            self.editor.edit(case.proposal, case.volume)
            showVisible(self.ui.editorFrame, visible=True)
        self._applyLook()
        self.presenter.review.case_is_on_screen(memory.files)
        self._refreshButtons()

    def _notShown(self, files: CaseFiles, error: Exception) -> None:
        """Tell why a case is not in the views."""
        if self._wanted == files.case_id:
            self._wanted = ""
        if not isinstance(error, PseudoLabelCLError):
            raise error
        self.presenter.review.case_cannot_be_shown(
            files, translated(error.message), translated(error.remedy)
        )

    def _letGo(self, *, editsAreSaved: bool) -> tuple[str, ...]:
        """Show no case any more; return the names of nodes that stay as the person's."""
        self.editor.rest()
        showChecked(self.ui.editButton, checked=False)
        showVisible(self.ui.editorFrame, visible=False)
        kept = self.proposal.forget(editsAreSaved=editsAreSaved)
        self._edits.forget()
        self._extent.forget()
        self._refreshButtons()
        return kept

    def _applyLook(self) -> None:
        self.proposal.showOutline(outline=self.ui.outlineCheck.checked)
        self.proposal.showDoubt(visible=self.ui.doubtCheck.checked)
        self.proposal.showPrevious(visible=self.ui.compareCheck.checked)

    def _onAccept(self) -> None:
        if not self._whyNoVerdict():
            self.presenter.review.accept(self.proposal.leftOut())

    def _onReject(self) -> None:
        self.presenter.review.reject()

    def _onTakeBack(self) -> None:
        self.presenter.review.take_back()

    def _onPrevious(self) -> None:
        self.presenter.review.previous_case()

    def _onNext(self) -> None:
        self.presenter.review.next_case()

    def _onShow(self) -> None:
        for case_id in chosenIds(self.ui.queueTable)[:1]:
            self.presenter.review.show_case(case_id)

    def _onNextByItself(self) -> None:
        self.presenter.review.go_on_after_verdict(self.ui.nextByItselfCheck.checked)

    def _onAcceptMany(self) -> None:
        self.presenter.review.accept_many(chosenIds(self.ui.queueTable))

    def _onRejectMany(self) -> None:
        self.presenter.review.reject_many(chosenIds(self.ui.queueTable))

    def _onNextDoubt(self) -> None:
        self.proposal.nextDoubt()

    def _onEdit(self) -> None:
        if self.proposal.case is None:
            showChecked(self.ui.editButton, checked=False)  # the key counts without a case, too
        elif self.ui.editButton.checked:
            self.editor.startEffect()
        else:
            self.editor.stopEffect()

    def _onAcceptStructure(self) -> None:
        self.proposal.setVerdict(self.editor.segmentId, Verdict.ACCEPTED)

    def _onRejectStructure(self) -> None:
        self.proposal.setVerdict(self.editor.segmentId, Verdict.REJECTED)

    def _onGoing(self) -> None:
        """Put the tools down before a node goes without which they would paint on nothing."""
        self.editor.rest()

    def _onGone(self) -> None:
        """Leave a case whose volume or proposal somebody deleted, and say so."""
        case = self.proposal.case
        if case is None:
            return
        self._wanted = ""
        kept = self._letGo(editsAreSaved=False)
        self.presenter.review.case_is_lost()
        if kept:
            text = _("The volume of '{case}' was deleted from the scene.")
            remedy = _("Your changes stay in the scene as '{node}'.").format(node=kept[0])
            self.tell(Light.AMBER, text.format(case=case.case_id), remedy)
