"""How much memory the worker needs in a round on a CPU: a formula with measured constants.

`Testing/benchmarks/step_memory.py` measures the constants again.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import StageConfig, TrainingConfig
from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.network_plan import settle_network
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.round_work import image_voxels, network_shape, voxels_of

# The interpreter with torch and all that a round loads, and what its first step loads.
BASELINE_BYTES = 355_000_000
START_BYTES = 100_000_000
# For each value of the features of a level (`level_values`) of a slice in a step, in 2-D and 3-D.
STEP_BYTES = {2: 85.0, 3: 116.0}
# What of that is left where convolutions run in bfloat16.
HALF_SHARE = 0.8
# The same of a slice or window that is predicted.
PREDICTION_BYTES = 18.0
# What the library for convolutions takes beside that for a prediction, in 2-D and 3-D.
WORKSPACE_BYTES = {2: 0, 3: 180_000_000}
# For each class of a voxel that is predicted at once.
PROBABILITY_BYTES = 24.0
# For each weight: itself, its average, its gradient, two moments, and a part of a copy.
WEIGHT_BYTES = 24
# For each voxel of the images of a case, while they are read and resampled.
READING_BYTES = 24
# For each voxel of a case that is predicted: labels, uncertainty, and what is written of them.
PROPOSAL_BYTES = 16
# Slices predicted together on a CPU, and the voxels of a window in 3-D.
_SLICES_AT_ONCE = 4
_LARGEST_SLICE = 640 * 640
_LARGEST_VOLUME = 2**20


@dataclass(frozen=True)
class RoundMemory:
    """What the worker needs at its peak, in bytes.

    Args:
        baseline: Without any data.
        step: For a step, with the weights.
        prediction: For the prediction of the largest case.
        reading: For reading and resampling the largest case.
        mapped: Files that are mapped, which the system drops where memory is short.
    """

    baseline: int
    step: int
    prediction: int
    reading: int
    mapped: int

    @property
    def needed(self) -> int:
        """What must be free for the worker.

        Predictions come on top of steps: memory that these leave has gaps, and large pieces of
        it do not fit in.
        """
        return self.baseline + max(self.step + self.prediction, self.reading)

    @property
    def peak(self) -> int:
        """The most that will be resident while memory is not short."""
        return self.needed + self.mapped


def memory_of_round(
    project: Project,
    settled: PreprocessConfig,
    *,
    is_joint: bool,
    half_precision: bool = False,
    on_gpu: bool = False,
) -> RoundMemory:
    """Return what a round needs of the computer's memory.

    Args:
        project: The project.
        settled: Its plan.
        is_joint: Whether it learns from pseudo-labels too.
        half_precision: Whether convolutions run in bfloat16.
        on_gpu: Whether steps and predictions lie in the memory of a GPU.
    """
    config = project.config
    network = settle_network(config.network, settled)
    training = config.training
    stage = training.joint if is_joint else training.supervised
    cases = [case for case in project.cases if case.role is not CaseRole.IGNORED]
    block = settled.patch_size or settled.window_size or (1, 1)
    learned = [c for c in cases if is_joint or c.role is not CaseRole.UNLABELLED]
    neighbours = project.num_channels * (settled.slices_at_once - 1)
    of_slice = level_values(network, block, neighbours)
    values = slices_of_step(training, stage, is_joint=is_joint) * of_slice
    share = HALF_SHARE if half_precision else 1.0
    step = 0 if on_gpu else round(share * STEP_BYTES[settled.dimension] * values)
    native = max((image_voxels(case, project) for case in cases), default=0)
    largest = max((math.prod(case.geometry.size) for case in cases), default=0)
    predicted = 0 if on_gpu else _predicted_at_once(project, settled, network, neighbours)
    return RoundMemory(
        baseline=BASELINE_BYTES + START_BYTES,
        step=step + WEIGHT_BYTES * num_weights(network),
        prediction=predicted + PROPOSAL_BYTES * largest,
        reading=READING_BYTES * native,
        mapped=(4 * project.num_channels + 1) * voxels_of(learned, settled),
    )


def slices_of_step(training: TrainingConfig, stage: StageConfig, *, is_joint: bool) -> int:
    """Return how many slices, or blocks, go through the network together with their gradients."""
    count = stage.batch_size
    if is_joint:
        count += stage.batch_size if training.pseudo_label_weight else 0
        count += training.consistency.num_slices if training.consistency.weight else 0
        count += 2 * training.copy_paste.num_slices if training.copy_paste.weight else 0
        count += 2 * training.contrastive.num_pairs if training.contrastive.weight else 0
    return count


def level_values(
    network: NetworkConfig, sides: tuple[int, ...], neighbouring_channels: int = 0
) -> float:
    """Return how many values the features of one layer on every level have together.

    Args:
        network: With its levels settled.
        sides: Of the image: rows and columns, in 3-D slices too.
        neighbouring_channels: Of its input, those of neighbouring slices.
    """
    pixels = float(math.prod(sides))
    strides: list[tuple[int, ...]] = [*network.strides] or [(2, 2)] * (len(network.widths) - 1)
    values = pixels * (network.widths[0] + neighbouring_channels)
    for stride, width in zip(strides, network.widths[1:], strict=False):
        pixels /= math.prod(stride)
        values += pixels * width
    return values


def num_weights(network: NetworkConfig) -> int:
    """Return about how many weights a network has: those of its convolutions."""
    widths = network.widths[: len(network.kernels) or len(network.widths)]
    kernel = 27 if network.dimension == 3 else 9
    total = 0
    for above, width in zip((1, *widths[:-1]), widths, strict=True):
        total += kernel * (above * width + width * width)
    for above, below in pairwise(widths):
        total += 8 * above * below + kernel * 3 * above * above
    return total


def _predicted_at_once(
    project: Project, settled: PreprocessConfig, network: NetworkConfig, neighbours: int
) -> int:
    """Return the bytes of the largest prediction that is computed at once, with its copies."""
    num_classes = project.schema.num_classes
    needed = 0.0
    for case in project.cases:
        shape = network_shape(case.geometry, settled)
        in_plane = shape[1] * shape[2]
        if settled.dimension == 3:
            at_once, whole = min(math.prod(shape), _LARGEST_VOLUME), math.prod(shape)
        else:
            at_once = _SLICES_AT_ONCE * min(in_plane, _LARGEST_SLICE)
            whole = _SLICES_AT_ONCE * in_plane
        values = level_values(network, (at_once,), neighbours) if at_once else 0.0
        needed = max(needed, PREDICTION_BYTES * values + PROBABILITY_BYTES * num_classes * whole)
    return round(needed) + WORKSPACE_BYTES[settled.dimension]
