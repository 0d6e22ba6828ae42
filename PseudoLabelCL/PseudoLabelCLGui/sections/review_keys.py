"""The keys of the review; they live only while the panel is entered."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import qt


class ReviewKeys:
    """Single keys that press buttons while the panel has the focus.

    The Segment Editor takes digits, space, escape, Z, Y, Q, W and I; none of these is used here.

    Args:
        parent: The keys count while it, or a widget in it, has the focus.
        slots: What each key does.
    """

    def __init__(self, parent: Any, slots: Mapping[str, Callable[[], None]]) -> None:
        self._parent = parent
        self._slots = dict(slots)
        self._shortcuts: list[tuple[Any, Callable[[], None]]] = []

    def enter(self) -> None:
        """Make the keys count."""
        self.exit()
        for key, slot in self._slots.items():
            shortcut = qt.QShortcut(qt.QKeySequence(key), self._parent)
            shortcut.setContext(qt.Qt.WidgetWithChildrenShortcut)
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
