"""Menus on a right click into a table."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import qt

from PseudoLabelCLGui.sections.section import Section
from PseudoLabelCLGui.sections.tables import chosenIds


def makeMenu(
    section: Section, table: Any, entries: Sequence[tuple[str, Callable[[], None]]]
) -> None:
    """Offer entries on a right click, if rows are chosen.

    Args:
        section: Guards the slots and lets go of them.
        table: A QTableWidget.
        entries: Words and slots.
    """
    menu = qt.QMenu(table)
    for text, slot in entries:
        # an action belongs to the menu, so that it lives as long
        action = qt.QAction(text, menu)
        section.connect(action, "triggered()", slot)
        menu.addAction(action)
    table.setContextMenuPolicy(qt.Qt.CustomContextMenu)
    section.connect(table, "customContextMenuRequested(QPoint)", partial(_popUp, menu, table))


def _popUp(menu: Any, table: Any) -> None:
    if chosenIds(table):
        menu.popup(qt.QCursor.pos())
