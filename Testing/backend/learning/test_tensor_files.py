"""Tensors come back from disk as they were; what earlier versions pickled is read, not written."""

import io
import json

import pytest
import safetensors.torch
import torch
from learning_doubles import CPU, HALF_CPU, make_network, training_config

from PseudoLabelCLLib.domain.errors import PackageError, ProjectDamagedError, StorageError
from PseudoLabelCLLib.learning import tensor_files
from PseudoLabelCLLib.learning.checkpoint import (
    load_moments,
    moments_of,
    read_checkpoint,
    restore,
    save_checkpoint,
)
from PseudoLabelCLLib.learning.tensor_files import (
    read_tensor_file,
    tensor_bytes,
    tensors_of,
    write_tensor_file,
)
from PseudoLabelCLLib.learning.training.training import start_training

DEVICE = torch.device("cpu")
A_TENSOR = torch.arange(6, dtype=torch.int64).reshape(2, 3)


def there_and_back(content):
    return tensors_of(tensor_bytes(content), DEVICE)


def saved_by_torch(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def is_same(one, other):
    if isinstance(one, torch.Tensor):
        # where an axis has one entry, its stride says nothing
        strides = [[t.stride(n) for n in range(t.dim()) if t.shape[n] > 1] for t in (one, other)]
        return one.dtype == other.dtype and torch.equal(one, other) and strides[0] == strides[1]
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(is_same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        pairs = zip(one, other, strict=True)
        return type(one) is type(other) and all(is_same(*pair) for pair in pairs)
    return type(one) is type(other) and repr(one) == repr(other)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"a": A_TENSOR},
        {"a": A_TENSOR, "step": 3, "none": None, "text": "Herz 心 \ud800", "yes": True},
        {"floats": [0.1, 1e-300, float("inf"), float("nan"), -0.0]},
        {"state": {0: {"step": torch.tensor(2.0)}, 1: {}}, "groups": [{"betas": (0.9, 0.999)}]},
        {"nothing": [[], {}, ()], "scalar": torch.tensor(7), "no rows": torch.ones(0, 3)},
        {"half": torch.ones(2, dtype=torch.bfloat16), "bool": torch.tensor([True, False])},
        {"a": {"b/c": A_TENSOR}, "channels": torch.arange(120.0).reshape(2, 3, 4, 5)},
    ],
    ids=("empty", "tensor", "values", "floats", "optimizer", "nothing", "types", "nested"),
)
def test_content_comes_back_with_its_types(content):
    assert is_same(content, there_and_back(content))


def test_order_in_memory_comes_back():
    tensor = torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    assert is_same({"w": tensor, "step": 1}, there_and_back({"w": tensor, "step": 1}))


def test_tensors_that_share_memory_come_back_apart():
    again = there_and_back({"one": A_TENSOR, "row": A_TENSOR[1], "turned": A_TENSOR.T})
    assert torch.equal(again["turned"], A_TENSOR.T)
    again["one"].zero_()
    assert torch.equal(again["row"], A_TENSOR[1])


def test_weights_are_a_file_that_any_program_for_safetensors_reads():
    state = make_network().state_dict()
    found = safetensors.torch.load(tensor_bytes(state))
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)


@pytest.mark.parametrize(
    "content", [{"a": {1, 2}}, {"a": b"bytes"}, {(1, 2): 3}, {"a": {1: A_TENSOR, "1": A_TENSOR}}]
)
def test_what_has_no_form_is_a_mistake_of_the_program(content):
    with pytest.raises(TypeError):
        tensor_bytes(content)


def with_tree(tree):
    text = tree if isinstance(tree, str) else json.dumps(tree)
    return safetensors.torch.save({"a": A_TENSOR}, {"tree": text})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        b"PK\x03\x04 cut short",
        tensor_bytes({"a": A_TENSOR})[:-1],
        tensor_bytes({"a": A_TENSOR}) + b"\0",
        with_tree("{"),
        with_tree({"tensor": "b", "channels_last": False}),
        with_tree({"tensor": "a", "channels_last": True}),
        with_tree({"unknown": 1}),
        with_tree({"dict": [1, 2]}),
        with_tree({"dict": [[[], 2]]}),
        with_tree("[" * 100_000),
        with_tree('{"list": [' * 2000 + "]}" * 2000),
    ],
)
def test_damaged_file_is_refused_with_one_kind_of_error(data):
    with pytest.raises(ValueError):  # noqa: PT011 - in other words for each
        tensors_of(data, DEVICE)


