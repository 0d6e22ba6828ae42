"""A project in 3-D: rounds on blocks, in which partial truth is exact, and the way back."""

from dataclasses import replace

import numpy as np
import pytest
from judging import accept, correct
from learning_doubles import CPU, SCHEMA, Listener, grid, make_generator
from small_projects import add_case
from test_whole_round import CONFIG, OBLIQUE_LEFT_HANDED, spied_pool

from PseudoLabelCLLib.command_line.settings import config_from_arguments
from PseudoLabelCLLib.curation.review.plan_round import plan_next_round
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile, PseudoLabelConfig
from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.pretraining_config import Pretraining, PretrainingConfig
from PseudoLabelCLLib.domain.profiles import config_for, in_3d
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.learning.training.sampling import IGNORED_CLASS
from PseudoLabelCLLib.messages.jobs import PredictJob
from PseudoLabelCLLib.pipeline.prediction.apply_model import apply_model
from PseudoLabelCLLib.pipeline.prediction.model_file import read_model
from PseudoLabelCLLib.pipeline.rounds import round_data
from PseudoLabelCLLib.pipeline.rounds.round_data import (
    RoundInputs,
    load_round_data,
    settle_training,
)
from PseudoLabelCLLib.pipeline.rounds.run_round import run_round
from PseudoLabelCLLib.pipeline.slices.case_slices import load_case_slices, preprocess_plan
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

pytestmark = pytest.mark.slow

NUM_SLICES = 14
# slices of the volumes are 2 mm apart, those of the network 3 mm, so that not every slice is seen
IN_3D = replace(
    CONFIG,
    preprocess=replace(
        config_for(Profile.QUICK).preprocess,
        dimension=3, in_plane_spacing_mm=1.5, slice_spacing_mm=3.0, patch_size=(6, 24, 24),
    ),
    network=NetworkConfig(widths=(8,) * 6, embedding_size=4),
    training=replace(
        CONFIG.training,
        supervised=replace(CONFIG.training.supervised, num_steps=40, batch_size=2),
        joint=replace(CONFIG.training.joint, num_steps=6, batch_size=2),
    ),
    pseudo_label=PseudoLabelConfig(num_augmented_copies=2),
)  # fmt: skip
CASES = ("truth", "a", "b", "c")


def ball(number):
    """A ball (label 1) with a core (label 4), as bright as their labels, in an oblique volume."""
    size = (30 + number, 34 - number, NUM_SLICES)
    direction = OBLIQUE_LEFT_HANDED if number % 2 else grid(size).direction
    geometry = grid(size, (1.5, 1.5, 2.0), direction, (10.0 * number, -7.0, 3.0))
    places = np.indices(geometry.array_shape)
    middle = [n * (0.5 + 0.02 * number) for n in geometry.array_shape]
    spacing = geometry.spacing_mm[::-1]
    squared = [((p - m) * mm) ** 2 for p, m, mm in zip(places, middle, spacing, strict=True)]
    distance_mm = np.sqrt(sum(squared))
    labels = np.select([distance_mm < 5, distance_mm < 10], [4, 1], 0).astype(np.int16)
    noise = np.random.default_rng(number).normal(0, 20, labels.shape)
    image = np.select([labels == 4, labels == 1], [950, 550], 100) + noise
    return Volume(image.astype(np.float32), geometry), LabelVolume(labels, geometry)


def put(folder, name, number):
    image, labels = ball(number)
    write_volume(folder / f"{name}.nrrd", image)
    write_segmentation(folder / f"{name}.seg.nrrd", labels, SCHEMA)
    return folder / f"{name}.nrrd", folder / f"{name}.seg.nrrd"


def project_in_3d(folder):
    root, project = folder / "project", Project("balls", SCHEMA, IN_3D)
    create_project(root, project)
    (folder / "data").mkdir()
    for number, name in enumerate(CASES):
        image, segmentation = put(folder / "data", name, number)
        role = CaseRole.UNLABELLED if number else CaseRole.ANNOTATED
        project, _ = add_case(root, project, name, role, image, None if number else segmentation)
    return root, project


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory):
    """A project after round 0 and a review, and what round 1 was made of and left."""
    folder = tmp_path_factory.mktemp("balls")
    root, project = project_in_3d(folder)
    project = run_round(root, project, CPU, Listener())
    after_round_0 = project
    _, truth = ball(1)
    drawn = LabelVolume(truth.array.copy(), project.case("a").geometry)
    write_segmentation(folder / "a.seg.nrrd", drawn, SCHEMA)
    project = correct(root, project, "a", folder / "a.seg.nrrd", slices=(4, 7, 8))
    project = accept(root, project, "b", left_out=(4,))
    return root, after_round_0, project, drawn


def test_plan_and_model_say_how_blocks_are_cut_and_halved(reviewed):
    root, _, project, _ = reviewed
    settled = preprocess_plan(root, project)
    assert (settled.dimension, settled.slice_spacing_mm) == (3, 3.0)
    assert settled.patch_size == (6, 24, 24)
    card = read_model(ProjectLayout(root).model(0)).card
    assert card.network.strides[0] == (1, 2, 2)  # slices are twice as far apart as pixels
    assert all(side % n == 0 for side, n in zip((6, 24, 24), card.network.multiple, strict=True))


