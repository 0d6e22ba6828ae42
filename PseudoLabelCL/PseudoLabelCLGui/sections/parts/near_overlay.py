"""The voxels that count when only the changed ones and those near them do, over the image."""

from pathlib import Path
from typing import Any

import slicer

from PseudoLabelCLGui.mrml_bridge import VoxelMemory, ijk_to_ras, keep_out_of_lists
from PseudoLabelCLGui.mrml_bridge.spare_nodes import empty_node
from PseudoLabelCLGui.slice_views import showLabelLayer
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.geometry import Geometry

_COLOR_TAG = "PseudoLabelCLNear"
_COLOR = (0.0, 0.9, 0.9, 1.0)


class NearOverlay:
    """A label layer that is in the scene only while it is shown."""

    def __init__(self) -> None:
        self._node: Any = None

    @staticmethod
    def read(file: str, geometry: Geometry) -> VoxelMemory:
        """Prepare what a thread reads: 1 where a voxel counts."""
        return VoxelMemory.for_volume(Path(file), geometry)

    def show(self, voxels: VoxelMemory) -> Any:
        """Show voxels that were read; return the node."""
        if self._node is None or not slicer.mrmlScene.IsNodePresent(self._node):
            self._node = _makeNode()
        was_modifying = self._node.StartModify()
        self._node.SetIJKToRASMatrix(ijk_to_ras(voxels.geometry))
        self._node.SetAndObserveImageData(voxels.image)
        self._node.EndModify(was_modifying)
        showLabelLayer(self._node, visible=True)
        return self._node

    def hide(self) -> None:
        """Take the layer out of the views."""
        if self._node is not None and slicer.mrmlScene.IsNodePresent(self._node):
            showLabelLayer(self._node, visible=False)
            empty_node(self._node)

    def remove(self) -> None:
        """Take the node out of the scene."""
        node, self._node = self._node, None
        if node is not None and slicer.mrmlScene.IsNodePresent(node):
            display = node.GetDisplayNode()
            slicer.mrmlScene.RemoveNode(node)
            if display is not None and slicer.mrmlScene.IsNodePresent(display):
                slicer.mrmlScene.RemoveNode(display)

    def forget(self) -> None:
        """Forget a node that was removed with the scene."""
        self._node = None


def _makeNode() -> Any:
    name = _("what counts of the correction")
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", name)
    keep_out_of_lists(node)
    node.SetSaveWithScene(False)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSaveWithScene(False)
    display.SetAndObserveColorNodeID(_colorNode().GetID())
    return node


def _colorNode() -> Any:
    node = slicer.mrmlScene.GetSingletonNode(_COLOR_TAG, "vtkMRMLColorTableNode")
    if node is not None:
        return node
    node = slicer.vtkMRMLColorTableNode()
    node.SetSingletonTag(_COLOR_TAG)
    node.SetName(_("What counts"))
    node.SetTypeToUser()
    node.SetNumberOfColors(2)
    node.SetColor(0, _("does not count"), 0.0, 0.0, 0.0, 0.0)
    node.SetColor(1, _("counts"), *_COLOR)
    node.SetSaveWithScene(False)
    return slicer.mrmlScene.AddNode(node)
