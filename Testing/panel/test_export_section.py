"""Export by clicks: format, destination, findings with what mends them, the DICOM database."""

# ruff: noqa: N802 - the names are CTK's

from dataclasses import replace
from typing import ClassVar

import panel_states as states
import pytest
import slicer
from PseudoLabelCLGui.panel_state import Action, FindingRow, Light
from PseudoLabelCLGui.presenter import ExportChoices
from PySide6 import QtWidgets

from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.messages.answers import ExportFix

DICOM = 2
TO_FOLDER, TO_DATABASE, TO_BOTH = range(3)
MANY = tuple(FindingRow(Light.AMBER, f"case {n}: <b>bold</b>") for n in range(45))


@pytest.fixture
def a_project(a_panel):
    a_panel.show(states.REVIEW)
    a_panel.click("useStepButton")
    a_panel.click("exportChoiceButton")
    return a_panel


@pytest.fixture
def a_check(a_project):
    a_project.ui.exportFormatCombo.setCurrentIndex(DICOM)
    a_project.show(states.EXPORT_CHECKED)
    return a_project


def lines(panel):
    """The texts of the findings from top to bottom."""
    labels = panel.widget("exportFindings").findChildren(QtWidgets.QLabel)
    return [label.text() for label in labels if label.text()]


def buttons(panel):
    return panel.widget("exportFindings").findChildren(QtWidgets.QPushButton)


def press(panel, text, number=0):
    """Press the button of a finding."""
    [button for button in buttons(panel) if button.text() == text][number].click()
    panel.settle()


def menu_of(panel):
    """What the menu offers that a button has opened."""
    (menu,) = panel.widget("exportFindings").findChildren(QtWidgets.QMenu)
    return {action.text(): action for action in menu.actions()}


class Database:
    """Slicer's DICOM database as far as the panel uses it."""

    def __init__(self, *, is_open=True):
        self.isOpen = is_open
        self.num_told = 0

    def databaseChanged(self):
        self.num_told += 1


class Indexer:
    """Takes files and says so when it is told to."""

    made: ClassVar[list] = []

    def __init__(self):
        Indexer.made.append(self)
        self.backgroundImportEnabled = False
        self.database, self.slots, self.taken = None, {}, []

    def setDatabase(self, database):
        self.database = database

    def addListOfFiles(self, files, copies):
        assert self.backgroundImportEnabled, "the window would stand still"
        assert copies, "the files may lie in a temporary folder"
        self.taken.append(files)

    def connect(self, signature, slot):
        self.slots[signature] = slot
        return True

    def disconnect(self, signature, slot):
        assert self.slots.pop(signature) == slot

    def finish(self, num_images):
        self.slots["indexingComplete(int,int,int,int)"](0, 0, num_images, num_images)


@pytest.fixture
def a_database(monkeypatch):
    database = Database()
    Indexer.made = []
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    where = "PseudoLabelCLGui.sections.use.dicom_database.ctk.ctkDICOMIndexer"
    monkeypatch.setattr(where, Indexer, raising=False)
    return database


# --- choices


def test_export_takes_the_chosen_cases_if_wanted(a_project, tmp_path):
    a_project.ui.exportFolderEdit.setCurrentPath(str(tmp_path))
    a_project.choose("caseTable", 0, 3)
    a_project.click("exportButton")
    a_project.ui.exportChosenCheck.setChecked(True)
    a_project.ui.exportUnreviewedCheck.setChecked(True)
    a_project.ui.exportFormatCombo.setCurrentIndex(1)
    a_project.click("exportButton")
    seg, nifti = SegmentationFormat.SEG_NRRD, SegmentationFormat.NIFTI
    assert a_project.calls == [
        ("export.write_files", str(tmp_path), seg, (), False),
        ("export.write_files", str(tmp_path), nifti, ("heart 1", "heart 6"), True),
    ]


