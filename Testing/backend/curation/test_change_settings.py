"""The command `set`: what it shows, what it changes and from when on, what it refuses."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from a_service import LABELS, QUICKEST, Service, contents, voxels

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.curation.cases.settings import named_values
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.storage.project.pretraining_record import (
    PretrainingRecord,
    pretraining_settings,
    write_pretraining,
)
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_lock import project_lock
from PseudoLabelCLLib.storage.project.project_store import load_project, save_round


@pytest.fixture
def a_service(tmp_path):
    """A service with a project before round 0."""
    service = Service(tmp_path)
    service.write("v.nii.gz", voxels())
    given = ["create", service.project, "--unlabelled", str(service.path("v.nii.gz"))]
    assert main([*given, "--labels", LABELS, *QUICKEST]) == 0
    return service


def config_of(service):
    return load_project(Path(service.project)).config


def in_state(service, *states):
    for index, state in enumerate(states):
        save_round(Path(service.project), Round(index, state))


def told_by(service, capfd, *arguments, code=0):
    capfd.readouterr()
    assert main(["set", service.project, *arguments]) == code
    out, err = capfd.readouterr()
    return err if code else out


# --- show ---


def test_without_values_what_differs_from_the_profile_is_shown(a_service, capfd):
    told = json.loads(told_by(a_service, capfd, "--json"))
    config, quick = config_of(a_service), config_for(Profile.QUICK)
    assert told["training.joint.num_steps"] == 2
    assert told["preprocess.window_size"] == [32, 32]
    assert "training.seed" not in told
    assert replace(config, training=quick.training) != quick
    lines = told_by(a_service, capfd).splitlines()
    assert lines[0].split() == ["setting", "value", "in", "'quick'"]
    assert ["training.joint.num_steps", "2", "400"] in [line.split() for line in lines]


def test_all_settings_are_shown_if_asked(a_service, capfd):
    told = json.loads(told_by(a_service, capfd, "--all", "--json"))
    assert told == named_values(config_of(a_service))
    assert told["profile"] == "quick"


def test_project_with_the_profile_itself_has_nothing_to_show(a_service, capfd):
    given = ["create", a_service.new, "--unlabelled", str(a_service.path("v.nii.gz"))]
    assert main([*given, "--labels", LABELS]) == 0
    capfd.readouterr()
    assert main(["set", a_service.new]) == 0
    assert "All settings are those of the profile 'quick'" in capfd.readouterr().out


def test_typed_value_of_every_setting_gives_the_same_setting(a_service, capfd):
    shown = json.loads(told_by(a_service, capfd, "--all", "--json"))
    typed = [f"{name}={json.dumps(value)}" for name, value in shown.items()]
    before = config_of(a_service)
    assert told_by(a_service, capfd, *typed) == "Nothing changes.\n"
    assert config_of(a_service) == before


# --- change ---


def test_changed_setting_is_stored_and_told(a_service, capfd):
    before = config_of(a_service)
    told = told_by(a_service, capfd, "training.seed=7", "preprocess.crop=foreground")
    assert "training.seed: 0 -> 7" in told
    assert "preprocess.crop: center -> foreground" in told
    assert "from round 0 on" in told
    after = config_of(a_service)
    assert (after.training.seed, after.preprocess.crop.value) == (7, "foreground")
    assert replace(
        after,
        training=replace(after.training, seed=0),
        preprocess=before.preprocess,
    ) == before  # fmt: skip


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ([RoundState.IN_REVIEW], "from round 1 on"),
        ([RoundState.CLOSED, RoundState.CLOSED], "from round 2 on"),
        ([RoundState.CLOSED, RoundState.PSEUDO_LABELLING], "from round 2 on"),
        ([RoundState.TRAINING], "Round 0 was interrupted; it starts again"),
        ([RoundState.CLOSED, RoundState.TRAINING], "Round 1 was interrupted; it starts again"),
    ],
)
def test_it_is_said_from_when_on_a_change_counts(a_service, states, words, capfd):
    in_state(a_service, *states)
    assert words in told_by(a_service, capfd, "training.joint.num_steps=5")
    assert config_of(a_service).training.joint.num_steps == 5


def test_pretraining_done_with_other_settings_is_told(a_service, capfd):
    root = Path(a_service.project)
    told_by(a_service, capfd, "pretraining.method=positional")
    project = load_project(root)
    settings = pretraining_settings(project)
    record = PretrainingRecord(
        settings, project.config.preprocess, ("v",), (), (), 0, (), (), "a CPU", 1.0, ""
    )
    write_pretraining(root, record)
    ProjectLayout(root).pretrained_weights.write_bytes(b"weights")
    assert "pre-training" not in told_by(a_service, capfd, "training.joint.num_steps=3")
    assert "is no longer used" in told_by(a_service, capfd, "training.seed=3")


def test_changed_seed_does_not_undo_a_pretraining_that_round_0_used(a_service, capfd):
    test_pretraining_done_with_other_settings_is_told(a_service, capfd)
    in_state(a_service, RoundState.IN_REVIEW)
    assert "pre-training" not in told_by(a_service, capfd, "training.seed=4")
    capfd.readouterr()
    assert main(["status", a_service.project, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["pretraining"]["is_done"] is True


# --- refuse ---


@pytest.mark.parametrize(
    ("states", "typed", "words"),
    [
        ([], "training.sed=1", "setting 'training.sed' does not exist"),
        ([], "training.seed", "'training.seed' is not a valid setting"),
        ([], "training.seed=soon", "a whole number"),
        ([], "preprocess.slicing_axis=7", "0, 1, 2"),
        ([], "profile=paper", "'profile' names what the project was made from"),
        ([RoundState.TRAINING], "preprocess.crop=foreground", "round 0 has begun"),
        ([RoundState.IN_REVIEW], "network.embedding_size=8", "round 0 has been trained"),
        (
            [RoundState.PSEUDO_LABELLING],
            "pretraining.method=positional",
            "round 0 has been trained",
        ),
        ([RoundState.CLOSED, RoundState.TRAINING], "network.embedding_size=8", "has been trained"),
        ([RoundState.PSEUDO_LABELLING], "pseudo_label.min_agreement=0.9", "makes its proposals"),
    ],
)
def test_what_cannot_change_is_refused_with_all_that_stands_beside_it(
    a_service, states, typed, words, capfd
):
    in_state(a_service, *states)
    on_disk = contents(a_service.project)
    assert words in told_by(a_service, capfd, "training.joint.num_steps=9", typed, code=1)
    assert contents(a_service.project) == on_disk


def test_dimension_is_chosen_when_a_project_is_created(a_service, capfd):
    given = ["create", a_service.new, "--unlabelled", str(a_service.path("v.nii.gz"))]
    assert main([*given, "--labels", LABELS]) == 0
    capfd.readouterr()
    assert main(["set", a_service.new, "preprocess.dimension=3"]) == 1
    assert "'preprocess.dimension' decides how large the network" in capfd.readouterr().err


def test_network_can_change_while_round_0_is_interrupted(a_service, capfd):
    in_state(a_service, RoundState.TRAINING)
    assert "starts again" in told_by(a_service, capfd, "network.embedding_size=8")
    assert config_of(a_service).network.embedding_size == 8


def test_all_together_with_a_value_is_refused(a_service, capfd):
    assert "--all" in told_by(a_service, capfd, "training.seed=1", "--all", code=1)


def test_project_that_is_open_elsewhere_can_be_looked_at_but_not_changed(a_service, capfd):
    with project_lock(ProjectLayout(Path(a_service.project)).lock, "Slicer"):
        assert "in use by Slicer" in told_by(a_service, capfd, "training.seed=1", code=1)
        assert "num_steps" in told_by(a_service, capfd)
