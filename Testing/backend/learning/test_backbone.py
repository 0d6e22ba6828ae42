"""Both backbones: levels, decoder blocks, start, and each against where it comes from."""

import math
from dataclasses import replace

import pytest
import torch
from learning_doubles import HALF_CPU, TINY, make_generator, make_network
from monai.networks.nets.basic_unet import BasicUNet
from torch import nn
from torch.nn import functional

from PseudoLabelCLLib.domain.errors import ProjectError, TrainingError
from PseudoLabelCLLib.domain.network_config import Backbone, NetworkConfig
from PseudoLabelCLLib.learning.networks.backbone import build_backbone
from PseudoLabelCLLib.learning.networks.layers import initialise

UNEQUAL = NetworkConfig(widths=(4, 6, 8, 10, 12, 14), embedding_size=4)
NUM_LEVELS = {Backbone.PAPER: 6, Backbone.BASIC_UNET: 5}


@pytest.fixture(params=list(Backbone), ids=lambda backbone: backbone.value)
def config(request):
    return replace(UNEQUAL, backbone=request.param)


@pytest.fixture
def backbone(config):
    built = build_backbone(config)
    initialise(built, make_generator(5))
    return built


def test_every_level_halves_rows_and_columns(backbone, config):
    num_levels = NUM_LEVELS[config.backbone]
    levels = backbone.encode(torch.rand(2, 1, 64, 96))
    assert [tuple(level.shape) for level in levels] == [
        (2, UNEQUAL.widths[n], 64 >> n, 96 >> n) for n in range(num_levels)
    ]
    assert backbone.widths == UNEQUAL.widths[:num_levels]
    assert backbone.num_decoder_blocks == num_levels - 1


def test_every_decoder_block_goes_up_one_level(backbone):
    levels = backbone.encode(torch.rand(2, 1, 64, 96))
    for num_blocks in range(backbone.num_decoder_blocks + 1):
        features = backbone.decode(levels, num_blocks)
        same_level = levels[-1 - num_blocks]
        assert features.shape == same_level.shape
        assert features.shape[1] == backbone.decoder_width(num_blocks)
    whole = backbone.num_decoder_blocks
    assert backbone.decoder_width() == backbone.decoder_width(whole) == UNEQUAL.widths[0]


def test_no_blocks_are_the_bottleneck_and_no_number_is_the_whole_decoder(backbone):
    backbone.eval()
    levels = backbone.encode(torch.rand(1, 1, 32, 32))
    assert backbone.decode(levels, 0) is levels[-1]
    whole = backbone.decode(levels, backbone.num_decoder_blocks)
    assert torch.equal(backbone.decode(levels), whole)


@pytest.mark.parametrize("num_blocks", [0, 2, None])
def test_a_partial_decoder_trains_its_own_parameters_and_the_encoders(backbone, num_blocks):
    backbone.decode(
        backbone.encode(torch.rand(2, 1, 64, 64)), num_blocks
    ).square().mean().backward()
    trained = {id(p) for p in backbone.parameters() if p.grad is not None}
    parts = (backbone.encoder_parameters(), backbone.decoder_parameters(num_blocks))
    told = [id(p) for part in parts for p in part]
    assert len(told) == len(set(told))
    assert trained == set(told)


@pytest.mark.parametrize("num_blocks", [-1, 6])
def test_more_blocks_than_there_are_is_told_with_the_setting(backbone, num_blocks):
    levels = [torch.rand(1, 1, 1, 1)]
    for ask in (
        lambda: backbone.decode(levels, num_blocks),
        lambda: backbone.decoder_parameters(num_blocks),
        lambda: backbone.decoder_width(num_blocks),
    ):
        with pytest.raises(
            TrainingError, match=f"has {backbone.num_decoder_blocks} blocks"
        ) as told:
            ask()
        assert "num_decoder_blocks" in told.value.remedy


