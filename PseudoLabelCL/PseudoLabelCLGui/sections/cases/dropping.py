"""Files and folders that are dropped on a part of the panel."""

from collections.abc import Callable
from typing import Any

import qt


class FileDrop(qt.QObject):  # type: ignore[misc]  # Slicer's Qt has no types
    """Takes files and folders that are dropped on a widget or on what lies in it.

    What is no file, such as a text, is left to whoever took it before.

    Args:
        widget: Where things may be dropped.
        dropped: Called with their paths.
        guard: Calls a function and tells what goes wrong in it.
    """

    def __init__(
        self,
        widget: Any,
        dropped: Callable[[tuple[str, ...]], None],
        guard: Callable[[Callable[[], None]], None],
    ) -> None:
        qt.QObject.__init__(self)
        self._widget = widget
        self._dropped = dropped
        self._guard = guard
        self._moves = (qt.QEvent.DragEnter, qt.QEvent.DragMove)
        widget.acceptDrops = True
        widget.installEventFilter(self)

    def eventFilter(self, _watched: Any, event: Any) -> bool:
        """Hear an event before the widget does; True keeps it from everybody else."""
        kind = event.type()
        if kind != qt.QEvent.Drop and kind not in self._moves:
            return False
        paths = localPaths(event.mimeData())
        if not paths:
            return False
        event.acceptProposedAction()
        if kind == qt.QEvent.Drop:
            self._guard(lambda: self._dropped(paths))
        return True

    def cleanUp(self) -> None:
        """Take nothing any more."""
        self._widget.removeEventFilter(self)
        self._widget.acceptDrops = False


def localPaths(mimeData: Any) -> tuple[str, ...]:
    """Return the files and folders on this computer among what is dragged."""
    paths = [url.toLocalFile() for url in mimeData.urls()] if mimeData.hasUrls() else []
    return tuple(path for path in paths if path)
