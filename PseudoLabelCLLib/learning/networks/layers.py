"""The layers that backbones and heads are built of, and the weights they start with."""

import math

import torch
from torch import nn

BATCH_NORM_EPSILON = 1e-3


def convolution_unit(
    channels_in: int, channels_out: int, momentum: float, *, bias: bool = True
) -> nn.Sequential:
    """Return a 3 x 3 convolution, batch normalisation and ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=bias),
        batch_norm(channels_out, momentum),
        nn.ReLU(inplace=True),
    )


def two_convolutions(channels_in: int, channels_out: int, momentum: float) -> nn.Sequential:
    """Return two convolution units in a row."""
    return nn.Sequential(
        convolution_unit(channels_in, channels_out, momentum),
        convolution_unit(channels_out, channels_out, momentum),
    )


def batch_norm(channels: int, momentum: float) -> nn.BatchNorm2d:
    """Return batch normalisation; `momentum` is the weight of the newest batch."""
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPSILON, momentum=momentum)


@torch.no_grad()
def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Give all layers within `module` the weights of a start.

    Convolution weights are drawn from N(0, 2 / fan-in), biases are 0; batch normalisation neither
    scales nor shifts, and forgets its running averages.

    Source: He et al., ICCV 2015.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            deviation = math.sqrt(2 / _fan_in(layer))
            # drawn apart: the numbers must not depend on the weight's device or order in memory
            drawn = torch.empty(layer.weight.shape).normal_(0, deviation, generator=generator)
            layer.weight.copy_(drawn)
            if layer.bias is not None:
                layer.bias.zero_()
        elif isinstance(layer, nn.BatchNorm2d):
            layer.reset_parameters()


def _fan_in(layer: nn.Conv2d | nn.ConvTranspose2d) -> float:
    """Return how many values of the input a value of the output adds up."""
    per_channel = float(math.prod(layer.kernel_size))
    if isinstance(layer, nn.ConvTranspose2d):
        per_channel /= math.prod(layer.stride)
    return layer.in_channels * per_channel
