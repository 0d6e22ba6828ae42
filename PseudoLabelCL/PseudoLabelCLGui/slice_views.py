"""Slice views: what they show, how they fit, and jumping to a slice."""

from typing import Any

import slicer

from PseudoLabelCLGui.mrml_bridge import ijk_to_ras
from PseudoLabelCLLib.domain.geometry import Geometry

_DOUBT_OPACITY = 0.4


def showInViews(volumeNode: Any, doubtNode: Any) -> None:
    """Show a volume in all slice views, with the doubt map above it, and fit the views.

    Args:
        volumeNode: The volume.
        doubtNode: The map of doubt, or None.
    """
    for composite in _compositeNodes():
        composite.SetBackgroundVolumeID(volumeNode.GetID())
        composite.SetForegroundVolumeID(doubtNode.GetID() if doubtNode is not None else None)
        composite.SetLabelVolumeID(None)
    for sliceWidget in _sliceWidgets():
        sliceWidget.mrmlSliceNode().RotateToVolumePlane(volumeNode)
        sliceWidget.sliceLogic().FitSliceToAll()


def showDoubt(doubtNode: Any, visible: bool) -> None:
    """Show or hide the doubt map above the volume; other overlays are left alone."""
    if doubtNode is None:
        return
    for composite in _compositeNodes():
        if composite.GetForegroundVolumeID() == doubtNode.GetID():
            composite.SetForegroundOpacity(_DOUBT_OPACITY if visible else 0.0)


def showOutline(segmentationNode: Any, outline: bool) -> None:
    """Show segments as outlines only, or filled."""
    display = segmentationNode.GetDisplayNode()
    if display is not None:
        display.SetVisibility2DFill(not outline)
        display.SetVisibility2DOutline(True)


def jumpToSlice(geometry: Geometry, slicingAxis: int, index: int) -> None:
    """Let all slice views show the middle of one slice of a grid.

    Args:
        geometry: The grid.
        slicingAxis: 0, 1 or 2 for i, j, k.
        index: Of the slice along that axis.
    """
    ijk = [(length - 1) / 2 for length in geometry.size]
    ijk[slicingAxis] = index
    ras = ijk_to_ras(geometry).MultiplyPoint((*ijk, 1.0))[:3]
    nodeClass = slicer.vtkMRMLSliceNode
    nodeClass.JumpAllSlices(slicer.mrmlScene, *ras, nodeClass.OffsetJumpSlice)


def _compositeNodes() -> list[Any]:
    return list(slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"))


def _sliceWidgets() -> list[Any]:
    layoutManager = slicer.app.layoutManager()
    if layoutManager is None:  # Slicer runs without a window
        return []
    return [layoutManager.sliceWidget(name) for name in layoutManager.sliceViewNames()]