def test_what_belongs_to_dicom_only_is_shown_with_dicom_only(a_project):
    names = ("exportDestinationCombo", "exportCreatorEdit", "checkExportButton")
    assert not any(a_project.widget(name).isVisible() for name in names)
    a_project.ui.exportFormatCombo.setCurrentIndex(DICOM)
    assert all(a_project.widget(name).isVisible() for name in names)
    a_project.show(states.EXPORT_CHECKED)
    assert a_project.widget("exportFindings").isVisible()
    a_project.ui.exportFormatCombo.setCurrentIndex(0)
    assert not a_project.widget("exportFindings").isVisible()
    assert not a_project.widget("exportSummaryLabel").isVisible()


def test_a_folder_is_asked_for_unless_only_the_database_gets_it(a_project):
    assert a_project.ui.exportButton.toolTip == "Choose the folder for the files first"
    a_project.ui.exportFormatCombo.setCurrentIndex(DICOM)
    assert not a_project.ui.exportButton.enabled
    a_project.ui.exportDestinationCombo.setCurrentIndex(TO_DATABASE)
    assert not a_project.widget("exportFolderEdit").isVisible()
    a_project.click("exportButton")
    assert a_project.calls == [("export.write_dicom", ExportChoices(to_database=True))]
    a_project.ui.exportDestinationCombo.setCurrentIndex(TO_BOTH)
    assert not a_project.ui.exportButton.enabled


def test_the_creator_is_typed_and_remembered_but_never_guessed(a_project, app, answers, tmp_path):
    assert a_project.ui.exportCreatorEdit.text == ""
    a_project.ui.exportFormatCombo.setCurrentIndex(DICOM)
    a_project.ui.exportFolderEdit.setCurrentPath(str(tmp_path))
    edit = a_project.widget("exportCreatorEdit")
    edit.setText(" Doe^Jo ")
    edit.editingFinished.emit()
    a_project.click("checkExportButton")
    assert a_project.calls == [("export.check", ExportChoices(str(tmp_path), creator="Doe^Jo"))]
    assert type(a_project)(type(a_project.presenter), answers).ui.exportCreatorEdit.text == "Doe^Jo"


def test_volumes_that_are_not_from_dicom_are_named_before_anything_is_chosen(a_project):
    assert a_project.widget("exportNoteLabel").isVisible()
    assert a_project.ui.exportNoteLabel.text.startswith("Not from DICOM (1 of 5): heart 5.")


# --- findings and what mends them


def test_each_finding_has_a_line_as_it_was_found_and_only_some_a_button(a_check):
    assert lines(a_check) == [row.text for row in states.FINDINGS]
    texts = ["Choose...", "Choose...", "Look in...", "Accept...", "Include them"]
    assert [button.text() for button in buttons(a_check)] == texts


def test_new_findings_take_the_place_of_the_old_ones(a_check):
    state = replace(states.EXPORT_CHECKED.export, findings=states.FINDINGS[-2:])
    a_check.show(replace(states.EXPORT_CHECKED, export=state))
    visible = [button for button in buttons(a_check) if button.isVisible()]
    assert [button.text() for button in visible] == ["Include them"]


def test_many_findings_are_counted_and_none_is_read_as_markup(a_project):
    a_project.ui.exportFormatCombo.setCurrentIndex(DICOM)
    state = replace(states.EXPORT_CHECKED.export, findings=MANY)
    a_project.show(replace(states.EXPORT_CHECKED, export=state))
    assert lines(a_project)[0] == "case 0: <b>bold</b>"
    assert lines(a_project)[40:] == ["... and 5 more."]
    label = a_project.widget("exportFindings").findChildren(QtWidgets.QLabel)[-1]
    assert label.textFormat().name == "PlainText"


def test_a_structure_is_chosen_in_words(a_check):
    press(a_check, "Choose...")
    offered = menu_of(a_check)
    assert list(offered)[:2] == ["Myocardium", "Heart"]
    offered["Heart"].trigger()
    heart = states.FINDINGS[0].proposals[1].terminology
    assert a_check.calls == [("export.choose_codes", 2, heart)]


def test_a_structure_can_be_looked_up_in_slicers_own_list(a_check):
    press(a_check, "Choose...")
    menu_of(a_check)["Something else: in the table of structures..."].trigger()
    assert a_check.widget("casesPage").isVisible()
    assert a_check.widget("structuresTable").isVisible()


