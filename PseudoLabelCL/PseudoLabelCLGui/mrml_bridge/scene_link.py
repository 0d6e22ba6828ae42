"""What the scene remembers of a project: its folder, and which node is which case."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import slicer

_FOLDER = "ProjectFolder"
_CASE_ID = "PseudoLabelCL.CaseId"
_PROJECT = "PseudoLabelCL.Project"
_MADE = "PseudoLabelCL.Made"
_ROUND = "PseudoLabelCL.Round"


class Made(Enum):
    """What a node is that the program, not a person, put into the scene."""

    IMAGE = "image"
    PROPOSAL = "proposal"
    DOUBT = "doubt"
    PREVIOUS = "previous proposal"


@dataclass(frozen=True)
class CaseMark:
    """Which case of which project a node belongs to; round_index is None for images."""

    project: str
    case_id: str
    round_index: int | None = None


def remember_project(parameter_node: Any, root: Path | str) -> None:
    """Keep the folder of the open project in the scene; an empty text when none is open."""
    parameter_node.SetParameter(_FOLDER, str(root) if root else "")


def project_of(parameter_node: Any) -> str:
    """Return the folder of the project that the scene was saved with, or an empty text."""
    return str(parameter_node.GetParameter(_FOLDER) or "")


def remember_case(node: Any, mark: CaseMark) -> None:
    """Mark a node as the volume or segmentation of a case."""
    was_modifying = node.StartModify()
    node.SetAttribute(_PROJECT, mark.project)
    node.SetAttribute(_CASE_ID, mark.case_id)
    node.SetAttribute(_ROUND, None if mark.round_index is None else str(mark.round_index))
    node.EndModify(was_modifying)


def forget_case_of(node: Any) -> None:
    """Take the mark of a case off a node, such as one that left the project."""
    for attribute in (_PROJECT, _CASE_ID, _ROUND):
        node.RemoveAttribute(attribute)


def case_of(node: Any) -> CaseMark | None:
    """Return which case a node belongs to, or None."""
    project, case_id = node.GetAttribute(_PROJECT), node.GetAttribute(_CASE_ID)
    if not project or not case_id:
        return None
    round_text = node.GetAttribute(_ROUND) or ""
    return CaseMark(project, case_id, int(round_text) if round_text.isdigit() else None)


def mark_made(node: Any, made: Made, mark: CaseMark) -> None:
    """Mark a node as made by the program, for a case."""
    was_modifying = node.StartModify()
    node.SetAttribute(_MADE, made.value)
    remember_case(node, mark)
    node.EndModify(was_modifying)


def made_as(node: Any) -> Made | None:
    """Return what the program made this node as; None for a node of a person."""
    text = node.GetAttribute(_MADE)
    return Made(text) if text in {made.value for made in Made} else None


def hand_over(node: Any) -> None:
    """Let a node that the program made be a person's own from now on."""
    node.RemoveAttribute(_MADE)
    save_with_scene(node, saved=True)


def save_with_scene(node: Any, *, saved: bool) -> None:
    """Let a node and how it is displayed be part of a saved scene, or neither.

    Slicer neither saves nor asks about a node that is not part of the scene's file.
    """
    displays = [node.GetNthDisplayNode(n) for n in range(node.GetNumberOfDisplayNodes())]
    for one in (node, *displays, node.GetStorageNode()):
        if one is not None and bool(one.GetSaveWithScene()) != saved:
            one.SetSaveWithScene(saved)


def volume_of_case(project: Path | str, case_id: str) -> Any | None:
    """Return a person's volume node of a case that is in the scene, or None."""
    nodes = nodes_of_case(project, case_id, "vtkMRMLScalarVolumeNode")
    return next((node for node in nodes if made_as(node) is None), None)


def nodes_of_case(
    project: Path | str, case_id: str, class_name: str, made: Made | None = None
) -> tuple[Any, ...]:
    """Return the nodes of a case in the scene, all or those made as something."""
    found = []
    for node in slicer.util.getNodesByClass(class_name):
        mark = case_of(node)
        fits = mark is not None and (mark.project, mark.case_id) == (str(project), case_id)
        if fits and made in (None, made_as(node)):
            found.append(node)
    return tuple(found)


def put_beside(node: Any, volume_node: Any) -> None:
    """Put a node where its volume stands in the subject hierarchy, such as in the same study."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    if hierarchy is None:
        return
    item, volume_item = (hierarchy.GetItemByDataNode(n) for n in (node, volume_node))
    if item and volume_item:
        parent = hierarchy.GetItemParent(volume_item)
        if hierarchy.GetItemParent(item) != parent:
            hierarchy.SetItemParent(item, parent)


def keep_out_of_lists(node: Any) -> None:
    """Hide a node of the panel's own, which is in the scene, from all lists and the data tree.

    Slicer logs an error for each change of a segmentation that was hidden before it was added,
    and the data tree shows what is only hidden from editors once it is rebuilt.
    """
    exclude = slicer.vtkMRMLSubjectHierarchyConstants
    node.SetAttribute(exclude.GetSubjectHierarchyExcludeFromTreeAttributeName(), "1")
    node.SetHideFromEditors(True)