def test_pipe_in_a_files_place_is_refused_without_waiting(tmp_path, make_pipe):
    with pytest.raises(StorageError, match="a pipe or a device"):
        read_tensor_file(make_pipe(tmp_path / "checkpoint.pt"), DEVICE)


def test_file_larger_than_any_checkpoint_is_not_read(tmp_path, monkeypatch):
    write_tensor_file(tmp_path / "checkpoint.pt", {"a": A_TENSOR})
    monkeypatch.setattr(tensor_files, "MAX_FILE_BYTES", 20)
    with pytest.raises(StorageError, match="larger than 20 bytes"):
        read_tensor_file(tmp_path / "checkpoint.pt", DEVICE)


def trained_state(device=CPU, seed=1):
    state = start_training(make_network(), training_config().supervised, device, seed)
    generator = torch.Generator().manual_seed(seed)
    for parameter in state.network.parameters():
        # in the parameter's order in memory
        parameter.grad = torch.empty_like(parameter).normal_(generator=generator)
    state.optimizer.step()
    return state


def parts_of(state):
    """A checkpoint as the version before wrote it."""
    return {
        "step": 1,
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "generator": state.generator.get_state(),
        "notes": {"identity": "x", "best_weights": None},
    }


def test_checkpoint_of_the_version_before_is_gone_on_with_and_rewritten(tmp_path):
    path, before = tmp_path / "checkpoint.pt", trained_state()
    path.write_bytes(saved_by_torch(parts_of(before)))
    state = trained_state(seed=2)
    restore(read_checkpoint(path, DEVICE), state, path)
    assert is_same(before.optimizer.state_dict(), state.optimizer.state_dict())
    save_checkpoint(path, state, {})
    assert not path.read_bytes().startswith(b"PK")
    assert torch.equal(read_checkpoint(path, DEVICE)["generator"], before.generator.get_state())


@pytest.mark.parametrize("device", [CPU, HALF_CPU])
def test_new_checkpoint_holds_what_the_old_kind_held(tmp_path, device):
    state = trained_state(device)
    save_checkpoint(tmp_path / "checkpoint.pt", state, {"identity": "x", "best_weights": None})
    old = tensors_of(saved_by_torch({**parts_of(state), "step": state.step}), DEVICE)
    assert is_same(old, read_checkpoint(tmp_path / "checkpoint.pt", DEVICE))


def test_moments_of_the_version_before_are_taken_over(tmp_path):
    before, after = trained_state(), trained_state(seed=2)
    (tmp_path / "moments.pt").write_bytes(saved_by_torch(moments_of(before.optimizer)))
    load_moments(tmp_path / "moments.pt", after.optimizer)
    assert is_same(moments_of(before.optimizer), moments_of(after.optimizer))


def test_file_of_the_version_before_needs_a_pytorch_whose_reader_is_safe(tmp_path, monkeypatch):
    (tmp_path / "old.pt").write_bytes(saved_by_torch(parts_of(trained_state())))
    write_tensor_file(tmp_path / "new.pt", parts_of(trained_state()))
    for version in ("2.5.1", "2.9.1+cu128"):
        monkeypatch.setattr(torch, "__version__", version)
        with pytest.raises(PackageError, match=r"is too old: 2\.10 or later is needed"):
            read_checkpoint(tmp_path / "old.pt", DEVICE)
    monkeypatch.setattr(torch, "load", None)  # nothing unpickles a new file
    read_checkpoint(tmp_path / "new.pt", DEVICE)


def test_tensor_that_claims_more_than_an_old_file_holds_is_refused(tmp_path):
    parts = {**parts_of(trained_state()), "network": {"w": torch.zeros(()).expand(10**6, 10**6)}}
    (tmp_path / "checkpoint.pt").write_bytes(saved_by_torch(parts))
    with pytest.raises(ProjectDamagedError, match="cannot be used"):
        read_checkpoint(tmp_path / "checkpoint.pt", DEVICE)
