"""A volume's segmentation on its own grid, with uncertainty and the largest-part rule."""

import weakref
from dataclasses import replace

import numpy as np
import pytest
from learning_doubles import CPU, Listener, ThresholdNetwork, grid, make_model

from PseudoLabelCLLib.curation.review.plan_round import plan_next_round
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.config import Profile, PseudoLabelConfig
from PseudoLabelCLLib.domain.method_config import CleanUpConfig
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.learning.inference import predict_parts
from PseudoLabelCLLib.pipeline.prediction import segment_volume as segment_module
from PseudoLabelCLLib.pipeline.prediction.apply_model import segment_volume
from PseudoLabelCLLib.pipeline.prediction.segment_volume import (
    NO_CLEAN_UP,
    Refinement,
    segment_slices,
)
from PseudoLabelCLLib.pipeline.rounds.pseudo_label_cases import pseudo_label_cases
from PseudoLabelCLLib.pipeline.rounds.round_data import RoundInputs
from PseudoLabelCLLib.pipeline.slices.slice_grid import slice_grid
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

SIZE = (40, 36, 5)
OBLIQUE_LEFT_HANDED = (0.8, 0.6, 0.0, -0.6, 0.8, 0.0, 0.0, 0.0, -1.0)


CLEAN_UP = CleanUpConfig(num_iterations=10, sigma_px=2.0)


def schema_with(value=7, *, keep_largest):
    return LabelSchema(
        (LabelClass(value, "a blob", "#56b4e9", keep_largest_component=keep_largest),)
    )


def two_blobs():
    """A large and a small bright box that do not touch, on dark ground."""
    array = np.zeros(SIZE[::-1], np.float32)
    array[1:4, 8:24, 6:20] = 1
    array[1:3, 26:31, 28:34] = 1
    return array


def two_blobs_and_a_speck():
    array = two_blobs()
    array[0, 35, 5] = 1
    return array


def a_model(schema, steepness=20.0, clean_up=NO_CLEAN_UP):
    return make_model(
        ThresholdNetwork(schema.num_classes, steepness).eval(),
        schema=schema,
        pseudo_label=PseudoLabelConfig(
            2, max_rotation_deg=0.0, max_scale_fraction=0.0, clean_up=clean_up
        ),
        mirror_copies=True,
    )


def segmented(array, schema, geometry=None, steepness=20.0, clean_up=NO_CLEAN_UP):
    geometry = geometry or grid(SIZE)
    model = a_model(schema, steepness)
    volume = Volume(array, geometry)
    where = slice_grid(volume, model.card.preprocess)
    images = where.images_to_network(where.slices_of(array))[:, None]
    return segment_slices(model, images, where, geometry, CPU, Refinement(clean_up))


@pytest.mark.parametrize("value", [1, 7, 300])
def test_labels_have_the_schemas_values_on_the_volumes_own_grid(value):
    geometry = grid(SIZE, direction=OBLIQUE_LEFT_HANDED, origin_mm=(3.0, -40.0, 12.0))
    found = segmented(two_blobs(), schema_with(value, keep_largest=False), geometry)
    assert found.labels.geometry == geometry
    assert found.uncertainty.geometry == geometry
    assert found.labels.array.dtype == np.int16
    # same pixel size, window larger than the slice, mirroring exact: no voxel may differ
    np.testing.assert_array_equal(found.labels.array, value * (two_blobs() > 0.5))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_every_slicing_axis_comes_back_to_the_same_voxels(axis):
    size, spacing = [20, 24, 28], [1.0, 1.0, 1.0]
    size[axis], spacing[axis] = 6, 4.0
    geometry = grid(tuple(size), tuple(spacing))
    array = np.zeros(geometry.array_shape, np.float32)
    array[1:4, 2:5, 1:5] = 1
    found = segmented(array, schema_with(keep_largest=False), geometry)
    np.testing.assert_array_equal(found.labels.array, 7 * (array > 0.5))


@pytest.mark.parametrize("keep_largest", [True, False])
def test_only_labels_that_ask_for_it_keep_the_largest_part_alone(keep_largest):
    found = segmented(two_blobs(), schema_with(keep_largest=keep_largest)).labels.array
    assert found[2, 16, 12] == 7
    assert (found[1, 28, 30] == 7) is np.bool_(not keep_largest)


def test_largest_part_rule_of_one_label_leaves_the_other_alone():
    schema = LabelSchema(
        (
            LabelClass(1, "a shell", "#56b4e9", keep_largest_component=True),
            LabelClass(2, "a core", "#e69f00"),
        )
    )
    found = segmented(two_blobs(), schema).labels.array
    assert set(np.unique(found)) == {0, 2}  # as bright as a core, both parts kept
    assert found[1, 28, 30] == 2


def test_parts_that_touch_at_a_corner_are_one():
    array = np.zeros(SIZE[::-1], np.float32)
    array[1, 10:16, 10:16] = 1
    array[2, 16:20, 16:20] = 1
    found = segmented(array, schema_with(keep_largest=True)).labels.array
    assert found[2, 18, 18] == 7


