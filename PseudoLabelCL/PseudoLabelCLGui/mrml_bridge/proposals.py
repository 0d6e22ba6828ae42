"""A case in the scene: its image, the proposal that a person may edit, doubt, the round before."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from PseudoLabelCLGui.mrml_bridge.doubt_colors import DOUBT_SHOWN_FROM_PERCENT, doubt_color_node
from PseudoLabelCLGui.mrml_bridge.geometry import geometry_of
from PseudoLabelCLGui.mrml_bridge.scene_link import (
    CaseMark,
    Made,
    hand_over,
    made_as,
    mark_made,
    put_beside,
)
from PseudoLabelCLGui.mrml_bridge.segmentations import BINARY_LABELMAP, snapshot_segmentation
from PseudoLabelCLGui.mrml_bridge.terminology import terminology_text
from PseudoLabelCLGui.mrml_bridge.volumes import add_volume
from PseudoLabelCLGui.mrml_bridge.voxel_memory import VoxelMemory
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.desk_answers import CaseFiles
from PseudoLabelCLLib.domain.errors import AnnotationError, VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.segmentation import LabelSchema

_FILL_OPACITY = 0.35
_OUTLINE_MM = 2


@dataclass(frozen=True)
class ShownCase:
    """The nodes of a case that is shown.

    Args:
        files: What it was made from.
        labels: The structures.
        volume: The image: a person's node, or one made here.
        proposal: The copy that a person may edit, or None.
        doubt: The map of doubt, or None.
        previous: The proposal of the round before, or None.
        unchanged: What the proposal's segments looked like at first, to see an edit at once.
    """

    files: CaseFiles
    labels: LabelSchema
    volume: Any
    proposal: Any | None
    doubt: Any | None
    previous: Any | None
    unchanged: Mapping[str, tuple[int, int]]

    @property
    def case_id(self) -> str:
        """The name of the case."""
        return self.files.case_id

    @property
    def round_index(self) -> int | None:
        """The round whose proposal is shown, or None."""
        return self.files.round_index


class CaseMemory:
    """The voxels of a case on their way into the scene.

    Making it is quick and belongs to the GUI thread; `read` may run in a thread and takes nearly
    all the time; `show_case` then puts the result into the scene.

    Args:
        files: What the desk answered.
        labels: The structures.
        with_image: Whether the image is wanted too; it is not if the scene has it.

    Raises:
        VolumeError: A file is missing, damaged, or of another size.
    """

    def __init__(self, files: CaseFiles, labels: LabelSchema, *, with_image: bool) -> None:
        def of_labels(file: str | None) -> VoxelMemory | None:
            return VoxelMemory.for_labels(Path(file), files.geometry, labels) if file else None

        def of_volume(file: str | None) -> VoxelMemory | None:
            return VoxelMemory.for_volume(Path(file), files.geometry) if file else None

        self.files = files
        self.labels = labels
        self.image = of_volume(files.image if with_image else None)
        self.doubt = (
            VoxelMemory.for_doubt(Path(files.uncertainty), files.geometry)
            if files.uncertainty
            else None
        )
        self.proposal = of_labels(editable_file(files))
        self.previous = of_labels(files.previous)

    def read(self) -> None:
        """Read all voxels; may run in a thread.

        Raises:
            VolumeError: A file is missing, damaged, or of another size.
            AnnotationError: A label value does not fit.
        """
        for memory in (self.image, self.proposal, self.doubt, self.previous):
            if memory is not None:
                memory.read()


def editable_file(files: CaseFiles) -> str | None:
    """Return the labels that a person begins with: the newest that anyone made of the case."""
    return files.reviewed or files.proposal or files.annotation


def fits_case(volume_node: Any, geometry: Geometry) -> bool:
    """Tell whether a volume in the scene has the grid of a case and can serve as its image."""
    try:
        fits = geometry_of(volume_node).is_close_to(geometry)
    except VolumeError:
        return False
    return fits and volume_node.GetParentTransformNode() is None


def show_case(
    files: CaseFiles, labels: LabelSchema, image_node: Any | None, *, project: str = ""
) -> ShownCase:
    """Put a case into the scene, reading its voxels at once.

    Args:
        files: What the desk answered.
        labels: The structures.
        image_node: A volume of the scene that is the image of the case, or None.
        project: The project's folder, by which the nodes are found again.

    Raises:
        VolumeError: A file is missing or damaged, or no image is there that fits.
        AnnotationError: A label value does not fit.
    """
    memory = CaseMemory(files, labels, with_image=image_node is None)
    memory.read()
    return show_read_case(memory, image_node, project=project)


def show_read_case(memory: CaseMemory, image_node: Any | None, *, project: str = "") -> ShownCase:
    """Put a case into the scene whose voxels have been read.

    Raises:
        VolumeError: No image is there that fits.
    """
    files, labels = memory.files, memory.labels
    _check_image(memory, image_node)
    image = memory.image
    mark = CaseMark(project, files.case_id, files.round_index)
    scene = slicer.mrmlScene
    scene.StartState(slicer.vtkMRMLScene.BatchProcessState)
    try:
        volume = image_node
        if volume is None and image is not None:
            volume = add_volume(image, files.case_id)
            volume.SetSaveWithScene(False)  # the project has it
            mark_made(volume, Made.IMAGE, CaseMark(project, files.case_id))
        proposal = _add_labels(memory.proposal, labels, _editable_name(files), volume)
        previous = _add_labels(memory.previous, labels, _previous_name(files), volume)
        doubt = _add_doubt(memory.doubt, _("{case} - doubt in percent").format(case=files.case_id))
        _style_previous(previous)
        for node, made in (
            (proposal, Made.PROPOSAL),
            (previous, Made.PREVIOUS),
            (doubt, Made.DOUBT),
        ):
            if node is not None:
                mark_made(node, made, mark)
                put_beside(node, volume)
    finally:
        scene.EndState(slicer.vtkMRMLScene.BatchProcessState)
    unchanged = _segment_times(proposal) if proposal is not None else {}
    return ShownCase(files, labels, volume, proposal, doubt, previous, unchanged)


def show_segmentation(
    labels_file: Path, geometry: Geometry, labels: LabelSchema, name: str, volume_node: Any
) -> Any:
    """Add a segmentation to the scene from label values; return its vtkMRMLSegmentationNode.

    Raises:
        VolumeError: The file is missing, damaged, or of another size.
        AnnotationError: A label value does not fit.
    """
    memory = VoxelMemory.for_labels(labels_file, geometry, labels)
    memory.read()
    return _add_labels(memory, labels, name, volume_node)


def is_edited(shown: ShownCase, *, look_at_voxels: bool = False) -> bool:
    """Tell whether the shown proposal was changed since it was loaded.

    Args:
        shown: The case.
        look_at_voxels: Whether to compare voxels where something was touched, so that an edit
            that was undone does not count; takes long on a large volume.
    """
    if shown.proposal is None or shown.proposal.GetScene() is None:
        return False
    if _segment_times(shown.proposal) == dict(shown.unchanged):
        return False
    return _voxels_differ(shown) if look_at_voxels else True


def forget_case(shown: ShownCase, *, edits_are_saved: bool = False) -> tuple[Any, ...]:
    """Take what the program put into the scene out of it; a person's nodes stay.

    A proposal that a person edited stays too, as a node of that person, unless its edits are
    known to be saved in the project.

    Returns:
        The nodes that stay because they were edited.
    """
    kept = []
    keeps_edits = not edits_are_saved and is_edited(shown, look_at_voxels=True)
    nodes: tuple[Any, ...] = (shown.proposal, shown.previous, shown.doubt, shown.volume)
    for node in nodes:
        if node is None or node.GetScene() is None or made_as(node) is None:
            continue
        if node is shown.proposal and keeps_edits:
            hand_over(node)
            node.SetName(_("{name} (edited, not saved)").format(name=node.GetName()))
            kept.append(node)
        elif node is shown.volume and kept:
            hand_over(node)  # the edited segmentation would lie on nothing
        else:
            _remove(node)
    return tuple(kept)


def show_as_outline(shown: ShownCase, *, outline_only: bool) -> None:
    """Show the proposal as an outline alone, or filled."""
    if shown.proposal is not None:
        shown.proposal.GetDisplayNode().SetVisibility2DFill(not outline_only)


def show_previous(shown: ShownCase, *, visible: bool) -> None:
    """Show or hide the proposal of the round before."""
    if shown.previous is not None:
        shown.previous.GetDisplayNode().SetVisibility(visible)


def _check_image(memory: CaseMemory, image_node: Any | None) -> None:
    files = memory.files
    if image_node is None and memory.image is None:
        raise VolumeError(
            _("The image of '{case}' was not read.").format(case=files.case_id),
            _("Show the case again."),
        )
    if image_node is not None and not fits_case(image_node, files.geometry):
        raise VolumeError(
            _(
                "Volume '{name}' in the scene is not the image of '{case}' any more: it was "
                "moved, cropped or resampled."
            ).format(name=image_node.GetName(), case=files.case_id),
            _("Delete it from the scene; the image of the project is shown then."),
        )


def _editable_name(files: CaseFiles) -> str:
    words = {"case": files.case_id, "round": files.round_index}
    if files.reviewed:
        return _("{case} - reviewed, round {round}").format(**words)
    if files.proposal:
        return _("{case} - proposal, round {round}").format(**words)
    return _("{case} - copy of the segmentation").format(**words)


def _previous_name(files: CaseFiles) -> str:
    before = (files.round_index or 0) - 1
    return _("{case} - round {round}, for comparison").format(case=files.case_id, round=before)


def _add_labels(
    memory: VoxelMemory | None, labels: LabelSchema, name: str, volume_node: Any
) -> Any | None:
    """Add a segmentation whose segments share one label volume."""
    if memory is None:
        return None
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    segmentation = node.GetSegmentation()
    segmentation.SetSourceRepresentationName(BINARY_LABELMAP)
    tag = slicer.vtkSegment.GetTerminologyEntryTagName()
    for label in labels:
        segment = slicer.vtkSegment()
        segment.SetName(label.name)
        segment.SetNameAutoGenerated(False)
        segment.SetColor(*label.rgb)
        segment.SetColorAutoGenerated(False)
        if label.terminology is not None:
            segment.SetTag(tag, terminology_text(label.terminology))
        segment.AddRepresentation(BINARY_LABELMAP, memory.image)
        segment.SetLabelValue(label.value)
        if not segmentation.AddSegment(segment, label.segment_id):
            slicer.mrmlScene.RemoveNode(node)
            raise AnnotationError(
                _("Slicer does not take the segment '{name}'.").format(name=label.name),
                _("Rename the structure, then show the case again."),
            )
    display = node.GetDisplayNode()
    display.SetVisibility2DFill(True)
    display.SetVisibility2DOutline(True)
    display.SetOpacity2DFill(_FILL_OPACITY)
    display.SetSliceIntersectionThickness(_OUTLINE_MM)
    return node


def _style_previous(node: Any | None) -> None:
    if node is not None:
        node.SetSaveWithScene(False)
        display = node.GetDisplayNode()
        display.SetVisibility2DFill(False)
        display.SetSliceIntersectionThickness(1)
        display.SetVisibility(False)  # until a person asks to compare


def _add_doubt(memory: VoxelMemory | None, name: str) -> Any | None:
    if memory is None:
        return None
    memory.brightness = (0.0, 100.0)
    node = add_volume(memory, name)
    node.SetSaveWithScene(False)
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(doubt_color_node().GetID())
    display.SetAutoThreshold(False)
    display.SetThreshold(DOUBT_SHOWN_FROM_PERCENT, 100.0)
    display.SetApplyThreshold(True)
    display.SetInterpolate(False)
    return node


def _segment_times(node: Any) -> dict[str, tuple[int, int]]:
    """Return what tells a touched segment at once: its label value and its voxels' last change."""
    segmentation = node.GetSegmentation()
    found = {}
    for number in range(segmentation.GetNumberOfSegments()):
        segment_id = segmentation.GetNthSegmentID(number)
        segment = segmentation.GetSegment(segment_id)
        voxels = segment.GetRepresentation(BINARY_LABELMAP)
        found[segment_id] = (segment.GetLabelValue(), voxels.GetMTime() if voxels else 0)
    return found


def _voxels_differ(shown: ShownCase) -> bool:
    try:
        start = np.load(editable_file(shown.files) or "", mmap_mode="r", allow_pickle=False)
        now = snapshot_segmentation(shown.proposal, shown.volume)
    except (OSError, ValueError, AnnotationError, VolumeError):
        return True  # what cannot be compared is kept as if it were edited
    known = {label.segment_id for label in shown.labels}
    added = [entry for entry in now.segments if entry.segment_id not in known]
    empty = now.empty_segments()
    if any(entry.name not in empty for entry in added):
        return True
    merged = now.merged(shown.labels)
    return any((one != other).any() for one, other in zip(merged, start, strict=True))


def _remove(node: Any) -> None:
    scene = node.GetScene()
    for linked in (node.GetDisplayNode(), node.GetStorageNode()):
        if linked is not None:
            scene.RemoveNode(linked)
    scene.RemoveNode(node)
