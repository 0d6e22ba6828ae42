"""Class indices as channels: probabilities of 0 or 1, masks, and what is known of a pixel."""

import torch
from torch import Tensor
from torch.nn import functional

from PseudoLabelCLLib.learning.shapes import Bool, Float, Int
from PseudoLabelCLLib.learning.training.sampling import MERGED_CLASS


def one_hot(
    classes: Int[Tensor, "batch *space"], num_classes: int
) -> Float[Tensor, "batch classes *space"]:
    """Return class probabilities 0 or 1 for class indices."""
    return functional.one_hot(classes, num_classes).movedim(-1, 1).float()


def one_hot_with_ignored(
    classes: Int[Tensor, "batch *space"], num_classes: int, *, with_merged: bool = False
) -> Float[Tensor, "batch classes_and_more *space"]:
    """Return class probabilities 0 or 1, and after the last class whether a pixel is ignored.

    With `with_merged`, a channel between the two says whether it is `MERGED_CLASS`. A warp moves
    these like a class, and what it takes from outside the slice is background.
    """
    if not with_merged:
        return one_hot(classes.clamp(max=num_classes), num_classes + 1)
    after = torch.where(classes == MERGED_CLASS, num_classes, num_classes + 1)
    return one_hot(torch.where(classes < num_classes, classes, after), num_classes + 2)


def known_part(
    targets: Float[Tensor, "batch classes_and_ignored *space"],
) -> tuple[Float[Tensor, "batch classes *space"], Bool[Tensor, "batch *space"]]:
    """Return the probabilities before the last channel, of what is known, and which pixels count.

    A pixel that a warp made of known and ignored ones counts if the known ones are the larger part,
    as a nearest neighbour would; its probabilities are those of the known part and sum to 1.
    """
    known = 1 - targets[:, -1:]
    probabilities = targets[:, :-1] / known.clamp(min=0.5)
    return probabilities, known[:, 0] > 0.5


def foreground_masks(
    classes: Int[Tensor, "views *space"], num_classes: int
) -> Bool[Tensor, "views foreground pixels"]:
    """Return for every foreground class which pixels belong to it; an ignored one to none."""
    wanted = torch.arange(1, num_classes, device=classes.device)
    return classes.flatten(1)[:, None, :] == wanted[None, :, None]
