"""Exporting: as files, and as DICOM with its checks, mends, queue and results."""

from dataclasses import replace

import pytest
from a_presenter import Stage, opened
from presenter_fakes import LABELS, Disk
from PseudoLabelCLGui.panel_state import Light
from PseudoLabelCLGui.presenter import ExportChoices

from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.domain.review import Verdict
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.domain.segmentation import Code, Terminology
from PseudoLabelCLLib.messages.answers import DicomFinding, ExportFix, ProposedCodes
from PseudoLabelCLLib.messages.requests import (
    ChangeLabels,
    CheckDicomExport,
    Export,
    ExportDicom,
)
from PseudoLabelCLLib.messages.service_messages import RequestProgress

OUT = ExportChoices("/out")
LIVER = Terminology(Code("SCT", "123037004", "Anatomical Structure"), Code("SCT", "1", "Liver"))
NO_CODES = DicomFinding(
    "", True, "No codes.", "Choose.", ExportFix.CHOOSE_CODES, 1, (ProposedCodes("Liver", LIVER),)
)
LOST = DicomFinding("u0", True, "The series is gone.", "Find it.", ExportFix.FIND_SERIES)
LOSS = DicomFinding("u0", True, "'liver': 2 voxels of 3.", "Confirm.", ExportFix.ACCEPT_LOSSES)
EMPTY = DicomFinding("u1", False, "'liver' has no voxel.")


def reviewed(*, by_hand: bool = False, **findings) -> Stage:
    """Case "a" is annotated, "u0" and "u1" are accepted, "u2" is not reviewed."""
    disk = Disk.with_cases(3, (RoundState.IN_REVIEW,))
    disk.verdicts = {(0, "u0"): Verdict.ACCEPTED, (0, "u1"): Verdict.ACCEPTED}
    disk.findings = {name.replace("all", ""): found for name, found in findings.items()}
    disk.from_dicom = {"a", "u0", "u1", "u2"}
    stage = opened(disk)
    stage.service.by_hand = by_hand
    return stage


def asked(stage: Stage, kind: type) -> list[str]:
    return [request.choices.case_ids[0] for request in stage.service.requests(kind)]


def check(stage: Stage, choices: ExportChoices = OUT) -> None:
    stage.presenter.export.check(choices)
    stage.settle()


def export(stage: Stage, choices: ExportChoices = OUT) -> None:
    stage.presenter.export.write_dicom(choices)
    stage.settle()


def results(stage: Stage) -> list[tuple[Light, str]]:
    return [(line.light, line.text) for line in stage.state.export.results]


# --- files


def test_the_export_of_files_lists_them_and_shows_their_folder():
    stage = opened(Disk.with_cases(1, (RoundState.IN_REVIEW,)))
    stage.presenter.export.write_files(
        "/out", SegmentationFormat.NIFTI, ("u0",), include_unreviewed=True
    )
    stage.settle()
    assert stage.service.requests(Export) == [
        Export("/out", SegmentationFormat.NIFTI, ("u0",), True)
    ]
    assert results(stage) == [(Light.GREEN, "a: a.seg.nrrd (a person)")]
    stage.presenter.message_step()
    assert ("on_folder_wanted", "/out") in stage.heard


def test_a_refused_export_does_not_speak_of_opening_the_project_again():
    stage = opened(Disk.with_cases(1, (RoundState.IN_REVIEW,)))
    stage.service.refuse(Export, "StorageError", "The disk is full.")
    stage.presenter.export.write_files("/out")
    stage.settle()
    assert stage.state.message.text == "The disk is full."
    assert stage.state.message.next_step.text == ""
    assert stage.state.export.export.enabled


# --- what is said before anything is asked


def test_volumes_that_are_not_from_dicom_are_named_as_soon_as_the_project_is_open():
    disk = Disk.with_cases(2)
    disk.from_dicom = {"u0"}
    note = opened(disk).state.export.note
    assert note.startswith("Not from DICOM (2 of 3): a, u1. Export them as .seg.nrrd")
    disk.from_dicom = {"a", "u0", "u1"}
    assert opened(disk).state.export.note == ""
    disk.from_dicom = set()
    assert opened(disk).state.export.note.startswith("No volume of this project came from DICOM.")


def test_without_a_segmentation_nothing_is_asked_of_the_service():
    disk = Disk.with_cases(2)
    del disk.roles["a"]
    stage = opened(disk)
    check(stage)
    export(stage)
    assert stage.service.requests(CheckDicomExport) == stage.service.requests(ExportDicom) == []
    assert "There is no segmentation to export yet" in stage.state.message.text


# --- the check


def test_each_case_that_a_person_confirmed_is_checked_and_nothing_is_written():
    stage = reviewed()
    check(stage)
    assert asked(stage, CheckDicomExport) == ["a", "u0", "u1"]
    assert stage.service.requests(ExportDicom) == []
    assert stage.state.export.summary.light is Light.GREEN
    assert stage.state.export.summary.text == "Ready for DICOM: 3 volumes."


