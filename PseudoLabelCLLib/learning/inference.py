"""Prediction of a case's slices, averaged over changed copies that also tell the doubt."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from PseudoLabelCLLib.domain.config import PseudoLabelConfig
from PseudoLabelCLLib.domain.network_config import SIZE_MULTIPLE
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.shapes import Float, UInt8
from PseudoLabelCLLib.learning.sliding_windows import (
    LARGEST_SLICE,
    LARGEST_VOLUME,
    WindowPlan,
    predict_any_size,
    predict_slabs,
)

Grid = Float[Tensor, "1 rows columns 2"]

SLICES_AT_ONCE = 16
# Windows of slices that are too large to be predicted at once.
LARGEST_SLICE_WINDOW = 512
# The class index of a pixel that a copy does not see, since it lies outside the copy's window.
UNSEEN_CLASS = 255
# A pixel of which this share comes from inside the copy's window counts as seen.
_SEEN_SHARE = 0.5
# What less of a pixel says is rounding.
_SMALLEST_COVERAGE = 1e-3
# On a CPU few slices stay in its caches; on one with many cores, each has its own slice.
SLICES_AT_ONCE_ON_CPU = 4


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


@dataclass(frozen=True)
class MostLikely:
    """The most likely class of every pixel on the network's grid.

    Args:
        mean: By the mean over the copies, shape (slices, rows, columns), uint8.
        copies: In every copy, turned back, or `UNSEEN_CLASS`, shape (copies, slices, rows,
            columns), uint8.
    """

    mean: npt.NDArray[np.uint8]
    copies: npt.NDArray[np.uint8]


class PredictedPart(NamedTuple):
    """What the network says about some slices of a case.

    Args:
        part: Which slices of the network's grid.
        probabilities: Mean over the copies that see a pixel, shape (slices, classes, rows,
            columns), float32.
        copies: Most likely class in every copy, turned back, or `UNSEEN_CLASS`, shape (copies,
            slices, rows, columns), uint8.
    """

    part: slice
    probabilities: npt.NDArray[np.float32]
    copies: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Prediction:
    """What the network says about a case, on the network's grid.

    Args:
        probabilities: Mean over the copies that see a pixel, shape (slices, classes, rows,
            columns), float32.
        copies: Most likely class in every copy, turned back, or `UNSEEN_CLASS`, shape (copies,
            slices, rows, columns), uint8.
    """

    probabilities: npt.NDArray[np.float32]
    copies: npt.NDArray[np.uint8]


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


def predict_slices(
    network: SegmentationNetwork,
    images: npt.NDArray[np.float32],
    copies: tuple[CopyTransform, ...],
    device: ComputeDevice,
    block: Sequence[int] | None = None,
) -> Prediction:
    """Return what `predict_parts` says of all slices together."""
    num_slices, _, rows, columns = images.shape
    prediction = Prediction(
        np.empty((num_slices, network.num_classes, rows, columns), np.float32),
        np.empty((len(copies), num_slices, rows, columns), np.uint8),
    )
    for said in predict_parts(network, images, copies, device, block):
        prediction.probabilities[said.part] = said.probabilities
        prediction.copies[:, said.part] = said.copies
    return prediction


def predict_parts(
    network: SegmentationNetwork,
    images: npt.NDArray[np.float32],
    copies: tuple[CopyTransform, ...],
    device: ComputeDevice,
    block: Sequence[int] | None = None,
) -> Iterator[PredictedPart]:
    """Predict every slice in every copy, whatever its size; in 3-D together with its neighbours.

    Slices come in order, some at a time, so that the probabilities of a large volume never lie in
    memory together. On a GPU, they come back while the next ones are computed.

    Args:
        network: On the device; is set to evaluation mode.
        images: Shape (slices, channels, rows, columns).
        copies: At least one.
        device: Where to compute; where memory is short, fewer slices go at once.
        block: What a network in 3-D was trained on: slices, rows and columns.

    Raises:
        torch.OutOfMemoryError: Not even one slice fits, or no window of a network in 3-D.
    """
    network.eval()
    rows, columns = images.shape[-2:]
    turns = [_turn_of(copy, (rows, columns), device) for copy in copies]
    returning: _Returning | None = None
    asked = _Asked(network, device)
    if network.config.dimension == 3:
        said = _said_of_volume(asked, images, turns, block or network.config.multiple)
    else:
        said = _said_of_slices(asked, images, turns)
    while (following := _next(said)) is not None:
        previous, returning = returning, following
        if previous is not None:
            yield previous.arrive()
    if returning is not None:
        yield returning.arrive()


@torch.inference_mode()
def _next(said: Iterator[tuple[slice, Tensor, Tensor]]) -> "_Returning | None":
    """Predict the next slices and let them come back; None after the last."""
    found = next(said, None)
    return None if found is None else _start_return(*found)


def _said_of_slices(
    asked: "_Asked", images: npt.NDArray[np.float32], turns: Sequence["_Turn | None"]
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Yield mean probabilities and most likely classes of some slices after the others."""
    start, at_once = 0, _most_slices_at_once(asked.device)
    while start < len(images):
        part = slice(start, start + at_once)
        try:
            sent = _send(images[part], asked.device)
            said = (
                asked.slices(sent if turn is None else _resample(sent, turn.there))
                for turn in turns
            )
            mean, winners = _combine(said, turns)
        except torch.OutOfMemoryError:
            if at_once == 1:
                raise
            at_once //= 2
            continue
        yield part, mean, winners
        start += at_once


