"""The model as one portable file: what goes in comes out, and nothing unsafe gets through."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from learning_doubles import SCHEMA, TINY, grid, make_network, model_card

from PseudoLabelCLLib.domain.errors import ModelFileError, PackageError
from PseudoLabelCLLib.domain.network_config import Backbone, NetworkConfig
from PseudoLabelCLLib.learning.checkpoint import weights_to_bytes
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.pipeline.prediction.model_file import (
    TrainedModel,
    read_model,
    write_model,
)
from PseudoLabelCLLib.storage.project.model_archive import CARD_VERSION, write_model_archive


@pytest.fixture
def a_model_file(tmp_path):
    path = tmp_path / "model.plcl"
    write_model(path, make_network(4), model_card())
    return path


def changed_card(path, **changes):
    card = {**to_json(model_card()), **changes}
    write_model_archive(path, card, weights_to_bytes(make_network()))
    return path


def test_model_comes_back_as_it_was_written(a_model_file):
    model = read_model(a_model_file)
    assert model.card == model_card()
    assert model.card.schema == SCHEMA
    written = make_network(4).state_dict()
    assert all(torch.equal(v, written[n]) for n, v in model.network.state_dict().items())


def earlier_format(path, card, state):
    """Write a model as it was before its weights were raw tensors."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.json", json.dumps(card))
        archive.writestr("weights.pt", buffer.getvalue())
    return path


def second_format(path, network):
    card = to_json(replace(model_card(), schema_version=2))
    return earlier_format(path, card, dict(network.state_dict()))


def first_format(path, network):
    """Write a model as before there was a choice of backbones, with the names of then."""
    card = to_json(model_card())
    card["schema_version"] = 1
    del card["network"]["backbone"]
    state = network.state_dict()
    return earlier_format(path, card, {n.removeprefix("backbone."): state[n] for n in state})


def test_model_of_the_version_before_is_read(tmp_path):
    network = make_network(4)
    model = read_model(second_format(tmp_path / "old.plcl", network))
    assert model.card == replace(model_card(), schema_version=2)
    state = model.network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_model_of_the_version_before_needs_a_safe_pytorch_and_a_new_one_does_not(
    a_model_file, tmp_path, monkeypatch
):
    old = second_format(tmp_path / "old.plcl", make_network(4))
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    monkeypatch.setattr(torch, "load", None)  # nothing unpickles any more
    with pytest.raises(PackageError, match=r"PyTorch 2\.9\.1\+cpu is too old: 2\.10 or later"):
        read_model(old)
    read_model(a_model_file)


def test_tensors_of_the_version_before_that_claim_more_than_the_file_holds_are_refused(tmp_path):
    wide = NetworkConfig(widths=(64,) * 6)
    with torch.device("meta"):
        outline = make_network(config=wide).state_dict()
    # one number each, which a stride of 0 repeats as often as is claimed
    state = {name: torch.zeros(()).expand(tensor.shape) for name, tensor in outline.items()}
    card = to_json(replace(model_card(), network=wide, schema_version=2))
    path = earlier_format(tmp_path / "old.plcl", card, state)
    assert path.stat().st_size < 100_000
    with pytest.raises(ModelFileError, match="cannot be used"):
        read_model(path)


def test_window_of_any_size_is_refused_before_it_takes_memory(tmp_path):
    preprocess = to_json(replace(model_card().preprocess, window_size=(8192, 64)))
    with pytest.raises(ModelFileError, match="at most 4096 x 4096"):
        read_model(changed_card(tmp_path / "bad.plcl", preprocess=preprocess))


def test_model_of_the_first_of_the_first_format_is_read(tmp_path):
    network = make_network(4).eval()
    first_format(tmp_path / "old.plcl", network)
    model = read_model(tmp_path / "old.plcl")
    assert model.card.network == TINY
    images = torch.rand(1, 1, 32, 64)
    with torch.no_grad():
        assert torch.equal(model.network.eval()(images), network(images))


def test_model_with_the_other_backbone_comes_back(tmp_path):
    config = replace(TINY, backbone=Backbone.BASIC_UNET)
    network = make_network(4, config=config)
    write_model(tmp_path / "model.plcl", network, replace(model_card(), network=config))
    model = read_model(tmp_path / "model.plcl")
    assert model.card.network.backbone is Backbone.BASIC_UNET
    written = network.state_dict()
    assert all(torch.equal(v, written[n]) for n, v in model.network.state_dict().items())


def test_same_model_gives_the_same_bytes(a_model_file, tmp_path):
    write_model(tmp_path / "again.plcl", make_network(4), model_card())
    assert (tmp_path / "again.plcl").read_bytes() == a_model_file.read_bytes()


def test_model_of_another_time_predicts_the_same(a_model_file):
    images = torch.from_numpy(np.random.default_rng(0).random((1, 1, 32, 64), np.float32))
    with torch.no_grad():
        ours, theirs = (
            make_network(4).eval()(images),
            read_model(a_model_file).network.eval()(images),
        )
    assert torch.equal(ours, theirs)


def test_card_says_nothing_of_the_machine(a_model_file, tmp_path):
    with zipfile.ZipFile(a_model_file) as archive:
        text = archive.read("model.json").decode()
    assert str(tmp_path) not in text
    assert json.loads(text)["schema_version"] == CARD_VERSION


def test_model_of_a_newer_version_is_refused_before_its_content_is_judged(tmp_path):
    path = changed_card(tmp_path / "new.plcl", schema_version=99, schema="something else")
    with pytest.raises(ModelFileError, match="newer version"):
        read_model(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": {"classes": []}},
        {"network": {"widths": [4, 4]}},
        {"seed": "many"},
        {"training": None},
        {"preprocess": {"low_percentile": 3}},
    ],
    ids=str,
)
def test_damaged_card_is_told_as_a_model_file(tmp_path, changes):
    with pytest.raises(ModelFileError, match="damaged"):
        read_model(changed_card(tmp_path / "bad.plcl", **changes))


@pytest.mark.parametrize("card", [[], "text", 3, None])
def test_card_that_is_no_table_is_refused(tmp_path, card):
    write_model_archive(tmp_path / "bad.plcl", card, weights_to_bytes(make_network()))
    with pytest.raises(ModelFileError):
        read_model(tmp_path / "bad.plcl")


def test_weights_that_do_not_fit_the_card_are_refused(tmp_path):
    wide = to_json(NetworkConfig(widths=(8,) * 6))
    with pytest.raises(ModelFileError, match="cannot be used"):
        read_model(changed_card(tmp_path / "bad.plcl", network=wide))


@pytest.mark.parametrize(
    ("spacing_mm", "is_unlike"),
    [
        ((1.2, 1.2, 8.0), False),
        ((0.6, 0.6, 8.0), False),
        ((2.9, 2.9, 8.0), False),
        ((0.4, 0.4, 8.0), True),
        ((3.5, 3.5, 8.0), True),
        ((1.2, 3.5, 8.0), True),
    ],
)
def test_volume_of_another_pixel_size_is_told(spacing_mm, is_unlike):
    model = TrainedModel(make_network(config=TINY), model_card())  # trained on 1 to 1.5 mm
    reason = model.unlike_training(grid((20, 20, 5), spacing_mm))
    assert bool(reason) is is_unlike
    assert not is_unlike or "1 to 1.5 mm" in reason
