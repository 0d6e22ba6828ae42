"""Nodes of a case that was left, for the next one; and how nodes are taken out of the scene."""

from typing import Any

import slicer
import vtk

from PseudoLabelCLGui.mrml_bridge.scene_link import Made, forget_case_of
from PseudoLabelCLGui.mrml_bridge.voxel_memory import SpareVoxels


class SpareNodes:
    """Empty nodes that stay in the scene until the next case fills them.

    Slicer takes half a second to remove a large segmentation and more than a second to begin
    editing another node, but a few milliseconds to show other contents of the same node.
    """

    def __init__(self) -> None:
        self._nodes: dict[Made, Any] = {}

    def keep(self, node: Any, kind: Made, voxels: SpareVoxels | None = None) -> None:
        """Empty a node that showed a case, and hide it; a second one of its kind is removed.

        Args:
            node: The node.
            kind: What it was made as.
            voxels: Keeps its voxels' memory, or None.
        """
        if kind in self._nodes:
            remove_node(node, voxels)
            return
        was_modifying = node.StartModify()
        forget_case_of(node)
        if node.IsA("vtkMRMLSegmentationNode"):
            node.GetDisplayNode().SetVisibility(False)
        empty_node(node, voxels)
        node.EndModify(was_modifying)
        self._nodes[kind] = node

    def take(self, kind: Made) -> Any | None:
        """Return an empty node that was made as something, or None if there is none."""
        node = self._nodes.pop(kind, None)
        return node if node is not None and slicer.mrmlScene.IsNodePresent(node) else None

    def clear(self) -> None:
        """Take out of the scene what no case has filled."""
        nodes, self._nodes = list(self._nodes.values()), {}
        for node in nodes:
            if slicer.mrmlScene.IsNodePresent(node):
                remove_node(node)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is kept."""
        return not self._nodes

    def forget(self) -> None:
        """Forget nodes that were removed with the scene."""
        self._nodes = {}


def remove_node(node: Any, voxels: SpareVoxels | None = None) -> None:
    """Take a node and what serves it out of the scene.

    Args:
        node: The node.
        voxels: Keeps its voxels' memory, or None.
    """
    scene = node.GetScene()
    serving = [node.GetDisplayNode(), node.GetStorageNode()]
    empty_node(node, voxels)
    scene.RemoveNode(node)
    for other in serving:
        # a display node that went with its node is not removed again: that logs an error
        if other is not None and scene.IsNodePresent(other):
            scene.RemoveNode(other)


def empty_node(node: Any, voxels: SpareVoxels | None = None) -> None:
    """Take the voxels out of a node.

    Args:
        node: A volume or segmentation node.
        voxels: Keeps their memory, or None.
    """
    if voxels is not None:
        voxels.keep(node)
    if node.IsA("vtkMRMLSegmentationNode"):
        old = node.GetSegmentation()
        node.SetAndObserveSegmentation(slicer.vtkSegmentation())
        let_go_of_voxels(old)
    else:
        # a volume without voxels in a slice view fills the log with errors
        node.SetAndObserveImageData(_one_voxel())


def _one_voxel() -> Any:
    image = vtk.vtkImageData()
    image.SetDimensions(1, 1, 1)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    image.GetPointData().GetScalars().Fill(0)
    return image


def let_go_of_voxels(segmentation: Any) -> None:
    """Take the voxels from the segments of a segmentation that no node has any longer.

    A segmentation that ends with its voxels first erases one segment after the other from the
    volume they share: half a second for 512 x 512 x 200 voxels.
    """
    for number in range(segmentation.GetNumberOfSegments()):
        segmentation.GetNthSegment(number).RemoveAllRepresentations()
