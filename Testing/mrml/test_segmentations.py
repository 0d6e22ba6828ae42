"""Segmentation nodes to files: read again by SimpleITK, by the backend and by Slicer."""

import numpy as np
import pytest
import slicer
import vtk
from hypothesis import given
from hypothesis import strategies as st
from PseudoLabelCLGui.mrml_bridge import (
    ijk_to_ras,
    labels_of,
    save_segmentation,
    segmentation_problems,
    set_terminology,
    snapshot_segmentation,
    source_of,
)
from scene_things import (
    GEOMETRIES,
    HEART,
    LABELS,
    LEFT_KIDNEY,
    SIZE,
    add_segmentation_node,
    add_volume_node,
    all_indices,
    box,
    painted,
    physical_values,
    ras_points,
    read_itk,
    segment_ids,
    turned,
)
from vtk.util.numpy_support import vtk_to_numpy

from PseudoLabelCLLib.curation.grids.match_grid import matched_to_grid
from PseudoLabelCLLib.domain.errors import AnnotationError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.question import Asking, QuestionError
from PseudoLabelCLLib.domain.segment_identity import label_of_segment
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema, SegmentStatus
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation
from PseudoLabelCLLib.storage.segments.segment_matching import match_segments
from PseudoLabelCLLib.storage.segments.slicer_segments import Segment
from PseudoLabelCLLib.storage.volume_io import read_volume, write_volume

SHAPE = SIZE[::-1]
every_geometry = pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES.keys())
APART = {"Vorhof, größer": box(slice(1, 4), slice(2, 6), slice(1, 5)), "心": box(5, 7, 9)}


def a_volume(geometry=GEOMETRIES["oblique"], name="volume"):
    return add_volume_node(np.zeros(SHAPE, np.int16), geometry, name)


def schema_of(node):
    return LabelSchema(labels_of(node))


def read_masks(path, node):
    """Return what the backend reads, as masks by segment name."""
    labels, schema, _notices = read_segmentation(path, schema_of(node))
    return {label.name: labels.array == label.value for label in schema}, labels.geometry


@every_geometry
def test_saved_segments_lie_where_they_lay_in_the_scene(scene, tmp_path, geometry):
    volume = a_volume(geometry)
    node = add_segmentation_node(volume, APART)
    save_segmentation(node, tmp_path / "a.seg.nrrd", volume)
    image = read_itk(tmp_path / "a.seg.nrrd")
    points = ras_points(geometry, all_indices()) * (-1, -1, 1)
    i, j, k = all_indices().T
    values = physical_values(image, points)
    for number, mask in enumerate(APART.values()):
        value = int(image.GetMetaData(f"Segment{number}_LabelValue"))
        layer = int(image.GetMetaData(f"Segment{number}_Layer"))
        np.testing.assert_array_equal(values[:, layer] == value, mask[k, j, i])


@every_geometry
def test_slicer_and_the_backend_read_the_same_segments_from_the_file(scene, tmp_path, geometry):
    volume = a_volume(geometry)
    node = add_segmentation_node(volume, APART)
    path = tmp_path / "ñ ü 心.seg.nrrd"
    save_segmentation(node, path, volume)
    masks, found = read_masks(path, node)
    assert found.is_close_to(geometry)
    for name, mask in APART.items():
        np.testing.assert_array_equal(masks[name], mask)
    again = read_by_slicer(scene, path)
    for segment_id, mask in zip(segment_ids(node), APART.values(), strict=True):
        np.testing.assert_array_equal(painted(again, segment_id, volume), mask)
    names = [label.name for label in labels_of(again)]
    assert names == list(APART)


def read_by_slicer(scene, path):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.AddDefaultStorageNode()
    node.GetStorageNode().SetFileName(str(path))
    assert node.GetStorageNode().ReadData(node)
    return node


def test_overlapping_segments_lie_in_layers_and_all_survive(scene, tmp_path):
    volume = a_volume()
    masks = {"a": box(slice(1, 5), 3), "b": box(2, slice(0, 9)), "c": box(0, 0)}
    node = add_segmentation_node(volume, masks)
    assert node.GetSegmentation().GetNumberOfLayers() > 1
    save_segmentation(node, tmp_path / "a.seg.nrrd", volume)
    again = read_by_slicer(scene, tmp_path / "a.seg.nrrd")
    for segment_id, mask in zip(segment_ids(node), masks.values(), strict=True):
        np.testing.assert_array_equal(painted(again, segment_id, volume), mask)
    found, _geometry = read_masks(tmp_path / "a.seg.nrrd", node)
    np.testing.assert_array_equal(found["b"], masks["b"])  # the later wins
    np.testing.assert_array_equal(found["a"], masks["a"] & ~masks["b"])


