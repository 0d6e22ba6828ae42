"""The coloured mark before a line."""

from collections.abc import Callable
from typing import Any

import qt

from PseudoLabelCLGui.panel_state import Light
from PseudoLabelCLGui.sections.parts.showing import showVisible

_PICTURES = {
    Light.GREEN: "LightGreen.png",
    Light.AMBER: "LightAmber.png",
    Light.RED: "LightRed.png",
    Light.WORKING: "LightWorking.png",
}


def picture(light: Light, icon: Callable[[str], str]) -> str:
    """Return the path of a mark's picture, empty for NONE.

    Args:
        light: The mark.
        icon: Returns the path of a picture of the extension.
    """
    return icon(_PICTURES[light]) if light in _PICTURES else ""


class LightMark:
    """Shows a Light on a label; form and colour differ, so that both tell it.

    Args:
        label: The label.
        icon: Returns the path of a picture of the extension.
    """

    def __init__(self, label: Any, icon: Callable[[str], str]) -> None:
        self._label = label
        self._icon = icon
        self._shown: Light | None = None

    def show(self, light: Light) -> None:
        """Show a mark; NONE takes no room."""
        if light is self._shown:
            return
        self._shown = light
        if light in _PICTURES:
            self._label.setPixmap(qt.QPixmap(self._icon(_PICTURES[light])))
        showVisible(self._label, light in _PICTURES)