def test_uncertainty_is_highest_where_every_class_is_as_likely():
    array = np.zeros(SIZE[::-1], np.float32)
    array[2, 18] = np.linspace(0, 1, SIZE[0])
    array[2, 18, 20] = 0.5  # both scores are 0 there
    uncertainty = segmented(array, schema_with(keep_largest=False)).uncertainty.array
    assert uncertainty.min() >= 0
    assert uncertainty.max() == 1
    assert uncertainty[2, 18, 20] == 1
    assert uncertainty[0].max() < 0.01  # sure background: 10 against 0


def test_uncertainty_is_the_entropy_over_its_maximum():
    array = np.full(SIZE[::-1], 0.5, np.float32)
    array[2] = 0.55
    uncertainty = segmented(array, schema_with(keep_largest=False)).uncertainty.array
    p = 1 / (1 + np.exp(-20 * 0.05))
    expected = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    # stored in steps of 1 / 255
    np.testing.assert_allclose(uncertainty[2, 5:-5, 5:-5], expected, atol=1.1 / 255)


def test_nothing_found_is_an_empty_segmentation_of_full_doubt():
    found = segmented(np.zeros(SIZE[::-1], np.float32), schema_with(keep_largest=True))
    assert not found.labels.array.any()
    assert found.doubt.doubt == 1


def test_whole_way_from_a_volume_of_any_brightness():
    schema = schema_with(keep_largest=True)
    array = (900 * two_blobs() - 400).astype(np.int16)
    found = segment_volume(a_model(schema), (Volume(array, grid(SIZE)),), CPU, case_id="a volume")
    np.testing.assert_array_equal(found.labels.array[:, :25] > 0, two_blobs()[:, :25] > 0)


def test_clean_up_removes_specks_from_the_labels_and_leaves_uncertainty_and_doubt():
    schema, array = schema_with(keep_largest=False), two_blobs_and_a_speck()
    as_it_is = segmented(array, schema, steepness=6.0)
    cleaned = segmented(array, schema, steepness=6.0, clean_up=CLEAN_UP)
    assert as_it_is.labels.array[0, 35, 5] == 7
    assert not cleaned.labels.array[0].any()
    inside = (slice(1, 4), slice(9, 23), slice(7, 19))
    assert (cleaned.labels.array[inside] == 7).all()
    np.testing.assert_array_equal(cleaned.uncertainty.array, as_it_is.uncertainty.array)
    assert cleaned.doubt == as_it_is.doubt


def test_model_from_a_round_with_clean_up_does_not_clean_up_what_it_is_applied_to():
    model = a_model(schema_with(keep_largest=False), 6.0, CLEAN_UP)
    volume = Volume(two_blobs_and_a_speck(), grid(SIZE))
    found = segment_volume(model, (volume,), CPU, case_id="a volume")
    assert found.labels.array[0, 35, 5] == 7


@pytest.mark.parametrize("clean_up", [NO_CLEAN_UP, CLEAN_UP])
def test_proposals_of_a_round_are_cleaned_up_as_the_settings_say(clean_up, tmp_path):
    schema = schema_with(keep_largest=False)
    model = a_model(schema, 6.0)
    config = config_for(Profile.QUICK)
    config = replace(config, pseudo_label=replace(config.pseudo_label, clean_up=clean_up))
    case = Case("a case", CaseRole.UNLABELLED, "image.nrrd", grid(SIZE))
    round_ = Round(0, RoundState.PSEUDO_LABELLING)
    project = Project("a project", schema, config, (case,), (round_,))
    write_volume(tmp_path / "image.nrrd", Volume(two_blobs_and_a_speck(), grid(SIZE)))
    layout = ProjectLayout(tmp_path)
    for folder in (layout.round_folder(0), layout.preprocess_plan.parent):
        folder.mkdir(parents=True)
    plan = plan_next_round(project)
    inputs = RoundInputs(tmp_path, project, plan, model.card.preprocess, config.training)
    pseudo_label_cases(inputs, model, CPU, Listener())
    proposal = read_segmentation(layout.proposal(0, case.id), schema)[0].array
    assert proposal[2, 16, 12] == 7
    assert (proposal[0, 35, 5] == 0) is np.bool_(clean_up.num_iterations > 0)


def test_probabilities_of_a_volume_never_lie_in_memory_together(monkeypatch):
    passed, alive = [], []

    def watched(*inputs, **settings):
        for said in predict_parts(*inputs, **settings):
            passed.append(weakref.ref(said.probabilities))
            alive.append(sum(one() is not None for one in passed))
            yield said

    monkeypatch.setattr(segment_module, "predict_parts", watched)
    geometry = grid((40, 36, 60))
    array = np.zeros(geometry.array_shape, np.float32)
    array[4:50, 8:24, 6:20] = 1
    found = segmented(array, schema_with(keep_largest=False), geometry)
    np.testing.assert_array_equal(found.labels.array, 7 * (array > 0.5))
    assert len(passed) == 15  # of four slices each
    assert max(alive) <= 3
