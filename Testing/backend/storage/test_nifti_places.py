"""NIfTI files whose header names two places, or none, or lengths in another unit.

What is right is told by nibabel, which reads the headers without any code of the project.
"""

import nibabel
import numpy as np
import pytest
from small_projects import add_case

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.curation.cases.add_cases import annotate_case
from PseudoLabelCLLib.curation.check.check_cases import check_cases
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import Asking, GivenAnswer, QuestionError
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation
from PseudoLabelCLLib.storage.volume_io import read_geometry, read_volume

SHAPE = (14, 12, 6)
SCANNER = np.array(
    [[-1.5, 0, 0, 48.0], [0, -1.5, 0, 42.0], [0, 0, 6.0, -40.0], [0, 0, 0, 1]]
)  # fmt: skip
MOVES = {"coregistered": (9.0, -6.0, 12.0), "realigned": (2.2, -1.4, 0.0)}
SCHEMA = LabelSchema.from_values((1, 2))


def moved(by):
    matrix = SCANNER.copy()
    matrix[:3, 3] += by
    return matrix


def voxels():
    return np.random.default_rng(0).normal(100, 10, SHAPE).astype(np.float32)


def drawn():
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:8, 4:9, 1:4] = 1
    labels[4:6, 5:7, 2:4] = 2
    return labels


def save(path, array, qform=None, sform=None, codes=(1, 2), unit=None):
    image = nibabel.Nifti1Image(array, None)
    image.header.set_zooms((1.5, 1.5, 6.0))
    image.set_qform(qform, codes[0] if qform is not None else 0)
    image.set_sform(sform, codes[1] if sform is not None else 0)
    if unit is not None:
        image.header.set_xyzt_units(unit)
    nibabel.save(image, path)
    return path


def pair_of(path):
    header = nibabel.load(path).header
    return header.get_qform(coded=True), header.get_sform(coded=True)


def assert_same_pair(one, other):
    for (matrix, code), (expected, expected_code) in zip(pair_of(one), pair_of(other), strict=True):
        assert code == expected_code
        assert (matrix is None) == (expected is None)
        if matrix is not None:
            np.testing.assert_allclose(matrix, expected, atol=1e-5)
    np.testing.assert_allclose(nibabel.load(one).affine, nibabel.load(other).affine, atol=1e-5)


def origin(matrix):
    return (-matrix[0, 3], -matrix[1, 3], matrix[2, 3])


@pytest.fixture
def a_project(tmp_path):
    project = Project("p", SCHEMA, config_for(Profile.QUICK))
    create_project(tmp_path / "project", project)
    return tmp_path / "project", project


def stored(root, project, case_id):
    return read_segmentation(root / "annotations" / f"{case_id}.seg.nrrd", project.schema)[0]


@pytest.mark.parametrize("by", MOVES.values(), ids=MOVES)
@pytest.mark.parametrize("code", [2, 3, 4])
@pytest.mark.parametrize("which", ["sform", "qform", "both"])
def test_label_on_either_place_of_its_image_is_taken_voxel_for_voxel(
    a_project, tmp_path, by, code, which
):
    root, project = a_project
    sform = moved(by)
    image = save(tmp_path / "img.nii.gz", voxels(), SCANNER, sform, (1, code))
    if which == "both":
        label = save(tmp_path / "label.nii.gz", drawn(), SCANNER, sform, (1, code))
    else:
        affine = sform if which == "sform" else SCANNER
        label = tmp_path / "label.nii.gz"
        nibabel.save(nibabel.Nifti1Image(drawn(), affine), label)

    project, notices = add_case(root, project, "a", CaseRole.ANNOTATED, image, label)

    np.testing.assert_array_equal(stored(root, project, "a").array, drawn().T)
    assert any("names two places" in notice for notice in notices)
    if which != "both":
        assert project.case("a").geometry.origin_mm == pytest.approx(origin(affine), abs=1e-4)
    assert not [f for f in check_cases(root, project) if f.severity == "error"]


def test_image_with_two_places_is_asked_about_with_both_and_their_distance(a_project, tmp_path):
    root, project = a_project
    sform = moved((3.0, -4.0, 12.0))
    image = save(tmp_path / "img.nii.gz", voxels(), SCANNER, sform)

    with pytest.raises(QuestionError, match="13 mm apart") as asked:
        add_case(root, project, "u", CaseRole.UNLABELLED, image)

    assert "(51, 38, -28) mm by the sform (code 2" in asked.value.message
    assert "(48, 42, -40) mm by the qform (code 1" in asked.value.message
    for way, matrix in (("sform", sform), ("qform", SCANNER)):
        answers = Asking("u", [GivenAnswer(QuestionKind.TWO_PLACES, way)])
        changed, _ = add_case(
            root, project, "u", CaseRole.UNLABELLED, image, asking=answers, replace=True
        )
        assert changed.case("u").geometry.origin_mm == pytest.approx(origin(matrix), abs=1e-4)
        assert load_project(root).case("u").answer_to(QuestionKind.TWO_PLACES) == way
        errors = [f for f in check_cases(root, changed) if f.case_id == "u"]
        assert [(f.severity, f"The answer was: {way}" in f.message) for f in errors] == [
            ("note", True)
        ]


