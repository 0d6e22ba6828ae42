"""Another image of a patient, such as T1 beside FLAIR: from the scene or from a file."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PseudoLabelCLGui.mrml_bridge import SavedVolume, VolumeSnapshot, snapshot_volume, source_of
from PseudoLabelCLGui.panel_state import CasesState, PanelState
from PseudoLabelCLGui.sections.parts.asking import askFile
from PseudoLabelCLGui.sections.parts.background_work import BackgroundWork
from PseudoLabelCLGui.sections.parts.plain_text import plain
from PseudoLabelCLGui.sections.parts.section import Section, Surroundings
from PseudoLabelCLGui.sections.parts.showing import showAction, showText, showVisible
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.channels import NamedImage, check_channels


@dataclass(frozen=True)
class _Further:
    """An image that is added to a case, to be written in a thread if it lies nowhere on disk.

    Args:
        case_id: The case.
        channel: What the image is called.
        first_channel: What the first image is called, if that has no name yet.
        image: Where the image lies, or its voxels if it lies nowhere.
        folder: Where it is written then.
    """

    case_id: str
    channel: str
    first_channel: str
    image: SavedVolume | VolumeSnapshot
    folder: Path

    def write(self) -> SavedVolume:
        """Return where the image lies; may run in a thread."""
        if isinstance(self.image, SavedVolume):
            return self.image
        self.folder.mkdir(parents=True, exist_ok=True)
        file = Path(tempfile.mkdtemp(dir=self.folder)) / "volume.nrrd"
        self.image.write(file)
        return SavedVolume(file, copy=True)


class FurtherSection(Section):
    """The fields that appear for *Further image of this patient...*.

    Args:
        surroundings: What a section works with.
        work: Writes files in threads.
        folder: Where copies for the project are written.
    """

    def __init__(self, surroundings: Surroundings, work: BackgroundWork, folder: Path) -> None:
        super().__init__(surroundings)
        self._work = work
        self._folder = folder
        self._shown: CasesState | None = None
        self._caseId = ""
        showVisible(self.ui.furtherBox, visible=False)
        selector = "currentNodeChanged(vtkMRMLNode*)"
        self.connect(self.ui.furtherVolumeSelector, selector, self._showButtons)
        for edit in (self.ui.furtherFirstEdit, self.ui.furtherChannelEdit):
            self.connect(edit, "textChanged(QString)", self._showButtons)
        self.connect(self.ui.furtherAddButton, "clicked()", self._onAdd)
        self.connect(self.ui.furtherFileButton, "clicked()", self._onFile)
        self.connect(self.ui.furtherDismissButton, "clicked()", self._close)

    def show(self, state: PanelState) -> None:
        """Show what can be added now; the fields go with their case."""
        if state.cases == self._shown:
            return
        self._shown = state.cases
        if self._caseId and self._caseId not in {row.case_id for row in state.cases.rows}:
            self._close()
        self._showButtons()

    def open(self, caseId: str) -> None:
        """Show the fields for another image of a case."""
        self._caseId = caseId
        rows = self._shown.rows if self._shown else ()
        missing = next((row.missing_channels for row in rows if row.case_id == caseId), ())
        words = _("Further image of the patient '{case}':").format(case=caseId)
        showText(self.ui.furtherLabel, words)
        self.ui.furtherChannelEdit.setText(missing[0] if missing else "")
        self.ui.furtherVolumeSelector.setCurrentNode(None)
        showVisible(self.ui.furtherBox, visible=True)
        self._showButtons()
        self.openPage("cases")

    def _close(self) -> None:
        self._caseId = ""
        showVisible(self.ui.furtherBox, visible=False)

    def _showButtons(self) -> None:
        if self._shown is None:
            return
        isFirstUnnamed = not self._shown.channels
        for widget in (self.ui.furtherFirstEdit, self.ui.furtherFirstLabel):
            showVisible(widget, visible=isFirstUnnamed)
        showAction(self.ui.furtherAddButton, self._shown.add_further)
        showAction(self.ui.furtherFileButton, self._shown.add_further)
        missing = self._missing() if self._shown.add_further.enabled else ""
        for button in (self.ui.furtherAddButton, self.ui.furtherFileButton):
            if missing:
                button.enabled = False
                button.toolTip = plain(missing)
        if not missing and self.ui.furtherVolumeSelector.currentNode() is None:
            self.ui.furtherAddButton.enabled = False
            self.ui.furtherAddButton.toolTip = plain(_("Choose a volume from the scene first"))

    def _missing(self) -> str:
        if not self._channel:
            return _("Say what the image is, such as T1")
        if self._shown is not None and not self._shown.channels and not self._first:
            return _("Say what the first image of each patient is, such as FLAIR")
        return ""

    @property
    def _channel(self) -> str:
        return str(self.ui.furtherChannelEdit.text).strip()

    @property
    def _first(self) -> str:
        return str(self.ui.furtherFirstEdit.text).strip()

    def _onAdd(self) -> None:
        node = self.ui.furtherVolumeSelector.currentNode()
        self._add(source_of(node) or snapshot_volume(node))

    def _onFile(self) -> None:
        kinds = _("Volumes (*.nrrd *.nhdr *.nii *.nii.gz *.mha *.mhd);;All files (*)")
        file = askFile(self.top, _("Further image of the patient"), kinds)
        if file:
            self._add(SavedVolume(Path(file)))

    def _add(self, image: SavedVolume | VolumeSnapshot) -> None:
        first = "" if self._shown is None or self._shown.channels else self._first
        check_channels([name for name in (first, self._channel) if name])
        further = _Further(self._caseId, self._channel, first, image, self._folder)
        self._close()
        self._work.do(further.write, lambda saved: self._written(further, saved))

    def _written(self, further: _Further, saved: Any) -> None:
        self.presenter.cases.add_further_image(
            further.case_id,
            NamedImage(further.channel, str(saved.path), saved.series_uid),
            further.first_channel,
            copy_image=saved.copy,
        )
