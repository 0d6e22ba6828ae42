"""The positional contrastive loss: slices from nearby places of any volume are alike."""

import torch
from torch import Tensor

from PseudoLabelCLLib.learning.losses.cosine import cosines, full_precision
from PseudoLabelCLLib.learning.shapes import Float

# Positions are fractions such as 1/20, and 8/20 - 1/20 rounds to either side of 0.35. A distance
# within rounding of the threshold is the threshold itself, which is not near.
POSITION_ROUNDING = 5e-7


def positional_contrastive_loss(
    embeddings: Float[Tensor, "views embedding"],
    positions: Float[Tensor, " views"],
    *,
    threshold: float,
    temperature: float,
    base_temperature: float,
) -> Float[Tensor, ""]:
    """Return how far slices from nearby places are from being closer than slices from elsewhere.

    With P(i) all views j but i itself whose positions differ from that of i by less than t, the
    loss is the mean over the views i of

        -(tau / T0) (1 / |P(i)|) sum_{j in P(i)} log (e^{s(i, j)} / sum_{k != i} e^{s(i, k)}),

    s = cosine / tau. A view without any near one gives 0. The order of the views does not matter.

    Args:
        embeddings: Raw output of the projection head; both views of every slice.
        positions: Place of each view's slice in its volume, 0..1, at least in float32.
        threshold: t, above 0.
        temperature: tau, above 0.
        base_temperature: T0, above 0.

    Raises:
        ValueError: If there are fewer than two views.

    Source: Zeng et al., MICCAI 2021, with the factor tau / T0 of its code.
    """
    num_views = len(embeddings)
    if num_views < 2:
        raise ValueError(f"2 or more views were expected, got {num_views}")
    places = full_precision(positions)
    is_other = ~torch.eye(num_views, dtype=torch.bool, device=embeddings.device)
    distances = (places[:, None] - places[None, :]).abs()
    scores = cosines(embeddings, embeddings) / temperature  # (views, views)
    near = ((distances < threshold - POSITION_ROUNDING) & is_other).to(scores.dtype)
    log_total = torch.where(is_other, scores, -torch.inf).logsumexp(dim=1, keepdim=True)
    # clamped before the division: 0 / 0 would leak NaN into the gradient
    shares = near / near.sum(dim=1, keepdim=True).clamp(min=1)
    return temperature / base_temperature * (shares * (log_total - scores)).sum() / num_views
