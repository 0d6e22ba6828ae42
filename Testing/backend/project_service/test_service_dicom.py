"""A real service that checks and writes DICOM exports: codes, moved series, volumes without one."""

import shutil
import sys
from dataclasses import replace

import dicom_phantoms as phantoms
import numpy as np
import pytest
from asking_services import answer, answers_to, opened, refusal, running_services

from PseudoLabelCLLib.curation.export.verify_segmentation_object import verify_segmentation_object
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.messages import requests as ask
from PseudoLabelCLLib.messages.answers import ExportFix
from PseudoLabelCLLib.messages.service_messages import Answered, RequestProgress
from PseudoLabelCLLib.storage.dicom.source_series import read_source_series
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

pytestmark = pytest.mark.slow
GRID = phantoms.grid("oblique", size=(16, 12, 6))
LABELS = LabelSchema((LabelClass(3, "left kidney", "#e69f00"), LabelClass(7, "liver", "#56b4e9")))


def drawn():
    array = np.zeros(GRID.array_shape, np.int16)
    array[1:4, 2:5, 3:9] = 3
    array[2:5, 7:11, 2:14] = 7
    return array


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A project with "scan", a DICOM series, and "copy", the same volume as a file."""
    base = tmp_path_factory.mktemp("template")
    series = phantoms.write_series(base / "series", GRID, order=[3, 0, 5, 1, 4, 2])
    write_volume(base / "copy.nrrd", Volume(series.voxels, GRID))
    file = base / "drawn.seg.nrrd"
    write_segmentation(file, LabelVolume(drawn(), GRID), LABELS)
    volumes = tuple(
        ask.NewCase(name, CaseRole.ANNOTATED, str(image), annotation=str(file))
        for name, image in (("scan", series.folder), ("copy", base / "copy.nrrd"))
    )
    with running_services() as start_one:
        service = start_one()
        creation = ask.CreateProject(str(base / "project"), "Livers", Profile.QUICK, LABELS)
        answer(service, creation)
        assert answer(service, ask.AddVolumes(volumes)).problems == ()
    return base


@pytest.fixture
def a_base(template, tmp_path):
    """A copy of the project with its series beside it."""
    return shutil.copytree(template, tmp_path / "base")


@pytest.fixture
def a_service(start_service, a_base):
    service = start_service()
    opened(service, a_base / "project")
    return service


def checked(service, *case_ids, **choices):
    request = ask.CheckDicomExport(ask.DicomChoices(case_ids, **choices))
    return answer(service, request).findings


def give_codes(service):
    """Take the first proposal for each structure, as a person does."""
    found = {one.label_value: one.proposals[0] for one in checked(service, "scan")}
    labels = tuple(replace(one, terminology=found[one.value].terminology) for one in LABELS)
    answer(service, ask.ChangeLabels(LabelSchema(labels)))
    return found


def exported(service, folder, *case_ids, **choices):
    request = ask.ExportDicom(str(folder), ask.DicomChoices(case_ids, **choices))
    return {line.case_id: line for line in answer(service, request).lines}


def test_the_view_tells_which_volumes_came_from_dicom_and_which_have_a_segmentation(
    start_service, a_base
):
    cases = opened(start_service(), a_base / "project").cases
    assert [(case.id, case.is_from_dicom) for case in cases] == [("scan", True), ("copy", False)]
    assert all(case.is_confirmed for case in cases)


def test_structures_without_codes_come_with_what_their_names_propose(a_service):
    findings = checked(a_service, "scan")
    assert [(one.fix, one.label_value) for one in findings] == [
        (ExportFix.CHOOSE_CODES, 3),
        (ExportFix.CHOOSE_CODES, 7),
    ]
    assert all(one.stops and one.case_id == "" for one in findings)
    assert findings[0].proposals[0].words == "Kidney, left"
    assert findings[0].proposals[0].terminology.type.value == "64033007"


def test_chosen_codes_let_the_case_out_and_the_object_lies_right(a_service, a_base, tmp_path):
    give_codes(a_service)
    assert checked(a_service, "scan") == ()
    line = exported(a_service, tmp_path / "out", "scan", creator="Doe^Jo")["scan"]
    assert (line.source, line.message, line.volume_files) == ("annotated", "", ())
    source = read_source_series(a_base / "series")
    found = verify_segmentation_object(tmp_path / "out" / line.file, source)
    assert found.problems == ()
    counts = [(drawn() == 3).sum(), (drawn() == 7).sum()]
    assert [segment.num_voxels for segment in found.segments] == counts


def test_progress_is_told_and_a_volume_without_a_series_stops_no_other(a_service, tmp_path):
    give_codes(a_service)
    request = ask.ExportDicom(str(tmp_path / "out"))
    *events, last = answers_to(a_service, a_service.ask(request))
    assert isinstance(last, Answered)
    shares = [event.progress.fraction for event in events if event.progress.num_steps]
    assert all(isinstance(event, RequestProgress) for event in events)
    assert shares == sorted(shares)
    assert shares[-1] == 1
    lines = {line.case_id: line for line in last.answer.lines}
    assert lines["scan"].file
    assert lines["copy"].file is None
    assert "did not come from a DICOM series" in lines["copy"].message


def test_a_volume_without_a_series_names_no_option_of_the_command_line(a_service):
    give_codes(a_service)
    (found,) = checked(a_service, "copy")
    assert (found.fix, found.stops, found.case_id) == (ExportFix.NOT_FROM_DICOM, True, "copy")
    assert "--" not in found.message + found.remedy


def test_a_volume_is_written_as_a_series_first_if_a_person_says_what_it_is(a_service, tmp_path):
    give_codes(a_service)
    (found,) = checked(a_service, "copy", volume_kind="MR")
    assert not found.stops
    line = exported(a_service, tmp_path / "out", "copy", volume_kind="MR")["copy"]
    assert len(line.volume_files) == GRID.array_shape[0]
    source = read_source_series(next((tmp_path / "out").glob("copy.volume.*")))
    assert verify_segmentation_object(tmp_path / "out" / line.file, source).problems == ()


def test_a_series_that_was_moved_is_found_where_the_person_says(a_service, a_base, tmp_path):
    give_codes(a_service)
    (a_base / "elsewhere").mkdir()
    (a_base / "series").rename(a_base / "elsewhere" / "deep")
    (found,) = checked(a_service, "scan")
    assert (found.fix, found.stops) == (ExportFix.FIND_SERIES, True)
    where = str(a_base / "elsewhere")
    assert checked(a_service, "scan", look_in=where) == ()
    assert exported(a_service, tmp_path / "out", "scan", look_in=where)["scan"].file


def test_without_the_packages_the_service_says_so_and_everything_else_works(
    start_service, a_base, tmp_path
):
    broken = tmp_path / "broken" / "highdicom"
    broken.mkdir(parents=True)
    broken.joinpath("__init__.py").write_text("raise ImportError('No module named highdicom')")
    service = start_service(sys.executable, {"PYTHONPATH": str(broken.parent)})
    opened(service, a_base / "project")
    refused = refusal(service, ask.CheckDicomExport())
    assert refused.error_type == "PackageError"
    assert "Install the packages that are missing" in refused.remedy
    assert refusal(service, ask.ExportDicom(str(tmp_path / "out"))).error_type == "PackageError"
    assert not (tmp_path / "out").exists()
    assert answer(service, ask.Refresh()).name == "Livers"
