"""The line above all sections: what happened, what to do next, and a button that does it."""

from collections.abc import Callable

from PseudoLabelCLGui.panel_state import Action, Light, Message, PanelState
from PseudoLabelCLGui.sections.lights import LightMark
from PseudoLabelCLGui.sections.section import Section, Surroundings
from PseudoLabelCLGui.sections.showing import showAction, showText, showVisible


class MessageSection(Section):
    """Shows the presenter's message, or one of the panel's own until there is a newer one."""

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._light = LightMark(self.ui.messageLight, surroundings.icon)
        self._shown: Message | None = None
        self._ownStep: Callable[[], None] | None = None
        self.connect(self.ui.messageButton, "clicked()", self._onStep)

    def show(self, state: PanelState) -> None:
        """Show the presenter's message if it is a new one."""
        if state.message != self._shown:
            self._shown = state.message
            self._ownStep = None
            self._put(state.message)

    def tellOwn(
        self,
        light: Light,
        text: str,
        remedy: str = "",
        step: str = "",
        onStep: Callable[[], None] | None = None,
    ) -> None:
        """Show something that only the panel knows, such as a volume that left the scene."""
        self._ownStep = onStep or (lambda: None)
        button = Action(enabled=True, text=step, tool_tip=remedy) if step else Action()
        self._put(Message(light, text, remedy, button))

    def _put(self, message: Message) -> None:
        self._light.show(message.light)
        showText(self.ui.messageLabel, message.text)
        showText(self.ui.messageRemedyLabel, message.remedy)
        showAction(self.ui.messageButton, message.next_step)
        showVisible(self.ui.messageButton, bool(message.next_step.text))
        showVisible(self.ui.messageFrame, message.light is not Light.NONE)

    def _onStep(self) -> None:
        if self._ownStep is None:
            self.presenter.message_step()
            return
        step, self._ownStep = self._ownStep, None
        self._put(self._shown or Message())
        step()
