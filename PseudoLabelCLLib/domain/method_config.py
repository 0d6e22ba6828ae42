"""The settings of the losses and of the random changes of slices."""

from dataclasses import dataclass, field
from enum import Enum

from PseudoLabelCLLib.domain.require import require, require_fraction
from PseudoLabelCLLib.domain.text import Text


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


class Affine(Enum):
    """Which linear changes a slice undergoes."""

    ALL = "all"
    ONE_OF_FIVE = "one-of-five"


@dataclass(frozen=True)
class AugmentationConfig:
    """Random changes of training slices; every range is symmetric unless said otherwise.

    Args:
        affine: "all" rotates, zooms, shifts and mirrors every slice; "one-of-five" does exactly one
            of rotation, zoom, mirroring with a fair coin, a multiple of 45 degrees, and nothing
            (as in the published code).
        rotation_deg: Largest rotation.
        scale_fraction: Largest zoom, 0.15 means 0.85 to 1.15.
        shift_fraction: Largest shift, as a fraction of the window.
        mirror: Which slices are mirrored; "auto" is both axes where the cases lie in several
            ways, and never elsewhere.
        elastic_fraction: Standard deviation of the smooth warp's control points, as a fraction of
            the window.
        elastic_grid: Control points per side.
        elastic_mixed: Whether a random number of a batch's slices, 1 to all but two, stays without
            the warp, as published.
        contrast_fraction: Largest change of contrast around the slice's mean.
        brightness: Largest additive change; intensities lie about in 0..1.
        gamma_fraction: Largest change of the exponent.
        noise: Largest standard deviation of additive noise.
        blur_fraction: Probability of halving the resolution.
        mixup_alpha: Slices with human truth are mixed in pairs, images and targets alike, with
            weights of a beta distribution with both parameters this; 0 mixes none.
    """

    affine: Affine = Affine.ALL
    rotation_deg: float = 30.0
    scale_fraction: float = 0.15
    shift_fraction: float = 0.0
    mirror: Mirror = Mirror.AUTO
    elastic_fraction: float = 0.02
    elastic_grid: int = 4
    elastic_mixed: bool = False
    contrast_fraction: float = 0.3
    brightness: float = 0.3
    gamma_fraction: float = 0.0
    noise: float = 0.0
    blur_fraction: float = 0.0
    mixup_alpha: float = 0.0

    def __post_init__(self) -> None:
        for name in (
            "scale_fraction", "shift_fraction", "elastic_fraction", "contrast_fraction",
            "gamma_fraction", "blur_fraction",
        ):  # fmt: skip
            require_fraction(getattr(self, name), name)
        require(0 <= self.rotation_deg <= 180, "rotation_deg", Text("0..180"), self.rotation_deg)
        require(self.elastic_grid >= 2, "elastic_grid", Text("2 or more"), self.elastic_grid)
        require(self.brightness >= 0, "brightness", Text("0 or more"), self.brightness)
        require(self.noise >= 0, "noise", Text("0 or more"), self.noise)
        require(self.mixup_alpha >= 0, "mixup_alpha", Text("0 or more"), self.mixup_alpha)


class ContrastForm(Enum):
    """Where the class means come from that an anchor is compared with."""

    INTRA = "intra"
    INTER = "inter"


class Denominator(Enum):
    """Which class means stand in the sum of an inter-image term."""

    BOTH = "both"
    TARGET_ONLY = "target-only"


class PairWeighting(Enum):
    """How the pairs of a batch are weighted: alike, or as the published code's loop does."""

    UNIFORM = "uniform"
    LEGACY = "legacy"


class IncompleteSlices(Enum):
    """Whether slices that lack a class serve, drawn class by class, or only whole ones do.

    With "skip" a step is skipped where too few slices show every class, as in the published code.
    """

    USE = "use"
    SKIP = "skip"


