"""A case in the scene: its image, the proposal that a person may edit, doubt, the round before."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from PseudoLabelCLGui.mrml_bridge.case_memory import CaseMemory
from PseudoLabelCLGui.mrml_bridge.dicom_preparation import (
    Origin,
    origin_tags,
    prepare_for_dicom_export,
    tell_edited,
)
from PseudoLabelCLGui.mrml_bridge.doubt_colors import DOUBT_SHOWN_FROM_PERCENT, doubt_color_node
from PseudoLabelCLGui.mrml_bridge.edits import (
    differs_from_file,
    keep_edited,
    remove_stale_images,
    segment_times,
    take_up_edits,
)
from PseudoLabelCLGui.mrml_bridge.geometry import geometry_of, match_rasters
from PseudoLabelCLGui.mrml_bridge.label_nodes import Look, add_segmentation
from PseudoLabelCLGui.mrml_bridge.scene_link import (
    CaseMark,
    Made,
    hand_over,
    made_as,
    mark_made,
    put_beside,
    save_with_scene,
)
from PseudoLabelCLGui.mrml_bridge.segmentation_snapshot import CopyPlace, SegmentationSnapshot
from PseudoLabelCLGui.mrml_bridge.segmentations import snapshot_segmentation
from PseudoLabelCLGui.mrml_bridge.spare_nodes import SpareNodes, remove_node
from PseudoLabelCLGui.mrml_bridge.volumes import add_volume
from PseudoLabelCLGui.mrml_bridge.voxel_memory import SpareVoxels, VoxelMemory
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.errors import AnnotationError, VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.answers import CaseFiles

# The round before is compared, not edited: grey, so that nobody takes one outline for the other.
# It is seen only when a person asks to compare.
_LOOK_OF_PREVIOUS = Look((0.72, 0.72, 0.72), is_filled=False, is_visible=False, width=1)


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
        copy_place: Where a correction is copied to, once.
        project: The project's folder, or an empty text.
    """

    files: CaseFiles
    labels: LabelSchema
    volume: Any
    proposal: Any | None
    doubt: Any | None
    previous: Any | None
    unchanged: Mapping[str, tuple[int, int]]
    copy_place: CopyPlace = field(default_factory=list)
    project: str = ""

    @property
    def case_id(self) -> str:
        """The name of the case."""
        return self.files.case_id

    @property
    def round_index(self) -> int | None:
        """The round whose proposal is shown, or None."""
        return self.files.round_index


def fits_case(volume_node: Any, geometry: Geometry) -> bool:
    """Return whether a volume in the scene has the grid of a case and can serve as its image."""
    try:
        match = match_rasters(geometry_of(volume_node), geometry)
        num_voxels = geometry_of(volume_node).size
    except VolumeError:
        return False
    covers = (
        match is not None and not any(match.offset) and sorted(num_voxels) == sorted(geometry.size)
    )
    return covers and volume_node.GetParentTransformNode() is None


