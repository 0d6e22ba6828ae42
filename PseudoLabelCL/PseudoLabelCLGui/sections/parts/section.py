"""What all sections of the panel have in common: their widgets, the presenter, guarded slots."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PseudoLabelCLGui.panel_state import Light, PanelState
from PseudoLabelCLGui.presenter import Presenter
from PseudoLabelCLGui.translation import _, translated
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError

_log = logging.getLogger(__name__)
Tell = Callable[..., None]


@dataclass(frozen=True)
class Surroundings:
    """What a section works with.

    Args:
        ui: All widgets of the panel by name.
        top: The widget that holds them.
        presenter: Does what the buttons say.
        tell: Shows a sentence and a remedy as the message in the head.
        icon: Returns the path of a picture of the extension.
        openPage: Shows the page of a step, see `steps`.
    """

    ui: Any
    top: Any
    presenter: Presenter
    tell: Tell
    icon: Callable[[str], str]
    openPage: Callable[[str], None]


class Section:
    """One section: `show` puts a state on its widgets, its slots call the presenter."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.ui = surroundings.ui
        self.top = surroundings.top
        self.presenter = surroundings.presenter
        self.tell = surroundings.tell
        self.icon = surroundings.icon
        self.openPage = surroundings.openPage
        self._connections: list[tuple[Any, str, Callable[..., None]]] = []

    def show(self, state: PanelState) -> None:
        """Put a state on the widgets; what did not change is not touched."""

    def connect(self, widget: Any, signature: str, slot: Callable[[], None]) -> None:
        """Call a slot without arguments on a signal; an error in it becomes a message."""

        def guarded(*_arguments: Any) -> None:
            self.guard(slot)

        if not widget.connect(signature, guarded):
            raise ValueError(f"{widget.name} has no signal {signature}")
        self._connections.append((widget, signature, guarded))

    def disconnectAll(self, widget: Any) -> None:
        """Disconnect a widget that is deleted before the section is."""
        kept = []
        for one, signature, guarded in self._connections:
            if one is widget:
                one.disconnect(signature, guarded)
            else:
                kept.append((one, signature, guarded))
        self._connections = kept

    def guard(self, slot: Callable[[], None]) -> None:
        """Call a slot; an error becomes a sentence in the head."""
        try:
            slot()
        except PseudoLabelCLError as error:
            self.tell(Light.AMBER, translated(error.message), translated(error.remedy))
        except Exception:  # noqa: BLE001 - a person never sees a traceback; it is logged
            _log.exception("A button of the panel failed")
            self.tell(
                Light.RED,
                _("Something unexpected happened; nothing on disk was changed by it."),
                _("Try again. The details are in Slicer's log (Help, Report a Bug)."),
            )

    def enter(self) -> None:
        """The module is shown."""

    def exit(self) -> None:
        """Another module is shown."""

    def cleanUp(self) -> None:
        """Disconnect all widgets."""
        for widget, signature, guarded in self._connections:
            widget.disconnect(signature, guarded)
        self._connections = []
