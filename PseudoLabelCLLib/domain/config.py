"""The settings of a project, with the one home of every default; `profiles` has ready sets."""

from dataclasses import dataclass, field
from enum import Enum

from PseudoLabelCLLib.domain.method_config import (
    AnatomyPriorConfig,
    AugmentationConfig,
    CleanUpConfig,
    ConsistencyConfig,
    ContrastiveConfig,
    CopyPasteConfig,
    IncompleteSlices,
)
from PseudoLabelCLLib.domain.network_config import Backbone, NetworkConfig
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.pretraining_config import Pretraining, PretrainingConfig
from PseudoLabelCLLib.domain.require import require, require_fraction
from PseudoLabelCLLib.domain.text import Text


class Profile(Enum):
    """Ready-made settings."""

    QUICK = "quick"
    BALANCED = "balanced"
    PAPER = "paper"
    LEGACY = "legacy"


class Selection(Enum):
    """Which weights of a round are kept where there are validation cases.

    `best` keeps those with the best validation Dice, the round's start included. `last-improvement`
    forgets the best at the start of each round, as the published code does, so that a round keeps
    its own last improvement. `last` keeps the last. Without validation cases it is always the last.
    """

    BEST = "best"
    LAST_IMPROVEMENT = "last-improvement"
    LAST = "last"


class LearningRate(Enum):
    """How the learning rate goes over the steps of a round."""

    CONSTANT = "constant"
    ONE_CYCLE = "one-cycle"
    COSINE = "cosine"


class Precision(Enum):
    """In what numbers the network's convolutions run; "auto" is what a trial finds faster."""

    AUTO = "auto"
    FLOAT32 = "float32"


@dataclass(frozen=True)
class StageConfig:
    """How one kind of round trains.

    Args:
        num_steps: Steps of the optimiser.
        batch_size: Slices with human truth in a step.
        learning_rate: Largest learning rate.
        schedule: How the rate goes over the steps.
        weight_decay: Of AdamW; 0 is Adam.
        dice_weight: Weight of the soft Dice loss.
        cross_entropy_weight: Weight of the cross-entropy.
        min_structures: A slice with human truth serves if it shows at least so many structures (or
            as many as any slice does); 0 takes all, the published joint step takes 2.
        average_decay: Decay of the running average of the weights that is validated and used
            (Polyak averaging); 0 uses the last weights.
    """

    num_steps: int
    batch_size: int
    learning_rate: float
    schedule: LearningRate = LearningRate.ONE_CYCLE
    weight_decay: float = 1e-2
    dice_weight: float = 1.0
    cross_entropy_weight: float = 1.0
    average_decay: float = 0.99
    min_structures: int = 0

    def __post_init__(self) -> None:
        require(self.num_steps > 0, "num_steps", Text("1 or more"), self.num_steps)
        # batch normalisation needs two values of a channel, even at 1 x 1 pixels
        require(self.batch_size > 1, "batch_size", Text("2 or more"), self.batch_size)
        require(
            0 < self.learning_rate < 1, "learning_rate", Text("between 0 and 1"), self.learning_rate
        )
        require(self.weight_decay >= 0, "weight_decay", Text("0 or more"), self.weight_decay)
        require(
            min(self.dice_weight, self.cross_entropy_weight) >= 0
            and self.dice_weight + self.cross_entropy_weight > 0,
            "loss weights", Text("0 or more, at least one above 0"),
            (self.dice_weight, self.cross_entropy_weight),
        )  # fmt: skip
        require_fraction(self.average_decay, "average_decay")
        require(self.min_structures >= 0, "min_structures", Text("0 or more"), self.min_structures)


@dataclass(frozen=True)
class TrainingConfig:
    """The rounds.

    Args:
        supervised: Round 0, on human truth alone.
        joint: Every later round.
        num_joint_rounds: How many joint rounds belong to the schedule.
        augmentation: Of slices with human truth.
        contrastive: Of the joint rounds.
        consistency: Of the joint rounds.
        copy_paste: Of the joint rounds.
        structure_share: Share of the patches that are centred on a structure of their slice, every
            structure in turn; the others lie anywhere.
        pseudo_label_weight: Weight of the segmentation loss on unreviewed pseudo-labels, as if they
            were true (plain self-training); 0 but for comparisons, where it is known to hurt.
        reset_head: Whether the segmentation head is reset in the first joint round.
        fresh_network: Whether a joint round begins with the weights that round 0 began with, and
            learns from the pseudo-labels of the network before it; for comparisons (two steps,
            Noisy Student).
        keep_moments: Whether a joint round continues with the moments that the optimiser had at the
            weights selected in the joint round before, as published; otherwise they are reset, as a
            new cycle of the learning rate does.
        selection: Which weights of a round are kept.
        validations_per_round: How often a round measures Dice on the validation cases.
        checkpoints_per_round: How often a round saves what a resume needs.
        seed: Of everything random.
        precision: Of the network's convolutions.
    """

    supervised: StageConfig
    joint: StageConfig
    num_joint_rounds: int = 2
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    contrastive: ContrastiveConfig = field(default_factory=ContrastiveConfig)
    consistency: ConsistencyConfig = field(default_factory=ConsistencyConfig)
    copy_paste: CopyPasteConfig = field(default_factory=CopyPasteConfig)
    structure_share: float = 0.67
    pseudo_label_weight: float = 0.0
    reset_head: bool = False
    fresh_network: bool = False
    keep_moments: bool = False
    selection: Selection = Selection.BEST
    validations_per_round: int = 6
    checkpoints_per_round: int = 10
    seed: int = 0
    precision: Precision = Precision.AUTO

    def __post_init__(self) -> None:
        require(
            self.pseudo_label_weight >= 0, "pseudo_label_weight", Text("0 or more"),
            self.pseudo_label_weight,
        )  # fmt: skip
        require(
            0 <= self.structure_share <= 1, "structure_share", Text("0..1"), self.structure_share
        )
        require(
            self.num_joint_rounds >= 0, "num_joint_rounds", Text("0 or more"), self.num_joint_rounds
        )
        require(
            self.validations_per_round > 0, "validations_per_round", Text("1 or more"),
            self.validations_per_round,
        )  # fmt: skip
        require(
            self.checkpoints_per_round > 0, "checkpoints_per_round", Text("1 or more"),
            self.checkpoints_per_round,
        )  # fmt: skip
        require(0 <= self.seed < 2**32, "seed", Text("between 0 and 2**32 - 1"), self.seed)


