"""Whether a volume in the scene is still the DICOM series that it was loaded from."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
import slicer
from PseudoLabelCLGui.mrml_bridge import (
    SavedVolume,
    geometry_of,
    save_volume,
    source_of,
    volume_problems,
)
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from scene_things import GEOMETRIES, SIZE

from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.storage.volume_io import read_volume

SHAPE = SIZE[::-1]
SERIES = "1.2.826.0.1.3680043.8.498.4.1"
GEOMETRY = GEOMETRIES["oblique"]
SLOPE, INTERCEPT = 2.0, -1024.0


class Database:
    """What slicer.dicomDatabase tells, from the files themselves."""

    isOpen = True  # noqa: N815 - Slicer's name

    def __init__(self, files):
        self.headers = {str(f): pydicom.dcmread(f, stop_before_pixels=True) for f in files}

    def fileForInstance(self, uid):  # noqa: N802 - Slicer's name
        found = [f for f, header in self.headers.items() if uid == header.SOPInstanceUID]
        return found[0] if found else ""

    def seriesForFile(self, file):  # noqa: N802 - Slicer's name
        return str(self.headers[file].SeriesInstanceUID)

    def filesForSeries(self, uid):  # noqa: N802 - Slicer's name
        return [f for f, header in self.headers.items() if uid == header.SeriesInstanceUID]


def write_slice(file, k, pixels):
    header = pydicom.Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = CTImageStorage
    header.file_meta.MediaStorageSOPInstanceUID = f"{SERIES}.{k + 1}"
    header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, f"{SERIES}.{k + 1}"
    header.SeriesInstanceUID, header.StudyInstanceUID = SERIES, f"{SERIES}.99"
    header.FrameOfReferenceUID = f"{SERIES}.98"
    header.Modality, header.PatientID, header.InstanceNumber = "CT", "p", k + 1
    header.ImagePositionPatient = [f"{x:.10g}" for x in GEOMETRY.index_to_world((0, 0, k))]
    columns = GEOMETRY.direction_matrix.T
    header.ImageOrientationPatient = [f"{x:.10g}" for x in (*columns[0], *columns[1])]
    i_mm, j_mm, k_mm = GEOMETRY.spacing_mm
    header.PixelSpacing, header.SliceThickness = [j_mm, i_mm], k_mm
    header.Rows, header.Columns = pixels.shape
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
    header.PixelRepresentation = 1
    header.RescaleSlope, header.RescaleIntercept = SLOPE, INTERCEPT
    header.PixelData = pixels.tobytes()
    header.save_as(file, enforce_file_format=True)


@pytest.fixture
def files(tmp_path, rng):
    folder = tmp_path / "série"
    folder.mkdir()
    stored = rng.integers(0, 1500, SHAPE, dtype=np.int16)
    found = [folder / f"IM{9 - k}" for k in range(SHAPE[0])]  # names against the positions
    for k, file in enumerate(found):
        write_slice(file, k, stored[k])
    return found


@pytest.fixture
def volume(scene, files, monkeypatch):
    """The series, read by Slicer's own reader, as its DICOM module leaves it in the scene."""
    reader = slicer.vtkMRMLVolumeArchetypeStorageNode()
    reader.SetFileName(str(files[0]))
    for file in files:
        reader.AddFileName(str(file))
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    assert reader.ReadData(node)
    uids = (f"{SERIES}.{k + 1}" for k in range(SHAPE[0]))
    node.SetAttribute("DICOM.instanceUIDs", " ".join(uids))
    assert geometry_of(node).is_close_to(GEOMETRY)
    monkeypatch.setattr(slicer, "dicomDatabase", Database(files), raising=False)
    return node


def test_untouched_series_is_used_where_it_lies(volume, files, tmp_path):
    saved = save_volume(volume, tmp_path / "copies")
    assert saved == SavedVolume(files[0].parent, SERIES)
    same = read_volume(saved.path, saved.series_uid)
    np.testing.assert_allclose(same.array, slicer.util.arrayFromVolume(volume))
    assert same.geometry.is_close_to(geometry_of(volume))


def test_series_listed_from_its_other_end_is_the_same_series(volume, files):
    uids = volume.GetAttribute("DICOM.instanceUIDs").split()
    volume.SetAttribute("DICOM.instanceUIDs", " ".join(reversed(uids)))
    assert source_of(volume) == SavedVolume(files[0].parent, SERIES)


