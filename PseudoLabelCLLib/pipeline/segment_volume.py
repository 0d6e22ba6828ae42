"""A volume's segmentation by a trained model, on the volume's own grid, with its uncertainty."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.pseudo_label import Doubt
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.inference import Prediction, draw_copies, predict_slices
from PseudoLabelCLLib.pipeline.case_slices import label_values
from PseudoLabelCLLib.pipeline.model_file import TrainedModel
from PseudoLabelCLLib.pipeline.preprocess import SliceGrid
from PseudoLabelCLLib.pipeline.rank_for_review import doubt_of

LabelArray = npt.NDArray[np.uint8]

# Probabilities of so many slices are put back on the native grid at once, to bound the memory.
SLICES_AT_ONCE = 16
# Uncertainty is stored in steps of 1/255: finer ones are noise and do not compress.
UNCERTAINTY_STEPS = 255


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
) -> SegmentedVolume:
    """Segment a volume from its slices on the network's grid.

    Args:
        model: With its network on the device.
        images: Shape (slices, rows, columns), as the model's preprocessing makes them.
        grid: How they lie on the volume's own grid.
        geometry: The volume's grid.
        device: Where to compute.
    """
    card = model.card
    copies = draw_copies(card.pseudo_label, card.seed, mirror=card.mirror_copies)
    prediction = predict_slices(model.network, images, copies, device)
    classes: LabelArray = np.empty((grid.num_slices, *grid.native_shape), np.uint8)
    uncertainty = np.empty(classes.shape, np.float32)
    for part, probabilities in _native_parts(prediction, grid):
        classes[part] = probabilities.argmax(axis=1)
        uncertainty[part] = _relative_entropy(probabilities)
    classes = _keep_largest_components(classes, card.schema)
    return SegmentedVolume(
        labels=LabelVolume(grid.volume_of(label_values(classes, card.schema)), geometry),
        uncertainty=Volume(grid.volume_of(uncertainty), geometry),
        doubt=doubt_of(prediction, card.schema),
    )


def _native_parts(
    prediction: Prediction, grid: SliceGrid
) -> Iterator[tuple[slice, npt.NDArray[np.float32]]]:
    for start in range(0, grid.num_slices, SLICES_AT_ONCE):
        part = slice(start, start + SLICES_AT_ONCE)
        yield part, grid.probabilities_to_native(prediction.probabilities[part])


def _relative_entropy(probabilities: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Entropy over classes (axis 1) in units of its maximum, in steps of 1/255."""
    entropy = -(probabilities * np.log(np.clip(probabilities, 1e-7, 1))).sum(axis=1)
    relative = np.clip(entropy / np.log(probabilities.shape[1]), 0, 1)
    rounded: npt.NDArray[np.float32] = (
        np.round(relative * UNCERTAINTY_STEPS) / UNCERTAINTY_STEPS
    ).astype(np.float32)
    return rounded


def _keep_largest_components(classes: LabelArray, schema: LabelSchema) -> LabelArray:
    """Drop all but the largest connected part of the labels whose schema asks for it."""
    for index, label in enumerate(schema, start=1):
        if not label.keep_largest_component:
            continue
        parts, num_parts = ndimage.label(classes == index, structure=np.ones((3, 3, 3)))
        if num_parts > 1:
            sizes = np.bincount(parts.ravel())
            sizes[0] = 0
            classes[(parts > 0) & (parts != sizes.argmax())] = 0
    return classes
