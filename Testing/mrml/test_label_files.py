"""Segmentation files read with numpy alone: the same voxels in the same place as other readers."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PseudoLabelCLGui.mrml_bridge import read_labels, unpack_labels
from scene_things import (
    GEOMETRIES,
    LABELS,
    SIZE,
    all_indices,
    physical_values,
    read_itk,
    some_labels,
)

from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation

ENDINGS = (".seg.nrrd", ".nii.gz")


@pytest.fixture(params=GEOMETRIES.values(), ids=GEOMETRIES.keys())
def geometry(request):
    return request.param


def written(folder, geometry, ending):
    file = folder / f"größer 心{ending}"
    write_segmentation(file, LabelVolume(some_labels(), geometry), LABELS)
    return file


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_voxel_has_the_place_that_itk_gives_it(tmp_path, geometry, ending):
    file = written(tmp_path, geometry, ending)
    array, grid = read_labels(file)
    indices = all_indices()
    assert grid.size == SIZE
    points = grid.index_to_world(indices)
    assert (physical_values(read_itk(file), points) == array.transpose(2, 1, 0).ravel()).all()


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_grid_is_that_of_the_volume(tmp_path, geometry, ending):
    array, grid = read_labels(written(tmp_path, geometry, ending))
    assert grid.is_close_to(geometry)
    assert (array == some_labels()).all()


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.int32])
@pytest.mark.parametrize("name", ["raw.nrrd", "packed.nrrd", "plain.nii", "packed.nii.gz"])
def test_kinds_of_numbers_and_packing(tmp_path, kind, name):
    image = sitk.GetImageFromArray(some_labels().astype(kind))
    image.SetSpacing((0.5, 0.7, 2.0))
    sitk.WriteImage(image, str(tmp_path / name), useCompression=name.startswith("packed"))
    array, grid = read_labels(tmp_path / name)
    assert array.dtype == kind
    assert (array == some_labels()).all()
    assert grid.spacing_mm == pytest.approx((0.5, 0.7, 2.0))


def cut(file):
    file.write_bytes(file.read_bytes()[:-40])


def empty(file):
    file.write_bytes(b"")


def other(file):
    file.write_bytes(b"NRRD0004\ntype: float\n\n1234")


@pytest.mark.parametrize("damage", [Path.unlink, cut, empty, other])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_that_cannot_be_read_is_told_with_the_way_out(tmp_path, ending, damage):
    file = written(tmp_path, GEOMETRIES["plain"], ending)
    damage(file)
    with pytest.raises(VolumeError, match="cannot be shown") as told:
        read_labels(file)
    assert "Add Data" in told.value.remedy


def test_layers_that_overlap_are_not_read_as_one(tmp_path):
    image = sitk.GetImageFromArray(np.zeros((4, 5, 6, 2), np.uint8), isVector=True)
    sitk.WriteImage(image, str(tmp_path / "layers.seg.nrrd"))
    with pytest.raises(VolumeError):
        read_labels(tmp_path / "layers.seg.nrrd")


def test_a_disk_without_room_is_told(tmp_path):
    file = written(tmp_path, GEOMETRIES["plain"], ".nii.gz")
    with pytest.raises(VolumeError, match="not enough disk space"):
        unpack_labels(file, tmp_path / "no folder" / "labels.npy")
