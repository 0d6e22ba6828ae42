"""One file that cannot be used stops nobody from reading the other series of its folder."""

import dicom_phantoms as phantoms
import numpy as np
import pydicom
import pytest
from small_projects import add_case

from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.storage.dicom.source_series import read_source_series
from PseudoLabelCLLib.storage.project.project_store import create_project
from PseudoLabelCLLib.storage.volume_io import list_dicom_series, read_geometry, read_volume

pytestmark = pytest.mark.filterwarnings("ignore")
OTHER = f"{phantoms.SERIES}.99"


def foreign(series, **changes):
    """Put a slice of another series beside a series, in a file that is read first."""
    file = series.folder / "0000-first.dcm"
    header = pydicom.dcmread(series.files[0])
    header.SeriesInstanceUID, header.SOPInstanceUID = OTHER, f"{OTHER}.1"
    for keyword, value in changes.items():
        if value is None:
            delattr(header, keyword)
        else:
            setattr(header, keyword, value)
    header.save_as(file)
    return file


def colour(series):
    num_bytes = 3 * series.geometry.size[0] * series.geometry.size[1]
    foreign(
        series, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0,
        BitsAllocated=8, BitsStored=8, HighBit=7, PixelRepresentation=0,
        PixelData=bytes(num_bytes + num_bytes % 2),
    )  # fmt: skip


def capture(series):
    foreign(
        series, SOPClassUID="1.2.840.10008.5.1.4.1.1.7", ImagePositionPatient=None,
        ImageOrientationPatient=None,
    )  # fmt: skip


def report(series):
    foreign(series, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", PixelData=None, Rows=None)


def cut_at(num_bytes):
    def spoil(series):
        file = foreign(series)
        file.write_bytes(file.read_bytes()[:num_bytes])

    return spoil


def noise(series):
    foreign(series).write_bytes(bytes(128) + b"DICM" + np.random.default_rng(4).bytes(3000))


FOREIGN = {
    "colour image": colour,
    "secondary capture without a place": capture,
    "report without pixels": report,
    "slice cut in its header": cut_at(700),
    "slice cut in its pixels": cut_at(-40),
}
# Nobody can tell of which series they are.
UNKNOWN = {"preamble alone": cut_at(132), "noise": noise}


@pytest.fixture
def a_series(tmp_path):
    return phantoms.write_series(tmp_path / "series", order=[2, 0, 5, 1, 4, 3])


@pytest.mark.parametrize("kind", FOREIGN)
def test_series_is_read_beside_a(a_series, kind):
    FOREIGN[kind](a_series)
    assert phantoms.SERIES in [uid for uid, _, _ in list_dicom_series(a_series.folder)]
    found = read_volume(a_series.folder, phantoms.SERIES)
    np.testing.assert_array_equal(found.array, a_series.voxels)
    source = read_source_series(a_series.folder, phantoms.SERIES)
    assert source.instances.instance_uids == tuple(f"{phantoms.SERIES}.{k + 1}" for k in range(6))


@pytest.mark.parametrize("kind", UNKNOWN)
def test_file_that_may_be_a_slice_is_told_by_its_name(a_series, kind):
    UNKNOWN[kind](a_series)
    with pytest.raises(VolumeError, match=r"0000-first.*may be a slice") as caught:
        read_volume(a_series.folder, phantoms.SERIES)
    assert "move it out" in caught.value.remedy


@pytest.mark.parametrize(
    ("kind", "words"),
    [("colour image", "colour"), ("secondary capture without a place", "where its slice lies")],
)
def test_series_that_makes_no_volume_is_told_where_it_is_asked_for(a_series, kind, words):
    FOREIGN[kind](a_series)
    with pytest.raises(VolumeError, match=words):
        read_volume(a_series.folder, OTHER)


def test_damaged_slice_of_the_chosen_series_is_told(a_series):
    file = a_series.files[5]
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(VolumeError, match="cut off"):
        read_source_series(a_series.folder, phantoms.SERIES)


def rows_changed(data):
    return data.replace(b"\x28\x00\x10\x00US\x02\x00", b"\x28\x00\x10\x00US\x02\x01")


SPOILT = {
    "cut in its pixels": lambda data: data[:-20],
    "without pixels": lambda data: data[: -2 * 13 * 11],
    "cut in its header": lambda data: data[: len(data) // 3],
    "cut behind its mark": lambda data: data[:132],
    "empty": lambda data: b"",
    "without its mark": lambda data: data[:128] + b"XXXX" + data[132:],
    "zeros in its header": lambda data: data[:400] + bytes(60) + data[460:],
    "more rows than pixels": rows_changed,
}


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(0, marks=pytest.mark.long, id="first"),
        pytest.param(2, id="middle"),
        pytest.param(5, marks=pytest.mark.long, id="last"),
    ],
)
@pytest.mark.parametrize("kind", SPOILT)
def test_damaged_slice_is_never_skipped(a_series, kind, place):
    file = a_series.files[place]
    file.write_bytes(SPOILT[kind](file.read_bytes()))
    for read in (read_volume, read_geometry):
        with pytest.raises(VolumeError, match="damaged") as caught:
            read(a_series.folder)
        assert file.name in caught.value.message


def test_no_case_is_made_of_a_series_with_a_damaged_slice(a_series, tmp_path):
    project = Project("Hearts", LabelSchema.from_values((1,)), config_for(Profile.QUICK))
    create_project(tmp_path / "project", project)
    file = a_series.files[-1]
    file.write_bytes(file.read_bytes()[:-20])
    before = (tmp_path / "project" / "project.json").read_bytes()
    with pytest.raises(VolumeError, match="damaged"):
        add_case(tmp_path / "project", project, "a", CaseRole.UNLABELLED, a_series.folder)
    assert [entry.name for entry in (tmp_path / "project").iterdir()] == ["project.json"]
    assert (tmp_path / "project" / "project.json").read_bytes() == before


@pytest.mark.parametrize("name", ["README.txt", "notes", ".DS_Store", "Thumbs.db"])
def test_other_files_in_the_folder_are_no_slices(a_series, name):
    (a_series.folder / name).write_text("left by somebody")
    np.testing.assert_array_equal(read_volume(a_series.folder).array, a_series.voxels)
