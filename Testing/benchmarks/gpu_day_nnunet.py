"""A step of a plain loop with nnU-Net's network, which has more channels than ours."""

from collections.abc import Callable

from dynamic_network_architectures.architectures.unet import PlainConvUNet
from gpu_day_pack import Pack
from gpu_day_plain import plain_step
from gpu_day_rounds import new_network
from gpu_day_rows import Asked
from torch import nn

FEATURES = (32, 64, 128, 256, 512, 512)
TINY_FEATURES = (8, 8, 8, 8)


def step_of(pack: Pack, asked: Asked) -> tuple[Callable[[], object], str]:
    """Return a step in bfloat16, and how large the network is beside ours.

    Args:
        pack: Slices in windows of one size.
        asked: Where.
    """
    features = TINY_FEATURES if asked.tiny else FEATURES
    network = PlainConvUNet(
        1, len(features), features, nn.Conv2d, 3, (1,) + (2,) * (len(features) - 1), 2,
        pack.num_classes, 2, conv_bias=True, norm_op=nn.InstanceNorm2d,
        norm_op_kwargs={"eps": 1e-5, "affine": True}, nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    )  # fmt: skip
    theirs, ours = (
        sum(weight.numel() for weight in one.parameters()) / 1e6
        for one in (network, new_network(pack))
    )
    told = f"; {theirs:.2f} million weights, ours {ours:.2f}"
    return plain_step(network, pack, asked, half=True), told
