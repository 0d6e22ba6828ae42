"""Segmentation losses: soft Dice and cross-entropy, where structures are left out marginal."""

import torch
from torch import Tensor
from torch.nn import functional

from PseudoLabelCLLib.learning.shapes import Bool, Float

# Tiny on purpose: a larger one would reward predicting nothing where a class is absent.
# Docs/methods.md, "Round 0".
DICE_EPSILON = 1e-10

Scores = Float[Tensor, "batch classes *space"]
Targets = Float[Tensor, "batch targets *space"]
Counts = Bool[Tensor, "batch *space"]
LeftOut = Bool[Tensor, "batch foreground"]


def soft_dice_loss(
    logits: Scores,
    target: Targets,
    counts: Counts | None = None,
    left_out: LeftOut | None = None,
) -> Float[Tensor, ""]:
    """Return 1 minus the soft Dice, averaged over images and all classes, background included.

    In an image with structures left out, only the Dice of the others is known: it runs over the
    whole image, and background and what is left out have none.

    Args:
        logits: Class scores before the softmax.
        target: Class probabilities, soft where a warp moved a border; they sum to 1 over classes.
            With `left_out` there is one channel more, for background or what is left out.
        counts: Which pixels count; None means all. An image without any costs nothing.
        left_out: Which foreground classes are left out of each image; None means none of any.

    Source: Chaitanya et al., MedIA 2023; denominator of plain sums. Structures left
        out: Shi et al., MedIA 2021 (marginal loss).
    """
    probabilities = logits.float().softmax(dim=1)
    target = target[:, : logits.shape[1]]
    if counts is not None:
        probabilities, target = probabilities * counts[:, None], target * counts[:, None]
    intersection = (probabilities * target).flatten(2).sum(dim=2)  # (batch, classes)
    total = probabilities.flatten(2).sum(dim=2) + target.flatten(2).sum(dim=2)
    dice = 2 * intersection / (total + DICE_EPSILON)
    if counts is None and left_out is None:
        return 1 - dice.mean()
    missing = 1 - dice
    if left_out is None:
        missing = missing.mean(dim=1)
    else:
        is_known = ~_merged_classes(left_out) | ~left_out.any(dim=1, keepdim=True)
        missing = (missing * is_known).sum(dim=1) / is_known.sum(dim=1).clamp(min=1)
    return (missing if counts is None else missing * counts.flatten(1).any(dim=1)).mean()


def soft_cross_entropy(
    logits: Scores,
    target: Targets,
    counts: Counts | None = None,
    left_out: LeftOut | None = None,
) -> Float[Tensor, ""]:
    """Return the cross-entropy with soft targets, averaged over pixels and images.

    Pixels that do not count cost nothing, and the sum is still divided by all of them: so a pixel
    weighs the same whatever is known of its neighbours, and parts of a batch add up to the whole.
    A pixel that is background or one of the structures left out asks for the sum of their
    probabilities; which of them it is, it does not say.

    Source: Shi et al., MedIA 2021 (marginal cross-entropy).
    """
    scores = functional.log_softmax(logits.float(), dim=1)
    if counts is not None:
        target = target * counts[:, None]
    loss = -(target[:, : logits.shape[1]] * scores).sum(dim=1)
    if left_out is not None:
        others = ~_merged_classes(left_out)
        others = others.reshape(*others.shape, *[1] * (logits.ndim - 2))
        loss = loss - target[:, -1] * scores.masked_fill(others, -torch.inf).logsumexp(dim=1)
    return loss.mean()


def segmentation_loss(
    logits: Scores,
    target: Targets,
    *,
    dice_weight: float,
    cross_entropy_weight: float,
    counts: Counts | None = None,
    left_out: LeftOut | None = None,
) -> Float[Tensor, ""]:
    """Return the weighted sum of soft Dice loss and cross-entropy, over the pixels that count."""
    loss = torch.zeros((), device=logits.device)
    if dice_weight:
        loss = loss + dice_weight * soft_dice_loss(logits, target, counts, left_out)
    if cross_entropy_weight:
        cross_entropy = soft_cross_entropy(logits, target, counts, left_out)
        loss = loss + cross_entropy_weight * cross_entropy
    return loss


def _merged_classes(left_out: LeftOut) -> Bool[Tensor, "batch classes"]:
    """Return which classes a pixel outside the accepted structures can be, background first."""
    return functional.pad(left_out, (1, 0), value=True)
