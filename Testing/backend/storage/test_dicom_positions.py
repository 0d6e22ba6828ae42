"""Positions that wobble or are rounded: what can be read can be exported and verified."""

import dicom_phantoms as phantoms
import highdicom as hd
import numpy as np
import pydicom
import pytest
from dicom_objects import KIDNEY, LIVER, described, structures, write_object
from object_segments import ABOUT, segment

from PseudoLabelCLLib.curation.export.verify_segmentation_object import (
    ExpectedContent,
    verify_segmentation_object,
)
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.storage.dicom.seg_writer import write_segmentation_object
from PseudoLabelCLLib.storage.dicom.series import read_series
from PseudoLabelCLLib.storage.dicom.source_series import read_source_series
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation

pytestmark = pytest.mark.filterwarnings("ignore")

HEIGHTS = {
    "right": [-40 + 6.0 * k for k in range(14)],
    "wobble 0.002": [-40 + 6 * k + 0.002 * (-1) ** k for k in range(14)],
    "wobble 0.05": [-40 + 6 * k + 0.05 * (-1) ** k for k in range(14)],
    "wobble 0.01 at 1 mm": [k + 0.01 * (-1) ** k for k in range(14)],
    "one off": [-40 + 6 * k + (0.01 if k == 7 else 0) for k in range(14)],
    "one decimal": [round(-40.04 + 5.97 * k, 1) for k in range(14)],
    "one decimal of thin slices": [round(-4.04 + 0.625 * k, 1) for k in range(14)],
    "two decimals": [round(-40.004 + 5.997 * k, 2) for k in range(14)],
}


def series_at(folder, heights):
    """A series whose slices lie at these heights, as its files say them."""
    distance = (heights[-1] - heights[0]) / (len(heights) - 1)
    grid = phantoms.grid(
        size=(16, 12, len(heights)), spacing=(1.5, 1.5, distance), origin=(-48, -42, heights[0])
    )
    made = phantoms.write_series(folder, grid)
    for file, z in zip(made.files, heights, strict=True):
        phantoms.changed(file, ImagePositionPatient=[-48, -42, f"{z:.6f}"])
    return made


def labels_for(shape):
    labels = np.zeros(shape, np.uint8)
    for k in range(1, shape[0] - 1):
        labels[k, k % 4 : k % 4 + 5, 2:9] = 1
        labels[k, 10:12, 3:12] = 2
    return labels


@pytest.mark.parametrize("heights", HEIGHTS.values(), ids=HEIGHTS)
def test_series_that_can_be_read_is_exported_verified_and_read_back(tmp_path, heights):
    made = series_at(tmp_path / "series", heights)
    assert read_series(made.folder).geometry.size == (16, 12, 14)
    source = read_source_series(made.folder)
    labels = labels_for(made.geometry.array_shape)
    segments = [segment(1), segment(2)]
    path = tmp_path / "object.dcm"

    write_segmentation_object(path, source, labels, segments, ABOUT)

    expected = ExpectedContent(labels, segments)
    assert verify_segmentation_object(path, source, expected).problems == ()
    # an independent reader finds every frame at the very position of its slice
    found = hd.seg.segread(path)
    for number in (1, 2):
        uids = [pydicom.dcmread(file).SOPInstanceUID for file in made.files]
        pixels = found.get_pixels_by_source_instance(
            uids, segment_numbers=[number], ignore_spatial_locations=True,
            assert_missing_frames_are_empty=True,
        )  # fmt: skip
        np.testing.assert_array_equal(pixels[..., 0], labels == number)
    back, _, _ = read_segmentation(path, None, near=source.geometry)
    inside = back.array[np.any(back.array, axis=(1, 2))]
    assert np.count_nonzero(inside) == np.count_nonzero(labels)


