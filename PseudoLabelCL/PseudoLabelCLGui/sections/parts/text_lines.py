"""Lines of text and buttons that are put below each other and taken away again."""

from typing import Any

import qt

from PseudoLabelCLGui.sections.parts.section import Section

_NARROWEST = 30


class TextLines:
    """Puts lines one below the other; a text takes as many lines as it needs.

    Args:
        section: Guards the slots.
        widget: What the lines are put into; it has a vertical layout.
    """

    def __init__(self, section: Section, widget: Any) -> None:
        self._section = section
        self._layout = widget.layout()
        self._lines: list[Any] = []
        self._buttons: list[Any] = []

    def clear(self) -> None:
        """Take all lines away."""
        for button in self._buttons:
            self._section.disconnectAll(button)
        for line in self._lines:
            self._layout.removeWidget(line)
            line.hide()
            line.deleteLater()  # one of its buttons may have asked for this
        self._buttons, self._lines = [], []

    def _put(self, line: Any) -> None:
        self._layout.addWidget(line)
        self._lines.append(line)


def text_label(text: str) -> Any:
    """Return a label for a text of any length, in which names may look like markup."""
    label = qt.QLabel()
    label.textFormat = qt.Qt.PlainText
    label.wordWrap = True
    label.minimumWidth = _NARROWEST
    label.text = text
    return label
