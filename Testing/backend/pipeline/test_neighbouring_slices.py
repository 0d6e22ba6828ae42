"""Slices that the network sees together with their neighbours."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from learning_doubles import (
    CPU,
    SCHEMA,
    Listener,
    grid,
    make_generator,
    make_network,
    model_card,
    phantom_slices,
)
from test_slice_turn import WAYS_TO_STORE, settled, stored
from test_whole_round import CONFIG, make_project, review

from PseudoLabelCLLib.curation.review.plan_round import plan_next_round
from PseudoLabelCLLib.domain.errors import ModelFileError, ProjectError
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.pretraining_config import (
    GlobalLocalConfig,
    PositionalConfig,
    Pretraining,
    PretrainingConfig,
)
from PseudoLabelCLLib.domain.reporting import Cancelled
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.domain.starting_model import StartingModel
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.learning.training.patches import Patches
from PseudoLabelCLLib.learning.training.sampling import LabelledSlices, SlicePool
from PseudoLabelCLLib.pipeline.prediction.apply_model import segment_volume
from PseudoLabelCLLib.pipeline.prediction.model_file import TrainedModel, read_model, write_model
from PseudoLabelCLLib.pipeline.rounds.initial_network import initial_network
from PseudoLabelCLLib.pipeline.rounds.pretrain import pretrain
from PseudoLabelCLLib.pipeline.rounds.round_data import RoundInputs
from PseudoLabelCLLib.pipeline.rounds.run_round import run_round
from PseudoLabelCLLib.pipeline.slices.case_slices import load_case_slices, preprocess_plan
from PseudoLabelCLLib.pipeline.slices.neighbouring_slices import kept_slices, with_neighbours
from PseudoLabelCLLib.pipeline.slices.network_images import network_channels
from PseudoLabelCLLib.pipeline.slices.slice_grid import slice_grid
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation
from PseudoLabelCLLib.storage.volume_io import read_volume, write_volume

AS_STORED = PreprocessConfig(neighbouring_slices=1)
UPRIGHT = ((0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
FEET_FIRST = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CONFIG_WITH_ONE = replace(CONFIG, preprocess=replace(CONFIG.preprocess, neighbouring_slices=1))


def numbered(num_slices, first=0):
    """Slices of 32 x 32 pixels, all as bright as their number."""
    numbers = first + np.arange(num_slices, dtype=np.float32)
    return np.broadcast_to(numbers[:, None, None], (num_slices, 32, 32)).copy()


def seen(images, geometry, config):
    return with_neighbours(kept_slices(images, geometry, config), geometry, config)


def brightness(slices):
    """The brightness of each channel of slices that are uniform."""
    return slices[:, :, 0, 0].astype(int).tolist()


def test_a_slice_stands_between_its_neighbours_and_the_last_ones_for_those_beyond():
    found = seen([numbered(4)], grid((32, 32, 4)), AS_STORED)
    assert brightness(found) == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]]
    two = seen([numbered(4)], grid((32, 32, 4)), replace(AS_STORED, neighbouring_slices=2))
    assert brightness(two)[1] == [0, 0, 1, 2, 3]


def test_all_images_of_a_patient_come_with_their_neighbours():
    images = [numbered(3), numbered(3, first=10)]
    found = seen(images, grid((32, 32, 3)), AS_STORED)
    assert brightness(found)[1] == [0, 10, 1, 11, 2, 12]


def test_a_volume_of_one_slice_is_its_own_neighbour():
    assert brightness(seen([numbered(1, first=7)], grid((32, 32, 1)), AS_STORED)) == [[7, 7, 7]]


def test_neighbours_are_a_view_of_what_is_kept():
    config = replace(AS_STORED, slice_directions=UPRIGHT)
    for geometry in (grid((32, 32, 4)), grid((32, 32, 4), direction=FEET_FIRST)):
        kept = kept_slices([numbered(4), numbered(4)], geometry, config)
        assert np.shares_memory(kept, with_neighbours(kept, geometry, config))
        assert len(kept) == 6


@pytest.mark.parametrize("way", WAYS_TO_STORE)
def test_neighbours_come_in_the_order_of_the_patient_however_a_volume_is_stored(way):
    reference, volume = stored("LPS"), stored(way)
    config = settled(reference, reference, volume, neighbouring_slices=1)

    def slices_of(one):
        kept = network_channels([one], slice_grid(one, config), config)
        found = with_neighbours(kept, one.geometry, config)
        return found if one.geometry.direction_matrix[2, 2] > 0 else found[::-1]

    assert slices_of(reference).shape == (4, 3, 32, 32)
    np.testing.assert_allclose(slices_of(volume), slices_of(reference), atol=1e-6)


def test_order_is_as_stored_where_slices_are_not_turned():
    reference, other = stored("LPS"), stored("LPI")
    config = settled(reference, other, turn_slices=False, neighbouring_slices=1)
    assert not config.runs_backwards(other.geometry)


@pytest.mark.parametrize("patches", [None, Patches((32, 32), 0.5)])
@pytest.mark.parametrize("is_resident", [False, True])
def test_only_the_truth_of_the_slice_in_the_middle_counts(patches, is_resident):
    config = replace(AS_STORED, slice_directions=UPRIGHT)
    geometry = grid((32, 32, 9), direction=FEET_FIRST)
    assert config.runs_backwards(geometry)
    images = seen([numbered(9)], geometry, config)
    classes = numbered(9).astype(np.uint8)  # each slice shows a class of its own
    pool = SlicePool([LabelledSlices(images, classes, np.array([2, 5]))], 10, patches)
    if is_resident and patches is None:
        pool._resident = pool._copied_to(pool._device)
    batch = pool.draw(40, make_generator())
    drawn = {
        (tuple(int(one) for one in channels), int(truth.unique()))
        for channels, truth in zip(batch.images[:, :, 0, 0], batch.classes, strict=True)
    }
    assert drawn == {((3, 2, 1), 2), ((6, 5, 4), 5)}


@pytest.mark.parametrize(("number", "dimension"), [(-1, 2), (4, 2), (1, 3)])
def test_settings_that_cannot_be_are_refused(number, dimension):
    with pytest.raises(ProjectError, match="neighbouring_slices"):
        PreprocessConfig(whole_slices=True, dimension=dimension, neighbouring_slices=number)


def card_with(number, **changes):
    card = model_card()
    return replace(
        card,
        preprocess=replace(card.preprocess, neighbouring_slices=number),
        training=replace(card.training, **changes),
    )


def test_a_model_file_whose_weights_see_other_neighbours_is_refused(tmp_path):
    write_model(tmp_path / "a.plcl", make_network(num_channels=3), card_with(1))
    assert read_model(tmp_path / "a.plcl").network.num_channels == 3
    write_model(tmp_path / "b.plcl", make_network(num_channels=3), card_with(2))
    with pytest.raises(ModelFileError):
        read_model(tmp_path / "b.plcl")


@pytest.mark.parametrize(
    ("distance_mm", "number", "is_unlike"),
    [(5.0, 1, False), (9.0, 1, False), (2.6, 1, False), (13.0, 1, True), (2.0, 1, True),
     (13.0, 0, False)],
)  # fmt: skip
def test_a_volume_whose_slices_lie_at_another_distance_is_told(distance_mm, number, is_unlike):
    card = card_with(number, slice_spacing_mm=(5.0, 6.0))
    model = TrainedModel(make_network(num_channels=2 * number + 1), card)
    reason = model.unlike_training(grid((20, 20, 5), (1.0, 1.0, distance_mm)))
    assert bool(reason) is is_unlike
    assert not is_unlike or "5 to 6 mm" in reason


def test_a_model_that_sees_other_neighbours_starts_no_project():
    card = card_with(1)
    start = StartingModel(
        "hearts", 0, "0", SCHEMA.names, (), card.network, card.preprocess, num_pretrained_on=0
    )
    start.require_fit((), card.preprocess)
    with pytest.raises(ProjectError, match="neighbouring slices") as refused:
        start.require_fit((), replace(card.preprocess, neighbouring_slices=0))
    assert "neighbouring_slices to 1" in str(refused.value.remedy)


@pytest.fixture(scope="module")
def loop(tmp_path_factory):
    """Round 0 and a review, then round 1 in one go and in a copy that was interrupted in it."""
    folder = tmp_path_factory.mktemp("neighbours")
    root, project = make_project(folder, CONFIG_WITH_ONE)
    review(root, run_round(root, project, CPU, Listener()), folder)
    copied = folder / "copied"
    shutil.copytree(root, copied)
    listener = Listener()
    run_round(root, load_project(root), CPU, listener)
    with pytest.raises(Cancelled):
        run_round(copied, load_project(copied), CPU, Listener("Round 1: training", 13))
    run_round(copied, load_project(copied), CPU, Listener())
    return root, copied, listener


@pytest.mark.slow
def test_cases_are_kept_once_and_seen_with_their_neighbours(loop):
    root, project = loop[0], load_project(loop[0])
    config = preprocess_plan(root, project)
    for case in project.cases:
        images = load_case_slices(root, case, config, ()).images
        assert images.shape == (5, 3, 64, 64)
        before, after = (2, 0) if config.runs_backwards(case.geometry) else (0, 2)
        np.testing.assert_array_equal(images[1:, before], images[:-1, 1])
        np.testing.assert_array_equal(images[:-1, after], images[1:, 1])
        kept = np.load(ProjectLayout(root).preprocessed(case.id) / "images.npy")
        assert kept.shape == (7, 1, 64, 64)


@pytest.mark.slow
def test_proposals_find_the_structures_on_the_grid_of_their_case(loop):
    root, project = loop[0], load_project(loop[0])
    assert project.latest_round.state is RoundState.IN_REVIEW
    for case in project.cases_to_propose():
        proposal = read_segmentation(ProjectLayout(root).proposal(1, case.id), SCHEMA)[0]
        assert proposal.geometry.is_close_to(case.geometry)
        assert set(np.unique(proposal.array)) == {0, 1, 4}


@pytest.mark.slow
def test_an_interrupted_round_ends_like_an_uninterrupted_one(loop):
    ours, theirs = (
        read_model(ProjectLayout(root).model(1)).network.state_dict() for root in loop[:2]
    )
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


@pytest.mark.slow
def test_round_says_that_the_network_sees_neighbours(loop):
    told = [str(text) for text, _ in loop[2].notices]
    assert any("with 1 neighbouring slice on each side" in text for text in told)


@pytest.mark.slow
def test_model_predicts_what_the_round_proposed_and_a_single_slice(loop, tmp_path):
    root, project = loop[0], load_project(loop[0])
    layout = ProjectLayout(root)
    single, one_slice = tmp_path / "single.nrrd", 1000 * phantom_slices(1, (70, 50)).images[:, 0]
    write_volume(single, Volume(one_slice, grid((50, 70, 1), (1.5, 1.5, 6.0))))
    images = (layout.resolve(project.case("to wait").image), single)
    model = read_model(layout.model(1))
    ours, alone = (
        segment_volume(model, [read_volume(image)], CPU, case_id="one").labels for image in images
    )
    theirs = read_segmentation(layout.proposal(1, "to wait"), SCHEMA)[0]
    np.testing.assert_array_equal(ours.array, theirs.array)
    assert alone.geometry.size == (50, 70, 1)
    assert set(np.unique(alone.array)) == {0, 1, 4}


@pytest.mark.slow
@pytest.mark.parametrize("method", [Pretraining.GLOBAL_LOCAL, Pretraining.POSITIONAL])
def test_pretraining_hands_over_a_network_that_sees_neighbours(method, tmp_path):
    settings = PretrainingConfig(
        method,
        GlobalLocalConfig(global_steps=2, local_steps=2, num_partitions=2),
        PositionalConfig(num_steps=2, batch_size=4),
    )
    config = replace(CONFIG_WITH_ONE, pretraining=settings)
    root, project = make_project(tmp_path, config, has_validation=False)
    preprocess = preprocess_plan(root, project)
    pretrain(root, project, preprocess, CPU, Listener())
    model = read_model(ProjectLayout(root).pretrained_model)
    assert (model.network.num_channels, model.card.preprocess.neighbouring_slices) == (3, 1)
    plan = plan_next_round(project)
    inputs = RoundInputs(root, project, plan, preprocess, project.config.training)
    first = initial_network(inputs, 0).backbone.state_dict()
    pretrained = model.network.backbone.state_dict()
    names = [name for name in first if first[name].ndim == 4 and first[name].shape[1] == 3]
    assert names
    assert all(torch.equal(first[name], pretrained[name]) for name in names)
