"""Parts of a page that are folded; one of a page is unfolded at a time, so that all fits."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import qt

from PseudoLabelCLGui.sections.parts.section import Section
from PseudoLabelCLGui.sections.parts.showing import showVisible


class Folding:
    """The parts of one page, each with a flat button above it that unfolds it.

    Args:
        section: Guards the slots.
        parts: Button and frame of each part.
        onUnfold: Called with the button of the part that was unfolded.
    """

    def __init__(
        self,
        section: Section,
        parts: Sequence[tuple[Any, Any]],
        onUnfold: Callable[[Any], None] = lambda _button: None,
    ) -> None:
        self._parts = tuple(parts)
        self._onUnfold = onUnfold
        self._offered: dict[str, bool] = {}
        for button, frame in self._parts:
            showVisible(frame, visible=False)
            section.connect(button, "toggled(bool)", partial(self._onToggle, button))

    def unfold(self, button: Any) -> None:
        """Unfold a part, and fold the others."""
        button.setChecked(True)

    def offer(self, button: Any, isOffered: bool) -> None:
        """Show a part folded or unfolded as it is, or neither its button nor what is in it."""
        showVisible(button, visible=isOffered)
        for one, frame in self._parts:
            if one is button:
                showVisible(frame, visible=isOffered and one.checked)
                self._offered[one.name] = isOffered

    def _onToggle(self, toggled: Any) -> None:
        for button, frame in self._parts:
            if button is not toggled and toggled.checked and button.checked:
                button.setChecked(False)
            button.setArrowType(qt.Qt.DownArrow if button.checked else qt.Qt.RightArrow)
            isOffered = self._offered.get(button.name, True)
            showVisible(frame, visible=isOffered and button.checked)
        if toggled.checked:
            self._onUnfold(toggled)
