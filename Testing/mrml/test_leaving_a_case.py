"""Leaving a case: its memory is given up in one piece, and nothing of it is worked on any more."""

import gc

import numpy as np
import pytest
import slicer
import vtk
from PseudoLabelCLGui.mrml_bridge import (
    CaseMemory,
    SpareVoxels,
    forget_case,
    show_case,
    snapshot_correction,
)
from scene_things import GEOMETRIES, LABELS, SIZE, some_labels
from vtk.util.numpy_support import vtk_to_numpy

from PseudoLabelCLLib.messages.answers import CaseFiles


def shown_case(folder, rng):
    """Show a case with image, proposal, doubt and the round before; nobody else holds it."""
    arrays = {
        "image": rng.integers(-500, 500, SIZE[::-1], dtype=np.int16),
        "proposal": some_labels(),
        "previous": some_labels(),
        "uncertainty": rng.random(SIZE[::-1], dtype=np.float32),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return show_case(files_of(folder), LABELS, None)


def files_of(folder):
    """What the service answers."""
    names = ("image", "proposal", "previous", "uncertainty")
    return CaseFiles(
        case_id="heart",
        round_index=3,
        geometry=GEOMETRIES["plain"],
        reviewed=None,
        annotation=None,
        slicing_axis=2,
        doubtful_slices=(),
        **{name: str(folder / f"{name}.npy") for name in names},
    )


@pytest.mark.parametrize("kind", ["proposal", "previous"])
def test_the_segments_of_a_node_that_goes_are_not_copied_out_of_it(scene, tmp_path, rng, kind):
    # VTK gives every segment of a segmentation that ends voxels of its own: half a second
    shown = shown_case(tmp_path, rng)
    segmentation = getattr(shown, kind).GetSegmentation()
    segments = [segmentation.GetNthSegment(n) for n in range(segmentation.GetNumberOfSegments())]
    del segmentation
    forget_case(shown)
    del shown
    gc.collect()
    assert len(segments) == len(LABELS.values)
    assert [segment.GetRepresentation("Binary labelmap") for segment in segments] == [None] * 3


def test_the_next_case_takes_the_memory_of_the_one_before(scene, tmp_path, rng):
    spare = SpareVoxels()
    shown = shown_case(tmp_path, rng)
    images = [node.GetImageData() for node in (shown.volume, shown.doubt)]
    for node in (shown.proposal, shown.previous):
        images.append(node.GetSegmentation().GetLayerDataObject(0, "Binary labelmap"))
    before = {address_of(image) for image in images}
    del images, node
    forget_case(shown, spare=spare)
    del shown
    memory = CaseMemory(files_of(tmp_path), LABELS, with_image=True, spare=spare)
    parts = (memory.image, memory.doubt, memory.proposal, memory.previous)
    assert {address_of(part.image) for part in parts} == before


def test_voxels_that_somebody_still_looks_at_are_not_written_over(scene, tmp_path, rng):
    spare = SpareVoxels()
    shown = shown_case(tmp_path, rng)
    looked_at = slicer.util.arrayFromVolume(shown.volume)
    copied = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "doubt of mine")
    copied.SetAndObserveImageData(shown.doubt.GetImageData())
    expected = looked_at.copy(), slicer.util.arrayFromVolume(copied).copy()
    forget_case(shown, spare=spare)
    del shown
    np.save(tmp_path / "image.npy", np.full(SIZE[::-1], 7, np.int16))
    np.save(tmp_path / "uncertainty.npy", np.full(SIZE[::-1], 0.5, np.float32))
    CaseMemory(files_of(tmp_path), LABELS, with_image=True, spare=spare).read()
    np.testing.assert_array_equal(looked_at, expected[0])
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(copied), expected[1])


def test_memory_of_another_size_is_not_taken(scene, tmp_path, rng):
    spare = SpareVoxels()
    shown = shown_case(tmp_path, rng)
    forget_case(shown, spare=spare)
    del shown
    smaller = spare.take(vtk.VTK_SHORT, 10)
    assert (smaller.GetDataType(), smaller.GetNumberOfTuples()) == (vtk.VTK_SHORT, 10)


def test_a_second_correction_does_not_write_over_the_first(scene, tmp_path, rng):
    shown = shown_case(tmp_path, rng)
    first = snapshot_correction(shown)
    erased = np.zeros(SIZE[::-1], np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(erased, shown.proposal, "heart", shown.volume)
    second = snapshot_correction(shown)
    assert (first.layers[0] == 2).any()
    assert not first.differs_from(some_labels(), LABELS)
    assert second.differs_from(some_labels(), LABELS)


def address_of(image):
    return vtk_to_numpy(image.GetPointData().GetScalars()).__array_interface__["data"][0]
