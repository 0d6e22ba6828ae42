"""Values that the project does not list, and files without background, are asked about."""

import struct

import nibabel
import numpy as np
import pytest
from nrrd_by_hand import masks_of, write_nrrd

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.domain.errors import AnnotationError
from PseudoLabelCLLib.domain.question import Asking, GivenAnswer, QuestionError
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.storage.project.project_store import load_project, save_round
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation

SHAPE = (12, 10, 8)  # i, j, k
AFFINE = np.diag([-1.5, -1.5, 6.0, 1.0])
TRUTH = np.zeros(SHAPE, np.uint8)
TRUTH[2:6, 2:7, 1:6] = 1
TRUTH[6:8, 2:4, 1:] = 2
TRUTH[3:5, 3:5, 2:4] = 3
SCHEMA = LabelSchema.from_values((1, 2, 3))


def put_label(path, array):
    nibabel.save(nibabel.Nifti1Image(array, AFFINE), path)
    return path


def put_image(path, seed=0):
    noise = np.random.default_rng(seed).normal(0, 9, SHAPE)
    nibabel.save(nibabel.Nifti1Image((TRUTH * 80 + noise).astype(np.float32), AFFINE), path)
    return path


def read(path, *answers, schema=SCHEMA, can_grow=False):
    asking = Asking("", [GivenAnswer(*answer) for answer in answers], labels_can_grow=can_grow)
    return read_segmentation(path, schema, asking=asking)


def ijk(labels):
    return labels.array.transpose(2, 1, 0)


# --- values that the project does not list ---


@pytest.fixture
def a_stray(tmp_path):
    """As whole-heart challenges have it: 5 voxels of a value that nobody named."""
    array = TRUTH.astype(np.int16)
    array[0, :5, 0] = 421
    return put_label(tmp_path / "stray.nii.gz", array)


def test_unlisted_value_is_asked_about_with_its_voxels(a_stray):
    with pytest.raises(QuestionError) as told:
        read(a_stray, can_grow=True)
    question = told.value.question
    assert (question.kind, question.num_voxels) == (QuestionKind.UNLISTED, 5)
    assert "421 (5 voxels)" in question.message
    assert "1 label 1, 2 label 2, 3 label 3" in question.message
    assert [choice.value for choice in question.choices] == ["background", "new", "leave"]


def test_unlisted_value_becomes_background_or_a_new_label(a_stray):
    labels, schema, _ = read(a_stray, (QuestionKind.UNLISTED, "background"))
    np.testing.assert_array_equal(ijk(labels), TRUTH)
    assert schema == SCHEMA
    labels, schema, _ = read(a_stray, (QuestionKind.UNLISTED, "new"), can_grow=True)
    assert schema.values == (1, 2, 3, 421)
    assert np.count_nonzero(labels.array == 421) == 5


def test_new_labels_share_no_name_and_no_identifier(a_stray):
    classes = LabelSchema.from_values((421, 1, 2, 3)).classes
    taken = (type(classes[0])(5, "LABEL 421", "#000000", segment_id="Segment_421"), *classes[1:])
    schema = read(
        a_stray, (QuestionKind.UNLISTED, "new"), schema=LabelSchema(taken), can_grow=True
    )[1]
    assert schema.classes[-1].name == "label 421 (new)"
    assert len({label.segment_id for label in schema}) == 5


def test_files_of_the_project_are_never_asked_about(a_stray):
    with pytest.raises(AnnotationError, match=r"421 \(5 voxels\)"):
        read_segmentation(a_stray, SCHEMA)


def test_new_structure_joins_the_project_before_round_0_alone(tmp_path, a_stray, capsys):
    root = tmp_path / "P"
    pairs = {name: put_image(tmp_path / f"{name}.nii.gz", n) for n, name in enumerate("abc")}
    label = put_label(tmp_path / "label.nii.gz", TRUTH)
    create = ["create", str(root), "--annotated", str(pairs["a"]), str(label)]
    assert main(create) == 0
    add = ["add", str(root), "--annotated", str(pairs["b"]), str(a_stray)]
    assert main(add) == 1
    assert "--answer b:unlisted=new" in capsys.readouterr().err
    assert [case.id for case in load_project(root).cases] == ["a"]
    assert main([*add, "--answer", "unlisted=new"]) == 0
    project = load_project(root)
    assert project.schema.values == (1, 2, 3, 421)
    assert project.case("b").answer_to(QuestionKind.UNLISTED) == "new"
    stored = masks_of(root / "annotations" / "b.seg.nrrd")
    assert np.count_nonzero(stored["label 421"]) == 5
    np.testing.assert_array_equal(stored["label 3"].transpose(2, 1, 0), TRUTH == 3)

    save_round(root, Round(0, RoundState.IN_REVIEW))
    other = TRUTH.astype(np.int16)
    other[0, :3, 0] = 7
    late = put_label(tmp_path / "late.nii.gz", other)
    add = ["add", str(root), "--annotated", str(pairs["c"]), str(late)]
    capsys.readouterr()
    assert main([*add, "--answer", "unlisted=new"]) == 1
    told = capsys.readouterr().err
    assert "unlisted=background" in told
    assert "unlisted=new" not in told.replace("'unlisted=new'", "")


