"""Checkpoints and weights on disk: whole, refused in words, and never executed."""

import pickle
from dataclasses import replace

import pytest
import torch
from learning_doubles import CPU, NUM_CLASSES, TINY, make_network, training_config

from PseudoLabelCLLib.domain.errors import ModelFileError, ProjectDamagedError
from PseudoLabelCLLib.domain.network_config import Backbone, NetworkConfig
from PseudoLabelCLLib.learning import checkpoint
from PseudoLabelCLLib.learning.checkpoint import (
    load_moments,
    moments_of,
    network_from_bytes,
    read_checkpoint,
    restore,
    save_checkpoint,
    save_moments,
    weights_to_bytes,
)
from PseudoLabelCLLib.learning.networks import network as network_module
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.training.training import start_training

DEVICE = torch.device("cpu")


class Trap:
    """Unpickling it would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.fixture
def a_state():
    return start_training(make_network(), training_config().supervised, CPU, seed=1)


def test_notes_come_back_as_they_were(a_state, tmp_path):
    notes = {"identity": "x", "curve": [{"step": 1, "dice": None}], "best": {"w": torch.ones(2)}}
    save_checkpoint(tmp_path / "checkpoint.pt", a_state, notes)
    content = read_checkpoint(tmp_path / "checkpoint.pt", DEVICE)["notes"]
    assert content["curve"] == notes["curve"]
    assert torch.equal(content["best"]["w"], torch.ones(2))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def step_of(state, seed):
    """Let the optimiser take one step down the same gradients for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in state.network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    state.optimizer.step()


