"""The settings of pre-training without labels: by contrast (methods B and C), by masked images."""

from dataclasses import dataclass, field
from enum import Enum

from PseudoLabelCLLib.domain.require import require, require_fraction
from PseudoLabelCLLib.domain.text import Text


class Pretraining(Enum):
    """What trains the network before round 0."""

    NONE = "none"
    GLOBAL_LOCAL = "global+local"
    POSITIONAL = "positional"
    MASKED = "masked"


class GlobalStrategy(Enum):
    """Which slices are alike for the global loss (Docs/methods.md, "Pre-training").

    `random` is G^R (only two views of one slice), `partition-minus` G^D- (no negatives from the
    same part of other volumes), `partition` G^D (those are positives).
    """

    RANDOM = "random"
    PARTITION_MINUS = "partition-minus"
    PARTITION = "partition"


class LocalStrategy(Enum):
    """Which regions are alike for the local loss: of two views (L^R), or of volumes too (L^D)."""

    RANDOM = "random"
    PARTITION = "partition"


@dataclass(frozen=True)
class GlobalLocalConfig:
    """Global, then local contrastive pre-training (method C).

    Args:
        global_strategy: Of the encoder's stage.
        local_strategy: Of the decoder's stage.
        num_partitions: Parts (S) into which a volume is cut along its slices.
        num_decoder_blocks: Decoder blocks (l) that the local stage trains and that are kept.
        global_steps: Steps of the encoder's stage.
        local_steps: Steps of the decoder's stage.
        learning_rate: Of Adam.
        temperature: tau.
        crop_fraction: Side of the random crop of a global view, as a fraction of the window
            (100 of 192 pixels).
        brightness: Largest additive change of a view.
        contrast_fraction: Largest change of a view's contrast.
        one_change_per_batch: Whether all views of a call share one change of intensity, as in the
            published code; else every view draws its own.
        keep_running_averages: Whether the averages of batch normalisation are kept too; the
            published code keeps the trained weights alone.
        num_regions: Regions of a slice that the local loss compares, 13, or 9 as in a comparison of
            the article.
        region_side: Pixels along a side of a region, 3, or 1 as in a comparison of the article.

    Source: Chaitanya et al., NeurIPS 2020.
    """

    global_strategy: GlobalStrategy = GlobalStrategy.PARTITION
    local_strategy: LocalStrategy = LocalStrategy.RANDOM
    num_partitions: int = 4
    num_decoder_blocks: int = 3
    global_steps: int = 300
    local_steps: int = 300
    learning_rate: float = 1e-3
    temperature: float = 0.1
    crop_fraction: float = 100 / 192
    brightness: float = 0.3
    contrast_fraction: float = 0.3
    one_change_per_batch: bool = False
    keep_running_averages: bool = False
    num_regions: int = 13
    region_side: int = 3

    def __post_init__(self) -> None:
        require(
            2 <= self.num_partitions <= 16, "num_partitions", Text("2..16"), self.num_partitions
        )
        require(
            1 <= self.num_decoder_blocks <= 5, "num_decoder_blocks", Text("1..5"),
            self.num_decoder_blocks,
        )  # fmt: skip
        require(self.global_steps >= 0, "global_steps", Text("0 or more"), self.global_steps)
        require(self.local_steps >= 0, "local_steps", Text("0 or more"), self.local_steps)
        require(self.global_steps + self.local_steps > 0, "steps", Text("more than 0 in all"), 0)
        require(
            0 < self.learning_rate < 1, "learning_rate", Text("between 0 and 1"), self.learning_rate
        )
        require(self.temperature > 0, "temperature", Text("more than 0"), self.temperature)
        require(0.1 <= self.crop_fraction <= 1, "crop_fraction", Text("0.1..1"), self.crop_fraction)
        require(self.brightness >= 0, "brightness", Text("0 or more"), self.brightness)
        require_fraction(self.contrast_fraction, "contrast_fraction")
        require(self.num_regions in {9, 13}, "num_regions", Text("9 or 13"), self.num_regions)
        require(self.region_side in {1, 3}, "region_side", Text("1 or 3"), self.region_side)


