"""The settings of a project, with the one home of every default; `profiles` has ready sets."""

import math
from dataclasses import dataclass, field
from enum import Enum

from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.geometry import Geometry

# Five halvings in the network's encoder: sides of a slice must be multiples of 2**5.
SIZE_MULTIPLE = 32


class Profile(Enum):
    """Ready-made settings."""

    QUICK = "quick"
    BALANCED = "balanced"
    PAPER = "paper"


class Crop(Enum):
    """Where the network's window is laid on a slice."""

    CENTER = "center"
    FOREGROUND = "foreground"


class Mirror(Enum):
    """Which slices are mirrored in training, each axis with probability 1/2.

    Where a structure lies tells what it is, so mirroring hurts where all patients lie the same way
    (hippocampus: Dice 0.70 falls to 0.57), and helps where they do not (hearts: 0.75 rises to
    0.81). Slices of which some are portrait and some landscape show that they do not.
    """

    AUTO = "auto"
    NEVER = "never"
    LEFT_RIGHT = "left-right"
    BOTH = "both"


class LearningRate(Enum):
    """How the learning rate goes over the steps of a round."""

    CONSTANT = "constant"
    ONE_CYCLE = "one-cycle"


@dataclass(frozen=True)
class PreprocessConfig:
    """From volumes to the slices that the network sees.

    Args:
        slicing_axis: 0, 1 or 2 for i, j, k; None takes each volume's least resolved axis.
        in_plane_spacing_mm: Pixel size for the network; None takes the median over the cases.
        window_size: Rows and columns of a slice for the network, multiples of 32; None takes the
            smallest that holds the slices of the cases, at most `max_window_size`.
        max_window_size: Upper limit of the automatic window.
        crop: Whether the window lies on the centre of the slice or of the body (what is not air).
        bias_correction: Whether N4 evens out the coil shading first (Tustison et al. 2010).
        low_percentile: Intensity that becomes 0, as a fraction of the volume's voxels.
        high_percentile: Intensity that becomes 1, as a fraction of the volume's voxels.
    """

    slicing_axis: int | None = None
    in_plane_spacing_mm: float | None = None
    window_size: tuple[int, int] | None = None
    max_window_size: int = 192
    crop: Crop = Crop.CENTER
    bias_correction: bool = False
    low_percentile: float = 0.01
    high_percentile: float = 0.99

    def __post_init__(self) -> None:
        _require(
            self.slicing_axis in (None, 0, 1, 2),
            "slicing_axis",
            "0, 1, 2 or none",
            self.slicing_axis,
        )
        spacing = self.in_plane_spacing_mm
        _require(
            spacing is None or 0.01 <= spacing <= 100,
            "in_plane_spacing_mm", "between 0.01 and 100 mm", spacing,
        )  # fmt: skip
        for side in (*(self.window_size or ()), self.max_window_size):
            _require(
                side > 0 and side % SIZE_MULTIPLE == 0,
                "window size", f"a multiple of {SIZE_MULTIPLE}", side,
            )  # fmt: skip
        _require(
            0 <= self.low_percentile < self.high_percentile <= 1,
            "percentiles", "0 <= low < high <= 1", (self.low_percentile, self.high_percentile),
        )  # fmt: skip

    def slicing_axis_of(self, geometry: Geometry) -> int:
        """Return along which axis (0 = i, 1 = j, 2 = k) a volume is cut into slices."""
        return geometry.least_resolved_axis if self.slicing_axis is None else self.slicing_axis


