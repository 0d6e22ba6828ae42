"""Enhanced objects of several echoes, time points or stacks: told apart, and one is taken."""

import itertools

import dicom_phantoms as phantoms
import numpy as np
import pydicom
import pytest
from small_projects import add_case

from PseudoLabelCLLib.curation.export.dicom_export import (
    DicomExportChoices,
    export_dicom_segmentations,
)
from PseudoLabelCLLib.curation.find.find_volumes import find_volumes
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.storage.dicom.series import read_series, read_series_geometry
from PseudoLabelCLLib.storage.dicom.source_series import read_source_series
from PseudoLabelCLLib.storage.project.project_store import create_project
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.segments.terminology_list import propose_terminology

pytestmark = pytest.mark.filterwarnings("ignore")
SCHEMA = LabelSchema((LabelClass(4, "liver", "#56b4e9", propose_terminology("liver")[0]),))
NUM_SLICES = 6
# Attribute, the sequence of the frame that holds it, and its values.
APART = {
    "EffectiveEchoTime": ("MREchoSequence", [4.6, 9.2]),
    "TemporalPositionIndex": ("FrameContentSequence", [1, 2, 10]),
    "FrameAcquisitionNumber": ("FrameContentSequence", [1, 2]),
    "StackID": ("FrameContentSequence", ["1", "2"]),
    "NominalCardiacTriggerDelayTime": ("CardiacSynchronizationSequence", [0.0, 33.5]),
    "ComplexImageComponent": ("MRImageFrameTypeSequence", ["MAGNITUDE", "PHASE"]),
    "EchoTime": ("UnassignedPerFrameConvertedAttributesSequence", [4.6, 9.2]),
}


def say(group, sequence, keyword, value):
    """Write an attribute into the item of a frame's sequence."""
    if sequence not in group:
        setattr(group, sequence, [pydicom.Dataset()])
    setattr(getattr(group, sequence)[0], keyword, value)


def copied(group):
    return pydicom.Dataset.from_json(group.to_json())


def several_in_one(folder, told, *, in_turn=False, move=None):
    """Write an enhanced object with a stack for each of some attributes, the later ones brighter.

    Args:
        folder: Where to.
        told: For each part what its frames say: (sequence, keyword, value) ...
        in_turn: Whether the parts of each slice follow each other, instead of slices of parts.
        move: Changes the frames of a part: called with its number and the frame.

    Returns:
        The voxels of the first part.
    """
    made = phantoms.write_enhanced(folder, phantoms.grid(size=(16, 12, NUM_SLICES)))
    header = pydicom.dcmread(made.files[0])
    stored, groups = header.pixel_array, list(header.PerFrameFunctionalGroupsSequence)
    frames = []
    for number, says in enumerate(told):
        for k in range(NUM_SLICES):
            group = copied(groups[k])
            for sequence, keyword, value in says:
                say(group, sequence, keyword, value)
            say(
                group,
                "FrameContentSequence",
                "FrameAcquisitionDateTime",
                f"20260101{len(frames):06}",
            )
            if move is not None:
                move(number, group)
            frames.append((k if in_turn else 0, group, stored[k] + 100 * number))
    frames.sort(key=lambda frame: frame[0])
    header.NumberOfFrames = len(frames)
    header.PerFrameFunctionalGroupsSequence = [group for _, group, _ in frames]
    header.PixelData = np.stack([pixels for *_, pixels in frames]).astype(np.int16).tobytes()
    header.save_as(made.files[0])
    return made.voxels


@pytest.mark.parametrize("in_turn", [False, True], ids=["one after the other", "in turn"])
@pytest.mark.parametrize("keyword", APART)
def test_each_part_of_an_enhanced_object_is_said_offered_and_read(tmp_path, keyword, in_turn):
    sequence, values = APART[keyword]
    told = [[(sequence, keyword, value)] for value in values]
    first = several_in_one(tmp_path, told, in_turn=in_turn)
    for read in (read_series, read_series_geometry, read_source_series):
        with pytest.raises(VolumeError, match=f"they differ in {keyword}") as refused:
            read(tmp_path)
        assert f"UID;{keyword}={values[0]}" in refused.value.remedy
    named = [f"{phantoms.SERIES};{keyword}={value}" for value in values]
    found = find_volumes(tmp_path, ())
    assert [one.series_uid for one in found.volumes] == named
    assert found.problems == ()
    for number, uid in enumerate(named):
        volume = read_series(tmp_path, uid)
        np.testing.assert_array_equal(volume.array, first + 200 * number)  # the slope is 2
        assert read_series_geometry(tmp_path, uid) == volume.geometry
        numbers = read_source_series(tmp_path, uid).frame_numbers
        step = len(values) if in_turn else 1
        start = number if in_turn else number * NUM_SLICES
        assert numbers == tuple(start + step * k + 1 for k in range(NUM_SLICES))


