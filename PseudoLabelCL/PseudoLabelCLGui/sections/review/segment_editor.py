"""The Segment Editor inside the panel, with a node of its own."""

from typing import Any

import slicer

_TAG = "PseudoLabelCL"
_FIRST_EFFECT = "Paint"


class EmbeddedSegmentEditor:
    """Lets a person change one segmentation with Slicer's own tools.

    Its settings are kept apart from those of the Segment Editor module by an editor node of its
    own. The volume is given to it with the first brush: Slicer then looks at every voxel, twice,
    which takes a second or two for a large volume and is not needed to look at a case.

    Args:
        widget: A qMRMLSegmentEditorWidget.
    """

    def __init__(self, widget: Any) -> None:
        self._widget = widget
        self._node: Any = None
        self._volume: Any = None
        self._isObserving = False
        self._isEntered = False

    def edit(self, segmentationNode: Any, volumeNode: Any) -> None:
        """Offer a segmentation for editing; its volume must be in the scene."""
        self._makeNode()
        self._volume = volumeNode
        if self._widget.segmentationNode() is not segmentationNode:
            # with a reference volume the widget would take that as its source at once
            role = segmentationNode.GetReferenceImageGeometryReferenceRole()
            segmentationNode.RemoveNodeReferenceIDs(role)
            self._widget.setSegmentationNode(segmentationNode)
            segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
        self._chooseFirstSegment(segmentationNode)
        self._observe()

    def rest(self) -> None:
        """Deselect the tool and release the volume; the segmentation may get other contents."""
        self._volume = None
        if self._node is None:
            return
        self.stopEffect()
        self._ignore()
        if self._widget.sourceVolumeNode() is not None:
            self._widget.setSourceVolumeNode(None)  # before the segmentation, or Slicer complains

    def leave(self) -> None:
        """Offer nothing for editing."""
        self.rest()
        if self._widget.segmentationNode() is not None:
            self._widget.setSegmentationNode(None)

    def startEffect(self) -> None:
        """Take the brush."""
        if self._volume is None:
            return
        if self._widget.sourceVolumeNode() is not self._volume:
            self._widget.setSourceVolumeNode(self._volume)
        self._widget.setActiveEffectByName(_FIRST_EFFECT)

    def stopEffect(self) -> None:
        """Put the tools down."""
        if self.hasEffect:
            self._widget.setActiveEffect(None)

    @property
    def hasEffect(self) -> bool:
        """Whether a tool is in use."""
        return self._widget.activeEffect() is not None

    @property
    def segmentId(self) -> str:
        """The chosen segment, or an empty text."""
        return str(self._widget.currentSegmentID() or "")

    def enter(self) -> None:
        """The module is shown: mouse and keys may paint again."""
        self._isEntered = True
        self._observe()

    def exit(self) -> None:
        """Another module is shown: nothing may paint behind its back."""
        self._isEntered = False
        if self._node is not None:
            self.stopEffect()
        self._ignore()

    def sceneClosed(self) -> None:
        """Forget the nodes that were removed with the scene."""
        self.leave()
        self._widget.setMRMLSegmentEditorNode(None)
        self._node = None

    def cleanUp(self) -> None:
        """Release everything, in the order that Slicer needs."""
        self.leave()
        self._widget.setMRMLSegmentEditorNode(None)
        if self._node is not None and slicer.mrmlScene.IsNodePresent(self._node):
            slicer.mrmlScene.RemoveNode(self._node)
        self._node = None
        self._widget.setMRMLScene(None)

    def _makeNode(self) -> None:
        if self._node is not None and slicer.mrmlScene.IsNodePresent(self._node):
            return
        node = slicer.vtkMRMLSegmentEditorNode()
        node.SetSingletonTag(_TAG)
        node.SetSaveWithScene(False)
        self._node = slicer.mrmlScene.AddNode(node)
        self._widget.setMRMLSegmentEditorNode(self._node)

    def _chooseFirstSegment(self, segmentationNode: Any) -> None:
        segmentation = segmentationNode.GetSegmentation()
        isChosen = self.segmentId and segmentation.GetSegment(self.segmentId) is not None
        if not isChosen and segmentation.GetNumberOfSegments():
            self._widget.setCurrentSegmentID(segmentation.GetNthSegmentID(0))

    def _observe(self) -> None:
        isReady = self._isEntered and self._volume is not None
        if isReady and not self._isObserving:
            self._widget.setupViewObservations()
            # keys count in the main window; Slicer can run without one
            self._widget.installKeyboardShortcuts(slicer.util.mainWindow() or self._widget)
            self._isObserving = True

    def _ignore(self) -> None:
        if self._isObserving:
            self._widget.uninstallKeyboardShortcuts()
            self._widget.removeViewObservations()
            self._isObserving = False
