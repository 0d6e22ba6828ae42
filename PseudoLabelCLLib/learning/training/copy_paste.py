"""Copy-paste: rectangles of one slice on another, images and targets alike."""

import torch
from torch import Tensor

from PseudoLabelCLLib.learning.shapes import Bool
from PseudoLabelCLLib.learning.training.augmentation import AugmentedBatch

Boxes = Bool[Tensor, "batch 1 rows columns"]


def exchange(first: AugmentedBatch, second: AugmentedBatch, boxes: Boxes) -> AugmentedBatch:
    """Put the boxes of `first` on `second`, and those of `second` on `first`.

    Args:
        first: Slices and class probabilities.
        second: As many others of the same size.
        boxes: Where to exchange.

    Returns:
        Twice as many slices: all on `second`, then all on `first`.

    Source: Bai et al., CVPR 2023 (bidirectional copy-paste), equations 1-4.
    """
    return AugmentedBatch(
        torch.cat(
            (
                torch.where(boxes, first.images, second.images),
                torch.where(boxes, second.images, first.images),
            )
        ),
        torch.cat(
            (
                torch.where(boxes, first.targets, second.targets),
                torch.where(boxes, second.targets, first.targets),
            )
        ),
    )


def draw_boxes(
    num_boxes: int, shape: tuple[int, int], side_fraction: float, generator: torch.Generator
) -> Boxes:
    """Draw rectangles that lie inside the slice, each side this fraction of the slice's."""
    inside = []
    for side in shape:
        length = max(1, round(side_fraction * side))
        first = torch.randint(side - length + 1, (num_boxes, 1), generator=generator)
        place = torch.arange(side)
        inside.append((place >= first) & (place < first + length))  # (boxes, side)
    rows, columns = inside
    return rows[:, None, :, None] & columns[:, None, None, :]
