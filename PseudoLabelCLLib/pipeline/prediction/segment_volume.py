"""A volume's segmentation by a trained model, on the volume's own grid, with its uncertainty."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from PseudoLabelCLLib.domain.doubt import Doubt
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.method_config import CleanUpConfig
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.learning.copies import draw_copies
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.inference import MostLikely, PredictedPart, Saving, predict_parts
from PseudoLabelCLLib.learning.networks.mean_field import mean_field
from PseudoLabelCLLib.learning.shapes import UInt8
from PseudoLabelCLLib.learning.to_host import Returning, on_the_host, start_return
from PseudoLabelCLLib.pipeline.anatomy.carried_anatomy import (
    CarriedAnatomy,
    agreement_with,
    at_slices,
    fused,
)
from PseudoLabelCLLib.pipeline.prediction.keep_single_pieces import keep_single_pieces
from PseudoLabelCLLib.pipeline.prediction.model_file import TrainedModel
from PseudoLabelCLLib.pipeline.prediction.rank_for_review import (
    doubt_of,
    doubt_per_slice,
    with_anatomy,
)
from PseudoLabelCLLib.pipeline.slices.case_slices import label_values
from PseudoLabelCLLib.pipeline.slices.slice_grid import Probabilities, SliceGrid

LabelArray = npt.NDArray[np.uint8]
OfPixels = UInt8[Tensor, "slices rows columns"]

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
    anatomy, agreement = refinement.anatomy, None
    weights: tuple[float, ...] = ()
    if anatomy is not None:
        agreement = agreement_with(anatomy.carried, classes, grid)
        weights = agreement.weights(anatomy.carried, anatomy.weight)
        if any(weights):
            classes, uncertainty = looking.at_all_slices(anatomy.carried, weights)
    per_slice = doubt_per_slice(classes, uncertainty)
    doubt = doubt_of(looking.seen.classes, card.schema, per_slice, native_names)
    if anatomy is not None and agreement is not None:
        doubt = with_anatomy(
            doubt, anatomy.carried, agreement, card.schema, native_names, is_fused=any(weights)
        )
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
        for part, (own, steps) in on_the_host(self._said(predicted, carried, weights)):
            classes[part] = own
            np.divide(steps, UNCERTAINTY_STEPS, out=uncertainty[part], dtype=np.float32)
        return classes, uncertainty

    def _said(
        self,
        predicted: Iterable[PredictedPart],
        carried: CarriedAnatomy | None,
        weights: tuple[float, ...],
    ) -> Iterator[tuple[slice, tuple[Tensor, Tensor]]]:
        """Yield most likely classes and steps of uncertainty of some slices, on the device."""
        for part, said in self._grid.at_native_slices(self.seen.noting(predicted, self._grid)):
            probabilities = self._blended(said, part, carried, weights)
            steps = _steps_of_uncertainty(probabilities)
            if self._clean_up.num_iterations:
                cleaned = _cleaned(said, self._clean_up)
                probabilities = self._blended(cleaned, part, carried, weights)
            yield part, (_winners(probabilities), steps)

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


def most_likely_classes(predicted: Iterable[PredictedPart], grid: SliceGrid) -> LabelArray:
    """Return the most likely class of every voxel of a volume.

    Args:
        predicted: All its slices on the network's grid, in order.
        grid: How it lies on the volume's own.

    Returns:
        Shape (slices, rows, columns) of the volume, turned.
    """
    classes: LabelArray = np.empty((grid.num_slices, *grid.native_shape), np.uint8)
    parts = (few for said in predicted for few in _few_slices(said, grid))
    won = (
        (part, (_winners(grid.probabilities_to_native(said)),))
        for part, said in grid.at_native_slices(parts)
    )
    for part, (own,) in on_the_host(won):
        classes[part] = own
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

    def noting(
        self, predicted: Iterable[PredictedPart], grid: SliceGrid
    ) -> Iterator[tuple[slice, Probabilities]]:
        """Yield slices and probabilities, few at a time."""
        last: tuple[slice, Returning] | None = None
        for said in predicted:
            won = start_return(_winners(said.probabilities), said.copies)
            self._note(last)
            last = said.part, won
            yield from _few_slices(said, grid)
        self._note(last)

    def _note(self, returned: tuple[slice, Returning] | None) -> None:
        if returned is not None:
            part, returning = returned
            self.classes.mean[part], self.classes.copies[:, part] = returning.arrays()


def _few_slices(said: PredictedPart, grid: SliceGrid) -> Iterator[tuple[slice, Probabilities]]:
    """Yield a part in smaller ones, which bound the memory of what is done with them."""
    at_once = grid.slices_at_once(said.probabilities.shape[1])
    for start in range(0, len(said.probabilities), at_once):
        few = said.probabilities[start : start + at_once]
        first = said.part.start + start
        yield slice(first, first + len(few)), few


def _cleaned(probabilities: Probabilities, clean_up: CleanUpConfig) -> Probabilities:
    return mean_field(
        probabilities,
        num_iterations=clean_up.num_iterations,
        sigma_px=clean_up.sigma_px,
        neighbour_weight=clean_up.neighbour_weight,
        self_weight=clean_up.self_weight,
    )


def _winners(probabilities: Probabilities) -> OfPixels:
    return probabilities.argmax(dim=1).to(torch.uint8)


def _steps_of_uncertainty(probabilities: Probabilities) -> OfPixels:
    """Entropy over classes in units of its maximum, in steps of 1/255."""
    entropy = -(probabilities * probabilities.clamp(1e-7, 1).log()).sum(dim=1)
    relative = (entropy / math.log(probabilities.shape[1])).clamp(0, 1)
    return (relative * UNCERTAINTY_STEPS).round().to(torch.uint8)