def test_unreviewed_proposals_are_told_and_can_be_included():
    stage = reviewed()
    check(stage)
    (row,) = stage.state.export.findings
    assert (row.light, row.fix) == (Light.AMBER, ExportFix.INCLUDE_UNREVIEWED)
    assert row.text == "1 proposal that nobody has reviewed is left out."
    check(stage, replace(OUT, include_unreviewed=True))
    assert asked(stage, CheckDicomExport)[3:] == ["a", "u0", "u1", "u2"]
    assert stage.state.export.findings == ()


def test_a_finding_about_all_cases_is_told_once_and_first():
    stage = reviewed(all=(NO_CODES,), u1=(EMPTY,))
    check(stage)
    rows = stage.state.export.findings[:-1]
    assert [(row.light, row.text) for row in rows] == [
        (Light.RED, "No codes. Choose."),
        (Light.AMBER, "'liver' has no voxel."),
    ]
    assert rows[0].button.text == "Choose..."
    assert rows[0].proposals[0].words == "Liver"
    assert stage.state.export.summary.light is Light.RED


def test_chosen_codes_go_into_the_project_and_the_finding_is_gone():
    stage = reviewed(all=(NO_CODES,))
    check(stage)
    stage.disk.findings = {}
    stage.presenter.export.choose_codes(1, LIVER)
    stage.settle()
    (request,) = stage.service.requests(ChangeLabels)
    assert request.labels.classes == (replace(LABELS.classes[0], terminology=LIVER),)
    assert stage.state.export.summary.light is Light.GREEN
    export(stage)
    assert len(asked(stage, CheckDicomExport)) == 3, "what was checked is not checked again"
    assert asked(stage, ExportDicom) == ["a", "u0", "u1"]


def test_a_series_that_was_moved_is_looked_for_in_the_folder_for_its_cases_only():
    stage = reviewed(u0=(LOST,))
    check(stage)
    assert stage.state.export.summary.text == "2 of 3 volumes can be exported to DICOM."
    stage.presenter.export.look_in("/moved")
    stage.settle()
    assert stage.service.requests(CheckDicomExport)[-1].choices.look_in == "/moved"
    assert stage.state.export.summary.light is Light.GREEN
    export(stage)
    folders = [request.choices.look_in for request in stage.service.requests(ExportDicom)]
    assert folders == [None, "/moved", None]


def test_volumes_that_are_not_from_dicom_are_written_as_series_of_the_kind_that_was_said():
    foreign = replace(LOST, fix=ExportFix.NOT_FROM_DICOM)
    stage = reviewed(u0=(foreign,))
    check(stage)
    assert stage.state.export.findings[0].button.text == "Choose..."
    stage.presenter.export.write_volumes("CT")
    stage.settle()
    assert stage.state.export.summary.light is Light.GREEN
    export(stage, replace(OUT, to_database=True))
    kinds = [request.choices.volume_kind for request in stage.service.requests(ExportDicom)]
    assert kinds == [None, "CT", None]
    files = ("/out/a.dcm", "/out/u0.volume/1.dcm", "/out/u0.dcm", "/out/u1.dcm")
    assert stage.heard[-1] == ("on_dicom_written", files)
    assert stage.state.message.text == "Segmentations exported: 3 of 3."


def test_losses_are_accepted_for_one_case_until_its_segmentation_changes():
    stage = reviewed(u0=(LOSS, replace(LOSS, message="another")))
    check(stage)
    buttons = [row.button.text for row in stage.state.export.findings]
    assert buttons == ["Accept...", "", "Include them"]
    stage.presenter.export.accept_losses("u0")
    stage.settle()
    export(stage)
    accepted = {r.choices.case_ids[0]: r.choices.accept_losses
                for r in stage.service.requests(ExportDicom)}  # fmt: skip
    assert accepted == {"a": False, "u0": True, "u1": False}
    stage.presenter.review.accept_many(("u2",))
    stage.answer("Accept it")
    assert stage.state.export.summary.text == (
        "The project has changed since this check; check again."
    )
    check(stage)
    assert stage.state.export.findings[0].button.text == "Accept..."


# --- the export


def test_export_checks_first_and_goes_on_if_nothing_stops_it():
    stage = reviewed(u1=(EMPTY,))
    export(stage)
    assert asked(stage, CheckDicomExport) == asked(stage, ExportDicom) == ["a", "u0", "u1"]
    green = "read back: no voxel differs"
    assert results(stage) == [
        (Light.GREEN, f"a: a.dcm (accepted), {green}"),
        (Light.GREEN, f"u0: u0.dcm (accepted), {green}"),
        (Light.AMBER, f"u1: u1.dcm (accepted), {green}\n'liver' has no voxel."),
    ]
    assert stage.state.message.text == "Segmentations exported: 3 of 3."


