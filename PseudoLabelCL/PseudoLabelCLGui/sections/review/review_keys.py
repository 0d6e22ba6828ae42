"""The keys of the review; they live only while the panel is entered."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import qt
import slicer

from PseudoLabelCLGui.panel_state import Action
from PseudoLabelCLGui.translation import _

# Free in Slicer 5.12: the Segment Editor takes digits, space, escape, Z, Y, Q, W, I and
# / * , . < >, its effects A, X, + and -, slice views R, F, B, G, T, V and brackets. A key that two
# shortcuts want reaches neither, and one that an effect wants would never reach it.
ACCEPT, REJECT, EDIT, NEXT_DOUBT, PREVIOUS_CASE, OUTLINE = "K", "D", "E", "N", "P", "O"


class ReviewKeys:
    """Single keys that press buttons, also while a slice view has the focus.

    A field that takes texts takes the letters that are typed into it, as it takes all others.

    Args:
        panel: The keys count in the window that it is in.
        slots: What each key does.
    """

    def __init__(self, panel: Any, slots: Mapping[str, Callable[[], None]]) -> None:
        self._panel = panel
        self._slots = dict(slots)
        self._shortcuts: list[tuple[Any, Callable[[], None]]] = []

    def enter(self) -> None:
        """Make the keys count."""
        self.exit()
        window = slicer.util.mainWindow()
        for key, slot in self._slots.items():
            shortcut = qt.QShortcut(qt.QKeySequence(key), window or self._panel)
            if window is None:
                shortcut.setContext(qt.Qt.WidgetWithChildrenShortcut)
            shortcut.setAutoRepeat(False)  # a key held down is one verdict, not one for each case
            pressed = partial(_press, slot)
            shortcut.connect("activated()", pressed)
            self._shortcuts.append((shortcut, pressed))

    def exit(self) -> None:
        """Take the keys away."""
        for shortcut, pressed in self._shortcuts:
            shortcut.disconnect("activated()", pressed)
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._shortcuts = []


def _press(slot: Callable[[], None]) -> None:
    slot()


def withKey(action: Action, key: str) -> Action:
    """Name the key in what is said over a button that can be used."""
    if not (key and action.enabled and action.tool_tip):
        return action
    words = _("{what} Key: {key}").format(what=action.tool_tip, key=key)
    return replace(action, tool_tip=words)