def test_proposals_find_the_balls_on_the_grid_of_their_case(reviewed):
    root, project, _, _ = reviewed
    layout = ProjectLayout(root)
    for number, name in enumerate(CASES[1:], start=1):
        found = read_segmentation(layout.proposal(0, name), SCHEMA)[0]
        truth = ball(number)[1]
        assert found.geometry.is_close_to(project.case(name).geometry)
        ours, theirs = found.array > 0, truth.array > 0
        assert 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) > 0.7


def test_every_slice_of_a_volume_has_its_doubt(reviewed):
    root, _, _, _ = reviewed
    for name in CASES[1:]:
        doubt = ProjectLayout(root).doubt(0, name).read_text()
        assert doubt.count(",") >= NUM_SLICES
    assert "slice" in doubt


def drawn_from(root, project, monkeypatch):
    pools = []
    monkeypatch.setattr(round_data, "SlicePool", spied_pool(pools))
    settled = preprocess_plan(root, project)
    inputs = RoundInputs(
        root, project, plan_next_round(project), settled, settle_training(project, settled)
    )
    return load_round_data(inputs, Listener()), pools, settled


def test_exactly_the_slices_that_a_person_confirmed_are_truth_in_blocks(reviewed, monkeypatch):
    root, _, project, drawn = reviewed
    data, (truth, _), settled = drawn_from(root, project, monkeypatch)
    slices = load_case_slices(root, project.case("a"), settled, ())
    sources = slices.grid.sources
    assert len(sources) == 9  # of 14 slices
    (of_a,) = [one for one in truth if np.array_equal(one.images, slices.images)]
    assert [int(sources[n]) for n in of_a.numbers] == [n for n in sources if n in (4, 7, 8)]
    expected = slices.grid.labels_to_network(slices.grid.slices_of(drawn.array))
    index = {0: 0, 1: 1, 4: 2}
    for number in of_a.numbers:
        wanted = np.vectorize(index.get)(expected[number])
        np.testing.assert_array_equal(of_a.classes[number], wanted)
    assert data.has_ignored
    batch = data.truth.draw(200, make_generator())
    known = set()
    for classes in batch.classes.numpy():
        is_known = [bool((one != IGNORED_CLASS).any()) for one in classes]
        known.add(tuple(is_known))
    assert any(not all(pattern) for pattern in known)


def test_confirmed_slices_are_no_pseudo_label_in_blocks(reviewed, monkeypatch):
    root, _, project, _ = reviewed
    data, (_, pseudo), settled = drawn_from(root, project, monkeypatch)
    slices = load_case_slices(root, project.case("a"), settled, ())
    (of_a,) = [one for one in pseudo if np.array_equal(one.images, slices.images)]
    confirmed = [n for n, source in enumerate(slices.grid.sources) if source in (4, 7, 8)]
    assert set(of_a.numbers) == set(range(9)) - set(confirmed)
    assert data.pseudo.has_ignored


def test_structure_left_out_of_a_verdict_is_marginal_in_blocks(reviewed, monkeypatch):
    root, _, project, _ = reviewed
    data, _, _ = drawn_from(root, project, monkeypatch)
    batch = data.truth.draw(60, make_generator())
    assert batch.left_out is not None
    assert set(map(tuple, batch.left_out.tolist())) == {(False, False), (False, True)}


def test_joint_round_goes_on_and_the_model_predicts_what_it_proposed(reviewed, tmp_path):
    root, _, project, _ = reviewed
    project = run_round(root, project, CPU, Listener())
    assert project.latest_round.state is RoundState.IN_REVIEW
    layout = ProjectLayout(root)
    image = layout.resolve(project.case("c").image)
    apply_model(PredictJob(str(layout.model(1)), (str(image),), str(tmp_path / "out")), Listener())
    (found,) = (tmp_path / "out").glob("*.seg.nrrd")
    ours = read_segmentation(found, SCHEMA)[0]
    theirs = read_segmentation(layout.proposal(1, "c"), SCHEMA)[0]
    np.testing.assert_array_equal(ours.array, theirs.array)
    assert ours.geometry.is_close_to(project.case("c").geometry)


def test_pretraining_in_3d_is_refused_in_a_sentence():
    with pytest.raises(ProjectError, match=r"pretraining learns from slices|pre-training learns"):
        replace(IN_3D, pretraining=PretrainingConfig(Pretraining.POSITIONAL))
    with pytest.raises(ProjectError, match=r"pretraining\.method"):
        config_from_arguments("quick", ["preprocess.dimension=3", "pretraining.method=positional"])


def test_typed_dimension_takes_the_profiles_settings_for_3d():
    ours = config_from_arguments("quick", ["preprocess.dimension=3", "training.seed=7"])
    expected = in_3d(config_for(Profile.QUICK))
    assert ours == replace(expected, training=replace(expected.training, seed=7))
    assert expected.training.supervised.batch_size == 2


def test_networks_of_slices_alone_are_refused_in_3d():
    with pytest.raises(ProjectError, match=r"network\.backbone"):
        config_from_arguments("quick", ["preprocess.dimension=3", "network.backbone=basic-unet"])
    with pytest.raises(ProjectError, match="whole_slices"):
        config_from_arguments("paper", ["preprocess.dimension=3"])
