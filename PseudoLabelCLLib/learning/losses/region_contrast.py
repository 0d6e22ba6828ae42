"""The local contrastive loss of regions of a slice, which trains the decoder without labels."""

import torch
from torch import Tensor
from torch.nn import functional

from PseudoLabelCLLib.domain.errors import TrainingError
from PseudoLabelCLLib.domain.pretraining_config import LocalStrategy
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.losses.cosine import cosines, full_precision
from PseudoLabelCLLib.learning.shapes import Float, Int
from PseudoLabelCLLib.learning.to_device import to_device

REGION_SIDE = 3
SMALLEST_SIDE = 8
NUM_ANCHORS = 13

# Top left corners in quarters of the map: 13 anchors, then 4 that are only negatives.
CORNERS = (
    (0, 0), (0, 2), (0, 4), (2, 0), (2, 2), (2, 4), (4, 0), (4, 2), (4, 4),
    (1, 1), (1, 3), (3, 1), (3, 3),
    (1, 2), (2, 1), (2, 3), (3, 2),
)  # fmt: skip

# The five regions that each of the 13 anchors is told from, as indices into CORNERS.
NEGATIVES = (
    (1, 9, 13, 3, 14), (0, 2, 9, 10, 4), (1, 13, 10, 15, 5), (0, 9, 4, 6, 11), (9, 10, 11, 12, 3),
    (2, 4, 8, 10, 12), (3, 14, 7, 11, 16), (4, 6, 8, 11, 12), (15, 5, 7, 12, 16),
    (0, 1, 3, 4, 10), (1, 2, 9, 4, 5), (3, 4, 6, 7, 12), (4, 5, 7, 8, 11),
)  # fmt: skip

# The loss across volumes uses the first four of the five.
NUM_NEGATIVES = {LocalStrategy.RANDOM: 5, LocalStrategy.PARTITION: 4}

Regions = Float[Tensor, "views 17 embedding"]


def gather_regions(
    features: Float[Tensor, "views width rows columns"],
) -> Float[Tensor, "views 17 values"]:
    """Return the 17 patches of 3 x 3 pixels, all values of one channel after those of another.

    The corner at quarter u of a side lies at pixel floor(u (side - 4) / 4), separately for rows
    and columns.

    Raises:
        TrainingError: If a side is too short for five different corners.

    Source: Chaitanya et al., NeurIPS 2020, code (13 regions of 3 x 3).
    """
    sides = features.shape[2], features.shape[3]
    if min(sides) < SMALLEST_SIDE:
        raise TrainingError(
            Text(
                "The decoder's features are {height} x {width} pixels, and local "
                "contrastive pre-training takes regions from {least} x "
                "{least} pixels or more.",
                height=sides[0],
                width=sides[1],
                least=SMALLEST_SIDE,
            ),
            Text("Choose a larger window, or train more decoder blocks."),
        )
    rows = _pixels([corner[0] for corner in CORNERS], sides[0], features.device)
    columns = _pixels([corner[1] for corner in CORNERS], sides[1], features.device)
    patches = features[:, :, rows[:, :, None], columns[:, None, :]]  # (views, width, 17, 3, 3)
    return patches.movedim(2, 1).flatten(2)


def region_contrastive_loss(
    regions: Regions, strategy: LocalStrategy, *, num_partitions: int, temperature: float
) -> Float[Tensor, ""]:
    """Return how far a region is from being closer to itself in another view than to others.

    The region r of a view a with its positive, the same region of a view p, gives one term,

        -log e^{s(a_r, p_r)} / (e^{s(a_r, p_r)} + sum_k (e^{s(a_r, a_k)} + e^{s(a_r, p_k)})),

    with s = cosine / tau and k over the neighbours of r in the table. The terms of the 13 anchor
    regions are summed and divided by 13 times the number of views.

    The first views stand before the second. With "random" every view is an anchor and its positive
    is the other view of the slice. With "partition" only first views are anchors; they stand volume
    by volume in partition order. Positives are the own second view and the first views of the same
    partition in the next volume and the one after; after the last volume follows the first, and of
    two volumes each has only the other.

    Args:
        regions: Raw projections of the 17 regions, in the order of `gather_regions`.
        strategy: Which regions are alike.
        num_partitions: Parts of a volume; not used by "random".
        temperature: tau, above 0.

    Raises:
        ValueError: If the number of views does not fit the order.

    Source: Chaitanya et al., NeurIPS 2020 (L^R, L^D), with the table and the divisors of its code.
    """
    regions = full_precision(regions)
    half = len(regions) // 2
    if strategy is LocalStrategy.RANDOM:
        if not half or len(regions) % 2:
            raise ValueError(f"an even number of views was expected, got {len(regions)}")
        anchors, partners = regions, [regions.roll(half, 0)]
    else:
        if num_partitions < 1 or len(regions) % (2 * num_partitions) or half < 2 * num_partitions:
            raise ValueError(
                f"two views of {num_partitions} slices each of 2 or more volumes were expected, "
                f"got {len(regions)} views"
            )
        anchors = regions[:half]
        offsets = range(num_partitions, min(2 * num_partitions, half - num_partitions) + 1)
        others = [anchors.roll(-offset, 0) for offset in offsets[::num_partitions]]
        partners = [regions[half:], *others]
    num_negatives = NUM_NEGATIVES[strategy]
    total = sum(_terms(anchors, partner, num_negatives, temperature).sum() for partner in partners)
    return torch.as_tensor(total) / (NUM_ANCHORS * len(regions))


def _terms(
    anchors: Regions, partners: Regions, num_negatives: int, temperature: float
) -> Float[Tensor, "views 13"]:
    own = cosines(anchors, anchors)[:, :NUM_ANCHORS] / temperature  # (views, 13, 17)
    across = cosines(anchors, partners)[:, :NUM_ANCHORS] / temperature
    table = torch.tensor(NEGATIVES)[:, :num_negatives]
    index = to_device(table, anchors.device).expand(len(anchors), -1, -1)
    negatives = torch.cat((own.gather(2, index), across.gather(2, index)), dim=2)
    positives = across.diagonal(dim1=1, dim2=2)  # (views, 13)
    return -functional.logsigmoid(positives - negatives.logsumexp(dim=2))


def _pixels(quarters: list[int], side: int, device: torch.device) -> Int[Tensor, "17 3"]:
    """Return the three pixels along one side of every region."""
    first = torch.tensor(quarters) * (side - 4) // 4
    return to_device(first[:, None] + torch.arange(REGION_SIDE), device)
