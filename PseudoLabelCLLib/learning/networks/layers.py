"""The layers that backbones and heads are built of, and the weights they start with."""

import math
from collections.abc import Sequence

import torch
from torch import nn

BATCH_NORM_EPSILON = 1e-3

_Convolution = nn.Conv2d | nn.ConvTranspose2d | nn.Conv3d | nn.ConvTranspose3d


# Sides of a convolution in the plane of a slice.
IN_PLANE = (3, 3)


def convolution(
    channels_in: int, channels_out: int, kernel: Sequence[int], *, bias: bool = True
) -> nn.Module:
    """Return a convolution that keeps the size, over as many axes as the kernel has sides."""
    kind: type[nn.Module] = nn.Conv3d if len(kernel) == 3 else nn.Conv2d
    padding = tuple(side // 2 for side in kernel)
    return kind(channels_in, channels_out, tuple(kernel), padding=padding, bias=bias)


def convolution_unit(
    channels_in: int,
    channels_out: int,
    momentum: float,
    *,
    kernel: Sequence[int] = IN_PLANE,
    bias: bool = True,
) -> nn.Sequential:
    """Return a convolution, batch normalisation and ReLU."""
    return nn.Sequential(
        convolution(channels_in, channels_out, kernel, bias=bias),
        batch_norm(channels_out, momentum, len(kernel)),
        nn.ReLU(inplace=True),
    )


def two_convolutions(
    channels_in: int, channels_out: int, momentum: float, kernel: Sequence[int] = IN_PLANE
) -> nn.Sequential:
    """Return two convolution units in a row."""
    return nn.Sequential(
        convolution_unit(channels_in, channels_out, momentum, kernel=kernel),
        convolution_unit(channels_out, channels_out, momentum, kernel=kernel),
    )


def batch_norm(channels: int, momentum: float, dimension: int = 2) -> nn.Module:
    """Return batch normalisation; `momentum` is the weight of the newest batch."""
    kind = nn.BatchNorm3d if dimension == 3 else nn.BatchNorm2d
    layer: nn.Module = kind(channels, eps=BATCH_NORM_EPSILON, momentum=momentum)
    return layer


@torch.no_grad()
def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Give all layers within `module` the weights of a start.

    Convolution weights are drawn from N(0, 2 / fan-in), biases are 0; batch normalisation neither
    scales nor shifts, and forgets its running averages.

    Source: He et al., ICCV 2015.
    """
    for layer in module.modules():
        if isinstance(layer, _Convolution):
            deviation = math.sqrt(2 / _fan_in(layer))
            # drawn apart: the numbers must not depend on the weight's device or order in memory
            drawn = torch.empty(layer.weight.shape).normal_(0, deviation, generator=generator)
            layer.weight.copy_(drawn)
            if layer.bias is not None:
                layer.bias.zero_()
        elif isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.reset_parameters()


def _fan_in(layer: _Convolution) -> float:
    """Return how many values of the input a value of the output adds up."""
    per_channel = float(math.prod(layer.kernel_size))
    if isinstance(layer, nn.ConvTranspose2d | nn.ConvTranspose3d):
        per_channel /= math.prod(layer.stride)
    return layer.in_channels * per_channel
