"""The message in the head: what happened, what to do next, and buttons that do it or answer."""

from collections.abc import Callable
from functools import partial

from PseudoLabelCLGui.panel_state import Action, Light, Message, PanelState
from PseudoLabelCLGui.sections.parts.lights import LightMark
from PseudoLabelCLGui.sections.parts.plain_text import plain
from PseudoLabelCLGui.sections.parts.section import Section, Surroundings
from PseudoLabelCLGui.sections.parts.showing import showAction, showText, showVisible

# More than this would push the foot out of sight on a small screen; the tool tip has all.
_LONGEST_TEXT = 320


class MessageSection(Section):
    """Shows the presenter's message, or one of the panel's own until there is a newer one."""

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        ui = self.ui
        self._light = LightMark(ui.messageLight, surroundings.icon)
        self._shown: Message | None = None
        self._ownStep: Callable[[], None] | None = None
        self._answers = (ui.answerButton1, ui.answerButton2, ui.answerButton3, ui.answerButton4)
        self.connect(ui.messageButton, "clicked()", self._onStep)
        self.connect(ui.closeMessageButton, "clicked()", self._onClose)
        for index, button in enumerate(self._answers):
            self.connect(button, "clicked()", partial(self._onAnswer, index))

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
        if self._shown is not None and self._shown.answers:
            return  # a question waits for its answer
        self._ownStep = onStep or (lambda: None)
        button = Action(enabled=True, text=step, tool_tip=remedy) if step else Action()
        self._put(Message(light, text, remedy, button))

    def _put(self, message: Message) -> None:
        self._light.show(message.light)
        for label, text in (
            (self.ui.messageLabel, message.text),
            (self.ui.messageRemedyLabel, message.remedy),
        ):
            showText(label, _shortened(text))
            label.toolTip = plain(text)
        showAction(self.ui.messageButton, message.next_step)
        showVisible(self.ui.messageButton, bool(message.next_step.text))
        for index, button in enumerate(self._answers):
            isThere = index < len(message.answers)
            if isThere:
                showAction(button, message.answers[index])
                # the last one loses nothing
                button.setDefault(index == len(message.answers) - 1)
            showVisible(button, isThere)
        showVisible(self.ui.closeMessageButton, not message.answers)
        showVisible(self.ui.messageFrame, message.light is not Light.NONE)

    def _onStep(self) -> None:
        if self._ownStep is None:
            self.presenter.message_step()
            return
        step, self._ownStep = self._ownStep, None
        self._put(self._shown or Message())
        step()

    def _onClose(self) -> None:
        if self._ownStep is None:
            self.presenter.close_message()
            return
        self._ownStep = None
        self._put(self._shown or Message())

    def _onAnswer(self, index: int) -> None:
        self.presenter.answer(index)


def _shortened(text: str) -> str:
    if len(text) <= _LONGEST_TEXT:
        return text
    return text[:_LONGEST_TEXT].rpartition(" ")[0] + " ..."
