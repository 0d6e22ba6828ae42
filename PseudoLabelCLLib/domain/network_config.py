"""The settings of the network."""

import math
from dataclasses import dataclass
from enum import Enum

from PseudoLabelCLLib.domain.require import require, require_fraction
from PseudoLabelCLLib.domain.text import Text

# Five halvings in the network's encoder: sides of a slice must be multiples of 2**5.
SIZE_MULTIPLE = 32
NUM_LEVELS = 6


class Backbone(Enum):
    """What computes a slice's features: the papers' U-Net, or MONAI's BasicUNet."""

    PAPER = "paper"
    BASIC_UNET = "basic-unet"


@dataclass(frozen=True)
class NetworkConfig:
    """The U-Net with a projection head (Docs/methods.md, "The network").

    Args:
        backbone: What computes the features; the two heads are the same for all.
        widths: Channels of the encoder levels, full resolution first.
        embedding_size: Channels of the contrastive embedding.
        batch_norm_momentum: Weight of the newest batch in the running averages.
        strides: In 3-D, by what each level below the first is coarser along slices, rows and
            columns; there are as many levels as these ask for. None in 2-D, where five levels halve
            rows and columns, and before the plan of a project in 3-D is settled.
        kernels: In 3-D, sides of the convolutions of each level along slices, rows and columns.
    """

    backbone: Backbone = Backbone.PAPER
    widths: tuple[int, ...] = (16, 32, 64, 128, 128, 128)
    embedding_size: int = 16
    batch_norm_momentum: float = 0.1
    strides: tuple[tuple[int, int, int], ...] = ()
    kernels: tuple[tuple[int, int, int], ...] = ()

    def __post_init__(self) -> None:
        require(
            len(self.widths) == NUM_LEVELS,
            "widths",
            Text("{levels} levels", levels=NUM_LEVELS),
            self.widths,
        )
        require(
            1 <= min(self.widths) <= max(self.widths) <= 2048, "widths", Text("1 to 2048 channels"),
            self.widths,
        )  # fmt: skip
        # its up-sampling halves the channels of the inner levels
        require(
            self.backbone is Backbone.PAPER or min(self.widths[2:5]) >= 2,
            "widths", Text("2 or more channels from the third to the fifth level for basic-unet"),
            self.widths,
        )  # fmt: skip
        require(self.embedding_size > 0, "embedding_size", Text("1 or more"), self.embedding_size)
        require_fraction(self.batch_norm_momentum, "batch_norm_momentum")
        self._check_levels()

    def _check_levels(self) -> None:
        """Require one kernel for each level of a network in 3-D, of sides that it can have."""
        strides, kernels = self.strides, self.kernels
        require(
            len(kernels) == (len(strides) + 1 if kernels or strides else 0)
            and len(kernels) <= len(self.widths),
            "kernels", Text("one for each level, one level more than strides"), kernels,
        )  # fmt: skip
        require(
            all(side in (1, 2) for one in strides for side in one),
            "strides", Text("1 or 2 along each axis"), strides,
        )  # fmt: skip
        require(
            all(side in (1, 3) for one in kernels for side in one),
            "kernels", Text("1 or 3 along each axis"), kernels,
        )  # fmt: skip
        require(
            self.backbone is Backbone.PAPER or not kernels,
            "backbone", Text("'paper' in 3-D"), self.backbone.value,
        )  # fmt: skip

    @property
    def dimension(self) -> int:
        """2 for slices, 3 for blocks."""
        return 3 if self.kernels else 2

    @property
    def multiple(self) -> tuple[int, ...]:
        """What the sides of an image must be multiples of."""
        if self.dimension == 2:
            return SIZE_MULTIPLE, SIZE_MULTIPLE
        return tuple(math.prod(stride[axis] for stride in self.strides) for axis in range(3))

    @property
    def num_decoder_blocks(self) -> int:
        """How many blocks the decoder has: one between two levels.

        basic-unet has five levels and leaves the deepest width unused.
        """
        if self.dimension == 3:
            return len(self.strides)
        num_levels = len(self.widths) - (self.backbone is Backbone.BASIC_UNET)
        return num_levels - 1
