"""Projects with DICOM cases: what is remembered, what goes out as DICOM, what is refused."""

import json
import shutil
from dataclasses import replace

import dicom_phantoms as phantoms
import numpy as np
import pydicom
import pytest
from judging import accept, correct
from small_projects import add_case

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.curation.export.dicom_export import (
    DicomExportChoices,
    check_dicom_export,
    export_dicom_segmentations,
)
from PseudoLabelCLLib.curation.export.dicom_provenance import person_name
from PseudoLabelCLLib.curation.export.dicom_series_of_case import series_of_case
from PseudoLabelCLLib.curation.export.verify_segmentation_object import verify_segmentation_object
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import ProjectError, VolumeError
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import TruthExtent
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.storage.dicom.source_series import read_source_series
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project, save_round
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.segments.terminology_list import propose_terminology

pytestmark = pytest.mark.filterwarnings("ignore")
GEOMETRY = phantoms.grid("oblique", size=(16, 12, 6))
SCHEMA = LabelSchema(
    (
        LabelClass(3, "left kidney", "#e69f00", propose_terminology("left kidney")[0]),
        LabelClass(7, "liver", "#56b4e9", propose_terminology("liver")[0]),
    )
)


def labels(shift=0, liver=True):
    array = np.zeros(GEOMETRY.array_shape, np.int16)
    array[1:4, 2 : 5 + shift, 3:9] = 3
    array[2:5, 7:11, 2:14] = 7 * liver
    return array


