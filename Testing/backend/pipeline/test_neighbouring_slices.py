"""A slice is seen with its neighbours, and nothing else about it changes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from learning_doubles import CPU, SCHEMA, Listener, grid, make_model, training_config
from small_projects import add_case

from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile, PseudoLabelConfig
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.plan_in_words import plan_in_words
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.starting_model import StartingModel
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.pipeline.prediction.apply_model import segment_volume
from PseudoLabelCLLib.pipeline.prediction.model_file import read_model
from PseudoLabelCLLib.pipeline.rounds.run_round import run_round
from PseudoLabelCLLib.pipeline.slices.network_images import network_channels, with_neighbours
from PseudoLabelCLLib.pipeline.slices.slice_grid import slice_grid
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

OBLIQUE = (0.8, 0.6, 0.0, -0.6, 0.8, 0.0, 0.0, 0.0, -1.0)


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("num_slices", [1, 2, 7])
def test_neighbours_follow_their_slice_nearest_first_and_ends_are_repeated(number, num_slices):
    images = np.arange(num_slices, dtype=np.float32)[:, None, None, None] * 10 + np.arange(2)[
        :, None, None
    ].astype(np.float32)
    seen = with_neighbours(np.broadcast_to(images, (num_slices, 2, 3, 3)), number)
    assert seen.shape == (num_slices, 2 * (1 + 2 * number), 3, 3)
    for own in range(num_slices):
        expected = []
        for offset in [0, -1, 1, -2, 2, -3, 3][: 1 + 2 * number]:
            there = min(max(own + offset, 0), num_slices - 1)
            expected += [10 * there, 10 * there + 1]
        assert seen[own, :, 0, 0].tolist() == expected


def test_no_neighbours_are_the_slices_as_they_are():
    images = np.zeros((3, 1, 2, 2), np.float32)
    assert with_neighbours(images, 0) is images


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_neighbours_are_those_along_the_slicing_axis(axis):
    size, spacing = [9, 10, 11], [1.0, 1.0, 1.0]
    geometry = grid(tuple(size), tuple(spacing), OBLIQUE)
    array = np.random.default_rng(0).random(geometry.array_shape).astype(np.float32)
    config = PreprocessConfig(
        slicing_axis=axis, in_plane_spacing_mm=1.0, window_size=(32, 32), neighbouring_slices=1
    )
    volume = Volume(array, geometry)
    where = slice_grid(volume, config)
    alone = network_channels((volume,), where, replace(config, neighbouring_slices=0))
    seen = network_channels((volume,), where, config)
    np.testing.assert_array_equal(seen[:, 0], alone[:, 0])
    np.testing.assert_array_equal(seen[1:, 1], alone[:-1, 0])
    np.testing.assert_array_equal(seen[:-1, 2], alone[1:, 0])


def test_in_3d_there_are_none():
    with pytest.raises(PseudoLabelCLError, match="neighbouring_slices"):
        PreprocessConfig(dimension=3, whole_slices=True, neighbouring_slices=1)
    with pytest.raises(PseudoLabelCLError, match="neighbouring_slices"):
        PreprocessConfig(neighbouring_slices=4)


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, ""), (1, "with 1 neighbouring slice on either side"),
     (2, "with 2 neighbouring slices on either side")],
)  # fmt: skip
def test_plan_says_how_many_are_seen(number, words):
    settled = PreprocessConfig(
        in_plane_spacing_mm=1.0, window_size=(64, 64), neighbouring_slices=number
    )
    told = str(plan_in_words(settled))
    assert words in told
    assert ("neighbouring" in told) is (number > 0)


def test_a_model_with_other_neighbours_is_no_start():
    ours = PreprocessConfig(in_plane_spacing_mm=1.0, window_size=(64, 64))
    theirs = replace(ours, neighbouring_slices=1)
    start = StartingModel(
        fingerprint="a", project="p", round_index=0, structures=("a",), channels=(),
        preprocess=theirs, network=NetworkConfig(),
    )  # fmt: skip
    start.require_fit((), theirs)
    with pytest.raises(PseudoLabelCLError, match="with 1 neighbours on either side"):
        start.require_fit((), ours)


class MiddleOfThree(SegmentationNetwork):
    """Calls a pixel class 1 where the slices before and behind are bright, whatever it is."""

    def __init__(self):
        super().__init__(NetworkConfig(widths=(4,) * 6, embedding_size=4), 2, None, 3)

    def forward(self, images):
        score = 40 * (images[:, 1:2] * images[:, 2:3] - 0.5)
        return torch.cat((torch.zeros_like(score), score), dim=1)


def test_prediction_asks_the_slices_before_and_behind():
    geometry = grid((24, 24, 9), (1.0, 1.0, 1.0), OBLIQUE)
    array = np.zeros(geometry.array_shape, np.float32)
    array[1:8, 6:18, 6:18] = 1
    array[4] = 0  # a gap, which its neighbours fill
    config = PreprocessConfig(
        slicing_axis=2, in_plane_spacing_mm=1.0, window_size=(32, 32), neighbouring_slices=1
    )
    model = make_model(
        MiddleOfThree(), preprocess=config, schema=SCHEMA.__class__.from_values((7,)),
        pseudo_label=PseudoLabelConfig(num_augmented_copies=1),
    )  # fmt: skip
    found = segment_volume(model, (Volume(array, geometry),), CPU, case_id="a")
    labels = found.labels.array
    assert found.labels.geometry == geometry
    inside = [bool((labels[k, 7:17, 7:17] == 7).all()) for k in range(9)]
    # of the first slice the one before is itself; the neighbours of the gap have a dark side
    assert inside == [False, False, True, False, True, False, True, False, False]


def test_a_project_trains_with_neighbours_and_its_model_knows_it(tmp_path):
    quick = config_for(Profile.QUICK)
    config = replace(
        quick,
        preprocess=replace(
            quick.preprocess, in_plane_spacing_mm=1.5, window_size=(32, 32), neighbouring_slices=1
        ),
        network=NetworkConfig(widths=(4,) * 6, embedding_size=4),
        training=training_config(num_steps=2, batch_size=2),
        pseudo_label=PseudoLabelConfig(num_augmented_copies=2),
    )
    root = tmp_path / "project"
    project = Project("p", SCHEMA, config)
    create_project(root, project)
    geometry = grid((30, 28, 6), (1.5, 1.5, 4.0), OBLIQUE)
    rng = np.random.default_rng(0)
    for name, role in (("drawn", CaseRole.ANNOTATED), ("plain", CaseRole.UNLABELLED)):
        image, labels = tmp_path / f"{name}.nrrd", tmp_path / f"{name}.seg.nrrd"
        write_volume(image, Volume(rng.random(geometry.array_shape).astype(np.float32), geometry))
        array = np.zeros(geometry.array_shape, np.int16)
        array[1:4, 8:20, 8:20] = SCHEMA.values[0]
        array[1:4, 10:14, 10:14] = SCHEMA.values[1]
        write_segmentation(labels, LabelVolume(array, geometry), SCHEMA)
        drawn = labels if role is CaseRole.ANNOTATED else None
        project = add_case(root, project, name, role, image, drawn)[0]
    assert project.num_inputs == 3
    for index in range(2):
        project = run_round(root, project, CPU, Listener())
        model = read_model(ProjectLayout(root).model(index))
        assert model.network.num_channels == 3
        assert model.card.preprocess.neighbouring_slices == 1
        assert model.card.num_channels == 1
    proposal = read_segmentation(ProjectLayout(root).proposal(1, "plain"), SCHEMA)[0]
    assert proposal.geometry.size == geometry.size
    assert proposal.geometry.direction == pytest.approx(geometry.direction)
    assert proposal.geometry.origin_mm == pytest.approx(geometry.origin_mm)
