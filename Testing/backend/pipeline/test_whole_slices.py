"""A project whose slices are not cut: trained on patches, predicted whole, at any place."""

import json
from dataclasses import replace

import numpy as np
import pytest
from learning_doubles import CPU, SCHEMA, Listener, grid, make_generator
from test_whole_round import CONFIG, make_project, write_phantom

from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.pretraining_config import (
    GlobalLocalConfig,
    Pretraining,
    PretrainingConfig,
)
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.messages.jobs import PredictJob
from PseudoLabelCLLib.pipeline.prediction.apply_model import apply_model
from PseudoLabelCLLib.pipeline.prediction.model_file import read_model
from PseudoLabelCLLib.pipeline.rounds.pretraining_data import load_pretraining_data
from PseudoLabelCLLib.pipeline.rounds.run_round import run_round
from PseudoLabelCLLib.pipeline.slices.case_slices import load_case_slices, preprocess_plan
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation

pytestmark = pytest.mark.slow

WHOLE = replace(
    CONFIG,
    preprocess=replace(
        config_for(Profile.QUICK).preprocess, in_plane_spacing_mm=1.5, max_window_size=32
    ),
)
PRETRAINED = replace(
    WHOLE,
    pretraining=PretrainingConfig(
        Pretraining.GLOBAL_LOCAL, GlobalLocalConfig(global_steps=2, local_steps=2)
    ),
)


@pytest.fixture(scope="module")
def loop(tmp_path_factory):
    """Two rounds of a project, and what it told."""
    root, project = make_project(tmp_path_factory.mktemp("whole"), WHOLE)
    listener = Listener()
    for _ in range(2):
        project = run_round(root, project, CPU, listener)
    return root, project, listener


def test_plan_has_a_patch_and_no_window(loop):
    root, project, _ = loop
    settled = preprocess_plan(root, project)
    assert (settled.window_size, settled.patch_size) == (None, (32, 32))
    written = json.loads(ProjectLayout(root).preprocess_plan.read_text())
    assert written["resolved"]["patch_size"] == [32, 32]


def test_every_case_keeps_its_own_size(loop):
    root, project, _ = loop
    settled = preprocess_plan(root, project)
    for case in project.cases:
        images = load_case_slices(root, case, settled, ()).images
        columns, rows, num_slices = case.geometry.size
        assert sorted(images.shape) == sorted((num_slices, 1, rows, columns))


def test_proposals_lie_on_the_grid_of_their_case_and_find_the_structures(loop):
    root, project, _ = loop
    assert project.latest_round.state is RoundState.IN_REVIEW
    assert project.latest_round.index == 1
    for case in project.cases_to_propose():
        proposal = read_segmentation(ProjectLayout(root).proposal(1, case.id), SCHEMA)[0]
        assert proposal.geometry.is_close_to(case.geometry)
        assert set(np.unique(proposal.array)) == {0, 1, 4}


def test_model_predicts_what_the_round_proposed(loop, tmp_path):
    root, project, _ = loop
    case = project.case("to wait")
    layout = ProjectLayout(root)
    model = layout.model(1)
    assert read_model(model).card.preprocess.patch_size == (32, 32)
    job = PredictJob(str(model), (str(layout.resolve(case.image)),), str(tmp_path / "out"))
    apply_model(job, Listener())
    (found,) = (tmp_path / "out").glob("*.seg.nrrd")
    ours = read_segmentation(found, SCHEMA)[0]
    theirs = read_segmentation(layout.proposal(1, case.id), SCHEMA)[0]
    np.testing.assert_array_equal(ours.array, theirs.array)


def test_model_predicts_a_slice_far_larger_than_any_it_has_seen(loop, tmp_path):
    root, _, _ = loop
    image, _ = write_phantom(tmp_path, "wide", 9, grid((200, 90, 5), (1.5, 1.5, 6.0)))
    job = PredictJob(str(ProjectLayout(root).model(1)), (str(image),), str(tmp_path / "out"))
    apply_model(job, Listener())
    (found,) = (tmp_path / "out").glob("*.seg.nrrd")
    assert read_segmentation(found, SCHEMA)[0].geometry.size == (200, 90, 5)


def test_pretraining_sees_the_middle_of_every_slice(tmp_path):
    root, project = make_project(tmp_path, PRETRAINED, has_validation=False)
    settled = preprocess_plan(root, project)
    data = load_pretraining_data(root, project, settled, Listener())
    assert data.volumes.window_shape == (32, 32)
    images = load_case_slices(root, project.case("to wait"), settled, ()).images
    row, column = ((size - 31) // 2 for size in images.shape[2:])
    middle = images[:, 0, row : row + 32, column : column + 32]
    drawn = data.volumes.draw(25, make_generator()).images[:, 0].numpy()  # all there are
    for one in middle:
        assert any(np.array_equal(one, other) for other in drawn)
