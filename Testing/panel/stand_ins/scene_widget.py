"""What all of Slicer's widgets have in common: a scene."""

# ruff: noqa: N802, N815 - the names are Slicer's

from typing import Any

import slicer
from PySide6 import QtCore, QtWidgets


class SceneWidget(QtWidgets.QWidget):
    """A widget that is given a scene."""

    mrmlSceneChanged = QtCore.Signal(object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._tags: list[int] = []

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        if scene is self._scene:
            return
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._scene = scene
        self._tags = []
        if scene is not None:
            self._tags = [
                scene.AddObserver(event, self._onScene)
                for event in (
                    slicer.vtkMRMLScene.NodeAddedEvent,
                    slicer.vtkMRMLScene.NodeRemovedEvent,
                    slicer.vtkMRMLScene.EndCloseEvent,
                )
            ]
        self._onScene(None, "")
        self.mrmlSceneChanged.emit(scene)

    def _onScene(self, _caller: Any, _event: str) -> None:
        """Follow the scene."""
