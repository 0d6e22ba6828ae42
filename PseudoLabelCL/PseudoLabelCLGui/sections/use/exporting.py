"""Exporting segmentations, as files or as DICOM objects, and what stands in the way."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import qt

from PseudoLabelCLGui.panel_state import ExportState, FindingRow, Light, MarkedLine, PanelState
from PseudoLabelCLGui.presenter import ExportChoices
from PseudoLabelCLGui.presenter.words import format_words
from PseudoLabelCLGui.sections.cases.finding_lines import FindingLines
from PseudoLabelCLGui.sections.parts.asking import askFolder, confirm
from PseudoLabelCLGui.sections.parts.lights import LightMark, picture
from PseudoLabelCLGui.sections.parts.plain_text import plain
from PseudoLabelCLGui.sections.parts.section import Section, Surroundings
from PseudoLabelCLGui.sections.parts.showing import showAction, showText, showVisible
from PseudoLabelCLGui.sections.parts.tables import chosenIds
from PseudoLabelCLGui.sections.use.dicom_database import DicomDatabase
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.messages.answers import ExportFix

FORMATS = tuple(SegmentationFormat)
# The entry after those of files is DICOM.
DICOM = len(FORMATS)
# In the order of the combo box: whether a folder, whether the database gets the objects.
_DESTINATIONS = ((True, False), (False, True), (True, True))
_CREATOR_KEY = "PseudoLabelCL/contentCreator"


class ExportSection(Section):
    """Chooses format and destination, shows what a check found and mends it, and the results.

    Args:
        surroundings: What a section works with.
        showStructures: Shows the table of structures, where terminology can be edited.
    """

    def __init__(self, surroundings: Surroundings, showStructures: Callable[[], None]) -> None:
        super().__init__(surroundings)
        self._showStructures = showStructures
        self._shown: ExportState | None = None
        self._menu: Any = None
        self._entries: list[Any] = []
        self._database = DicomDatabase(lambda *counts: self.guard(partial(self._taken, *counts)))
        self._light = LightMark(self.ui.exportSummaryLight, surroundings.icon)
        self._fillCombos()
        self._findings = FindingLines(self, self.ui.exportFindings, self._onFix)
        self.ui.exportCreatorEdit.setText(str(qt.QSettings().value(_CREATOR_KEY) or ""))
        for widget, signature, slot in self._wires():
            self.connect(widget, signature, slot)
        self._showFormat()

    def show(self, state: PanelState) -> None:
        """Show what is known about the export."""
        export = state.export
        if export == self._shown:
            return
        before, self._shown = self._shown, export
        showText(self.ui.exportNoteLabel, export.note)
        showAction(self.ui.cancelExportButton, export.cancel)
        showVisible(self.ui.cancelExportButton, export.is_running)
        if before is None or before.findings != export.findings:
            self._findings.show(export.findings)
        if before is None or before.results != export.results:
            self._showResults(export.results)
        self._showFormat()

    def importIntoDatabase(self, files: tuple[str, ...]) -> None:
        """Copy what was written into Slicer's DICOM database; the window stays usable."""
        problem = self._database.problem()
        if problem:
            folder = str(Path(files[0]).parent)
            text = _("{problem} The files lie in '{folder}'; import them there, or export again.")
            self.presenter.export.told_by_database(
                Light.RED, text.format(problem=problem, folder=folder)
            )
            return
        text = _("Importing the segmentations into Slicer's DICOM database.")
        self.tell(Light.WORKING, text)
        self._database.add(files)

    def cleanUp(self) -> None:
        """Disconnect all widgets and the menu, and release the database."""
        self._forgetMenu()
        self._findings.clear()
        self._database.cleanUp()
        super().cleanUp()

    # --- choices

    def _fillCombos(self) -> None:
        for text in (*map(format_words, FORMATS), _("DICOM segmentation (.dcm)")):
            self.ui.exportFormatCombo.addItem(text)
        for text in (_("a folder"), _("Slicer's DICOM database"), _("folder and DICOM database")):
            self.ui.exportDestinationCombo.addItem(text)

    def _wires(self) -> tuple[tuple[Any, str, Callable[[], None]], ...]:
        ui = self.ui
        return (
            (ui.exportFormatCombo, "currentIndexChanged(int)", self._showFormat),
            (ui.exportDestinationCombo, "currentIndexChanged(int)", self._showFormat),
            (ui.exportFolderEdit, "currentPathChanged(QString)", self._showButtons),
            (ui.exportCreatorEdit, "editingFinished()", self._onCreator),
            (ui.checkExportButton, "clicked()", self._onCheck),
            (ui.exportButton, "clicked()", self._onExport),
            (ui.cancelExportButton, "clicked()", self._onCancel),
        )

    def _isDicom(self) -> bool:
        return bool(self.ui.exportFormatCombo.currentIndex == DICOM)

    def _destination(self) -> tuple[bool, bool]:
        """Return whether a folder, and whether the database gets what is exported."""
        if not self._isDicom():
            return True, False
        return _DESTINATIONS[self.ui.exportDestinationCombo.currentIndex]

    def _choices(self) -> ExportChoices:
        toFolder, toDatabase = self._destination()
        onlyChosen = self.ui.exportChosenCheck.checked
        return ExportChoices(
            folder=self.ui.exportFolderEdit.currentPath.strip() if toFolder else "",
            to_database=toDatabase,
            case_ids=chosenIds(self.ui.caseTable) if onlyChosen else (),
            include_unreviewed=self.ui.exportUnreviewedCheck.checked,
            creator=self.ui.exportCreatorEdit.text.strip(),
        )

    def _showFormat(self) -> None:
        """Show what belongs to the chosen format only."""
        isDicom, (toFolder, _toDatabase) = self._isDicom(), self._destination()
        ui = self.ui
        for widget in (ui.exportFormLabel1, ui.exportDestinationCombo, ui.exportFormLabel3,
                       ui.exportCreatorEdit, ui.checkExportButton):  # fmt: skip
            showVisible(widget, isDicom)
        for widget in (ui.exportFormLabel2, ui.exportFolderEdit):
            showVisible(widget, toFolder)
        export = self._shown
        isChecked = isDicom and export is not None
        summary = export.summary if isChecked and export else MarkedLine(Light.NONE, "")
        self._light.show(summary.light)
        showText(ui.exportSummaryLabel, summary.text)
        showVisible(ui.exportFindingsArea, isChecked and bool(export and export.findings))
        self._showButtons()

    def _showButtons(self) -> None:
        if self._shown is None:
            return
        showAction(self.ui.checkExportButton, self._shown.check)
        showAction(self.ui.exportButton, self._shown.export)
        toFolder, _toDatabase = self._destination()
        hasFolder = bool(self.ui.exportFolderEdit.currentPath.strip())
        if self._shown.export.enabled and toFolder and not hasFolder:
            self.ui.exportButton.enabled = False
            self.ui.exportButton.toolTip = plain(_("Choose the folder for the files first"))

    # --- results

    def _showResults(self, results: tuple[MarkedLine, ...]) -> None:
        self.ui.exportResultsList.clear()
        for line in results:
            item = qt.QListWidgetItem(line.text)
            item.setIcon(qt.QIcon(picture(line.light, self.icon)))
            item.setToolTip(plain(line.text))
            self.ui.exportResultsList.addItem(item)
        showVisible(self.ui.exportResultsList, bool(results))

    # --- what mends a finding

    def _onFix(self, row: FindingRow) -> None:
        fixes: dict[ExportFix, Callable[[FindingRow], None]] = {
            ExportFix.CHOOSE_CODES: self._chooseCodes,
            ExportFix.FIND_SERIES: self._findSeries,
            ExportFix.NOT_FROM_DICOM: self._chooseWithoutDicom,
            ExportFix.ACCEPT_LOSSES: self._acceptLosses,
            ExportFix.INCLUDE_UNREVIEWED: self._includeUnreviewed,
        }
        fixes[row.fix](row)

    def _chooseCodes(self, row: FindingRow) -> None:
        """Offer what the structure may be, in words, and Slicer's own list."""
        self._makeMenu()
        value = row.label_value
        if value is not None:
            for proposal in row.proposals:
                choose = partial(self.presenter.export.choose_codes, value, proposal.terminology)
                self._addEntry(proposal.words, choose)
        self._addEntry(_("Something else: in the table of structures..."), self._showStructures)
        self._menu.popup(qt.QCursor.pos())

    def _makeMenu(self) -> None:
        self._forgetMenu()
        self._menu = qt.QMenu(self.ui.exportFindings)

    def _addEntry(self, text: str, slot: Callable[[], None]) -> None:
        entry = qt.QAction(text, self._menu)
        self.connect(entry, "triggered()", slot)
        self._menu.addAction(entry)
        self._entries.append(entry)

    def _forgetMenu(self) -> None:
        for entry in self._entries:
            self.disconnectAll(entry)
        self._entries = []
        if self._menu is not None:
            self._menu.deleteLater()
            self._menu = None

    def _findSeries(self, _row: FindingRow) -> None:
        folder = askFolder(self.top, _("Where the DICOM series lie now"))
        if folder:
            self.presenter.export.look_in(folder)

    def _chooseWithoutDicom(self, _row: FindingRow) -> None:
        """Offer to write the volumes as DICOM series, or another format."""
        words = {
            "MR": _("Write the volumes as DICOM series first, as MR"),
            "CT": _("Write the volumes as DICOM series first, as CT"),
            "OT": _("Write the volumes as DICOM series first, as neither"),
        }
        self._makeMenu()
        for kind, text in words.items():
            self._addEntry(text, partial(self.presenter.export.write_volumes, kind))
        leave = partial(self.ui.exportFormatCombo.setCurrentIndex, 0)
        self._addEntry(_("Export as .seg.nrrd instead"), leave)
        self._menu.popup(qt.QCursor.pos())

    def _acceptLosses(self, row: FindingRow) -> None:
        rows = self._shown.findings if self._shown else ()
        lines = [one.text for one in rows if one.case_id == row.case_id and one.light is Light.RED]
        question = _(
            "Export '{case}' even though voxels change on the grid of its DICOM series?\n\n{lines}"
        )
        if confirm(question.format(case=row.case_id, lines="\n".join(lines))):
            self.presenter.export.accept_losses(row.case_id)

    def _includeUnreviewed(self, _row: FindingRow) -> None:
        self.ui.exportUnreviewedCheck.setChecked(True)
        self.presenter.export.check(self._choices())

    # --- buttons

    def _onCreator(self) -> None:
        qt.QSettings().setValue(_CREATOR_KEY, self.ui.exportCreatorEdit.text.strip())

    def _onCheck(self) -> None:
        self.presenter.export.check(self._choices())

    def _onExport(self) -> None:
        choices = self._choices()
        if choices.folder:
            self.ui.exportFolderEdit.addCurrentPathToHistory()
        if self._isDicom():
            self.presenter.export.write_dicom(choices)
            return
        self.presenter.export.write_files(
            choices.folder,
            FORMATS[self.ui.exportFormatCombo.currentIndex],
            choices.case_ids,
            choices.include_unreviewed,
        )

    def _onCancel(self) -> None:
        self.presenter.export.cancel()

    def _taken(self, numImages: int, numAwaited: int) -> None:
        """Tell what became of the import into the database."""
        if numImages >= numAwaited:
            light, text = Light.GREEN, _("Imported into Slicer's DICOM database: {count}.")
        else:
            light, text = (
                Light.RED,
                _("Only {count} of {total} files were imported into Slicer's DICOM database. "
                  "Import them in the DICOM module, from the folder of the export."),
            )  # fmt: skip
        text = text.format(count=numImages, total=numAwaited)
        self.tell(light, text)
        self.presenter.export.told_by_database(light, text)