@pytest.mark.parametrize("heights", HEIGHTS.values(), ids=HEIGHTS)
def test_object_of_another_writer_is_not_condemned(tmp_path, heights):
    """Frames lie where the slices lie, or, as ITK writes them, on the regular grid."""
    made = series_at(tmp_path / "series", heights)
    kidney, liver = structures(made.geometry.array_shape)
    segments = [described(1, "kidney", KIDNEY), described(2, "liver", LIVER)]
    path = write_object(tmp_path / "seg.dcm", made, [kidney, liver], segments)
    source = read_source_series(made.folder)
    assert verify_segmentation_object(path, source).problems == ()

    header = pydicom.dcmread(path)
    for frame in header.PerFrameFunctionalGroupsSequence:
        place = frame.PlanePositionSequence[0]
        k = int(np.argmin(np.abs(np.array(heights) - float(place.ImagePositionPatient[2]))))
        x, y, z = source.geometry.index_to_world((0, 0, k))
        place.ImagePositionPatient = [f"{v:.8g}" for v in (x, y, z)]
        image = frame.DerivationImageSequence[0].SourceImageSequence[0]
        del image.PurposeOfReferenceCodeSequence
    used = {
        frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        for frame in header.PerFrameFunctionalGroupsSequence
    }
    series = header.ReferencedSeriesSequence[0]
    series.ReferencedInstanceSequence = [
        one for one in series.ReferencedInstanceSequence if one.ReferencedSOPInstanceUID in used
    ]
    header.save_as(path)
    assert verify_segmentation_object(path, source).problems == ()


def test_label_map_object_of_another_writer_is_not_condemned(tmp_path):
    made = series_at(tmp_path / "series", HEIGHTS["wobble 0.05"])
    kidney, liver = structures(made.geometry.array_shape)
    labels = np.where(liver, 2, np.where(kidney, 1, 0)).astype(np.uint8)
    segments = [described(1, "kidney", KIDNEY), described(2, "liver", LIVER)]
    sources = [pydicom.dcmread(file) for file in made.files]
    hd.seg.Segmentation(
        source_images=sources, pixel_array=labels, segmentation_type="LABELMAP",
        segment_descriptions=segments, series_instance_uid=hd.UID(), series_number=2,
        sop_instance_uid=hd.UID(), instance_number=1, manufacturer="m",
        manufacturer_model_name="m", software_versions="1", device_serial_number="1",
    ).save_as(tmp_path / "seg.dcm")  # fmt: skip
    found = verify_segmentation_object(tmp_path / "seg.dcm", read_source_series(made.folder))
    assert found.problems == ()
    counts = {one.number: one.num_voxels for one in found.segments if one.number}
    assert counts == {1: int((labels == 1).sum()), 2: int((labels == 2).sum())}


@pytest.mark.parametrize("away", [(0, 0, 2.9), (0, 0, 0.7), (0.5, 0, 0), (3, 0, 0)])
def test_frame_beside_its_slice_is_still_found(tmp_path, away):
    made = series_at(tmp_path / "series", HEIGHTS["wobble 0.05"])
    kidney, liver = structures(made.geometry.array_shape)
    segments = [described(1, "kidney", KIDNEY), described(2, "liver", LIVER)]
    path = write_object(tmp_path / "seg.dcm", made, [kidney, liver], segments)
    header = pydicom.dcmread(path)
    place = header.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0]
    moved = np.array(place.ImagePositionPatient, float) + away
    place.ImagePositionPatient = [f"{v:.8g}" for v in moved]
    header.save_as(path)
    found = verify_segmentation_object(path, read_source_series(made.folder))
    assert any("match no slice" in problem for problem in found.problems)


@pytest.mark.parametrize(
    "heights",
    [[0, 1, 2, 3.3, 4.3, 5.3], [0, 6, 12, 24, 30, 36], [0, 0.5, 1.0, 1.7, 2.2, 2.7]],
)
def test_slices_that_are_really_unequal_or_missing_are_refused_by_both_readers(tmp_path, heights):
    made = series_at(tmp_path / "series", heights)
    for read in (read_series, read_source_series):
        with pytest.raises(VolumeError, match="not a regular stack"):
            read(made.folder)