def test_an_optimiser_goes_on_with_the_moments_of_a_file_as_if_it_had_never_ended(
    a_state, tmp_path
):
    step_of(a_state, 1)
    save_moments(tmp_path / "moments.pt", moments_of(a_state.optimizer))
    stage = training_config().supervised
    other = start_training(make_network(), stage, CPU, seed=2)
    other.network.load_state_dict(a_state.network.state_dict())
    load_moments(tmp_path / "moments.pt", other.optimizer)
    for state in (a_state, other):
        step_of(state, 2)
    pairs = zip(a_state.network.parameters(), other.network.parameters(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_taken_moments_do_not_change_with_later_steps(a_state):
    step_of(a_state, 1)
    taken = moments_of(a_state.optimizer)
    before = taken["state"][0]["exp_avg"].clone()
    step_of(a_state, 2)
    assert torch.equal(taken["state"][0]["exp_avg"], before)


def test_moments_leave_the_rate_and_the_weight_decay_of_the_settings(a_state, tmp_path):
    step_of(a_state, 1)
    save_moments(tmp_path / "moments.pt", moments_of(a_state.optimizer))
    stage = replace(training_config().supervised, learning_rate=0.25, weight_decay=0.125)
    other = start_training(make_network(), stage, CPU, seed=2)
    load_moments(tmp_path / "moments.pt", other.optimizer)
    (group,) = other.optimizer.param_groups
    assert (group["lr"], group["weight_decay"]) == (0.25, 0.125)


def test_damaged_moments_and_those_of_another_network_are_told_with_what_to_do(a_state, tmp_path):
    path = tmp_path / "moments.pt"
    path.write_bytes(b"no moments")
    with pytest.raises(ProjectDamagedError, match="starts with new moments"):
        load_moments(path, a_state.optimizer)
    widths = (8, *TINY.widths[1:])
    wider = SegmentationNetwork(
        replace(TINY, widths=widths), NUM_CLASSES, torch.Generator().manual_seed(0)
    )
    other = start_training(wider, training_config().supervised, CPU, seed=1)
    step_of(other, 1)
    save_moments(path, moments_of(other.optimizer))
    with pytest.raises(ProjectDamagedError, match="starts with new moments"):
        load_moments(path, a_state.optimizer)
    assert not a_state.optimizer.state


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut short"])
def test_damaged_checkpoint_is_told_with_what_to_do(content, tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content)
    with pytest.raises(ProjectDamagedError, match="starts again from its first step"):
        read_checkpoint(path, DEVICE)


def test_cut_checkpoint_is_refused(a_state, tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, a_state, {})
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ProjectDamagedError):
        read_checkpoint(path, DEVICE)


def test_checkpoint_without_a_part_is_refused(tmp_path):
    torch.save({"step": 3}, tmp_path / "checkpoint.pt")
    with pytest.raises(ProjectDamagedError):
        read_checkpoint(tmp_path / "checkpoint.pt", DEVICE)


def test_checkpoint_of_another_network_is_refused(a_state, tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, a_state, {})
    wider = make_network(config=NetworkConfig(widths=(8,) * 6))
    other = start_training(wider, training_config().supervised, CPU, seed=1)
    with pytest.raises(ProjectDamagedError):
        restore(read_checkpoint(path, DEVICE), other, path)


@pytest.mark.parametrize("write", [torch.save, lambda x, p: p.write_bytes(pickle.dumps(x))])
def test_program_in_a_checkpoint_is_not_run(write, tmp_path):
    write({"step": Trap(tmp_path / "sprung")}, tmp_path / "checkpoint.pt")
    with pytest.raises(ProjectDamagedError):
        read_checkpoint(tmp_path / "checkpoint.pt", DEVICE)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("backbone", list(Backbone))
def test_weights_survive_the_way_through_bytes(backbone):
    config = replace(TINY, backbone=backbone)
    network = make_network(3, config=config)
    again = network_from_bytes(weights_to_bytes(network), config, NUM_CLASSES)
    for name, value in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def test_weights_from_a_file_are_not_drawn_at_random_first(monkeypatch):
    weights = weights_to_bytes(make_network())

    def initialise(*_arguments):
        raise AssertionError("drawn")

    monkeypatch.setattr(network_module, "initialise", initialise)
    network = network_from_bytes(weights, TINY, NUM_CLASSES)
    assert all(weight.requires_grad for weight in network.parameters())
    assert {weight.device.type for weight in network.state_dict().values()} == {"cpu"}


def test_weights_of_another_backbone_are_refused_by_its_name():
    weights = weights_to_bytes(make_network())
    with pytest.raises(ModelFileError, match="'basic-unet'"):
        network_from_bytes(weights, replace(TINY, backbone=Backbone.BASIC_UNET), NUM_CLASSES)


@pytest.mark.parametrize("backbone", list(Backbone))
def test_a_claimed_network_of_any_size_is_refused_without_its_memory(backbone, monkeypatch):
    built = []

    class Watched(SegmentationNetwork):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            built.append({parameter.device.type for parameter in self.parameters()})

    monkeypatch.setattr(checkpoint, "SegmentationNetwork", Watched)
    huge = NetworkConfig(backbone, (2048,) * 6)
    with pytest.raises(ModelFileError, match="do not fit"):
        network_from_bytes(weights_to_bytes(make_network()), huge, NUM_CLASSES)
    assert built == [{"meta"}]


@pytest.mark.parametrize(
    ("config", "num_classes"), [(NetworkConfig(widths=(8,) * 6), NUM_CLASSES), (TINY, 5)]
)
def test_weights_of_another_network_are_refused_with_what_was_expected(config, num_classes):
    weights = weights_to_bytes(make_network())
    with pytest.raises(ModelFileError, match=f"for {num_classes} classes"):
        network_from_bytes(weights, config, num_classes)


def test_program_in_weights_is_not_run(tmp_path):
    torch.save({"classifier.weight": Trap(tmp_path / "sprung")}, tmp_path / "weights.pt")
    with pytest.raises(ModelFileError):
        network_from_bytes((tmp_path / "weights.pt").read_bytes(), TINY, NUM_CLASSES)
    assert not (tmp_path / "sprung").exists()


def test_bytes_that_are_no_weights_are_refused():
    with pytest.raises(ModelFileError):
        network_from_bytes(b"not weights", TINY, NUM_CLASSES)


def test_step_counters_read_onto_a_gpu_go_where_fresh_training_has_them():
    class OnGpu:
        def cpu(self):
            return "on the host"

    weight = torch.zeros(3, requires_grad=True)
    resumed = torch.optim.AdamW([weight])
    resumed.state[weight] = {"step": OnGpu(), "exp_avg": OnGpu()}
    checkpoint._keep_counters_on_host(resumed)
    assert resumed.state[weight]["step"] == "on the host"
    assert isinstance(resumed.state[weight]["exp_avg"], OnGpu)