def touch_voxels(volume):
    slicer.util.arrayFromVolume(volume)[:, 3:6] = 0
    slicer.util.arrayFromVolumeModified(volume)


@pytest.mark.parametrize(
    "change",
    [
        touch_voxels,
        lambda volume: volume.SetOrigin(0, 0, 0),
        lambda volume: volume.SetSpacing(1, 1, 1),
        lambda volume: volume.SetIJKToRASDirections(1, 0, 0, 0, 1, 0, 0, 0, 1),
    ],
    ids=["voxels", "origin", "spacing", "direction"],
)
def test_series_changed_in_the_scene_is_copied(volume, files, tmp_path, change):
    change(volume)
    saved = save_volume(volume, tmp_path / "copies")
    assert saved.copy
    same = read_volume(saved.path)
    np.testing.assert_array_equal(same.array, slicer.util.arrayFromVolume(volume))
    assert same.geometry.is_close_to(geometry_of(volume))


def test_series_of_which_a_file_is_gone_is_copied(volume, files, tmp_path):
    files[2].unlink()
    assert save_volume(volume, tmp_path / "copies").copy


def test_part_of_a_series_is_copied(volume, files, tmp_path):
    """The project would read the whole series."""
    more = files[0].parent / "more"
    write_slice(more, SHAPE[0], np.zeros(SHAPE[1:], np.int16))
    slicer.dicomDatabase.headers[str(more)] = pydicom.dcmread(more)
    assert source_of(volume) is None


def test_series_in_two_folders_is_copied(volume, files, tmp_path, monkeypatch):
    other = tmp_path / "other" / "slice"
    other.parent.mkdir()
    files[3].rename(other)
    moved = [other if k == 3 else file for k, file in enumerate(files)]
    monkeypatch.setattr(slicer, "dicomDatabase", Database(moved))
    assert source_of(volume) is None


@pytest.mark.parametrize("database", [None, "closed", "empty"])
def test_without_the_database_the_volume_is_copied(volume, monkeypatch, tmp_path, database):
    if database is None:
        monkeypatch.delattr(slicer, "dicomDatabase")
    elif database == "closed":
        slicer.dicomDatabase.isOpen = False
    else:
        slicer.dicomDatabase.headers.clear()
    assert source_of(volume) is None
    assert save_volume(volume, tmp_path / "copies").copy


def test_damaged_file_is_no_source(volume, files):
    files[0].write_bytes(files[0].read_bytes()[:600])
    assert source_of(volume) is None
    Path(files[0]).write_bytes(b"no DICOM at all")
    assert source_of(volume) is None


def test_volume_of_another_size_than_its_series_is_copied(volume, files):
    image = slicer.util.arrayFromVolume(volume)[:-1].copy()
    slicer.util.updateVolumeFromArray(volume, image)
    smaller = geometry_of(volume)
    assert smaller.size == (SIZE[0], SIZE[1], SIZE[2] - 1)
    assert isinstance(smaller, Geometry)
    assert source_of(volume) is None


def under_an_acquisition_transform(volume):
    transform = slicer.mrmlScene.AddNewNodeByClass(
        "vtkMRMLGridTransformNode", "CT acquisition transform"
    )
    volume.SetAndObserveTransformNodeID(transform.GetID())


def test_series_under_an_acquisition_transform_is_taken_from_its_files(volume, files):
    under_an_acquisition_transform(volume)
    assert source_of(volume) == SavedVolume(files[0].parent, SERIES)
    volume.SetSpacing(1, 1, 1)  # the places are in the transform
    assert source_of(volume) == SavedVolume(files[0].parent, SERIES)


def test_missing_slice_under_an_acquisition_transform_is_told_by_the_reader(
    volume, files, tmp_path
):
    under_an_acquisition_transform(volume)
    header = pydicom.dcmread(files[-1])
    header.ImagePositionPatient = [f"{x:.10g}" for x in GEOMETRY.index_to_world((0, 0, SHAPE[0]))]
    header.save_as(files[-1])
    saved = save_volume(volume, tmp_path / "copies")
    with pytest.raises(VolumeError, match="1 missing between"):
        read_volume(saved.path, saved.series_uid)


def test_volume_under_an_acquisition_transform_without_its_files_says_what_to_add(
    volume, monkeypatch
):
    under_an_acquisition_transform(volume)
    touch_voxels(volume)
    assert source_of(volume) is None
    (problem,) = volume_problems(volume)
    assert "Add its DICOM files" in problem
    assert "Do not harden" in problem
