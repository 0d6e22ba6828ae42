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
from PseudoLabelCLLib.learning.inference import MostLikely, PredictedPart, Saving, predict_parts
from PseudoLabelCLLib.learning.networks.mean_field import mean_field
from PseudoLabelCLLib.pipeline.anatomy.carried_anatomy import (
    CarriedAnatomy,
    agreement_with,
    at_slices,
    fused,
)
from PseudoLabelCLLib.pipeline.prediction.keep_single_pieces import keep_single_pieces
from PseudoLabelCLLib.pipeline.prediction.model_file import TrainedModel
from PseudoLabelCLLib.pipeline.prediction.rank_for_review import doubt_of, with_anatomy
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
        doubt: How much changed copies contradict each other, and anatomy the network.
        anatomy_weights: Of what was carried over from annotated volumes, for each structure;
            empty where nothing was.
    """

    labels: LabelVolume
    uncertainty: Volume
    doubt: Doubt
    anatomy_weights: tuple[float, ...] = ()


@dataclass(frozen=True)
class AnatomyOfCase:
    """What the annotated volumes say of a case, and how much it weighs.

    Args:
        carried: Their labels, carried over.
        weight: Where these count in full, 0..1.
    """

    carried: CarriedAnatomy
    weight: float


@dataclass(frozen=True)
class Refinement:
    """What is done to a prediction to make a proposal of it.

    Args:
        clean_up: How its labels are smoothed before they leave the network's grid.
        anatomy: What annotated volumes say of the case, or None.
    """

    clean_up: CleanUpConfig = NO_CLEAN_UP
    anatomy: AnatomyOfCase | None = None


AS_PREDICTED = Refinement()


def segment_slices(
    model: TrainedModel,
    images: npt.NDArray[np.float32],
    grid: SliceGrid,
    geometry: Geometry,
    device: ComputeDevice,
    refinement: Refinement = AS_PREDICTED,
) -> SegmentedVolume:
    """Segment a volume from its slices on the network's grid.

    Cleaning up changes the labels alone: uncertainty and doubt tell what the network said. Where
    anatomy counts, labels and uncertainty are those of both together.

    Args:
        model: With its network on the device.
        images: Shape (slices, channels, rows, columns), as the model's preprocessing makes them.
        grid: How they lie on the volume's own grid.
        geometry: The volume's grid.
        device: Where to compute.
        refinement: What makes a proposal of the prediction; by default nothing does.
    """
    card = model.card
    looking = _Looking(model, images, grid, device, refinement.clean_up)
    classes, uncertainty = looking.at_all_slices()
    axis = grid.slicing_axis
    native_names = [geometry.slice_name(axis, number) for number in range(grid.num_slices)]
    doubt = doubt_of(
        looking.seen.classes, card.schema, [native_names[int(n)] for n in grid.sources]
    )
    doubt = replace(doubt, doubt_per_slice=_at_native_slices(doubt.doubt_per_slice, grid))
    anatomy = refinement.anatomy
    weights: tuple[float, ...] = ()
    if anatomy is not None:
        agreement = agreement_with(anatomy.carried, classes, grid)
        doubt = with_anatomy(doubt, anatomy.carried, agreement, card.schema, native_names)
        weights = agreement.weights(anatomy.carried, anatomy.weight)
        if any(weights):
            classes, uncertainty = looking.at_all_slices(anatomy.carried, weights)
    second_piece = keep_single_pieces(classes, card.schema, card.single_pieces, geometry.voxel_mm3)
    return SegmentedVolume(
        labels=LabelVolume(grid.volume_of(label_values(classes, card.schema)), geometry),
        uncertainty=Volume(grid.volume_of(uncertainty), geometry),
        doubt=doubt.with_second_piece(*second_piece),
        anatomy_weights=weights,
    )


class _Looking:
    """Predicts a volume, as often as it is asked: probabilities of a large one fit no memory."""

    def __init__(
        self,
        model: TrainedModel,
        images: npt.NDArray[np.float32],
        grid: SliceGrid,
        device: ComputeDevice,
        clean_up: CleanUpConfig,
    ) -> None:
        card = model.card
        self._copies = draw_copies(card.pseudo_label, card.seed, mirror=card.mirror_copies)
        self._model, self._images, self._grid = model, images, grid
        self._device, self._clean_up = device, clean_up
        self.seen = _Seen(len(self._copies), (len(images), *images.shape[-2:]))

    def at_all_slices(
        self, carried: CarriedAnatomy | None = None, weights: tuple[float, ...] = ()
    ) -> tuple[LabelArray, npt.NDArray[np.float32]]:
        """Return most likely classes and uncertainty, (slices, rows, columns) of the volume.

        Args:
            carried: Labels that are fused with what the network says, or None.
            weights: Of each structure of them.
        """
        grid, block = self._grid, self._model.card.preprocess.patch_size
        config = self._model.card.pseudo_label
        classes: LabelArray = np.empty((grid.num_slices, *grid.native_shape), np.uint8)
        uncertainty = np.empty(classes.shape, np.float32)
        predicted = predict_parts(
            self._model.network, self._images, self._copies, self._device, block,
            saving=Saving(config.further_copies_from, config.coarse_pass_from),
        )  # fmt: skip
        for part, said in grid.at_native_slices(self.seen.noting(predicted)):
            probabilities = self._blended(said, part, carried, weights)
            uncertainty[part] = _relative_entropy(probabilities)
            if self._clean_up.num_iterations:
                cleaned = _cleaned(said, self._clean_up, self._device)
                probabilities = self._blended(cleaned, part, carried, weights)
            classes[part] = probabilities.argmax(axis=1)
        return classes, uncertainty

    def _blended(
        self,
        said: Probabilities,
        part: slice,
        carried: CarriedAnatomy | None,
        weights: tuple[float, ...],
    ) -> Probabilities:
        """Return the probabilities of some slices on the volume's pixels, with what was carried."""
        probabilities = self._grid.probabilities_to_native(said)
        if carried is None:
            return probabilities
        return fused(probabilities, *at_slices(carried, self._grid, part), weights)


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
