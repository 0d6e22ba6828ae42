"""Segmentations come back voxel by voxel; segments are known by code or name."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from PseudoLabelCLLib.domain.errors import AnnotationError, VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.segmentation import Code, LabelClass, LabelSchema, Terminology
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation

CATEGORY = Code("SCT", "123037004", "Anatomical Structure")
TISSUE = Terminology(CATEGORY, Code("SCT", "85756007", "Tissue"))
LEFT, RIGHT = Code("SCT", "7771000", "Left"), Code("SCT", "24028007", "Right")
KIDNEY = Code("SCT", "64033007", "Kidney")
OBLIQUE = Geometry(
    size=(5, 4, 3),
    spacing_mm=(0.7, 1.3, 5.5),
    origin_mm=(-31.5, 12.25, 107.0),
    direction=(0.6, 0.8, 0.0, -0.8, 0.6, 0.0, 0.0, 0.0, -1.0),
)
SUFFIXES = [".seg.nrrd", ".nrrd", ".nii", ".nii.gz", ".mha"]


def kidney(side):
    return Terminology(CATEGORY, KIDNEY, side, Code("SCT", "818983003", "Abdomen"), LEFT)


@pytest.fixture
def a_schema():
    return LabelSchema(
        (
            LabelClass(3, "left kidney", "#e69f00", kidney(LEFT), "left"),
            LabelClass(1, "right kidney é~^|x", "#56b4e9", kidney(RIGHT), "right"),
            LabelClass(200, "cyst", "#000000"),
        )
    )


@pytest.fixture
def some_labels():
    array = np.random.default_rng(0).choice([0, 1, 3, 200], (3, 4, 5)).astype(np.int16)
    return LabelVolume(array, OBLIQUE)


@pytest.fixture
def a_path(tmp_path):
    return tmp_path / "patient é 1.seg.nrrd"


def header_of(path):
    """Return the fields of an NRRD header as text, without any library."""
    lines = path.read_bytes().split(b"\n\n")[0].decode("utf-8").splitlines()
    pairs = (line.replace(":=", ": ", 1).partition(": ") for line in lines if ":" in line)
    return {name: value for name, _, value in pairs}


def write_slicer_file(path, layers, segments):
    """Write a file as Slicer does: layers of shape (layers, k, j, i), segments as dicts."""
    several = len(layers) > 1
    array = np.moveaxis(np.asarray(layers, np.uint8), 0, -1) if several else layers[0]
    image = sitk.GetImageFromArray(np.ascontiguousarray(array, np.uint8), isVector=several)
    image.SetSpacing(OBLIQUE.spacing_mm)
    image.SetOrigin(OBLIQUE.origin_mm)
    image.SetDirection(OBLIQUE.direction)
    for number, fields in enumerate(segments):
        for name, text in fields.items():
            image.SetMetaData(f"Segment{number}_{name}", str(text))
    sitk.WriteImage(image, str(path), useCompression=True)
    if several:  # Slicer calls the first axis a list, ITK a vector
        data = path.read_bytes()
        path.write_bytes(data.replace(b"kinds: vector", b"kinds: list", 1))


def segment(segment_id, name, value=1, layer=0, **fields):
    return {"ID": segment_id, "Name": name, "LabelValue": value, "Layer": layer, **fields}


def tags(code, modifier="^^"):
    entry = f"Some list~SCT^123037004^Anatomical Structure~{code}~{modifier}~Other list~^^~^^"
    return f"Segmentation.Status:completed|TerminologyEntry:{entry}|"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_labels_come_back_on_their_grid(tmp_path, a_schema, some_labels, suffix):
    path = tmp_path / f"a é{suffix}"
    write_segmentation(path, some_labels, a_schema)
    found, schema, notices = read_segmentation(path, a_schema)
    np.testing.assert_array_equal(found.array, some_labels.array)
    assert found.array.dtype == np.int16
    # The 32-bit floats of a NIfTI header hold 107 mm to 1e-5 mm.
    expected = some_labels.geometry.corners_mm()
    np.testing.assert_allclose(found.geometry.corners_mm(), expected, rtol=0, atol=1e-4)
    assert (schema, notices) == (a_schema, ())


def test_slicer_file_alone_tells_the_whole_schema(a_path, some_labels, a_schema):
    plain = LabelSchema((a_schema.classes[0], a_schema.classes[2]))
    array = np.where(some_labels.array == 1, 0, some_labels.array).astype(np.int16)
    write_segmentation(a_path, LabelVolume(array, OBLIQUE), plain)
    assert read_segmentation(a_path, None)[1] == plain


def test_header_says_what_slicer_expects(a_path, some_labels, a_schema):
    write_segmentation(a_path, some_labels, a_schema)
    header = header_of(a_path)
    assert header["space"] == "left-posterior-superior"
    assert header["kinds"] == "domain domain domain"
    assert header["type"] == "unsigned char"
    assert "measurement frame" not in header
    assert header["Segmentation_MasterRepresentation"] == "Binary labelmap"
    assert header["Segmentation_ContainedRepresentationNames"] == "Binary labelmap|"
    assert header["Segmentation_ReferenceImageExtentOffset"] == "0 0 0"
    assert header["Segment0_ID"] == "left"
    assert header["Segment0_Name"] == "left kidney"
    assert header["Segment0_LabelValue"] == "3"
    assert header["Segment0_Layer"] == "0"
    assert header["Segment0_Extent"] == "0 4 0 3 0 2"
    assert header["Segment0_Color"] == "0.901961 0.623529 0"
    assert header["Segment0_Tags"] == (
        "Segmentation.Status:inprogress|TerminologyEntry:"
        "Segmentation category and type - 3D Slicer General Anatomy list"
        "~SCT^123037004^Anatomical Structure~SCT^64033007^Kidney~SCT^7771000^Left"
        "~Anatomic codes - DICOM master list~SCT^818983003^Abdomen~SCT^7771000^Left|"
    )
    assert header["Segment2_Tags"] == "Segmentation.Status:inprogress|"
    assert "Segment3_ID" not in header


def test_names_with_slicers_own_separators_survive(a_path, some_labels, a_schema):
    write_segmentation(a_path, some_labels, a_schema)
    assert read_segmentation(a_path, None)[1].names[1] == "right kidney é~^|x"


def test_label_without_voxels_stays_a_segment(a_path, a_schema):
    write_segmentation(a_path, LabelVolume(np.zeros((3, 4, 5), np.int16), OBLIQUE), a_schema)
    found, schema, _ = read_segmentation(a_path, None)
    assert schema.names == a_schema.names
    assert not found.array.any()


def test_values_above_a_byte_are_kept(a_path):
    schema = LabelSchema((LabelClass(30_000, "large", "#ffffff"),))
    labels = LabelVolume(np.full((3, 4, 5), 30_000, np.int16), OBLIQUE)
    write_segmentation(a_path, labels, schema)
    np.testing.assert_array_equal(read_segmentation(a_path, schema)[0].array, labels.array)


def test_nibabel_sees_the_same_labels(tmp_path, some_labels, a_schema):
    write_segmentation(tmp_path / "a.nii.gz", some_labels, a_schema)
    found = np.asarray(nibabel.load(tmp_path / "a.nii.gz").dataobj)
    np.testing.assert_array_equal(found, some_labels.array.transpose(2, 1, 0))


def test_voxel_without_a_label_is_not_written(a_path, some_labels):
    schema = LabelSchema.from_values((1, 3))
    with pytest.raises(AnnotationError, match=r"200 \(\d+ voxels\)"):
        write_segmentation(a_path, some_labels, schema)
    assert not a_path.exists()


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_any_labels_survive_the_way_through_slicers_format(tmp_path_factory, data):
    values = data.draw(st.lists(st.integers(1, 32767), min_size=1, max_size=4, unique=True))
    text = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]), min_size=1)
    names = data.draw(
        st.lists(
            text.filter(lambda name: name == name.strip()),
            min_size=len(values),
            max_size=len(values),
            unique=True,
        )
    )
    schema = LabelSchema(
        tuple(LabelClass(v, n, "#0a0b0c") for v, n in zip(values, names, strict=True))
    )
    size = data.draw(st.tuples(*[st.integers(2, 5)] * 3))
    grid = Geometry(size, OBLIQUE.spacing_mm, OBLIQUE.origin_mm, OBLIQUE.direction)
    seed = data.draw(st.integers(0, 2**16))
    array = np.random.default_rng(seed).choice([0, *values], grid.array_shape).astype(np.int16)
    path = tmp_path_factory.getbasetemp() / "any.seg.nrrd"
    write_segmentation(path, LabelVolume(array, grid), schema)
    found, read_schema, notices = read_segmentation(path, None)
    np.testing.assert_array_equal(found.array, array)
    assert (read_schema, notices) == (schema, ())


# --- Slicer's own files ---


@pytest.fixture
def two_boxes():
    """Two overlapping boxes, one per layer; they share 2 x 2 x 2 voxels."""
    layers = np.zeros((2, 3, 4, 5), np.uint8)
    layers[0, :2, :3, :3] = 1
    layers[1, :, 1:, 1:] = 1
    return layers


def test_overlapping_segments_become_one_volume_and_the_overlap_is_told(a_path, two_boxes):
    schema = LabelSchema((LabelClass(5, "B", "#000000"), LabelClass(2, "A", "#000000")))
    write_slicer_file(a_path, two_boxes, [segment("x", "a"), segment("y", "b", layer=1)])
    assert "list" in header_of(a_path)["kinds"]
    found, _, notices = read_segmentation(a_path, schema)
    expected = np.where(two_boxes[0], 2, np.where(two_boxes[1], 5, 0))  # A comes later, so it wins
    np.testing.assert_array_equal(found.array, expected)
    overlap = np.count_nonzero(two_boxes[0] & two_boxes[1])
    assert len(notices) == 1
    assert f"'B' and 'A' overlap in {overlap} voxels, which count as 'A'" in notices[0]
    np.testing.assert_allclose(found.geometry.corners_mm(), OBLIQUE.corners_mm(), atol=1e-9)


def test_layers_without_overlap_are_joined_silently(a_path, two_boxes):
    two_boxes[0][two_boxes[1] > 0] = 0
    write_slicer_file(a_path, two_boxes, [segment("x", "a"), segment("y", "b", layer=1)])
    found, schema, notices = read_segmentation(a_path, None)
    np.testing.assert_array_equal(found.array, two_boxes[0] + 2 * two_boxes[1])
    assert notices == ()
    assert schema.values == (1, 2)  # both have the value 1 in their own layer


def test_old_file_without_layers_and_values_is_read(a_path, two_boxes):
    write_slicer_file(a_path, two_boxes, [{"ID": "x", "Name": "a"}, {"ID": "y", "Name": "b"}])
    found, schema, _ = read_segmentation(a_path, None)
    assert schema.names == ("a", "b")
    assert set(np.unique(found.array)) == {0, 1, 2}


def test_values_of_the_file_are_kept_without_a_schema(a_path):
    layer = np.array([0, 7, 9] * 20, np.uint8).reshape(1, 3, 4, 5)
    write_slicer_file(a_path, layer, [segment("x", "a", 7, Color="1 0.5 0"), segment("y", "b", 9)])
    found, schema, _ = read_segmentation(a_path, None)
    np.testing.assert_array_equal(found.array, layer[0])
    assert schema.values == (7, 9)
    assert schema.classes[0].color == "#ff8000"


LEFT_TAG, RIGHT_TAG = "SCT^7771000^links", "SCT^24028007^rechts"
KIDNEY_TAG, TISSUE_TAG = "SCT^64033007^Niere", "SCT^85756007^Tissue"


@pytest.mark.parametrize(
    ("segments", "why"),
    [
        (
            [
                segment("a", "x", 9, Tags=tags(KIDNEY_TAG, RIGHT_TAG)),
                segment("b", "y", 8, Tags=tags(KIDNEY_TAG, LEFT_TAG)),
            ],
            "code",
        ),
        (
            [
                segment("a", "RIGHT KIDNEY É~^|X ", 9, Tags=tags(TISSUE_TAG)),
                segment("b", "Left Kidney", 8, Tags=tags(TISSUE_TAG)),
            ],
            "name",
        ),
        (
            [segment("left", "right kidney é~^|x", 9), segment("right", "left kidney", 8)],
            "name against a renumbered identity",
        ),
        (
            [
                segment("left", "x", 9, Tags=tags(KIDNEY_TAG, RIGHT_TAG)),
                segment("right", "y", 8, Tags=tags(KIDNEY_TAG, LEFT_TAG)),
            ],
            "code against a renumbered identity",
        ),
    ],
)
def test_segments_are_known_by(a_path, a_schema, segments, why):
    layer = np.array([0, 9, 8] * 20, np.uint8).reshape(1, 3, 4, 5)
    write_slicer_file(a_path, layer, segments)
    found = read_segmentation(a_path, a_schema)[0].array
    np.testing.assert_array_equal(
        found, np.array([0, 1, 3])[np.array([0, 1, 2] * 20)].reshape(3, 4, 5), why
    )


def test_equal_codes_do_not_tell_segments_apart(a_path):
    """Every new segment in Slicer is called "Tissue" by its code."""
    schema = LabelSchema(
        (LabelClass(1, "a", "#000000", TISSUE), LabelClass(2, "b", "#000000", TISSUE))
    )
    layer = np.array([0, 9, 8] * 20, np.uint8).reshape(1, 3, 4, 5)
    names = [
        segment("x", "b", 9, Tags=tags(TISSUE_TAG)),
        segment("y", "a", 8, Tags=tags(TISSUE_TAG)),
    ]
    write_slicer_file(a_path, layer, names)
    found = read_segmentation(a_path, schema)[0].array
    np.testing.assert_array_equal(found == 2, layer[0] == 9)


def test_segment_known_by_its_code_alone_is_told(a_path, a_schema):
    niere = segment("x", "Niere", Tags=tags(KIDNEY_TAG, LEFT_TAG))
    write_slicer_file(a_path, np.ones((1, 3, 4, 5), np.uint8), [niere])
    assert "'Niere' counts as 'left kidney'" in read_segmentation(a_path, a_schema)[2][0]


def test_segment_that_is_no_label_is_refused(a_path, a_schema):
    layer = np.array([0, 9, 8] * 20, np.uint8).reshape(1, 3, 4, 5)
    write_slicer_file(a_path, layer, [segment("a", "liver", 9), segment("b", "cyst", 8)])
    with pytest.raises(
        AnnotationError, match=r"liver \(20 voxels\)\. Its structures are: left"
    ) as caught:
        read_segmentation(a_path, a_schema)
    assert caught.value.remedy


def test_empty_segment_that_is_no_label_is_left_out_aloud(a_path, a_schema):
    layer = np.full((1, 3, 4, 5), 8, np.uint8)
    write_slicer_file(a_path, layer, [segment("a", "liver", 9), segment("b", "cyst", 8)])
    found, _, notices = read_segmentation(a_path, a_schema)
    assert (found.array == 200).all()
    assert "'liver'" in notices[0]


def test_two_segments_for_one_label_are_refused(a_path, a_schema):
    layer = np.array([0, 9, 8] * 20, np.uint8).reshape(1, 3, 4, 5)
    write_slicer_file(a_path, layer, [segment("a", "Cyst", 9), segment("b", "cyst", 8)])
    with pytest.raises(AnnotationError, match="both match the structure 'cyst'"):
        read_segmentation(a_path, a_schema)


def test_voxels_of_no_segment_are_left_out_aloud(a_path, a_schema):
    layer = np.array([0, 9, 8] * 20, np.uint8).reshape(1, 3, 4, 5)
    write_slicer_file(a_path, layer, [segment("b", "cyst", 8)])
    found, _, notices = read_segmentation(a_path, a_schema)
    np.testing.assert_array_equal(found.array == 200, layer[0] == 8)
    assert "20 voxels belong to no segment" in notices[0]


@pytest.mark.parametrize("fields", [{"Layer": 3}, {"LabelValue": 0}, {"LabelValue": "one"}])
def test_damaged_segment_fields_are_refused(a_path, fields):
    damaged = {"ID": "x", "Name": "a", "LabelValue": 1, "Layer": 0, **fields}
    write_slicer_file(a_path, np.ones((1, 3, 4, 5), np.uint8), [damaged])
    with pytest.raises(AnnotationError, match="damaged"):
        read_segmentation(a_path, None)


def test_header_bytes_that_are_no_text_do_no_harm(a_path):
    write_slicer_file(a_path, np.ones((1, 3, 4, 5), np.uint8), [segment("x", "name?")])
    a_path.write_bytes(a_path.read_bytes().replace(b"name?", b"nam\xe9?"))
    (name,) = read_segmentation(a_path, None)[1].names
    name.encode("utf-8")


# --- plain label files ---


def save(path, array):
    image = sitk.GetImageFromArray(array)
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "i8", "f4", "f8"])
def test_whole_numbers_of_any_type_are_labels(tmp_path, dtype):
    array = np.array([0, 2, 7] * 20).reshape(3, 4, 5)
    path = save(tmp_path / "a.nrrd", array.astype(dtype))
    found, schema, _ = read_segmentation(path, None)
    np.testing.assert_array_equal(found.array, array)
    assert schema == LabelSchema.from_values((2, 7))


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("value", [0.5, float("nan"), float("inf")])
def test_fractions_look_like_a_swapped_image(tmp_path, suffix, value):
    array = np.zeros((3, 4, 5), np.float32)
    array[1, 1, 1] = value
    path = save(tmp_path / f"a{suffix}", array)
    with pytest.raises(
        AnnotationError, match=r"looks like an image|label values go from"
    ) as caught:
        read_segmentation(path, LabelSchema.from_values((1,)))
    assert "swapped" in caught.value.remedy


@pytest.mark.parametrize("value", [-1, 40_000])
def test_values_out_of_range_are_refused(tmp_path, value):
    array = np.zeros((3, 4, 5), np.int32)
    array[0, 0, 0] = value
    with pytest.raises(AnnotationError, match=str(value)):
        read_segmentation(save(tmp_path / "a.nrrd", array), None)


def test_unknown_values_are_named_with_their_counts(tmp_path, a_schema):
    array = np.zeros((3, 4, 5), np.uint8)
    array[0, 0, :3] = 255
    array[0, 0, 3] = 4
    with pytest.raises(AnnotationError, match=r"4 \(1 voxel\), 255 \(3 voxels\)"):
        read_segmentation(save(tmp_path / "a.nii.gz", array), a_schema)


@pytest.mark.parametrize("with_schema", [True, False])
def test_image_in_place_of_labels_is_recognised(tmp_path, a_schema, with_schema):
    array = np.arange(120, dtype=np.int16).reshape(4, 5, 6)
    with pytest.raises(AnnotationError, match="looks like an image"):
        read_segmentation(save(tmp_path / "a.nrrd", array), a_schema if with_schema else None)


def test_empty_labels_are_told_where_no_schema_is_given(tmp_path, a_schema):
    path = save(tmp_path / "a.nrrd", np.zeros((3, 4, 5), np.uint8))
    assert not read_segmentation(path, a_schema)[0].array.any()
    with pytest.raises(AnnotationError, match="empty"):
        read_segmentation(path, None)


def test_colours_are_no_labels(tmp_path):
    image = sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True)
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"))
    with pytest.raises(AnnotationError, match="several values per voxel"):
        read_segmentation(tmp_path / "a.nrrd", None)


def test_files_that_are_no_volume_are_refused(tmp_path):
    (tmp_path / "a.seg.nrrd").write_bytes(b"NRRD0004\ngarbage")
    for path in (tmp_path / "a.seg.nrrd", tmp_path / "none.nrrd", tmp_path):
        with pytest.raises(VolumeError):
            read_segmentation(path, None)
