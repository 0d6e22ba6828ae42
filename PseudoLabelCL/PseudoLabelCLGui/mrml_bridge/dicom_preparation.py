"""A segmentation arranged in the scene so that Slicer's own DICOM export takes it as well."""

from collections.abc import Iterator
from enum import Enum
from typing import Any

import slicer
import vtk

from PseudoLabelCLGui.mrml_bridge.scene_link import put_beside
from PseudoLabelCLGui.mrml_bridge.terminology import text_of_segment
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.storage.segments.terminology_text import terminology_of

PROGRAM = "PseudoLabelCL"
_TYPE, _NAME = "DICOM.SegmentAlgorithmType", "DICOM.SegmentAlgorithmName"
_INSTANCES = "DICOM.instanceUIDs"
# The value representation LO.
_LONGEST_NAME = 64


class Origin(Enum):
    """How segments came to be, in the words of DICOM."""

    MACHINE = "AUTOMATIC"
    BOTH = "SEMIAUTOMATIC"
    PERSON = "MANUAL"


def prepare_for_dicom_export(
    segmentation_node: Any, volume_node: Any, origin: Origin = Origin.MACHINE
) -> tuple[str, ...]:
    """Arrange a segmentation that the program made for Slicer's own DICOM export.

    It refers to its volume, stands in the study of the volume, names the instances that the volume
    was loaded from, and its segments tell how they came to be. From now on an edit makes what the
    machine made SEMIAUTOMATIC. A person's own node is never given here, copies of it are.

    Args:
        segmentation_node: The segmentation.
        volume_node: Its volume.
        origin: How its segments came to be, where they do not tell it yet.

    Returns:
        What still stands in the way of Slicer's export, each with its remedy; `export_problems`
        tells it again later.
    """
    role = segmentation_node.GetReferenceImageGeometryReferenceRole()
    if segmentation_node.GetNodeReference(role) is not volume_node:
        segmentation_node.SetReferenceImageGeometryParameterFromVolumeNode(volume_node)
    put_beside(segmentation_node, volume_node)
    _name_instances(segmentation_node, volume_node)
    for segment in _segments_of(segmentation_node):
        if _tag_of(segment, _TYPE) is None:
            _tell_origin(segment, origin)
    segmentation = segmentation_node.GetSegmentation()
    segmentation.AddObserver(slicer.vtkSegmentation.SourceRepresentationModified, _on_edit)
    return export_problems(segmentation_node, volume_node)


def tell_edited(segmentation_node: Any) -> None:
    """Let the segments that the program made tell that a person had a part in them."""
    _on_edit(segmentation_node.GetSegmentation(), "")


def export_problems(segmentation_node: Any, volume_node: Any) -> tuple[str, ...]:
    """Tell what stands in the way of Slicer's own DICOM export, each with its remedy."""
    return (
        *_instance_problems(volume_node),
        *_study_problems(segmentation_node),
        *_segment_problems(segmentation_node),
    )


def _on_edit(segmentation: Any, _event: str) -> None:
    for number in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(number)
        if (_tag_of(segment, _TYPE), _tag_of(segment, _NAME)) == (Origin.MACHINE.value, PROGRAM):
            _tell_origin(segment, Origin.BOTH)


def origin_tags(origin: Origin) -> dict[str, str]:
    """Return the tags by which a segment tells how it came to be."""
    made_by = {} if origin is Origin.PERSON else {_NAME: PROGRAM}
    return {_TYPE: origin.value, **made_by}


def _tell_origin(segment: Any, origin: Origin) -> None:
    for name, text in origin_tags(origin).items():
        segment.SetTag(name, text)


def _name_instances(segmentation_node: Any, volume_node: Any) -> None:
    """Name the instances of the volume at the segmentation's place in the subject hierarchy."""
    hierarchy = _hierarchy()
    instances = volume_node.GetAttribute(_INSTANCES)
    if hierarchy is None or not instances:
        return
    if item := hierarchy.GetItemByDataNode(segmentation_node):
        attribute = (
            slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMReferencedInstanceUIDsAttributeName()
        )
        hierarchy.SetItemAttribute(item, attribute, instances)


def _instance_problems(volume_node: Any) -> Iterator[str]:
    name = volume_node.GetName()
    instances = (volume_node.GetAttribute(_INSTANCES) or "").split()
    if not instances:
        yield _(
            "Volume '{name}' was not loaded from Slicer's DICOM database. Load its series from "
            "there, or export with PseudoLabelCL."
        ).format(name=name)
        return
    database = getattr(slicer, "dicomDatabase", None)
    if database is None or not database.isOpen:
        yield _("Slicer's DICOM database is not open. Open the DICOM module once.")
        return
    missing = sum(not database.fileForInstance(uid) for uid in instances)
    if missing:
        yield _(
            "{missing} of {number} slices of volume '{name}' are not in Slicer's DICOM database. "
            "Import its series again."
        ).format(missing=missing, number=len(instances), name=name)


def _study_problems(segmentation_node: Any) -> Iterator[str]:
    if not _stands_in_a_study(segmentation_node):
        yield _(
            "Segmentation '{name}' is not in a patient's study. In the Data module, "
            "drag it to the study of its volume."
        ).format(name=segmentation_node.GetName())


def _stands_in_a_study(segmentation_node: Any) -> bool:
    """Return whether the node stands right below a study, and that right below a patient."""
    constants, hierarchy = slicer.vtkMRMLSubjectHierarchyConstants, _hierarchy()
    if hierarchy is None or not (item := hierarchy.GetItemByDataNode(segmentation_node)):
        return False
    study = hierarchy.GetItemParent(item)
    patient = hierarchy.GetItemParent(study)
    return bool(
        hierarchy.IsItemLevel(study, constants.GetDICOMLevelStudy())
        and hierarchy.IsItemLevel(patient, constants.GetDICOMLevelPatient())
    )


def _segment_problems(segmentation_node: Any) -> Iterator[str]:
    for segment in _segments_of(segmentation_node):
        name = segment.GetName() or ""
        if terminology_of(text_of_segment(segment)) is None:
            yield _(
                "No terminology has been chosen for structure '{name}'. Double-click its colour "
                "in the Segment Editor and choose what it is."
            ).format(name=name)
        if not name.isascii() or len(name) > _LONGEST_NAME:
            yield _(
                "Slicer's own export accepts structure names of up to {longest} unaccented "
                "characters, and '{name}' is not one. Rename it, or export with PseudoLabelCL."
            ).format(longest=_LONGEST_NAME, name=name)


def _segments_of(segmentation_node: Any) -> list[Any]:
    segmentation = segmentation_node.GetSegmentation()
    return [segmentation.GetNthSegment(n) for n in range(segmentation.GetNumberOfSegments())]


def _tag_of(segment: Any, name: str) -> str | None:
    text = vtk.reference("")
    return str(text) if segment.GetTag(name, text) else None


def _hierarchy() -> Any | None:
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
