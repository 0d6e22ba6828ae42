"""Slice views: what they show while a case is shown, how they fit, and jumping to a slice."""

from dataclasses import dataclass
from typing import Any

import slicer
import vtk

from PseudoLabelCLGui.mrml_bridge import ijk_to_ras
from PseudoLabelCLLib.domain.geometry import Geometry

Point = tuple[float, float, float]
# Faint: the image and the outline above it must stay readable.
_DOUBT_OPACITY = 0.22
_NEAR_OPACITY = 0.4


@dataclass(frozen=True)
class _ViewBefore:
    """What a slice view showed before, and where."""

    layers: tuple[str | None, str | None, str | None]
    opacities: tuple[float, float]
    place: Any
    field_of_view: tuple[float, float, float]
    centre: tuple[float, float, float]


class Stage:
    """The views while a case is shown: all that is not of the case is hidden.

    `restore` puts everything back as the person had it. What the person shows or hides meanwhile
    stays as it is then.
    """

    def __init__(self) -> None:
        self._hidden: list[Any] = []
        self._before: dict[str, _ViewBefore] = {}
        self._own: set[str] = set()
        self._shown: list[Any] = []
        self._isOfCase = False

    @property
    def isOfCase(self) -> bool:
        """Whether the views show a case that is reviewed."""
        return self._isOfCase

    def showCase(
        self,
        volumeNode: Any,
        doubtNode: Any,
        segmentations: tuple[Any, ...],
        place: Point | None = None,
    ) -> None:
        """Show a case that is reviewed, as `show` does; whatever else comes must wait for it."""
        self._isOfCase = True
        self.show(volumeNode, doubtNode, segmentations, place)

    def show(
        self,
        volumeNode: Any,
        doubtNode: Any,
        segmentations: tuple[Any, ...],
        place: Point | None = None,
    ) -> None:
        """Show a volume in all slice views, with its segmentations alone, and fit the views.

        Args:
            volumeNode: The volume.
            doubtNode: The map of doubt above it, or None.
            segmentations: What may be seen over it.
            place: A point (RAS, in mm) that all views show, or None.
        """
        self._shown = [node for node in segmentations if node is not None]
        self._own |= {node.GetID() for node in (volumeNode, doubtNode) if node is not None}
        self.hideOthers()
        for sliceWidget in _sliceWidgets():
            composite = sliceWidget.sliceLogic().GetSliceCompositeNode()
            self._remember(composite, sliceWidget.mrmlSliceNode())
        for composite in _compositeNodes():
            self._remember(composite, None)
            was_modifying = composite.StartModify()
            composite.SetBackgroundVolumeID(volumeNode.GetID())
            composite.SetForegroundVolumeID(doubtNode.GetID() if doubtNode is not None else None)
            composite.SetLabelVolumeID(None)
            composite.EndModify(was_modifying)
        for sliceWidget in _sliceWidgets():
            node = sliceWidget.mrmlSliceNode()
            was_modifying = node.StartModify()  # one update of the view, not one for each step
            node.RotateToVolumePlane(volumeNode)
            sliceWidget.sliceLogic().FitSliceToAll()
            if place is not None:
                node.JumpSliceByOffsetting(*place)
            node.EndModify(was_modifying)

    def hideOthers(self) -> None:
        """Hide all segmentations that are not of the case, such as one that came just now."""
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
            if not any(node is one for one in self._shown):
                for number in range(node.GetNumberOfDisplayNodes()):
                    display = node.GetNthDisplayNode(number)
                    if display is not None and display.GetVisibility():
                        display.SetVisibility(False)
                        self._hidden.append(display)

    def owns(self, node: Any) -> None:
        """Let a layer, such as the map of doubt, go with the case."""
        self._own.add(node.GetID())

    def restore(self) -> None:
        """Show again what was hidden, and in every slice view what was there before."""
        for display in self._hidden:
            if slicer.mrmlScene.IsNodePresent(display) and not display.GetVisibility():
                display.SetVisibility(True)
        widgets = {w.sliceLogic().GetSliceCompositeNode().GetID(): w for w in _sliceWidgets()}
        for composite in _compositeNodes():
            before = self._before.get(composite.GetID())
            if before is not None:
                widget = widgets.get(composite.GetID())
                self._putBack(composite, before, widget.mrmlSliceNode() if widget else None)
        self.forget()

    def forget(self) -> None:
        """Forget all that is remembered, as when the scene was closed."""
        self._hidden, self._shown = [], []
        self._before, self._own = {}, set()
        self._isOfCase = False

    def _remember(self, composite: Any, sliceNode: Any | None) -> None:
        if composite.GetID() in self._before:
            return
        place, field, centre = None, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
        if sliceNode is not None:
            place = vtk.vtkMatrix4x4()
            place.DeepCopy(sliceNode.GetSliceToRAS())
            field, centre = sliceNode.GetFieldOfView(), sliceNode.GetXYZOrigin()
        self._before[composite.GetID()] = _ViewBefore(
            _layersOf(composite),
            (composite.GetForegroundOpacity(), composite.GetLabelOpacity()),
            place,
            field,
            centre,
        )

    def _putBack(self, composite: Any, before: _ViewBefore, sliceNode: Any | None) -> None:
        background, foreground, label = _layersOf(composite)
        was_modifying = composite.StartModify()
        isOurs = self._isOurs(background)
        if isOurs:
            composite.SetBackgroundVolumeID(_ifPresent(before.layers[0]))
        if self._isOurs(foreground):
            composite.SetForegroundVolumeID(_ifPresent(before.layers[1]))
            composite.SetForegroundOpacity(before.opacities[0])
        if self._isOurs(label):
            composite.SetLabelVolumeID(_ifPresent(before.layers[2]))
            composite.SetLabelOpacity(before.opacities[1])
        composite.EndModify(was_modifying)
        if isOurs and before.place is not None and sliceNode is not None:
            sliceNode.GetSliceToRAS().DeepCopy(before.place)
            sliceNode.UpdateMatrices()
            sliceNode.SetFieldOfView(*before.field_of_view)
            sliceNode.SetXYZOrigin(*before.centre)

    def _isOurs(self, node_id: str | None) -> bool:
        return node_id is None or node_id in self._own


