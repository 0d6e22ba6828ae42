"""The slices of one step by where they come from, and their division where memory is short."""

from collections.abc import Iterator, Mapping
from enum import Enum

import torch

from PseudoLabelCLLib.learning.training.sampling import SliceBatch


class Source(Enum):
    """Where the slices of a loss come from."""

    TRUTH = "slices with human truth"
    PSEUDO_LABELLED = "slices with pseudo-labels"
    UNLABELLED = "slices with pseudo-labels, of which only the images are used"
    PAIRS = "pairs of slices: all first members, then all second members"


class StepBatch:
    """The slices of one step; a source that no loss draws from is left out.

    Args:
        slices: What was drawn from each source.
    """

    def __init__(self, slices: Mapping[Source, SliceBatch]) -> None:
        self._slices = dict(slices)

    def __getitem__(self, source: Source) -> SliceBatch:
        """Return what was drawn from a source."""
        return self._slices[source]

    def parts(self, num_parts: int) -> Iterator[tuple["StepBatch", dict[Source, float]]]:
        """Yield parts of the batch, each with the share of every source's slices that it holds.

        The legacy weighting of pairs goes by a pair's place in its part, so that it is another one
        where memory is too short for the whole batch.
        """
        num_truth_parts = len(_split(self._slices[Source.TRUTH], num_parts))
        split = {
            source: (_split_pairs if source is Source.PAIRS else _split)(slices, num_truth_parts)
            for source, slices in self._slices.items()
        }
        for number in range(num_truth_parts):
            part = {source: own[number] for source, own in split.items() if number < len(own)}
            shares = {
                source: len(slices.images) / len(self._slices[source].images)
                for source, slices in part.items()
            }
            yield StepBatch(part), shares


def _split(batch: SliceBatch, num_parts: int) -> list[SliceBatch]:
    images, classes = batch.images.chunk(num_parts), batch.classes.chunk(num_parts)
    left_out = [None] * len(images) if batch.left_out is None else batch.left_out.chunk(num_parts)
    return [SliceBatch(*part) for part in zip(images, classes, left_out, strict=True)]


def _split_pairs(pairs: SliceBatch, num_parts: int) -> list[SliceBatch]:
    """Split by pairs: the first and the second members of a pair stay in one part."""
    half = len(pairs.images) // 2
    first = _split(SliceBatch(pairs.images[:half], pairs.classes[:half]), num_parts)
    second = _split(SliceBatch(pairs.images[half:], pairs.classes[half:]), num_parts)
    return [
        SliceBatch(torch.cat((a.images, b.images)), torch.cat((a.classes, b.classes)))
        for a, b in zip(first, second, strict=True)
    ]
