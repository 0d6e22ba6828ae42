"""Segmentation objects read back by highdicom and by hand: every voxel where it was."""

import dicom_phantoms as phantoms
import highdicom as hd
import numpy as np
import pydicom
import pytest
from object_segments import ABOUT, KIDNEY, MASS, segment

from PseudoLabelCLLib.curation.export.verify_segmentation_object import (
    ExpectedContent,
    verify_segmentation_object,
)
from PseudoLabelCLLib.storage.dicom.seg_reader import read_segmentation_object
from PseudoLabelCLLib.storage.dicom.seg_writer import write_segmentation_object
from PseudoLabelCLLib.storage.dicom.segment import (
    AlgorithmType,
    tracking_uid_of,
)
from PseudoLabelCLLib.storage.dicom.source_series import read_source_series
from PseudoLabelCLLib.storage.volume_io import read_volume

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom warns of what phantoms leave out


def written(tmp_path, series, masks, segments=None):
    source = read_source_series(series.folder)
    if segments is None:
        num = int(masks.max()) if masks.ndim == 3 else len(masks)
        segments = [segment(n) for n in range(1, num + 1)]
    path = tmp_path / "object.dcm"
    write_segmentation_object(path, source, masks, segments, ABOUT)
    verification = verify_segmentation_object(path, source, ExpectedContent(masks, segments))
    assert verification.problems == ()
    return path, source


def by_highdicom(path, uids, num_segments):
    """The segments on all slices of the series, found by the UIDs of the slices."""
    found = hd.seg.segread(path).get_pixels_by_source_instance(
        list(uids),
        segment_numbers=range(1, num_segments + 1),
        assert_missing_frames_are_empty=True,
    )
    return np.moveaxis(found, -1, 0).astype(bool)


def by_place(path, geometry, number):
    """One segment on the grid of the series, found by positions and nothing else."""
    stored = read_segmentation_object(path)
    array = np.zeros(geometry.array_shape, bool)
    for index, frame in enumerate(stored.frames):
        if frame.segment_number == number:
            place = geometry.world_to_index(frame.position_mm)
            array[round(place[2])] |= stored.mask(index)
    return array


def assert_same(path, source, masks, num_segments):
    found = by_highdicom(path, source.instances.instance_uids, num_segments)
    for number in range(1, num_segments + 1):
        wanted = masks == number if masks.ndim == 3 else masks[number - 1].astype(bool)
        assert np.count_nonzero(found[number - 1] != wanted) == 0
        assert np.count_nonzero(by_place(path, source.geometry, number) != wanted) == 0


@pytest.mark.parametrize("order", [None, [5, 4, 3, 2, 1, 0], [3, 0, 5, 1, 4, 2]])
@pytest.mark.parametrize("plane", phantoms.PLANES)
def test_no_voxel_moves_in_any_plane_and_any_order_of_files(tmp_path, plane, order):
    geometry = phantoms.grid(plane)
    series = phantoms.write_series(tmp_path / "series", geometry, order=order)
    labels = phantoms.blobs(geometry)
    path, source = written(tmp_path, series, labels)
    assert_same(path, source, labels, 3)


def test_no_voxel_moves_on_signed_voxels_with_a_rescale(tmp_path):
    series = phantoms.write_series(tmp_path / "series", phantoms.grid("oblique"), modality="CT")
    assert read_volume(series.folder).array.min() < -1024
    labels = phantoms.blobs(series.geometry)
    path, source = written(tmp_path, series, labels)
    assert_same(path, source, labels, 3)
    assert source.instances.sop_class_uid == "1.2.840.10008.5.1.4.1.1.2"