def test_label_drawn_on_the_other_place_than_was_chosen_is_taken_voxel_for_voxel(
    a_project, tmp_path
):
    root, project = a_project
    sform = moved((9.0, -6.0, 12.0))
    image = save(tmp_path / "img.nii.gz", voxels(), SCANNER, sform)
    answers = Asking("u", [GivenAnswer(QuestionKind.TWO_PLACES, "qform")])
    project, _ = add_case(root, project, "u", CaseRole.UNLABELLED, image, asking=answers)
    nibabel.save(nibabel.Nifti1Image(drawn(), sform), tmp_path / "label.nii.gz")
    project, notices = annotate_case(root, project, "u", tmp_path / "label.nii.gz")
    np.testing.assert_array_equal(stored(root, project, "u").array, drawn().T)
    assert any("lies at the other position" in notice for notice in notices)


@pytest.mark.parametrize("by", [(0.1, 0.0, 0.0), (0.0, 0.0, 0.0)])
def test_two_matrices_within_a_tenth_of_a_voxel_are_one_place(a_project, tmp_path, by):
    root, project = a_project
    image = save(tmp_path / "img.nii.gz", voxels(), SCANNER, moved(by))
    _, notices = add_case(root, project, "u", CaseRole.UNLABELLED, image)
    assert notices == ()


def test_label_of_an_image_without_matrices_is_taken_where_nibabel_makes_one_up(
    a_project, tmp_path
):
    root, project = a_project
    image = save(tmp_path / "img.nii.gz", voxels())
    made_up = nibabel.load(image).affine
    nibabel.save(nibabel.Nifti1Image(drawn(), made_up), tmp_path / "label.nii.gz")
    project, _ = add_case(root, project, "a", CaseRole.ANNOTATED, image, tmp_path / "label.nii.gz")
    np.testing.assert_array_equal(stored(root, project, "a").array, drawn().T)


PAIRS = {
    "two places": {"qform": SCANNER, "sform": moved((9.0, -6.0, 12.0))},
    "two places, codes of templates": {
        "qform": SCANNER, "sform": moved((2.2, -1.4, 0.0)), "codes": (1, 4),
    },
    "one place": {"qform": SCANNER, "sform": SCANNER, "codes": (1, 1)},
    "sform alone": {"sform": SCANNER},
    "qform alone": {"qform": SCANNER},
    "no matrix": {},
    "micrometres": {
        "qform": np.diag([1500.0, 1500, 6000, 1]), "sform": np.diag([1500.0, 1500, 6000, 1]),
        "unit": "micron",
    },
}  # fmt: skip


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("name", ["out.nii.gz", "out.nii"])
def test_written_nifti_has_the_very_matrices_and_codes_of_its_image(tmp_path, pair, name):
    image = save(tmp_path / "img.nii.gz", voxels(), **pair)
    labels = LabelVolume(drawn().T.astype(np.int16).copy(), read_geometry(image))

    write_segmentation(tmp_path / name, labels, SCHEMA, image)

    assert_same_pair(tmp_path / name, image)
    np.testing.assert_array_equal(np.asarray(nibabel.load(tmp_path / name).dataobj), drawn())


def test_written_nifti_of_an_image_with_numbers_in_the_other_order_has_its_matrices(tmp_path):
    image = nibabel.Nifti1Image(voxels(), None)
    swapped = nibabel.Nifti1Image(voxels(), None, nibabel.Nifti1Header(endianness=">"))
    assert image.header.endianness != swapped.header.endianness
    swapped.set_qform(SCANNER, 1)
    swapped.set_sform(moved((1.0, 2.0, 3.0)), 3)
    nibabel.save(swapped, tmp_path / "img.nii")
    labels = LabelVolume(drawn().T.astype(np.int16).copy(), read_geometry(tmp_path / "img.nii"))
    write_segmentation(tmp_path / "out.nii.gz", labels, SCHEMA, tmp_path / "img.nii")
    assert_same_pair(tmp_path / "out.nii.gz", tmp_path / "img.nii")


@pytest.mark.parametrize(("unit", "factor"), [("micron", 1000.0), ("meter", 0.001), ("mm", 1.0)])
@pytest.mark.parametrize("codes", [(1, 1), (1, 0), (0, 2), (1, 2)])
def test_lengths_in_any_unit_are_millimetres_for_image_and_label_together(
    a_project, tmp_path, unit, factor, codes
):
    root, project = a_project
    matrix = SCANNER.copy()
    matrix[:3] *= factor
    pair = {"qform": matrix, "sform": matrix, "codes": codes, "unit": unit}
    image = save(tmp_path / "img.nii.gz", voxels(), **pair)
    label = save(tmp_path / "label.nii.gz", drawn(), **pair)
    project, notices = add_case(root, project, "a", CaseRole.ANNOTATED, image, label)
    geometry = project.case("a").geometry
    assert geometry.spacing_mm == pytest.approx((1.5, 1.5, 6.0), rel=1e-5)
    assert geometry.origin_mm == pytest.approx(origin(SCANNER), rel=1e-5)
    np.testing.assert_array_equal(stored(root, project, "a").array, drawn().T)
    assert notices == ()


