"""The module's node in the scene: it keeps only where the project lies."""

from typing import Any

import slicer

from PseudoLabelCLGui.mrml_bridge import project_of, remember_project

_MODULE_NAME = "PseudoLabelCL"


class ParameterNode:
    """Finds and makes the node; the project folder itself is the truth."""

    def rememberProject(self, root: str) -> None:
        """Let the scene say which project belongs to it; an empty text says none."""
        node = self._find()
        if node is None and not root:
            return
        node = node or self._make()
        node.SetModuleName(_MODULE_NAME)  # closing a scene empties the node, but leaves it there
        remember_project(node, root)

    def project(self) -> str:
        """Return the project that belongs to the scene, or an empty text."""
        node = self._find()
        return project_of(node) if node is not None else ""

    def _find(self) -> Any:
        return slicer.mrmlScene.GetSingletonNode(_MODULE_NAME, "vtkMRMLScriptedModuleNode")

    def _make(self) -> Any:
        node = slicer.vtkMRMLScriptedModuleNode()
        node.SetSingletonTag(_MODULE_NAME)
        node.SetName(_MODULE_NAME)
        return slicer.mrmlScene.AddNode(node)
