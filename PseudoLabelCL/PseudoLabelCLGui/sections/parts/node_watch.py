"""Hears from the scene that a node goes, at once, whoever removes it."""

from collections.abc import Callable
from typing import Any

import slicer
import vtk


class NodeWatch:
    """Tells before and after a node goes that is needed.

    Args:
        isNeeded: Tells whether a node is needed.
        onGoing: Called before it goes, while it is still there.
        onGone: Called once it is gone.
    """

    def __init__(
        self,
        isNeeded: Callable[[Any], bool],
        onGoing: Callable[[], None],
        onGone: Callable[[], None],
    ) -> None:
        self._isNeeded, self._onGoing, self._onGone = isNeeded, onGoing, onGone
        self._scene: Any = None
        self._tags: list[int] = []

    def start(self) -> None:
        """Hear the scene."""
        if self._tags:
            return
        self._scene = slicer.mrmlScene

        @vtk.calldata_type(vtk.VTK_OBJECT)  # type: ignore[untyped-decorator]
        def going(_scene: Any, _event: str, node: Any) -> None:
            if self._isNeeded(node):
                self._onGoing()

        @vtk.calldata_type(vtk.VTK_OBJECT)  # type: ignore[untyped-decorator]
        def gone(_scene: Any, _event: str, node: Any) -> None:
            if self._isNeeded(node):
                self._onGone()

        events = slicer.vtkMRMLScene
        self._tags = [
            self._scene.AddObserver(events.NodeAboutToBeRemovedEvent, going),
            self._scene.AddObserver(events.NodeRemovedEvent, gone),
        ]

    def stop(self) -> None:
        """Hear no more."""
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._tags = []
