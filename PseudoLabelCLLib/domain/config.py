"""The settings of a project, with the one home of every default; `profiles` has ready sets."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.method_config import (
    AugmentationConfig,
    CleanUpConfig,
    ConsistencyConfig,
    ContrastiveConfig,
    CopyPasteConfig,
    IncompleteSlices,
)
from PseudoLabelCLLib.domain.plane import Plane
from PseudoLabelCLLib.domain.pretraining_config import Pretraining, PretrainingConfig
from PseudoLabelCLLib.domain.require import require, require_fraction
from PseudoLabelCLLib.domain.slice_turn import (
    AS_STORED,
    SliceDirections,
    SliceTurn,
    most_common_directions,
    slice_directions,
    turn_onto,
)
from PseudoLabelCLLib.domain.text import Text

# Five halvings in the network's encoder: sides of a slice must be multiples of 2**5.
SIZE_MULTIPLE = 32
NUM_LEVELS = 6


class Profile(Enum):
    """Ready-made settings."""

    QUICK = "quick"
    BALANCED = "balanced"
    PAPER = "paper"
    LEGACY = "legacy"


class Backbone(Enum):
    """What computes a slice's features: the papers' U-Net, or MONAI's BasicUNet."""

    PAPER = "paper"
    BASIC_UNET = "basic-unet"


class Selection(Enum):
    """Which weights of a round are kept where there are validation cases.

    `best` keeps those with the best validation Dice, the round's start included. `last-improvement`
    forgets the best at the start of each round, as the published code does, so that a round keeps
    its own last improvement. `last` keeps the last. Without validation cases it is always the last.
    """

    BEST = "best"
    LAST_IMPROVEMENT = "last-improvement"
    LAST = "last"


class Crop(Enum):
    """Where the network's window is laid on a slice."""

    CENTER = "center"
    FOREGROUND = "foreground"


class LearningRate(Enum):
    """How the learning rate goes over the steps of a round."""

    CONSTANT = "constant"
    ONE_CYCLE = "one-cycle"


@dataclass(frozen=True)
class PreprocessConfig:
    """From volumes to the slices that the network sees.

    Args:
        slicing_axis: 0, 1 or 2 for i, j, k, whatever the plane; None takes the plane.
        in_plane_spacing_mm: Pixel size for the network; None takes the median over the cases.
        window_size: Rows and columns of a slice for the network, multiples of 32; None takes whole
            slices if `whole_slices`, else the smallest window that holds the slices of the cases,
            at most `max_window_size`.
        max_window_size: Upper limit of the sides of an automatic window or training patch.
        crop: Whether the window lies on the centre of the slice or of the body (what is not air).
        bias_correction: Whether N4 evens out the coil shading first (Tustison et al. 2010); never
            that of CT, which has none.
        body_mask: Whether N4 looks at the body alone, which Otsu's threshold tells from air; the
            published recipe gives it every voxel.
        measured_values: Whether padding around the scanned field and metal are found and set no
            scale; the published recipe takes percentiles of all voxels.
        low_percentile: Intensity that becomes 0, as a fraction of the volume's voxels.
        high_percentile: Intensity that becomes 1, as a fraction of the volume's voxels.
        turn_slices: Whether slices that are stored turned or mirrored against those of most cases
            are turned for the network, as their headers tell.
        slice_directions: Onto which rows and columns are turned; None takes those of most cases,
            and where it is None although all is settled, nothing is turned.
        plane: In which plane of the body all volumes are cut; None takes the one that most volumes
            resolve best, and in projects of earlier versions each volume's own.
        scale_ct: Whether CT is scaled by the same two values in every volume, those between which
            the annotated structures lie; where False, as in everything else, by the volume's own
            percentiles.
        ct_limits_hu: For each channel the Hounsfield units that become 0 and 1, with what lies
            outside clipped, or None for one that is not CT; nothing takes them from the annotated
            cases, as far as these are CT.
        whole_slices: Whether, where no `window_size` is set, nothing is cut off: the network is
            trained on patches and predicts slices or volumes as large as they are.
        patch_size: Rows and columns of a training patch, multiples of 32; in 3-D slices, rows and
            columns, which are enlarged as the network needs. None takes the whole window, or with
            whole slices the smallest patch that holds the slices of the cases, at most
            `max_window_size`; in 3-D the largest block that does not exceed `BLOCK_VOXELS`.
        dimension: 2 cuts volumes into slices, 3 into blocks of neighbouring slices.
        slice_spacing_mm: Distance of the network's slices in 3-D; None takes the median over the
            cases.
    """

    slicing_axis: int | None = None
    in_plane_spacing_mm: float | None = None
    window_size: tuple[int, int] | None = None
    max_window_size: int = 192
    crop: Crop = Crop.CENTER
    bias_correction: bool = False
    body_mask: bool = False
    measured_values: bool = False
    low_percentile: float = 0.01
    high_percentile: float = 0.99
    turn_slices: bool = True
    slice_directions: SliceDirections | None = None
    plane: Plane | None = None
    scale_ct: bool = False
    ct_limits_hu: tuple[tuple[float, float] | None, ...] = ()
    whole_slices: bool = False
    patch_size: tuple[int, ...] | None = None
    dimension: int = 2
    slice_spacing_mm: float | None = None

    def __post_init__(self) -> None:
        require(
            self.slicing_axis in (None, 0, 1, 2),
            "slicing_axis",
            Text("0, 1, 2 or none"),
            self.slicing_axis,
        )
        spacing = self.in_plane_spacing_mm
        require(
            spacing is None or 0.01 <= spacing <= 100,
            "in_plane_spacing_mm", Text("between 0.01 and 100 mm"), spacing,
        )  # fmt: skip
        for side in (*(self.window_size or ()), self.max_window_size):
            require(
                _fits_the_network(side),
                "window size",
                Text("a multiple of {number}", number=SIZE_MULTIPLE),
                side,
            )
        self._check_dimension()
        require(
            0 <= self.low_percentile < self.high_percentile <= 1,
            "percentiles",
            Text("0 <= low < high <= 1"),
            (self.low_percentile, self.high_percentile),
        )
        for limits in self.ct_limits_hu:
            require(
                limits is None or (math.isfinite(limits[1] - limits[0]) and limits[0] < limits[1]),
                "ct_limits_hu", Text("two values, the lower one first"), limits,
            )  # fmt: skip

    def ct_limits_of(self, channel: int) -> tuple[float, float] | None:
        """Return which Hounsfield units become 0 and 1 in a channel; None where it is not CT."""
        return self.ct_limits_hu[channel] if channel < len(self.ct_limits_hu) else None

    def _check_dimension(self) -> None:
        patch, distance = self.patch_size, self.slice_spacing_mm
        require(self.dimension in (2, 3), "dimension", Text("2 or 3"), self.dimension)
        if self.dimension == 2:
            require(
                patch is None or (len(patch) == 2 and all(map(_fits_the_network, patch))),
                "patch_size",
                Text("rows and columns, multiples of {number}", number=SIZE_MULTIPLE),
                patch,
            )
            require(distance is None, "slice_spacing_mm", Text("none in 2-D"), distance)
            return
        require(
            patch is None or (len(patch) == 3 and min(patch) > 0),
            "patch_size", Text("slices, rows and columns in 3-D"), patch,
        )  # fmt: skip
        require(
            distance is None or 0.01 <= distance <= 100,
            "slice_spacing_mm", Text("between 0.01 and 100 mm"), distance,
        )  # fmt: skip
        require(self.whole_slices, "whole_slices", Text("true in 3-D"), self.whole_slices)
        require(self.window_size is None, "window_size", Text("none in 3-D"), self.window_size)

    @property
    def block_spacing_mm(self) -> tuple[float, float, float] | None:
        """Distance of slices, rows and columns for a network in 3-D; None in 2-D."""
        if self.dimension == 2 or self.in_plane_spacing_mm is None or self.slice_spacing_mm is None:
            return None
        return self.slice_spacing_mm, self.in_plane_spacing_mm, self.in_plane_spacing_mm

    @property
    def sees_whole_slices(self) -> bool:
        """Whether nothing of a slice is cut off, however large it is."""
        return self.whole_slices and self.window_size is None

    def slicing_axis_of(self, geometry: Geometry) -> int:
        """Return along which axis (0 = i, 1 = j, 2 = k) a volume is cut into slices."""
        if self.slicing_axis is not None:
            return self.slicing_axis
        if self.plane is not None:
            return self.plane.slicing_axis_of(geometry)
        return geometry.least_resolved_axis

    def slice_turn_of(self, geometry: Geometry) -> SliceTurn:
        """Return how a volume's slices are turned for the network, once all is settled."""
        if self.slice_directions is None or not self.turn_slices:
            return AS_STORED
        own = slice_directions(geometry, self.slicing_axis_of(geometry))
        return turn_onto(self.slice_directions, own)