@dataclass(frozen=True)
class PseudoLabelConfig:
    """How pseudo-labels and their doubt are made.

    Args:
        num_augmented_copies: Predictions of changed copies that are averaged and compared
            (Docs/methods.md, "Doubt"), the unchanged one included. With 1 nothing is averaged, as
            in the published evaluation, and nothing can be compared: doubt then only tells where
            nothing was found.
        max_rotation_deg: Largest rotation of a copy.
        max_scale_fraction: Largest zoom of a copy.
        mirror: Whether every other copy is mirrored where training mirrors, as in the published
            code; on hearts that made predictions worse, not better (Docs/benchmarks.md).
        min_agreement: A case whose copies agree less takes no part in the next round (section
            A.3.4, 0.9 there); 0 keeps all.
        clean_up: Mean-field smoothing of the pseudo-labels.
        single_pieces: Whether predictions keep a single piece of a structure that is one
            piece in every annotated volume, and of all structures together if these are.
        further_copies_from: Copies after the first are predicted only around pixels where the
            first gives all structures together at least this probability; 0 predicts all of them
            everywhere. In 3-D they are predicted everywhere.
        coarse_pass_from: In 2-D, slices are predicted only where a pass at half the resolution
            gives all structures together at least this probability, somewhere in the slice or in
            its neighbours; elsewhere that pass speaks for them. 0 predicts all, without it.
        anatomy_prior: Labels of annotated volumes, carried over to the case.
    """

    num_augmented_copies: int = 4
    max_rotation_deg: float = 30.0
    max_scale_fraction: float = 0.1
    mirror: bool = False
    min_agreement: float = 0.0
    clean_up: CleanUpConfig = field(default_factory=CleanUpConfig)
    single_pieces: bool = False
    further_copies_from: float = 0.0
    coarse_pass_from: float = 0.0
    anatomy_prior: AnatomyPriorConfig = field(default_factory=AnatomyPriorConfig)

    def __post_init__(self) -> None:
        require(
            1 <= self.num_augmented_copies <= 64, "num_augmented_copies", Text("1..64"),
            self.num_augmented_copies,
        )  # fmt: skip
        require_fraction(self.min_agreement, "min_agreement")
        require_fraction(self.max_scale_fraction, "max_scale_fraction")
        require_fraction(self.further_copies_from, "further_copies_from")
        require_fraction(self.coarse_pass_from, "coarse_pass_from")
        require(
            0 <= self.max_rotation_deg <= 180,
            "max_rotation_deg",
            Text("0..180"),
            self.max_rotation_deg,
        )


@dataclass(frozen=True)
class ProjectConfig:
    """All settings of a project."""

    profile: Profile
    preprocess: PreprocessConfig
    network: NetworkConfig
    training: TrainingConfig
    pseudo_label: PseudoLabelConfig
    pretraining: PretrainingConfig = field(default_factory=PretrainingConfig)

    def __post_init__(self) -> None:
        if self.preprocess.dimension == 3:
            self._check_3d()
        num_blocks = self.pretraining.global_local.num_decoder_blocks
        most = self.network.num_decoder_blocks
        require(
            self.pretraining.method is not Pretraining.GLOBAL_LOCAL or num_blocks <= most,
            "pretraining.global_local.num_decoder_blocks",
            Text(
                "at most {most}, the decoder blocks of network.backbone={backbone}",
                most=most,
                backbone=self.network.backbone.value,
            ),
            num_blocks,
        )

    def _check_3d(self) -> None:
        """Refuse what there is for slices alone."""
        method = self.pretraining.method
        require(
            method is Pretraining.NONE, "pretraining.method",
            Text("none with preprocess.dimension=3, as pre-training learns from slices"),
            method.value,
        )  # fmt: skip
        require(
            self.network.backbone is Backbone.PAPER, "network.backbone",
            Text("'paper' with preprocess.dimension=3"), self.network.backbone.value,
        )  # fmt: skip
        skips = self.training.contrastive.incomplete_slices is IncompleteSlices.SKIP
        require(
            not skips, "training.contrastive.incomplete_slices",
            Text("'use' with preprocess.dimension=3"), "skip",
        )  # fmt: skip
