"""A pass over slices at half their resolution, which tells where nothing is to be found."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from PseudoLabelCLLib.learning.shapes import Bool, Float

# Returns class probabilities of slices of any size.
Predict = Callable[[Tensor], Tensor]
Slices = Float[Tensor, "slices channels rows columns"]
Probabilities = Float[Tensor, "slices classes rows columns"]
Coarse = Float[Tensor, "slices classes coarse_rows coarse_columns"]


def coarse_probabilities(predict: Predict, images: Slices) -> Coarse:
    """Return class probabilities at half the resolution: means of 2 x 2 pixels are predicted."""
    return predict(functional.avg_pool2d(images, 2, ceil_mode=True))


def enlarged(probabilities: Coarse, images: Slices) -> Probabilities:
    """Return coarse probabilities on the pixels of the slices themselves, linear between them."""
    return functional.interpolate(probabilities, size=images.shape[-2:], mode="bilinear")


def largest_of_structures(probabilities: Coarse) -> Float[Tensor, " slices"]:
    """Return of every slice the largest probability that any pixel has of all structures."""
    return (1 - probabilities[:, 0]).flatten(1).amax(dim=1)


def with_neighbours_of(is_possible: Bool[Tensor, " slices"]) -> Bool[Tensor, " slices"]:
    """Return which slices are possible themselves, or are next to one that is."""
    wider = is_possible.clone()
    wider[1:] |= is_possible[:-1]
    wider[:-1] |= is_possible[1:]
    return wider


def needs_prediction(largest: list[Tensor], least: float) -> Bool[Tensor, " slices"]:
    """Return which slices of a volume are predicted, the others being beyond doubt.

    Args:
        largest: `largest_of_structures`, some slices after the others.
        least: A slice is left out where it and both neighbours stay below this probability.
    """
    return with_neighbours_of(torch.cat([one.cpu() for one in largest]) >= least)
