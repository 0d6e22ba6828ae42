"""The case under review in the scene: its nodes, the views, the next doubtful slice."""

from pathlib import Path
from typing import Any

import slicer

from PseudoLabelCLGui.mrml_bridge import (
    CaseMemory,
    SegmentationSnapshot,
    ShownCase,
    SpareNodes,
    SpareVoxels,
    VoxelMemory,
    add_doubt,
    forget_case,
    left_out,
    made_as,
    save_edits_with_scene,
    set_verdict,
    show_as_outline,
    show_previous,
    show_read_case,
    snapshot_correction,
    volume_of_case,
)
from PseudoLabelCLGui.mrml_bridge.edits import segment_times
from PseudoLabelCLGui.sections.parts.background_work import BackgroundWork
from PseudoLabelCLGui.sections.parts.near_overlay import NearOverlay
from PseudoLabelCLGui.sections.review.window_level import WindowLevel
from PseudoLabelCLGui.slice_views import (
    Point,
    Stage,
    jumpTo,
    middleOfSlice,
    showDoubt,
    showForeground,
)
from PseudoLabelCLLib.domain.review import ProposalIdentity, Verdict
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.messages.answers import CaseFiles

# What tells a touched segment: its id, its label value, its voxels' last change.
Times = tuple[tuple[str, tuple[int, int]], ...]


class ShownProposal:
    """The nodes of the one case that is reviewed, if any, and the views that show it.

    Args:
        work: Reads voxels in threads.
    """

    def __init__(self, work: BackgroundWork) -> None:
        self._work = work
        self._showsDoubt = False
        self._case: ShownCase | None = None
        self._slices: tuple[int, ...] = ()
        self._doubtPosition = 0
        self._spare = SpareVoxels()
        self._spareNodes = SpareNodes()
        self._window = WindowLevel()
        self.near = NearOverlay()
        self.stage = Stage()

    @property
    def case(self) -> ShownCase | None:
        """What is shown, or None."""
        return self._case

    @property
    def identity(self) -> ProposalIdentity | None:
        """The proposal that the views hold, or None."""
        return self._case.files.identity if self._case is not None else None

    @property
    def times(self) -> Times:
        """What tells a touched segment of the proposal at once."""
        if self._case is None or not nodeExists(self._case.proposal):
            return ()
        return tuple(segment_times(self._case.proposal).items())

    @property
    def isAsLoaded(self) -> bool:
        """Whether nobody has touched the proposal since it was put into the scene."""
        return self._case is not None and self.times == tuple(self._case.unchanged.items())

    def isStill(self, case: ShownCase) -> bool:
        """Tell whether a case is shown since it was, its map of doubt or not."""
        return self._case is not None and self._case.files is case.files

    def holds(self, node: Any) -> bool:
        """Tell whether the case cannot be shown without a node."""
        case = self._case
        return case is not None and (node is case.volume or node is case.proposal)

    def read(
        self, files: CaseFiles, labels: LabelSchema, root: str, *, withDoubt: bool
    ) -> CaseMemory:
        """Prepare what a thread reads; quick."""
        image = volume_of_case(root, files.case_id)
        memory = CaseMemory(
            files, labels, with_image=image is None, with_doubt=withDoubt, spare=self._spare
        )
        self._spare.clear()
        return memory

    def put(self, memory: CaseMemory, root: str) -> ShownCase:
        """Put what was read into the scene and into the views, at a slice worth judging."""
        image = volume_of_case(root, memory.files.case_id)
        case = show_read_case(memory, image, project=root, spare=self._spareNodes)
        self._case, self._slices = case, memory.slices
        self._doubtPosition = -1
        self._window.shown(case.volume, isOwn=made_as(case.volume) is not None)
        segmentations = (case.proposal, case.previous)
        self.stage.showCase(case.volume, case.doubt, segmentations, self._nextPlace())
        return case

    def forget(self, *, editsAreSaved: bool) -> tuple[str, ...]:
        """Empty the nodes of the case; `settle` takes them out of the scene.

        A case that is shown before that fills them again, and takes their voxels' memory.

        Returns:
            The names of proposals that stay because they hold edits that nobody saved.
        """
        case, self._case = self._case, None
        if case is None:
            return ()
        self._window.left(case.volume)
        self.near.hide()
        kept = forget_case(
            case, edits_are_saved=editsAreSaved, spare=self._spare, spare_nodes=self._spareNodes
        )
        return tuple(node.GetName() for node in kept)

    def settle(self) -> None:
        """Take what no next case has filled out of the scene; the views are as they were."""
        if self._case is None:
            self._spare.clear()
            self._spareNodes.clear()
            self.near.remove()
            if self.stage.isOfCase:
                self.stage.restore()

    def sceneClosed(self) -> None:
        """Forget nodes that were removed with the scene."""
        self._case = None
        self._spare.clear()
        self._spareNodes.forget()
        self.near.forget()
        self.stage.forget()

    def forgetProject(self) -> None:
        """Begin anew with another project."""
        self._window.forget()

    def nextDoubt(self) -> None:
        """Let all views jump to the next doubtful slice, and begin anew after the last."""
        place = self._nextPlace()
        if place is not None:
            jumpTo(place)

    def _nextPlace(self) -> Point | None:
        if self._case is None or not self._slices:
            return None
        self._doubtPosition = (self._doubtPosition + 1) % len(self._slices)
        files = self._case.files
        index = self._slices[self._doubtPosition]
        return middleOfSlice(files.geometry, files.slicing_axis, index)

    def showOutline(self, *, outline: bool) -> None:
        """Show outlines alone, or filled areas."""
        if self._case is not None:
            show_as_outline(self._case, outline_only=outline)

    def showDoubt(self, *, visible: bool) -> None:
        """Show or hide the colours of doubt; a map that nobody wanted to see is read first."""
        case = self._case
        if case is None:
            return
        self._showsDoubt = visible
        if case.doubt is not None or not visible or not case.files.uncertainty:
            showDoubt(case.doubt, visible)
            return
        voxels = VoxelMemory.for_doubt(
            Path(case.files.uncertainty), case.files.geometry, self._spare
        )
        self._work.do(voxels.read, lambda _none: self._putDoubt(case, voxels))

    def _putDoubt(self, case: ShownCase, voxels: VoxelMemory) -> None:
        if self.isStill(case):
            self._case = add_doubt(case, voxels, self._spareNodes)
            self.stage.owns(self._case.doubt)
            showForeground(self._case.doubt)
            showDoubt(self._case.doubt, self._showsDoubt)

    def showPrevious(self, *, visible: bool) -> None:
        """Show or hide the round before."""
        if self._case is not None:
            show_previous(self._case, visible=visible)

    def keepWithScene(self, *, edited: bool) -> None:
        """Let an edited proposal be saved with the scene together with its image, or neither."""
        if self._case is not None:
            save_edits_with_scene(self._case, edited=edited)

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


def correctionFile(folder: Path, number: int) -> Path:
    """Return where a corrected proposal is written for the service to take."""
    return folder / f"correction-{number}.seg.nrrd"


def nodeExists(node: Any) -> bool:
    """Tell whether a node is in the scene."""
    return node is not None and bool(slicer.mrmlScene.IsNodePresent(node))
