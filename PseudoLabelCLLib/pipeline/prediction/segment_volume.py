"""A volume's segmentation by a trained model, on the volume's own grid, with its uncertainty."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from PseudoLabelCLLib.domain.doubt import Doubt
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.method_config import CleanUpConfig
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.learning.copies import draw_copies
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.inference import MostLikely, PredictedPart, predict_parts
from PseudoLabelCLLib.learning.networks.mean_field import mean_field
from PseudoLabelCLLib.pipeline.prediction.keep_single_pieces import keep_single_pieces
from PseudoLabelCLLib.pipeline.prediction.model_file import TrainedModel
from PseudoLabelCLLib.pipeline.prediction.rank_for_review import doubt_of
from PseudoLabelCLLib.pipeline.slices.case_slices import label_values
from PseudoLabelCLLib.pipeline.slices.slice_grid import SLICES_AT_ONCE, SliceGrid

LabelArray = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]  # (slices, classes, rows, columns)

# Uncertainty is stored in steps of 1/255: finer ones are noise and do not compress.
UNCERTAINTY_STEPS = 255
NO_CLEAN_UP = CleanUpConfig(num_iterations=0)


@dataclass(frozen=True)
class SegmentedVolume:
    """What a model says about a volume.

    Args:
        labels: Label values on the volume's grid.
        uncertainty: Entropy of the class probabilities over its largest possible value, 0..1.
        doubt: How much changed copies contradict each other.
    """

    labels: LabelVolume
    uncertainty: Volume
    doubt: Doubt


def segment_slices(
    model: TrainedModel,
    images: npt.NDArray[np.float32],
    grid: SliceGrid,
    geometry: Geometry,
    device: ComputeDevice,
    clean_up: CleanUpConfig = NO_CLEAN_UP,
) -> SegmentedVolume:
    """Segment a volume from its slices on the network's grid.

    Cleaning up changes the labels alone: uncertainty and doubt tell what the network said.

    Args:
        model: With its network on the device.
        images: Shape (slices, channels, rows, columns), as the model's preprocessing makes them.
        grid: How they lie on the volume's own grid.
        geometry: The volume's grid.
        device: Where to compute.
        clean_up: How the labels are smoothed before they leave the network's grid.
    """
    card = model.card
    copies = draw_copies(card.pseudo_label, card.seed, mirror=card.mirror_copies)
    classes: LabelArray = np.empty((grid.num_slices, *grid.native_shape), np.uint8)
    uncertainty = np.empty(classes.shape, np.float32)
    block = card.preprocess.patch_size
    seen = _Seen(len(copies), (len(images), *images.shape[-2:]))
    further_from = card.pseudo_label.further_copies_from
    predicted = predict_parts(
        model.network, images, copies, device, block, further_from=further_from
    )
    for part, said in grid.at_native_slices(seen.noting(predicted)):
        probabilities = grid.probabilities_to_native(said)
        uncertainty[part] = _relative_entropy(probabilities)
        if clean_up.num_iterations:
            probabilities = grid.probabilities_to_native(_cleaned(said, clean_up, device))
        classes[part] = probabilities.argmax(axis=1)
    second_piece = keep_single_pieces(classes, card.schema, card.single_pieces, geometry.voxel_mm3)
    axis = grid.slicing_axis
    slice_names = [geometry.slice_name(axis, int(number)) for number in grid.sources]
    doubt = doubt_of(seen.classes, card.schema, slice_names)
    return SegmentedVolume(
        labels=LabelVolume(grid.volume_of(label_values(classes, card.schema)), geometry),
        uncertainty=Volume(grid.volume_of(uncertainty), geometry),
        doubt=replace(
            doubt.with_second_piece(*second_piece),
            doubt_per_slice=_at_native_slices(doubt.doubt_per_slice, grid),
        ),
    )


def _at_native_slices(doubts: Sequence[float], grid: SliceGrid) -> tuple[float, ...]:
    """Return the doubt of each of the volume's slices: the largest of what the network saw of it.

    A slice that is nearest to none of the network's has that of the nearest there is.
    """
    sources = grid.sources
    found = []
    for number in range(grid.num_slices):
        distance = np.abs(sources - number)
        found.append(max(doubts[n] for n in np.flatnonzero(distance == distance.min())))
    return tuple(found)


def most_likely_classes(predicted: Iterable[PredictedPart], grid: SliceGrid) -> LabelArray:
    """Return the most likely class of every voxel of a volume.

    Args:
        predicted: All its slices on the network's grid, in order.
        grid: How it lies on the volume's own.

    Returns:
        Shape (slices, rows, columns) of the volume, turned.
    """
    classes: LabelArray = np.empty((grid.num_slices, *grid.native_shape), np.uint8)
    parts = (few for said in predicted for few in _few_slices(said))
    for part, said in grid.at_native_slices(parts):
        classes[part] = grid.probabilities_to_native(said).argmax(axis=1)
    return classes


class _Seen:
    """Keeps the most likely classes of what is predicted, while its probabilities pass by.

    Args:
        num_copies: How many copies are predicted.
        shape: Slices, rows and columns on the network's grid.
    """

    def __init__(self, num_copies: int, shape: tuple[int, ...]) -> None:
        self.classes = MostLikely(
            np.empty(shape, np.uint8), np.empty((num_copies, *shape), np.uint8)
        )

    def noting(self, predicted: Iterable[PredictedPart]) -> Iterator[tuple[slice, Probabilities]]:
        """Yield slices and probabilities, few at a time."""
        for said in predicted:
            self.classes.copies[:, said.part] = said.copies
            for part, few in _few_slices(said):
                self.classes.mean[part] = few.argmax(axis=1)
                yield part, few


def _few_slices(said: PredictedPart) -> Iterator[tuple[slice, Probabilities]]:
    """Yield a part in smaller ones, which bound the memory of what is done with them."""
    for start in range(0, len(said.probabilities), SLICES_AT_ONCE):
        few = said.probabilities[start : start + SLICES_AT_ONCE]
        first = said.part.start + start
        yield slice(first, first + len(few)), few


def _cleaned(
    probabilities: Probabilities, clean_up: CleanUpConfig, device: ComputeDevice
) -> Probabilities:
    smoothed: Probabilities = (
        mean_field(
            torch.from_numpy(probabilities).to(device.torch_device),
            num_iterations=clean_up.num_iterations,
            sigma_px=clean_up.sigma_px,
            neighbour_weight=clean_up.neighbour_weight,
            self_weight=clean_up.self_weight,
        )
        .cpu()
        .numpy()
    )
    return smoothed


def _relative_entropy(probabilities: Probabilities) -> npt.NDArray[np.float32]:
    """Entropy over classes (axis 1) in units of its maximum, in steps of 1/255."""
    entropy = -(probabilities * np.log(np.clip(probabilities, 1e-7, 1))).sum(axis=1)
    relative = np.clip(entropy / np.log(probabilities.shape[1]), 0, 1)
    rounded: npt.NDArray[np.float32] = (
        np.round(relative * UNCERTAINTY_STEPS) / UNCERTAINTY_STEPS
    ).astype(np.float32)
    return rounded