def test_overlap_is_told_with_its_pairs_and_voxels(scene):
    volume = a_volume()
    masks = {"a": box(slice(1, 5), 3), "b": box(2, slice(0, 9)), "c": box(0, 0)}
    node = add_segmentation_node(volume, masks)
    (overlap,) = snapshot_segmentation(node, volume).overlaps()
    count = sum(masks["a"][k, j, i] and masks["b"][k, j, i] for i, j, k in all_indices().tolist())
    assert ({overlap.first, overlap.second}, overlap.num_voxels) == ({"a", "b"}, count)
    (problem,) = segmentation_problems(node, volume, None)
    assert f"overlap in {count} voxels" in problem


def test_segments_that_share_a_layer_are_told_apart(scene, tmp_path):
    volume = a_volume()
    node = add_segmentation_node(volume, APART)
    node.GetSegmentation().CollapseBinaryLabelmaps(True)
    assert node.GetSegmentation().GetNumberOfLayers() == 1
    save_segmentation(node, tmp_path / "a.seg.nrrd", volume)
    masks, _geometry = read_masks(tmp_path / "a.seg.nrrd", node)
    for name, mask in APART.items():
        np.testing.assert_array_equal(masks[name], mask)


def test_twenty_segments_and_holes_in_their_numbering_survive(scene, tmp_path):
    volume = a_volume()
    masks = {f"rib {n}": box(n % 7, n // 7, slice(0, 3 + n % 5)) for n in range(24)}
    node = add_segmentation_node(volume, masks)
    for number in (0, 5, 6, 17):
        node.GetSegmentation().RemoveSegment(segment_ids(node)[number % 20])
    names = [label.name for label in labels_of(node)]
    assert len(names) == 20
    assert [label.value for label in labels_of(node)] == list(range(1, 21))
    save_segmentation(node, tmp_path / "a.seg.nrrd", volume)
    found, _geometry = read_masks(tmp_path / "a.seg.nrrd", node)
    assert list(found) == names
    for name in names:
        np.testing.assert_array_equal(found[name], masks[name])


def shared_layer(node, geometry, extent, array, values):
    """Give a node one label volume on a grid of its own, as a loaded file does."""
    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetExtent(*extent)
    labelmap.SetImageToWorldMatrix(ijk_to_ras(geometry))
    labelmap.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    vtk_to_numpy(labelmap.GetPointData().GetScalars())[:] = array.ravel()
    for name, value in values.items():
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.AddRepresentation("Binary labelmap", labelmap)
        segment.SetLabelValue(value)
        node.GetSegmentation().AddSegment(segment, name)


def test_segmentation_on_a_cropped_grid_is_saved_on_the_volume_s(scene, tmp_path, rng):
    volume = a_volume()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "cropped")
    array = rng.integers(0, 3, (4, 5, 6), dtype=np.uint8)
    shared_layer(node, GEOMETRIES["oblique"], (3, 8, 2, 6, 1, 4), array, {"a": 1, "b": 2})
    assert segmentation_problems(node, volume, None) == ()
    save_segmentation(node, tmp_path / "a.seg.nrrd", volume)
    masks, geometry = read_masks(tmp_path / "a.seg.nrrd", node)
    assert geometry.is_close_to(GEOMETRIES["oblique"])
    for value, name in ((1, "a"), (2, "b")):
        expected = np.zeros(SHAPE, bool)
        expected[1:5, 2:7, 3:9] = array == value
        np.testing.assert_array_equal(masks[name], expected)


def test_voxels_outside_the_volume_are_counted(scene, rng):
    volume = a_volume()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "shifted")
    array = rng.integers(0, 3, (4, 5, 6), dtype=np.uint8)
    shared_layer(node, GEOMETRIES["oblique"], (-2, 3, 7, 11, 5, 8), array, {"a": 1, "b": 2})
    snapshot = snapshot_segmentation(node, volume)
    inside = array[:2, :2, 2:]
    assert snapshot.num_voxels_outside == np.count_nonzero(array) - np.count_nonzero(inside)
    np.testing.assert_array_equal(snapshot.layers[0][5:, 7:, :4], inside)
    assert any("lie outside the volume" in p for p in segmentation_problems(node, volume, None))


def test_segmentation_wholly_outside_gives_an_empty_one_and_says_so(scene):
    volume = a_volume()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "elsewhere")
    array = np.ones((2, 2, 2), np.uint8)
    shared_layer(node, GEOMETRIES["oblique"], (50, 51, 0, 1, 0, 1), array, {"a": 1})
    snapshot = snapshot_segmentation(node, volume)
    assert snapshot.num_voxels_outside == 8
    assert snapshot.empty_segments() == ("a",)


