"""Weak-to-strong consistency: the averaged network teaches unlabelled slices where it is sure."""

import torch
from torch import Tensor
from torch.nn import functional

from PseudoLabelCLLib.learning.shapes import Bool, Float

# Keeps the Dice of a class that no confident pixel shows from being 0 / 0.
DICE_EPSILON = 1e-6

Scores = Float[Tensor, "batch classes *space"]


def consistency_loss(
    logits: Scores,
    teacher: Scores,
    *,
    min_confidence: float,
    counts: Bool[Tensor, "batch *space"] | None = None,
) -> Float[Tensor, ""]:
    """Return cross-entropy plus Dice loss towards the teacher's most likely class where it is sure.

    Pixels on which the teacher's largest probability is below `min_confidence` count nothing, so
    that an unreviewed slice is a weighted target and never the truth. Dice is pooled over the
    batch and averaged over the classes that the teacher is sure to see: one that is absent costs
    nothing by itself. No gradient flows into the teacher.

    Args:
        logits: Class scores of the strongly changed slices.
        teacher: Class probabilities of the unchanged slices, warped like the changed ones.
        min_confidence: 0..1.
        counts: Which pixels can count at all, such as those that no person left open; None means
            all.

    Source: Sohn et al., NeurIPS 2020 (FixMatch, equation 4), with the averaged teacher of
        Tarvainen and Valpola, NeurIPS 2017; Dice term as in Yang et al., CVPR 2023 (UniMatch).
    """
    scores = logits.float()
    confidence, winner = teacher.detach().max(dim=1)  # (batch, *space)
    is_sure = confidence >= min_confidence
    sure = (is_sure if counts is None else is_sure & counts).float()
    cross_entropy = (functional.cross_entropy(scores, winner, reduction="none") * sure).mean()
    target = functional.one_hot(winner, logits.shape[1]).movedim(-1, 1) * sure[:, None]
    probabilities = scores.softmax(dim=1) * sure[:, None]
    everywhere = [axis for axis in range(logits.ndim) if axis != 1]
    intersection = (probabilities * target).sum(dim=everywhere)  # (classes,)
    total = (probabilities + target).sum(dim=everywhere)
    shown = target.sum(dim=everywhere) > 0
    dice = (2 * intersection + DICE_EPSILON) / (total + DICE_EPSILON)
    missing = torch.where(shown, 1 - dice, 0).sum() / shown.sum().clamp(min=1)
    return cross_entropy + missing
