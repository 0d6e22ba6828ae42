"""A timer that lets the presenter look for news, and the panel show what came of it."""

from collections.abc import Callable

import qt

# Ten looks a second: a bar that moves smoothly, and hardly any work while nothing happens.
INTERVAL_MS = 100


class Ticker:
    """Calls a function at regular times on the GUI thread.

    Args:
        onTick: What is called; it must be quick.
    """

    def __init__(self, onTick: Callable[[], None]) -> None:
        self._onTick = onTick
        self._timer = qt.QTimer()
        self._timer.setInterval(INTERVAL_MS)
        self._timer.connect("timeout()", self._tick)

    def start(self) -> None:
        """Begin, or go on."""
        self._timer.start()

    def stop(self) -> None:
        """Pause; `start` goes on."""
        self._timer.stop()

    def cleanUp(self) -> None:
        """Stop; it cannot be started again."""
        self._timer.stop()
        self._timer.disconnect("timeout()", self._tick)

    def _tick(self) -> None:
        self._onTick()
