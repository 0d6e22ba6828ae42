"""Tables whose rows stand for something with an identity, so that a choice outlives changes."""

from collections.abc import Sequence
from typing import Any

import qt

from PseudoLabelCLGui.sections.parts.plain_text import plain


def fillTable(
    table: Any, ids: Sequence[str], rows: Sequence[Sequence[str]], toolTips: Sequence[str] = ()
) -> None:
    """Show rows of texts; rows that were chosen stay chosen, wherever they are now.

    A column without any text is hidden, so that the others have its room.

    Args:
        table: A QTableWidget.
        ids: The identity of each row.
        rows: The texts of each row.
        toolTips: What is said over each row, below the whole text of a cell; none by default.
    """
    chosen = chosenIds(table)
    table.blockSignals(True)
    if table.rowCount != len(rows):
        table.setRowCount(len(rows))
    for row, (identity, texts) in enumerate(zip(ids, rows, strict=True)):
        for column, text in enumerate(texts):
            item = _itemAt(table, row, column)
            if item.text() != text:
                item.setText(text)
            item.setData(qt.Qt.UserRole, identity)
            item.setToolTip(plain(_tip(texts[0], text, toolTips[row] if toolTips else "")))
            item.setSelected(identity in chosen)
    _hideEmptyColumns(table, rows)
    if table.wordWrap:
        table.resizeRowsToContents()
    table.blockSignals(False)


def chosenIds(table: Any) -> tuple[str, ...]:
    """Return the identities of the chosen rows, from top to bottom."""
    first = [table.item(row, 0) for row in range(table.rowCount)]
    return tuple(str(item.data(qt.Qt.UserRole)) for item in first if item and item.isSelected())


def chooseId(table: Any, identity: str) -> None:
    """Choose one row by its identity, and no other; without such a row the choice stays."""
    for row in range(table.rowCount):
        item = table.item(row, 0)
        if item is not None and item.data(qt.Qt.UserRole) == identity:
            table.selectRow(row)
            table.scrollToItem(item)
            return


def showColumns(table: Any, titles: Sequence[str]) -> None:
    """Give a table its columns; the first has the room that the others leave."""
    table.setColumnCount(len(titles))
    table.setHorizontalHeaderLabels(list(titles))
    stretchColumns(table, 0)


def stretchColumns(table: Any, *stretched: int) -> None:
    """Let columns share the room that the others leave; the others are as wide as needed."""
    header = table.horizontalHeader()
    for column in range(table.columnCount):
        isStretched = column in stretched
        mode = qt.QHeaderView.Stretch if isStretched else qt.QHeaderView.ResizeToContents
        header.setSectionResizeMode(column, mode)


def _hideEmptyColumns(table: Any, rows: Sequence[Sequence[str]]) -> None:
    for column in range(1, table.columnCount):
        isEmpty = bool(rows) and not any(texts[column] for texts in rows)
        if table.isColumnHidden(column) != isEmpty:
            table.setColumnHidden(column, isEmpty)


def _tip(name: str, text: str, more: str) -> str:
    """Say the whole text of a cell, which may be cut, and what is known of the row."""
    lines = (name, text if text != name else "", more)
    return "\n".join(line for line in lines if line)


def _itemAt(table: Any, row: int, column: int) -> Any:
    item = table.item(row, column)
    if item is None:
        item = qt.QTableWidgetItem("")
        table.setItem(row, column, item)
    return item