# --- no background ---


def test_file_without_background_is_asked_which_value_it_is(tmp_path):
    array = np.array([9, 1, 2, 3], np.uint8)[TRUTH]
    path = put_label(tmp_path / "a.nii.gz", array)
    with pytest.raises(QuestionError) as told:
        read(path)
    question = told.value.question
    assert question.kind is QuestionKind.NO_BACKGROUND
    assert f"9 ({np.count_nonzero(TRUTH == 0)} voxels)" in question.message
    assert [c.value for c in question.choices] == ["9", "1", "2", "3", "none", "leave"]
    labels = read(path, (QuestionKind.NO_BACKGROUND, "9"))[0]
    np.testing.assert_array_equal(ijk(labels), TRUTH)


def test_values_that_are_all_one_too_high_are_offered_to_be_shifted(tmp_path):
    path = put_label(tmp_path / "a.nii.gz", TRUTH + 1)
    with pytest.raises(QuestionError) as told:
        read(path)
    assert told.value.question.choices[0].value == "shift"
    labels = read(path, (QuestionKind.NO_BACKGROUND, "shift"))[0]
    np.testing.assert_array_equal(ijk(labels), TRUTH)


def test_every_voxel_may_belong_to_a_structure_if_a_person_says_so(tmp_path):
    array = np.where(TRUTH == 0, 3, TRUTH).astype(np.uint8)
    path = put_label(tmp_path / "a.nii.gz", array)
    labels = read(path, (QuestionKind.NO_BACKGROUND, "none"))[0]
    np.testing.assert_array_equal(ijk(labels), array)


def test_first_file_of_a_project_is_asked_too(tmp_path, capsys):
    image = put_image(tmp_path / "a.nii.gz")
    label = put_label(tmp_path / "label.nii.gz", TRUTH + 1)
    create = ["create", str(tmp_path / "P"), "--annotated", str(image), str(label)]
    assert main(create) == 1
    assert "no voxel is background" in capsys.readouterr().err
    assert main([*create, "--answer", "no-background=1"]) == 0
    assert load_project(tmp_path / "P").schema.values == (2, 3, 4)
    stored = masks_of(tmp_path / "P" / "annotations" / "a.seg.nrrd")
    np.testing.assert_array_equal(stored["label 2"].transpose(2, 1, 0), TRUTH == 1)


@pytest.mark.parametrize("slope", [0.0, float("nan")])
@pytest.mark.parametrize("kind", [np.uint8, np.int16])
def test_intercept_without_a_slope_moves_no_value(tmp_path, slope, kind):
    """NIfTI scales only by a slope that is there; ITK adds the intercept all the same."""
    path = put_label(tmp_path / "a.nii", TRUTH.astype(kind))
    data = bytearray(path.read_bytes())
    data[112:120] = struct.pack("<2f", slope, 1.0)
    path.write_bytes(data)
    np.testing.assert_array_equal(np.asarray(nibabel.load(path).dataobj), TRUTH)
    np.testing.assert_array_equal(ijk(read(path)[0]), TRUTH)


def test_intercept_with_a_slope_is_asked_about(tmp_path):
    path = put_label(tmp_path / "a.nii", TRUTH)
    data = bytearray(path.read_bytes())
    data[112:120] = struct.pack("<2f", 1.0, 1.0)
    path.write_bytes(data)
    with pytest.raises(QuestionError, match="no voxel is background"):
        read(path)


def test_segments_that_cover_the_whole_image_are_asked_about(tmp_path, capsys):
    image = put_image(tmp_path / "a.nii.gz")
    array = np.where(TRUTH == 0, 1, TRUTH).astype(np.uint8).transpose(2, 1, 0)
    path = tmp_path / "a.seg.nrrd"
    header = {}
    for n in range(3):
        header |= {f"Segment{n}_Name": f"n{n}", f"Segment{n}_LabelValue": str(n + 1)}
    write_nrrd(path, np.ascontiguousarray(array), header)
    create = ["create", str(tmp_path / "P"), "--annotated", str(image), str(path)]
    answers = ["--answer", "same-shape=voxels"]
    assert main([*create, *answers]) == 1
    assert "no voxel is background" in capsys.readouterr().err
    assert main([*create, *answers, "--answer", "no-background=none"]) == 0
