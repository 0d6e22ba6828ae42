"""The projection heads of pre-training, which are dropped afterwards."""

import math

import torch
from torch import Tensor, nn

from PseudoLabelCLLib.learning.losses.region_contrast import gather_regions
from PseudoLabelCLLib.learning.networks.layers import batch_norm, initialise
from PseudoLabelCLLib.learning.shapes import Float

HIDDEN_SIZE, EMBEDDING_SIZE = 1024, 128


class GlobalHead(nn.Module):
    """g1: from the whole bottleneck to one embedding; tied to the size of the slices.

    Args:
        num_values: Channels times rows times columns of the bottleneck.
        generator: Of the first weights, which follow Glorot and Bengio 2010.

    Source: Chaitanya et al., NeurIPS 2020, code.
    """

    def __init__(self, num_values: int, generator: torch.Generator) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(num_values, HIDDEN_SIZE, bias=False),
            nn.ReLU(inplace=True),
            nn.Linear(HIDDEN_SIZE, EMBEDDING_SIZE, bias=False),
        )
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight, generator=generator)

    def forward(
        self, bottleneck: Float[Tensor, "views channels rows columns"]
    ) -> Float[Tensor, "views embedding"]:
        """Return one embedding for every view, not normalised."""
        embeddings: Tensor = self.layers(bottleneck)
        return embeddings


class RegionHead(nn.Module):
    """g2: from the features of a slice to one embedding for each of its 17 regions.

    Args:
        width: Channels of the features.
        momentum: Of batch normalisation.
        generator: Of the first weights.
        side: Pixels along a side of a region, 3 or 1.

    Source: Chaitanya et al., NeurIPS 2020, code (regions of 3 x 3 with one shared dense layer;
        single pixels without).
    """

    def __init__(
        self, width: int, momentum: float, generator: torch.Generator, side: int = 3
    ) -> None:
        super().__init__()
        self.side = side
        self.pixels = nn.Sequential(
            nn.Conv2d(width, width, 1, bias=False),
            batch_norm(width, momentum),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 1, bias=False),
        )
        initialise(self.pixels, generator)
        self.region: nn.Module = nn.Identity()
        if side > 1:
            dense = nn.Linear(side**2 * width, EMBEDDING_SIZE, bias=False)
            nn.init.xavier_uniform_(dense.weight, generator=generator)
            self.region = dense

    def forward(
        self, features: Float[Tensor, "views width rows columns"]
    ) -> Float[Tensor, "views 17 embedding"]:
        """Return the regions' embeddings, not normalised."""
        embeddings: Tensor = self.region(gather_regions(self.pixels(features), self.side))
        return embeddings


class PositionalHead(nn.Module):
    """From the bottleneck's mean over a slice to one embedding.

    Args:
        width: Channels of the bottleneck.
        embedding_size: Of the embedding.
        generator: Of the first weights, torch's own for linear layers (He et al. 2015).

    Source: Zeng et al., MICCAI 2021, code.
    """

    def __init__(self, width: int, embedding_size: int, generator: torch.Generator) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(inplace=True), nn.Linear(width, embedding_size)
        )
        bound = 1 / math.sqrt(width)
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
                nn.init.uniform_(layer.bias, -bound, bound, generator=generator)

    def forward(
        self, bottleneck: Float[Tensor, "views channels rows columns"]
    ) -> Float[Tensor, "views embedding"]:
        """Return one embedding for every view, not normalised."""
        embeddings: Tensor = self.layers(bottleneck.mean(dim=(2, 3)))
        return embeddings


class FillingHead(nn.Module):
    """From the decoder's features to the intensities of every pixel.

    Args:
        width: Channels of the features.
        num_channels: Images of one patient.
        generator: Of the first weights, torch's own for convolutions (He et al. 2015).
    """

    def __init__(self, width: int, num_channels: int, generator: torch.Generator) -> None:
        super().__init__()
        self.pixels = nn.Conv2d(width, num_channels, 1)
        bound = 1 / math.sqrt(width)
        for weight in self.pixels.parameters():
            nn.init.uniform_(weight, -bound, bound, generator=generator)

    def forward(
        self, features: Float[Tensor, "batch width rows columns"]
    ) -> Float[Tensor, "batch channels rows columns"]:
        """Return intensities in units of a slice's own standard deviation."""
        filled: Tensor = self.pixels(features)
        return filled
