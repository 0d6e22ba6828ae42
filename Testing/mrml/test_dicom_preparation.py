"""A shown proposal is ready for Slicer's own DICOM export, or it is told what is missing."""

from types import SimpleNamespace

import numpy as np
import pytest
import slicer
import vtk
from PseudoLabelCLGui.mrml_bridge import show_case
from PseudoLabelCLGui.mrml_bridge.dicom_preparation import (
    Origin,
    export_problems,
    prepare_for_dicom_export,
)
from scene_things import GEOMETRIES, LABELS, SIZE, add_volume_node, box, some_labels

from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.messages.answers import CaseFiles

SHAPE = SIZE[::-1]
GEOMETRY = GEOMETRIES["oblique"]
STUDY, SERIES = "1.2.3.1", "1.2.3.2"
INSTANCES = " ".join(f"1.2.3.2.{k}" for k in range(SHAPE[0]))
# Without accents, as dcmqi wants them, and with codes.
READY = LabelSchema((LABELS.classes[1],))


@pytest.fixture
def volume(scene, monkeypatch):
    """A volume in a study of a patient, as Slicer's DICOM module leaves it."""
    node = add_volume_node(np.zeros(SHAPE, np.int16), GEOMETRY, "T1")
    node.SetAttribute("DICOM.instanceUIDs", INSTANCES)
    hierarchy = hierarchy_of(scene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "patient")
    study = hierarchy.CreateStudyItem(patient, "study")
    hierarchy.CreateItem(study, node)
    database = SimpleNamespace(isOpen=True, fileForInstance="/archive/{}".format)
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    return node


def hierarchy_of(scene):
    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def files_of(tmp_path, **kinds):
    values = some_labels()
    values[values != 5] = 0  # READY has one structure
    np.save(tmp_path / "labels.npy", values)
    found = dict.fromkeys(("image", "proposal", "previous", "uncertainty", "reviewed"))
    found |= {kind: str(tmp_path / "labels.npy") for kind in kinds}
    return CaseFiles(
        case_id="a", round_index=1, geometry=GEOMETRY, slicing_axis=2, doubtful_slices=(),
        annotation=str(tmp_path / "labels.npy"), **found,
    )  # fmt: skip


def shown(tmp_path, scene, volume, **kinds):
    """Show a case as the panel does; the application's plugins give its node a place."""
    hierarchy, made = hierarchy_of(scene), []

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def add_item(_scene, _event, node):
        if node.IsA("vtkMRMLSegmentationNode"):
            made.append(hierarchy.CreateItem(hierarchy.GetSceneItemID(), node))

    tag = scene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, add_item)
    node = show_case(files_of(tmp_path, **kinds), READY, volume).proposal
    scene.RemoveObserver(tag)
    assert len(made) >= 1
    return node


def tags_of(node):
    found = []
    for number in range(node.GetSegmentation().GetNumberOfSegments()):
        segment = node.GetSegmentation().GetNthSegment(number)
        for name in ("DICOM.SegmentAlgorithmType", "DICOM.SegmentAlgorithmName"):
            text = vtk.reference("")
            found.append(str(text) if segment.GetTag(name, text) else None)
    return found


def test_shown_proposal_has_all_that_the_export_dialog_asks_for(tmp_path, scene, volume):
    node = shown(tmp_path, scene, volume, proposal=1)
    assert export_problems(node, volume) == ()
    hierarchy = hierarchy_of(scene)
    item = hierarchy.GetItemByDataNode(node)
    volume_item = hierarchy.GetItemByDataNode(volume)
    assert hierarchy.GetItemParent(item) == hierarchy.GetItemParent(volume_item)
    # what examineForExport of Slicer's plugin reads, and then its exporter
    assert hierarchy.GetItemAttribute(item, "DICOM.ReferencedInstanceUIDs") == INSTANCES
    role = node.GetReferenceImageGeometryReferenceRole()
    assert node.GetNodeReference(role) is volume
    assert tags_of(node) == ["AUTOMATIC", "PseudoLabelCL"]


