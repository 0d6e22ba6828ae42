"""The panel as far as verdicts go: what is in the views, what is drawn there, what is written."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PseudoLabelCLGui.presenter import Presenter

from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.messages.answers import CaseFiles
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation


@dataclass
class Screen:
    """One case in the views.

    Args:
        files: What it was made from.
        loaded: Its labels as they came, shape (k, j, i).
        now: The labels as they are in the views, shape (k, j, i).
        saved: The labels that the newest correction on disk holds, or None.
    """

    files: CaseFiles
    loaded: np.ndarray
    now: np.ndarray
    saved: np.ndarray | None = None

    @property
    def is_unsaved(self) -> bool:
        """Whether something is drawn that is nowhere else."""
        start = self.loaded if self.saved is None else self.saved
        return not np.array_equal(self.now, start)


class ScreenPanel:
    """Takes files, puts them into the views a while later, draws, and writes what is drawn.

    Args:
        presenter: The presenter.
        schema: The structures.
        folder: For corrections.
    """

    def __init__(self, presenter: Presenter, schema: LabelSchema, folder: Path) -> None:
        self.presenter, self.schema, self.folder = presenter, schema, folder
        self.screen: Screen | None = None
        self.kept: list[np.ndarray] = []
        self.may_discard = False
        self._reading: CaseFiles | None = None
        self._writing: np.ndarray | None = None
        self._sent: np.ndarray | None = None
        self.written: np.ndarray | None = None
        self._num_files = 0
        listeners = presenter.listeners
        listeners.on_case_files = self._take_files
        listeners.on_case_left = self._leave
        listeners.on_correction_wanted = self._want_correction
        listeners.on_verdict_saved = self._verdict_saved

    # --- what the presenter says

    def _take_files(self, files: CaseFiles) -> None:
        assert self.screen is None, "a case comes before the one before it was left"
        self._reading = files

    def _leave(self, case_id: str, discard: bool) -> None:
        if self._reading is not None and self._reading.case_id == case_id:
            self._reading = None
        screen, self.screen, self._writing = self.screen, None, None
        if screen is None:
            return
        assert screen.files.case_id == case_id
        if screen.is_unsaved and not discard:
            self.kept.append(screen.now)
        elif screen.is_unsaved:
            assert self.may_discard, "changes are lost that nobody wanted to lose"

    def _want_correction(self, _left_out: tuple[int, ...]) -> None:
        assert self.screen is not None, "a correction of nothing is wanted"
        self._writing = self.screen.now.copy()

    def _verdict_saved(self, case_ids: tuple[str, ...]) -> None:
        if self.screen is None or self.screen.files.case_id not in case_ids:
            return
        if self._sent is not None:
            self.screen.saved, self._sent = self._sent, None
            if self.screen.is_unsaved:
                self.presenter.review.case_is_edited(True)

    # --- what happens in the panel's own time

    def tick(self) -> None:
        """Put what was read into the views, and hand over what was written."""
        files, self._reading = self._reading, None
        if files is not None:
            labels = np.load(files.reviewed or files.proposal or files.annotation)
            self.screen = Screen(files, labels.copy(), labels.copy())
            self.presenter.review.case_is_on_screen(files)
        labels, self._writing = self._writing, None
        if labels is not None:
            self._num_files += 1
            file = self.folder / f"correction-{self._num_files}.seg.nrrd"
            write_segmentation(file, LabelVolume(labels, self._grid), self.schema)
            self._sent = self.written = labels
            self.presenter.review.correct(str(file))

    @property
    def _grid(self):
        assert self.screen is not None
        return self.screen.files.geometry

    # --- what a person does in the views

    def draw(self, place: tuple[int, int, int], further: int) -> None:
        """Give one voxel another label.

        Args:
            place: Index (k, j, i).
            further: How much further in the list of labels.
        """
        if self.screen is None:
            return
        num_labels = len(self.schema.classes) + 1
        self.screen.now[place] = (self.screen.now[place] + further) % num_labels
        start = self.screen.loaded if self.screen.saved is None else self.screen.saved
        self.presenter.review.case_is_edited(not np.array_equal(self.screen.now, start))

    def undo(self) -> None:
        """Undo all that was drawn since the case came, or since it was saved."""
        if self.screen is not None and self.screen.is_unsaved:
            start = self.screen.loaded if self.screen.saved is None else self.screen.saved
            self.screen.now = start.copy()
            self.presenter.review.case_is_edited(False)
