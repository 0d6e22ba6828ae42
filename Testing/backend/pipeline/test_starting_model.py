"""A project whose round 0 starts from the model of another project."""

from dataclasses import replace

import pytest
import torch
from a_service import TINY, write_tiny_model
from learning_doubles import CPU, Listener
from small_projects import SCHEMA, make_project, write_drawing, write_image

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.curation.cases.change_labels import change_labels
from PseudoLabelCLLib.curation.cases.starting_model import start_afresh, start_from_model
from PseudoLabelCLLib.curation.review.plan_round import plan_next_round
from PseudoLabelCLLib.domain.errors import ProjectDamagedError, ProjectError, TrainingError
from PseudoLabelCLLib.domain.pretraining_config import Pretraining
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.pipeline.prediction.model_file import read_model
from PseudoLabelCLLib.pipeline.rounds.initial_network import initial_network
from PseudoLabelCLLib.pipeline.rounds.round_data import RoundInputs
from PseudoLabelCLLib.pipeline.rounds.run_round import run_round
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project, save_cases, save_round

OUTPUT_LAYERS = ("segmentation_head.", "classifier.")
QUICKEST = {
    "training.supervised.num_steps": 2,
    "training.validations_per_round": 1,
}


@pytest.fixture
def a_model(tmp_path):
    path = tmp_path / "colon.plcl"
    write_tiny_model(path)
    return path


@pytest.fixture
def a_root(tmp_path):
    return make_project(tmp_path / "project", num_unlabelled=1)


def inputs_of(root, **changes):
    project = load_project(root)
    preprocess = replace(
        project.preprocess, in_plane_spacing_mm=1.5, window_size=(32, 32), **changes
    )
    return RoundInputs(root, project, plan_next_round(project), preprocess, project.config.training)


def unlike(one, other):
    """Names of the weights in which two networks differ."""
    pairs = zip(one.state_dict().items(), other.state_dict().values(), strict=True)
    return {name for (name, a), b in pairs if a.shape != b.shape or not torch.equal(a, b)}


def test_round_0_starts_with_all_weights_where_the_structures_are_the_same(a_root, a_model):
    project = start_from_model(a_root, load_project(a_root), a_model)
    assert project == load_project(a_root)
    network = initial_network(inputs_of(a_root), seed=3)
    assert unlike(network, read_model(a_model).network) == set()
    assert project.start.sentence(SCHEMA) == (
        "Round 0 starts from the model of round 0 of 'hearts'."
    )


def test_its_names_not_their_values_tell_the_same_structures(a_root, tmp_path):
    other = LabelSchema(
        tuple(replace(label, value=10 * label.value, name=label.name.upper()) for label in SCHEMA)
    )
    write_tiny_model(tmp_path / "other.plcl", other)
    project = start_from_model(a_root, load_project(a_root), tmp_path / "other.plcl")
    assert project.start.segments_the_same(SCHEMA)


def test_output_layers_are_new_for_other_structures(a_root, tmp_path):
    path = tmp_path / "other.plcl"
    write_tiny_model(path, LabelSchema.from_values((5, 6, 7)))
    project = start_from_model(a_root, load_project(a_root), path)
    network = initial_network(inputs_of(a_root), seed=3)
    changed = unlike(network, read_model(path).network)
    assert {name.partition(".")[0] for name in changed} == {"segmentation_head", "classifier"}
    again = initial_network(inputs_of(a_root), seed=3)
    assert unlike(network, again) == set()
    assert "label 5, label 6, label 7" in project.start.sentence(SCHEMA)


def test_network_takes_the_shape_of_the_models(a_root, a_model):
    before = load_project(a_root).config
    after = start_from_model(a_root, load_project(a_root), a_model).config
    assert before.network.widths != TINY.widths
    assert after.network.widths == TINY.widths
    assert after == replace(before, network=after.network)


def test_the_project_keeps_its_own_copy(a_root, a_model):
    start_from_model(a_root, load_project(a_root), a_model)
    a_model.unlink()
    assert initial_network(inputs_of(a_root), seed=0) is not None


@pytest.mark.parametrize("happened", ["gone", "another"])
def test_a_copy_that_is_not_the_chosen_model_is_refused(a_root, a_model, happened):
    start_from_model(a_root, load_project(a_root), a_model)
    copy = ProjectLayout(a_root).starting_model
    if happened == "gone":
        copy.unlink()
    else:
        write_tiny_model(copy, LabelSchema.from_values((9,)))
    with pytest.raises(ProjectDamagedError, match="Choose the model again"):
        initial_network(inputs_of(a_root), seed=0)


def test_a_model_of_other_channels_is_refused_and_nothing_changes(a_root, a_model):
    project = replace(load_project(a_root), channels=("FLAIR", "T1"), cases=())
    save_cases(a_root, project)
    with pytest.raises(ProjectError, match=r"sees one unnamed image .* has FLAIR, T1"):
        start_from_model(a_root, project, a_model)
    assert load_project(a_root).start is None
    assert not ProjectLayout(a_root).starting_model.exists()


