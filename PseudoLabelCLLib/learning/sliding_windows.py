"""Class probabilities of images of any size: at once while small, else window by window."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from PseudoLabelCLLib.learning.shapes import Float
from PseudoLabelCLLib.learning.to_device import to_device

# Returns class probabilities of images whose sides the network can halve as often as it does.
Predict = Callable[[Tensor], Tensor]

# Larger slices, or volumes, are predicted window by window; both need about 0.5 GB at once.
LARGEST_SLICE = 640 * 640
LARGEST_VOLUME = 2**20
# Neighbouring windows share this part of their side, as in MONAI.
OVERLAP = 0.25
# Standard deviation of the weights of a window, as a part of its side, as in MONAI.
SIGMA_FRACTION = 0.125

_EVERY = (slice(None), slice(None))  # images and channels of a batch


@dataclass(frozen=True)
class WindowPlan:
    """How images are predicted.

    Args:
        multiple: What the network needs of each side: what an image lacks is 0 around it.
        window: Sides of a window, multiples of `multiple`.
        largest: Images of up to so many pixels are predicted at once.
    """

    multiple: tuple[int, ...]
    window: tuple[int, ...]
    largest: int

    def is_small(self, space: Sequence[int]) -> bool:
        """Whether images of this size are predicted at once."""
        return math.prod(space) <= self.largest

    def padded(self, space: Sequence[int]) -> list[int]:
        """Return the sides that the network can work on."""
        return [m * math.ceil(n / m) for n, m in zip(space, self.multiple, strict=True)]


def predict_any_size(
    predict: Predict, images: Float[Tensor, "batch channels *space"], plan: WindowPlan
) -> Float[Tensor, "batch classes *space"]:
    """Return class probabilities: of the whole images, or of windows where they are larger."""
    space = images.shape[2:]
    if plan.is_small(space):
        return predict_padded(predict, images, plan.padded(space))
    total, weights = _weighted(predict, images, plan.window)
    return total / weights


def predict_slabs(
    predict: Predict,
    read: Callable[[slice], Float[Tensor, "1 channels slices rows columns"]],
    space: tuple[int, int, int],
    plan: WindowPlan,
) -> Iterator[tuple[slice, Float[Tensor, "slices classes rows columns"]]]:
    """Yield class probabilities of a volume, some slices after the others.

    What lies in memory is as deep as one window, however many slices there are.

    Args:
        predict: Of blocks.
        read: Returns some slices of the volume.
        space: Its slices, rows and columns.
        plan: How it is predicted.
    """
    if plan.is_small(space):
        everything = slice(0, space[0])
        said = predict_padded(predict, read(everything), plan.padded(space))
        yield everything, said[0].movedim(0, 1)
        return
    starts = [*window_starts(space[0], plan.window[0]), space[0]]
    before: tuple[Tensor, Tensor] | None = None
    for first, following in pairwise(starts):
        slab = read(slice(first, min(first + plan.window[0], space[0])))
        total, weights = _weighted(predict, slab, plan.window)
        if before is not None:
            num_shared = before[0].shape[2]
            total[:, :, :num_shared] += before[0]
            weights[:num_shared] += before[1]
        num_done = following - first
        done = total[:, :, :num_done] / weights[:num_done]
        before = total[:, :, num_done:], weights[num_done:]
        yield slice(first, following), done[0].movedim(0, 1)


def _weighted(
    predict: Predict, images: Float[Tensor, "batch channels *space"], window: Sequence[int]
) -> tuple[Float[Tensor, "batch classes *space"], Float[Tensor, "*space"]]:
    """Return the weighted sum of the windows' probabilities, and the sum of their weights."""
    space = images.shape[2:]
    weights = images.new_zeros(space)
    lacking = [max(0, side - size) // 2 for side, size in zip(window, space, strict=True)]
    inside = [slice(first, first + size) for first, size in zip(lacking, space, strict=True)]
    gaussian = to_device(gaussian_weights(window)[tuple(inside)], images.device)
    total: Tensor | None = None
    for place in window_places(space, window):
        said = predict_padded(predict, images[_EVERY + place], window) * gaussian
        if total is None:
            total = images.new_zeros((*said.shape[:2], *space))
        total[_EVERY + place] += said
        weights[place] += gaussian
    if total is None:
        raise ValueError(f"expected an image with pixels, got the shape {tuple(images.shape)}")
    return total, weights


def predict_padded(
    predict: Predict, images: Float[Tensor, "batch channels *space"], sides: Sequence[int]
) -> Float[Tensor, "batch classes *space"]:
    """Predict images in the middle of larger ones that are 0 around them."""
    space = images.shape[2:]
    before = [(side - size) // 2 for side, size in zip(sides, space, strict=True)]
    padding = [
        n
        for side, size, first in reversed(list(zip(sides, space, before, strict=True)))
        for n in (first, side - size - first)
    ]
    if not any(padding):
        return predict(images)
    said = predict(functional.pad(images, padding))
    inside = tuple(slice(first, first + n) for first, n in zip(before, space, strict=True))
    return said[_EVERY + inside]


def window_places(space: Sequence[int], window: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """Return where windows lie so that they cover an image, the last axis fastest."""
    starts = [window_starts(size, side) for size, side in zip(space, window, strict=True)]
    for first in torch.cartesian_prod(*map(torch.tensor, starts)).reshape(-1, len(starts)).tolist():
        yield tuple(
            slice(f, min(f + side, size))
            for f, side, size in zip(first, window, space, strict=True)
        )


def window_starts(size: int, side: int) -> list[int]:
    """Return where windows begin along an axis: evenly, the last at the end.

    Source: MONAI, `dense_patch_slices`.
    """
    step = max(1, int(side * (1 - OVERLAP)))
    count = 1 + max(0, math.ceil((size - side) / step))
    return [max(0, min(n * step, size - side)) for n in range(count)]


def gaussian_weights(window: Sequence[int]) -> Float[Tensor, "*space"]:
    """Return the weight of each pixel of a window: a Gaussian around its middle.

    Source: MONAI, `compute_importance_map` (mode "gaussian"), after Isensee et al., Nature Methods
        2021.
    """
    weights = torch.ones(())
    for side in window:
        distance = (torch.arange(side) - (side - 1) / 2) / (SIGMA_FRACTION * side)
        weights = weights[..., None] * torch.exp(-(distance**2) / 2)
    return weights.clamp(min=1e-3)