@dataclass(frozen=True)
class PositionalConfig:
    """Positional contrastive pre-training of the encoder (method B, PCL).

    Args:
        num_steps: Steps of the optimiser.
        batch_size: Slices in a step; each gives two views.
        threshold: Slices nearer than this are alike; a slice's position is its place in the
            volume, 0..1.
        learning_rate: Of SGD, after a warm-up; falls as a cosine to 0.
        warm_up_fraction: Share of the steps in which the rate rises; the published code has none,
            and 0.1 can collapse without.
        momentum: Of SGD.
        weight_decay: Of SGD.
        temperature: tau.
        base_temperature: The loss is scaled by tau over this.
        embedding_size: Of the projection.
        order_volumes: Whether volumes whose slices run the other way are found and turned over.
        norm_per_view: Whether first and second views have statistics of their own in batch
            normalisation, as in the published code.
        keep_running_averages: Whether the averages of batch normalisation are kept with the
            encoder's weights, as in the published code.

    Source: Zeng et al., MICCAI 2021.
    """

    num_steps: int = 600
    batch_size: int = 16
    threshold: float = 0.35
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 1e-5
    temperature: float = 0.1
    base_temperature: float = 0.07
    embedding_size: int = 512
    order_volumes: bool = True
    warm_up_fraction: float = 1 / 20
    norm_per_view: bool = False
    keep_running_averages: bool = False

    def __post_init__(self) -> None:
        require(self.num_steps > 0, "num_steps", Text("1 or more"), self.num_steps)
        require(self.batch_size >= 2, "batch_size", Text("2 or more"), self.batch_size)
        require(0 < self.threshold <= 1, "threshold", Text("above 0, at most 1"), self.threshold)
        require(
            0 < self.learning_rate < 1, "learning_rate", Text("between 0 and 1"), self.learning_rate
        )
        require_fraction(self.momentum, "momentum")
        require(self.weight_decay >= 0, "weight_decay", Text("0 or more"), self.weight_decay)
        require(self.temperature > 0, "temperature", Text("more than 0"), self.temperature)
        require(
            self.base_temperature > 0,
            "base_temperature",
            Text("more than 0"),
            self.base_temperature,
        )
        require(self.embedding_size > 0, "embedding_size", Text("1 or more"), self.embedding_size)
        require_fraction(self.warm_up_fraction, "warm_up_fraction")


@dataclass(frozen=True)
class MaskedConfig:
    """Pre-training by masked images: the network fills in squares that were taken out of a slice.

    Args:
        num_steps: Steps of the optimiser.
        batch_size: Slices in a step.
        masked_fraction: Share of a slice's squares that are taken out.
        square_side: Pixels along a side of a square.
        learning_rate: Of Adam, falling as a cosine to 0.

    Source: He et al., CVPR 2022 (share of .75, loss on what is masked, normalised targets); Xie et
        al., CVPR 2022 (a plain encoder sees all pixels, one layer fills in); the squares are
        smaller, as slices are.
    """

    num_steps: int = 600
    batch_size: int = 16
    masked_fraction: float = 0.6
    square_side: int = 8
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        require(self.num_steps > 0, "num_steps", Text("1 or more"), self.num_steps)
        require(self.batch_size > 0, "batch_size", Text("1 or more"), self.batch_size)
        require(
            0.1 <= self.masked_fraction <= 0.9, "masked_fraction", Text("0.1..0.9"),
            self.masked_fraction,
        )  # fmt: skip
        require(2 <= self.square_side <= 64, "square_side", Text("2..64"), self.square_side)
        require(
            0 < self.learning_rate < 1, "learning_rate", Text("between 0 and 1"), self.learning_rate
        )


@dataclass(frozen=True)
class PretrainingConfig:
    """What trains the network on all volumes before anyone has labelled any.

    Args:
        method: Which one, or none.
        global_local: Settings of "global+local".
        positional: Settings of "positional".
        masked: Settings of "masked".
    """

    method: Pretraining = Pretraining.NONE
    global_local: GlobalLocalConfig = field(default_factory=GlobalLocalConfig)
    positional: PositionalConfig = field(default_factory=PositionalConfig)
    masked: MaskedConfig = field(default_factory=MaskedConfig)
