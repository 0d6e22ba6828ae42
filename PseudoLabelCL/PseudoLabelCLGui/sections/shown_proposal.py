"""The case under review in the scene: its nodes, the views, the next doubtful slice."""

from pathlib import Path
from typing import Any

import slicer

from PseudoLabelCLGui.mrml_bridge import (
    CaseMemory,
    SegmentationSnapshot,
    ShownCase,
    SpareVoxels,
    forget_case,
    is_edited,
    left_out,
    set_verdict,
    show_as_outline,
    show_previous,
    show_read_case,
    snapshot_correction,
    volume_of_case,
)
from PseudoLabelCLGui.mrml_bridge.segmentations import BINARY_LABELMAP
from PseudoLabelCLGui.slice_views import jumpToSlice, showDoubt, showInViews
from PseudoLabelCLLib.domain.desk_answers import CaseFiles
from PseudoLabelCLLib.domain.review import Verdict
from PseudoLabelCLLib.domain.segmentation import LabelSchema


class ShownProposal:
    """The nodes of the one case that is reviewed, if any."""

    def __init__(self) -> None:
        self._case: ShownCase | None = None
        self._doubtPosition = 0
        self._spare = SpareVoxels()

    @property
    def case(self) -> ShownCase | None:
        """What is shown, or None."""
        return self._case

    @property
    def isEdited(self) -> bool:
        """Whether the proposal was changed since it was loaded."""
        return self._case is not None and is_edited(self._case)

    @property
    def isLost(self) -> bool:
        """Whether somebody deleted the volume or the proposal from the scene."""
        if self._case is None:
            return False
        nodes = (self._case.volume, self._case.proposal)
        return any(node is not None and not nodeExists(node) for node in nodes)

    @property
    def times(self) -> tuple[tuple[str, int], ...]:
        """When each segment's voxels were last changed, by VTK's count."""
        if self._case is None or not nodeExists(self._case.proposal):
            return ()
        segmentation = self._case.proposal.GetSegmentation()
        ids = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]
        voxels = [segmentation.GetSegment(i).GetRepresentation(BINARY_LABELMAP) for i in ids]
        return tuple(zip(ids, (v.GetMTime() if v else 0 for v in voxels), strict=True))

    def read(self, files: CaseFiles, labels: LabelSchema, root: str) -> CaseMemory:
        """Prepare what a thread reads; quick."""
        image = volume_of_case(root, files.case_id)
        memory = CaseMemory(files, labels, with_image=image is None, spare=self._spare)
        self._spare.clear()
        return memory

    def put(self, memory: CaseMemory, root: str) -> ShownCase:
        """Put what was read into the scene and into the views, at its most doubtful slice."""
        image = volume_of_case(root, memory.files.case_id)
        self._case = show_read_case(memory, image, project=root)
        self._doubtPosition = -1
        showInViews(self._case.volume, self._case.doubt)
        self.nextDoubt()
        return self._case

    def forget(self, *, editsAreSaved: bool) -> tuple[str, ...]:
        """Take the machine's nodes out of the scene; `read` may take their memory until `tick`.

        Returns:
            The names of proposals that stay because they hold edits that nobody saved.
        """
        case, self._case = self._case, None
        if case is None:
            return ()
        kept = forget_case(case, edits_are_saved=editsAreSaved, spare=self._spare)
        return tuple(node.GetName() for node in kept)

    def tick(self) -> None:
        """Give memory back that no next case has taken."""
        self._spare.clear()

    def sceneClosed(self) -> None:
        """Let go of nodes that went with the scene."""
        self._case = None

    def nextDoubt(self) -> None:
        """Let all views jump to the next doubtful slice, and begin anew after the last."""
        if self._case is None or not self._case.files.doubtful_slices:
            return
        slices = self._case.files.doubtful_slices
        self._doubtPosition = (self._doubtPosition + 1) % len(slices)
        files = self._case.files
        jumpToSlice(files.geometry, files.slicing_axis, slices[self._doubtPosition])

    def showOutline(self, *, outline: bool) -> None:
        """Show outlines alone, or filled areas."""
        if self._case is not None:
            show_as_outline(self._case, outline_only=outline)

    def showDoubt(self, *, visible: bool) -> None:
        """Show or hide the colours of doubt."""
        if self._case is not None:
            showDoubt(self._case.doubt, visible)

    def showPrevious(self, *, visible: bool) -> None:
        """Show or hide the round before."""
        if self._case is not None:
            show_previous(self._case, visible=visible)

    def leftOut(self) -> tuple[int, ...]:
        """Return the values of the structures that were marked as wrong."""
        if self._case is None or self._case.proposal is None:
            return ()
        return left_out(self._case.proposal, self._case.labels)

    def setVerdict(self, segmentId: str, verdict: Verdict) -> None:
        """Keep a verdict on one structure in Slicer's own status of the segment."""
        if self._case is not None and self._case.proposal is not None and segmentId:
            set_verdict(self._case.proposal, segmentId, verdict)

    def snapshot(self) -> SegmentationSnapshot | None:
        """Copy the proposal as it is now, to be written in a thread."""
        if self._case is None or self._case.proposal is None:
            return None
        return snapshot_correction(self._case)


def correctionFile(folder: Path, case: ShownCase, number: int) -> Path:
    """Return where a corrected proposal is written for the desk to take."""
    return folder / f"correction-{case.round_index}-{number}.seg.nrrd"


def nodeExists(node: Any) -> bool:
    """Tell whether a node is in the scene."""
    return node is not None and bool(slicer.mrmlScene.IsNodePresent(node))
