"""All volumes of a project are cut in one plane of the body."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from small_projects import add_case

from PseudoLabelCLLib.curation.cases.answer_questions import keep_answer, keep_answers
from PseudoLabelCLLib.curation.cases.settings import change_settings
from PseudoLabelCLLib.curation.check.check_cases import check_cases
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.plane import Plane, common_plane
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import Asking, GivenAnswer
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project, save_round

# How each way of storing is written in words of DICOM orientation, slices last.
STORED = {"axial": "LPS", "coronal": "LSA", "sagittal": "PSL"}


def write(path, spacing_mm, size, stored="axial"):
    """A volume of about 60 x 60 x 60 mm, given along left, posterior, superior."""
    rng = np.random.default_rng(len(path.name))
    image = sitk.GetImageFromArray(rng.normal(100, 10, size[::-1]).astype(np.float32))
    image.SetSpacing(spacing_mm)
    sitk.WriteImage(sitk.DICOMOrient(image, STORED[stored]), str(path))
    return path


@pytest.fixture
def a_project(tmp_path):
    project = Project("p", LabelSchema.from_values((1,)), config_for(Profile.QUICK))
    create_project(tmp_path / "project", project)
    return tmp_path / "project", project


def with_volumes(a_project, tmp_path, volumes):
    root, project = a_project
    for name, volume in volumes.items():
        image = write(tmp_path / f"{name}.nrrd", *volume)
        project, _ = add_case(root, project, name, CaseRole.UNLABELLED, image)
    return root, project


def across(root, project, case_id):
    """The world axis along which a case is cut, as its file tells."""
    image = sitk.ReadImage(str(root / project.case(case_id).image))
    direction = np.array(image.GetDirection()).reshape(3, 3)
    return int(np.abs(direction[:, project.slicing_axis_of(case_id)]).argmax())


def found_about(project, root, kind):
    return [f for f in check_cases(root, project) if f.question and f.question.kind is kind]


def test_thin_slices_of_a_wide_field_are_cut_as_the_other_volumes_are(a_project, tmp_path):
    root, project = with_volumes(a_project, tmp_path, {
        "a": ((0.7, 0.7, 1.0), (72, 64, 40)),
        "thin": ((0.98, 0.98, 0.62), (52, 46, 64)),
    })  # fmt: skip
    assert project.case("thin").geometry.least_resolved_axis == 1  # what it was cut by before
    assert [across(root, project, name) for name in ("a", "thin")] == [2, 2]
    assert not found_about(project, root, QuestionKind.PLANE)


def test_isotropic_volumes_stored_in_any_plane_are_cut_in_one_and_named(a_project, tmp_path):
    iso = ((1.0, 1.0, 1.0), (40, 40, 40))
    root, project = with_volumes(a_project, tmp_path, {
        "a1": (*iso, "axial"), "a2": (*iso, "axial"), "c": (*iso, "coronal"),
        "s": (*iso, "sagittal"),
    })  # fmt: skip
    assert {across(root, project, case.id) for case in project.cases} == {2}
    assert len({project.slicing_axis_of(case.id) for case in project.cases}) > 1
    (told,) = [f for f in check_cases(root, project) if "another plane" in f.message]
    assert told.severity == "note"
    assert "'c', 's'" in told.message


def test_volumes_that_resolve_one_plane_decide_against_isotropic_ones(a_project, tmp_path):
    iso = ((1.0, 1.0, 1.0), (40, 40, 40))
    root, project = with_volumes(a_project, tmp_path, {
        "a1": iso, "a2": iso, "s": ((3.0, 1.0, 1.0), (20, 50, 50), "sagittal"),
    })  # fmt: skip
    assert {across(root, project, case.id) for case in project.cases} == {0}


MIXED = {
    "a1": ((1.0, 1.0, 5.0), (40, 40, 10)),
    "a2": ((1.0, 1.0, 4.0), (40, 40, 12)),
    "s": ((5.0, 1.0, 1.0), (10, 40, 40), "sagittal"),
}


def test_volume_whose_slices_are_thick_in_another_plane_is_asked_about(a_project, tmp_path):
    root, project = with_volumes(a_project, tmp_path, MIXED)
    (found,) = found_about(project, root, QuestionKind.PLANE)
    assert found.severity == "question"
    assert "'s'" in found.message
    assert "5 x 1 mm" in found.message or "1 x 5 mm" in found.message
    project = keep_answer(root, project, found.question, "sagittal")
    assert load_project(root).config.preprocess.plane is Plane.SAGITTAL
    assert {across(root, project, case.id) for case in project.cases} == {0}
    assert not found_about(project, root, QuestionKind.PLANE)


def test_answer_with_the_flag_of_the_command_line_is_kept(a_project, tmp_path):
    root, project = with_volumes(a_project, tmp_path, MIXED)
    project = keep_answers(root, project, [GivenAnswer(QuestionKind.PLANE, "axial")])
    assert project == load_project(root)
    assert project.config.preprocess.plane is Plane.AXIAL
    assert not found_about(project, root, QuestionKind.PLANE)


def test_plane_of_round_0_stays_whatever_is_added_later(a_project, tmp_path):
    root, project = with_volumes(a_project, tmp_path, {"a": ((1.0, 1.0, 5.0), (40, 40, 10))})
    project = project.with_round(Round(0, RoundState.TRAINING, plane=project.preprocess.plane))
    save_round(root, project.rounds[0])
    later = {f"s{n}": ((5.0, 1.0, 1.0), (10, 40, 40), "sagittal") for n in range(3)}
    root, project = with_volumes((root, project), tmp_path, later)
    assert load_project(root).preprocess.plane is Plane.AXIAL
    assert {across(root, project, case.id) for case in project.cases} == {2}


def test_project_with_rounds_of_an_earlier_version_keeps_the_axis_of_each_volume(
    a_project, tmp_path
):
    _, project = with_volumes(a_project, tmp_path, MIXED)
    project = project.with_round(Round(0, RoundState.IN_REVIEW))
    for case in project.cases:
        assert project.slicing_axis_of(case.id) == case.geometry.least_resolved_axis


def test_axis_that_was_set_counts_before_any_plane(a_project, tmp_path):
    root, project = with_volumes(a_project, tmp_path, MIXED)
    preprocess = replace(project.config.preprocess, slicing_axis=1)
    project = replace(project, config=replace(project.config, preprocess=preprocess))
    assert {project.slicing_axis_of(case.id) for case in project.cases} == {1}
    assert not found_about(project, root, QuestionKind.PLANE)


@pytest.mark.parametrize("degrees", [0, 20, 40])
def test_oblique_volume_is_cut_along_the_axis_nearest_to_across_the_plane(degrees):
    turn = np.radians(degrees)
    cosine, sine = np.cos(turn), np.sin(turn)
    direction = (1, 0, 0, 0, cosine, -sine, 0, sine, cosine)
    grid = Geometry((30, 30, 10), (1, 1, 5), (0, 0, 0), direction)
    assert common_plane([grid]) is Plane.AXIAL
    assert Plane.AXIAL.slicing_axis_of(grid) == 2
    assert Plane.SAGITTAL.slicing_axis_of(grid) == 0


def test_single_slice_is_cut_as_that_slice():
    grid = Geometry((40, 1, 40), (1, 1, 1), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    assert common_plane([grid]) is Plane.CORONAL
    assert not Plane.AXIAL.suits(grid)


def test_without_volumes_there_is_no_plane():
    assert common_plane([]) is None


def test_slices_that_were_drawn_are_counted_in_the_plane_of_the_project_and_settle_it(
    a_project, tmp_path
):
    """Of a first volume with thin slices, drawn on every fourth axial one."""
    root, project = a_project
    image = write(tmp_path / "thin.nrrd", (0.98, 0.98, 0.62), (40, 40, 24))
    labels = np.zeros((24, 40, 40), np.uint8)
    labels[2:22:4, 10:30, 10:30] = 1
    drawn = sitk.GetImageFromArray(labels)
    drawn.CopyInformation(sitk.ReadImage(str(image)))
    sitk.WriteImage(drawn, str(tmp_path / "drawn.nrrd"))
    asking = Asking("thin", [GivenAnswer(QuestionKind.SPARSE, "drawn")])
    project, _ = add_case(
        root, project, "thin", CaseRole.ANNOTATED, image, tmp_path / "drawn.nrrd", asking=asking
    )
    assert project.case("thin").drawn_slices == (2, 6, 10, 14, 18)
    assert load_project(root).config.preprocess.plane is Plane.AXIAL
    later = {f"s{n}": ((5.0, 1.0, 1.0), (10, 40, 40), "sagittal") for n in range(3)}
    root, project = with_volumes((root, project), tmp_path, later)
    assert across(root, project, "thin") == 2
    with pytest.raises(ProjectError, match="only the drawn slices"):
        change_settings(root, project, {"preprocess.plane": "coronal"})