def test_every_convolution_starts_with_the_deviation_of_he(config):
    network = make_network(3, config=replace(config, widths=(16, 32, 64, 128, 128, 128)))
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            fan_in = module.in_channels * math.prod(module.kernel_size)
            if isinstance(module, nn.ConvTranspose2d):
                fan_in /= 4  # 2 x 2 with steps of 2: a pixel sees one of the four taps
            ratio = module.weight.std().item() / math.sqrt(2 / fan_in)
            # the deviation of n normal numbers is known to 1 / sqrt(2 n); five times that
            assert ratio == pytest.approx(1, abs=5 / math.sqrt(2 * module.weight.numel()))
            assert module.bias is None or not module.bias.any()


@pytest.mark.parametrize(
    # convolutions of two units a level and block (one in the paper's last), and up-sampling's
    ("backbone", "expected"),
    [(Backbone.PAPER, 12 + 14), (Backbone.BASIC_UNET, 10 + 8)],
)
def test_batch_normalisation_has_the_published_epsilon_and_the_given_momentum(backbone, expected):
    config = replace(TINY, backbone=backbone, batch_norm_momentum=0.01)
    norms = [m for m in make_network(config=config).modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == expected + 3  # 2 and 1 in the heads
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}


def test_a_training_step_draws_no_random_numbers_and_reaches_every_weight(config):
    network = make_network(config=config).train()
    images = torch.rand(4, 1, 32, 64)
    before = torch.get_rng_state()
    logits, embeddings = network.segment_and_embed(images, 2)
    (logits.square().mean() + embeddings.square().mean()).backward()
    assert torch.isfinite(logits).all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert torch.equal(torch.get_rng_state(), before)


def test_bfloat16_with_channels_last_stays_near_float32(config):
    network = make_network(2, config=config).eval()
    images = torch.rand(2, 1, 32, 64)
    with torch.no_grad():
        exact = network(images)
        HALF_CPU.place(network)
        with HALF_CPU.autocast():
            rounded = network(images.contiguous(memory_format=HALF_CPU.memory_format))
    # 8 bits of mantissa, some twenty layers
    error = (rounded.float() - exact).square().mean().sqrt()
    assert error < 0.05 * exact.square().mean().sqrt()


def test_basic_unet_is_monai_s_network_without_its_last_convolution():
    config = replace(UNEQUAL, backbone=Backbone.BASIC_UNET)
    ours = build_backbone(config).eval()
    initialise(ours, make_generator(5))
    norm = ("batch", {"eps": 1e-3})
    widths = config.widths[:5]
    theirs = BasicUNet(2, 1, 1, (*widths, widths[0]), norm=norm).eval()
    theirs.final_conv = nn.Identity()
    stages = [theirs.conv_0, *(getattr(theirs, f"down_{n}").convs for n in (1, 2, 3, 4))]
    for stage, level in zip(stages, ours.encoder, strict=True):
        stage.load_state_dict(level.state_dict())
    for n, block in zip((4, 3, 2, 1), ours.decoder, strict=True):
        getattr(theirs, f"upcat_{n}").load_state_dict(block.state_dict())
    images = torch.rand(2, 1, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(ours.decode(ours.encode(images)), theirs(images))


@pytest.mark.parametrize("level", [2, 3, 4])
def test_basic_unet_refuses_inner_levels_that_cannot_be_halved(level):
    widths = tuple(1 if n == level else 4 for n in range(6))
    assert NetworkConfig(widths=widths).widths == widths
    with pytest.raises(ProjectError, match="basic-unet"):
        NetworkConfig(Backbone.BASIC_UNET, widths)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (4, 6)])
def test_up_convolution_is_up_sampling_padding_below_and_right_and_convolution(shape):
    convolution = build_backbone(UNEQUAL).decoder[0].up[0].double()
    initialise(convolution, make_generator(1))
    convolution.bias.data.normal_(generator=make_generator(2))
    leaves = (*convolution.parameters(), torch.rand(2, 14, *shape).double().requires_grad_())
    weight, bias, images = leaves
    repeated = images.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    in_steps = functional.conv2d(functional.pad(repeated, (0, 1, 0, 1)), weight, bias)
    at_once = convolution(images)
    torch.testing.assert_close(at_once, in_steps)
    pull = torch.rand(in_steps.shape, dtype=torch.float64)
    for ours, theirs in zip(
        torch.autograd.grad(at_once, leaves, pull),
        torch.autograd.grad(in_steps, leaves, pull),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)
