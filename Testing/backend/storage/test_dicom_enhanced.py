"""Enhanced (multi-frame) objects: frames in the order of their positions, or refused in words."""

import shutil

import dicom_phantoms as phantoms
import highdicom as hd
import numpy as np
import pydicom
import pytest
from small_projects import add_case

from PseudoLabelCLLib.curation.export.dicom_export import (
    DicomExportChoices,
    export_dicom_segmentations,
)
from PseudoLabelCLLib.curation.export.verify_segmentation_object import verify_segmentation_object
from PseudoLabelCLLib.curation.find.find_volumes import find_volumes
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.storage.dicom.source_series import read_source_series
from PseudoLabelCLLib.storage.project.project_store import create_project
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.segments.terminology_list import propose_terminology
from PseudoLabelCLLib.storage.volume_io import read_geometry, read_volume

pytestmark = pytest.mark.filterwarnings("ignore")
SCHEMA = LabelSchema((LabelClass(4, "liver", "#56b4e9", propose_terminology("liver")[0]),))
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


@pytest.fixture(params=ORDERS)
def exported(request, tmp_path):
    """A project with an enhanced object as its one case, and the segmentation that went out."""
    made = phantoms.write_enhanced(
        tmp_path / "mr", phantoms.grid("oblique", size=(16, 12, 6)), order=ORDERS[request.param]
    )
    labels = np.zeros(made.geometry.array_shape, np.int16)
    labels[1:4, 2:7, 3:9] = labels[4, 5, 6] = 4
    drawn, root = tmp_path / "drawn.seg.nrrd", tmp_path / "project"
    write_segmentation(drawn, LabelVolume(labels, made.geometry), SCHEMA)
    project = Project("p", SCHEMA, config_for(Profile.QUICK))
    create_project(root, project)
    project, notices = add_case(root, project, "one", CaseRole.ANNOTATED, made.folder, drawn)
    assert notices == ()
    (line,) = export_dicom_segmentations(root, project, tmp_path / "out", DicomExportChoices())
    assert line.problem == ""
    return made, labels, line.path


def test_segmentation_of_an_enhanced_object_names_its_frames(exported):
    """By hand: each stored slice names the frame that lies at its place, and is what was drawn."""
    made, labels, path = exported
    header, source = pydicom.dcmread(path), pydicom.dcmread(made.files[0])
    positions = [
        np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        for group in source.PerFrameFunctionalGroupsSequence
    ]
    groups = header.PerFrameFunctionalGroupsSequence
    assert len(groups) == 4
    for group, mask in zip(groups, header.pixel_array, strict=True):
        image = group.DerivationImageSequence[0].SourceImageSequence[0]
        assert image.ReferencedSOPInstanceUID == source.SOPInstanceUID
        own = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        np.testing.assert_allclose(positions[image.ReferencedFrameNumber - 1], own, atol=1e-6)
        k = round(made.geometry.world_to_index(own)[2])
        np.testing.assert_array_equal(mask, labels[k] == 4)


def test_highdicom_finds_what_was_drawn_on_an_enhanced_object(exported):
    made, labels, path = exported
    volume = hd.seg.segread(path).get_volume(combine_segments=True, relabel=True)
    found = np.argwhere(np.asarray(volume.array))
    places = volume.map_indices_to_reference(found)
    wanted = made.geometry.index_to_world(np.argwhere(labels)[:, ::-1])
    assert {tuple(p) for p in np.round(places, 3)} == {tuple(p) for p in np.round(wanted, 3)}


def test_frame_that_names_another_frame_is_noticed(exported):
    made, _, path = exported
    source = read_source_series(made.folder)
    assert verify_segmentation_object(path, source).problems == ()
    header = pydicom.dcmread(path)
    group = header.PerFrameFunctionalGroupsSequence[2]
    image = group.DerivationImageSequence[0].SourceImageSequence[0]
    image.ReferencedFrameNumber = image.ReferencedFrameNumber % 6 + 1
    header.save_as(path)
    (problem,) = verify_segmentation_object(path, source).problems
    assert "1 frames do not name their own slice" in problem


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


@pytest.mark.parametrize(
    ("kind", "words"),
    [("1.2.840.10008.5.1.4.1.1.3.1", "ultrasound clip"),
     ("1.2.840.10008.5.1.4.1.1.66.4", "a segmentation")],
)  # fmt: skip
def test_frames_that_are_no_stack_of_slices_are_refused(tmp_path, kind, words):
    made = phantoms.write_enhanced(tmp_path)
    phantoms.changed(made.files[0], SOPClassUID=kind)
    with pytest.raises(VolumeError, match=words):
        read_volume(tmp_path)
    assert find_volumes(tmp_path, ()).volumes == ()
