"""A volume that did not come from DICOM goes out as a series: every voxel in its place."""

import itertools
import shutil

import dicom_phantoms as phantoms
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from small_projects import add_case

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.curation.export.dicom_export import (
    DicomExportChoices,
    check_dicom_export,
    export_dicom_segmentations,
)
from PseudoLabelCLLib.curation.export.verify_segmentation_object import verify_segmentation_object
from PseudoLabelCLLib.curation.export.write_verified_series import write_verified_series
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import ProjectError, StorageError, VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.storage.dicom.series_writer import VolumeKind, plan_series
from PseudoLabelCLLib.storage.dicom.source_series import read_source_series
from PseudoLabelCLLib.storage.project.project_store import create_project
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.segments.terminology_list import propose_terminology
from PseudoLabelCLLib.storage.volume_io import write_volume

pytestmark = pytest.mark.filterwarnings("ignore")
SIZE = (9, 7, 5)
MIRRORED = np.diag([1.0, 1.0, -1.0])
GRIDS = {
    **phantoms.PLANES,
    "left-handed axial": MIRRORED,
    "left-handed oblique": phantoms.turned(0.4, -0.3) @ MIRRORED,
    "left-handed by its rows": phantoms.turned(0.2, 0.1) @ np.diag([-1.0, 1.0, 1.0]),
}
RNG = np.random.default_rng(8)
INTENSITIES = {
    "signed": RNG.integers(-1024, 3000, SIZE[::-1]).astype(np.int16),
    "above 32767": RNG.integers(0, 65536, SIZE[::-1]).astype(np.uint16),
    "bytes": RNG.integers(0, 256, SIZE[::-1]).astype(np.uint8),
    "whole numbers as floats": RNG.integers(-5, 900, SIZE[::-1]).astype(np.float32),
    "fractions": RNG.normal(0.5, 3.0, SIZE[::-1]).astype(np.float32),
    "tiny fractions": RNG.random(SIZE[::-1]) * 1e-7,
    "wide whole numbers": RNG.integers(-(10**6), 10**7, SIZE[::-1]).astype(np.int32),
}
EXACT = ("signed", "above 32767", "bytes", "whole numbers as floats")


def grid(matrix=MIRRORED):
    return Geometry(SIZE, (0.7, 1.3, 2.9), (-31.5, 12.25, 107.0), tuple(matrix.ravel().tolist()))


def planned(volume, kind=VolumeKind.OTHER, patient_id=""):
    return plan_series(volume, kind=kind, patient_id=patient_id, description="about")


def written(folder, volume, **more):
    write_verified_series(folder, planned(volume, **more))
    return folder


def read_by_itk(folder):
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    return sitk.ReadImage(names)


@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, VolumeKind.OTHER) for name in GRIDS),
     ("left-handed oblique", VolumeKind.MR), ("left-handed oblique", VolumeKind.CT)],
)  # fmt: skip
def test_itk_finds_every_voxel_at_its_place(tmp_path, name, kind):
    volume = Volume(INTENSITIES["signed"], grid(GRIDS[name]))
    image = read_by_itk(written(tmp_path / "series", volume, kind=kind))
    for index in itertools.product(*((0, n - 1) for n in SIZE)):
        place = volume.geometry.index_to_world(index)
        found = image.TransformPhysicalPointToContinuousIndex(place.tolist())
        back = image.TransformIndexToPhysicalPoint([round(x) for x in found])
        assert np.abs(place - back).max() < 1e-3
        assert image[tuple(round(x) for x in found)] == volume.array[index[::-1]]


@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, VolumeKind.OTHER) for name in INTENSITIES),
     ("signed", VolumeKind.MR), ("signed", VolumeKind.CT), ("fractions", VolumeKind.MR),
     ("fractions", VolumeKind.CT)],
)  # fmt: skip
def test_intensities_stay_within_the_error_that_is_stated(tmp_path, name, kind):
    """Read by hand: stored value, slope and intercept of each slice."""
    array = INTENSITIES[name]
    volume = Volume(array, grid(np.eye(3)))
    plan = planned(volume, kind=kind)
    write_verified_series(tmp_path / "series", plan)
    worst = 0.0
    for k, file in enumerate(sorted((tmp_path / "series").iterdir())):
        header = pydicom.dcmread(file)
        slope, intercept = header.get("RescaleSlope", 1), header.get("RescaleIntercept", 0)
        shown = header.pixel_array * float(slope) + float(intercept)
        worst = max(worst, np.abs(shown - array[k]).max())
    assert worst <= plan.max_error * (1 + 1e-9)
    span = float(array.max()) - float(array.min())
    assert plan.max_error <= (0 if name in EXACT else 0.51 * span / 65535)
    told = str(header.DerivationDescription)
    assert f"at most {plan.max_error:.6g}" in told


