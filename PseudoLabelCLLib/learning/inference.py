"""Prediction of a case's slices, averaged over changed copies that also tell the doubt."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from PseudoLabelCLLib.domain.network_config import SIZE_MULTIPLE
from PseudoLabelCLLib.learning.coarse_pass import (
    coarse_probabilities,
    enlarged,
    largest_of_structures,
    needs_prediction,
)
from PseudoLabelCLLib.learning.copies import (
    Box,
    CopyTransform,
    Turn,
    combine,
    resample,
    turn_of,
)
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.shapes import Bool, Float, UInt8
from PseudoLabelCLLib.learning.sliding_windows import (
    LARGEST_SLICE,
    LARGEST_VOLUME,
    WindowPlan,
    predict_any_size,
    predict_slabs,
)
from PseudoLabelCLLib.learning.to_device import to_device
from PseudoLabelCLLib.learning.to_host import on_the_host

SLICES_AT_ONCE = 16
# Windows of slices that are too large to be predicted at once.
LARGEST_SLICE_WINDOW = 512
# On a CPU few slices stay in its caches; on one with many cores, each has its own slice.
SLICES_AT_ONCE_ON_CPU = 4
# So many pixels around what may be structure are predicted in further copies, too.
MARGIN = 32
# The shorter side of such a part is at least this share of the longer one.
_NARROWEST = 2 / 3


# What is found on some slices.
_Found = TypeVar("_Found")


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
    """What the network says about some slices of a case, on the device.

    Args:
        part: Which slices of the network's grid.
        probabilities: Mean over the copies that see a pixel, float32.
        copies: Most likely class in every copy, turned back, or `UNSEEN_CLASS`.
    """

    part: slice
    probabilities: Float[Tensor, "slices classes rows columns"]
    copies: UInt8[Tensor, "copies slices rows columns"]


class Saving(NamedTuple):
    """Where slices are beyond doubt and are not predicted in every copy; 0: they all are.

    Args:
        further_from: Copies after an unchanged one are predicted only around pixels where that one
            says that the structures have at least this probability together.
        coarse_from: Slices are predicted only where a pass at half the resolution gives the
            structures at least this probability together, anywhere in the slice or its neighbours.
            That pass speaks for the others.
    """

    further_from: float = 0.0
    coarse_from: float = 0.0


EVERYTHING = Saving()


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


def predict_slices(
    network: SegmentationNetwork,
    images: npt.NDArray[np.float32],
    copies: tuple[CopyTransform, ...],
    device: ComputeDevice,
    block: Sequence[int] | None = None,
    *,
    saving: Saving = EVERYTHING,
) -> Prediction:
    """Return what `predict_parts` says of all slices together."""
    num_slices, _, rows, columns = images.shape
    prediction = Prediction(
        np.empty((num_slices, network.num_classes, rows, columns), np.float32),
        np.empty((len(copies), num_slices, rows, columns), np.uint8),
    )
    predicted = predict_parts(network, images, copies, device, block, saving=saving)
    for part, (probabilities, winners) in on_the_host(
        (said.part, (said.probabilities, said.copies)) for said in predicted
    ):
        prediction.probabilities[part] = probabilities
        prediction.copies[:, part] = winners
    return prediction


def predict_parts(
    network: SegmentationNetwork,
    images: npt.NDArray[np.float32],
    copies: tuple[CopyTransform, ...],
    device: ComputeDevice,
    block: Sequence[int] | None = None,
    *,
    saving: Saving = EVERYTHING,
) -> Iterator[PredictedPart]:
    """Predict every slice in every copy, whatever its size; in 3-D together with its neighbours.

    Slices come in order, some at a time, so that the probabilities of a large volume never lie in
    memory together. They stay on the device: what is made of them there is a fraction as large.

    In 2-D, most of a slice is background beyond doubt: there, the slice itself speaks for all of
    its copies.

    Args:
        network: On the device; is set to evaluation mode.
        images: Shape (slices, channels, rows, columns).
        copies: At least one.
        device: Where to compute; where memory is short, fewer slices go at once.
        block: What a network in 3-D was trained on: slices, rows and columns.
        saving: What is left out; in 3-D nothing is.

    Raises:
        torch.OutOfMemoryError: Not even one slice fits, or no window of a network in 3-D.
    """
    network.eval()
    asked = _Asked(network, device)
    if network.config.dimension == 3:
        said = _said_of_volume(asked, images, copies, block or network.config.multiple)
    else:
        said = _said_of_slices(asked, images, copies, saving)
    while (found := _next(said)) is not None:
        yield found


@torch.inference_mode()
def _next(said: Iterator[tuple[slice, Tensor, Tensor]]) -> PredictedPart | None:
    """Predict the next slices; None after the last."""
    found = next(said, None)
    return None if found is None else PredictedPart(*found)


def _said_of_slices(
    asked: "_Asked",
    images: npt.NDArray[np.float32],
    copies: Sequence[CopyTransform],
    saving: Saving,
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Yield mean probabilities and most likely classes of some slices after the others."""
    whole = _whole_slice(images)
    turns = [turn_of(copy, whole, whole.shape, asked.device) for copy in copies]
    begins_with_itself = bool(copies) and copies[0].is_identity
    needed = torch.ones(len(images), dtype=torch.bool)
    if saving.coarse_from > 0:
        coarse = asked.some_at_a_time(
            images, lambda _, sent: largest_of_structures(coarse_probabilities(asked.slices, sent))
        )
        needed = needs_prediction([largest for _, largest in coarse], saving.coarse_from)

    def look(slices: Tensor) -> tuple[Tensor, Tensor]:
        if saving.further_from > 0 and begins_with_itself:
            return _said_around_structures(asked, slices, copies, saving.further_from)
        return combine(asked.copies(slices, turns), turns)

    def look_where_needed(part: slice, slices: Tensor) -> tuple[Tensor, Tensor]:
        if needed[part].all():
            return look(slices)
        mean, winners = asked.coarsely(slices, len(copies))
        chosen = needed[part].nonzero()[:, 0]
        if len(chosen):
            mean[chosen], winners[:, chosen] = look(slices[chosen])
        return mean, winners

    for part, (mean, winners) in asked.some_at_a_time(images, look_where_needed):
        yield part, mean, winners


