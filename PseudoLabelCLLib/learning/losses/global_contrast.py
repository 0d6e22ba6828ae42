"""The global contrastive loss of whole slices, which trains the encoder without labels."""

import torch
from torch import Tensor
from torch.nn import functional

from PseudoLabelCLLib.domain.pretraining_config import GlobalStrategy
from PseudoLabelCLLib.learning.losses.cosine import cosines
from PseudoLabelCLLib.learning.shapes import Float, Int

Views = Int[Tensor, " views"]
Pairs = tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]]

# Which of a slice, its augmented copy, a slice of another volume and that one's copy are alike.
ALIKE = ((0, 1), (0, 2), (2, 3), (1, 3))


def global_contrastive_loss(
    embeddings: Float[Tensor, "views embedding"],
    strategy: GlobalStrategy,
    *,
    num_partitions: int,
    temperature: float,
) -> Float[Tensor, ""]:
    """Return how far alike slices are from being closer to each other than to all others.

    Every pair of an anchor a and a positive p gives one term,

        -log e^{s(a, p)} / (e^{s(a, p)} + sum_k e^{s(a, k)}),  s = cosine / tau,

    with k over all slices of the other partitions. Slices of the anchor's own partition are never
    negatives. The terms are summed and divided by the number of views.

    With S = `num_partitions`, the views stand in this order:

    - random: all first views, then all second views. Here every slice is a partition of its own.
    - partition-minus: original slices, volume by volume in partition order; their first augmented
      copies; their second. All pairs of a slice's three views are alike.
    - partition: any number of blocks of S originals, their S augmented copies, S originals of other
      volumes, their S augmented copies. A slice is alike to its copy and to the slice half a block
      further on, the two copies likewise; after the last view follows the first.

    Args:
        embeddings: Raw output of the projection head.
        strategy: Which slices are alike.
        num_partitions: Parts of a volume, 2 or more; not used by "random".
        temperature: tau, above 0.

    Raises:
        ValueError: If the number of views does not fit the order.

    Source: Chaitanya et al., NeurIPS 2020 (G^R, G^D-, G^D), with the pairs and the divisors of its
        code.
    """
    num_views = len(embeddings)
    views = torch.arange(num_views, device=embeddings.device)
    anchors, positives = _alike(views, strategy, num_partitions)
    random = strategy is GlobalStrategy.RANDOM
    partitions = views % (num_views // 2 if random else num_partitions)
    scores = cosines(embeddings, embeddings) / temperature  # (views, views)
    negative = partitions[:, None] != partitions[None, :]
    log_negatives = torch.where(negative, scores, -torch.inf).logsumexp(dim=1)  # (views,)
    margins = scores[anchors, positives] - log_negatives[anchors]  # (pairs,)
    return -functional.logsigmoid(margins).sum() / num_views


def _alike(views: Views, strategy: GlobalStrategy, num_partitions: int) -> Pairs:
    if strategy is GlobalStrategy.RANDOM:
        _require_multiple(views, 2, strategy)
        return views, views.roll(len(views) // 2)
    if num_partitions < 2:
        raise ValueError(f"num_partitions must be 2 or more, got {num_partitions}")
    if strategy is GlobalStrategy.PARTITION_MINUS:
        _require_multiple(views, 3 * num_partitions, strategy)
        third = len(views) // 3
        return views.repeat(2), torch.cat((views.roll(third), views.roll(2 * third)))
    _require_multiple(views, 4 * num_partitions, strategy)
    originals = views.reshape(-1, 2, num_partitions)[:, 0].flatten()
    members = [(originals + place * num_partitions) % len(views) for place in range(4)]
    first = torch.cat([members[a] for a, _ in ALIKE])
    second = torch.cat([members[b] for _, b in ALIKE])
    return torch.cat((first, second)), torch.cat((second, first))


def _require_multiple(views: Views, period: int, strategy: GlobalStrategy) -> None:
    if len(views) < 4 or len(views) % period:
        raise ValueError(
            f"{strategy.value!r} takes a multiple of {period} views, 4 or more, got {len(views)}"
        )
