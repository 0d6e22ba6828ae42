"""Slicer's way of reading a DICOM segmentation finds every voxel at its place."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

sys.path.append(str(Path(__file__).parents[1] / "proof"))
sys.path.append(str(Path(__file__).parents[1] / "backend"))
import dicom_phantoms as phantoms
from grid_by_hand import grid_of_series
from mrml_reader import by_slicer, import_labels, load_series, new_segmentation, segment_points
from readers import by_hand, voxels_on
from round_trips import one_is_empty, overlapping
from trial_objects import blobs, write_object

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom warns of what phantoms leave out
PLANES = sorted(phantoms.PLANES)


def label_volume(file, grid, masks):
    """Store masks as dcmqi does: label values, cropped to the slices that hold any."""
    labels = sum(np.uint8(n) * mask for n, mask in enumerate(masks, start=1))
    filled = np.flatnonzero(labels.any(axis=(1, 2)))
    image = sitk.GetImageFromArray(labels[filled[0] : filled[-1] + 1])
    turned = (grid.matrix[:3, :3] / grid.spacing_mm)[:, ::-1]
    image.SetDirection(turned.ravel().tolist())
    image.SetSpacing(grid.spacing_mm[::-1].tolist())
    first = grid.matrix[:3, 3] + filled[0] * grid.matrix[:3, 0]
    image.SetOrigin(first.tolist())
    sitk.WriteImage(image, str(file))
    return file


def read_in_slicer(tmp_path, grid, masks):
    """Import label volumes beside the series; return masks by segment number."""
    volume = load_series(grid.files)
    node = new_segmentation(volume)
    file = label_volume(tmp_path / "1.nrrd", grid, masks)
    ids = import_labels(node, file, {n: n for n in range(1, len(masks) + 1)})
    return {n: voxels_on(grid, segment_points(node, id_, volume)) for n, id_ in ids.items()}


@pytest.mark.parametrize("order", [None, [5, 3, 1, 4, 2, 0]], ids=["in order", "shuffled"])
@pytest.mark.parametrize("plane", PLANES)
def test_every_voxel_lies_where_it_was_drawn(scene, tmp_path, plane, order):
    geometry = phantoms.grid(plane)
    grid = grid_of_series(phantoms.write_series(tmp_path / "s", geometry, order=order).folder)
    drawn = blobs(grid.shape)
    path = write_object(tmp_path / "s", tmp_path / "out", drawn)
    stored = [voxels_on(grid, points) for points in by_hand(path, len(drawn))]
    found = read_in_slicer(tmp_path, grid, stored)
    assert sorted(found) == [1, 2, 3]
    assert all(np.array_equal(found[n], mask) for n, mask in enumerate(drawn, start=1))


def test_empty_segment_at_the_end_shifts_no_name(scene, tmp_path):
    grid = grid_of_series(phantoms.write_series(tmp_path / "s").folder)
    drawn = one_is_empty(grid.shape, at=2)
    found = read_in_slicer(tmp_path, grid, drawn)
    assert sorted(found) == [1, 2]
    assert all(np.array_equal(found[n], drawn[n - 1]) for n in found)


def test_empty_segment_before_others_shifts_their_names(scene, tmp_path):
    """What Slicer does, and why an export puts empty segments last."""
    grid = grid_of_series(phantoms.write_series(tmp_path / "s").folder)
    drawn = one_is_empty(grid.shape, at=0)
    found = read_in_slicer(tmp_path, grid, drawn)
    assert np.array_equal(found[1], drawn[1])
    assert np.array_equal(found[2], drawn[2])


@pytest.mark.skipif(shutil.which("segimage2itkimage") is None, reason="dcmqi is not on the PATH")
@pytest.mark.parametrize("draw", [blobs, overlapping])
def test_label_volumes_of_dcmqi_come_in_too(scene, tmp_path, draw):
    geometry = phantoms.grid("oblique")
    grid = grid_of_series(phantoms.write_series(tmp_path / "s", geometry).folder)
    drawn = draw(grid.shape)
    path = write_object(tmp_path / "s", tmp_path / "out", drawn)
    found = by_slicer(path, len(drawn), grid.files)
    assert all(
        np.array_equal(voxels_on(grid, points), mask)
        for points, mask in zip(found, drawn, strict=True)
    )