def _said_around_structures(
    asked: "_Asked",
    images: Float[Tensor, "slices channels rows columns"],
    copies: Sequence[CopyTransform],
    least: float,
) -> tuple[Tensor, Tensor]:
    """Return what copies say together, of which the first is unchanged and sees everything.

    The others see the smallest part that holds all pixels where the structures have at least this
    probability, and a margin.
    """
    first = asked.slices(images)
    mean, winners = combine([first], [None])
    winners = winners.repeat(len(copies), 1, 1, 1)
    is_possible = first[:, 0] <= 1 - least
    chosen = is_possible.flatten(1).any(dim=1).nonzero()[:, 0]
    if len(chosen) == 0 or len(copies) == 1:
        return mean, winners
    box = _box_around(is_possible.any(dim=0))
    rows, columns = images.shape[-2:]
    turns = [turn_of(copy, box, (rows, columns), asked.device) for copy in copies]
    further = asked.copies(images[chosen], turns[1:])
    said = chain([first[chosen][..., box.rows, box.columns]], further)
    part_mean, part_winners = combine(said, turns)
    mean[chosen, :, box.rows, box.columns] = part_mean
    winners[:, chosen, box.rows, box.columns] = part_winners
    return mean, winners


def _box_around(is_possible: Bool[Tensor, "rows columns"]) -> Box:
    """Return the smallest part around some pixels with a margin, as the network likes its size.

    It is wide enough for what lies at its ends to stay inside when it is turned.
    """
    places = [is_possible.any(dim=1 - axis).nonzero()[:, 0] for axis in range(2)]
    ends = [(int(there[0]) - MARGIN, int(there[-1]) + 1 + MARGIN) for there in places]
    least = _NARROWEST * max(last - first for first, last in ends)
    sides = []
    for (first, last), size in zip(ends, is_possible.shape, strict=True):
        needed = max(last - first, least)
        side = min(size, SIZE_MULTIPLE * math.ceil(needed / SIZE_MULTIPLE))
        start = min(max(0, (first + last - side) // 2), size - side)
        sides.append(slice(start, start + side))
    return Box(*sides)


def _said_of_volume(
    asked: "_Asked",
    images: npt.NDArray[np.float32],
    copies: Sequence[CopyTransform],
    block: Sequence[int],
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Yield the same of a network in 3-D; all slices of a copy are changed alike."""
    whole = _whole_slice(images)
    turns = [turn_of(copy, whole, whole.shape, asked.device) for copy in copies]

    def reader(turn: Turn | None) -> Callable[[slice], Tensor]:
        def read(part: slice) -> Tensor:
            sent = _send(images[part], asked.device)
            moved = sent if turn is None else resample(sent, turn.there)
            return moved.movedim(0, 1)[None]

        return read

    plan = asked.volume_plan(block)
    num_slices, _, rows, columns = images.shape
    space = (num_slices, rows, columns)
    volumes = [predict_slabs(asked.probabilities, reader(turn), space, plan) for turn in turns]
    for slabs in zip(*volumes, strict=True):
        mean, winners = combine((said for _, said in slabs), turns)
        yield slabs[0][0], mean, winners


@dataclass(frozen=True)
class _Asked:
    """A network on its device."""

    network: SegmentationNetwork
    device: ComputeDevice

    def copies(self, images: Tensor, turns: Sequence[Turn | None]) -> Iterator[Tensor]:
        """Yield the class probabilities of copies of slices, not turned back."""
        for turn in turns:
            yield self.slices(images if turn is None else resample(images, turn.there))

    def slices(self, images: Tensor) -> Tensor:
        """Return the class probabilities of slices of any size."""
        plan = WindowPlan((SIZE_MULTIPLE,) * 2, (LARGEST_SLICE_WINDOW,) * 2, LARGEST_SLICE)
        return predict_any_size(self.probabilities, images, plan)

    def some_at_a_time(
        self, images: npt.NDArray[np.float32], look: Callable[[slice, Tensor], _Found]
    ) -> Iterator[tuple[slice, _Found]]:
        """Yield what is found on some slices after the others, fewer where memory is short."""
        start, at_once = 0, _most_slices_at_once(self.device)
        while start < len(images):
            part = slice(start, start + at_once)
            try:
                found = look(part, _send(images[part], self.device))
            except torch.OutOfMemoryError:
                if at_once == 1:
                    raise
                at_once //= 2
                continue
            yield part, found
            start += at_once

    def coarsely(self, images: Tensor, num_copies: int) -> tuple[Tensor, Tensor]:
        """Return what a coarse pass says of slices, for all of their copies."""
        said = enlarged(coarse_probabilities(self.slices, images), images)
        mean, winners = combine([said], [None])
        return mean, winners.repeat(num_copies, 1, 1, 1)

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


def _whole_slice(images: npt.NDArray[np.float32]) -> Box:
    rows, columns = images.shape[-2:]
    return Box(slice(0, rows), slice(0, columns))


def _most_slices_at_once(device: ComputeDevice) -> int:
    if device.name != "cpu":
        return SLICES_AT_ONCE
    return min(SLICES_AT_ONCE, max(SLICES_AT_ONCE_ON_CPU, torch.get_num_threads()))


def _send(
    images: npt.NDArray[np.float32], device: ComputeDevice
) -> Float[Tensor, "slices channels rows columns"]:
    """Bring slices, which may be mapped from disk, to the device; a GPU does not wait for it."""
    host = torch.empty(images.shape, pin_memory=device.name == "cuda")
    host.numpy()[:] = images
    return to_device(host, device.torch_device)
