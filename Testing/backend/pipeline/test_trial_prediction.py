"""A prediction of a few real slices tells how long those of all cases take."""

from dataclasses import replace

import numpy as np
import pytest
from learning_doubles import CPU, grid, make_network
from small_projects import SCHEMA, make_project

from PseudoLabelCLLib.curation.review.plan_round import plan_next_round
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.pipeline.rounds.round_data import RoundInputs, settle_training
from PseudoLabelCLLib.pipeline.rounds.trial_prediction import (
    NUM_SLICES,
    few_slices,
    seconds_of_proposal,
    seconds_of_validation,
)
from PseudoLabelCLLib.pipeline.slices.case_slices import CaseSlices, preprocess_plan
from PseudoLabelCLLib.pipeline.slices.slice_grid import SliceGrid
from PseudoLabelCLLib.storage.project.project_store import load_project


def slices_of(num_slices, num_seen=None):
    """A case of 30 x 20 pixels, its slices 2 mm apart; in 3-D the network sees `num_seen`."""
    case = Case("a", CaseRole.UNLABELLED, "a.nrrd", grid((20, 30, num_slices), (1.0, 1.0, 2.0)))
    shape = (30, 20)
    placed = SliceGrid(2, num_slices, shape, shape, shape, (0, 0), resampled_slices=num_seen)
    images = np.random.default_rng(0).random((num_seen or num_slices, 1, *shape), np.float32)
    return CaseSlices(case, placed, images)


@pytest.fixture
def inputs(tmp_path):
    root = make_project(tmp_path / "project")
    project = load_project(root)
    plan = preprocess_plan(root, project)
    return RoundInputs(
        root, project, plan_next_round(project), plan, settle_training(project, plan)
    )


def test_in_2d_a_few_slices_are_tried_and_their_grid_has_no_others():
    few, geometry = few_slices(slices_of(50), (64, 64))
    assert len(few.images) == few.grid.num_slices == NUM_SLICES
    assert geometry.size == (20, 30, NUM_SLICES)
    assert len(few_slices(slices_of(3), (64, 64))[0].images) == 3


def test_in_3d_a_small_volume_is_tried_whole():
    few, geometry = few_slices(slices_of(50, num_seen=25), (16, 32, 32))
    assert (len(few.images), few.grid.num_slices, few.grid.resampled_slices) == (25, 50, 25)
    assert geometry.size == (20, 30, 50)


def test_in_3d_as_many_slices_of_a_large_volume_are_tried_as_a_window_has():
    few, geometry = few_slices(slices_of(4000, num_seen=2000), (16, 32, 32))
    assert (len(few.images), few.grid.num_slices, few.grid.resampled_slices) == (32, 64, 32)
    assert geometry.size == (20, 30, 64)


@pytest.mark.parametrize(("seconds", "tries"), [(0.5, 2), (7.0, 1)])
def test_short_trial_is_made_again_as_the_first_one_is_slow(inputs, seconds, tries):
    started = []

    def clock():
        started.append(seconds * len(started))
        return started[-1]

    network = make_network(num_classes=SCHEMA.num_classes)
    found, amount = seconds_of_proposal(inputs, slices_of(10), network, CPU, clock)
    assert found == seconds
    assert len(started) == 2 * tries
    copies = inputs.project.config.pseudo_label.num_augmented_copies
    assert amount == copies * NUM_SLICES * 30 * 20


def test_validation_is_one_copy_and_writes_nothing(inputs):
    times = iter((10.0, 13.0))
    network = make_network(num_classes=SCHEMA.num_classes)
    found = seconds_of_validation(inputs, slices_of(10), network, CPU, lambda: next(times))
    assert found == (3.0, NUM_SLICES * 30 * 20)


def test_trial_leaves_the_project_as_it_was(inputs):
    before = sorted(path for path in inputs.root.rglob("*"))
    network = make_network(num_classes=SCHEMA.num_classes)
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    slices = replace(slices_of(10), is_new=True)
    seconds_of_proposal(inputs, slices, network, CPU, lambda: 0.0)
    assert sorted(path for path in inputs.root.rglob("*")) == before
    assert all(bool((network.state_dict()[name] == v).all()) for name, v in weights.items())
