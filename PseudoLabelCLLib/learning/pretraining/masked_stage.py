"""Pre-training by masked images: encoder and decoder fill in what was taken out of a slice."""

import math

import torch
from torch import Tensor, nn

from PseudoLabelCLLib.domain.pretraining_config import MaskedConfig
from PseudoLabelCLLib.learning.losses.masked_pixels import masked_pixel_loss
from PseudoLabelCLLib.learning.networks.pretraining_heads import FillingHead
from PseudoLabelCLLib.learning.pretraining.pretraining import PretrainingStage, StageInputs
from PseudoLabelCLLib.learning.shapes import Bool, Float
from PseudoLabelCLLib.learning.to_device import to_device


class MaskedStage(PretrainingStage):
    """Encoder and decoder learn to fill in masked squares of a slice.

    Args:
        inputs: Network, volumes, device, seed.
        config: The settings.

    Source: He et al. and Xie et al., both CVPR 2022; here for a U-Net, whose skip connections see
        the masked slice alone.
    """

    name = "masked"

    def __init__(self, inputs: StageInputs, config: MaskedConfig) -> None:
        self.config = config
        self.num_views = config.batch_size
        super().__init__(inputs, config.num_steps)

    def make_head(self) -> nn.Module:
        """See `PretrainingStage`."""
        network = self.network
        return FillingHead(network.backbone.decoder_width(), network.num_channels, self.generator)

    def make_optimizer(self) -> torch.optim.Optimizer:
        """See `PretrainingStage`."""
        backbone = self.network.backbone
        blocks = backbone.decoder_parameters(self.network.config.num_decoder_blocks)
        trained = [*backbone.encoder_parameters(), *blocks, *self.head.parameters()]
        return torch.optim.Adam(trained, lr=self.config.learning_rate)

    def learning_rate(self) -> float:
        """Return the rate for the next step: a cosine to 0."""
        done = self.step / max(1, self.num_steps)
        return self.config.learning_rate * (1 + math.cos(math.pi * done)) / 2

    def loss(self) -> Float[Tensor, ""]:
        """See `PretrainingStage`."""
        config = self.config
        images = self.volumes.draw(config.batch_size, self.generator).images
        is_masked = draw_squares(
            len(images), self.volumes.window_shape, config.square_side, config.masked_fraction,
            self.generator,
        )  # fmt: skip
        is_masked = to_device(is_masked, images.device)
        levels = self.encode(torch.where(is_masked, 0, images))
        with self.device.autocast():
            filled = self.head(self.network.backbone.decode(levels))
        return masked_pixel_loss(filled.float(), images, is_masked)

    def collapsed_loss(self) -> float:
        """Return the loss of a network that fills in the mean of the slice."""
        return 1.0


def draw_squares(
    num_slices: int,
    shape: tuple[int, int],
    side: int,
    fraction: float,
    generator: torch.Generator,
) -> Bool[Tensor, "slices 1 rows columns"]:
    """Draw for every slice which squares of a grid are masked: so large a share, one or more.

    Args:
        num_slices: How many.
        shape: Rows and columns of a slice; squares at its far edges may be cut off.
        side: Of a square, in pixels.
        fraction: Share of the squares.
        generator: Of random numbers.
    """
    rows, columns = (math.ceil(size / side) for size in shape)
    number = max(1, round(fraction * rows * columns))
    order = torch.rand((num_slices, rows * columns), generator=generator).argsort(dim=1)
    chosen = (order.argsort(dim=1) < number).reshape(num_slices, 1, rows, columns)
    grown = chosen.repeat_interleave(side, dim=2).repeat_interleave(side, dim=3)
    return grown[:, :, : shape[0], : shape[1]]
