"""Verifying a segmentation object: a right one passes, and each single fault is found."""

import re
import shutil

import dicom_phantoms as phantoms
import numpy as np
import pydicom
import pytest
from object_segments import ABOUT, KIDNEY, segment

from PseudoLabelCLLib.curation.export.verify_segmentation_object import (
    ExpectedContent,
    verify_segmentation_object,
)
from PseudoLabelCLLib.curation.export.write_verified_object import (
    ObjectToWrite,
    record_problem,
    write_verified_object,
)
from PseudoLabelCLLib.domain.errors import StorageError
from PseudoLabelCLLib.storage.dicom.seg_writer import write_segmentation_object
from PseudoLabelCLLib.storage.dicom.segment import AlgorithmType
from PseudoLabelCLLib.storage.dicom.source_series import read_source_series

pytestmark = pytest.mark.filterwarnings("ignore")
GEOMETRY = phantoms.grid("oblique", size=(16, 12, 6))
LABELS = np.zeros(GEOMETRY.array_shape, np.uint8)
for k in range(5):  # no two slices of a segment are alike
    LABELS[k, k : k + 3, 1 : 4 + k] = 1
    LABELS[k, 8:11, k:8] = 2
LABELS[5, 3:7, 9:14] = 3
SEGMENTS = [segment(1), segment(2), segment(3, type_=AlgorithmType.SEMIAUTOMATIC)]


@pytest.fixture(scope="module")
def a_source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    return read_source_series(phantoms.write_series(folder, GEOMETRY).folder)


@pytest.fixture(scope="module")
def good_object(a_source, tmp_path_factory):
    path = tmp_path_factory.mktemp("object") / "object.dcm"
    write_segmentation_object(path, a_source, LABELS, SEGMENTS, ABOUT)
    return path


def test_right_object_passes_every_check(a_source, good_object):
    found = verify_segmentation_object(good_object, a_source, ExpectedContent(LABELS, SEGMENTS))
    assert found.problems == ()
    counts = {segment.number: segment.num_voxels for segment in found.segments}
    assert counts == {n: int((n == LABELS).sum()) for n in (1, 2, 3)}


def frame(header, index=0):
    return header.PerFrameFunctionalGroupsSequence[index]


def flip_a_voxel(header):
    header.PixelData = bytes([header.PixelData[0] ^ 1]) + header.PixelData[1:]


def swap_two_frames(header):
    items = header.PerFrameFunctionalGroupsSequence
    for group in ("PlanePositionSequence", "DerivationImageSequence", "FrameContentSequence"):
        one, other = items[0][group].value, items[1][group].value
        items[0][group].value, items[1][group].value = other, one


def move_a_frame(header):
    place = frame(header).PlanePositionSequence[0]
    place.ImagePositionPatient = [x + 0.4 for x in place.ImagePositionPatient]


def repeat_a_frame(header):
    for group in ("PlanePositionSequence", "SegmentIdentificationSequence"):
        frame(header, 1)[group].value = frame(header, 0)[group].value


def name_another_slice(header):
    source = frame(header).DerivationImageSequence[0].SourceImageSequence[0]
    other = frame(header, 1).DerivationImageSequence[0].SourceImageSequence[0]
    source.ReferencedSOPInstanceUID = f"{other.ReferencedSOPInstanceUID}.5"


def name_another_purpose(header):
    source = frame(header).DerivationImageSequence[0].SourceImageSequence[0]
    source.PurposeOfReferenceCodeSequence[0].CodeValue = "121320"


def forget_a_slice(header):
    del header.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0]


def forget_the_series(header):
    del header.ReferencedSeriesSequence


def turn(header):
    plane = header.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]


def shrink_pixels(header):
    header.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [1, 1]


def renumber(header):
    header.SegmentSequence[2].SegmentNumber = 4


def rename(header):
    header.SegmentSequence[0].SegmentLabel = "liver"


def unname(header):
    header.SegmentSequence[0].SegmentLabel = ""


def recode(header):
    header.SegmentSequence[1].SegmentedPropertyTypeCodeSequence[0].CodeValue = "10200004"


def uncode(header):
    del header.SegmentSequence[1].SegmentedPropertyTypeCodeSequence


def drop_the_side(header):
    type_ = header.SegmentSequence[1].SegmentedPropertyTypeCodeSequence[0]
    del type_.SegmentedPropertyTypeModifierCodeSequence


def claim_it_was_drawn(header):
    header.SegmentSequence[0].SegmentAlgorithmType = "MANUAL"


def forget_the_program(header):
    del header.SegmentSequence[0].SegmentAlgorithmName


def retrack(header):
    header.SegmentSequence[0].TrackingUID = "1.2.3"


def lose_the_colour(header):
    del header.SegmentSequence[0].RecommendedDisplayCIELabValue


def same_place_twice(header):
    frame(header, 1).FrameContentSequence[0].DimensionIndexValues = list(
        frame(header, 0).FrameContentSequence[0].DimensionIndexValues
    )


def attribute(keyword, value):
    def change(header):
        setattr(header, keyword, value)

    return change


def without(keyword):
    return lambda header: delattr(header, keyword)


