"""The 2-D U-Net with a segmentation head and a projection head (methods A and C, section A.1)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from PseudoLabelCLLib.domain.config import NetworkConfig

BATCH_NORM_EPSILON = 1e-3

Images = Float[Tensor, "batch 1 rows columns"]
Features = Float[Tensor, "batch channels rows columns"]


class SegmentationNetwork(nn.Module):
    """Encoder, decoder and two heads on the full-resolution features.

    Rows and columns of the input must be multiples of 32.

    Source: Chaitanya et al., MedIA 2023, section 4.2 and its code; NeurIPS 2020 uses the same
        encoder and decoder.
    """

    def __init__(self, config: NetworkConfig, num_classes: int, generator: torch.Generator) -> None:
        super().__init__()
        self.config = config
        self.num_classes = num_classes
        momentum = config.batch_norm_momentum
        widths = config.widths
        self.encoder = nn.ModuleList(
            _two_convolutions(before, width, width, momentum)
            for before, width in zip((1, *widths[:-1]), widths, strict=True)
        )
        self.decoder = nn.ModuleList(
            _UpBlock(below, skip, momentum, is_last=level == 0)
            for level, (below, skip) in reversed(
                list(enumerate(zip(widths[1:], widths[:-1], strict=True)))
            )
        )
        width = widths[0]
        self.segmentation_head = nn.Sequential(
            _convolution_unit(width, width, momentum, bias=False),
            _convolution_unit(width, width, momentum, bias=False),
        )
        self.classifier = nn.Conv2d(width, num_classes, 3, padding=1, bias=False)
        self.projection_head = nn.Sequential(
            nn.Conv2d(width, config.embedding_size, 1, bias=False),
            _batch_norm(config.embedding_size, momentum),
            nn.ReLU(inplace=True),
            nn.Conv2d(config.embedding_size, config.embedding_size, 1, bias=False),
        )
        _initialise(self, generator)

    def features(self, images: Images) -> Features:
        """Return the decoder's full-resolution features."""
        skips: list[Tensor] = []
        x: Tensor = images
        for level, block in enumerate(self.encoder):
            x = block(x if level == 0 else functional.max_pool2d(x, 2))
            skips.append(x)
        for block, skip in zip(self.decoder, reversed(skips[:-1]), strict=True):
            x = block(x, skip)
        return x

    def forward(self, images: Images) -> Float[Tensor, "batch classes rows columns"]:
        """Return the class scores (logits) of every pixel."""
        logits: Tensor = self.classifier(self.segmentation_head(self.features(images)))
        return logits

    def segment_and_embed(
        self, images: Images, num_segmented: int
    ) -> tuple[
        Float[Tensor, "segmented classes rows columns"],
        Float[Tensor, "embedded embedding rows columns"],
    ]:
        """Return logits of the first `num_segmented` images and embeddings of the others.

        All images share encoder, decoder and the hidden layers of the segmentation head, so that
        the statistics of batch normalisation mix human truth and pseudo-labelled slices.

        Source: Chaitanya et al., MedIA 2023, code; see Docs/methods.md, "The joint step".
        """
        features = self.features(images)
        logits = self.classifier(self.segmentation_head(features)[:num_segmented])
        return logits, self.projection_head(features[num_segmented:])


class _UpBlock(nn.Module):
    """Nearest up-sampling, a 2 x 2 convolution, and convolutions over it and the skip."""

    def __init__(self, below: int, skip: int, momentum: float, *, is_last: bool) -> None:
        super().__init__()
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="nearest"),
            # an even kernel: "same" size needs one more row below and one more column at the right
            nn.ZeroPad2d((0, 1, 0, 1)),
            nn.Conv2d(below, skip, 2),
            _batch_norm(skip, momentum),
            nn.ReLU(inplace=True),
        )
        self.merge: nn.Module = (
            _convolution_unit(2 * skip, skip, momentum)
            if is_last
            else _two_convolutions(2 * skip, skip, skip, momentum)
        )

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        merged: Tensor = self.merge(torch.cat((self.up(below), skip), dim=1))
        return merged


def _convolution_unit(
    channels_in: int, channels_out: int, momentum: float, *, bias: bool = True
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=bias),
        _batch_norm(channels_out, momentum),
        nn.ReLU(inplace=True),
    )


def _two_convolutions(
    channels_in: int, channels_between: int, channels_out: int, momentum: float
) -> nn.Sequential:
    return nn.Sequential(
        _convolution_unit(channels_in, channels_between, momentum),
        _convolution_unit(channels_between, channels_out, momentum),
    )


def _batch_norm(channels: int, momentum: float) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPSILON, momentum=momentum)


@torch.no_grad()
def _initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw convolution weights from N(0, 2 / fan-in), biases 0 (He et al. 2015)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan_in = module.in_channels * math.prod(module.kernel_size)
            module.weight.normal_(0, math.sqrt(2 / fan_in), generator=generator)
            if module.bias is not None:
                module.bias.zero_()
