"""Whether a person changed a proposal, and proposals that came back with a saved scene."""

from typing import Any

import numpy as np

from PseudoLabelCLGui.mrml_bridge.case_memory import editable_file
from PseudoLabelCLGui.mrml_bridge.scene_link import Made, case_of, hand_over, nodes_of_case
from PseudoLabelCLGui.mrml_bridge.segmentations import BINARY_LABELMAP, snapshot_segmentation
from PseudoLabelCLGui.mrml_bridge.voxel_memory import SpareVoxels
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.desk_answers import CaseFiles
from PseudoLabelCLLib.domain.errors import AnnotationError, VolumeError
from PseudoLabelCLLib.domain.segmentation import LabelSchema


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
    known = {label.segment_id for label in labels}
    if any(s.segment_id not in known for s in now.segments):
        empty = now.empty_segments()
        if any(s.segment_id not in known and s.name not in empty for s in now.segments):
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


def remove_node(node: Any, spare: SpareVoxels | None = None) -> None:
    """Take a node and what serves it out of the scene.

    Args:
        node: The node.
        spare: Keeps its voxels' memory, or None.
    """
    if spare is not None:
        spare.keep(node)
    scene = node.GetScene()
    serving = [node.GetDisplayNode(), node.GetStorageNode()]
    scene.RemoveNode(node)
    for other in serving:
        if other is not None:
            scene.RemoveNode(other)
    if node.IsA("vtkMRMLSegmentationNode"):
        _let_go_of_voxels(node.GetSegmentation())


def _let_go_of_voxels(segmentation: Any) -> None:
    """Take the voxels from the segments of a node that is gone.

    A segmentation that ends with its voxels first erases one segment after the other from the
    volume they share: half a second for 512 x 512 x 200 voxels.
    """
    for number in range(segmentation.GetNumberOfSegments()):
        segmentation.GetNthSegment(number).RemoveAllRepresentations()