def test_series_says_that_it_is_derived_and_invents_nobody(tmp_path):
    volume = Volume(INTENSITIES["signed"], grid())
    folder = written(tmp_path / "series", volume, patient_id="P-07")
    for file in folder.iterdir():
        header = pydicom.dcmread(file)
        assert list(header.ImageType[:2]) == ["DERIVED", "SECONDARY"]
        assert header.PatientID == "P-07"
        for keyword in ("PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyID"):
            assert keyword in header
            assert not header.get(keyword)


@pytest.mark.parametrize(
    ("plane", "letters"),
    [("axial", ["L", "P"]), ("sagittal", ["P", "F"]), ("coronal", ["L", "F"]),
     ("flipped in-plane", ["R", "P"]), ("upside down", ["L", "A"])],
)  # fmt: skip
def test_series_tells_its_directions_in_letters(plane, letters):
    volume = Volume(INTENSITIES["signed"], grid(phantoms.PLANES[plane]))
    assert list(planned(volume).headers[0].PatientOrientation) == letters


def test_same_volume_makes_the_same_series_and_another_one_another():
    volume = Volume(INTENSITIES["signed"], grid())
    other = INTENSITIES["signed"].copy()
    other[0, 0, 0] += 1
    made = [
        planned(volume), planned(volume), planned(Volume(other, grid())),
        planned(Volume(volume.array, grid(np.eye(3)))), planned(volume, kind=VolumeKind.MR),
        planned(volume, patient_id="x"),
    ]  # fmt: skip
    found = [plan.instances for plan in made]
    assert found[0] == found[1]
    assert len({instances.series_uid for instances in found}) == len(found) - 1
    own = found[0]
    assert len({*own.instance_uids, own.study_uid, own.series_uid}) == SIZE[2] + 2


