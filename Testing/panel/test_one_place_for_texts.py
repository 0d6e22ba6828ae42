"""Each text of the panel stands in one place: in the .ui file, or where its state is made."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from a_panel import RESOURCES
from a_presenter import Stage, opened
from presenter_fakes import Disk
from PseudoLabelCLGui.panel_state import Action
from PySide6 import QtWidgets
from stand_ins.pythonqt import unwrap

from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.messages.readiness import ReadinessReport

MARK = "made from the state"
# What a person reads as it is; the other texts are names, or what the panel looks things up by.
READ = {
    "author", "model", "note", "progress", "reason", "remedy", "sentence", "stage", "summary",
    "text", "time_left", "title",
}  # fmt: skip


def with_cases() -> Stage:
    return opened(Disk.with_cases(3))


def without_packages() -> Stage:
    stage = with_cases()
    stage.presenter.readiness.found(ReadinessReport("python", missing=("torch>=2.10",)))
    return stage


def in_training() -> Stage:
    stage = with_cases()
    stage.presenter.train.start()
    stage.settle()
    stage.worker.begin()
    stage.settle()
    return stage


def in_review() -> Stage:
    stage = opened(Disk.with_cases(3, (RoundState.IN_REVIEW,)))
    stage.presenter.review.show_case("u0")
    stage.settle()
    return stage


def marked(value: Any) -> Any:
    """The same state, with the mark in place of all that is read."""
    if isinstance(value, Action):
        return Action(enabled=True, text=value.text and MARK, tool_tip=MARK)
    if isinstance(value, tuple):
        return tuple(marked(one) for one in value)
    if not is_dataclass(value):
        return value
    new = {one.name: marked(getattr(value, one.name)) for one in fields(value)}
    new |= {name: MARK for name in new if name in READ and isinstance(new[name], str)}
    return replace(value, **new)


def texts_in_the_form() -> dict[str, set[str]]:
    """Which of its texts each widget has in the .ui file."""
    form = ET.parse(RESOURCES / "UI" / "PseudoLabelCL.ui")
    return {
        widget.get("name", ""): {
            one.get("name", "")
            for one in widget.findall("property")
            if one.get("name") in ("text", "toolTip") and "".join(one.itertext()).strip()
        }
        for widget in form.iter("widget")
    }


def texts_from_the_state(a_panel: Any) -> dict[str, set[str]]:
    """Which of its texts each widget has from a state with marks."""
    return {
        widget.objectName(): {
            kind
            for kind, read in (("text", getattr(widget, "text", str)), ("toolTip", widget.toolTip))
            if MARK in read()
        }
        for widget in unwrap(a_panel.panel.top).findChildren(QtWidgets.QWidget)
    }


@pytest.mark.parametrize("make", [with_cases, without_packages, in_training, in_review])
def test_what_comes_from_the_state_has_no_text_in_the_form(a_panel, make: Callable[[], Stage]):
    state = marked(make().state)
    a_panel.show(replace(state, project=replace(state.project, name=MARK)))
    fixed = texts_in_the_form()
    shown = texts_from_the_state(a_panel)
    assert sum(map(bool, shown.values())) > 20
    both = {name: kinds & fixed.get(name, set()) for name, kinds in shown.items()}
    assert {name: kinds for name, kinds in both.items() if kinds} == {}
