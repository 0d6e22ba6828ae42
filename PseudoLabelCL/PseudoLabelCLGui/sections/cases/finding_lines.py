"""Lines of what was found before an export, each with its mark and the button that mends it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import qt

from PseudoLabelCLGui.panel_state import FindingRow
from PseudoLabelCLGui.sections.parts.lights import LightMark
from PseudoLabelCLGui.sections.parts.section import Section
from PseudoLabelCLGui.sections.parts.showing import showAction
from PseudoLabelCLGui.sections.parts.text_lines import TextLines, text_label
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.messages.answers import ExportFix

# What stops comes first, so that the others can wait until it is mended.
_MOST_LINES = 40
_MARK_SIZE = 16


class FindingLines(TextLines):
    """Shows findings one below the other; a text takes as many lines as it needs.

    Args:
        section: Guards the slots.
        widget: What the lines are put into; it has a vertical layout.
        onFix: Called with the finding whose button was pressed.
    """

    def __init__(self, section: Section, widget: Any, onFix: Callable[[FindingRow], None]) -> None:
        super().__init__(section, widget)
        self._onFix = onFix

    def show(self, findings: tuple[FindingRow, ...]) -> None:
        """Show these findings in place of those before."""
        self.clear()
        for row in findings[:_MOST_LINES]:
            self._add(row)
        if len(findings) > _MOST_LINES:
            text = _("... and {count} more.").format(count=len(findings) - _MOST_LINES)
            self._put(text_label(text))

    def _add(self, row: FindingRow) -> None:
        line = qt.QFrame()
        layout = qt.QHBoxLayout(line)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._makeMark(row))
        layout.addWidget(text_label(row.text), 1)
        if row.fix is not ExportFix.NONE:
            layout.addWidget(self._makeButton(row))
        self._put(line)

    def _makeMark(self, row: FindingRow) -> Any:
        mark = qt.QLabel()
        mark.setFixedSize(_MARK_SIZE, _MARK_SIZE)
        mark.scaledContents = True
        LightMark(mark, self._section.icon).show(row.light)
        return mark

    def _makeButton(self, row: FindingRow) -> Any:
        button = qt.QPushButton()
        showAction(button, row.button)
        self._section.connect(button, "clicked()", partial(self._onFix, row))
        self._buttons.append(button)
        return button