def test_place_in_the_patient_is_that_of_the_slices_for_highdicom(tmp_path):
    geometry = phantoms.grid("oblique")
    series = phantoms.write_series(tmp_path / "series", geometry)
    path, _ = written(tmp_path, series, np.ones(geometry.array_shape, np.uint8))
    affine = hd.seg.segread(path).get_volume(combine_segments=True).affine
    # highdicom's array axes are slices, rows, columns
    wanted = geometry.index_to_world_matrix[:, [2, 1, 0, 3]]
    corners = np.array([[k, j, i, 1] for k in (0, 5) for j in (0, 10) for i in (0, 12)]).T
    ours, theirs = wanted @ corners, affine @ corners
    if not np.allclose(ours, theirs, atol=1e-3):  # it may begin at the other end of the stack
        flipped = affine @ np.array([[-1, 0, 0, 5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
        theirs = flipped @ corners
    np.testing.assert_allclose(ours, theirs, atol=1e-3)  # positions are text of ten digits


def test_overlapping_segments_stay_whole(tmp_path):
    series = phantoms.write_series(tmp_path / "series")
    labels = phantoms.blobs(series.geometry)
    masks = np.stack([labels == 1, labels >= 1, labels >= 0])
    path, source = written(tmp_path, series, masks)
    assert_same(path, source, masks, 3)


def test_empty_segment_is_described_and_the_others_keep_their_numbers(tmp_path):
    series = phantoms.write_series(tmp_path / "series")
    labels = phantoms.blobs(series.geometry)
    labels[labels == 1] = 0
    path, source = written(tmp_path, series, labels)
    assert_same(path, source, labels, 3)
    described = pydicom.dcmread(path).SegmentSequence
    assert [item.SegmentNumber for item in described] == [1, 2, 3]


def test_twenty_segments_keep_names_and_codes(tmp_path):
    geometry = phantoms.grid(size=(24, 20, 5))
    series = phantoms.write_series(tmp_path / "series", geometry)
    labels = np.zeros(geometry.array_shape, np.uint8)
    for number in range(1, 21):
        labels[(number - 1) % 5, number - 1, 1 : 1 + number] = number
    path, source = written(tmp_path, series, labels)
    assert_same(path, source, labels, 20)
    described = pydicom.dcmread(path).SegmentSequence
    assert [item.SegmentLabel for item in described] == [f"structure {n}" for n in range(1, 21)]


def test_one_slice_alone_goes_through(tmp_path):
    geometry = phantoms.grid(size=(13, 11, 1))
    series = phantoms.write_series(tmp_path / "series", geometry)
    labels = np.zeros(geometry.array_shape, np.uint8)
    labels[0, 2:5, 3:9] = 1
    path, source = written(tmp_path, series, labels)
    assert_same(path, source, labels, 1)


@pytest.mark.parametrize(
    ("name", "charset"),
    [
        ("Müller^Jürgen", "ISO_IR 100"),
        ("Кузнецов^Иван", "ISO_IR 144"),
        ("Yamada^Tarou=山田^太郎", ["", "ISO 2022 IR 87"]),
        ("O'Neill^Zoë", "ISO_IR 192"),
    ],
)
def test_name_of_the_patient_survives_its_character_set(tmp_path, name, charset):
    series = phantoms.write_series(
        tmp_path / "series", SpecificCharacterSet=charset, PatientName=name
    )
    path, _ = written(tmp_path, series, phantoms.blobs(series.geometry))
    assert str(pydicom.dcmread(path).PatientName) == name


def test_attributes_that_the_source_lacks_are_there_and_empty(tmp_path):
    missing = [
        "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyTime",
        "ReferringPhysicianName", "PositionReferenceIndicator", "SliceThickness",
    ]  # fmt: skip
    series = phantoms.write_series(tmp_path / "series", drop=missing)
    path, _ = written(tmp_path, series, phantoms.blobs(series.geometry))
    found = pydicom.dcmread(path)
    assert [str(found[keyword].value or "") for keyword in missing[:6]] == [""] * 6


def test_malformed_date_of_birth_is_left_empty(tmp_path):
    series = phantoms.write_series(tmp_path / "series")
    for file in series.files:
        phantoms.changed(file, PatientBirthDate="2/1/70")
    path, _ = written(tmp_path, series, phantoms.blobs(series.geometry))
    assert pydicom.dcmread(path).PatientBirthDate == ""


def test_object_says_what_made_each_segment(tmp_path):
    series = phantoms.write_series(tmp_path / "series")
    kinds = (AlgorithmType.AUTOMATIC, AlgorithmType.SEMIAUTOMATIC, AlgorithmType.MANUAL)
    segments = [segment(n, type_=kind) for n, kind in enumerate(kinds, start=1)]
    path, _ = written(tmp_path, series, phantoms.blobs(series.geometry), segments)
    described = pydicom.dcmread(path).SegmentSequence
    assert [item.SegmentAlgorithmType for item in described] == [kind.value for kind in kinds]
    made_by = described[0].SegmentationAlgorithmIdentificationSequence[0]
    assert (made_by.AlgorithmName, made_by.AlgorithmVersion) == ("PseudoLabelCL", "0.1.0")
    assert made_by.AlgorithmFamilyCodeSequence[0].CodeValue == "123110"
    assert "sha256:0af" in made_by.AlgorithmParameters
    assert "SegmentationAlgorithmIdentificationSequence" not in described[2]


def test_codes_are_written_as_given(tmp_path):
    series = phantoms.write_series(tmp_path / "series")
    labels = (phantoms.blobs(series.geometry) > 0).astype(np.uint8)
    path, _ = written(tmp_path, series, labels, [segment(1, "Raumforderung größer", MASS)])
    item = pydicom.dcmread(path).SegmentSequence[0]
    region = item.AnatomicRegionSequence[0]
    assert item.SegmentLabel == "Raumforderung größer"
    assert item.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
    assert item.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Mass"
    assert (region.CodeValue, region.AnatomicRegionModifierSequence[0].CodeValue) == (
        "64033007", "7771000",
    )  # fmt: skip


def test_colour_comes_back_from_cielab(tmp_path):
    series = phantoms.write_series(tmp_path / "series")
    path, _ = written(tmp_path, series, phantoms.blobs(series.geometry))
    values = pydicom.dcmread(path).SegmentSequence[0].RecommendedDisplayCIELabValue
    found = hd.color.CIELabColor.from_dicom_value(tuple(values)).to_rgb()
    # 16 bits for each of L, a, b keep 8 bits of red, green and blue
    np.testing.assert_allclose(found, (0x56, 0xB4, 0xE9), atol=1)


def test_object_is_filed_with_its_study_in_a_series_of_its_own(tmp_path):
    series = phantoms.write_series(tmp_path / "series")
    path, source = written(tmp_path, series, phantoms.blobs(series.geometry))
    found = pydicom.dcmread(path)
    assert found.StudyInstanceUID == source.instances.study_uid
    assert found.FrameOfReferenceUID == source.instances.frame_of_reference_uid
    assert found.SeriesInstanceUID != source.instances.series_uid
    assert (found.Modality, found.SegmentationType) == ("SEG", "BINARY")
    assert (found.SeriesNumber, found.SeriesDescription) == (9003, "Segmentation, round 2")
    assert str(found.ContentCreatorName) == "Doe^Jane"


def test_structure_is_tracked_by_its_identity_and_code_alone():
    first = tracking_uid_of("1.2.3", "Segment_1", KIDNEY)
    assert tracking_uid_of("1.2.3", "Segment_1", KIDNEY) == first
    others = {
        tracking_uid_of("1.2.4", "Segment_1", KIDNEY),
        tracking_uid_of("1.2.3", "Segment_2", KIDNEY),
        tracking_uid_of("1.2.3", "Segment_1", MASS),
    }
    assert len(others | {first}) == 4
    assert all(pydicom.uid.UID(uid).is_valid for uid in others)


def test_nothing_at_all_is_no_object(tmp_path):
    series = phantoms.write_series(tmp_path / "series")
    source = read_source_series(series.folder)
    with pytest.raises(ValueError, match="no voxel"):
        write_segmentation_object(
            tmp_path / "a.dcm", source, np.zeros(source.geometry.array_shape), [segment(1)], ABOUT
        )
    assert not (tmp_path / "a.dcm").exists()


def test_reader_by_hand_unpacks_bits_like_a_slow_loop(tmp_path):
    series = phantoms.write_series(tmp_path / "series")  # 143 pixels: frames share bytes
    path, _ = written(tmp_path, series, phantoms.blobs(series.geometry))
    stored, data = read_segmentation_object(path), pydicom.dcmread(path).PixelData
    for index in range(len(stored.frames)):
        start = index * stored.rows * stored.columns
        slow = [data[n // 8] >> (n % 8) & 1 for n in range(start, start + 143)]
        assert stored.mask(index).ravel().tolist() == [bool(bit) for bit in slow]


def test_compressed_slices_are_a_source_like_others(tmp_path):
    series = phantoms.write_series(tmp_path / "series", phantoms.grid("oblique"))
    for file in series.files:
        header = pydicom.dcmread(file)
        header.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
        header.save_as(file)
    assert np.array_equal(read_volume(series.folder).array, series.voxels)
    labels = phantoms.blobs(series.geometry)
    path, source = written(tmp_path, series, labels)
    assert_same(path, source, labels, 3)