def test_voxels_that_the_exporter_takes_are_those_of_the_volume_s_grid(tmp_path, scene, volume):
    node = shown(tmp_path, scene, volume, proposal=1)
    merged = slicer.vtkOrientedImageData()
    segments = vtk.vtkStringArray()
    segments.InsertNextValue(READY.classes[0].segment_id)
    node.GenerateMergedLabelmapForAllSegments(merged, 0, None, segments)
    assert merged.GetDimensions() == SIZE
    scalars = vtk.util.numpy_support.vtk_to_numpy(merged.GetPointData().GetScalars())
    np.testing.assert_array_equal(scalars.reshape(SHAPE) > 0, some_labels() == 5)


def test_edited_proposal_says_that_a_person_had_a_part(tmp_path, scene, volume):
    node = shown(tmp_path, scene, volume, proposal=1)
    mask = box(slice(0, 2), slice(0, 2), slice(0, 2)).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        mask, node, READY.classes[0].segment_id, volume
    )
    assert tags_of(node) == ["SEMIAUTOMATIC", "PseudoLabelCL"]


@pytest.mark.parametrize(
    ("kinds", "tags"),
    [
        ({"proposal": 1, "reviewed": 1}, ["SEMIAUTOMATIC", "PseudoLabelCL"]),
        ({}, ["MANUAL", None]),  # a copy of what a person drew
    ],
)
def test_origin_of_what_is_shown_is_told(tmp_path, scene, volume, kinds, tags):
    node = shown(tmp_path, scene, volume, **kinds)
    assert tags_of(node) == tags


def a_proposal(scene, volume, name="Kidney", **codes):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "proposal")
    hierarchy_of(scene).CreateItem(hierarchy_of(scene).GetSceneItemID(), node)
    node.GetSegmentation().AddEmptySegment("s", name)
    if codes:
        node.GetSegmentation().GetSegment("s").SetTag("TerminologyEntry", codes["terminology"])
    return node


KIDNEY = "list~SCT^123037004^Anatomical Structure~SCT^64033007^Kidney~^^~regions~^^~^^"


def test_volume_that_did_not_come_from_dicom_is_told(scene, volume):
    volume.RemoveAttribute("DICOM.instanceUIDs")
    problems = prepare_for_dicom_export(a_proposal(scene, volume, terminology=KIDNEY), volume)
    assert len(problems) == 1
    assert "not loaded from Slicer's DICOM database" in problems[0]


def test_slices_that_left_the_database_are_counted(scene, volume, monkeypatch):
    kept = set(INSTANCES.split()[2:])
    find = SimpleNamespace(isOpen=True, fileForInstance=lambda uid: "/a" if uid in kept else "")
    monkeypatch.setattr(slicer, "dicomDatabase", find, raising=False)
    problems = prepare_for_dicom_export(a_proposal(scene, volume, terminology=KIDNEY), volume)
    assert len(problems) == 1
    assert "2 of 7 slices" in problems[0]


def test_volume_outside_of_a_study_is_told(scene, volume):
    hierarchy = hierarchy_of(scene)
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(volume), hierarchy.GetSceneItemID())
    problems = prepare_for_dicom_export(a_proposal(scene, volume, terminology=KIDNEY), volume)
    assert len(problems) == 1
    assert "not in a patient's study" in problems[0]


def test_structure_without_codes_and_name_with_accents_are_told(scene, volume):
    problems = prepare_for_dicom_export(a_proposal(scene, volume, name="Närbe"), volume)
    assert len(problems) == 2
    assert "No terminology has been chosen for structure 'Närbe'" in problems[0]
    assert "unaccented characters" in problems[1]


def test_origin_that_a_segment_tells_already_stays(scene, volume):
    node = a_proposal(scene, volume, terminology=KIDNEY)
    node.GetSegmentation().GetSegment("s").SetTag("DICOM.SegmentAlgorithmType", "SEMIAUTOMATIC")
    node.GetSegmentation().GetSegment("s").SetTag("DICOM.SegmentAlgorithmName", "another")
    prepare_for_dicom_export(node, volume, Origin.MACHINE)
    assert tags_of(node) == ["SEMIAUTOMATIC", "another"]
