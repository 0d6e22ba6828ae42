"""What computes features: the papers' U-Net in 2-D or 3-D, or MONAI's BasicUNet."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from PseudoLabelCLLib.domain.errors import TrainingError
from PseudoLabelCLLib.domain.network_config import Backbone, NetworkConfig
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.networks.layers import (
    BATCH_NORM_EPSILON,
    batch_norm,
    convolution_unit,
    two_convolutions,
)
from PseudoLabelCLLib.learning.shapes import Float

Images = Float[Tensor, "batch channels *space"]
Features = Float[Tensor, "batch features *space"]

BASIC_UNET_LEVELS = 5


class UNetBackbone(nn.Module):
    """An encoder that halves the sides of an image from level to level, and a decoder with skips.

    Args:
        widths: Channels of the levels, full resolution first.
        encoder: One module for each level, without the halving.
        decoder: One module for each level but the last, lowest resolution first; called with the
            features from below and the encoder's of the same level.
        strides: In 3-D, by what each level below the first is coarser along each axis; in 2-D both
            axes are halved.
    """

    def __init__(
        self,
        widths: tuple[int, ...],
        encoder: Iterable[nn.Module],
        decoder: Iterable[nn.Module],
        strides: tuple[tuple[int, int, int], ...] = (),
    ) -> None:
        super().__init__()
        self.widths = widths
        self.strides = strides
        self.encoder = nn.ModuleList(encoder)
        self.decoder = nn.ModuleList(decoder)

    @property
    def num_decoder_blocks(self) -> int:
        """How many blocks the whole decoder has."""
        return len(self.decoder)

    def encode(self, images: Images) -> list[Tensor]:
        """Return the features of all levels, full resolution first, the bottleneck last."""
        levels: list[Tensor] = []
        x: Tensor = images
        for level, block in enumerate(self.encoder):
            x = block(x if level == 0 else self._pooled(x, level))
            levels.append(x)
        return levels

    def _pooled(self, features: Tensor, level: int) -> Tensor:
        if not self.strides:
            return functional.max_pool2d(features, 2)
        return functional.max_pool3d(features, self.strides[level - 1])

    def decode(self, levels: list[Tensor], num_blocks: int | None = None) -> Features:
        """Return the features after the first `num_blocks` decoder blocks, or after all.

        Every block undoes the halving of its level.

        Args:
            levels: What `encode` returned.
            num_blocks: 0 returns the bottleneck itself; None takes the whole decoder.

        Raises:
            TrainingError: The decoder has fewer blocks.
        """
        x = levels[-1]
        for number, block in enumerate(self.decoder[: self._checked(num_blocks)]):
            x = block(x, levels[-2 - number])
        return x

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """Return the weights of the encoder."""
        return self.encoder.parameters()

    def decoder_parameters(self, num_blocks: int | None = None) -> Iterator[nn.Parameter]:
        """Return the weights of the first `num_blocks` decoder blocks, or of all.

        Raises:
            TrainingError: The decoder has fewer blocks.
        """
        return self.decoder[: self._checked(num_blocks)].parameters()

    def decoder_width(self, num_blocks: int | None = None) -> int:
        """Return the channels after the first `num_blocks` decoder blocks, or after all.

        Raises:
            TrainingError: The decoder has fewer blocks.
        """
        return self.widths[-1 - self._checked(num_blocks)]

    def _checked(self, num_blocks: int | None) -> int:
        if num_blocks is None:
            return self.num_decoder_blocks
        if not 0 <= num_blocks <= self.num_decoder_blocks:
            raise TrainingError(
                Text(
                    "The network's decoder has {count} blocks; the first {wanted} were asked for.",
                    count=self.num_decoder_blocks,
                    wanted=num_blocks,
                ),
                Text(
                    "Set 'num_decoder_blocks' to at most {most}, or choose another backbone.",
                    most=self.num_decoder_blocks,
                ),
            )
        return num_blocks


def build_backbone(config: NetworkConfig, num_channels: int = 1) -> UNetBackbone:
    """Return the backbone that the settings ask for; its weights are yet to be initialised.

    Args:
        config: Which backbone, and its widths.
        num_channels: Of its input.
    """
    if config.backbone is Backbone.BASIC_UNET:
        return _basic_unet(config, num_channels)
    if config.dimension == 3:
        return _paper_unet_3d(config, num_channels)
    return _paper_unet(config, num_channels)


def _paper_unet(config: NetworkConfig, num_channels: int) -> UNetBackbone:
    """Return the U-Net of methods A and C.

    Source: Chaitanya et al., MedIA 2023, section 4.3 and its code; NeurIPS 2020 uses the same
        encoder and decoder.
    """
    widths, momentum = config.widths, config.batch_norm_momentum
    return UNetBackbone(
        widths,
        [
            two_convolutions(before, width, momentum)
            for before, width in zip((num_channels, *widths[:-1]), widths, strict=True)
        ],
        [
            _UpBlock(widths[level + 1], widths[level], momentum, is_last=level == 0)
            for level in reversed(range(len(widths) - 1))
        ],
    )


def _paper_unet_3d(config: NetworkConfig, num_channels: int) -> UNetBackbone:
    """Return the same U-Net over slices, rows and columns, with as many levels as blocks ask for.

    Up-sampling is a transposed convolution, as wide as it is coarse.

    Source: Chaitanya et al., MedIA 2023; levels as in Isensee et al., Nature Methods 2021.
    """
    kernels, momentum = config.kernels, config.batch_norm_momentum
    widths = config.widths[: len(kernels)]
    return UNetBackbone(
        widths,
        [
            two_convolutions(before, width, momentum, kernel)
            for before, width, kernel in zip(
                (num_channels, *widths[:-1]), widths, kernels, strict=True
            )
        ],
        [_UpBlock3d(config, level) for level in reversed(range(len(widths) - 1))],
        config.strides,
    )


class _UpBlock3d(nn.Module):
    """A transposed convolution, and convolutions over it and the skip."""

    def __init__(self, config: NetworkConfig, level: int) -> None:
        super().__init__()
        width, momentum = config.widths[level], config.batch_norm_momentum
        stride, kernel = config.strides[level], config.kernels[level]
        self.up = nn.Sequential(
            nn.ConvTranspose3d(config.widths[level + 1], width, stride, stride),
            batch_norm(width, momentum, 3),
            nn.ReLU(inplace=True),
        )
        self.merge: nn.Module = (
            convolution_unit(2 * width, width, momentum, kernel=kernel)
            if level == 0
            else two_convolutions(2 * width, width, momentum, kernel)
        )

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        merged: Tensor = self.merge(torch.cat((self.up(below), skip), dim=1))
        return merged


class _UpBlock(nn.Module):
    """Nearest up-sampling, a 2 x 2 convolution, and convolutions over it and the skip."""

    def __init__(self, below: int, skip: int, momentum: float, *, is_last: bool) -> None:
        super().__init__()
        # model files name these parts 2 and 3: up-sampling and padding were parts of their own
        self.up = nn.Sequential(
            OrderedDict(
                {
                    "2": _UpConvolution(below, skip, 2),
                    "3": batch_norm(skip, momentum),
                    "4": nn.ReLU(inplace=True),
                }
            )
        )
        self.merge: nn.Module = (
            convolution_unit(2 * skip, skip, momentum)
            if is_last
            else two_convolutions(2 * skip, skip, momentum)
        )

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        merged: Tensor = self.merge(torch.cat((self.up(below), skip), dim=1))
        return merged


class _UpConvolution(nn.Conv2d):
    """Nearest up-sampling by 2, then this 2 x 2 convolution, without the up-sampled image.

    An even kernel keeps the size by a row of zeros below and a column at the right. Along each axis
    a pixel x, repeated, reaches three outputs, with the weights w1, w0 + w1 and w0 of the kernel
    (w0, w1). So the two steps are one transposed convolution with a 3 x 3 kernel of such sums, with
    9 products where there were 16.
    """

    def forward(self, images: Tensor) -> Tensor:
        flipped = self.weight.flip(2, 3)
        tall = functional.pad(flipped, (0, 0, 0, 1)) + functional.pad(flipped, (0, 0, 1, 0))
        kernel = functional.pad(tall, (0, 1)) + functional.pad(tall, (1, 0))
        return functional.conv_transpose2d(
            images, kernel.transpose(0, 1), self.bias, stride=2, padding=1, output_padding=1
        )


def _basic_unet(config: NetworkConfig, num_channels: int) -> UNetBackbone:
    """Return MONAI's BasicUNet without its last convolution, of MONAI's own blocks.

    Its five levels take the first five widths; the deepest width is not used.

    Source: Falk et al., Nature Methods 2019, as in monai.networks.nets.BasicUNet.
    """
    # slow to import, and only this backbone needs it
    from monai.networks.nets.basic_unet import TwoConv, UpCat  # noqa: PLC0415 - see above

    widths = config.widths[:BASIC_UNET_LEVELS]
    activation = ("LeakyReLU", {"negative_slope": 0.1, "inplace": True})
    norm = ("batch", {"eps": BATCH_NORM_EPSILON, "momentum": config.batch_norm_momentum})
    return UNetBackbone(
        widths,
        [
            TwoConv(2, before, width, activation, norm, bias=True)
            for before, width in zip((num_channels, *widths[:-1]), widths, strict=True)
        ],
        [
            # sides are multiples of 32, so that up-sampled features need no padding
            UpCat(
                2, widths[level + 1], widths[level], widths[level], activation, norm,
                bias=True, halves=level > 0, is_pad=False,
            )
            for level in reversed(range(len(widths) - 1))
        ],
    )  # fmt: skip
