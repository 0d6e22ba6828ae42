"""Structures of which hardly a voxel is left for the network are asked about before training."""

import re

import numpy as np
import pytest
import SimpleITK as sitk
from small_projects import add_case, questions_about

from PseudoLabelCLLib.curation.cases.answer_questions import keep_answer
from PseudoLabelCLLib.curation.check.check_vanishing import left_at
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import Question
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.pipeline.slices.slice_grid import slice_grid
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project
from PseudoLabelCLLib.storage.volume_io import read_geometry

SCHEMA = LabelSchema.from_values((1, 2))


def write(path, array, pixel_mm):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((pixel_mm, pixel_mm, 6.0))
    sitk.WriteImage(image, str(path))
    return path


def noise(shape):
    return np.random.default_rng(shape[1]).normal(100, 10, shape).astype(np.float32)


@pytest.fixture
def a_project(tmp_path):
    """Annotated at 0.4 mm, a structure of 3 x 2 pixels on two slices; the others at 1.6 mm."""
    root = tmp_path / "project"
    project = Project("p", SCHEMA, config_for(Profile.QUICK))
    create_project(root, project)
    labels = np.zeros((6, 96, 112), np.uint8)
    labels[1:5, 10:80, 10:70] = 1
    labels[2:4, 60:62, 81:84] = 2
    image = write(tmp_path / "a.nrrd", noise(labels.shape), 0.4)
    drawn = write(tmp_path / "drawn.nrrd", labels, 0.4)
    project, _ = add_case(root, project, "a", CaseRole.ANNOTATED, image, drawn)
    for number in range(3):
        image = write(tmp_path / f"u{number}.nrrd", noise((6, 24, 28)), 1.6)
        project, _ = add_case(root, project, f"u{number}", CaseRole.UNLABELLED, image)
    return root, project


def asked_about(root, project):
    return questions_about(root, project, QuestionKind.VANISHING)


def test_structure_without_a_pixel_left_is_asked_about_with_its_numbers(a_project):
    root, project = a_project
    (question,) = asked_about(root, project)
    found = re.search(r"network \(([\d.]+) mm.*'label 2' has (\d+) of 12", question.message)
    assert 0.8 <= float(found[1]) < 1.6  # finer than most volumes, and still too coarse for it
    assert int(found[2]) < 12
    assert [choice.value for choice in question.choices] == ["train", "finer"]
    assert question.case_id == "a"


def test_smaller_pixels_are_set_so_that_nothing_vanishes(a_project):
    root, project = a_project
    project = keep_answer(root, project, asked_about(root, project)[0], "finer")
    assert load_project(root).config.preprocess.in_plane_spacing_mm == pytest.approx(0.4)
    (question,) = asked_about(root, project)  # 12 voxels are few on any pixels
    assert "'label 2' has 12 of 12 voxels left" in question.message
    assert "label 1" not in question.message


def test_training_with_what_is_left_is_kept_as_the_answer(a_project):
    root, project = a_project
    project = keep_answer(root, project, asked_about(root, project)[0], "train")
    assert load_project(root).case("a").answer_to(QuestionKind.VANISHING) == "train"
    assert asked_about(root, project) == []


@pytest.mark.parametrize("pixel_mm", [0.3, 0.4, 0.55, 1.0, 1.6, 5.0])
def test_what_is_left_is_what_the_network_is_taught(a_project, tmp_path, pixel_mm):
    _, project = a_project
    geometry = read_geometry(tmp_path / "drawn.nrrd")
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "drawn.nrrd"))).astype(np.int16)
    config = PreprocessConfig(in_plane_spacing_mm=pixel_mm, window_size=(256, 256))
    grid = slice_grid(Volume(noise(labels.shape), geometry), config)
    taught = grid.labels_to_network(grid.slices_of(labels))
    left = left_at(LabelVolume(labels, geometry), project.schema, 2, pixel_mm)
    assert [one.at_network for one in left] == [int((taught == n).sum()) for n in (1, 2)]
    assert [one.native for one in left] == [int((labels == n).sum()) for n in (1, 2)]


def test_case_of_the_project_that_is_left_out_is_ignored(a_project):
    root, project = a_project
    question = Question(QuestionKind.LABEL_MAP, "It looks like a label map.", 9, "u1")
    project = keep_answer(root, project, question, "leave")
    assert load_project(root).case("u1").role is CaseRole.IGNORED
    assert project.case("u1").role is CaseRole.IGNORED
