"""Verdicts on single segments, kept in Slicer's own segment status."""

from typing import Any

import slicer
import vtk

from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.errors import AnnotationError
from PseudoLabelCLLib.domain.review import Verdict
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text

# Slicer knows "completed" only; who completed it is remembered in a tag of our own.
_CORRECTED_TAG = "PseudoLabelCL.Corrected"


def set_verdict(segmentation_node: Any, segment_id: str, verdict: Verdict | None) -> None:
    """Show a verdict in the segment's status: completed, flagged, or not started for None.

    Raises:
        AnnotationError: There is no such segment.
    """
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    statuses = {
        None: logic.NotStarted,
        Verdict.ACCEPTED: logic.Completed,
        Verdict.CORRECTED: logic.Completed,
        Verdict.REJECTED: logic.Flagged,
    }
    segment = segment_of(segmentation_node, segment_id)
    logic.SetSegmentStatus(segment, statuses[verdict])
    if verdict is Verdict.CORRECTED:
        segment.SetTag(_CORRECTED_TAG, "1")
    else:
        segment.RemoveTag(_CORRECTED_TAG)


def verdict_of(segmentation_node: Any, segment_id: str) -> Verdict | None:
    """Return the verdict that a segment's status shows; None while it is not finished.

    Raises:
        AnnotationError: There is no such segment.
    """
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    segment = segment_of(segmentation_node, segment_id)
    status = logic.GetSegmentStatus(segment)
    if status == logic.Flagged:
        return Verdict.REJECTED
    if status == logic.Completed:
        corrected = segment.GetTag(_CORRECTED_TAG, vtk.reference(""))
        return Verdict.CORRECTED if corrected else Verdict.ACCEPTED
    return None


def left_out(segmentation_node: Any, labels: LabelSchema) -> tuple[int, ...]:
    """Return the values of the labels whose segments are flagged, in the order of the labels."""
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    segmentation = segmentation_node.GetSegmentation()
    segments = ((label, segmentation.GetSegment(label.segment_id)) for label in labels)
    return tuple(
        label.value
        for label, segment in segments
        if segment is not None and logic.GetSegmentStatus(segment) == logic.Flagged
    )


def segment_of(segmentation_node: Any, segment_id: str) -> Any:
    """Return the vtkSegment with this identity.

    Raises:
        AnnotationError: There is none.
    """
    segment = segmentation_node.GetSegmentation().GetSegment(segment_id)
    if segment is None:
        raise AnnotationError(
            Text(
                _("Segmentation '{name}' no longer has the segment '{segment}'.").format(
                    name=segmentation_node.GetName(), segment=segment_id
                )
            ),
            Text(_("Show the case again.")),
        )
    return segment
