"""Window and level as the person set them, from case to case."""

from typing import Any


class WindowLevel:
    """Keeps the brightness that a person chose and gives it to the volumes shown next.

    Until then each volume has its own. A person's volume gets back what it had.
    """

    def __init__(self) -> None:
        self._chosen: tuple[float, float] | None = None
        self._given: tuple[float, float] | None = None
        self._before: tuple[bool, float, float] | None = None

    def shown(self, volumeNode: Any, *, isOwn: bool) -> None:
        """Give a volume that is shown from now on what was chosen.

        Args:
            volumeNode: The volume.
            isOwn: Whether the program made its node, so that it need not get anything back.
        """
        display = volumeNode.GetDisplayNode()
        if display is None:
            return
        before = (bool(display.GetAutoWindowLevel()), *_of(display))
        self._before = None
        if self._chosen is not None:
            display.SetAutoWindowLevel(False)
            display.SetWindowLevel(*self._chosen)
            self._before = None if isOwn else before
        self._given = _of(display)

    def left(self, volumeNode: Any) -> None:
        """Remember what was chosen for a volume that is not shown any more."""
        display = volumeNode.GetDisplayNode() if volumeNode.GetScene() is not None else None
        if display is None or self._given is None:
            return
        if _of(display) != self._given:
            self._chosen = _of(display)
        elif self._before is not None:
            isAuto, *values = self._before
            display.SetWindowLevel(*values)
            display.SetAutoWindowLevel(isAuto)
        self._given = self._before = None

    def forget(self) -> None:
        """Begin anew with another project."""
        self._chosen = self._given = self._before = None


def _of(display: Any) -> tuple[float, float]:
    return float(display.GetWindow()), float(display.GetLevel())
