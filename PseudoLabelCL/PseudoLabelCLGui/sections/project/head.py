"""The head: which project, what runs, and the one thing to do next."""

from typing import Any

import qt

from PseudoLabelCLGui.panel_state import Light, PanelState
from PseudoLabelCLGui.sections.parts.elided import ElidedText
from PseudoLabelCLGui.sections.parts.lights import picture
from PseudoLabelCLGui.sections.parts.section import Section, Surroundings
from PseudoLabelCLGui.sections.parts.showing import showBar, showText, showTip, showVisible
from PseudoLabelCLGui.sections.project.steps import COMPUTER
from PseudoLabelCLGui.translation import _

# Pixels that the arrow and the margins of a tool button take.
_ARROW_PX = 30


class HeadSection(Section):
    """Shows what stays in sight whatever is done."""

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._light: Light | None = None
        self._needsComputer = False
        self._project = ElidedText(self.ui.projectLabel)
        self._status = ElidedText(self.ui.statusLabel)
        self._nextText = ElidedText(self.ui.nextThingButton, taken=_ARROW_PX)
        self._texts = (self._project, self._status, self._nextText)
        self.connect(self.ui.readinessButton, "clicked()", lambda: self.openPage(COMPUTER))
        self.connect(self.ui.nextThingButton, "clicked()", self._onNext)

    def show(self, state: PanelState) -> None:
        """Show project, readiness, what runs and what comes next."""
        project = state.project
        self._project.show(project.name or _("No project is open"), project.root)
        self._showReadiness(state)
        self._showStatus(state)
        following = state.next_thing
        words = _("Now: {what}") if following.is_doing else _("Next: {what}")
        self._nextText.show(words.format(what=following.text))
        showVisible(self.ui.nextThingButton, bool(following.text))
        isMissing = state.readiness.install.enabled and not following.is_doing
        self._needsComputer = isMissing and following.step == "train"

    def tick(self) -> None:
        """Fit what is cut to the width."""
        for text in self._texts:
            text.fit()

    def _onNext(self) -> None:
        if self._needsComputer:
            self.openPage(COMPUTER)
        else:
            self.presenter.go_to_next()

    def _showReadiness(self, state: PanelState) -> None:
        button: Any = self.ui.readinessButton
        light = state.readiness.light
        if light is not self._light:
            self._light = light
            button.setIcon(qt.QIcon(picture(light, self.icon)))
        tip = _("This computer: {sentence}").format(sentence=state.readiness.sentence)
        showTip(button, tip)

    def _showStatus(self, state: PanelState) -> None:
        status = state.status
        showVisible(self.ui.statusFrame, status.is_running)
        self._status.show(status.text)
        showBar(self.ui.statusBar, isRunning=status.is_running, fraction=status.fraction)
        showText(self.ui.timeLeftLabel, status.time_left)
