"""A prediction of a few real slices, to know how long those of all cases take."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PseudoLabelCLLib.domain.config import PseudoLabelConfig
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.method_config import Mirror
from PseudoLabelCLLib.learning.copies import CopyTransform
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.inference import predict_parts
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.sliding_windows import LARGEST_VOLUME
from PseudoLabelCLLib.pipeline.prediction.model_file import (
    ModelCard,
    TrainedModel,
    TrainingSummary,
)
from PseudoLabelCLLib.pipeline.prediction.segment_volume import (
    Refinement,
    most_likely_classes,
    segment_slices,
)
from PseudoLabelCLLib.pipeline.rounds.round_data import RoundInputs
from PseudoLabelCLLib.pipeline.slices.case_slices import CaseSlices
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

NUM_SLICES = 8
# The first prediction of a process is slow; a long one hides it, and is not made twice.
LONG_S = 2.0


def seconds_of_proposal(
    inputs: RoundInputs,
    slices: CaseSlices,
    network: SegmentationNetwork,
    device: ComputeDevice,
    clock: Callable[[], float],
) -> tuple[float, int]:
    """Return how long a proposal of some slices of a case takes, and how many voxels these have.

    Args:
        inputs: The round.
        slices: Of a case.
        network: What has been trained so far, on the device.
        device: Where to compute.
        clock: Seconds that only grow.
    """
    few, geometry = few_slices(slices, inputs.preprocess.patch_size)
    config = inputs.project.config.pseudo_label
    model = TrainedModel(network, _card(inputs, network, config))
    for _ in range(2):
        start_s = clock()
        segmented = segment_slices(
            model, few.images, few.grid, geometry, device, Refinement(config.clean_up)
        )
        with tempfile.TemporaryDirectory() as folder:
            write_segmentation(Path(folder) / "a.seg.nrrd", segmented.labels, model.card.schema)
            write_volume(Path(folder) / "a.nrrd", segmented.uncertainty)
        seconds = clock() - start_s
        if seconds > LONG_S:
            break
    return seconds, config.num_augmented_copies * _voxels(few)


def seconds_of_validation(
    inputs: RoundInputs,
    slices: CaseSlices,
    network: SegmentationNetwork,
    device: ComputeDevice,
    clock: Callable[[], float],
) -> tuple[float, int]:
    """Return the same of a prediction that is only measured."""
    few, _ = few_slices(slices, inputs.preprocess.patch_size)
    start_s = clock()
    predicted = predict_parts(
        network, few.images, (CopyTransform(),), device, inputs.preprocess.patch_size
    )
    most_likely_classes(predicted, few.grid)
    return clock() - start_s, _voxels(few)


def few_slices(
    slices: CaseSlices, patch_size: tuple[int, ...] | None
) -> tuple[CaseSlices, Geometry]:
    """Return the first slices of a case, as if it had no others, and their grid.

    In 3-D it is the whole volume, or as many slices as a window has.

    Args:
        slices: Of the case.
        patch_size: What the network is trained on; None for a whole window.
    """
    grid, count = slices.grid, len(slices.images)
    number = min(count, NUM_SLICES)
    if patch_size is not None and len(patch_size) == 3:
        is_small = slices.images[:, 0].size <= LARGEST_VOLUME
        number = count if is_small else min(count, 2 * patch_size[0])
    native = max(1, round(number * grid.num_slices / count))
    few = replace(
        grid,
        num_slices=native,
        resampled_slices=None if grid.resampled_slices is None else number,
    )
    geometry = slices.case.geometry
    size = list(geometry.size)
    size[grid.slicing_axis] = native
    cut = replace(geometry, size=(size[0], size[1], size[2]))
    return CaseSlices(slices.case, few, slices.images[:number]), cut


def _voxels(slices: CaseSlices) -> int:
    return int(slices.images[:, 0].size)


def _card(
    inputs: RoundInputs, network: SegmentationNetwork, config: PseudoLabelConfig
) -> ModelCard:
    pixel_mm = inputs.preprocess.in_plane_spacing_mm or 1.0
    summary = TrainingSummary(
        inputs.project.name, inputs.plan.index, 0, 0, (pixel_mm, pixel_mm), None, 0, 0, "", "", ""
    )
    return ModelCard(
        schema=inputs.project.schema,
        preprocess=inputs.preprocess,
        network=network.config,
        pseudo_label=config,
        mirror_copies=config.mirror and inputs.training.augmentation.mirror is not Mirror.NEVER,
        seed=inputs.training.seed,
        training=summary,
        channels=inputs.project.channels,
    )
