"""The network's shape, size and heads against the published description."""

import copy
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from learning_doubles import TINY, make_generator, make_network
from torch import nn

from PseudoLabelCLLib.domain.network_config import Backbone, NetworkConfig
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork


@pytest.fixture(scope="module")
def the_published_network():
    return SegmentationNetwork(NetworkConfig(), 4, make_generator(3))


def num_parameters(*modules):
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def convolution_size(channels_in, channels_out, side, *, bias):
    return side * side * channels_in * channels_out + (channels_out if bias else 0)


def test_parts_have_the_published_number_of_parameters(the_published_network):
    network = the_published_network
    # batch normalisation's scale and shift included
    assert num_parameters(network.backbone.encoder) == 885_552
    assert num_parameters(network.backbone.decoder) == 1_204_928
    assert num_parameters(network.segmentation_head, network.classifier) == 5_248
    assert num_parameters(network.projection_head) == 544


def test_encoder_size_follows_from_its_widths(the_published_network):
    widths = (1, 16, 32, 64, 128, 128, 128)
    expected = 0
    for before, width in pairwise(widths):
        expected += convolution_size(before, width, 3, bias=True)
        expected += convolution_size(width, width, 3, bias=True) + 2 * 2 * width
    assert num_parameters(the_published_network.backbone.encoder) == expected


@pytest.mark.parametrize("backbone", list(Backbone))
def test_every_further_channel_adds_weights_to_the_first_convolution_alone(backbone):
    config = replace(TINY, backbone=backbone)
    one, three = (
        SegmentationNetwork(config, 2, make_generator(), num_channels=n).state_dict()
        for n in (1, 3)
    )
    assert list(one) == list(three)
    other = [name for name in one if one[name].shape != three[name].shape]
    assert len(other) == 1
    assert one[other[0]].shape[1] == 1
    assert three[other[0]].shape[1] == 3
    assert other[0] == next(name for name in one if one[name].ndim == 4)


def test_heads_have_no_bias_but_in_batch_normalisation(the_published_network):
    heads = (
        the_published_network.segmentation_head,
        the_published_network.classifier,
        the_published_network.projection_head,
    )
    convolutions = [m for head in heads for m in head.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 5
    assert all(convolution.bias is None for convolution in convolutions)


@pytest.mark.parametrize("shape", [(32, 32), (64, 96), (160, 32)])
def test_output_has_the_rows_and_columns_of_the_input(shape):
    network = make_network().eval()
    images = torch.rand(3, 1, *shape)
    logits, embeddings = network.segment_and_embed(images, 2)
    assert network(images).shape == (3, 3, *shape)
    assert logits.shape == (2, 3, *shape)
    assert embeddings.shape == (1, 4, *shape)


def test_both_heads_see_the_same_features():
    network = make_network().eval()
    images = torch.rand(3, 1, 32, 32)
    logits, embeddings = network.segment_and_embed(images, 2)
    with torch.no_grad():
        alone = network.projection_head(network.features(images)[2:])
    # the batch is cut at another place, which may change the order of additions
    torch.testing.assert_close(embeddings, alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(logits, network(images)[:2], rtol=0, atol=1e-5)


def test_all_slices_go_through_the_hidden_segmentation_layers():
    network = make_network().train()
    counted = []
    network.segmentation_head.register_forward_hook(lambda _m, x, _y: counted.append(len(x[0])))
    network.segment_and_embed(torch.rand(5, 1, 64, 64), 2)
    assert counted == [5]


def test_a_step_without_contrastive_slices_leaves_the_projection_head_finite():
    network = make_network().train()
    logits, embeddings = network.segment_and_embed(torch.rand(2, 1, 64, 64), 2)
    (logits.sum() + embeddings.sum()).backward()
    values = network.projection_head.state_dict().values()
    assert all(torch.isfinite(value).all() for value in values)
    gradients = [parameter.grad for parameter in network.projection_head.parameters()]
    assert all(gradient is None or not gradient.any() for gradient in gradients)


def test_same_seed_gives_the_same_weights_and_another_seed_others():
    first, second, other = (make_network(seed) for seed in (1, 1, 2))
    assert all(
        torch.equal(a, b)
        for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
    assert not torch.equal(first.classifier.weight, other.classifier.weight)


@pytest.mark.parametrize("backbone", list(Backbone))
def test_global_random_numbers_neither_decide_nor_are_used_up(backbone):
    config = replace(TINY, backbone=backbone)
    torch.manual_seed(1)
    first = make_network(7, config=config)
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = make_network(7, config=config)
    assert torch.equal(torch.get_rng_state(), before)
    for name, value in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], value), name


def test_published_network_of_a_seed_stays_what_it_was(the_published_network):
    # sums of weights, logits and embeddings taken before there was a choice of backbones
    state = the_published_network.state_dict()
    sums = [
        state[name].double().sum().item()
        for name in (
            "backbone.encoder.5.1.0.weight",
            "classifier.weight",
            "projection_head.3.weight",
        )
    ]
    assert sums == pytest.approx([-29.692565523972377, -2.596766298316652, -2.4278628448955715])
    images = torch.linspace(0, 1, 2 * 64 * 64).reshape(2, 1, 64, 64).sin()
    network = copy.deepcopy(the_published_network).train()
    with torch.no_grad():
        logits, embeddings = network.segment_and_embed(images, 1)
    assert logits.double().sum().item() == pytest.approx(-2552.115338732843, abs=0.1)
    assert embeddings.double().sum().item() == pytest.approx(-3443.4730480689004, abs=0.1)


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_reset_gives_the_segmentation_head_a_new_start_and_leaves_the_rest(order):
    network = make_network(1).to(memory_format=order)
    network.train()
    network(torch.rand(4, 1, 32, 32))  # moves the running averages of all but the projection head
    before = copy.deepcopy(network.state_dict())
    network.reset_segmentation_head(make_generator(9))
    head = ("segmentation_head.", "classifier.")
    for name, value in network.state_dict().items():
        if not name.startswith(head):
            assert torch.equal(value, before[name]), name
    norms = [m for m in network.segmentation_head.modules() if isinstance(m, nn.BatchNorm2d)]
    fresh = nn.BatchNorm2d(network.classifier.in_channels).state_dict()
    for norm in norms:
        for name, value in fresh.items():
            assert torch.equal(norm.state_dict()[name], value), name
    assert not torch.equal(network.classifier.weight, before["classifier.weight"])


def test_reset_depends_on_its_generator_alone():
    states = []
    for seed, order in ((1, torch.contiguous_format), (2, torch.channels_last)):
        network = make_network(seed).to(memory_format=order)
        network.reset_segmentation_head(make_generator(9))
        states.append([*network.segmentation_head.state_dict().values(), network.classifier.weight])
    assert all(torch.equal(one, other) for one, other in zip(*states, strict=True))
