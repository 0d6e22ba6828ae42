"""Texts that are cut in the middle where a line is too narrow for them; the tool tip has all."""

from typing import Any

import qt

from PseudoLabelCLGui.sections.parts.plain_text import plain


class ElidedText:
    """A text in one line that never widens the panel.

    Args:
        widget: A label or button whose horizontal policy lets it be narrower than its text.
        taken: Pixels of its width that are not for the text.
    """

    def __init__(self, widget: Any, taken: int = 2) -> None:
        self._widget = widget
        self._taken = taken
        self._text = self._tip = ""
        self._fitted: tuple[str, int] = ("", -1)

    def show(self, text: str, tip: str = "") -> None:
        """Show a text; over it is said `tip`, or all of the text."""
        self._text, self._tip = text, tip or text
        self.fit()

    def fit(self) -> None:
        """Cut the text anew if the width has changed."""
        wanted = (self._text, self._widget.width)
        if wanted == self._fitted:
            return
        self._fitted = wanted
        room = max(self._widget.width - self._taken, 0)
        metrics = qt.QFontMetrics(self._widget.font)
        self._widget.text = metrics.elidedText(self._text, qt.Qt.ElideMiddle, room)
        self._widget.toolTip = plain(self._tip)
