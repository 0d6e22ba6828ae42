"""Enhanced (multi-frame) objects: frames in the order of their positions, or refused in words."""

import shutil

import dicom_phantoms as phantoms
import highdicom as hd
import numpy as np
import pydicom
import pytest

from PseudoLabelCLLib.curation.find_volumes import find_volumes
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.storage.volume_io import read_geometry, read_volume

pytestmark = pytest.mark.filterwarnings("ignore")
ORDERS = {
    "as they lie": None,
    "in reverse": [5, 4, 3, 2, 1, 0],
    "in any order": [3, 0, 5, 1, 4, 2],
}


@pytest.mark.parametrize("modality", ["MR", "CT"])
@pytest.mark.parametrize("order", ORDERS)
def test_frames_lie_where_their_positions_say(tmp_path, order, modality):
    for plane in ("axial", "oblique", "sagittal"):
        folder = tmp_path / plane
        made = phantoms.write_enhanced(
            folder, phantoms.grid(plane), order=ORDERS[order], modality=modality
        )
        found = read_volume(folder)
        np.testing.assert_array_equal(found.array, made.voxels)
        assert found.geometry.is_close_to(made.geometry)
        assert read_geometry(folder) == found.geometry


@pytest.mark.parametrize("modality", ["MR", "CT"])
def test_series_that_highdicom_joins_into_one_object_is_the_same_volume(tmp_path, modality):
    series = phantoms.write_series(
        tmp_path / "series", phantoms.grid("oblique"), order=[2, 0, 5, 1, 4, 3], modality=modality
    )
    kind = {
        "MR": hd.legacy.LegacyConvertedEnhancedMRImage,
        "CT": hd.legacy.LegacyConvertedEnhancedCTImage,
    }[modality]
    (tmp_path / "joined").mkdir()
    kind(
        [pydicom.dcmread(file) for file in series.files], series_instance_uid=hd.UID(),
        series_number=2, sop_instance_uid=hd.UID(), instance_number=1,
    ).save_as(tmp_path / "joined" / "file")  # fmt: skip
    found, single = read_volume(tmp_path / "joined"), read_volume(tmp_path / "series")
    np.testing.assert_array_equal(found.array, single.array)
    assert found.geometry.is_close_to(series.geometry)


def test_one_frame_is_one_slice(tmp_path):
    made = phantoms.write_enhanced(tmp_path, phantoms.grid("oblique", size=(13, 11, 1)))
    found = read_volume(tmp_path)
    np.testing.assert_array_equal(found.array, made.voxels)
    assert found.geometry.is_close_to(made.geometry)


def test_object_is_found_with_its_size(tmp_path):
    made = phantoms.write_enhanced(tmp_path / "mr", order=ORDERS["in any order"])
    (volume,) = find_volumes(tmp_path, ()).volumes
    assert volume.description == f"phantom, {made.geometry.describe()}"


def echoes(header):
    groups = header.PerFrameFunctionalGroupsSequence
    for number in (3, 4, 5):
        groups[number].PlanePositionSequence = groups[number - 3].PlanePositionSequence


def turned(header):
    item = pydicom.Dataset()
    item.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    header.PerFrameFunctionalGroupsSequence[4].PlaneOrientationSequence = [item]


def unplaced(header):
    del header.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence


def gap(header):
    del header.PerFrameFunctionalGroupsSequence[2]
    rows, columns = header.Rows, header.Columns
    header.NumberOfFrames, header.PixelData = 5, header.PixelData[: rows * columns * 2 * 5]


def undescribed(header):
    del header.PerFrameFunctionalGroupsSequence[5]


def scaled(header):
    item = pydicom.Dataset()
    item.RescaleSlope, item.RescaleIntercept, item.RescaleType = 5, 0, "US"
    header.PerFrameFunctionalGroupsSequence[1].PixelValueTransformationSequence = [item]


def no_measures(header):
    del header.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence


def skewed(header):
    item = header.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    item.ImageOrientationPatient = [1, 0, 0, 1, 0, 0]


REFUSED = {
    "two echoes": (echoes, "several slices at the same place"),
    "turned frame": (turned, "different directions"),
    "frame without a place": (unplaced, "Frame 3 .* does not say where"),
    "missing slice": (gap, "1 missing between 'enhanced.dcm, frame 2'"),
    "frame that is not described": (undescribed, "has 6 frames and describes 5"),
    "frames scaled differently": (scaled, "scaled differently"),
    "no pixel spacing": (no_measures, "does not say where"),
    "rows along columns": (skewed, "contradicts itself"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_object_that_makes_no_volume_is_refused(tmp_path, kind):
    made = phantoms.write_enhanced(tmp_path)
    spoil, words = REFUSED[kind]
    header = pydicom.dcmread(made.files[0])
    spoil(header)
    header.save_as(made.files[0])
    with pytest.raises(VolumeError, match=words) as refusal:
        read_volume(tmp_path)
    assert refusal.value.remedy


def test_several_objects_in_one_series_are_refused(tmp_path):
    made = phantoms.write_enhanced(tmp_path)
    shutil.copy(made.files[0], tmp_path / "second.dcm")
    with pytest.raises(VolumeError, match="2 enhanced"):
        read_volume(tmp_path)
    assert "2 enhanced" in find_volumes(tmp_path, ()).problems[0].message