def show_case(
    files: CaseFiles, labels: LabelSchema, image_node: Any | None, *, project: str = ""
) -> ShownCase:
    """Put a case into the scene, reading its voxels at once.

    Args:
        files: What the service answered.
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


def show_read_case(
    memory: CaseMemory,
    image_node: Any | None,
    *,
    project: str = "",
    spare: SpareNodes | None = None,
) -> ShownCase:
    """Put a case into the scene whose voxels have been read.

    Args:
        memory: The voxels.
        image_node: A volume of the scene that is the image of the case, or None.
        project: The project's folder, by which the nodes are found again.
        spare: Empty nodes that are filled before new ones are made, or None.

    Raises:
        VolumeError: No image is there that fits.
    """
    files, labels, spare = memory.files, memory.labels, spare or SpareNodes()
    _check_image(memory, image_node)
    volume = image_node if image_node is not None else _add_image(memory, project, spare)
    proposal = take_up_edits(files, labels, volume, project)
    unchanged: Mapping[str, tuple[int, int]] = {}
    if proposal is not None:
        proposal.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    elif memory.proposal is not None:
        name, into = _editable_name(files), spare.take(Made.PROPOSAL)
        look = Look(tags=origin_tags(_origin_of(files)))
        proposal = add_segmentation(memory.proposal, labels, name, volume, into=into, look=look)
        unchanged = segment_times(proposal)
    shown = ShownCase(
        files, labels, volume, proposal, None, _add_previous(memory, volume, spare), unchanged,
        memory.copy_place, project,
    )  # fmt: skip
    for kind, node in ((Made.PROPOSAL, proposal), (Made.PREVIOUS, shown.previous)):
        if node is not None:
            _mark(node, kind, shown)
    if proposal is not None:
        prepare_for_dicom_export(proposal, volume, _origin_of(files))
        if not unchanged:  # taken up as a person had edited it
            tell_edited(proposal)
    save_edits_with_scene(shown, edited=proposal is not None and not unchanged)
    remove_stale_images(files.case_id, project, volume)
    return add_doubt(shown, memory.doubt, spare) if memory.doubt is not None else shown


def add_doubt(shown: ShownCase, voxels: VoxelMemory, spare: SpareNodes | None = None) -> ShownCase:
    """Put the map of doubt of a shown case into the scene.

    Args:
        shown: The case.
        voxels: Doubt in percent, read.
        spare: An empty node that is filled before a new one is made, or None.

    Returns:
        The case with its map.
    """
    node = _add_doubt(voxels, shown, (spare or SpareNodes()).take(Made.DOUBT))
    _mark(node, Made.DOUBT, shown)
    return replace(shown, doubt=node)


def save_edits_with_scene(shown: ShownCase, *, edited: bool) -> None:
    """Let an edited proposal be saved with the scene, and its image with it; otherwise neither.

    What the program made and nobody changed is in the project: Slicer need not ask about it.
    """
    if shown.proposal is not None and shown.proposal.GetScene() is not None:
        save_with_scene(shown.proposal, saved=edited)
        if made_as(shown.volume) is not None and shown.volume.GetScene() is not None:
            save_with_scene(shown.volume, saved=edited)


def is_edited(shown: ShownCase, *, look_at_voxels: bool = False) -> bool:
    """Return whether the shown proposal was changed since it was loaded.

    Args:
        shown: The case.
        look_at_voxels: Whether to compare voxels where something was touched, so that an edit
            that was undone does not count; takes long on a large volume.
    """
    if shown.proposal is None or shown.proposal.GetScene() is None:
        return False
    if segment_times(shown.proposal) == dict(shown.unchanged):
        return False
    if not look_at_voxels:
        return True
    return differs_from_file(shown.proposal, shown.volume, shown.files, shown.labels)


def snapshot_correction(shown: ShownCase) -> SegmentationSnapshot:
    """Copy the shown proposal out of the scene as it is now, onto the grid of the project.

    Its `write` may run in a thread.

    Raises:
        AnnotationError: The proposal is gone, transformed, or lies on another grid.
    """
    if shown.proposal is None or shown.proposal.GetScene() is None:
        raise AnnotationError(
            Text(
                _("The segmentation of '{case}' is no longer in the scene.").format(
                    case=shown.case_id
                )
            ),
            Text(_("Show the case again.")),
        )
    return snapshot_segmentation(
        shown.proposal, shown.volume, shown.files.geometry, copy_place=shown.copy_place
    )


def forget_case(
    shown: ShownCase,
    *,
    edits_are_saved: bool = False,
    spare: SpareVoxels | None = None,
    spare_nodes: SpareNodes | None = None,
) -> tuple[Any, ...]:
    """Take what the program put into the scene out of it; a person's nodes stay.

    A proposal that a person edited stays too, as a node of that person, unless its edits are
    known to be saved in the project, or not wanted.

    Args:
        shown: The case.
        edits_are_saved: Whether all edits are known to be in the project, or are given up.
        spare: Keeps the memory of what goes, or None.
        spare_nodes: Keeps the nodes, empty, for the next case, or None.

    Returns:
        The nodes that stay because they were edited.
    """
    kept = []
    keeps_edits = not edits_are_saved and is_edited(shown, look_at_voxels=True)
    nodes: tuple[Any, ...] = (shown.proposal, shown.previous, shown.doubt, shown.volume)
    for node in nodes:
        kind = made_as(node) if node is not None and node.GetScene() is not None else None
        if kind is None:
            continue
        if node is shown.proposal and keeps_edits:
            keep_edited(node)
            kept.append(node)
        elif node is shown.volume and kept:
            hand_over(node)  # the edited segmentation would lie on nothing
        elif spare_nodes is not None:
            spare_nodes.keep(node, kind, spare)
        else:
            remove_node(node, spare)
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
    if image_node is not None and not fits_case(image_node, files.geometry):
        raise VolumeError(
            Text(
                _(
                    "Volume '{name}' in the scene is no longer the image of '{case}': it was "
                    "moved, cropped or resampled."
                ).format(name=image_node.GetName(), case=files.case_id)
            ),
            Text(_("Delete it from the scene; the project's own image is then shown.")),
        )


def _origin_of(files: CaseFiles) -> Origin:
    if files.reviewed:
        return Origin.BOTH
    return Origin.MACHINE if files.proposal else Origin.PERSON


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


def _mark(node: Any, kind: Made, shown: ShownCase) -> None:
    mark_made(node, kind, CaseMark(shown.project, shown.case_id, shown.round_index))
    put_beside(node, shown.volume)


def _add_image(memory: CaseMemory, project: str, spare: SpareNodes) -> Any:
    if memory.image is None:
        raise VolumeError(
            Text(_("The image of '{case}' has not been read.").format(case=memory.files.case_id)),
            Text(_("Show the case again.")),
        )
    volume = add_volume(memory.image, memory.files.case_id, into=spare.take(Made.IMAGE))
    save_with_scene(volume, saved=False)  # the project has it
    mark_made(volume, Made.IMAGE, CaseMark(project, memory.files.case_id))
    return volume


def _add_previous(memory: CaseMemory, volume: Any, spare: SpareNodes) -> Any | None:
    if memory.previous is None:
        return None
    node = add_segmentation(
        memory.previous,
        memory.labels,
        _previous_name(memory.files),
        volume,
        into=spare.take(Made.PREVIOUS),
        look=_LOOK_OF_PREVIOUS,
    )
    save_with_scene(node, saved=False)
    return node


def _add_doubt(voxels: VoxelMemory, shown: ShownCase, into: Any | None) -> Any:
    voxels.brightness = (0.0, 100.0)
    name = _("{case} - uncertainty in percent").format(case=shown.case_id)
    node = add_volume(voxels, name, into=into)
    save_with_scene(node, saved=False)
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(doubt_color_node().GetID())
    display.SetAutoThreshold(False)
    display.SetThreshold(DOUBT_SHOWN_FROM_PERCENT, 100.0)
    display.SetApplyThreshold(True)
    display.SetInterpolate(False)
    return node
