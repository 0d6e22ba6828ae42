"""Adding cases: what is refused, what is resampled, and that nothing changes on a refusal."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from small_projects import add_case

from PseudoLabelCLLib.curation.cases.add_cases import read_annotation
from PseudoLabelCLLib.curation.cases.label_schema_file import (
    schema_from_annotation,
)
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import (
    AnnotationError,
    ProjectError,
    VolumeError,
)
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import Asking, GivenAnswer, LeftOutError, QuestionError
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.review import Review, Verdict
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation

SIZE = (12, 10, 4)
SPACING = (1.5, 1.5, 8.0)
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
ANNOTATED, UNLABELLED = CaseRole.ANNOTATED, CaseRole.UNLABELLED


def write(path, array, spacing=SPACING, origin=(0.0, 0.0, 0.0)):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    sitk.WriteImage(image, str(path))
    return path


def noise(size=SIZE):
    return np.random.default_rng(0).normal(100, 10, size[::-1]).astype(np.float32)


def answering(**answers):
    """Whoever answers the questions of these kinds so, and no others."""
    given = [GivenAnswer(QuestionKind[kind], value) for kind, value in answers.items()]
    return Asking("p1", given)


def labels_in(size=SIZE):
    array = np.zeros(size[::-1], np.uint8)
    array[1:3, 3:7, 3:8] = 1
    array[1:3, 4:6, 4:7] = 2
    return array


def files_below(folder):
    return {p: p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


@pytest.fixture
def a_project(tmp_path):
    schema = LabelSchema.from_values((1, 2))
    project = Project("hearts", schema, config_for(Profile.QUICK))
    root = tmp_path / "project"
    create_project(root, project)
    return root, project


@pytest.fixture
def an_image(tmp_path):
    return write(tmp_path / "patient 1.nii.gz", noise())


@pytest.fixture
def a_segmentation(tmp_path):
    return write(tmp_path / "labels.nrrd", labels_in())


def test_added_case_is_in_the_saved_project(a_project, an_image, a_segmentation):
    root, project = a_project

    project, notices = add_case(root, project, "p1", ANNOTATED, an_image, a_segmentation)

    assert load_project(root) == project
    assert project.case("p1").image == "../patient 1.nii.gz"
    assert notices == ()


def test_annotation_is_stored_voxel_by_voxel(a_project, an_image, a_segmentation):
    root, project = a_project

    project, _ = add_case(root, project, "p1", ANNOTATED, an_image, a_segmentation)

    stored = sitk.ReadImage(str(root / "annotations" / "p1.seg.nrrd"))
    assert np.array_equal(sitk.GetArrayFromImage(stored), labels_in())
    assert stored.GetSpacing() == SPACING


def test_copied_image_no_longer_needs_the_original(a_project, an_image):
    root, project = a_project

    project, _ = add_case(root, project, "p1", UNLABELLED, an_image, copy_image=True)

    assert project.case("p1").image == "volumes/p1.nrrd"
    copy = sitk.GetArrayFromImage(sitk.ReadImage(str(root / "volumes" / "p1.nrrd")))
    assert np.array_equal(copy, noise())


def test_shifted_annotation_follows_its_position(a_project, an_image, tmp_path):
    root, project = a_project
    # Cropped by 2 columns, 1 row and 1 slice; its origin says so.
    part = write(tmp_path / "part.nrrd", labels_in()[1:, 1:, 2:].copy(), origin=(2 * 1.5, 1.5, 8.0))

    _, notices = add_case(root, project, "p1", ANNOTATED, an_image, part)

    stored = read_segmentation(root / "annotations" / "p1.seg.nrrd", project.schema)[0]
    assert np.array_equal(stored.array, labels_in())
    assert "voxels coincide" in notices[0]


def test_finer_annotation_is_resampled_and_told(a_project, an_image, tmp_path):
    root, project = a_project
    fine = np.repeat(np.repeat(labels_in(), 2, axis=1), 2, axis=2)
    # Voxels of half the size: the first centre lies a quarter of a pixel before the old one.
    path = write(
        tmp_path / "fine.nrrd", fine, spacing=(0.75, 0.75, 8.0), origin=(-0.375, -0.375, 0)
    )

    before = files_below(root)
    with pytest.raises(QuestionError, match="different grid") as asked:
        add_case(root, project, "p1", ANNOTATED, an_image, path)
    assert asked.value.question.num_voxels == np.count_nonzero(fine)
    assert "--answer p1:other-grid=resample" in asked.value.remedy
    assert files_below(root) == before
    project, notices = add_case(
        root, project, "p1", ANNOTATED, an_image, path, asking=answering(OTHER_GRID="resample")
    )

    stored = read_segmentation(root / "annotations" / "p1.seg.nrrd", project.schema)[0]
    assert np.array_equal(stored.array, labels_in())
    assert load_project(root).case("p1").answer_to(QuestionKind.OTHER_GRID) == "resample"
    assert f"{np.count_nonzero(fine)} of its {np.count_nonzero(fine)} labelled voxels" in notices[0]


def test_labels_outside_the_image_are_counted(a_project, an_image, tmp_path):
    root, project = a_project
    wider = np.pad(labels_in(), ((0, 0), (0, 0), (0, 1)))
    shifted = write(tmp_path / "shifted.nrrd", wider, origin=(5 * 1.5, 0, 0))

    # Columns 3..7 move to 8..12, the last one falls off: 2 slices of 4 rows.
    with pytest.raises(QuestionError, match="8 labelled voxels") as asked:
        add_case(root, project, "p1", ANNOTATED, an_image, shifted)
    assert asked.value.question.num_voxels == 8
    _, notices = add_case(
        root, project, "p1", ANNOTATED, an_image, shifted, asking=answering(OUTSIDE="drop")
    )
    assert "8 labelled voxels" in notices[1]


ELSEWHERE = {
    "moved": {"origin": (500, 0, 0)},
    "a voxel further": {"origin": (1.5, 0, 0)},
    "no header": {"spacing": (1.0, 1.0, 1.0)},
    "no origin": {"origin": (-40, 3, 9)},
    "no directions": {"direction": (-1, 0, 0, 0, -1, 0, 0, 0, 1)},
}


@pytest.mark.parametrize("place", ELSEWHERE.values(), ids=ELSEWHERE)
def test_labels_of_the_shape_of_the_image_are_never_resampled(a_project, an_image, tmp_path, place):
    root, project = a_project
    before = files_below(root)
    image = sitk.GetImageFromArray(labels_in())
    image.SetSpacing(place.get("spacing", SPACING))
    image.SetOrigin(place.get("origin", (0.0, 0.0, 0.0)))
    image.SetDirection(place.get("direction", IDENTITY))
    sitk.WriteImage(image, str(tmp_path / "labels.nrrd"))

    with pytest.raises(QuestionError, match="puts them elsewhere, up to") as asked:
        add_case(root, project, "p1", ANNOTATED, an_image, tmp_path / "labels.nrrd")
    assert asked.value.question.num_voxels == np.count_nonzero(labels_in())
    assert [choice.value for choice in asked.value.question.choices] == ["voxels", "leave"]
    assert files_below(root) == before

    add_case(
        root, project, "p1", ANNOTATED, an_image, tmp_path / "labels.nrrd",
        asking=answering(SAME_SHAPE="voxels"),
    )  # fmt: skip
    stored = sitk.ReadImage(str(root / "annotations" / "p1.seg.nrrd"))
    assert np.array_equal(sitk.GetArrayFromImage(stored), labels_in())
    assert stored.GetOrigin() == sitk.ReadImage(str(an_image)).GetOrigin()


@pytest.mark.parametrize("way", ["RAS", "PIR", "ASL"])
def test_labels_stored_the_other_way_round_keep_their_place_without_a_question(
    a_project, an_image, a_segmentation, tmp_path, way
):
    root, project = a_project
    turned = sitk.DICOMOrient(sitk.ReadImage(str(a_segmentation)), way)
    sitk.WriteImage(turned, str(tmp_path / "turned.nrrd"))
    add_case(root, project, "p1", ANNOTATED, an_image, tmp_path / "turned.nrrd")
    stored = read_segmentation(root / "annotations" / "p1.seg.nrrd", project.schema)[0]
    assert np.array_equal(stored.array, labels_in())


def test_case_whose_question_is_answered_with_leave_is_left_out(a_project, an_image, tmp_path):
    root, project = a_project
    before = files_below(root)
    labels = write(tmp_path / "labels.nrrd", labels_in(), origin=(1, 2, 3))
    with pytest.raises(LeftOutError):
        add_case(
            root, project, "p1", ANNOTATED, an_image, labels, asking=answering(SAME_SHAPE="leave")
        )
    assert files_below(root) == before


def test_answer_that_the_question_does_not_have_is_refused(a_project, an_image, tmp_path):
    root, project = a_project
    labels = write(tmp_path / "labels.nrrd", labels_in(), origin=(1, 2, 3))
    with pytest.raises(
        ProjectError, match="'resample' is not an answer to the question 'same-shape'"
    ):
        add_case(
            root, project, "p1", ANNOTATED, an_image, labels,
            asking=answering(SAME_SHAPE="resample"),
        )  # fmt: skip


def test_annotation_elsewhere_is_refused_with_both_grids(a_project, an_image, tmp_path):
    root, project = a_project
    before = files_below(root)
    apart = write(tmp_path / "apart.nrrd", labels_in()[:3], origin=(500, 0, 0))

    with pytest.raises(AnnotationError, match="does not lie where the image lies") as caught:
        add_case(root, project, "p1", ANNOTATED, an_image, apart)

    assert "12 x 10 x 4 voxels" in caught.value.message
    assert "12 x 10 x 3 voxels" in caught.value.message
    assert files_below(root) == before


def test_empty_annotation_is_refused(a_project, an_image, tmp_path):
    root, project = a_project
    empty = write(tmp_path / "empty.nrrd", np.zeros(SIZE[::-1], np.uint8))

    with pytest.raises(AnnotationError, match="is empty"):
        add_case(root, project, "p1", ANNOTATED, an_image, empty)


def test_label_outside_the_schema_is_asked_about(a_project, an_image, tmp_path):
    root, project = a_project
    array = labels_in()
    array[0, 0, 0] = 255
    path = write(tmp_path / "odd.nrrd", array)

    with pytest.raises(QuestionError, match=r"255 \(1 voxel\)"):
        add_case(root, project, "p1", ANNOTATED, an_image, path)


def test_swapped_image_and_annotation_are_noticed(a_project, an_image, a_segmentation):
    root, project = a_project
    before = files_below(root)

    with pytest.raises(VolumeError, match="swapped"):
        add_case(root, project, "p1", ANNOTATED, a_segmentation, an_image)

    assert files_below(root) == before


def test_one_file_cannot_be_image_and_annotation(a_project, an_image):
    root, project = a_project

    with pytest.raises(AnnotationError, match="as the image and as its segmentation"):
        add_case(root, project, "p1", ANNOTATED, an_image, an_image)


def test_copy_of_the_image_cannot_be_its_annotation(a_project, an_image, tmp_path):
    root, project = a_project
    again = shutil.copy(an_image, tmp_path / "again.nii.gz")

    with pytest.raises(AnnotationError, match="looks like an image"):
        add_case(root, project, "p1", ANNOTATED, an_image, again)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda a: a.__setitem__((0, 0, 0), np.nan),
            "1 voxel whose intensity is not a finite number",
        ),
        (
            lambda a: a.__setitem__((0, 0, 0), np.inf),
            "1 voxel whose intensity is not a finite number",
        ),
        (lambda a: a.fill(7), "constant: every voxel is 7"),
    ],
)
def test_unfit_voxels_are_refused(a_project, tmp_path, change, words):
    root, project = a_project
    array = noise()
    change(array)
    image = write(tmp_path / "bad.nrrd", array)

    with pytest.raises(VolumeError, match=words):
        add_case(root, project, "p1", UNLABELLED, image)


def test_one_slice_teaches_nothing_but_can_be_segmented(a_project, tmp_path):
    root, project = a_project
    image = write(tmp_path / "slice.nrrd", noise((12, 10, 1)))
    labels = write(tmp_path / "slice-labels.nrrd", labels_in()[1:2].copy())

    with pytest.raises(VolumeError, match="has 1 slice"):
        add_case(root, project, "p1", ANNOTATED, image, labels)
    project, _ = add_case(root, project, "p1", UNLABELLED, image)

    assert project.case("p1").geometry.size == (12, 10, 1)


def test_tiny_slices_are_refused(a_project, tmp_path):
    root, project = a_project
    image = write(tmp_path / "tiny.nrrd", noise((12, 4, 6)))

    with pytest.raises(VolumeError, match="at least 8"):
        add_case(root, project, "p1", UNLABELLED, image)


def test_chosen_slicing_axis_decides_what_a_slice_is(a_project, tmp_path):
    root, project = a_project
    along_i = replace(project.config.preprocess, slicing_axis=0)
    project = replace(project, config=replace(project.config, preprocess=along_i))
    image = write(tmp_path / "flat.nrrd", noise((12, 10, 4)))

    with pytest.raises(VolumeError, match="10 x 4 pixels"):
        add_case(root, project, "p1", UNLABELLED, image)


def test_known_name_is_refused_in_any_case_of_letters(a_project, an_image):
    root, project = a_project
    project, _ = add_case(root, project, "Anna", UNLABELLED, an_image)

    with pytest.raises(ProjectError, match="There is a case 'Anna'"):
        add_case(root, project, "ANNA", UNLABELLED, an_image)


def test_replaced_annotation_stays_in_the_history(a_project, an_image, a_segmentation, tmp_path):
    root, project = a_project
    project, _ = add_case(root, project, "p1", ANNOTATED, an_image, a_segmentation)
    other = labels_in()
    other[0, 5, 5] = 1
    newer = write(tmp_path / "newer.nrrd", other)

    project, _ = add_case(root, project, "p1", ANNOTATED, an_image, newer, replace=True)

    history = root / "annotations" / "history" / "p1.1.seg.nrrd"
    assert np.array_equal(read_segmentation(history, project.schema)[0].array, labels_in())
    stored = read_segmentation(root / "annotations" / "p1.seg.nrrd", project.schema)[0]
    assert np.array_equal(stored.array, other)
    assert len(project.cases) == 1


def test_reviewed_case_cannot_get_another_grid(a_project, an_image, tmp_path):
    root, project = a_project
    project, _ = add_case(root, project, "p1", UNLABELLED, an_image)
    project = project.with_round(Round(0, RoundState.IN_REVIEW))
    project = project.with_review(Review("p1", 0, Verdict.REJECTED, None))
    larger = write(tmp_path / "larger.nrrd", noise((20, 20, 4)))

    with pytest.raises(ProjectError, match="reviewed pseudo-labels"):
        add_case(root, project, "p1", UNLABELLED, larger, replace=True)


def test_annotated_case_needs_an_annotation(a_project, an_image):
    root, project = a_project

    with pytest.raises(ProjectError, match="has no segmentation"):
        add_case(root, project, "p1", CaseRole.VALIDATION, an_image)


def test_missing_image_is_told(a_project, tmp_path):
    root, project = a_project

    with pytest.raises(VolumeError):
        add_case(root, project, "p1", UNLABELLED, tmp_path / "nothing.nii")


def test_schema_is_read_off_a_segmentation(a_segmentation):
    assert schema_from_annotation(a_segmentation).values == (1, 2)


def test_annotation_on_the_same_grid_is_taken_as_it_is(a_segmentation):
    geometry = Geometry(SIZE, SPACING, (0.0, 0.0, 0.0), IDENTITY)

    labels, _, notices = read_annotation(
        a_segmentation, geometry, LabelSchema.from_values((1, 2)), Asking()
    )

    assert labels.geometry == geometry
    assert notices == ()
