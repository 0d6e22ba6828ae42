"""Questions about the files of cases, each with a button or a line in a list for every answer."""

from collections.abc import Callable
from functools import partial
from typing import Any

import qt

from PseudoLabelCLGui.case_row import QuestionRow
from PseudoLabelCLGui.sections.parts.plain_text import plain
from PseudoLabelCLGui.sections.parts.section import Section
from PseudoLabelCLGui.sections.parts.text_lines import TextLines, text_label
from PseudoLabelCLGui.translation import _

# More than these are asked when the first are answered.
_MOST_LINES = 20
_NARROWEST = 30
# More answers than fit beside each other stand in a list.
_MOST_BUTTONS = 3


class QuestionLines(TextLines):
    """Shows questions one below the other; a text takes as many lines as it needs.

    Args:
        section: Guards the slots.
        widget: What the lines are put into; it has a vertical layout.
        onAnswer: Called with the number of the question and the answer that was chosen.
    """

    def __init__(self, section: Section, widget: Any, onAnswer: Callable[[int, str], None]) -> None:
        super().__init__(section, widget)
        self._onAnswer = onAnswer

    def show(self, questions: tuple[QuestionRow, ...]) -> None:
        """Show these questions in place of those before."""
        self.clear()
        for number, row in enumerate(questions[:_MOST_LINES]):
            self._add(number, row)

    def _add(self, number: int, row: QuestionRow) -> None:
        answers = qt.QFrame()
        layout = qt.QHBoxLayout(answers)
        layout.setContentsMargins(0, 0, 0, 0)
        if len(row.choices) > _MOST_BUTTONS:
            self._addList(layout, number, row)
        else:
            for value, words, tip in row.choices:
                answer = partial(self._onAnswer, number, value)
                layout.addWidget(self._button(words, tip, answer, row.enabled))
        self._put(text_label(row.text))
        self._put(answers)

    def _addList(self, layout: Any, number: int, row: QuestionRow) -> None:
        combo = qt.QComboBox()
        combo.minimumWidth = _NARROWEST
        combo.enabled = row.enabled
        for _value, words, _tip in row.choices:
            combo.addItem(words)
        combo.toolTip = plain(_("What the file is, or which part of it to use"))

        def choose() -> None:
            self._onAnswer(number, row.choices[combo.currentIndex][0])

        layout.addWidget(combo)
        button = self._button(_("Answer"), _("Saves the selected answer"), choose, row.enabled)
        layout.addWidget(button)

    def _button(self, words: str, tip: str, answer: Callable[[], None], enabled: bool) -> Any:
        button = qt.QPushButton()
        button.text = words
        button.toolTip = plain(tip)
        button.enabled = enabled
        self._section.connect(button, "clicked()", answer)
        self._buttons.append(button)
        return button
