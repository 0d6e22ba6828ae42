"""The colours of the map of doubt: clear where the network is sure, yellow, then red."""

from typing import Any

import slicer

from PseudoLabelCLGui.translation import _

DOUBT_SHOWN_FROM_PERCENT = 10.0
_TAG = "PseudoLabelCLDoubt"
_NUM_COLORS = 256


def doubt_color_node() -> Any:
    """Return the colour table of the scene for doubt, made if it is not there."""
    node = slicer.mrmlScene.GetSingletonNode(_TAG, "vtkMRMLColorTableNode")
    if node is not None:
        return node
    node = slicer.vtkMRMLColorTableNode()
    node.SetSingletonTag(_TAG)
    node.SetName(_("Doubt"))
    node.SetTypeToUser()
    node.SetNumberOfColors(_NUM_COLORS)
    for number in range(_NUM_COLORS):
        doubt = number / (_NUM_COLORS - 1)
        node.SetColor(number, f"{doubt:.0%}", 1.0, 1.0 - doubt, 0.0, 1.0)
    node.SetSaveWithScene(False)
    return slicer.mrmlScene.AddNode(node)
