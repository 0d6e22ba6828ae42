"""The local contrastive loss of regions of a slice, which trains the decoder without labels."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from PseudoLabelCLLib.domain.errors import TrainingError
from PseudoLabelCLLib.domain.pretraining_config import LocalStrategy
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.losses.cosine import cosines, full_precision
from PseudoLabelCLLib.learning.shapes import Float, Int
from PseudoLabelCLLib.learning.to_device import to_device

SMALLEST_SIDE = 8

# Top left corners in quarters of the map: 13 anchors, then 4 that are only negatives.
CORNERS = (
    (0, 0), (0, 2), (0, 4), (2, 0), (2, 2), (2, 4), (4, 0), (4, 2), (4, 4),
    (1, 1), (1, 3), (3, 1), (3, 3),
    (1, 2), (2, 1), (2, 3), (3, 2),
)  # fmt: skip

# The five regions that each anchor is told from, as indices into CORNERS: of 13 anchors of 3 x 3
# pixels,
NEGATIVES = (
    (1, 9, 13, 3, 14), (0, 2, 9, 10, 4), (1, 13, 10, 15, 5), (0, 9, 4, 6, 11), (9, 10, 11, 12, 3),
    (2, 4, 8, 10, 12), (3, 14, 7, 11, 16), (4, 6, 8, 11, 12), (15, 5, 7, 12, 16),
    (0, 1, 3, 4, 10), (1, 2, 9, 4, 5), (3, 4, 6, 7, 12), (4, 5, 7, 8, 11),
)  # fmt: skip
# of 13 single pixels,
NEGATIVES_OF_PIXELS = (
    (1, 3, 4, 9, 10), (0, 2, 4, 9, 10), (1, 4, 5, 11, 10), (0, 4, 6, 9, 11), (9, 10, 11, 12, 3),
    (2, 4, 8, 10, 12), (3, 4, 7, 11, 9), (4, 6, 8, 11, 12), (4, 5, 7, 12, 16),
    (0, 1, 3, 4, 10), (1, 2, 4, 5, 12), (3, 4, 6, 1, 9), (4, 5, 7, 8, 10),
)  # fmt: skip
# and of 9 regions of either size.
NEGATIVES_OF_NINE = (
    (1, 3, 4, 2, 6), (0, 2, 3, 4, 5), (0, 1, 4, 5, 8), (0, 1, 4, 6, 7), (0, 1, 3, 5, 7),
    (1, 2, 4, 7, 8), (0, 3, 4, 7, 8), (3, 4, 5, 6, 8), (2, 4, 5, 6, 7),
)  # fmt: skip

# The loss across volumes uses the first four of the five.
NUM_NEGATIVES = {LocalStrategy.RANDOM: 5, LocalStrategy.PARTITION: 4}

Regions = Float[Tensor, "views 17 embedding"]


class RegionLayout(NamedTuple):
    """Which regions are anchors, what each is told from, and how large they are.

    Args:
        negatives: For each anchor, the first of `CORNERS`, five indices into these.
        side: Pixels along a side, 3 or 1.

    Source: Chaitanya et al., NeurIPS 2020, code; 13 of 3 x 3 pixels by default, 9 and single pixels
        in comparisons.
    """

    negatives: tuple[tuple[int, ...], ...] = NEGATIVES
    side: int = 3

    @staticmethod
    def of(num_regions: int, side: int) -> "RegionLayout":
        """Return the layout with 9 or 13 anchors of 3 x 3 pixels or of one."""
        if num_regions == len(NEGATIVES_OF_NINE):
            return RegionLayout(NEGATIVES_OF_NINE, side)
        return RegionLayout(NEGATIVES if side > 1 else NEGATIVES_OF_PIXELS, side)


DEFAULT_LAYOUT = RegionLayout()


def gather_regions(
    features: Float[Tensor, "views width rows columns"], side: int = 3
) -> Float[Tensor, "views 17 values"]:
    """Return the 17 patches of 3 x 3 pixels, all values of one channel after those of another.

    The corner at quarter u of a map lies at pixel floor(u (length - 4) / 4), separately for rows
    and columns; single pixels at floor(u (length - 1) / 4).

    Args:
        features: At least 8 rows and columns.
        side: Pixels along a side of a region, 3 or 1.

    Raises:
        TrainingError: If a side is too short for five different corners.

    Source: Chaitanya et al., NeurIPS 2020, code .
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
    rows, columns = (
        _pixels([corner[axis] for corner in CORNERS], length, side, features.device)
        for axis, length in enumerate(sides)
    )
    # to (views, width, 17, rows and columns of a region)
    patches = features[:, :, rows[:, :, None], columns[:, None, :]]
    return patches.movedim(2, 1).flatten(2)


def region_contrastive_loss(
    regions: Regions,
    strategy: LocalStrategy,
    *,
    num_partitions: int,
    temperature: float,
    layout: RegionLayout = DEFAULT_LAYOUT,
) -> Float[Tensor, ""]:
    """Return how far a region is from being closer to itself in another view than to others.

    The region r of a view a with its positive, the same region of a view p, gives one term,

        -log e^{s(a_r, p_r)} / (e^{s(a_r, p_r)} + sum_k (e^{s(a_r, a_k)} + e^{s(a_r, p_k)})),

    with s = cosine / tau and k over the neighbours of r in the table. The terms of the anchor
    regions are summed and divided by their number times that of the views.

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
        layout: Which regions are anchors, and what they are told from.

    Raises:
        ValueError: If the number of views does not fit the order.

    Source: Chaitanya et al., NeurIPS 2020 (L^R, L^D), with the tables and the divisors of its code.
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
    table = torch.tensor(layout.negatives)[:, : NUM_NEGATIVES[strategy]]
    table = to_device(table, regions.device)
    total = sum(_terms(anchors, partner, table, temperature).sum() for partner in partners)
    return torch.as_tensor(total) / (len(table) * len(regions))


def _terms(
    anchors: Regions, partners: Regions, table: Int[Tensor, "anchors negatives"], temperature: float
) -> Float[Tensor, "views anchors"]:
    own = cosines(anchors, anchors)[:, : len(table)] / temperature  # (views, anchors, 17)
    across = cosines(anchors, partners)[:, : len(table)] / temperature
    index = table.expand(len(anchors), -1, -1)
    negatives = torch.cat((own.gather(2, index), across.gather(2, index)), dim=2)
    positives = across.diagonal(dim1=1, dim2=2)  # (views, anchors)
    return -functional.logsigmoid(positives - negatives.logsumexp(dim=2))


def _pixels(
    quarters: list[int], length: int, side: int, device: torch.device
) -> Int[Tensor, "17 side"]:
    """Return the pixels along one side of every region."""
    last = length - 4 if side > 1 else length - 1
    first = torch.tensor(quarters) * last // 4
    return to_device(first[:, None] + torch.arange(side), device)
