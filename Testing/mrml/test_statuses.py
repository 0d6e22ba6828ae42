"""Verdicts on segments in Slicer's own status."""

import numpy as np
import pytest
import slicer
from PseudoLabelCLGui.mrml_bridge import left_out, set_verdict, verdict_of
from scene_things import GEOMETRIES, LABELS, SIZE, add_segmentation_node, add_volume_node, box

from PseudoLabelCLLib.domain.errors import AnnotationError
from PseudoLabelCLLib.domain.review import Verdict


@pytest.fixture
def node(scene):
    volume = add_volume_node(np.zeros(SIZE[::-1], np.int16), GEOMETRIES["plain"])
    ids = {label.name: label.segment_id for label in LABELS}
    masks = {label.name: box(n) for n, label in enumerate(LABELS)}
    return add_segmentation_node(volume, masks, ids=ids)


def native_status(node, segment_id):
    segment = node.GetSegmentation().GetSegment(segment_id)
    return slicer.vtkSlicerSegmentationsModuleLogic.GetSegmentStatus(segment)


@pytest.mark.parametrize(
    ("verdict", "status"),
    [(None, 0), (Verdict.ACCEPTED, 2), (Verdict.CORRECTED, 2), (Verdict.REJECTED, 3)],
)
def test_verdict_is_slicers_status_and_can_be_read_again(node, verdict, status):
    set_verdict(node, "heart", Verdict.CORRECTED)
    set_verdict(node, "heart", verdict)
    assert native_status(node, "heart") == status
    assert verdict_of(node, "heart") is verdict
    assert verdict_of(node, "kidney") is None


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(0, None), (1, None), (2, Verdict.ACCEPTED), (3, Verdict.REJECTED)],
)
def test_status_set_in_slicers_table_is_a_verdict(node, status, verdict):
    segment = node.GetSegmentation().GetSegment("kidney")
    slicer.vtkSlicerSegmentationsModuleLogic.SetSegmentStatus(segment, status)
    assert verdict_of(node, "kidney") is verdict


def test_flagged_segments_are_left_out_by_the_values_of_their_labels(node):
    assert left_out(node, LABELS) == ()
    set_verdict(node, "Segment_1", Verdict.REJECTED)
    set_verdict(node, "heart", Verdict.REJECTED)
    set_verdict(node, "kidney", Verdict.ACCEPTED)
    assert left_out(node, LABELS) == (2, 9)


def test_segment_that_a_person_deleted_is_not_left_out(node):
    set_verdict(node, "heart", Verdict.REJECTED)
    node.GetSegmentation().RemoveSegment("heart")
    assert left_out(node, LABELS) == ()
    with pytest.raises(AnnotationError, match="no longer has the segment 'heart'"):
        verdict_of(node, "heart")


def test_verdicts_survive_the_file(node, scene, tmp_path):
    set_verdict(node, "heart", Verdict.CORRECTED)
    set_verdict(node, "kidney", Verdict.REJECTED)
    node.AddDefaultStorageNode()
    node.GetStorageNode().SetFileName(str(tmp_path / "a.seg.nrrd"))
    assert node.GetStorageNode().WriteData(node)
    again = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    again.AddDefaultStorageNode()
    again.GetStorageNode().SetFileName(str(tmp_path / "a.seg.nrrd"))
    assert again.GetStorageNode().ReadData(again)
    assert verdict_of(again, "heart") is Verdict.CORRECTED
    assert left_out(again, LABELS) == (5,)
