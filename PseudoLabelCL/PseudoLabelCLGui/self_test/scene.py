"""The part of the self-test in Slicer on other people's segmentations in the scene."""

from typing import Any

import numpy as np
import slicer

from PseudoLabelCLGui.self_test.shared import check

_SHAPE = (12, 12, 12)  # k, j, i
_OF_DISPLAY = (
    "GetVisibility", "GetVisibility2D", "GetVisibility3D", "GetVisibility2DFill",
    "GetVisibility2DOutline", "GetOpacity", "GetOpacity2DFill", "GetOpacity2DOutline",
    "GetOpacity3D",
)  # fmt: skip
_OF_SEGMENT = (
    "GetSegmentVisibility", "GetSegmentVisibility2DFill", "GetSegmentVisibility2DOutline",
    "GetSegmentVisibility3D", "GetSegmentOpacity2DFill", "GetSegmentOpacity2DOutline",
    "GetSegmentOpacity3D",
)  # fmt: skip


class OtherSegmentations:
    """Segmentations of other patients, seen and hidden in the ways that a person can choose."""

    def __init__(self) -> None:
        self._volume = slicer.util.addVolumeFromArray(np.ones(_SHAPE, np.int16), name="Other")
        plain = self._add("Other, as it comes")
        outlined = self._add("Other, an outline and in 3-D").GetDisplayNode()
        outlined.SetVisibility2DFill(False)
        outlined.SetOpacity3D(0.3)
        self._add("Other, in 3-D alone").GetDisplayNode().SetVisibility2D(False)
        partly = self._add("Other, one structure hidden").GetDisplayNode()
        partly.SetSegmentVisibility("first", False)
        partly.SetSegmentVisibility3D("second", False)
        hidden = self._add("Other, hidden by the person")
        hidden.GetDisplayNode().SetVisibility(False)
        plain.CreateDefaultDisplayNodes()
        self._before = self._looks()

    def check_hidden(self) -> None:
        """Check that none of them can be seen, neither in slices nor in 3-D."""
        for node in self._nodes():
            display = node.GetDisplayNode()
            is_seen = display.GetVisibility() and (
                display.GetVisibility2D() or display.GetVisibility3D()
            )
            check(not is_seen, f"'{node.GetName()}' lies over the case that is shown.")

    def check_back(self) -> None:
        """Check that each is seen again exactly as it was."""
        for name, look in self._looks().items():
            differing = [f"{key}: {value}" for key, value in look.items()
                         if value != self._before[name][key]]  # fmt: skip
            check(not differing, f"'{name}' did not come back as it was: {', '.join(differing)}.")
        check(len(self._nodes()) == len(self._before), "A segmentation of others is gone.")

    def remove(self) -> None:
        """Take them out of the scene."""
        for node in (*self._nodes(), self._volume):
            slicer.mrmlScene.RemoveNode(node)

    def _add(self, name: str) -> Any:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
        node.CreateDefaultDisplayNodes()
        node.SetReferenceImageGeometryParameterFromVolumeNode(self._volume)
        for number, segment_id in enumerate(("first", "second")):
            node.GetSegmentation().AddEmptySegment(segment_id, segment_id)
            array = np.zeros(_SHAPE, np.uint8)
            array[2 + 4 * number : 5 + 4 * number, 3:9, 3:9] = 1
            slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, segment_id, self._volume)
        node.CreateClosedSurfaceRepresentation()
        return node

    def _nodes(self) -> list[Any]:
        nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        return [node for node in nodes if node.GetName().startswith("Other, ")]

    def _looks(self) -> dict[str, dict[str, Any]]:
        return {node.GetName(): _look_of(node) for node in self._nodes()}


def _look_of(node: Any) -> dict[str, Any]:
    display = node.GetDisplayNode()
    look = {name: getattr(display, name)() for name in _OF_DISPLAY}
    for segment_id in ("first", "second"):
        look |= {
            f"{name} of {segment_id}": getattr(display, name)(segment_id) for name in _OF_SEGMENT
        }
    return look
