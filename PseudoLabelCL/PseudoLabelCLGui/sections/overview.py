"""What the head and the step bar say about the whole."""

from dataclasses import dataclass

from PseudoLabelCLGui.panel_state import PanelState
from PseudoLabelCLGui.translation import _


@dataclass(frozen=True)
class Status:
    """What runs now.

    Args:
        text: What it does, or empty while nothing runs.
        fraction: 0..1; None shows a busy bar.
        time_left: "about 3 min left", or empty.
    """

    text: str = ""
    fraction: float | None = None
    time_left: str = ""


def statusOf(state: PanelState) -> Status:
    """Return what runs now."""
    if state.train.is_running:
        return Status(state.train.stage, state.train.fraction, state.train.time_left)
    if state.use.is_running:
        return Status(state.use.stage, state.use.fraction)
    if state.export.is_running:
        return Status(state.export.stage, state.export.fraction)
    return Status()


def nextThing(state: PanelState) -> tuple[str, str]:
    """Return the step that comes next and what to do in it."""
    if not state.project.root:
        return "cases", _("make or open a project")
    if state.train.train.enabled:
        return "train", state.train.train.text
    return "cases", state.train.train.tool_tip


def doneSteps(state: PanelState) -> frozenset[str]:
    """Return the steps that are done."""
    return frozenset({"cases"} if state.cases.rows else ())


def summaryOfOthers(state: PanelState, shown: str) -> str:
    """Say what was done in the steps that are not shown."""
    if shown == "cases" or not state.cases.rows:
        return ""
    return _("Cases: {count}").format(count=len(state.cases.rows))