def test_series_in_place_is_taken_and_another_thing_is_not_overwritten(tmp_path):
    plan = planned(Volume(INTENSITIES["signed"], grid()))
    folder = tmp_path / "series"
    write_verified_series(folder, plan)
    before = {file.name: file.stat().st_mtime_ns for file in folder.iterdir()}
    write_verified_series(folder, plan)
    assert {file.name: file.stat().st_mtime_ns for file in folder.iterdir()} == before
    file = sorted(folder.iterdir())[1]
    file.write_bytes(file.read_bytes()[:-2] + b"\x07\x07")  # one other voxel
    with pytest.raises(StorageError, match="intensities differ"):
        write_verified_series(folder, plan)
    assert [path.name for path in tmp_path.iterdir()] == ["series"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_refused(value):
    array = INTENSITIES["fractions"].copy()
    array[1, 2, 3] = value
    with pytest.raises(VolumeError, match="not numbers"):
        planned(Volume(array, grid()))


@pytest.mark.parametrize("patient_id", ["a\\b", "x" * 65, "a\nb"])
def test_patient_id_that_does_not_fit_is_refused(patient_id):
    with pytest.raises(VolumeError, match="patient ID"):
        planned(Volume(INTENSITIES["signed"], grid()), patient_id=patient_id)


# --- projects ---

SCHEMA = LabelSchema((LabelClass(4, "liver", "#56b4e9", propose_terminology("liver")[0]),))
LARGE = Geometry((16, 12, 6), (0.7, 1.3, 2.9), (-31.5, 12.25, 107.0), grid().direction)


def drawn():
    array = np.zeros(LARGE.array_shape, np.int16)
    array[1:4, 2:7, 3:9] = array[4, 5, 6] = 4
    return array


@pytest.fixture
def a_project(tmp_path):
    """Two cases from NRRD, on a left-handed grid, and one from DICOM."""
    root = tmp_path / "project"
    project = Project("p", SCHEMA, config_for(Profile.QUICK))
    create_project(root, project)
    annotation = tmp_path / "drawn.seg.nrrd"
    write_segmentation(annotation, LabelVolume(drawn(), LARGE), SCHEMA)
    for name in ("one", "two"):
        image = tmp_path / f"{name}.nrrd"
        array = np.random.default_rng(len(name)).normal(0, 1, LARGE.array_shape)
        write_volume(image, Volume(array.astype(np.float32), LARGE))
        project, _ = add_case(root, project, name, CaseRole.ANNOTATED, image, annotation)
    dicom = phantoms.write_series(tmp_path / "ct", phantoms.grid(size=(16, 12, 6))).folder
    own = tmp_path / "own.seg.nrrd"
    write_segmentation(own, LabelVolume(drawn(), phantoms.grid(size=(16, 12, 6))), SCHEMA)
    project, _ = add_case(root, project, "three", CaseRole.ANNOTATED, dicom, own)
    return root, project


def exported(a_project, out, **choices):
    lines = export_dicom_segmentations(*a_project, out, DicomExportChoices(**choices))
    return {line.case_id: line for line in lines}


def series_of(out, name):
    (folder,) = out.glob(f"{name}.volume.*")
    return read_source_series(folder)


def test_volume_and_object_go_out_together(a_project, tmp_path):
    out = tmp_path / "out"
    lines = exported(a_project, out, volume_series_too=True, volume_modality="MR")
    assert [line.problem for line in lines.values()] == ["", "", ""]
    for name in ("one", "two"):
        source = series_of(out, name)
        assert verify_segmentation_object(lines[name].path, source).problems == ()
        assert "new series of 6 slices marked as derived" in lines[name].notices[0]
    assert not list(out.glob("three.volume.*"))


def test_object_lies_on_the_voxels_that_were_drawn(a_project, tmp_path):
    """Left-handed: the series runs the other way, and the object with it."""
    out = tmp_path / "out"
    line = exported(a_project, out, volume_series_too=True, case_ids=("one",))["one"]
    header = pydicom.dcmread(line.path)
    places = set()
    for frame, mask in zip(
        header.PerFrameFunctionalGroupsSequence, header.pixel_array, strict=True
    ):
        position = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        directions = np.array(series_of(out, "one").headers[0].ImageOrientationPatient, float)
        for j, i in np.argwhere(mask):
            world = position + directions[:3] * 0.7 * i + directions[3:] * 1.3 * j
            places.add(tuple(np.round(world, 3)))
    wanted = LARGE.index_to_world(np.argwhere(drawn())[:, ::-1])
    assert places == {tuple(np.round(world, 3)) for world in wanted}


def test_objects_of_later_exports_belong_to_the_series_of_the_first(a_project, tmp_path):
    out = tmp_path / "out"
    for _ in range(2):
        line = exported(a_project, out, volume_series_too=True, case_ids=("one",))["one"]
        assert line.problem == ""
    assert len(list(out.glob("one.volume.*"))) == 1
    assert len(list(out.glob("one.*.dcm"))) == 2


def test_check_tells_what_would_be_written_and_writes_nothing(a_project, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    found = check_dicom_export(*a_project, DicomExportChoices(volume_series_too=True))
    assert not any(finding.stops for finding in found)
    assert [finding.case_id for finding in found] == ["one", "two"]
    assert "intensities change by at most" in found[0].problem
    assert f"of a patient '{found[0].case_id}'" in found[0].problem
    assert sorted(tmp_path.rglob("*")) == before


def test_without_the_choice_the_volume_is_refused_with_this_remedy(a_project, tmp_path):
    line = exported(a_project, tmp_path / "out")["one"]
    assert "did not come from a DICOM series" in line.problem
    assert "--with-volume" in line.remedy


def test_one_patient_id_for_several_cases_is_refused(a_project, tmp_path):
    with pytest.raises(ProjectError, match="given for 3 cases"):
        exported(a_project, tmp_path / "out", volume_series_too=True, patient_id="P-1")


def test_series_goes_where_its_object_cannot_be_written(a_project, tmp_path, monkeypatch):
    """The disk is full once the series is there."""
    out = tmp_path / "out"

    def full(*_):
        raise StorageError("The disk is full.")

    monkeypatch.setattr("PseudoLabelCLLib.curation.export.dicom_export.write_verified_object", full)
    line = exported(a_project, out, volume_series_too=True, case_ids=("one",))["one"]
    assert line.problem == "The disk is full."
    assert list(out.iterdir()) == []


def test_volumes_without_a_patient_go_out_as_patients_of_their_cases(a_project, tmp_path):
    out = tmp_path / "out"
    exported(a_project, out, volume_series_too=True)
    for case_id in ("one", "two"):
        (folder,) = out.glob(f"{case_id}.volume.*")
        (file,) = out.glob(f"{case_id}.*.dcm")
        for path in (*folder.iterdir(), file):
            header = pydicom.dcmread(path, stop_before_pixels=True)
            assert (header.PatientID, str(header.PatientName)) == (case_id, f"{case_id}^")


def test_command_line_writes_volume_and_object(a_project, tmp_path, capsys):
    root, out = a_project[0], tmp_path / "out"
    assert main(
        ["export", str(root), str(out), "--format", "dicom-seg", "--with-volume", "--cases", "one",
         "--modality", "CT", "--patient-id", "P-9"]
    ) == 0  # fmt: skip
    (folder,) = out.glob("one.volume.*")
    (file,) = out.glob("one.*.dcm")
    assert pydicom.dcmread(next(folder.iterdir())).PatientID == "P-9"
    assert main(["verify-seg", str(file), "--source", str(folder)]) == 0
    capsys.readouterr()
    shutil.rmtree(folder)