def test_what_stops_a_case_is_shown_first_and_a_second_click_exports_the_others():
    stage = reviewed(u0=(LOST,))
    export(stage)
    assert stage.service.requests(ExportDicom) == []
    assert "Problems to fix first: 1" in stage.state.message.text
    export(stage)
    assert asked(stage, ExportDicom) == ["a", "u1"]
    assert results(stage)[0] == (
        Light.RED,
        "u0: not exported: The series is gone. Find it.",
    )
    assert stage.state.message.light is Light.AMBER
    assert stage.state.message.text == "Segmentations exported: 2 of 3."


def test_what_stops_all_cases_is_not_gone_past_by_clicking_again():
    stage = reviewed(all=(NO_CODES,))
    export(stage)
    export(stage)
    assert stage.service.requests(ExportDicom) == []


def test_other_choices_are_checked_anew():
    stage = reviewed()
    check(stage)
    export(stage, replace(OUT, case_ids=("u1",)))
    assert asked(stage, CheckDicomExport)[-1:] == asked(stage, ExportDicom) == ["u1"]


def test_progress_is_that_of_all_cases_and_other_requests_come_in_between():
    stage = reviewed(by_hand=True)
    stage.presenter.export.write_dicom(OUT)
    stage.presenter.tick()
    assert stage.state.export.stage == "Checking 'a' (1 of 3)"
    stage.presenter.review.show_case("u0")
    stage.service.handle()
    stage.presenter.tick()
    stage.service.events.append(
        RequestProgress(len(stage.service.asked) - 1, Progress("resampling", 1, 2))
    )
    stage.presenter.tick()
    assert stage.state.export.stage == "Checking 'u0' (2 of 3)"
    assert stage.state.export.fraction == pytest.approx((1 + 1 / 2) / 3)
    assert stage.state.message.light is not Light.WORKING
    stage.service.handle()
    stage.settle()
    assert stage.state.review.case_id == "u0", "the service shows a case before the next export"
    assert not stage.state.export.export.enabled
    assert stage.state.export.cancel.enabled


def test_stopping_keeps_what_is_written_and_names_the_rest():
    stage = reviewed()
    check(stage)
    stage.service.by_hand = True
    stage.presenter.export.write_dicom(OUT)
    stage.presenter.export.cancel()
    assert not stage.state.export.cancel.enabled
    assert stage.state.export.stage == "Stopping after 'a'"
    stage.service.by_hand = False
    stage.settle()
    assert asked(stage, ExportDicom) == ["a"]
    assert [light for light, _ in results(stage)] == [Light.GREEN, Light.RED, Light.RED]
    assert "the export was stopped before it" in results(stage)[1][1]
    assert not stage.state.export.is_running


def test_a_case_that_the_service_refuses_does_not_stop_the_others():
    stage = reviewed()
    check(stage)
    stage.service.refuse(ExportDicom, "ProjectError", "There is nothing.")
    export(stage)
    assert results(stage)[0] == (Light.RED, "a: not exported: There is nothing. Do this.")
    assert [light for light, _ in results(stage)][1:] == [Light.GREEN, Light.GREEN]


def test_a_full_disk_stops_the_queue_and_is_told():
    stage = reviewed()
    check(stage)
    stage.service.refuse(ExportDicom, "StorageError", "The disk is full.")
    export(stage)
    assert asked(stage, ExportDicom) == ["a"]
    assert stage.state.message.text == "The disk is full."
    assert [light for light, _ in results(stage)] == [Light.RED] * 3
    assert stage.state.export.export.enabled


def test_missing_packages_are_offered_to_be_installed():
    stage = reviewed()
    stage.service.refuse(CheckDicomExport, "PackageError", "highdicom is missing.")
    check(stage)
    assert stage.state.message.text == "highdicom is missing."
    assert stage.state.message.next_step.text == "Install the packages"


def test_a_service_that_ends_leaves_a_line_for_every_case_and_no_running_export():
    stage = reviewed(by_hand=True)
    stage.presenter.export.check(OUT)
    stage.service.crash()
    stage.settle()
    assert not stage.state.export.is_running
    assert stage.state.export.findings == ()
    export(stage)
    assert len(results(stage)) == 3, "a new service exports"


def test_the_database_gets_what_was_written_and_its_word_is_a_line():
    stage = reviewed(u0=(LOST,))
    choices = replace(OUT, folder="", to_database=True)
    export(stage, choices)
    export(stage, choices)
    folder = stage.service.requests(ExportDicom)[0].output_folder
    assert folder == "/tmp-of-scene/dicom"
    files = tuple(f"{folder}/{name}.dcm" for name in ("a", "u1"))
    assert stage.heard[-1] == ("on_dicom_written", files)
    stage.presenter.export.told_by_database(Light.GREEN, "2 added.")
    assert results(stage)[-1] == (Light.GREEN, "2 added.")


def test_without_the_database_nobody_is_told_of_files():
    stage = reviewed()
    export(stage)
    assert "on_dicom_written" not in stage.names_heard()


def test_closing_the_project_ends_the_export():
    stage = reviewed(by_hand=True)
    stage.presenter.export.write_dicom(OUT)
    stage.presenter.project.close()
    stage.service.by_hand = False
    stage.settle()
    assert stage.service.requests(ExportDicom) == []
    assert not stage.state.export.is_running
