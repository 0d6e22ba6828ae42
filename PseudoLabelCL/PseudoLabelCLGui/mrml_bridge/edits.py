"""Whether a person changed a proposal, and proposals that came back with a saved scene."""

from typing import Any

import numpy as np
import slicer

from PseudoLabelCLGui.mrml_bridge.case_memory import editable_file
from PseudoLabelCLGui.mrml_bridge.scene_link import Made, case_of, hand_over, nodes_of_case
from PseudoLabelCLGui.mrml_bridge.segmentations import BINARY_LABELMAP, snapshot_segmentation
from PseudoLabelCLGui.mrml_bridge.spare_nodes import remove_node
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.errors import AnnotationError, VolumeError
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.messages.answers import CaseFiles


def segment_times(node: Any) -> dict[str, tuple[int, int]]:
    """Return what tells a touched segment at once: its label value and its voxels' last change."""
    segmentation = node.GetSegmentation()
    found = {}
    for number in range(segmentation.GetNumberOfSegments()):
        segment_id = segmentation.GetNthSegmentID(number)
        segment = segmentation.GetSegment(segment_id)
        voxels = segment.GetRepresentation(BINARY_LABELMAP)
        found[segment_id] = (segment.GetLabelValue(), voxels.GetMTime() if voxels else 0)
    return found


def differs_from_file(node: Any, volume: Any, files: CaseFiles, labels: LabelSchema) -> bool:
    """Compare the voxels of a segmentation with those that it was made from.

    What cannot be compared is taken for different: it is kept as if a person had edited it.
    """
    try:
        start = np.load(editable_file(files) or "", mmap_mode="r", allow_pickle=False)
        now = snapshot_segmentation(node, volume, files.geometry, is_copy=False)
        if start.shape != files.geometry.array_shape:
            return True
    except (OSError, ValueError, EOFError, AnnotationError, VolumeError):
        return True
    if now.has_unknown_segments(labels):
        return True
    return now.differs_from(start, labels)


def keep_edited(node: Any) -> None:
    """Let an edited proposal be the person's own; the name says that no verdict took it."""
    hand_over(node)
    node.SetName(_("{name} (edited, not saved)").format(name=node.GetName()))


def take_up_edits(files: CaseFiles, labels: LabelSchema, volume: Any, project: str) -> Any | None:
    """Return the edited proposal of a case that was saved with the scene, or None.

    It is taken up only if the case has no verdict yet: what the project has is newer otherwise.
    Edited ones that are not taken up stay as the person's own; those that nobody edited go.
    """
    taken = None
    found = nodes_of_case(project, files.case_id, "vtkMRMLSegmentationNode", Made.PROPOSAL)
    for node in found if project else ():
        mark = case_of(node)
        same_round = mark is not None and mark.round_index == files.round_index
        if same_round and not differs_from_file(node, volume, files, labels):
            remove_node(node)
        elif same_round and files.proposal and not files.reviewed and taken is None:
            taken = node
        else:
            keep_edited(node)
    return taken


def remove_stale_images(case_id: str, project: str, volume: Any) -> None:
    """Remove images of a case that came back with a saved scene, now that it has another.

    One that a segmentation in the scene still refers to becomes the person's own.
    """
    found = nodes_of_case(project, case_id, "vtkMRMLScalarVolumeNode", Made.IMAGE)
    for node in found if project else ():
        if node is volume:
            continue
        role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
        segmentations = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        if any(one.GetNodeReference(role) is node for one in segmentations):
            hand_over(node)
        else:
            remove_node(node)
