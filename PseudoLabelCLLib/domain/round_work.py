"""What a round has to do, counted in the units in which its time and memory are measured."""

import hashlib
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from enum import Enum

from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.config import StageConfig, TrainingConfig
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.method_config import CleanUpConfig, Mirror
from PseudoLabelCLLib.domain.network_plan import settle_network
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.project import Project


class Work(Enum):
    """What takes time in a round, and what is counted of it."""

    CHECKING = "checking"  # voxels of all images
    PREPARING = "preparing"  # voxels of the images that are not on disk as the network sees them
    TRAINING = "training"  # steps
    VALIDATING = "validating"  # voxels of the network
    PROPOSING = "proposing"  # voxels of the network, once for each copy
    REPORTING = "reporting"  # rounds


@dataclass(frozen=True)
class Standing:
    """How far a round is.

    Args:
        index: Which round.
        is_joint: Whether it learns from pseudo-labels too.
        steps_done: Steps of its training.
        prepared: Cases whose images are on disk as the network sees them.
        proposed: Cases whose proposal is there already.
    """

    index: int
    is_joint: bool
    steps_done: int = 0
    prepared: Collection[str] = ()
    proposed: Collection[str] = ()


@dataclass(frozen=True)
class RoundWork:
    """How much of each work a round has, and what kind of work it is.

    Args:
        amounts: In the units of each work.
        kinds: What the speed of each work depends on, beside the computer: a short hash.
    """

    amounts: dict[Work, float] = field(default_factory=dict)
    kinds: dict[Work, str] = field(default_factory=dict)


def work_of_round(
    project: Project,
    settled: PreprocessConfig,
    standing: Standing,
    *,
    half_precision: bool,
) -> RoundWork:
    """Return what a round has to do.

    Args:
        project: The project.
        settled: Its plan.
        standing: Which round, and how far it is.
        half_precision: Whether convolutions run in bfloat16.
    """
    is_joint, steps_done = standing.is_joint, standing.steps_done
    training = project.config.training
    stage = training.joint if is_joint else training.supervised
    cases = [case for case in project.cases if case.role is not CaseRole.IGNORED]
    validating = project.cases_with_role(CaseRole.VALIDATION)
    proposing = [
        case
        for case in project.cases_to_propose(standing.index)
        if case.id not in standing.proposed
    ]
    num_copies = project.config.pseudo_label.num_augmented_copies
    every = max(1, stage.num_steps // training.validations_per_round)
    num_validations = math.ceil((stage.num_steps - steps_done) / every) + is_joint
    unprepared = [case for case in cases if case.id not in standing.prepared]
    return RoundWork(
        {
            Work.CHECKING: _image_voxels(cases, project),
            Work.PREPARING: _image_voxels(unprepared, project),
            Work.TRAINING: stage.num_steps - steps_done,
            Work.VALIDATING: num_validations * voxels_of(validating, settled),
            Work.PROPOSING: num_copies * voxels_of((*proposing, *validating), settled),
            Work.REPORTING: 1,
        },
        _kinds(project, settled, stage, is_joint=is_joint, half_precision=half_precision),
    )


def voxels_of(cases: Iterable[Case], settled: PreprocessConfig) -> int:
    """Return how many voxels the network sees of some cases."""
    return sum(math.prod(network_shape(case.geometry, settled)) for case in cases)


def network_shape(geometry: Geometry, settled: PreprocessConfig) -> tuple[int, int, int]:
    """Return the slices of a volume as the network sees them, and the sides of each, unordered."""
    axis = settled.slicing_axis_of(geometry)
    count = geometry.size[axis]
    if settled.slice_spacing_mm is not None:
        count = max(1, round(count * geometry.spacing_mm[axis] / settled.slice_spacing_mm))
    if settled.window_size is not None:
        return count, *settled.window_size
    pixel_mm = settled.in_plane_spacing_mm or 1.0
    sides = [mm for n, mm in enumerate(geometry.extent_mm) if n != axis]
    return count, max(1, round(sides[0] / pixel_mm)), max(1, round(sides[1] / pixel_mm))


def image_voxels(case: Case, project: Project) -> int:
    """Return how many voxels the images of a case have."""
    return math.prod(case.geometry.size) * project.num_channels


def _image_voxels(cases: Iterable[Case], project: Project) -> int:
    return sum(image_voxels(case, project) for case in cases)


def _kinds(
    project: Project,
    settled: PreprocessConfig,
    stage: StageConfig,
    *,
    is_joint: bool,
    half_precision: bool,
) -> dict[Work, str]:
    config = project.config
    network = (
        settle_network(config.network, settled), settled.patch_size or settled.window_size,
        project.num_channels * settled.slices_at_once, project.schema.num_classes, half_precision,
    )  # fmt: skip
    losses = _losses(config.training, is_joint=is_joint)
    proposals = replace(config.pseudo_label, num_augmented_copies=1)
    once = replace(proposals, clean_up=CleanUpConfig(num_iterations=0))
    intensities = (settled.bias_correction, settled.body_mask, settled.measured_values)
    return {
        Work.CHECKING: _hash("checking"),
        Work.PREPARING: _hash(intensities, settled.dimension, settled.scale_ct),
        Work.TRAINING: _hash(network, replace(stage, num_steps=1), losses),
        Work.VALIDATING: _hash(network, once, "one copy"),
        Work.PROPOSING: _hash(network, proposals),
        Work.REPORTING: _hash("reporting"),
    }


def _losses(training: TrainingConfig, *, is_joint: bool) -> tuple[object, ...]:
    """Return what a step computes beside the segmentation of slices with human truth."""
    augmentation = replace(training.augmentation, mirror=Mirror.NEVER)
    if not is_joint:
        return (augmentation,)
    weight = training.pseudo_label_weight
    return (
        augmentation, training.contrastive, training.consistency, training.copy_paste, weight > 0,
    )  # fmt: skip


def _hash(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