def test_segmentation_that_runs_against_its_volume_is_put_right(scene, tmp_path, rng):
    """Slicer reverses the slices of a left-handed volume but not those of its segmentation."""
    left_handed = GEOMETRIES["oblique and left-handed"]
    values = rng.integers(0, 3, SHAPE, dtype=np.uint8)
    as_loaded = np.zeros(SHAPE, np.int16)
    origin = left_handed.index_to_world((0, 0, SIZE[2] - 1))
    direction = left_handed.direction_matrix * (1, 1, -1)
    reversed_grid = Geometry(SIZE, left_handed.spacing_mm, tuple(origin), tuple(direction.ravel()))
    volume = add_volume_node(as_loaded, reversed_grid)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "s")
    shared_layer(node, left_handed, (0, 10, 0, 8, 0, 6), values, {"a": 1, "b": 2})
    assert segmentation_problems(node, volume, None) == ()
    np.testing.assert_array_equal(snapshot_segmentation(node, volume).layers[0], values[::-1])
    on_the_file_s_grid = snapshot_segmentation(node, volume, left_handed)
    np.testing.assert_array_equal(on_the_file_s_grid.layers[0], values)


@pytest.mark.parametrize(
    "other",
    [
        Geometry(SIZE, (0.8, 0.9, 2.0), (10.0, -20.0, 33.3), turned(12, -25, 40)),
        Geometry(SIZE, (0.8, 0.9, 2.5), (10.4, -20.0, 33.3), turned(12, -25, 40)),
        Geometry(SIZE, (0.8, 0.9, 2.5), (10.0, -20.0, 33.3), turned(0, 0, 0)),
    ],
    ids=["spacing", "half a voxel", "direction"],
)
def test_other_grid_is_told_with_both_grids(scene, tmp_path, other):
    drawn_on = a_volume(other, "T2")
    node = add_segmentation_node(drawn_on, APART, "mine")
    volume = a_volume(name="T1")
    (problem,) = segmentation_problems(node, volume, None)
    assert "'mine' is on a different grid" in problem
    assert other.describe() in problem
    assert GEOMETRIES["oblique"].describe() in problem
    with pytest.raises(AnnotationError, match="different grid"):
        save_segmentation(node, tmp_path / "a.seg.nrrd", volume)
    assert list(tmp_path.iterdir()) == []


def test_transformed_segmentation_is_refused(scene, tmp_path):
    volume = a_volume()
    node = add_segmentation_node(volume, APART)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "shift")
    node.SetAndObserveTransformNodeID(transform.GetID())
    (problem,) = segmentation_problems(node, volume, None)
    assert "under transform 'shift'" in problem
    with pytest.raises(AnnotationError, match="Harden the transform"):
        save_segmentation(node, tmp_path / "a.seg.nrrd", volume)


def test_empty_segments_are_told_by_name(scene, tmp_path):
    volume = a_volume()
    node = add_segmentation_node(volume, {**APART, "leer": None})
    (problem,) = segmentation_problems(node, volume, None)
    assert "'leer'" in problem
    assert "empty" in problem
    save_segmentation(node, tmp_path / "a.seg.nrrd", volume)
    masks, _geometry = read_masks(tmp_path / "a.seg.nrrd", node)
    assert not masks["leer"].any()


def test_empty_segment_of_a_layer_without_voxels_does_not_take_another_s(scene, tmp_path):
    volume = a_volume()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    array = box(2, 3).astype(np.uint8)
    shared_layer(node, GEOMETRIES["oblique"], (0, 10, 0, 8, 0, 6), array, {"a": 1})
    segment = slicer.vtkSegment()
    segment.SetName("leer")
    segment.AddRepresentation("Binary labelmap", slicer.vtkOrientedImageData())
    segment.SetLabelValue(1)
    node.GetSegmentation().AddSegment(segment, "leer")
    save_segmentation(node, tmp_path / "a.seg.nrrd", volume)
    masks, _geometry = read_masks(tmp_path / "a.seg.nrrd", node)
    np.testing.assert_array_equal(masks["a"], box(2, 3))
    assert not masks["leer"].any()