def test_image_in_micrometres_with_a_label_in_millimetres_lie_on_each_other(a_project, tmp_path):
    root, project = a_project
    matrix = np.diag([50.0, 50.0, 50.0, 1.0])
    image = save(tmp_path / "img.nii.gz", voxels(), matrix, matrix, (1, 1), "micron")
    in_mm = np.diag([0.05, 0.05, 0.05, 1.0])
    label = save(tmp_path / "label.nii.gz", drawn(), in_mm, in_mm, (1, 1), "mm")
    project, _ = add_case(root, project, "a", CaseRole.ANNOTATED, image, label)
    assert project.case("a").geometry.spacing_mm == pytest.approx((0.05, 0.05, 0.05))
    np.testing.assert_array_equal(stored(root, project, "a").array, drawn().T)


@pytest.mark.parametrize("signs", [(-1, -1, -1), (-1, 1, 1), (1, 1, -1)])
@pytest.mark.parametrize("codes", [(0, 1), (1, 1), (0, 2)])
def test_negative_voxel_sizes_beside_a_good_sform_are_read_as_the_sform_says(
    tmp_path, signs, codes
):
    image = save(tmp_path / "img.nii", voxels(), SCANNER if codes[0] else None, SCANNER, codes)
    data = bytearray(image.read_bytes())
    pixdim = np.frombuffer(data[80:92], "<f4") * np.array(signs, np.float32)
    data[80:92] = pixdim.astype("<f4").tobytes()
    image.write_bytes(data)

    volume = read_volume(image)

    np.testing.assert_allclose(nibabel.load(image).affine, SCANNER, atol=1e-5)
    ras = np.diag([-1, -1, 1, 1]) @ volume.geometry.index_to_world_matrix
    np.testing.assert_allclose(ras, SCANNER, atol=1e-4)
    np.testing.assert_array_equal(volume.array, voxels().T)


def test_nifti_2_is_refused_with_the_reason(tmp_path):
    nibabel.save(nibabel.Nifti2Image(voxels(), SCANNER), tmp_path / "img.nii.gz")
    with pytest.raises(VolumeError, match=r"is a NIfTI-2 file") as refused:
        read_volume(tmp_path / "img.nii.gz")
    assert "NIfTI-1" in refused.value.remedy


def test_command_line_stops_with_the_flag_and_goes_on_with_the_answer(tmp_path, capfd):
    image = save(tmp_path / "img.nii.gz", voxels(), SCANNER, SCANNER, (1, 1))
    nibabel.save(nibabel.Nifti1Image(drawn(), np.eye(4)), tmp_path / "eye.nii.gz")
    root = tmp_path / "made"
    words = ["create", str(root), "--annotated", str(image), str(tmp_path / "eye.nii.gz")]

    assert main(words) == 1
    assert not root.exists()
    assert "--answer img:same-shape=voxels" in capfd.readouterr().err

    assert main([*words, "--answer", "same-shape=voxels"]) == 0
    np.testing.assert_array_equal(stored(root, load_project(root), "img").array, drawn().T)
    capfd.readouterr()
    assert main(["status", str(root), "--check"]) == 0
    assert "The answer was: voxels" in capfd.readouterr().out


def test_command_line_leaves_a_file_out_and_goes_on_with_the_others(tmp_path, capfd):
    image = save(tmp_path / "img.nii.gz", voxels(), SCANNER, SCANNER, (1, 1))
    nibabel.save(nibabel.Nifti1Image(drawn(), SCANNER), tmp_path / "label.nii.gz")
    two = save(tmp_path / "two.nii.gz", voxels() + 1, SCANNER, moved((9.0, -6.0, 12.0)))
    root = tmp_path / "made"
    words = ["--annotated", str(image), str(tmp_path / "label.nii.gz"), "--unlabelled", str(two)]
    assert main(["create", str(root), *words, "--answer", "two:two-places=leave"]) == 0
    assert [case.id for case in load_project(root).cases] == ["img"]
    assert "Left out, as answered" in capfd.readouterr().err


@pytest.mark.parametrize("text", ["same-shape", "nothing=1", "same-shape="])
def test_command_line_refuses_what_answers_no_question(tmp_path, capfd, text):
    with pytest.raises(SystemExit) as ended:
        main(["create", str(tmp_path / "made"), "--answer", text])
    assert ended.value.code == 2
    assert "The kinds are" in capfd.readouterr().err