def showDoubt(doubtNode: Any, visible: bool) -> None:
    """Show or hide the doubt map above the volume; other overlays are left alone."""
    if doubtNode is None:
        return
    for composite in _compositeNodes():
        if composite.GetForegroundVolumeID() == doubtNode.GetID():
            composite.SetForegroundOpacity(_DOUBT_OPACITY if visible else 0.0)


def showForeground(node: Any) -> None:
    """Put a volume above the one that is shown, where nothing else lies there."""
    for composite in _compositeNodes():
        if not composite.GetForegroundVolumeID():
            composite.SetForegroundVolumeID(node.GetID())


def showLabelLayer(node: Any, visible: bool) -> None:
    """Show a label volume over the image, or take it away."""
    for composite in _compositeNodes():
        isShown = composite.GetLabelVolumeID() == node.GetID()
        if visible and not isShown:
            composite.SetLabelVolumeID(node.GetID())
            composite.SetLabelOpacity(_NEAR_OPACITY)
        elif isShown and not visible:
            composite.SetLabelVolumeID(None)


def jumpTo(place: Point) -> None:
    """Let all slice views show a point (RAS, in mm)."""
    nodeClass = slicer.vtkMRMLSliceNode
    nodeClass.JumpAllSlices(slicer.mrmlScene, *place, nodeClass.OffsetJumpSlice)


def middleOfSlice(geometry: Geometry, slicingAxis: int, index: int) -> Point:
    """Return the middle of one slice of a grid, in RAS and mm.

    Args:
        geometry: The grid.
        slicingAxis: 0, 1 or 2 for i, j, k.
        index: Of the slice along that axis.
    """
    ijk = [(length - 1) / 2 for length in geometry.size]
    ijk[slicingAxis] = index
    r, a, s, _one = ijk_to_ras(geometry).MultiplyPoint((*ijk, 1.0))
    return r, a, s


def _layersOf(composite: Any) -> tuple[str | None, str | None, str | None]:
    return (
        composite.GetBackgroundVolumeID() or None,
        composite.GetForegroundVolumeID() or None,
        composite.GetLabelVolumeID() or None,
    )


def _ifPresent(node_id: str | None) -> str | None:
    return node_id if node_id and slicer.mrmlScene.GetNodeByID(node_id) is not None else None


def _compositeNodes() -> list[Any]:
    return list(slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"))


def _sliceWidgets() -> list[Any]:
    layoutManager = slicer.app.layoutManager()
    if layoutManager is None:  # Slicer runs without a window
        return []
    return [layoutManager.sliceWidget(name) for name in layoutManager.sliceViewNames()]
