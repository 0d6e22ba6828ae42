"""What Slicer writes into its log when the scene is treated otherwise than it expects."""

from typing import Any

import slicer
import vtk


class Complaints:
    """Errors of the subject hierarchy and of views, as they were seen in the application.

    Args:
        scene: The scene.
    """

    def __init__(self, scene: Any) -> None:
        self.lines: list[str] = []
        self._scene = scene
        self._kept: list[Any] = []

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def removed(_scene: Any, _event: str, node: Any) -> None:
            if node.GetScene() is None:  # it went with the node that it displays
                self.lines.append(f"Failed to access subject hierarchy node: {node.GetName()}")

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def added(_scene: Any, _event: str, node: Any) -> None:
            if node.IsA("vtkMRMLSegmentationNode") and node.GetHideFromEditors():
                self._watch(node.GetSegmentation(), node.GetName())

        events = slicer.vtkMRMLScene
        scene.AddObserver(events.NodeAboutToBeRemovedEvent, removed)
        scene.AddObserver(events.NodeAddedEvent, added)
        scene.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._look_at_views())

    def look(self) -> list[str]:
        """Return all complaints, those of the views as they are now too."""
        self._look_at_views()
        return self.lines

    def _watch(self, segmentation: Any, name: str) -> None:
        def complain(_caller: Any, _event: str) -> None:
            self.lines.append(f"Failed to access subject hierarchy item of segmentation {name}")

        self._kept.append(segmentation)
        segmentation.AddObserver(slicer.vtkSegmentation.SegmentAdded, complain)
        segmentation.AddObserver(slicer.vtkSegmentation.SegmentModified, complain)

    def _look_at_views(self) -> None:
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            layers = (composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID())
            for node_id in layers:
                node = self._scene.GetNodeByID(node_id) if node_id else None
                if node is not None and node.GetImageData() is None:
                    self.lines.append(f"Input port 0 of algorithm has 0 connections: {node_id}")
