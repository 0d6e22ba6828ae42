"""Section 4: the queue of pseudo-labels, the shown case, the verdicts."""

from dataclasses import replace
from pathlib import Path

from PseudoLabelCLGui.mrml_bridge import CaseMemory
from PseudoLabelCLGui.panel_state import Action, Light, PanelState, ReviewState
from PseudoLabelCLGui.sections import review_keys
from PseudoLabelCLGui.sections.background_work import BackgroundWork
from PseudoLabelCLGui.sections.menus import makeMenu
from PseudoLabelCLGui.sections.review_keys import ReviewKeys
from PseudoLabelCLGui.sections.section import Section, Surroundings
from PseudoLabelCLGui.sections.segment_editor import EmbeddedSegmentEditor
from PseudoLabelCLGui.sections.showing import (
    showAction,
    showChecked,
    showText,
    showUsable,
    showVisible,
)
from PseudoLabelCLGui.sections.shown_proposal import ShownProposal, correctionFile
from PseudoLabelCLGui.sections.tables import chosenIds, fillTable, stretchColumns
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.desk_answers import CaseFiles
from PseudoLabelCLLib.domain.review import Verdict
from PseudoLabelCLLib.domain.segmentation import LabelSchema


class ReviewSection(Section):
    """Shows one proposal after the other and hears what the person says about it.

    Args:
        surroundings: What a section works with.
        work: Reads and writes voxels in threads.
        folder: Where corrected proposals are written for the desk.
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
        self._wasEdited = False
        self._timesSent: tuple[tuple[str, int], ...] = ()
        self._timesConfirmed: tuple[tuple[str, int], ...] = ()
        self._timesJudged: tuple[tuple[str, int], ...] = ()
        self.proposal = ShownProposal()
        self.editor = EmbeddedSegmentEditor(self.ui.segmentEditor)
        self._keys = ReviewKeys(self.top, self._keySlots())
        stretchColumns(self.ui.queueTable, 2)
        makeMenu(
            self,
            self.ui.queueTable,
            (
                (_("Show"), self._onShow),
                (_("Accept the chosen ones"), self._onAcceptMany),
                (_("Reject the chosen ones"), self._onRejectMany),
            ),
        )
        buttons = (self.ui.acceptStructureButton, self.ui.rejectStructureButton)
        self._structureButtons = tuple((button, button.toolTip) for button in buttons)
        showVisible(self.ui.editorFrame, visible=False)
        self._connectButtons()

    def show(self, state: PanelState) -> None:
        """Show queue, reason, and which verdicts can be given."""
        self._root = state.project.root
        if state.cases.labels and (not self._labels or self._labels.classes != state.cases.labels):
            self._labels = LabelSchema(state.cases.labels)
        review = state.review
        if review == self._shown:
            return
        if self._shown is None or review.queue != self._shown.queue:
            rows = [(r.case_id, r.doubt, r.reason, r.verdict) for r in review.queue]
            fillTable(self.ui.queueTable, [r.case_id for r in review.queue], rows)
        self._shown = review
        loading = _("Loading {case}...").format(case=self._wanted or review.case_id)
        showText(self.ui.reviewProgressLabel, review.progress or review.next_case.tool_tip)
        showText(self.ui.reasonLabel, loading if review.is_loading else self._reasonWords(review))
        self._showButtons(review)

    def tick(self) -> None:
        """Look whether the proposal was edited, or its nodes deleted by somebody."""
        self.proposal.tick()
        if self.proposal.isLost:
            self._onLost()
        edited = self.proposal.isEdited and self.proposal.times != self._timesJudged
        if edited != self._wasEdited:
            self._wasEdited = edited
            self.presenter.case_is_edited(edited)
        if self.ui.editorFrame.visible:
            showChecked(self.ui.editButton, self.editor.hasEffect)

    def showFiles(self, files: CaseFiles) -> None:
        """Read the files of a case in a thread, then show it."""
        if self._labels is None:
            return
        self._wanted = files.case_id
        memory = self.proposal.read(files, self._labels, self._root)
        self._work.do(memory.read, lambda _none: self._put(memory))

    def leaveCase(self, case_id: str) -> None:
        """Take a case out of the scene; edits that are not in the project stay as a node."""
        if self._wanted == case_id:
            self._wanted = ""
        case = self.proposal.case
        if case is None or case.case_id != case_id:
            return
        self._hideEditor()
        isSaved = self.proposal.times == self._timesConfirmed
        kept = self.proposal.forget(editsAreSaved=isSaved)
        self._forgetEdits()
        if kept:
            self.tell(
                Light.AMBER,
                _("Your changes of '{case}' were not saved as a correction.").format(case=case_id),
                _("They stay in the scene as '{node}'.").format(node=kept[0]),
            )

    def verdictSaved(self, case_ids: tuple[str, ...]) -> None:
        """Hear that verdicts are on disk: from now on only what is drawn later is an edit."""
        case = self.proposal.case
        if case is None or case.case_id not in case_ids:
            return
        if self._timesSent:
            self._timesConfirmed, self._timesSent = self._timesSent, ()
            self._timesJudged = self._timesConfirmed
        else:
            self._timesJudged = self.proposal.times
        self._wasEdited = False  # what was drawn since it was sent is told anew

    def saveCorrection(self, leftOut: tuple[int, ...] = ()) -> None:
        """Write the proposal as it is now in a thread, then hand it over as a correction."""
        case = self.proposal.case
        snapshot = self.proposal.snapshot()
        if case is None or snapshot is None:
            return
        self._numCorrections += 1
        file = correctionFile(self._folder, case, self._numCorrections)
        whole = self.ui.wholeCheck.checked
        self._timesSent = self.proposal.times
        self._work.do(
            lambda: snapshot.write(file),
            lambda _none: self.presenter.correct(str(file), whole, leftOut),
        )

    def enter(self) -> None:
        """Let keys and mouse count."""
        self._keys.enter()
        self.editor.enter()

    def exit(self) -> None:
        """Let neither keys nor mouse count."""
        self._keys.exit()
        self.editor.exit()

    def sceneClosing(self) -> None:
        """Let go of the nodes that will go with the scene."""
        self._wanted = ""
        self.proposal.sceneClosed()
        self.editor.sceneClosed()
        showVisible(self.ui.editorFrame, visible=False)

    def cleanUp(self) -> None:
        """Let go of everything."""
        self._keys.exit()
        self.editor.cleanUp()
        super().cleanUp()

    def _connectButtons(self) -> None:
        for button, slot in (
            (self.ui.acceptButton, self._onAccept),
            (self.ui.correctButton, self._onCorrect),
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
        self.connect(self.ui.nextByItselfCheck, "toggled(bool)", self._onNextByItself)
        self.connect(self.ui.queueTable, "cellDoubleClicked(int,int)", self._onShow)
        self.connect(self.ui.queueTable, "itemSelectionChanged()", self._showShowButton)

    def _keySlots(self) -> dict[str, object]:
        ui = self.ui
        return {
            review_keys.ACCEPT: ui.acceptButton.click,
            review_keys.REJECT: ui.rejectButton.click,
            review_keys.EDIT: ui.editButton.click,
            review_keys.NEXT_DOUBT: ui.nextDoubtButton.click,
            review_keys.PREVIOUS_CASE: ui.previousCaseButton.click,
            review_keys.OUTLINE: ui.outlineCheck.toggle,
        }

    def _showButtons(self, review: ReviewState) -> None:
        for button, action, key in (
            (self.ui.acceptButton, review.accept, review_keys.ACCEPT),
            (self.ui.correctButton, review.correct, ""),
            (self.ui.rejectButton, review.reject, review_keys.REJECT),
            (self.ui.takeBackButton, review.take_back, ""),
            (self.ui.previousCaseButton, review.previous_case, review_keys.PREVIOUS_CASE),
            (self.ui.nextCaseButton, review.next_case, ""),
            (self.ui.nextDoubtButton, review.next_doubt, review_keys.NEXT_DOUBT),
            (self.ui.compareCheck, review.compare, ""),
        ):
            showAction(button, _withKey(action, key))
        whyNot = "" if review.reject.enabled else review.reject.tool_tip or _("Show a case first")
        for button, tip in self._structureButtons:
            showUsable(button, whyNot, tip)
        self._showShowButton()

    def _showShowButton(self) -> None:
        whyNot = "" if chosenIds(self.ui.queueTable) else _("Choose a case in the table first")
        showUsable(self.ui.showCaseButton, whyNot, _("Shows the chosen case."))

    def _reasonWords(self, review: ReviewState) -> str:
        if not review.case_id:
            return ""
        words = _("{case}: {reason}") if review.reason else "{case}"
        return words.format(case=review.case_id, reason=review.reason)

    def _put(self, memory: CaseMemory) -> None:
        if memory.files.case_id != self._wanted:
            return  # the person went on before it was read
        self._hideEditor()
        self.proposal.forget(editsAreSaved=False)
        self._forgetEdits()
        case = self.proposal.put(memory, self._root)
        if case.proposal is not None:
            self.editor.edit(case.proposal, case.volume)
            showVisible(self.ui.editorFrame, visible=True)
        self._applyLook()
        self.presenter.case_is_on_screen(memory.files)

    def _hideEditor(self) -> None:
        self.editor.leave()
        showChecked(self.ui.editButton, checked=False)
        showVisible(self.ui.editorFrame, visible=False)

    def _forgetEdits(self) -> None:
        self._wasEdited = False
        self._timesSent = self._timesConfirmed = self._timesJudged = ()

    def _applyLook(self) -> None:
        self.proposal.showOutline(outline=self.ui.outlineCheck.checked)
        self.proposal.showDoubt(visible=self.ui.doubtCheck.checked)
        self.proposal.showPrevious(visible=self.ui.compareCheck.checked)

    def _onAccept(self) -> None:
        self.presenter.accept(self.proposal.leftOut())

    def _onCorrect(self) -> None:
        self.saveCorrection(self.proposal.leftOut())

    def _onReject(self) -> None:
        self.presenter.reject()

    def _onTakeBack(self) -> None:
        self.presenter.take_back()

    def _onPrevious(self) -> None:
        self.presenter.previous_case()

    def _onNext(self) -> None:
        self.presenter.next_case()

    def _onShow(self) -> None:
        for case_id in chosenIds(self.ui.queueTable)[:1]:
            self.presenter.show_case(case_id)

    def _onNextByItself(self) -> None:
        self.presenter.go_on_after_verdict(self.ui.nextByItselfCheck.checked)

    def _onAcceptMany(self) -> None:
        self.presenter.accept_many(chosenIds(self.ui.queueTable))

    def _onRejectMany(self) -> None:
        self.presenter.reject_many(chosenIds(self.ui.queueTable))

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

    def _onLost(self) -> None:
        case = self.proposal.case
        self._hideEditor()
        self.proposal.forget(editsAreSaved=False)
        self._forgetEdits()
        self.tell(
            Light.AMBER,
            _("The volume or proposal of '{case}' was deleted from the scene.").format(
                case=case.case_id
            ),
            _("Verdicts are on disk; only changes since the last one are gone."),
            _("Show it again"),
            lambda: self.presenter.show_case(case.case_id),
        )


def _withKey(action: Action, key: str) -> Action:
    """Name the key in what is said over a button that can be used."""
    if not (key and action.enabled and action.tool_tip):
        return action
    words = _("{what} Key: {key}").format(what=action.tool_tip, key=key)
    return replace(action, tool_tip=words)