def put(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_segmentation(path, LabelVolume(array, GEOMETRY), SCHEMA)
    return path


def series(folder, number, **more):
    uids = {"SeriesInstanceUID": f"{phantoms.SERIES}.{number}0", **more}
    return phantoms.write_series(folder, GEOMETRY, order=[3, 0, 5, 1, 4, 2], **uids).folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One drawn case; of four proposals one is accepted, one corrected, one left unreviewed."""
    base = tmp_path_factory.mktemp("base")
    root = base / "project"
    project = Project("p", SCHEMA, config_for(Profile.QUICK))
    create_project(root, project)
    drawn = put(base / "drawn.seg.nrrd", labels())
    for number, name in enumerate(("drawn", "accepted", "corrected", "unseen"), start=1):
        folder = series(base / f"series-{name}", number)
        is_drawn = name == "drawn"
        role = CaseRole.ANNOTATED if is_drawn else CaseRole.UNLABELLED
        project, notices = add_case(root, project, name, role, folder, drawn if is_drawn else None)
        assert notices == ()
    layout = ProjectLayout(root)
    round_ = Round(0, RoundState.IN_REVIEW)
    save_round(root, round_)
    layout.model(0).write_bytes(b"weights")
    for name in ("accepted", "corrected", "unseen"):
        put(layout.proposal(0, name), labels())
    project = accept(root, load_project(root), "accepted")
    corrected = put(base / "corrected.seg.nrrd", labels(shift=1))
    correct(root, project, "corrected", corrected, extent=TruthExtent.WHOLE)
    return base


@pytest.fixture
def a_project(made, tmp_path):
    base = shutil.copytree(made, tmp_path / "base")
    return base / "project", load_project(base / "project")


def exported(a_project, out, **choices):
    lines = export_dicom_segmentations(*a_project, out, DicomExportChoices(**choices))
    return {line.case_id: line for line in lines}


def header_of(line):
    return pydicom.dcmread(line.path)


def types_of(line):
    return [item.SegmentAlgorithmType for item in header_of(line).SegmentSequence]


def test_project_remembers_instances_in_their_order_and_no_patient(a_project):
    root, _ = a_project
    text = ProjectLayout(root).dicom_series("accepted").read_text()
    kept = json.loads(text)["instances"]
    assert kept["instance_uids"] == [f"{phantoms.SERIES}.{k + 1}" for k in range(6)]
    assert kept["frame_of_reference_uid"] == phantoms.FRAME
    assert not any(word in text for word in ("Phantom", "Petra", "P-1", "1970"))


def test_everything_a_person_confirmed_goes_out_on_the_grid_of_its_series(a_project, tmp_path):
    lines = exported(a_project, tmp_path / "out")
    assert sorted(lines) == ["accepted", "corrected", "drawn"]
    for name, line in lines.items():
        source = read_source_series(a_project[0].parent / f"series-{name}")
        found = verify_segmentation_object(line.path, source)
        assert found.problems == ()
        wanted = labels(shift=name == "corrected")
        counts = [segment.num_voxels for segment in found.segments]
        assert counts == [(wanted == 3).sum(), (wanted == 7).sum()]


def test_origin_is_told_for_each_segment(a_project, tmp_path):
    lines = exported(a_project, tmp_path / "out", include_unreviewed=True)
    assert types_of(lines["drawn"]) == ["MANUAL", "MANUAL"]
    assert types_of(lines["accepted"]) == ["AUTOMATIC", "AUTOMATIC"]
    # the person changed the kidney and left the liver as it was
    assert types_of(lines["corrected"]) == ["SEMIAUTOMATIC", "AUTOMATIC"]
    assert types_of(lines["unseen"]) == ["AUTOMATIC", "AUTOMATIC"]
    told = {
        name: [item.SegmentDescription for item in header_of(line).SegmentSequence]
        for name, line in lines.items()
    }
    assert told["drawn"][0] == "Drawn by a person."
    assert told["accepted"][0] == "Proposal of round 0; a person accepted it as it is."
    assert told["corrected"][0] == "Proposal of round 0; corrected by a person."
    assert "left this structure as it is" in told["corrected"][1]
    assert told["unseen"][0] == "Proposal of round 0; no person has reviewed it."


def test_model_and_round_are_named_in_the_object(a_project, tmp_path):
    header = header_of(exported(a_project, tmp_path / "out")["accepted"])
    made_by = header.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    # sha256sum of the word "weights"
    digest = "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"
    assert "round=0" in made_by.AlgorithmParameters
    assert f"model=sha256:{digest}" in made_by.AlgorithmParameters
    assert header.SeriesDescription == "Segmentation, round 0 (accepted)"


def test_unreviewed_proposals_go_out_only_on_demand_and_are_named_so(a_project, tmp_path):
    assert "unseen" not in exported(a_project, tmp_path / "out")
    line = exported(a_project, tmp_path / "more", include_unreviewed=True)["unseen"]
    assert line.path.name.startswith("unseen.unreviewed.round-00.")


def test_same_structure_has_the_same_identity_in_every_round(a_project, tmp_path):
    root, project = a_project
    first = header_of(exported(a_project, tmp_path / "out")["accepted"])
    renamed = replace(SCHEMA.classes[0], name="kidney, left side")
    later = replace(project, schema=LabelSchema((renamed, SCHEMA.classes[1])))
    later = later.with_round(Round(0, RoundState.CLOSED)).with_round(Round(1, RoundState.IN_REVIEW))
    second = header_of(exported((root, later), tmp_path / "out")["accepted"])
    for one, other in zip(first.SegmentSequence, second.SegmentSequence, strict=True):
        assert (one.TrackingUID, one.TrackingID) == (other.TrackingUID, other.TrackingID)
    assert first.SOPInstanceUID != second.SOPInstanceUID


def test_two_exports_in_one_second_do_not_meet(a_project, tmp_path):
    for _ in range(2):
        exported(a_project, tmp_path / "out", case_ids=["accepted"])
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert len(names) == 4
    assert [name.endswith(".verified.json") for name in names].count(True) == 2


def test_record_beside_the_object_tells_what_was_verified(a_project, tmp_path):
    line = exported(a_project, tmp_path / "out", case_ids=["accepted"])["accepted"]
    text = line.path.with_name(line.path.stem + ".verified.json").read_text()
    record = json.loads(text)
    assert record["sop_instance_uid"] == header_of(line).SOPInstanceUID
    assert [item["num_voxels"] for item in record["segments"]] == [54, 144]
    assert "voxels are as written" in record["checks"]
    assert str(tmp_path) not in text


def test_no_path_of_this_computer_stands_in_the_object(a_project, tmp_path):
    line = exported(a_project, tmp_path / "out", case_ids=["accepted"])["accepted"]
    assert str(tmp_path).encode() not in line.path.read_bytes()


def test_empty_segment_is_named_and_described(a_project, tmp_path):
    root, _ = a_project
    put(ProjectLayout(root).annotation("drawn"), labels(liver=False))
    line = exported(a_project, tmp_path / "out", case_ids=["drawn"])["drawn"]
    assert line.notices == (
        "Case 'drawn': 'liver' has no voxels; it is described, without a slice.",
    )
    assert [i.SegmentLabel for i in header_of(line).SegmentSequence] == ["left kidney", "liver"]


def test_empty_segment_comes_last_whatever_its_label(a_project, tmp_path):
    """3D Slicer would give its name to the next one otherwise."""
    root, _ = a_project
    array = labels()
    array[array == 3] = 0
    put(ProjectLayout(root).annotation("drawn"), array)
    line = exported(a_project, tmp_path / "out", case_ids=["drawn"])["drawn"]
    header = header_of(line)
    assert [i.SegmentLabel for i in header.SegmentSequence] == ["liver", "left kidney"]
    # every stored slice belongs to the liver
    frames = header.PerFrameFunctionalGroupsSequence
    assert {
        item.SegmentIdentificationSequence[0].ReferencedSegmentNumber for item in frames
    } == {1}  # fmt: skip
    found = verify_segmentation_object(line.path, read_source_series(root.parent / "series-drawn"))
    assert [(s.label, s.num_voxels) for s in found.segments] == [("liver", 144), ("left kidney", 0)]


def test_wholly_empty_segmentation_is_refused_and_the_others_go_out(a_project, tmp_path):
    root, _ = a_project
    put(ProjectLayout(root).annotation("drawn"), labels() * 0)
    lines = exported(a_project, tmp_path / "out")
    assert lines["drawn"].path is None
    assert "is empty" in lines["drawn"].problem
    assert lines["accepted"].path.exists()


def test_label_without_codes_stops_everything_and_a_proposal_is_made(a_project, tmp_path):
    root, project = a_project
    bare = replace(SCHEMA.classes[1], terminology=None)
    project = replace(project, schema=LabelSchema((SCHEMA.classes[0], bare)))
    with pytest.raises(ProjectError, match="'liver' has no terminology codes") as refusal:
        exported((root, project), tmp_path / "out")
    assert "Liver" in refusal.value.remedy
    assert not (tmp_path / "out").exists()


def test_findings_before_the_export_write_nothing(a_project, tmp_path):
    root, project = a_project
    shutil.rmtree(root.parent / "series-accepted")
    before = sorted(root.parent.rglob("*"))
    found = check_dicom_export(root, project, DicomExportChoices())
    assert [(finding.case_id, finding.stops) for finding in found] == [("accepted", True)]
    assert sorted(root.parent.rglob("*")) == before


def test_case_that_is_no_dicom_says_so_and_what_to_do(a_project, tmp_path):
    root, project = a_project
    ProjectLayout(root).dicom_series("drawn").unlink()
    case = replace(project.case("drawn"), image="../volume.nrrd")
    lines = exported((root, project.with_case(case)), tmp_path / "out")
    assert "did not come from a DICOM series" in lines["drawn"].problem
    assert ".seg.nrrd" in lines["drawn"].remedy
    assert lines["accepted"].path.exists()


def test_series_that_was_moved_is_found_below_a_folder(a_project, tmp_path):
    root, _ = a_project
    shutil.move(root.parent / "series-accepted", tmp_path / "archive" / "2024" / "a")
    assert exported(a_project, tmp_path / "out", case_ids=["accepted"])["accepted"].path is None
    choices = {"case_ids": ["accepted"], "look_in": tmp_path / "archive"}
    assert exported(a_project, tmp_path / "out", **choices)["accepted"].path.exists()


def test_series_that_lost_its_last_slice_is_not_the_series(a_project):
    root, project = a_project
    (root.parent / "series-accepted" / "0002.dcm").unlink()  # holds the last slice
    with pytest.raises(VolumeError, match="slices missing: 1, new: 0"):
        series_of_case(root, project.case("accepted"))


def test_series_in_whose_place_another_lies_is_not_the_series(a_project):
    root, project = a_project
    folder = root.parent / "series-accepted"
    for file in folder.iterdir():
        phantoms.changed(file, FrameOfReferenceUID="1.2.3")
    with pytest.raises(VolumeError, match="frame of reference"):
        series_of_case(root, project.case("accepted"))


def test_voxels_outside_the_series_are_counted_and_must_be_confirmed(a_project, tmp_path):
    """The project has the volume on a larger grid than the series."""
    root, project = a_project
    larger = phantoms.grid("oblique", size=(16, 12, 8))
    array = np.zeros(larger.array_shape, np.int16)
    array[3:8, 2:6, 3:9] = 3
    array[1:3, 7:9, 2:4] = 7
    path = ProjectLayout(root).annotation("drawn")
    write_segmentation(path, LabelVolume(array, larger), SCHEMA)
    project = project.with_case(replace(project.case("drawn"), geometry=larger))
    refused = exported((root, project), tmp_path / "out", case_ids=["drawn"])["drawn"]
    assert refused.path is None
    assert (
        "'left kidney' has 72 voxels on the grid of the series, 120 on its own" in refused.problem
    )
    choices = {"case_ids": ["drawn"], "accept_losses": True}
    line = exported((root, project), tmp_path / "out", **choices)["drawn"]
    assert line.path.exists()
    assert "72 voxels" in line.notices[0]


def test_case_that_cannot_go_out_as_dicom_says_so_when_it_is_added(tmp_path):
    folder = phantoms.write_series(tmp_path / "s", GEOMETRY, drop=["FrameOfReferenceUID"]).folder
    project = Project("p", SCHEMA, config_for(Profile.QUICK))
    create_project(tmp_path / "p", project)
    _, notices = add_case(tmp_path / "p", project, "a", CaseRole.UNLABELLED, folder)
    assert "cannot be exported as a DICOM segmentation" in notices[0]
    assert "Frame of Reference" in notices[0]


HOSTILE_NAMES = ["../../../etc/cron.d/x", "<script>alert(1)</script>", "a\x00b\x1b[31m", "%s%n{0}"]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_text_of_the_source_names_no_file(a_project, tmp_path, name):
    root, _ = a_project
    for file in (root.parent / "series-accepted").iterdir():
        keywords = ("PatientName", "PatientID", "SeriesDescription", "StudyDescription")
        phantoms.changed(file, **dict.fromkeys(keywords, name))
    before = set(tmp_path.rglob("*"))
    line = exported(a_project, tmp_path / "out", case_ids=["accepted"])["accepted"]
    new = set(tmp_path.rglob("*")) - before
    assert {path.name for path in new} == {
        "out", line.path.name, line.path.stem + ".verified.json",
    }  # fmt: skip


def test_command_line_exports_and_verifies(a_project, tmp_path, capsys):
    root, out = a_project[0], tmp_path / "out"
    command = ["export", str(root), str(out), "--format", "dicom-seg", "--creator", "Doe^Jane"]
    assert main([*command, "--check"]) == 0
    assert not out.exists()
    assert main([*command, "--cases", "accepted"]) == 0
    (file,) = out.glob("*.dcm")
    assert str(pydicom.dcmread(file).ContentCreatorName) == "Doe^Jane"
    capsys.readouterr()
    source = root.parent / "series-accepted"
    assert main(["verify-seg", str(file), "--source", str(source), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [segment["num_voxels"] for segment in found["segments"]] == [54, 144]
    other = root.parent / "series-corrected"
    assert main(["verify-seg", str(file), "--source", str(other)]) == 1
    assert "does not refer to this series" in capsys.readouterr().err


def test_command_line_says_what_labels_are_in_words(a_project, capsys):
    root = str(a_project[0])
    assert main(["terms", root, "liver=Spleen", "left kidney = kidney right"]) == 0
    shown = capsys.readouterr().out
    assert "Spleen" in shown
    assert "Kidney, right" in shown
    codes = [label.terminology.type.value for label in load_project(a_project[0]).schema]
    assert codes == ["64033007", "78961009"]
    assert main(["terms", root, "liver=flux capacitor"]) == 1
    assert main(["terms", root, "heart=Heart"]) == 1
    assert "does not name a structure" in capsys.readouterr().err


def test_progress_counts_every_step_of_every_case(a_project, tmp_path):
    told = []
    choices = DicomExportChoices(include_unreviewed=True)
    export_dicom_segmentations(
        *a_project, tmp_path / "out", choices, progress=lambda *step: told.append(step)
    )
    assert [step[1:] for step in told] == [(done, 20) for done in range(21)]
    steps = ["checking", "resampling", "writing", "reading back", "comparing"]
    assert [text for text, *_ in told[5:10]] == [f"Case 'accepted' (2 of 4): {s}" for s in steps]


def test_stopped_export_keeps_what_is_written_and_names_the_rest(a_project, tmp_path):
    answers = iter([False, True])
    lines = export_dicom_segmentations(
        *a_project, tmp_path / "out", DicomExportChoices(), is_stopped=lambda: next(answers)
    )
    assert [line.path is not None for line in lines] == [True, False, False]
    assert all("stopped before this case" in line.problem for line in lines[1:])
    assert len(list((tmp_path / "out").iterdir())) == 2  # the object and its record


def test_command_line_fails_if_any_case_is_refused_and_tells_all_lines(a_project, tmp_path, capsys):
    root, out = a_project[0], tmp_path / "out"
    shutil.rmtree(root.parent / "series-accepted")
    command = ["export", str(root), str(out), "--format", "dicom-seg"]
    assert main(command) == 1
    shown = capsys.readouterr()
    assert "Case 'accepted' was not exported." in shown.err
    assert "1 of 3 cases was not exported" in shown.err
    assert "2 of 3 segmentations written" in shown.out
    assert main([*command, "--json"]) == 1
    lines = {line["case"]: line for line in json.loads(capsys.readouterr().out)}
    assert lines["accepted"]["file"] is None
    assert "series" in lines["accepted"]["problem"]
    assert lines["drawn"]["file"].endswith(".dcm")


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("Doe^Jane", "Doe^Jane"),
        ("Jane Doe", "Jane Doe^"),
        ("", "PseudoLabelCL^"),
        ("x" * 80, "x" * 63 + "^"),
    ],
)
def test_creator_is_a_name_of_parts_that_validators_accept(given, stored):
    assert person_name(given) == stored
