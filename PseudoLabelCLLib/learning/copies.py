"""Changed copies of slices: how they are drawn, turned and turned back, and averaged."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from PseudoLabelCLLib.domain.config import PseudoLabelConfig
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.shapes import Float, UInt8
from PseudoLabelCLLib.learning.to_device import to_device

Grid = Float[Tensor, "1 rows columns 2"]

# The class index of a pixel that a copy does not see, since it lies outside the copy's window.
UNSEEN_CLASS = 255
# A pixel of which this share comes from inside the copy's window counts as seen.
_SEEN_SHARE = 0.5
# What less of a pixel says is rounding.
_SMALLEST_COVERAGE = 1e-3


@dataclass(frozen=True)
class CopyTransform:
    """One changed copy of a slice: turned, zoomed, mirrored left to right."""

    angle_deg: float = 0.0
    zoom: float = 1.0
    mirrored: bool = False

    @property
    def is_identity(self) -> bool:
        """Whether the copy is the slice itself."""
        return self == CopyTransform()


def draw_copies(config: PseudoLabelConfig, seed: int, *, mirror: bool) -> tuple[CopyTransform, ...]:
    """Return the unchanged copy and random ones; the same seed gives the same copies.

    Source: Chaitanya et al., MedIA 2023, code (`test_aug_overlap`): rotation +-30 degrees, zoom
        0.9 to 1.1, left-right flip.
    """
    generator = np.random.default_rng(seed)
    changed = tuple(
        CopyTransform(
            angle_deg=float(generator.uniform(-1, 1) * config.max_rotation_deg),
            zoom=float(1 + generator.uniform(-1, 1) * config.max_scale_fraction),
            mirrored=mirror and number % 2 == 0,
        )
        for number in range(config.num_augmented_copies - 1)
    )
    return (CopyTransform(), *changed)


class Box(NamedTuple):
    """A part of a slice."""

    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows and columns it has."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    def within(self, grid: Grid, shape: tuple[int, int]) -> Grid:
        """Return positions in the part, -1..1 (columns, rows), as positions in the whole slice."""
        if self.shape == shape:
            return grid
        sides = [size / whole for size, whole in zip(self.shape, shape, strict=True)]
        firsts = [part.start / whole for part, whole in zip(self, shape, strict=True)]
        scale = grid.new_tensor(sides[::-1])
        return (grid + 1) * scale + 2 * grid.new_tensor(firsts[::-1]) - 1


class Turn(NamedTuple):
    """Where a copy samples the slice, and where the slice samples the copy's prediction.

    Args:
        there: Sampling positions in the slice.
        back: Sampling positions in the copy.
        coverage: Which share of a pixel of the slice comes from inside the copy's window, 0..1.
    """

    there: Grid
    back: Grid
    coverage: Float[Tensor, "1 1 rows columns"]


def combine(
    said: Iterable[Float[Tensor, "slices classes rows columns"]], turns: Sequence[Turn | None]
) -> tuple[
    Float[Tensor, "slices classes rows columns"], UInt8[Tensor, "copies slices rows columns"]
]:
    """Return mean class probabilities over the copies, and the most likely class in each copy.

    A copy has no say on pixels that it does not see: sums are divided by the coverage.

    Args:
        said: What each copy says, not yet turned back, made one after the other.
        turns: How each lies.
    """
    winners: list[Tensor] = []
    total, coverage = torch.zeros(()), torch.zeros((1, 1, 1, 1))
    for turn, own in zip(turns, said, strict=True):
        probabilities = own if turn is None else resample(own, turn.back)
        winner = torch.zeros_like(probabilities[:, 0], dtype=torch.uint8)
        _mark_most_likely(probabilities, winner)
        if turn is not None:
            winner.masked_fill_(turn.coverage[0] < _SEEN_SHARE, UNSEEN_CLASS)
        coverage = to_device(coverage, own.device) + (1.0 if turn is None else turn.coverage)
        total = to_device(total, own.device) + probabilities
        winners.append(winner)
    if all(turn is not None for turn in turns):  # without the slice itself, some pixels have none
        background = functional.one_hot(coverage.new_zeros(1).long(), total.shape[1])
        is_covered = coverage > _SMALLEST_COVERAGE
        total = torch.where(is_covered, total, background[:, :, None, None].float())
        coverage = torch.where(is_covered, coverage, 1.0)
    return total / coverage, torch.stack(winners)


def _mark_most_likely(
    probabilities: Float[Tensor, "slices classes rows columns"],
    winner: UInt8[Tensor, "slices rows columns"],
) -> None:
    """Write the index of the most likely class, the first of equals, over zeros.

    Class by class: on a CPU, argmax takes five times as long, for its 64-bit indices.
    """
    largest = probabilities[:, 0].clone()
    for number in range(1, probabilities.shape[1]):
        winner.masked_fill_(probabilities[:, number] > largest, number)
        torch.maximum(largest, probabilities[:, number], out=largest)


def turn_of(
    copy: CopyTransform, box: Box, shape: tuple[int, int], device: ComputeDevice
) -> Turn | None:
    """Return how a copy of a part of slices lies, the same for every slice; None if unchanged.

    The copy turns around the middle of the part, and takes what turns into it from the whole slice.

    Args:
        copy: How it is changed.
        box: The part.
        shape: Rows and columns of the slices.
        device: Where to compute.
    """
    if copy.is_identity:
        return None
    matrix = _matrix(box.shape, copy)
    there, back = (
        functional.affine_grid(one[None], [1, 1, *box.shape], align_corners=False)
        for one in (matrix, _inverse(matrix))
    )
    coverage = resample(torch.ones((1, 1, *box.shape)), back)
    turn = (box.within(there, shape), back, coverage)
    return Turn(*(to_device(part, device.torch_device) for part in turn))


def _matrix(shape: tuple[int, int], copy: CopyTransform) -> Float[Tensor, "2 3"]:
    """The linear map of a copy's positions in -1..1 (columns, rows) to the slice's."""
    aspect = shape[0] / shape[1]
    angle = math.radians(copy.angle_deg)
    cosine, sine = math.cos(angle) / copy.zoom, math.sin(angle) / copy.zoom
    mirror = -1.0 if copy.mirrored else 1.0
    return torch.tensor(
        [[mirror * cosine, -mirror * sine * aspect, 0.0], [sine / aspect, cosine, 0.0]]
    )


def _inverse(matrix: Float[Tensor, "2 3"]) -> Float[Tensor, "2 3"]:
    return torch.cat((torch.linalg.inv(matrix[:, :2]), torch.zeros(2, 1)), dim=1)


def resample(images: Tensor, grid: Grid) -> Tensor:
    """Return images sampled at the same positions."""
    resampled: Tensor = functional.grid_sample(
        images, grid.expand(len(images), -1, -1, -1), align_corners=False
    )
    return resampled
