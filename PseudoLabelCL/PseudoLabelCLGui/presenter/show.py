"""All that is shown, made from all that is known."""

from dataclasses import replace

from PseudoLabelCLGui.panel_state import Light, Message, PanelState
from PseudoLabelCLGui.presenter.facts import Facts
from PseudoLabelCLGui.presenter.show_cases import cases_state, project_state
from PseudoLabelCLGui.presenter.show_export import export_state
from PseudoLabelCLGui.presenter.show_readiness import readiness_state
from PseudoLabelCLGui.presenter.show_review import review_state, use_state
from PseudoLabelCLGui.presenter.show_training import SettingsCache, rounds_state, train_state


class Shower:
    """Makes the state; a section that stays the same stays the same object."""

    def __init__(self) -> None:
        self._settings = SettingsCache()
        self._last = PanelState()

    def show(self, facts: Facts) -> PanelState:
        """Return the state; the one before if nothing that is shown has changed."""
        new = PanelState(
            message=_message(facts),
            readiness=readiness_state(facts),
            project=project_state(facts),
            cases=cases_state(facts),
            train=train_state(facts, self._settings),
            review=review_state(facts),
            rounds=rounds_state(facts),
            use=use_state(facts),
            export=export_state(facts),
        )
        changed = {
            name: value for name, value in vars(new).items() if value != getattr(self._last, name)
        }
        if changed:
            self._last = replace(self._last, **changed)
        return self._last


def _message(facts: Facts) -> Message:
    """The message, or what the desk is busy with while there is none."""
    if facts.message.light is Light.NONE:
        text = facts.desk_working or facts.changing
        return Message(Light.WORKING, text) if text else facts.message
    return facts.message