@dataclass(frozen=True)
class NetworkConfig:
    """The 2-D U-Net with a projection head (methods A and C, section A.1).

    Args:
        widths: Channels of the encoder levels, full resolution first.
        embedding_size: Channels of the contrastive embedding.
        batch_norm_momentum: Weight of the newest batch in the running averages.
    """

    widths: tuple[int, ...] = (16, 32, 64, 128, 128, 128)
    embedding_size: int = 16
    batch_norm_momentum: float = 0.1

    def __post_init__(self) -> None:
        levels = int(math.log2(SIZE_MULTIPLE)) + 1
        _require(len(self.widths) == levels, "widths", f"{levels} levels", self.widths)
        _require(
            1 <= min(self.widths) <= max(self.widths) <= 2048, "widths", "1 to 2048 channels",
            self.widths,
        )  # fmt: skip
        _require(self.embedding_size > 0, "embedding_size", "1 or more", self.embedding_size)
        _require_fraction(self.batch_norm_momentum, "batch_norm_momentum")


@dataclass(frozen=True)
class AugmentationConfig:
    """Random changes of training slices; every range is symmetric unless said otherwise.

    Args:
        rotation_deg: Largest rotation.
        scale_fraction: Largest zoom, 0.15 means 0.85 to 1.15.
        shift_fraction: Largest shift, as a fraction of the window.
        mirror: Which slices are mirrored; "auto" is both axes where the cases lie in several
            ways, and never elsewhere.
        elastic_fraction: Standard deviation of the smooth warp's control points, as a fraction of
            the window.
        elastic_grid: Control points per side.
        contrast_fraction: Largest change of contrast around the slice's mean.
        brightness: Largest additive change; intensities lie about in 0..1.
        gamma_fraction: Largest change of the exponent.
        noise: Largest standard deviation of additive noise.
        blur_fraction: Probability of halving the resolution.
    """

    rotation_deg: float = 30.0
    scale_fraction: float = 0.15
    shift_fraction: float = 0.0
    mirror: Mirror = Mirror.AUTO
    elastic_fraction: float = 0.02
    elastic_grid: int = 4
    contrast_fraction: float = 0.3
    brightness: float = 0.3
    gamma_fraction: float = 0.0
    noise: float = 0.0
    blur_fraction: float = 0.0

    def __post_init__(self) -> None:
        for name in (
            "scale_fraction", "shift_fraction", "elastic_fraction", "contrast_fraction",
            "gamma_fraction", "blur_fraction",
        ):  # fmt: skip
            _require_fraction(getattr(self, name), name)
        _require(0 <= self.rotation_deg <= 180, "rotation_deg", "0..180", self.rotation_deg)
        _require(self.elastic_grid >= 2, "elastic_grid", "2 or more", self.elastic_grid)
        _require(self.brightness >= 0, "brightness", "0 or more", self.brightness)
        _require(self.noise >= 0, "noise", "0 or more", self.noise)


@dataclass(frozen=True)
class ContrastiveConfig:
    """The local contrastive loss on human truth and pseudo-labels (method A, section A.2).

    Args:
        weight: lambda, the weight beside the segmentation loss.
        temperature: tau.
        anchors_per_class: Pixels drawn for each class and slice.
        num_pairs: Pairs of slices in a batch (B); every pair is two views.
        brightness: Largest additive change of a view.
        contrast_fraction: Largest change of a view's contrast.
    """

    weight: float = 0.1
    temperature: float = 0.1
    anchors_per_class: int = 3
    num_pairs: int = 10
    brightness: float = 0.3
    contrast_fraction: float = 0.3

    def __post_init__(self) -> None:
        _require(self.weight >= 0, "weight", "0 or more", self.weight)
        _require(self.temperature > 0, "temperature", "more than 0", self.temperature)
        _require(
            self.anchors_per_class > 0, "anchors_per_class", "1 or more", self.anchors_per_class
        )
        _require(self.num_pairs >= 2, "num_pairs", "2 or more", self.num_pairs)


