"""The slices of one step, and their division into parts where memory is short."""

from collections.abc import Iterator
from typing import NamedTuple

import torch

from PseudoLabelCLLib.learning.training.sampling import SliceBatch

SEGMENTATION, CONTRASTIVE, CONSISTENCY = "segmentation", "contrastive", "consistency"
SELF_TRAINING, COPY_PASTE = "self-training", "copy-paste"


class StepBatch(NamedTuple):
    """The slices of one step; None for what takes no part.

    Args:
        truth: With human truth, for the segmentation loss.
        believed: With pseudo-labels, for plain self-training.
        unlabelled: For consistency and copy-paste; their labels are not used.
        pairs: For the contrastive loss: first members of all pairs, then second members.
    """

    truth: SliceBatch
    believed: SliceBatch | None = None
    unlabelled: SliceBatch | None = None
    pairs: SliceBatch | None = None

    def parts(self, num_parts: int) -> Iterator[tuple["StepBatch", dict[str, float]]]:
        """Yield parts of the batch with the share of every loss that each part carries.

        The legacy weighting of pairs goes by a pair's place in its part, so that it is another one
        where memory is too short for the whole batch.
        """
        truth = _split(self.truth, num_parts)
        believed = _split(self.believed, len(truth))
        unlabelled = _split(self.unlabelled, len(truth))
        pairs = _split_pairs(self.pairs, len(truth))
        for number, truth_part in enumerate(truth):
            part = StepBatch(
                truth_part, _at(believed, number), _at(unlabelled, number), _at(pairs, number)
            )
            taught = _share(part.unlabelled, self.unlabelled)
            yield (
                part,
                {
                    SEGMENTATION: _share(part.truth, self.truth),
                    SELF_TRAINING: _share(part.believed, self.believed),
                    CONSISTENCY: taught,
                    COPY_PASTE: taught,
                    CONTRASTIVE: _share(part.pairs, self.pairs),
                },
            )


def _split(batch: SliceBatch | None, num_parts: int) -> list[SliceBatch]:
    if batch is None:
        return []
    images, classes = batch.images.chunk(num_parts), batch.classes.chunk(num_parts)
    left_out = [None] * len(images) if batch.left_out is None else batch.left_out.chunk(num_parts)
    return [SliceBatch(*part) for part in zip(images, classes, left_out, strict=True)]


def _split_pairs(pairs: SliceBatch | None, num_parts: int) -> list[SliceBatch]:
    """Split by pairs: the first and the second members of a pair stay in one part."""
    if pairs is None:
        return []
    half = len(pairs.images) // 2
    first = _split(SliceBatch(pairs.images[:half], pairs.classes[:half]), num_parts)
    second = _split(SliceBatch(pairs.images[half:], pairs.classes[half:]), num_parts)
    return [
        SliceBatch(torch.cat((a.images, b.images)), torch.cat((a.classes, b.classes)))
        for a, b in zip(first, second, strict=True)
    ]


def _at(parts: list[SliceBatch], number: int) -> SliceBatch | None:
    return parts[number] if number < len(parts) else None


def _share(part: SliceBatch | None, whole: SliceBatch | None) -> float:
    return len(part.images) / len(whole.images) if part is not None and whole is not None else 0.0