@pytest.mark.parametrize(
    ("pixel_mm", "fits"), [(0.8, True), (2.9, True), (0.7, False), (3.1, False)]
)
def test_a_model_of_much_larger_or_smaller_pixels_is_refused(a_root, a_model, pixel_mm, fits):
    project = load_project(a_root)
    preprocess = replace(project.config.preprocess, in_plane_spacing_mm=pixel_mm)
    project = replace(project, config=replace(project.config, preprocess=preprocess))
    if fits:
        assert start_from_model(a_root, project, a_model).start is not None
    else:
        with pytest.raises(ProjectError, match=f"pixels of 1.5 mm; .* pixels of {pixel_mm} mm"):
            start_from_model(a_root, project, a_model)


def test_pixels_are_compared_again_once_the_grid_is_settled(a_root, a_model):
    start_from_model(a_root, load_project(a_root), a_model)
    inputs = inputs_of(a_root)
    inputs = replace(inputs, preprocess=replace(inputs.preprocess, in_plane_spacing_mm=4.0))
    with pytest.raises(ProjectError, match="pixels of 4 mm"):
        initial_network(inputs, seed=0)


def test_a_network_in_3d_does_not_start_from_a_model(a_root, a_model):
    project = load_project(a_root)
    preprocess = replace(project.config.preprocess, dimension=3)
    project = replace(project, config=replace(project.config, preprocess=preprocess))
    with pytest.raises(ProjectError, match="2-D"):
        start_from_model(a_root, project, a_model)


def test_settings_that_no_longer_fit_the_model_are_told(a_root, a_model):
    project = start_from_model(a_root, load_project(a_root), a_model)
    wider = replace(project.config.network, widths=(8,) * 6)
    save_cases(a_root, replace(project, config=replace(project.config, network=wider)))
    with pytest.raises(ProjectError, match="no longer fit the model"):
        initial_network(inputs_of(a_root), seed=0)


def test_pre_training_and_a_model_exclude_each_other(a_root, a_model):
    project = load_project(a_root)
    method = replace(project.config.pretraining, method=Pretraining.POSITIONAL)
    with_method = replace(project.config, pretraining=method)
    with pytest.raises(ProjectError, match=r"pretraining\.method=none"):
        start_from_model(a_root, replace(project, config=with_method), a_model)
    project = start_from_model(a_root, project, a_model)
    both = replace(project, config=replace(project.config, pretraining=method))
    save_cases(a_root, both)
    with pytest.raises(TrainingError, match="Choose one of the two"):
        run_round(a_root, both, CPU, Listener())


def test_what_a_round_started_from_cannot_be_changed(a_root, a_model):
    save_round(a_root, Round(0, RoundState.TRAINING))
    for choose in (lambda *known: start_from_model(*known, a_model), start_afresh):
        with pytest.raises(ProjectError, match="Round 0 has begun"):
            choose(a_root, load_project(a_root))


def test_starting_afresh_takes_the_copy_away(a_root, a_model):
    start_afresh(a_root, start_from_model(a_root, load_project(a_root), a_model))
    assert load_project(a_root).start is None
    assert not ProjectLayout(a_root).starting_model.exists()
    assert initial_network(inputs_of(a_root), seed=0).config.widths == TINY.widths


def test_structures_may_change_after_the_model_was_chosen(a_root, a_model):
    project = start_from_model(a_root, load_project(a_root), a_model)
    renamed = tuple(replace(label, name=f"new {label.name}") for label in SCHEMA)
    change_labels(a_root, project, LabelSchema(renamed))
    network = initial_network(inputs_of(a_root), seed=3)
    assert all(
        name.startswith(OUTPUT_LAYERS) for name in unlike(network, read_model(a_model).network)
    )


@pytest.mark.slow
def test_round_0_says_where_it_started_and_so_does_its_model(tmp_path, a_model, capsys):
    image, drawing = write_image(tmp_path / "one.nrrd"), write_drawing(tmp_path / "one.seg.nrrd")
    root = tmp_path / "project"
    words = ["create", root, "--annotated", image, drawing, "--start-from", a_model]
    for name, value in QUICKEST.items():
        words += ["--set", f"{name}={value}"]
    assert main([str(word) for word in words]) == 0
    assert main(["start-from", str(root)]) == 0
    assert "Round 0 starts from the model of round 0 of 'hearts'." in capsys.readouterr().out
    listener = Listener()
    run_round(root, load_project(root), CPU, listener)
    sentence = "Round 0 starts from the model of round 0 of 'hearts'."
    assert sentence in [text for text, _ in listener.notices]
    assert read_model(ProjectLayout(root).model(0)).card.training.started_from == sentence


def test_nothing_is_created_from_a_model_that_does_not_fit(tmp_path, a_model, capsys):
    image, drawing = write_image(tmp_path / "one.nrrd"), write_drawing(tmp_path / "one.seg.nrrd")
    words = ["create", "project", "--annotated", image, drawing, "--start-from", a_model]
    words += ["--set", "preprocess.in_plane_spacing_mm=5"]
    words[1] = tmp_path / "project"
    assert main([str(word) for word in words]) == 1
    assert "pixels of 1.5 mm" in capsys.readouterr().err
    assert not (tmp_path / "project").exists()


def test_the_command_chooses_and_forgets_a_model(a_root, a_model, capsys):
    assert main(["start-from", str(a_root)]) == 0
    assert main(["start-from", str(a_root), str(a_model)]) == 0
    assert main(["start-from", str(a_root), "--afresh"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Round 0 starts from random weights.",
        "Round 0 starts from the model of round 0 of 'hearts'.",
        "Round 0 starts from random weights.",
    ]