def test_a_volume_without_a_series_can_be_written_as_one_or_leave_dicom(a_check):
    press(a_check, "Choose...", 1)
    offered = menu_of(a_check)
    offered["Write the volumes as DICOM series first, as CT"].trigger()
    assert a_check.calls == [("export.write_volumes", "CT")]
    offered["Export as .seg.nrrd instead"].trigger()
    assert a_check.ui.exportFormatCombo.currentIndex == 0


def test_a_series_is_looked_for_in_the_folder_that_is_chosen(a_check):
    a_check.answers.paths = ["", "/scans"]
    press(a_check, "Look in...")
    press(a_check, "Look in...")
    assert a_check.calls == [("export.look_in", "/scans")]


def test_a_loss_is_accepted_only_after_it_was_read_again(a_check):
    a_check.answers.confirms = [False, True]
    press(a_check, "Accept...")
    assert a_check.calls == []
    press(a_check, "Accept...")
    assert "3120 voxels on the grid of the series, 3122 on its own" in a_check.answers.asked[0]
    assert a_check.calls == [("export.accept_losses", "heart 4")]


def test_unreviewed_proposals_are_included_by_the_button_beside_them(a_check):
    press(a_check, "Include them")
    assert a_check.ui.exportUnreviewedCheck.checked
    assert a_check.calls == [("export.check", ExportChoices(include_unreviewed=True))]


def test_a_button_that_cannot_be_used_now_says_why(a_project):
    a_project.ui.exportFormatCombo.setCurrentIndex(DICOM)
    row = replace(
        states.FINDINGS[2], button=Action(text="Look in...", tool_tip="An export is running.")
    )
    state = replace(states.EXPORT_CHECKED.export, findings=(row,))
    a_project.show(replace(states.EXPORT_CHECKED, export=state))
    (button,) = buttons(a_project)
    assert (button.isEnabled(), button.toolTip()) == (False, "An export is running.")
    assert row.fix is ExportFix.FIND_SERIES


# --- the queue and its results


def test_the_queue_is_followed_and_can_be_stopped(a_project):
    assert not a_project.widget("cancelExportButton").isVisible()
    a_project.show(states.EXPORTING)
    results = a_project.widget("exportResultsList")
    assert [results.item(n).text() for n in range(results.count())] == [
        line.text for line in states.EXPORTING.export.results
    ]
    assert not results.item(0).icon().isNull()
    a_project.click("cancelExportButton")
    assert a_project.calls == [("export.cancel",)]


# --- the database


def test_files_go_into_the_database_in_the_background_and_the_person_is_told(a_project, a_database):
    a_project.presenter.listeners.on_dicom_written(("/out/a.dcm", "/out/b.dcm"))
    assert "Importing the segmentations into Slicer's" in a_project.ui.messageLabel.text
    (indexer,) = Indexer.made
    assert indexer.database is a_database
    assert indexer.taken == [["/out/a.dcm", "/out/b.dcm"]]
    indexer.finish(2)
    told = ("export.told_by_database", Light.GREEN, "Imported into Slicer's DICOM database: 2.")
    assert a_project.calls == [told]
    assert a_database.num_told == 1


def test_a_second_export_while_the_first_goes_in_is_counted_with_it(a_project, a_database):
    for files in (("/out/a.dcm",), ("/out/b.dcm", "/out/c.dcm")):
        a_project.presenter.listeners.on_dicom_written(files)
    (indexer,) = Indexer.made
    indexer.finish(2)
    (_name, light, text) = a_project.calls[0]
    assert (light, text[:16]) == (Light.RED, "Only 2 of 3 file")


def test_a_database_that_is_not_open_is_told_with_where_the_files_lie(a_project, a_database):
    a_database.isOpen = False
    a_project.presenter.listeners.on_dicom_written(("/out/a.dcm",))
    ((_name, light, text),) = a_project.calls
    assert light is Light.RED
    assert "Open the DICOM module once" in text
    assert "'/out'" in text
    assert Indexer.made == []


def test_leaving_lets_go_of_the_database(a_project, a_database):
    a_project.presenter.listeners.on_dicom_written(("/out/a.dcm",))
    (indexer,) = Indexer.made
    a_project.close()
    assert indexer.slots == {}