FAULTS = {
    "one voxel": (flip_a_voxel, "1 voxels differ"),
    "two frames swapped": (swap_two_frames, "voxels differ"),
    "a frame moved": (move_a_frame, "match no slice"),
    "a frame twice": (repeat_a_frame, "second time"),
    "another source slice": (name_another_slice, "do not name their own slice"),
    "another purpose": (name_another_purpose, "do not name their own slice"),
    "a slice not referred to": (forget_a_slice, "refers to 5 slices"),
    "no reference to the series": (forget_the_series, "does not refer"),
    "turned": (turn, "turned against"),
    "other pixels": (shrink_pixels, "another size"),
    "gap in the numbers": (renumber, r"numbered \[1, 2, 4\]"),
    "another name": (rename, "name is 'liver'"),
    "no name": (unname, "has no label"),
    "another code": (recode, "codes is"),
    "no code": (uncode, "does not say by codes"),
    "no side": (drop_the_side, "codes is"),
    "another origin": (claim_it_was_drawn, "algorithm type is 'MANUAL'"),
    "no program": (forget_the_program, "does not name the program"),
    "another identity": (retrack, "tracking UID"),
    "no colour": (lose_the_colour, "colour"),
    "one place twice": (same_place_twice, "same place along"),
    "another patient": (attribute("PatientID", "P-2"), "another PatientID"),
    "another name of the patient": (attribute("PatientName", "X^Y"), "another PatientName"),
    "another study": (attribute("StudyInstanceUID", "1.2.3"), "another StudyInstanceUID"),
    "no sex": (without("PatientSex"), "lacks PatientSex"),
    "no date of birth": (without("PatientBirthDate"), "lacks PatientBirthDate"),
    "another frame of reference": (attribute("FrameOfReferenceUID", "1.2"), "another frame of"),
    "no dimensions": (without("DimensionIndexSequence"), "dimensions"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_found(a_source, good_object, tmp_path, fault):
    spoil, words = FAULTS[fault]
    path = shutil.copy(good_object, tmp_path / "object.dcm")
    header = pydicom.dcmread(path)
    spoil(header)
    header.save_as(path)
    found = verify_segmentation_object(path, a_source, ExpectedContent(LABELS, SEGMENTS))
    assert found.problems
    assert re.search(words, " ".join(found.problems))


def test_mirrored_stack_is_found_without_knowing_the_content(a_source, good_object, tmp_path):
    """Frames in the reverse order, as a writer makes them that trusts the order of files."""
    path = shutil.copy(good_object, tmp_path / "object.dcm")
    header = pydicom.dcmread(path)
    items = header.PerFrameFunctionalGroupsSequence
    positions = [item.PlanePositionSequence for item in items][::-1]
    for item, position in zip(items, positions, strict=True):
        item.PlanePositionSequence = position
    header.save_as(path)
    found = verify_segmentation_object(path, a_source)
    assert "do not name their own slice" in " ".join(found.problems)


def test_object_of_another_series_does_not_fit(good_object, tmp_path):
    other = phantoms.write_series(
        tmp_path / "other", GEOMETRY, SeriesInstanceUID="1.2.77", StudyInstanceUID="1.2.78"
    )
    found = verify_segmentation_object(good_object, read_source_series(other.folder))
    assert "does not refer to this series" in " ".join(found.problems)


def content(a_source):
    return ObjectToWrite(a_source, LABELS, SEGMENTS, ABOUT, ("a notice",))


def test_object_and_record_lie_side_by_side(a_source, tmp_path):
    path, record = write_verified_object(tmp_path, "case", content(a_source))
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([path.name, record.name])
    assert record_problem(path) == ""


def test_changed_file_does_not_match_its_record(a_source, tmp_path):
    path, _ = write_verified_object(tmp_path, "case", content(a_source))
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert "changed after it was verified" in record_problem(path)


def test_object_that_is_not_as_written_is_not_kept(a_source, tmp_path, monkeypatch):
    """A disk, or a library, that turns one bit: nothing stays in the folder."""
    import PseudoLabelCLLib.curation.export.write_verified_object as module  # noqa: PLC0415

    def turns_a_bit(path, *rest):
        write_segmentation_object(path, *rest)
        data = bytearray(path.read_bytes())
        data[-4] ^= 2
        path.write_bytes(data)

    monkeypatch.setattr(module, "write_segmentation_object", turns_a_bit)
    with pytest.raises(StorageError, match="1 voxels differ"):
        write_verified_object(tmp_path, "case", content(a_source))
    assert list(tmp_path.iterdir()) == []


def test_overlapping_masks_are_compared_too(a_source, tmp_path):
    masks = np.stack([LABELS >= 1, LABELS == 2])
    path = tmp_path / "a.dcm"
    write_segmentation_object(path, a_source, masks, SEGMENTS[:2], ABOUT)
    wrong = masks.copy()
    wrong[0, 0, 0, 0] ^= True
    for expected, problems in ((masks, 0), (wrong, 1)):
        found = verify_segmentation_object(path, a_source, ExpectedContent(expected, SEGMENTS[:2]))
        assert len(found.problems) == problems


def test_terminology_of_the_file_is_that_of_the_project(a_source, good_object):
    found = verify_segmentation_object(good_object, a_source)
    assert {segment.terminology for segment in found.segments} == {KIDNEY}
