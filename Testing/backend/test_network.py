"""The network's shape, size and start against the published description."""

import math
from itertools import pairwise

import pytest
import torch
from learning_doubles import TINY, make_generator, make_network
from torch import nn

from PseudoLabelCLLib.domain.config import NetworkConfig
from PseudoLabelCLLib.learning.network import SegmentationNetwork


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
    assert num_parameters(network.encoder) == 885_552
    assert num_parameters(network.decoder) == 1_204_928
    assert num_parameters(network.segmentation_head, network.classifier) == 5_248
    assert num_parameters(network.projection_head) == 544


def test_encoder_size_follows_from_its_widths(the_published_network):
    widths = (1, 16, 32, 64, 128, 128, 128)
    expected = 0
    for before, width in pairwise(widths):
        expected += convolution_size(before, width, 3, bias=True)
        expected += convolution_size(width, width, 3, bias=True) + 2 * 2 * width
    assert num_parameters(the_published_network.encoder) == expected


def test_heads_have_no_bias_but_in_batch_normalisation(the_published_network):
    heads = (
        the_published_network.segmentation_head,
        the_published_network.classifier,
        the_published_network.projection_head,
    )
    convolutions = [m for head in heads for m in head.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 5
    assert all(convolution.bias is None for convolution in convolutions)


def test_batch_normalisation_has_the_published_epsilon_and_the_given_momentum():
    network = make_network(config=NetworkConfig(widths=TINY.widths, batch_norm_momentum=0.01))
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    # 2 at each of 6 levels; 3 in each of 4 blocks and 2 in the last; 2 and 1 in the heads
    assert len(norms) == 12 + 14 + 3
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}


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


def test_up_sampling_pads_below_and_at_the_right_only():
    up = make_network().decoder[0].up.eval()
    convolution = up[2]
    with torch.no_grad():
        convolution.weight.fill_(1.0)
        convolution.bias.zero_()
        filled = up(torch.ones(1, convolution.in_channels, 1, 1))[0, 0]
    # a 2 x 2 kernel of ones counts its neighbours below and at the right: 4, 2 / 2, 1
    relative = filled / filled[1, 1]
    torch.testing.assert_close(relative, torch.tensor([[4.0, 2.0], [2.0, 1.0]]))


def test_up_sampling_repeats_the_nearest_pixel():
    up = make_network().decoder[0].up
    image = torch.arange(4.0).reshape(1, 1, 2, 2)
    assert torch.equal(up[0](image), image.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_weights_start_with_the_deviation_of_he(the_published_network):
    for module in the_published_network.modules():
        if isinstance(module, nn.Conv2d):
            fan_in = module.in_channels * math.prod(module.kernel_size)
            ratio = module.weight.std().item() / math.sqrt(2 / fan_in)
            # the deviation of n normal numbers is known to 1 / sqrt(2 n); five times that
            assert ratio == pytest.approx(1, abs=5 / math.sqrt(2 * module.weight.numel()))
            assert module.bias is None or not module.bias.any()


def test_same_seed_gives_the_same_weights_and_another_seed_others():
    first, second, other = (make_network(seed) for seed in (1, 1, 2))
    assert all(
        torch.equal(a, b)
        for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )
    assert not torch.equal(first.classifier.weight, other.classifier.weight)


def test_global_random_state_is_neither_needed_nor_what_decides():
    torch.manual_seed(1)
    first = make_network(7)
    torch.manual_seed(2)
    assert torch.equal(first.classifier.weight, make_network(7).classifier.weight)
