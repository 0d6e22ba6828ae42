"""All that is shown, made from all that is known."""

from dataclasses import replace

from PseudoLabelCLGui.panel_state import Action, Light, Message, PanelState
from PseudoLabelCLGui.presenter.cases.show_cases import cases_state
from PseudoLabelCLGui.presenter.facts.facts import Facts
from PseudoLabelCLGui.presenter.project.show_project import project_state
from PseudoLabelCLGui.presenter.project.show_readiness import readiness_state
from PseudoLabelCLGui.presenter.review.show_review import review_state
from PseudoLabelCLGui.presenter.show_steps import next_thing, status_state, steps_state
from PseudoLabelCLGui.presenter.train.show_training import SettingsCache, rounds_state, train_state
from PseudoLabelCLGui.presenter.use.show_export import export_state
from PseudoLabelCLGui.presenter.use.show_use import use_state


class Shower:
    """Makes the state; a part that stays the same stays the same object."""

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
            status=status_state(facts),
            next_thing=next_thing(facts),
            steps=steps_state(facts),
        )
        changed = {
            name: value for name, value in vars(new).items() if value != getattr(self._last, name)
        }
        if changed:
            self._last = replace(self._last, **changed)
        return self._last


def _message(facts: Facts) -> Message:
    """The question that must be answered, or what happened last."""
    question = facts.decision
    if question is None:
        return facts.message
    answers = tuple(Action(True, one.text, one.tool_tip) for one in question.answers)
    return Message(Light.AMBER, question.text, question.remedy, answers=answers)