@dataclass(frozen=True)
class ContrastiveConfig:
    """The local contrastive loss on human truth and pseudo-labels (Docs/methods.md).

    Args:
        weight: lambda, the weight beside the segmentation loss; 0 leaves it out.
        form: "intra" compares a pixel with the class means of its own slice, "inter" also with
            those of another slice.
        denominator: Of the inter form: own and partner means together (the published code), or for
            each term those of its own target alone (equation 4 and its own-image counterpart).
        pair_weighting: "legacy" reproduces the division inside the published code's loop, through
            which only the last pair counts.
        temperature: tau.
        anchors_per_class: Pixels drawn for each class and slice.
        num_pairs: Pairs of slices in a batch (B); every pair is two views.
        incomplete_slices: What happens where slices lack a class.
        brightness: Largest additive change of a view.
        contrast_fraction: Largest change of a view's contrast.
        one_change_per_half: Whether all first members of a batch's pairs share one change, and all
            second members another, as in the published code; else every view draws its own.
    """

    weight: float = 0.1
    form: ContrastForm = ContrastForm.INTER
    denominator: Denominator = Denominator.BOTH
    pair_weighting: PairWeighting = PairWeighting.UNIFORM
    temperature: float = 0.1
    anchors_per_class: int = 3
    num_pairs: int = 10
    incomplete_slices: IncompleteSlices = IncompleteSlices.USE
    brightness: float = 0.3
    contrast_fraction: float = 0.3
    one_change_per_half: bool = False

    def __post_init__(self) -> None:
        require(self.weight >= 0, "weight", Text("0 or more"), self.weight)
        require(self.temperature > 0, "temperature", Text("more than 0"), self.temperature)
        require(
            self.anchors_per_class > 0,
            "anchors_per_class",
            Text("1 or more"),
            self.anchors_per_class,
        )
        require(self.num_pairs >= 2, "num_pairs", Text("2 or more"), self.num_pairs)
        require(self.brightness >= 0, "brightness", Text("0 or more"), self.brightness)
        require_fraction(self.contrast_fraction, "contrast_fraction")


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
            # "auto" is settled for slices with human truth alone
            mirror=Mirror.NEVER,
            contrast_fraction=0.5,
            gamma_fraction=0.5,
            noise=0.1,
            blur_fraction=0.3,
        )
    )

    def __post_init__(self) -> None:
        require(self.weight >= 0, "weight", Text("0 or more"), self.weight)
        require(self.num_slices > 0, "num_slices", Text("1 or more"), self.num_slices)
        require_fraction(self.min_confidence, "min_confidence")


@dataclass(frozen=True)
class CopyPasteConfig:
    """Pieces of human truth on unlabelled slices and the other way round, as training slices.

    The pasted pieces keep their labels: truth, or what the averaged network is sure of. They enter
    the consistency loss, never the segmentation loss.

    Args:
        weight: Weight beside the segmentation loss; 0 leaves it out.
        num_slices: Mixed slices in a step, in each direction; at most as many as the step has with
            human truth and without.
        side_fraction: Side of the pasted rectangle, as a fraction of the window.

    Source: Bai et al., CVPR 2023 (bidirectional copy-paste).
    """

    weight: float = 0.0
    num_slices: int = 4
    side_fraction: float = 0.6

    def __post_init__(self) -> None:
        require(self.weight >= 0, "weight", Text("0 or more"), self.weight)
        require(self.num_slices > 0, "num_slices", Text("1 or more"), self.num_slices)
        require_fraction(self.side_fraction, "side_fraction")


@dataclass(frozen=True)
class CleanUpConfig:
    """Mean-field smoothing of pseudo-labels: the published code's CRF (Docs/methods.md, "Doubt").

    It is a strong smoother and can delete thin structures, so it is off by default.

    Args:
        num_iterations: Mean-field iterations; 0 leaves it out, the published code does 30.
        sigma_px: Standard deviation of the Gaussian neighbourhood, in pixels of the network.
        neighbour_weight: Weight of the neighbourhood.
        self_weight: Weight of the pixel itself.
    """

    num_iterations: int = 0
    sigma_px: float = 10.0
    neighbour_weight: float = 30.0
    self_weight: float = 10.0

    def __post_init__(self) -> None:
        require(
            0 <= self.num_iterations <= 1000, "num_iterations", Text("0..1000"), self.num_iterations
        )
        require(0 < self.sigma_px <= 100, "sigma_px", Text("above 0, at most 100"), self.sigma_px)
        require(
            self.neighbour_weight >= 0, "neighbour_weight", Text("0 or more"), self.neighbour_weight
        )
        require(self.self_weight >= 0, "self_weight", Text("0 or more"), self.self_weight)


@dataclass(frozen=True)
class AnatomyPriorConfig:
    """Labels of annotated patients, carried over to a case by registration, in its proposal.

    They count only where the registration proves itself, for each case and structure
    (Docs/methods.md, "The anatomy prior").

    Args:
        enabled: Whether proposals use them.
        weight: Weight of the carried labels where they count in full; the network has the rest.
        most_atlases: So many patients take part at the most, the most similar ones.
    """

    enabled: bool = False
    weight: float = 0.7
    most_atlases: int = 3

    def __post_init__(self) -> None:
        require_fraction(self.weight, "weight")
        require(1 <= self.most_atlases <= 10, "most_atlases", Text("1..10"), self.most_atlases)
