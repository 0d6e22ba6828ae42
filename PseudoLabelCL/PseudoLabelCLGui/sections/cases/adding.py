"""Adding volumes: from the scene, from files, from a folder with volumes or DICOM series."""

import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import qt
import slicer

from PseudoLabelCLGui.case_row import CaseRow
from PseudoLabelCLGui.mrml_bridge import (
    CaseMark,
    SavedVolume,
    SegmentationSnapshot,
    VolumeSnapshot,
    case_of,
    remember_case,
    segmentation_problems,
    snapshot_segmentation,
    snapshot_volume,
    source_of,
)
from PseudoLabelCLGui.panel_state import CasesState, PanelState
from PseudoLabelCLGui.sections.cases.cases import ROLES, roleWords
from PseudoLabelCLGui.sections.cases.dropping import FileDrop
from PseudoLabelCLGui.sections.parts.asking import askFiles, askFolder
from PseudoLabelCLGui.sections.parts.background_work import BackgroundWork
from PseudoLabelCLGui.sections.parts.plain_text import plain
from PseudoLabelCLGui.sections.parts.section import Section, Surroundings
from PseudoLabelCLGui.sections.parts.showing import showAction, showChoice, showVisible
from PseudoLabelCLGui.translation import _, translated
from PseudoLabelCLLib.domain.case import MAX_CASE_ID_LENGTH, CaseRole, NewCase
from PseudoLabelCLLib.domain.errors import AnnotationError
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.answers import FoundVolume, VolumesFound

# None lets the volumes that have a segmentation be annotated, and the others unlabelled.
FOUND_ROLES = (*ROLES, None)
_UNFIT_FOR_A_NAME = re.compile(r'[\x00-\x1f/\\:*?"<>|]+')


@dataclass(frozen=True)
class _Snapshots:
    """What is taken out of the scene, to be written in a thread."""

    case_id: str
    role: CaseRole
    source: SavedVolume | None
    volume: VolumeSnapshot | None
    segmentation: SegmentationSnapshot | None
    folder: Path

    def write(self) -> NewCase:
        """Write what lies nowhere on disk yet; may run in a thread."""
        self.folder.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=self.folder))
        source, annotation = self.source, None
        if source is None and self.volume is not None:
            source = SavedVolume(made / "volume.nrrd", copy=True)
            self.volume.write(source.path)
        if self.segmentation is not None:
            annotation = made / "segmentation.seg.nrrd"
            self.segmentation.write(annotation)
        return NewCase(
            case_id=self.case_id,
            role=self.role,
            image=str(source.path) if source else "",
            series_uid=source.series_uid if source else None,
            annotation=str(annotation) if annotation else None,
            copy_image=bool(source and source.copy),
        )