def test_overlapping_labels_equal_what_the_backend_reads_of_them(scene, tmp_path):
    volume = a_volume()
    node = add_segmentation_node(volume, {"niere": box(slice(1, 5), 3), LABELS.names[0]: box(2)})
    save_segmentation(node, tmp_path / "a.seg.nrrd", volume)
    read, _schema, notices = read_segmentation(tmp_path / "a.seg.nrrd", LABELS)
    assert any("overlap" in notice for notice in notices)
    snapshot = snapshot_segmentation(node, volume)
    assert not snapshot.differs_from(read.array, LABELS)
    read.array[2, 3, 0] = 2  # the earlier label where the later counts
    assert snapshot.differs_from(read.array, LABELS)


def test_segmentation_of_empty_segments_alone_can_be_saved(scene, tmp_path):
    volume = a_volume()
    node = add_segmentation_node(volume, {"a": None, "b": None})
    save_segmentation(node, tmp_path / "a.seg.nrrd", volume)
    masks, geometry = read_masks(tmp_path / "a.seg.nrrd", node)
    assert list(masks) == ["a", "b"]
    assert geometry.is_close_to(GEOMETRIES["oblique"])


def test_segmentation_without_segments_is_told(scene):
    volume = a_volume()
    (problem,) = segmentation_problems(add_segmentation_node(volume, {}, "neu"), volume, LABELS)
    assert "'neu' has no segment" in problem


def test_segmentation_made_of_surfaces_is_told(scene):
    volume = a_volume()
    node = add_segmentation_node(volume, APART)
    node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    (problem,) = segmentation_problems(node, volume, None)
    assert "Closed surface" in problem


def test_foreign_segment_reaches_the_file_where_a_person_is_asked_about_it(scene, tmp_path):
    volume = a_volume()
    node = add_segmentation_node(volume, {"niere": box(1), "Milz": box(2)})
    assert segmentation_problems(node, volume, LABELS) == ()
    save_segmentation(node, tmp_path / "a.seg.nrrd", volume)
    asking = Asking("a", labels_can_grow=True)
    with pytest.raises(QuestionError, match=r"structures of the project: Milz \(") as asked:
        read_segmentation(tmp_path / "a.seg.nrrd", LABELS, asking=asking)
    assert [one.value for one in asked.value.question.choices] == ["background", "new", "leave"]


def test_two_segments_of_one_structure_are_told(scene):
    volume = a_volume()
    node = add_segmentation_node(volume, {"niere": box(1), "NIERE ": box(2)})
    (problem,) = segmentation_problems(node, volume, LABELS)
    assert "are both 'niere'" in problem


def test_labels_have_names_colours_and_codes_of_the_segments(scene):
    volume = a_volume()
    node = add_segmentation_node(volume, APART, ids={"心": "heart-1"})
    first, second = segment_ids(node)
    node.GetSegmentation().GetSegment(first).SetColor(1.0, 0.5, 0.0)
    set_terminology(node, second, LEFT_KIDNEY)
    one, two = labels_of(node)
    assert (one.value, one.name, one.color, one.segment_id) == (
        1, "Vorhof, größer", "#ff8000", first,
    )  # fmt: skip
    assert one.terminology is None
    assert (two.value, two.name, two.segment_id) == (2, "心", "heart-1")
    assert two.terminology == LEFT_KIDNEY


def test_codes_and_colours_reach_the_backend_through_the_file(scene, tmp_path):
    volume = a_volume()
    node = add_segmentation_node(volume, APART)
    first, second = segment_ids(node)
    node.GetSegmentation().GetSegment(second).SetColor(0.2, 0.4, 0.6)
    set_terminology(node, first, HEART)
    save_segmentation(node, tmp_path / "a.seg.nrrd", volume)
    _labels, schema, _notices = read_segmentation(tmp_path / "a.seg.nrrd", None)
    one, two = schema
    assert one.terminology == HEART
    assert two.color == "#336699"
    assert [label.segment_id for label in schema] == [first, second]


def test_slicer_reads_names_colours_and_codes_from_the_file(scene, tmp_path):
    volume = a_volume()
    node = add_segmentation_node(volume, {**APART, "a\\b\nc": box(0, 0)})
    for number, terminology in enumerate((HEART, LEFT_KIDNEY)):
        set_terminology(node, segment_ids(node)[number], terminology)
    save_segmentation(node, tmp_path / "a.seg.nrrd", volume)
    again = read_by_slicer(scene, tmp_path / "a.seg.nrrd")
    assert labels_of(again) == labels_of(node)
    assert labels_of(again)[1].terminology == LEFT_KIDNEY