def _said_of_volume(
    asked: "_Asked",
    images: npt.NDArray[np.float32],
    turns: Sequence["_Turn | None"],
    block: Sequence[int],
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Yield the same of a network in 3-D; all slices of a copy are changed alike."""

    def reader(turn: "_Turn | None") -> Callable[[slice], Tensor]:
        def read(part: slice) -> Tensor:
            sent = _send(images[part], asked.device)
            moved = sent if turn is None else _resample(sent, turn.there)
            return moved.movedim(0, 1)[None]

        return read

    plan = asked.volume_plan(block)
    num_slices, _, rows, columns = images.shape
    space = (num_slices, rows, columns)
    copies = [predict_slabs(asked.probabilities, reader(turn), space, plan) for turn in turns]
    for slabs in zip(*copies, strict=True):
        mean, winners = _combine((said for _, said in slabs), turns)
        yield slabs[0][0], mean, winners


@dataclass(frozen=True)
class _Asked:
    """A network on its device."""

    network: SegmentationNetwork
    device: ComputeDevice

    def slices(self, images: Tensor) -> Tensor:
        """Return the class probabilities of slices of any size."""
        plan = WindowPlan((SIZE_MULTIPLE,) * 2, (LARGEST_SLICE_WINDOW,) * 2, LARGEST_SLICE)
        return predict_any_size(self.probabilities, images, plan)

    def volume_plan(self, block: Sequence[int]) -> WindowPlan:
        """Return how volumes are predicted: in windows twice as wide as a block where they fit."""
        multiple = self.network.config.multiple
        sides = [m * math.ceil(n / m) for n, m in zip(block, multiple, strict=True)]
        if 8 * math.prod(sides) <= LARGEST_VOLUME:
            sides = [2 * side for side in sides]
        return WindowPlan(multiple, tuple(sides), LARGEST_VOLUME)

    def probabilities(self, images: Tensor) -> Tensor:
        """Return the class probabilities of images whose sides suit the network."""
        with self.device.autocast():
            logits: Tensor = self.network(self.device.laid_out(images))
        return logits.float().softmax(dim=1)


class _Turn(NamedTuple):
    """Where a copy samples the slice, and where the slice samples the copy's prediction.

    Args:
        there: Sampling positions in the slice.
        back: Sampling positions in the copy.
        coverage: Which share of a pixel of the slice comes from inside the copy's window, 0..1.
    """

    there: Grid
    back: Grid
    coverage: Float[Tensor, "1 1 rows columns"]


class _Returning(NamedTuple):
    """Results on the host, which are whole from `arrived` on (None: they are now)."""

    part: slice
    mean: Float[Tensor, "slices classes rows columns"]
    winners: UInt8[Tensor, "copies slices rows columns"]
    arrived: torch.cuda.Event | None

    def arrive(self) -> PredictedPart:
        """Return the results as soon as they are whole."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return PredictedPart(self.part, self.mean.numpy(), self.winners.numpy())


def _most_slices_at_once(device: ComputeDevice) -> int:
    if device.name != "cpu":
        return SLICES_AT_ONCE
    return min(SLICES_AT_ONCE, max(SLICES_AT_ONCE_ON_CPU, torch.get_num_threads()))


def _send(
    images: npt.NDArray[np.float32], device: ComputeDevice
) -> Float[Tensor, "slices channels rows columns"]:
    """Bring slices, which may be mapped from disk, to the device; a GPU does not wait for it."""
    on_gpu = device.name == "cuda"
    host = torch.empty(images.shape, pin_memory=on_gpu)
    host.numpy()[:] = images
    return host.to(device.torch_device, non_blocking=on_gpu)


def _start_return(part: slice, mean: Tensor, winners: Tensor) -> _Returning:
    if not mean.is_cuda:
        return _Returning(part, mean.cpu(), winners.cpu(), None)
    landing = [
        torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(
            tensor, non_blocking=True
        )
        for tensor in (mean, winners)
    ]
    arrived = torch.cuda.Event()
    arrived.record()
    return _Returning(part, landing[0], landing[1], arrived)


def _combine(
    said: Iterator[Float[Tensor, "slices classes rows columns"]], turns: Sequence[_Turn | None]
) -> tuple[
    Float[Tensor, "slices classes rows columns"], UInt8[Tensor, "copies slices rows columns"]
]:
    """Mean class probabilities over the copies, and the most likely class in each copy.

    A copy has no say on pixels that it does not see: sums are divided by the coverage.

    Args:
        said: What each copy says, not yet turned back, made one after the other.
        turns: How each lies.
    """
    winners: list[Tensor] = []
    total, coverage = torch.zeros(()), torch.zeros((1, 1, 1, 1))
    for turn, own in zip(turns, said, strict=True):
        probabilities = own if turn is None else _resample(own, turn.back)
        winner = torch.zeros_like(probabilities[:, 0], dtype=torch.uint8)
        _mark_most_likely(probabilities, winner)
        if turn is not None:
            winner.masked_fill_(turn.coverage[0] < _SEEN_SHARE, UNSEEN_CLASS)
        coverage = coverage.to(own.device) + (1.0 if turn is None else turn.coverage)
        total = total.to(own.device) + probabilities
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


def _turn_of(copy: CopyTransform, shape: tuple[int, int], device: ComputeDevice) -> _Turn | None:
    """Sampling positions of a copy, the same for every slice; None for the slice itself."""
    if copy.is_identity:
        return None
    matrix = _matrix(shape, copy)
    there, back = (
        functional.affine_grid(one[None], [1, 1, *shape], align_corners=False)
        for one in (matrix, _inverse(matrix))
    )
    coverage = _resample(torch.ones((1, 1, *shape)), back)
    return _Turn(*(part.to(device.torch_device) for part in (there, back, coverage)))


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


def _resample(images: Tensor, grid: Grid) -> Tensor:
    resampled: Tensor = functional.grid_sample(
        images, grid.expand(len(images), -1, -1, -1), align_corners=False
    )
    return resampled
