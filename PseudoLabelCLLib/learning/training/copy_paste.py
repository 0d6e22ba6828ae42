"""Copy-paste: rectangles of one slice on another, images and targets alike."""

from collections.abc import Sequence

import torch
from torch import Tensor

from PseudoLabelCLLib.learning.shapes import Bool
from PseudoLabelCLLib.learning.training.augmentation import AugmentedBatch

Boxes = Bool[Tensor, "batch 1 *space"]


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
    num_boxes: int, shape: Sequence[int], side_fraction: float, generator: torch.Generator
) -> Boxes:
    """Draw boxes that lie inside a slice or block, each side this fraction of its own."""
    boxes = torch.ones((num_boxes, 1, *[1] * len(shape)), dtype=torch.bool)
    for axis, side in enumerate(shape, start=2):
        length = max(1, round(side_fraction * side))
        first = torch.randint(side - length + 1, (num_boxes, 1), generator=generator)
        place = torch.arange(side)
        inside = (place >= first) & (place < first + length)  # (boxes, side)
        along = [num_boxes, *[1] * (len(shape) + 1)]
        along[axis] = side
        boxes = boxes & inside.reshape(along)
    return boxes
