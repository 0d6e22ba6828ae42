"""Puts single values on widgets, and touches a widget only if its value differs."""

from collections.abc import Sequence
from typing import Any

from PseudoLabelCLGui.panel_state import Action
from PseudoLabelCLGui.sections.parts.plain_text import plain

_BUSY_PER_MILLE = 1000
_ASKED_FOR = "PseudoLabelCL.isVisible"


def showAction(button: Any, action: Action) -> None:
    """Show whether a button can be used, its words, and what it does or why it cannot be used."""
    if button.enabled != action.enabled:
        button.enabled = action.enabled
    if action.text and button.text != action.text:
        button.text = action.text
    if action.tool_tip:
        showTip(button, action.tool_tip)


def showUsable(widget: Any, reason: str, tip: str) -> None:
    """Show what a widget is for, or, if there is a reason, that it cannot be used now and why."""
    if widget.enabled == bool(reason):
        widget.enabled = not reason
    showTip(widget, reason or tip)


def showTip(widget: Any, text: str) -> None:
    """Show over a widget what it is for."""
    tip = plain(text)
    if widget.toolTip != tip:
        widget.toolTip = tip


def showText(label: Any, text: str) -> None:
    """Show a text; a label without text takes no room."""
    if label.text != text:
        label.text = text
    showVisible(label, bool(text))


def showVisible(widget: Any, visible: bool) -> None:
    """Show or hide a widget.

    What counts is what was asked for before, not what is seen: CTK hides what lies in a folded
    section and shows it again on unfolding unless it heard that it shall be hidden. Asked on every
    tick, it would lay out the section anew each time.
    """
    if widget.property(_ASKED_FOR) != visible:
        widget.setProperty(_ASKED_FOR, visible)
        widget.setVisible(visible)


def showChoice(combo: Any, index: int) -> None:
    """Show a choice without telling anybody that it was made."""
    if combo.currentIndex != index:
        combo.blockSignals(True)
        combo.setCurrentIndex(index)
        combo.blockSignals(False)


def showField(edit: Any, text: str) -> None:
    """Show a value in a line that a person can type in, unless somebody is typing now."""
    if edit.text != text and not edit.focus:
        edit.blockSignals(True)
        edit.setText(text)
        edit.blockSignals(False)


def showChecked(box: Any, checked: bool) -> None:
    """Show a mark without telling anybody that it was made."""
    if box.checked != checked:
        box.blockSignals(True)
        box.setChecked(checked)
        box.blockSignals(False)


def showBar(bar: Any, *, isRunning: bool, fraction: float | None) -> None:
    """Show how far something has come; a fraction of None shows that it works, not how far."""
    showVisible(bar, isRunning)
    if not isRunning:
        return
    maximum = 0 if fraction is None else _BUSY_PER_MILLE
    if bar.maximum != maximum:
        bar.maximum = maximum
    value = 0 if fraction is None else round(_BUSY_PER_MILLE * min(max(fraction, 0.0), 1.0))
    if bar.value != value:
        bar.value = value


def showLines(listWidget: Any, lines: Sequence[str]) -> None:
    """Show lines in a list, which takes no room while it is empty."""
    shown = [listWidget.item(row).text() for row in range(listWidget.count)]
    if shown != list(lines):
        listWidget.clear()
        for line in lines:
            listWidget.addItem(line)
    showVisible(listWidget, bool(lines))
