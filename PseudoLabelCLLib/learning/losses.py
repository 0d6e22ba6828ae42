"""Segmentation losses: soft Dice over all classes, and cross-entropy, with soft targets."""

import torch
from torch import Tensor
from torch.nn import functional

from PseudoLabelCLLib.learning.shapes import Bool, Float

# Tiny on purpose: a larger one would reward predicting nothing where a class is absent
# (methods A, section A.2.1).
DICE_EPSILON = 1e-10

Scores = Float[Tensor, "batch classes rows columns"]
Counts = Bool[Tensor, "batch rows columns"]


def soft_dice_loss(
    logits: Scores, target: Scores, counts: Counts | None = None
) -> Float[Tensor, ""]:
    """Return 1 minus the soft Dice, averaged over images and all classes, background included.

    Args:
        logits: Class scores before the softmax.
        target: Class probabilities, soft where a warp moved a border; they sum to 1 over classes.
        counts: Which pixels count; None means all. An image without any costs nothing.

    Source: Chaitanya et al., MedIA 2023, section 3.1; denominator of plain sums.
    """
    probabilities = logits.float().softmax(dim=1)
    if counts is not None:
        probabilities, target = probabilities * counts[:, None], target * counts[:, None]
    intersection = (probabilities * target).sum(dim=(2, 3))  # (batch, classes)
    total = probabilities.sum(dim=(2, 3)) + target.sum(dim=(2, 3))
    dice = 2 * intersection / (total + DICE_EPSILON)
    if counts is None:
        return 1 - dice.mean()
    return ((1 - dice) * counts.any(dim=2).any(dim=1)[:, None]).mean()


def soft_cross_entropy(
    logits: Scores, target: Scores, counts: Counts | None = None
) -> Float[Tensor, ""]:
    """Return the cross-entropy with soft targets, averaged over pixels and images.

    Pixels that do not count cost nothing, and the sum is still divided by all of them: so a pixel
    weighs the same whatever is known of its neighbours, and parts of a batch add up to the whole.
    """
    scores = functional.log_softmax(logits.float(), dim=1)
    if counts is not None:
        target = target * counts[:, None]
    return -(target * scores).sum(dim=1).mean()


def segmentation_loss(
    logits: Scores,
    target: Scores,
    *,
    dice_weight: float,
    cross_entropy_weight: float,
    counts: Counts | None = None,
) -> Float[Tensor, ""]:
    """Return the weighted sum of soft Dice loss and cross-entropy, over the pixels that count."""
    loss = torch.zeros((), device=logits.device)
    if dice_weight:
        loss = loss + dice_weight * soft_dice_loss(logits, target, counts)
    if cross_entropy_weight:
        loss = loss + cross_entropy_weight * soft_cross_entropy(logits, target, counts)
    return loss