class AddingSection(Section):
    """The fields under "Add volumes", and the list of what a folder holds.

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
        self._root = ""
        self._found: VolumesFound | None = None
        self._drop = FileDrop(self.ui.casesPage, self._onDropped, self.guard)
        self.ui.foundRoleCombo.addItem(_("as suggested"))
        proposed = _("as suggested: annotated where there is a segmentation, otherwise unlabelled")
        self.ui.foundRoleCombo.toolTip = plain(f"{roleWords()}\n{proposed}")
        showVisible(self.ui.foundBox, visible=False)
        selector = "currentNodeChanged(vtkMRMLNode*)"
        self.connect(self.ui.volumeSelector, selector, self._showAdd)
        self.connect(self.ui.segmentationSelector, selector, self._onSegmentation)
        self.connect(self.ui.addRoleCombo, "currentIndexChanged(int)", self._showAdd)
        self.connect(self.ui.addButton, "clicked()", self._onAdd)
        self.connect(self.ui.addFilesButton, "clicked()", self._onAddFiles)
        self.connect(self.ui.addFolderButton, "clicked()", self._onAddFolder)
        self.connect(self.ui.addFoundButton, "clicked()", self._onAddFound)
        self.connect(self.ui.dismissFoundButton, "clicked()", self._onDismiss)
        self._onSegmentation()

    def show(self, state: PanelState) -> None:
        """Show what can be added now."""
        self._root = state.project.root
        if state.cases == self._shown:
            return
        self._shown = state.cases
        showAction(self.ui.addFilesButton, state.cases.add_files)
        showAction(self.ui.addFolderButton, state.cases.add_folder)
        self._showAdd()

    def cleanUp(self) -> None:
        """Disconnect all widgets."""
        self._drop.cleanUp()
        super().cleanUp()

    def showFound(self, found: VolumesFound) -> None:
        """List what was found; everything is marked at first, and a role is proposed."""
        self._found = found
        self.ui.foundList.clear()
        for volume in found.volumes:
            item = qt.QListWidgetItem(_foundWords(volume))
            item.setToolTip(plain("\n".join(filter(None, (*_images(volume), volume.annotation)))))
            item.setCheckState(qt.Qt.Checked)
            self.ui.foundList.addItem(item)
        for problem in found.problems:
            item = qt.QListWidgetItem(f"{translated(problem.message)} {translated(problem.remedy)}")
            self.ui.foundList.addItem(item)
        hasSegmentations = any(volume.annotation for volume in found.volumes)
        proposed = None if hasSegmentations else CaseRole.UNLABELLED
        showChoice(self.ui.foundRoleCombo, FOUND_ROLES.index(proposed))
        showVisible(self.ui.foundBox, visible=True)
        self.ui.addToggle.setChecked(False)
        self.openPage("cases")

    def propose(self, segmentation: Any) -> None:
        """Choose a segmentation and the volume that it was drawn on."""
        self.ui.segmentationSelector.setCurrentNode(segmentation)
        reference = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
        volume = segmentation.GetNodeReference(reference)
        if volume is not None:
            self.ui.volumeSelector.setCurrentNode(volume)

    def _showAdd(self) -> None:
        if self._shown is None:
            return
        showAction(self.ui.addButton, self._shown.add)
        missing = self._missing() if self._shown.add.enabled else ""
        if missing:
            self.ui.addButton.enabled = False
            self.ui.addButton.toolTip = plain(missing)

    def _missing(self) -> str:
        volume = self.ui.volumeSelector.currentNode()
        if volume is None:
            return _("Choose a volume from the scene first")
        hasSegmentation = self.ui.segmentationSelector.currentNode() is not None
        if (caseId := self._caseOf(volume)) and not hasSegmentation:
            words = _("This volume is already case '{case}'; choose its segmentation to add that")
            return words.format(case=caseId)
        role = ROLES[self.ui.addRoleCombo.currentIndex]
        if role.needs_annotation and not hasSegmentation:
            return _("Choose the segmentation of this volume, or another role")
        return ""

    @property
    def _rows(self) -> tuple[CaseRow, ...]:
        return self._shown.rows if self._shown else ()

    def _caseOf(self, volume: Any) -> str:
        """Return which case of the open project a volume of the scene is, or nothing."""
        mark = case_of(volume)
        known = {row.case_id for row in self._rows}
        if mark is None or mark.project != self._root or mark.case_id not in known:
            return ""
        return mark.case_id

    def _onSegmentation(self) -> None:
        hasOne = self.ui.segmentationSelector.currentNode() is not None
        index = ROLES.index(CaseRole.ANNOTATED if hasOne else CaseRole.UNLABELLED)
        self.ui.addRoleCombo.setCurrentIndex(index)
        self._showAdd()

    def _onAdd(self) -> None:
        volume = self.ui.volumeSelector.currentNode()
        segmentation = self.ui.segmentationSelector.currentNode()
        snapshot = self._segmentationSnapshot(segmentation, volume)
        caseId = self._caseOf(volume)
        if caseId and snapshot is not None:
            self._annotate(caseId, snapshot)
            return
        snapshots = self._snapshots(volume, snapshot)
        remember_case(volume, CaseMark(self._root, snapshots.case_id))
        self._work.do(snapshots.write, lambda new: self.presenter.cases.add_volumes((new,)))

    def _annotate(self, caseId: str, segmentation: SegmentationSnapshot) -> None:
        """Give a case of the project, such as one that is shown, a person's segmentation."""
        files = _Snapshots(
            caseId, CaseRole.ANNOTATED, None, None, segmentation, folder=self._folder
        )
        self._work.do(
            files.write, lambda new: self.presenter.cases.annotate(new.case_id, new.annotation)
        )

    def _snapshots(self, volume: Any, segmentation: SegmentationSnapshot | None) -> _Snapshots:
        source = source_of(volume)
        return _Snapshots(
            case_id=caseIdFor(volume.GetName(), (row.case_id for row in self._rows)),
            role=ROLES[self.ui.addRoleCombo.currentIndex],
            source=source,
            volume=snapshot_volume(volume) if source is None else None,
            segmentation=segmentation,
            folder=self._folder,
        )

    def _segmentationSnapshot(self, segmentation: Any, volume: Any) -> SegmentationSnapshot | None:
        if segmentation is None:
            return None
        labels = self._shown.labels if self._shown else ()
        problems = segmentation_problems(
            segmentation, volume, LabelSchema(labels), look_at_voxels=False
        )
        if problems:
            raise AnnotationError(Text(problems[0]))
        return snapshot_segmentation(segmentation, volume)

    def _onAddFiles(self) -> None:
        kinds = _("Volumes (*.nrrd *.nhdr *.nii *.nii.gz *.mha *.mhd);;All files (*)")
        files = askFiles(self.top, _("Add volumes"), kinds)
        if files:
            self.presenter.cases.add_paths(files)

    def _onAddFolder(self) -> None:
        title = _("Add a folder of volumes or DICOM series")
        folder = askFolder(self.top, title)
        if folder:
            self.presenter.cases.add_paths((folder,))

    def _onDropped(self, paths: tuple[str, ...]) -> None:
        self.presenter.cases.add_paths(paths)

    def _onAddFound(self) -> None:
        role = FOUND_ROLES[self.ui.foundRoleCombo.currentIndex]
        volumes = self._found.volumes if self._found else ()
        marked = tuple(
            volume
            for row, volume in enumerate(volumes)
            if self.ui.foundList.item(row).checkState() == qt.Qt.Checked
        )
        self._onDismiss()
        if marked:
            self.presenter.cases.add_found(marked, role)

    def _onDismiss(self) -> None:
        self._found = None
        showVisible(self.ui.foundBox, visible=False)


def _images(volume: FoundVolume) -> tuple[str, ...]:
    return (volume.image, *(one.image for one in volume.further_images))


def _foundWords(volume: FoundVolume) -> str:
    """Return one line: the name, the size or series, and the segmentation beside it."""
    described = translated(volume.description)
    words = [f"{volume.case_id}  ({described})" if described else volume.case_id]
    if volume.further_images:
        words.append(", ".join((volume.channel, *(one.channel for one in volume.further_images))))
    if volume.annotation:
        words.append(_("segmentation: {file}").format(file=Path(volume.annotation).name))
    return ", ".join(words)


def caseIdFor(name: str, taken: Iterable[str]) -> str:
    """Return a name for a case that a file can bear and that no other case has."""
    plain = _UNFIT_FOR_A_NAME.sub("_", name).strip(" .")[:MAX_CASE_ID_LENGTH].rstrip(" .")
    plain = plain or _("volume")
    known = {one.casefold() for one in taken}
    number, found = 1, plain
    while found.casefold() in known:
        number += 1
        ending = f" {number}"
        found = plain[: MAX_CASE_ID_LENGTH - len(ending)] + ending
    return found
