"""Tables whose rows stand for something with an identity, so that a choice outlives changes."""

from collections.abc import Sequence
from typing import Any

import qt


def fillTable(
    table: Any, ids: Sequence[str], rows: Sequence[Sequence[str]], toolTips: Sequence[str] = ()
) -> None:
    """Show rows of texts; rows that were chosen stay chosen, wherever they are now.

    Args:
        table: A QTableWidget.
        ids: The identity of each row.
        rows: The texts of each row.
        toolTips: What is said over each row; none by default.
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
            item.setToolTip(toolTips[row] if toolTips else text)
            item.setSelected(identity in chosen)
    if table.wordWrap:
        table.resizeRowsToContents()
    table.blockSignals(False)


def chosenIds(table: Any) -> tuple[str, ...]:
    """Return the identities of the chosen rows, from top to bottom."""
    first = [table.item(row, 0) for row in range(table.rowCount)]
    return tuple(str(item.data(qt.Qt.UserRole)) for item in first if item and item.isSelected())


def stretchColumns(table: Any, stretched: int) -> None:
    """Let one column take the room that the others leave, so that nothing is cut off."""
    header = table.horizontalHeader()
    for column in range(table.columnCount):
        mode = qt.QHeaderView.Stretch if column == stretched else qt.QHeaderView.ResizeToContents
        header.setSectionResizeMode(column, mode)


def _itemAt(table: Any, row: int, column: int) -> Any:
    item = table.item(row, column)
    if item is None:
        item = qt.QTableWidgetItem("")
        table.setItem(row, column, item)
    return item
