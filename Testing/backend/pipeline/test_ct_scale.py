"""CT is scaled by the same two values in every volume: those of the annotated structures."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from learning_doubles import grid
from small_projects import add_case, questions_about

from PseudoLabelCLLib.curation.cases.answer_questions import keep_answer
from PseudoLabelCLLib.curation.check.check_cases import check_cases
from PseudoLabelCLLib.curation.check.check_modality import ask_about_modality
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import ProjectError, VolumeError
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import Asking, GivenAnswer, LeftOutError, QuestionError
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.starting_model import StartingModel
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.pipeline.slices.case_slices import preprocess_plan
from PseudoLabelCLLib.pipeline.slices.network_images import network_channels, network_slices
from PseudoLabelCLLib.pipeline.slices.slice_grid import slice_grid
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project

SIZE = (64, 64, 8)
GRID = grid(SIZE, (1.0, 1.0, 3.0))
K, J, I = np.indices(SIZE[::-1])  # noqa: E741 - the names of the axes
RADIUS = np.hypot(J - 31.5, I - 31.5)
BODY, LIVER, SPLEEN = RADIUS < 26, (RADIUS < 20) & (I < 32), (RADIUS < 20) & (I >= 32)
LABELS = np.where(LIVER, 1, np.where(SPLEEN, 2, 0)).astype(np.uint8)
PERCENTILES = PreprocessConfig(None, 1.0, (64, 64), measured_values=True)


def ct(seed=0, *, bone=400.0):
    array = np.where(BODY, -90.0, -1000.0)
    array[LIVER], array[SPLEEN] = 60.0, 100.0
    array[np.hypot(J - 50, I - 31.5) < 3] = bone
    return (array + np.random.default_rng(seed).normal(0, 8, array.shape)).astype(np.float32)


def mr(seed=0):
    array = np.where(BODY, 220.0, 0.0)
    array[LIVER], array[SPLEEN] = 340.0, 420.0
    noisy = array + np.random.default_rng(seed).normal(0, 8, array.shape)
    return np.abs(noisy).astype(np.float32)


def write(path, array):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(GRID.spacing_mm)
    sitk.WriteImage(image, str(path))
    return path


def a_project(folder, annotated, unlabelled, profile=Profile.QUICK):
    root = folder / "project"
    project = Project("p", LabelSchema.from_values((1, 2)), config_for(profile))
    create_project(root, project)
    labels = write(folder / "labels.nrrd", LABELS)
    for role, arrays in ((CaseRole.ANNOTATED, annotated), (CaseRole.UNLABELLED, unlabelled)):
        drawn = (labels,) if role is CaseRole.ANNOTATED else ()
        for number, array in enumerate(arrays):
            name = f"{role.value}-{number}"
            image = write(folder / f"{name}.nrrd", array)
            project, _ = add_case(root, project, name, role, image, *drawn)
    return root, project


def asked_about(root, project):
    return questions_about(root, project, QuestionKind.MODALITY)


def seen(array, config):
    volume = Volume(array.astype(np.float32), GRID)
    return network_slices(volume, slice_grid(volume, config), config)


def test_limits_are_the_percentiles_of_the_annotated_structures(tmp_path):
    arrays = [ct(1), ct(2) + 10]
    root, project = a_project(tmp_path, arrays, [ct(3)])
    inside = np.concatenate([array[LABELS > 0] for array in arrays])
    expected = np.percentile(inside, (0.5, 99.5))
    (limits,) = preprocess_plan(root, project).ct_limits_hu
    assert limits == pytest.approx(tuple(expected), abs=0.01)


def test_a_value_in_hounsfield_units_is_the_same_for_the_network_in_every_volume():
    config = replace(PERCENTILES, ct_limits_hu=((40.0, 120.0),))
    head = np.where(BODY, ct(), 30.0)  # no air around, which moves every percentile
    for array in (ct(), head, ct(bone=3000.0), np.where(RADIUS > 31, -3024, ct())):
        marked = np.where((K == 4) & (RADIUS < 4), 80.0, array)
        assert seen(marked, config)[4, 31, 31] == pytest.approx(0.5)
        assert seen(array, config).min() == 0
        assert seen(array, config).max() == 1


def test_two_soft_tissues_fill_the_range_that_percentiles_leave_to_air_and_bone():
    def contrast(config):
        image = seen(ct(), config)
        return float(np.median(image[SPLEEN]) - np.median(image[LIVER]))

    limits = replace(PERCENTILES, ct_limits_hu=((40.0, 120.0),))
    assert contrast(PERCENTILES) < 0.05
    assert contrast(limits) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("profile", [Profile.PAPER, Profile.LEGACY])
def test_published_recipes_scale_ct_by_percentiles(tmp_path, profile):
    root, project = a_project(tmp_path, [ct()], [ct(1)], profile)
    assert preprocess_plan(root, project).ct_limits_hu == ()


def test_mr_is_scaled_by_its_own_percentiles(tmp_path):
    root, project = a_project(tmp_path, [mr()], [mr(1)])
    assert preprocess_plan(root, project).ct_limits_hu == ()
    assert asked_about(root, project) == []


def test_mr_among_ct_is_asked_about_until_a_person_answers(tmp_path):
    root, project = a_project(tmp_path, [ct()], [ct(1), mr(2)])
    (question,) = asked_about(root, project)
    assert question.case_id == "unlabelled-1"
    assert "'unlabelled-1' is not" in question.message
    used = keep_answer(root, project, question, "use")
    assert asked_about(root, used) == []
    left = keep_answer(root, project, question, "leave")
    assert left.case("unlabelled-1").role is CaseRole.IGNORED
    assert asked_about(root, load_project(root)) == []


def test_ct_among_mr_is_asked_about(tmp_path):
    root, project = a_project(tmp_path, [mr()], [mr(1), ct(2)])
    (question,) = asked_about(root, project)
    assert "'unlabelled-1' is CT" in question.message


def test_projects_of_earlier_versions_ask_nothing_and_keep_their_scale(tmp_path):
    root, project = a_project(tmp_path, [ct()], [ct(1), mr(2)])
    settings = replace(project.config.preprocess, scale_ct=False)
    project = replace(project, config=replace(project.config, preprocess=settings))
    assert asked_about(root, project) == []
    assert preprocess_plan(root, project).ct_limits_hu == ()


def test_model_of_ct_asks_about_a_volume_that_is_not():
    config = replace(PERCENTILES, ct_limits_hu=((40.0, 120.0),))
    volume = Volume(mr(), GRID)
    with pytest.raises(QuestionError, match="'new' is not"):
        ask_about_modality(volume, config, Asking("new"))
    with pytest.raises(LeftOutError):
        ask_about_modality(
            volume, config, Asking("new", (GivenAnswer(QuestionKind.MODALITY, "leave"),))
        )
    ask_about_modality(volume, config, Asking("new", (GivenAnswer(QuestionKind.MODALITY, "use"),)))
    ask_about_modality(Volume(ct(), GRID), config, Asking("new"))
    ask_about_modality(volume, PERCENTILES, Asking("new"))


@pytest.mark.parametrize(
    ("array", "limits_hu", "num_pretrained_on", "told"),
    [
        (mr(), ((40.0, 120.0),), 0, "a model that learned from CT, and the annotated volumes are"),
        (ct(), ((40.0, 120.0),), 0, None),
        (ct(), (), 0, "a model that did not learn from CT, and the annotated volumes are CT"),
        (mr(), (), 0, None),
        (ct(), (), 12, None),  # an archive has no annotated volumes to take the limits from
    ],
)
def test_round_0_starts_from_no_model_of_another_kind_of_image(
    tmp_path, array, limits_hu, num_pretrained_on, told
):
    root, project = a_project(tmp_path, [array], [array + 1])
    preprocess = replace(config_for(Profile.QUICK).preprocess, ct_limits_hu=limits_hu)
    start = StartingModel(
        "other", 2, "0" * 64, ("liver",), (), project.config.network, preprocess, num_pretrained_on
    )
    found = check_cases(root, replace(project, start=start))
    errors = [finding.message for finding in found if finding.severity == "error"]
    assert [told in error for error in errors] == ([True] if told else [])


def test_each_channel_has_limits_of_its_own_and_mr_beside_ct_has_none():
    config = replace(PERCENTILES, ct_limits_hu=((40.0, 120.0), None))
    volumes = (Volume(ct(), GRID), Volume(mr(), GRID))
    grid_of_slices = slice_grid(volumes[0], config)
    images = network_channels(volumes, grid_of_slices, config)
    np.testing.assert_array_equal(images[:, 0], seen(ct(), config))
    np.testing.assert_array_equal(images[:, 1], seen(mr(), PERCENTILES))


def test_volume_without_a_value_between_the_limits_is_refused():
    with pytest.raises(VolumeError, match="between 40 and 120 HU"):
        seen(np.zeros(SIZE[::-1]), replace(PERCENTILES, ct_limits_hu=((40.0, 120.0),)))


@pytest.mark.parametrize("limits", [(120.0, 40.0), (40.0, 40.0), (0.0, float("nan"))])
def test_limits_that_are_no_range_are_refused(limits):
    with pytest.raises(ProjectError, match="ct_limits_hu"):
        PreprocessConfig(ct_limits_hu=(limits,))