def _fits_the_network(side: int) -> bool:
    return side > 0 and side % SIZE_MULTIPLE == 0


def typical_pixel_mm(config: PreprocessConfig, geometries: Sequence[Geometry]) -> float:
    """Return the pixel size of most slices: the median over volumes of both sides' mean.

    Args:
        config: How volumes are cut.
        geometries: One volume or more.
    """
    sizes = []
    for geometry in geometries:
        axis = config.slicing_axis_of(geometry)
        sides = [mm for n, mm in enumerate(geometry.spacing_mm) if n != axis]
        sizes.append(math.prod(sides) ** 0.5)
    return statistics.median(sizes)


def settle_directions(config: PreprocessConfig, geometries: Sequence[Geometry]) -> PreprocessConfig:
    """Fill in the way in which slices lie, that of most cases, unless all stay as stored."""
    if config.slice_directions is not None or not config.turn_slices or not geometries:
        return config
    directions = [slice_directions(g, config.slicing_axis_of(g)) for g in geometries]
    return replace(config, slice_directions=most_common_directions(directions))


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
        keep_moments: Whether a joint round continues with the moments that the optimiser had at the
            weights selected in the joint round before, as published; otherwise they are reset, as a
            new cycle of the learning rate does.
        selection: Which weights of a round are kept.
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
    copy_paste: CopyPasteConfig = field(default_factory=CopyPasteConfig)
    structure_share: float = 0.67
    pseudo_label_weight: float = 0.0
    reset_head: bool = False
    keep_moments: bool = False
    selection: Selection = Selection.BEST
    validations_per_round: int = 6
    checkpoints_per_round: int = 10
    seed: int = 0

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
        single_pieces: Whether predictions keep only the largest piece of a structure that is one
            piece in every annotated volume, and of all structures together if these are.
    """

    num_augmented_copies: int = 4
    max_rotation_deg: float = 30.0
    max_scale_fraction: float = 0.1
    mirror: bool = False
    min_agreement: float = 0.0
    clean_up: CleanUpConfig = field(default_factory=CleanUpConfig)
    single_pieces: bool = False

    def __post_init__(self) -> None:
        require(
            1 <= self.num_augmented_copies <= 64, "num_augmented_copies", Text("1..64"),
            self.num_augmented_copies,
        )  # fmt: skip
        require_fraction(self.min_agreement, "min_agreement")
        require_fraction(self.max_scale_fraction, "max_scale_fraction")
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