def test_echoes_of_several_time_points_are_told_apart_by_both(tmp_path):
    both = list(itertools.product((4.6, 9.2), (1, 2, 3)))
    told = [
        [("MREchoSequence", "EffectiveEchoTime", echo),
         ("FrameContentSequence", "TemporalPositionIndex", time)]
        for echo, time in both
    ]  # fmt: skip
    first = several_in_one(tmp_path, told)
    found = find_volumes(tmp_path, ())
    name = "EffectiveEchoTime+TemporalPositionIndex"
    assert [one.series_uid for one in found.volumes] == [
        f"{phantoms.SERIES};{name}={echo}+{time}" for echo, time in both
    ]
    last = read_series(tmp_path, found.volumes[-1].series_uid)
    np.testing.assert_array_equal(last.array, first + 200 * 5)


def turned(number, group):
    """Let the second stack be cut in another direction."""
    if number == 1:
        item = pydicom.Dataset()
        item.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        group.PlaneOrientationSequence = [item]
        x, y, z = group.PlanePositionSequence[0].ImagePositionPatient
        group.PlanePositionSequence[0].ImagePositionPatient = [z, x, y]


def far_away(number, group):
    if number == 1:
        place = group.PlanePositionSequence[0]
        x, y, z = place.ImagePositionPatient
        place.ImagePositionPatient = [x, y, z + 500]


@pytest.mark.parametrize("move", [turned, far_away])
def test_stacks_of_other_directions_and_places_are_offered_one_by_one(tmp_path, move):
    told = [[("FrameContentSequence", "StackID", name)] for name in ("1", "2")]
    first = several_in_one(tmp_path, told, move=move)
    with pytest.raises(VolumeError, match=r"several stacks of frames: .* in StackID \(1, 2\)"):
        read_series(tmp_path)
    found = find_volumes(tmp_path, ())
    assert [one.series_uid for one in found.volumes] == [
        f"{phantoms.SERIES};StackID={name}" for name in ("1", "2")
    ]
    np.testing.assert_array_equal(read_series(tmp_path, found.volumes[0].series_uid).array, first)


def test_defect_of_a_stack_is_told_as_it_is(tmp_path):
    """A missing slice is no reason to offer each slice as a stack of its own."""
    several_in_one(tmp_path, [[("FrameContentSequence", "StackID", "1")]])
    file = tmp_path / "enhanced.dcm"
    header = pydicom.dcmread(file)
    del header.PerFrameFunctionalGroupsSequence[2]
    header.NumberOfFrames = NUM_SLICES - 1
    header.PixelData = header.PixelData[: header.Rows * header.Columns * 2 * (NUM_SLICES - 1)]
    header.save_as(file)
    with pytest.raises(VolumeError, match="1 missing between"):
        read_series(tmp_path)


def test_part_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    told = [[("MREchoSequence", "EffectiveEchoTime", value)] for value in (4.6, 9.2)]
    several_in_one(tmp_path, told)
    uid = f"{phantoms.SERIES};EffectiveEchoTime=5"
    with pytest.raises(VolumeError, match=r"EffectiveEchoTime 5 \(found: 4\.6, 9\.2\)"):
        read_series(tmp_path, uid)


@pytest.mark.parametrize("in_turn", [False, True], ids=["one after the other", "in turn"])
def test_segmentation_of_one_echo_refers_to_its_frames(tmp_path, in_turn):
    told = [[("MREchoSequence", "EffectiveEchoTime", value)] for value in (4.6, 9.2)]
    folder = tmp_path / "mr"
    several_in_one(folder, told, in_turn=in_turn)
    uid = f"{phantoms.SERIES};EffectiveEchoTime=9.2"
    geometry = read_series_geometry(folder, uid)
    labels = np.zeros(geometry.array_shape, np.int16)
    labels[1:4, 2:7, 3:9] = labels[4, 5, 6] = 4
    write_segmentation(tmp_path / "a.seg.nrrd", LabelVolume(labels, geometry), SCHEMA)
    root = tmp_path / "project"
    project = Project("p", SCHEMA, config_for(Profile.QUICK))
    create_project(root, project)
    project, notices = add_case(
        root, project, "a", CaseRole.ANNOTATED, folder, tmp_path / "a.seg.nrrd", series_uid=uid
    )
    assert notices == ()
    (line,) = export_dicom_segmentations(root, project, tmp_path / "out", DicomExportChoices())
    stored = pydicom.dcmread(line.path)
    assert line.problem == ""
    numbers = [
        int(frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber)
        for frame in stored.PerFrameFunctionalGroupsSequence
    ]
    masks = dict(zip(numbers, stored.pixel_array, strict=True))
    # the second echo of slice k, counted from 1
    wanted = {k: 2 * k + 2 if in_turn else NUM_SLICES + k + 1 for k in (1, 2, 3, 4)}
    assert set(masks) == set(wanted.values())
    for k, number in wanted.items():
        np.testing.assert_array_equal(masks[number] > 0, labels[k] > 0)
