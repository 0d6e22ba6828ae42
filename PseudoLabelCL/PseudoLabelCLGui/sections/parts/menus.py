"""Menus on a right click into a table."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import qt

from PseudoLabelCLGui.sections.parts.section import Section
from PseudoLabelCLGui.sections.parts.tables import chosenIds


def makeMenu(
    section: Section,
    table: Any,
    entries: Sequence[tuple[str, Callable[[], None]]],
    ticked: Callable[[], Sequence[bool]] = tuple,
) -> None:
    """Offer entries on a right click, if rows are chosen.

    Args:
        section: Guards the slots and disconnects them.
        table: A QTableWidget.
        entries: Words and slots.
        ticked: Returns which of the first entries bear a tick when the menu opens.
    """
    menu = qt.QMenu(table)
    actions = []
    for text, slot in entries:
        # an action belongs to the menu, so that it lives as long
        action = qt.QAction(text, menu)
        section.connect(action, "triggered()", slot)
        menu.addAction(action)
        actions.append(action)
    table.setContextMenuPolicy(qt.Qt.CustomContextMenu)
    popUp = partial(_popUp, menu, actions, table, ticked)
    section.connect(table, "customContextMenuRequested(QPoint)", popUp)


def _popUp(menu: Any, actions: list[Any], table: Any, ticked: Callable[[], Sequence[bool]]) -> None:
    for action, isTicked in zip(actions, ticked(), strict=False):
        action.setCheckable(True)
        action.setChecked(isTicked)
    if chosenIds(table):
        menu.popup(qt.QCursor.pos())