@dataclass(frozen=True)
class ConsistencyConfig:
    """Weak-to-strong consistency on unlabelled slices, with the averaged network as teacher.

    Args:
        weight: Weight beside the segmentation loss; 0 leaves it out, as the published method does.
        num_slices: Unlabelled slices in a step.
        min_confidence: Probability from which the teacher counts as sure.
        augmentation: The strong change of the slices that the network sees.
    """

    weight: float = 1.0
    num_slices: int = 8
    min_confidence: float = 0.9
    augmentation: AugmentationConfig = field(
        default_factory=lambda: AugmentationConfig(
            contrast_fraction=0.5, gamma_fraction=0.5, noise=0.1, blur_fraction=0.3
        )
    )

    def __post_init__(self) -> None:
        _require(self.weight >= 0, "weight", "0 or more", self.weight)
        _require(self.num_slices > 0, "num_slices", "1 or more", self.num_slices)
        _require_fraction(self.min_confidence, "min_confidence")


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

    def __post_init__(self) -> None:
        _require(self.num_steps > 0, "num_steps", "1 or more", self.num_steps)
        # batch normalisation needs two values of a channel, even at 1 x 1 pixels
        _require(self.batch_size > 1, "batch_size", "2 or more", self.batch_size)
        _require(0 < self.learning_rate < 1, "learning_rate", "between 0 and 1", self.learning_rate)
        _require(self.weight_decay >= 0, "weight_decay", "0 or more", self.weight_decay)
        _require(
            self.dice_weight + self.cross_entropy_weight > 0,
            "loss weights", "at least one above 0", (self.dice_weight, self.cross_entropy_weight),
        )  # fmt: skip
        _require_fraction(self.average_decay, "average_decay")


@dataclass(frozen=True)
class TrainingConfig:
    """The rounds.

    Args:
        supervised: Round 0, on human truth alone.
        joint: Every later round.
        num_joint_rounds: How many joint rounds `train` runs by default.
        augmentation: Of slices with human truth.
        contrastive: Of the joint rounds.
        consistency: Of the joint rounds.
        validations_per_round: How often a round measures Dice on the validation cases.
        checkpoints_per_round: How often a round saves what a resume needs.
        seed: Of everything random.
    """

    supervised: StageConfig
    joint: StageConfig
    num_joint_rounds: int = 2
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    contrastive: ContrastiveConfig = field(default_factory=ContrastiveConfig)
    consistency: ConsistencyConfig = field(default_factory=ConsistencyConfig)
    validations_per_round: int = 6
    checkpoints_per_round: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        _require(self.num_joint_rounds >= 0, "num_joint_rounds", "0 or more", self.num_joint_rounds)
        _require(
            self.validations_per_round > 0, "validations_per_round", "1 or more",
            self.validations_per_round,
        )  # fmt: skip
        _require(
            self.checkpoints_per_round > 0, "checkpoints_per_round", "1 or more",
            self.checkpoints_per_round,
        )  # fmt: skip
        _require(0 <= self.seed < 2**32, "seed", "between 0 and 2**32 - 1", self.seed)


@dataclass(frozen=True)
class PseudoLabelConfig:
    """How pseudo-labels and their doubt are made.

    Args:
        num_augmented_copies: Predictions of changed copies that are averaged and compared
            (section A.3.4), the unchanged one included.
        max_rotation_deg: Largest rotation of a copy.
        max_scale_fraction: Largest zoom of a copy.
    """

    num_augmented_copies: int = 4
    max_rotation_deg: float = 30.0
    max_scale_fraction: float = 0.1

    def __post_init__(self) -> None:
        _require(
            2 <= self.num_augmented_copies <= 64, "num_augmented_copies", "2..64",
            self.num_augmented_copies,
        )  # fmt: skip


@dataclass(frozen=True)
class ProjectConfig:
    """All settings of a project."""

    profile: Profile
    preprocess: PreprocessConfig
    network: NetworkConfig
    training: TrainingConfig
    pseudo_label: PseudoLabelConfig


def _require(holds: bool, name: str, expected: str, got: object) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise ProjectError(f"The setting '{name}' must be {expected}; it is {got}.")


def _require_fraction(value: float, name: str) -> None:
    _require(0 <= value < 1, name, "a fraction in 0..1", value)
