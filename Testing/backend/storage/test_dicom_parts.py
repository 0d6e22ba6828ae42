"""Series with several slices at one place: what tells them apart is said, and one is taken."""

import dicom_phantoms as phantoms
import numpy as np
import pydicom
import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from small_projects import add_case

from PseudoLabelCLLib.curation.export.dicom_series_of_case import series_of_case
from PseudoLabelCLLib.curation.find.find_volumes import find_volumes
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.storage.dicom.mark import looks_like_dicom
from PseudoLabelCLLib.storage.dicom.series import read_series, read_series_geometry
from PseudoLabelCLLib.storage.dicom.source_series import read_source_series
from PseudoLabelCLLib.storage.project.project_store import create_project

pytestmark = pytest.mark.filterwarnings("ignore")
APART = {
    "EchoTime": ("4.6", "9.2"),
    "AcquisitionNumber": ("1", "2"),
    "TemporalPositionIdentifier": ("1", "2"),
}


def two_in_one(folder, keyword, values):
    """One series of twice the slices, second ones 1000 brighter; return the first ones' voxels."""
    grid = phantoms.grid(size=(16, 12, 6))
    for number, value in enumerate(values):
        made = phantoms.write_series(folder / str(number), grid, **{keyword: value})
        for k, file in enumerate(made.files):
            header = pydicom.dcmread(file)
            header.SOPInstanceUID = f"{phantoms.SERIES}.{number}.{k + 1}"
            header.InstanceNumber = 1 + k + 6 * number
            header.PixelData = (header.pixel_array + 1000 * number).astype(np.int16).tobytes()
            header.save_as(folder / f"{number}-{k}.dcm")
            file.unlink()
        (folder / str(number)).rmdir()
    return made.voxels


@pytest.mark.parametrize(("keyword", "values"), APART.items(), ids=APART)
def test_error_says_which_attribute_tells_slices_at_one_place_apart(tmp_path, keyword, values):
    two_in_one(tmp_path, keyword, values)
    for read in (read_series, read_series_geometry, read_source_series):
        with pytest.raises(VolumeError, match="several slices at the same place") as refused:
            read(tmp_path)
        assert f"they differ in {keyword} ({', '.join(values)})" in refused.value.message
        assert f"UID;{keyword}={values[0]}" in refused.value.remedy


@pytest.mark.parametrize(("keyword", "values"), APART.items(), ids=APART)
def test_one_part_is_read_exported_to_and_offered(tmp_path, keyword, values):
    folder = tmp_path / "series"
    folder.mkdir()
    voxels = two_in_one(folder, keyword, values)
    for number, value in enumerate(values):
        chosen = f"{phantoms.SERIES};{keyword}={value}"
        np.testing.assert_array_equal(read_series(folder, chosen).array, voxels + 1000 * number)
        uids = read_source_series(folder, chosen).instances.instance_uids
        assert uids == tuple(f"{phantoms.SERIES}.{number}.{k + 1}" for k in range(6))
    found = find_volumes(folder, ())
    assert [one.series_uid for one in found.volumes] == [
        f"{phantoms.SERIES};{keyword}={value}" for value in values
    ]
    assert all(keyword in one.description for one in found.volumes)
    assert found.problems == ()


@pytest.mark.parametrize("copy_image", [False, True])
def test_case_of_one_part_finds_its_slices_again(tmp_path, copy_image):
    folder = tmp_path / "series"
    folder.mkdir()
    two_in_one(folder, "EchoTime", ("4.6", "9.2"))
    root = tmp_path / "project"
    project = Project("p", LabelSchema.from_values((1,)), config_for(Profile.QUICK))
    create_project(root, project)
    chosen = f"{phantoms.SERIES};EchoTime=9.2"
    project, notices = add_case(
        root, project, "a", CaseRole.UNLABELLED, folder, series_uid=chosen, copy_image=copy_image
    )
    assert notices == ()
    source = series_of_case(root, project.case("a"))
    assert source.instances.instance_uids[0] == f"{phantoms.SERIES}.1.1"


def test_part_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    two_in_one(tmp_path, "EchoTime", ("4.6", "9.2"))
    with pytest.raises(VolumeError, match=r"no slice with EchoTime 5 \(found: 4\.6, 9\.2\)"):
        read_series(tmp_path, f"{phantoms.SERIES};EchoTime=5")


def test_copies_that_nothing_tells_apart_are_refused(tmp_path):
    two_in_one(tmp_path, "EchoTime", ("4.6", "4.6"))
    with pytest.raises(VolumeError, match="no attribute tells them apart"):
        read_series(tmp_path)


def without_preamble(file):
    file.write_bytes(file.read_bytes()[132:])


def without_any_description(file):
    header = pydicom.dcmread(file)
    del header.file_meta
    buffer = DicomBytesIO()
    buffer.is_little_endian = buffer.is_implicit_VR = True
    write_dataset(buffer, header)
    file.write_bytes(buffer.getvalue())


@pytest.mark.parametrize("stripped", [without_preamble, without_any_description])
def test_series_without_preamble_is_found_read_and_exported_to(tmp_path, stripped):
    made = phantoms.write_series(tmp_path, phantoms.grid(size=(16, 12, 6)))
    for file in made.files:
        stripped(file)
    np.testing.assert_array_equal(read_series(tmp_path).array, made.voxels)
    assert read_source_series(tmp_path).geometry.is_close_to(made.geometry)
    (found,) = find_volumes(tmp_path, ()).volumes
    assert found.series_uid == phantoms.SERIES


@pytest.mark.parametrize(
    "content",
    [b"", b"\x02\x00\x00\x00", b"\x08\x00\x05\x00" * 60, np.arange(200, dtype="<i2").tobytes(),
     np.full(200, 8, "<i2").tobytes(), b"\x02\x00" * 200],
)  # fmt: skip
def test_voxels_and_other_bytes_are_not_taken_for_dicom(tmp_path, content):
    (tmp_path / "file.bin").write_bytes(content)
    assert not looks_like_dicom(tmp_path / "file.bin")