def test_what_is_drawn_on_a_volume_that_slicer_reversed_lies_right_in_the_file_s_order(
    scene, tmp_path, rng
):
    """From a left-handed file through Slicer's reader, painted there, to the backend."""
    left_handed = GEOMETRIES["oblique and left-handed"]
    image = rng.integers(0, 1000, SHAPE, dtype=np.int16)
    write_volume(tmp_path / "ct.nii.gz", Volume(image, left_handed))
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "ct")
    volume.AddDefaultStorageNode()
    volume.GetStorageNode().SetFileName(str(tmp_path / "ct.nii.gz"))
    assert volume.GetStorageNode().ReadData(volume)
    bright = slicer.util.arrayFromVolume(volume) > 700
    node = add_segmentation_node(volume, {"bright": bright})
    save_segmentation(node, tmp_path / "a.seg.nrrd", volume)
    labels, _schema, _notices = read_segmentation(tmp_path / "a.seg.nrrd", None)
    source = read_volume(source_of(volume).path)
    matched, _how = matched_to_grid(labels, source.geometry, file_name="a.seg.nrrd")
    np.testing.assert_array_equal(matched.array == 1, source.array > 700)


def test_saving_changes_nothing_in_the_scene(scene, tmp_path):
    volume = a_volume()
    node = add_segmentation_node(volume, APART)
    before = (node.GetMTime(), node.GetSegmentation().GetMTime(), scene.GetNumberOfNodes())
    segmentation_problems(node, volume, LABELS)
    save_segmentation(node, tmp_path / "a.seg.nrrd", volume)
    after = (node.GetMTime(), node.GetSegmentation().GetMTime(), scene.GetNumberOfNodes())
    assert before == after


def test_snapshot_is_not_touched_by_what_is_painted_later(scene):
    volume = a_volume()
    node = add_segmentation_node(volume, APART)
    snapshot = snapshot_segmentation(node, volume)
    before = [layer.copy() for layer in snapshot.layers]
    for segment_id in segment_ids(node):
        slicer.util.updateSegmentBinaryLabelmapFromArray(
            np.ones(SHAPE, np.uint8), node, segment_id, volume
        )
    for layer, was in zip(snapshot.layers, before, strict=True):
        np.testing.assert_array_equal(layer, was)


NAMES = st.sampled_from(("heart", "Heart ", "kidney", "Segment_1", "x"))
IDS = st.sampled_from(("Segment_1", "Segment_2", "a", "b", "c"))
CODES = st.sampled_from((None, HEART, LEFT_KIDNEY))


@given(
    segments=st.lists(
        st.tuples(IDS, NAMES, CODES), min_size=1, max_size=3, unique_by=lambda s: s[0]
    ),
    labels=st.lists(
        st.tuples(IDS, NAMES, CODES),
        min_size=1,
        max_size=3,
        unique_by=(lambda s: s[0], lambda s: s[1]),
    ),
)
def test_segments_fit_the_labels_that_the_backend_fits_them_to(segments, labels):
    schema = LabelSchema(
        tuple(
            LabelClass(n, name, "#000000", terminology, segment_id)
            for n, (segment_id, name, terminology) in enumerate(labels, start=1)
        )
    )
    entries = tuple(Segment(i, name, 1, 0, "", terms) for i, name, terms in segments)
    found = {}
    for entry in entries:
        label = label_of_segment(entry, entries, schema)
        if label is not None:
            found.setdefault(label.value, []).append(entry)
    if any(len(fitting) > 1 for fitting in found.values()):
        with pytest.raises(AnnotationError, match="both match"):
            match_segments("a", entries, {}, schema, made_from=())
    else:
        matched, _notices, _labels = match_segments("a", entries, {}, schema, made_from=())
        assert matched == {value: fitting[0] for value, fitting in found.items()}


def test_status_of_each_segment_reaches_the_file(scene, tmp_path):
    volume = a_volume()
    node = add_segmentation_node(volume, APART)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    first, second = segment_ids(node)
    logic.SetSegmentStatus(node.GetSegmentation().GetSegment(first), logic.Flagged)
    logic.SetSegmentStatus(node.GetSegmentation().GetSegment(second), logic.Completed)
    save_segmentation(node, tmp_path / "a.seg.nrrd", volume)
    labels, schema, _ = read_segmentation(tmp_path / "a.seg.nrrd", schema_of(node))
    found = {label.name: labels.statuses[label.value] for label in schema}
    assert list(found.values()) == [SegmentStatus.FLAGGED, SegmentStatus.COMPLETED]
    again = read_by_slicer(scene, tmp_path / "a.seg.nrrd")
    segments = [again.GetSegmentation().GetSegment(one) for one in segment_ids(again)]
    assert [logic.GetSegmentStatus(one) for one in segments] == [logic.Flagged, logic.Completed]
