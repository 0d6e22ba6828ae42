"""The steps of the work: one page at a time between a head and a foot that stay in sight."""

from functools import partial
from typing import Any

import qt

from PseudoLabelCLGui.panel_state import Action, PanelState
from PseudoLabelCLGui.sections.parts.elided import ElidedText
from PseudoLabelCLGui.sections.parts.section import Section, Surroundings
from PseudoLabelCLGui.sections.parts.showing import showAction, showChecked, showVisible
from PseudoLabelCLGui.sections.review.editor_layout import EditorLayout
from PseudoLabelCLGui.translation import _

STEPS = ("cases", "train", "review", "use")
NEW_PROJECT, COMPUTER = "newProject", "computer"
# A short list of cases; the editor gets what is left.
_SPLIT_PX = (150, 1000)
# A tool's options need a moment until they have their height.
_TICKS_TO_EDITOR = 8


class StepsSection(Section):
    """Shows the page of one step with the foot that belongs to it."""

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        ui = self.ui
        self._state = PanelState()
        self._done = ElidedText(ui.doneLabel)
        # the word on a button is short: four of them share 400 pixels
        self._buttons = {
            "cases": (ui.casesStepButton, _("Cases")),
            "train": (ui.trainStepButton, _("Train")),
            "review": (ui.reviewStepButton, _("Review")),
            "use": (ui.useStepButton, _("Use")),
        }
        self.page = ""
        self._isSplit = False
        self._ticksToEditor = 0
        self._editor = EditorLayout(ui)
        for name, (button, _words) in self._buttons.items():
            self.connect(button, "clicked()", partial(self.open, name))
        self.connect(ui.casesNextButton, "clicked()", lambda: self.open("train"))
        self.connect(ui.segmentChoiceButton, "clicked()", lambda: self._chooseUse(isExport=False))
        self.connect(ui.exportChoiceButton, "clicked()", lambda: self._chooseUse(isExport=True))
        self.connect(ui.editButton, "toggled(bool)", self._showEditor)
        self._chooseUse(isExport=False)
        self.open("cases")

    def open(self, name: str) -> None:
        """Show a page from its top."""
        page = getattr(self.ui, f"{name}Page")
        self.page = name
        self.ui.pages.setCurrentWidget(page)
        page.verticalScrollBar().setValue(0)
        if name == "review" and not self._isSplit:
            self._isSplit = True
            self.ui.reviewSplitter.setSizes(_SPLIT_PX)
        self._showBar()
        self._showFeet()

    def openExport(self) -> None:
        """Show the page for exporting."""
        self._chooseUse(isExport=True)
        self.open("use")

    def show(self, state: PanelState) -> None:
        """Show which steps are done, and what was done in them."""
        self._state = state
        self._showBar()
        self._showFeet()

    def tick(self) -> None:
        """Fit what is cut to the width, and give each part the height that its texts need."""
        self._done.fit()
        self._editor.fit()
        ui = self.ui
        for box in (ui.shownBox, ui.queueBox, ui.segmentBox, ui.exportBox, ui.headFrame):
            _fitHeight(box)
        _fitHeight(ui.headFrame.parentWidget())
        if self._ticksToEditor:
            self._ticksToEditor -= 1
            top = self.ui.editorFrame.mapTo(self.ui.reviewContent, qt.QPoint(0, 0)).y()
            self.ui.reviewPage.verticalScrollBar().setValue(top)

    def _showBar(self) -> None:
        steps = {step.name: step for step in self._state.steps}
        for name, (button, words) in self._buttons.items():
            step = steps.get(name)
            text = f"\N{CHECK MARK} {words}" if step and step.is_done else words
            tip = f"{step.title}: {step.summary}" if step else words
            showAction(button, Action(enabled=True, text=text, tool_tip=tip))
            showChecked(button, checked=name == self.page)
            _showBold(button, isBold=name == self.page)
        done = [one for one in self._state.steps if one.is_done and one.name != self.page]
        summary = "; ".join(f"{one.title}: {one.summary}" for one in done)
        self._done.show(summary)
        showVisible(self.ui.doneLabel, bool(summary))

    def _showFeet(self) -> None:
        ui, hasProject = self.ui, bool(self._state.project.root)
        isExport = ui.exportChoiceButton.checked
        for foot, isShown in (
            (ui.casesFoot, self.page == "cases" and hasProject),
            (ui.newProjectFoot, self.page == NEW_PROJECT),
            (ui.trainFoot, self.page == "train"),
            (ui.reviewFoot, self.page == "review"),
            (ui.segmentFoot, self.page == "use" and not isExport),
            (ui.exportFoot, self.page == "use" and isExport),
        ):
            showVisible(foot, isShown)

    def _showEditor(self) -> None:
        """Bring tools and options of the editor into sight when a person begins to edit."""
        self._ticksToEditor = _TICKS_TO_EDITOR if self.ui.editButton.checked else 0

    def _chooseUse(self, *, isExport: bool) -> None:
        showChecked(self.ui.segmentChoiceButton, checked=not isExport)
        showChecked(self.ui.exportChoiceButton, checked=isExport)
        showVisible(self.ui.segmentBox, visible=not isExport)
        showVisible(self.ui.exportBox, visible=isExport)
        self._showFeet()


def _showBold(button: Any, *, isBold: bool) -> None:
    """Mark the shown step in a dark style, too, in which a pressed button looks like the others."""
    font = button.font
    if font.bold() != isBold:
        font.setBold(isBold)
        button.font = font


def _fitHeight(box: Any) -> None:
    """Give a part the height that it needs; Qt forgets lists that only take what is left."""
    layout = box.layout()
    least = layout.totalMinimumSize().height()
    needed = max(least, layout.totalMinimumHeightForWidth(box.width))
    if box.minimumHeight != needed:
        box.setMinimumHeight(needed)
