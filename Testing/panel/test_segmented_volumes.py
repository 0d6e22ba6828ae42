"""Segmentations of new volumes come into the scene, read in threads, over their own volumes."""

from dataclasses import replace

import numpy as np
import panel_states as states
import pytest
import slicer
from test_review_section import wait_until

from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

# oblique and left-handed, as no tool likes it
GRID = Geometry(
    (9, 8, 6), (1.5, 0.75, 4.0), (-30.0, 12.0, 5.0), (0.8, 0.6, 0.0, -0.6, 0.8, 0.0, 0.0, 0.0, -1.0)
)
VALUES = np.zeros(GRID.array_shape, np.int16)
VALUES[1:3, 2:5, 1:4] = 1
VALUES[3:5, 1:3, 5:8] = 2


@pytest.fixture
def a_model(a_panel):
    use = replace(states.REVIEW.use, labels=states.LABELS)
    a_panel.show(replace(states.REVIEW, use=use))
    return a_panel


@pytest.fixture
def a_file(tmp_path):
    """A volume on disk, whose grey values number its voxels."""
    file = tmp_path / "heart 7.nrrd"
    write_volume(file, Volume(np.arange(VALUES.size).reshape(VALUES.shape).astype("i2"), GRID))
    return file


def loaded(file):
    """Load a volume as Slicer does."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", file.stem)
    node.AddDefaultStorageNode()
    node.GetStorageNode().SetFileName(str(file))
    assert node.GetStorageNode().ReadData(node)
    return node


def segmented(folder, ending=".seg.nrrd"):
    """What the model says about the volume."""
    file = folder / f"out{ending}"
    write_segmentation(file, LabelVolume(VALUES, GRID), LabelSchema(states.LABELS))
    return file


def segmentations():
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    return [node for node in nodes if not node.GetHideFromEditors()]


def settled(panel):
    """Let all threads end."""
    wait_until(panel, lambda: not panel.panel._work.isBusy)


@pytest.mark.parametrize("ending", [".seg.nrrd", ".nii.gz"])
def test_a_result_is_shown_where_its_volume_lies(a_model, a_file, tmp_path, ending):
    volume = loaded(a_file)
    result = segmented(tmp_path, ending)
    a_model.presenter.listeners.on_segmented(str(a_file), str(result))
    wait_until(a_model, segmentations)
    (node,) = segmentations()
    assert node.GetName() == "heart 7 segmentation"
    grey = slicer.util.arrayFromVolume(volume)
    for label in states.LABELS:
        name = node.GetSegmentation().GetSegment(label.segment_id).GetName()
        shown = slicer.util.arrayFromSegmentBinaryLabelmap(node, label.segment_id, volume)
        assert name == label.name
        # the same voxels, whatever order Slicer keeps the slices in
        assert set(grey[shown > 0]) == set(np.flatnonzero(label.value == VALUES))


def test_a_volume_that_lies_nowhere_on_disk_gets_its_result_too(a_model, tmp_path):
    volume = slicer.util.addVolumeFromArray(np.ones((6, 8, 9)), name="made here")
    grid = Geometry(GRID.size, (1.0,) * 3, (0.0,) * 3, (-1, 0, 0, 0, -1, 0, 0, 0, 1))
    result = tmp_path / "out.seg.nrrd"
    write_segmentation(result, LabelVolume(VALUES, grid), LabelSchema(states.LABELS))
    image = a_model.panel._folder / "to-segment" / f"{volume.GetID()}.nrrd"
    a_model.presenter.listeners.on_segmented(str(image), str(result))
    wait_until(a_model, segmentations)
    (node,) = segmentations()
    shown = slicer.util.arrayFromSegmentBinaryLabelmap(node, "Segment_1", volume)
    assert (shown == (VALUES == 1)).all()


def test_a_volume_that_is_not_in_the_scene_brings_nothing_into_it(a_model, a_file, tmp_path):
    a_model.presenter.listeners.on_segmented(str(a_file), str(segmented(tmp_path)))
    settled(a_model)
    assert segmentations() == []


def test_a_volume_of_another_grid_gets_no_result(a_model, a_file, tmp_path):
    loaded(a_file)
    result = segmented(tmp_path)
    other = replace(GRID, spacing_mm=(1.5, 0.75, 4.5))
    write_segmentation(result, LabelVolume(VALUES, other), LabelSchema(states.LABELS))
    a_model.presenter.listeners.on_segmented(str(a_file), str(result))
    settled(a_model)
    assert segmentations() == []


def test_a_volume_that_was_deleted_meanwhile_is_no_fault(a_model, a_file, tmp_path):
    volume = loaded(a_file)
    a_model.presenter.listeners.on_segmented(str(a_file), str(segmented(tmp_path)))
    slicer.mrmlScene.RemoveNode(volume)
    settled(a_model)
    assert segmentations() == []
    assert a_model.ui.messageLabel.text == ""


def test_a_damaged_result_is_told_with_the_way_out(a_model, a_file, tmp_path):
    loaded(a_file)
    result = segmented(tmp_path)
    result.write_bytes(result.read_bytes()[:300])
    a_model.presenter.listeners.on_segmented(str(a_file), str(result))
    settled(a_model)
    assert "cannot be shown" in a_model.ui.messageLabel.text
    assert "Add Data" in a_model.ui.messageRemedyLabel.text


def test_nothing_is_left_in_the_panels_folder(a_model, a_file, tmp_path):
    loaded(a_file)
    a_model.presenter.listeners.on_segmented(str(a_file), str(segmented(tmp_path)))
    wait_until(a_model, segmentations)
    assert not list(a_model.panel._folder.glob("*.npy"))
