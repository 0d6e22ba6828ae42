"""Whether the shown proposal differs from what counts already, by its voxels, not by its times."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from PseudoLabelCLGui.mrml_bridge import SegmentationSnapshot, ShownCase
from PseudoLabelCLGui.mrml_bridge.case_memory import editable_file
from PseudoLabelCLGui.presenter.review.review_actions import ReviewActions
from PseudoLabelCLGui.sections.parts.background_work import BackgroundWork
from PseudoLabelCLGui.sections.review.shown_proposal import ShownProposal, Times

# Who pauses for so long has finished a stroke.
_PAUSE_S = 0.4


class EditWatch:
    """Tells whether the shown proposal was changed, and writes what was made of it.

    A touched segment counts as changed at once. When the person pauses, the voxels are compared in
    a thread: a stroke that was undone is no change. If it is one, it is written to a file, from
    which it can be said what of it would count.

    Args:
        proposal: What is shown.
        work: Does things in threads.
        folder: Where what was changed is written.
        review: Told of every change, and of the file with what was made of the proposal so far.
        onEdited: Told whether the proposal differs from what it was.
    """

    def __init__(
        self,
        proposal: ShownProposal,
        work: BackgroundWork,
        folder: Path,
        review: ReviewActions,
        onEdited: Callable[..., None],
    ) -> None:
        self._proposal, self._work, self._folder = proposal, work, folder
        self._review, self._onEdited = review, onEdited
        self._numFiles = 0
        self.forget()

    def forget(self) -> None:
        """No case is shown any more, or another."""
        self._isEdited = self._isLooking = False
        self._known: Times | None = None  # at these the voxels were looked at, or judged
        self._seen: Times | None = None
        self._seenAtS = 0.0
        self._base: SegmentationSnapshot | None = None  # what counts already; None: as loaded
        self._sent: tuple[Times, SegmentationSnapshot] | None = None
        self._confirmed: Times | None = None

    def begin(self) -> None:
        """A case is shown."""
        self.forget()
        if self._proposal.isAsLoaded:
            self._known = self._seen = self._proposal.times

    @property
    def isEdited(self) -> bool:
        """Whether the proposal differs from what counts already, as far as is known."""
        return self._isEdited

    @property
    def isSaved(self) -> bool:
        """Whether what is in the views is known to be in the project as a correction."""
        return self._confirmed is not None and self._proposal.times == self._confirmed

    def sent(self, snapshot: SegmentationSnapshot) -> None:
        """Hear that the proposal as it is now is on its way to the project."""
        self._sent = (self._proposal.times, snapshot)

    def judged(self) -> None:
        """Hear that a verdict is on disk: only what is drawn after it is a change."""
        if self._sent is not None:
            self._known, self._base = self._sent
            self._confirmed, self._sent = self._known, None
        else:
            self._known = self._proposal.times
            if not self._proposal.isAsLoaded:
                self._base = self._proposal.snapshot()
        self._seen = self._known
        self._isEdited = False  # what was drawn since it was sent is reported again

    def tick(self) -> None:
        """Look whether anything was touched, and compare once the person pauses."""
        if self._proposal.case is None or self._proposal.case.proposal is None:
            return
        times, now = self._proposal.times, time.monotonic()
        if times == self._known:
            return
        if times != self._seen:
            self._seen, self._seenAtS = times, now
            self._tell(isEdited=True)
        elif now - self._seenAtS >= _PAUSE_S and not self._isLooking:
            self._look(self._proposal.case, times)

    def _look(self, case: ShownCase, times: Times) -> None:
        self._known = times  # what cannot be compared is not tried again before the next stroke
        snapshot = self._proposal.snapshot()
        if snapshot is None:
            return
        self._isLooking = True
        self._numFiles += 1
        look = _Look(
            case, times, snapshot, self._proposal.leftOut(), self._review.edit,
            self._folder / f"changed-{self._numFiles}.seg.nrrd", self._base,
        )  # fmt: skip
        self._work.do(look.run, lambda isChanged: self._looked(look, isChanged), self._failed)

    def _looked(self, look: "_Look", isChanged: bool) -> None:
        if not self._proposal.isStill(look.case):
            look.file.unlink(missing_ok=True)
            return
        self._isLooking = False
        if not look.case.copy_place:
            look.case.copy_place.extend(look.snapshot.layers[:1])
        if isChanged:
            self._review.preview_correction(str(look.file), look.leftOut, look.edit)
            # the service may still read the file before this one
            old = self._folder / f"changed-{self._numFiles - 2}.seg.nrrd"
            old.unlink(missing_ok=True)
        elif self._proposal.times == look.times:
            self._tell(isEdited=False)

    def _failed(self, error: Exception) -> None:
        self._isLooking = False
        raise error

    def _tell(self, *, isEdited: bool) -> None:
        """Tell of a change, also of a further one: what would count may be another."""
        if isEdited or self._isEdited:
            self._isEdited = isEdited
            self._onEdited(edited=isEdited)
            self._review.case_is_edited(isEdited)


@dataclass(frozen=True)
class _Look:
    """One comparison, done in a thread; the file is written if anything is changed."""

    case: ShownCase
    times: Times
    snapshot: SegmentationSnapshot
    leftOut: tuple[int, ...]
    edit: int
    file: Path
    base: SegmentationSnapshot | None

    def run(self) -> bool:
        isChanged = _differs(self.snapshot, self.case, self.base)
        if isChanged:
            self.snapshot.write(self.file)
        return isChanged


def _differs(
    snapshot: SegmentationSnapshot, case: ShownCase, base: SegmentationSnapshot | None
) -> bool:
    """Compare with what counts already; may run in a thread."""
    if base is not None:
        return not snapshot.is_same_as(base)
    if snapshot.has_unknown_segments(case.labels):
        return True
    values = np.load(editable_file(case.files) or "", mmap_mode="r", allow_pickle=False)
    return snapshot.differs_from(values, case.labels)
