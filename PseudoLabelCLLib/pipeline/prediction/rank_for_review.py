"""How doubtful a pseudo-label is, and why, so that a person looks at the worst first."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.domain.doubt import (
    COPIES_AGREE,
    NOTHING_FOUND,
    SOME_MISSING,
    Doubt,
    one_structure,
)
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.copies import UNSEEN_CLASS
from PseudoLabelCLLib.learning.inference import MostLikely
from PseudoLabelCLLib.pipeline.anatomy.carried_anatomy import (
    TRUSTED,
    AnatomyAgreement,
    CarriedAnatomy,
)

# A slice with hardly any structure must not top the list for a few pixels: disagreement is
# measured against at least this share of the volume's best-filled slice.
SMALLEST_SLICE_SHARE = 0.05


def doubt_of(classes: MostLikely, schema: LabelSchema, slice_names: Sequence[str]) -> Doubt:
    """Return the doubt of a prediction: how far turned, zoomed and mirrored copies disagree.

    Agreement is the Dice between each copy and the averaged prediction on the pixels that the copy
    sees, averaged over structures and copies; doubt is what is missing to 1. Where nothing was
    found, doubt is 1.

    Args:
        classes: Of every slice of the network's grid.
        schema: The structures.
        slice_names: What a person calls each slice, as "k = 4".

    Source: Chaitanya et al., MedIA 2023, section 5.6(d) (agreement of augmented copies).
    """
    mean = classes.mean
    num_slices = len(mean)
    per_class = {
        label.name: _agreement(mean, classes.copies, index)
        for index, label in enumerate(schema, start=1)
    }
    present = {name: score for name, score in per_class.items() if score is not None}
    if not (mean > 0).any() or not present:
        return Doubt(1.0, 0.0, (1.0,) * num_slices, NOTHING_FOUND)
    agreement = float(np.mean(list(present.values())))
    per_slice = _doubt_per_slice(mean, classes.copies)
    missing = [name for name, score in per_class.items() if score is None]
    return Doubt(
        doubt=1 - agreement,
        agreement=agreement,
        doubt_per_slice=tuple(float(d) for d in per_slice),
        reason=_reason(present, missing, agreement, slice_names[int(per_slice.argmax())]),
    )


def with_anatomy(
    doubt: Doubt,
    carried: CarriedAnatomy,
    agreement: AnatomyAgreement,
    schema: LabelSchema,
    slice_names: Sequence[str],
) -> Doubt:
    """Return the doubt of a prediction that the anatomy of annotated volumes contradicts.

    Doubt is what is missing to 1 in the agreement on the structure that agrees least, of those of
    which the registration is trusted; the same holds for each slice.

    Args:
        doubt: Of the copies, with the volume's own slices.
        carried: The carried labels.
        agreement: Of these with the network.
        schema: The structures.
        slice_names: What a person calls each of the volume's slices.
    """
    trusted = {
        label.name: dice
        for label, dice, trust in zip(schema, agreement.dice, carried.trust, strict=True)
        if trust >= TRUSTED
    }
    if not trusted or not agreement.filled.any():
        return doubt
    per_slice = _share(agreement.differing, agreement.filled)
    least = min(trusted, key=lambda name: trusted[name])
    raised = np.maximum(doubt.doubt_per_slice, per_slice)
    told = doubt.with_disagreement(
        trusted[least], one_structure(least), slice_names[int(per_slice.argmax())]
    )
    return replace(told, doubt_per_slice=tuple(float(one) for one in raised))


def _agreement(
    mean: npt.NDArray[np.uint8], copies: npt.NDArray[np.uint8], index: int
) -> float | None:
    """Mean Dice of the copies with the mean; None if the structure is in none of them."""
    scores = []
    for copy in copies:
        ours, theirs = (mean == index) & (copy != UNSEEN_CLASS), copy == index
        if total := int(ours.sum()) + int(theirs.sum()):
            scores.append(2 * int((ours & theirs).sum()) / total)
    return float(np.mean(scores)) if scores else None


def _doubt_per_slice(
    mean: npt.NDArray[np.uint8], copies: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float64]:
    """Share of a slice's structure pixels on which copies and mean differ, 0..1."""
    differing, filling = [], []
    for copy in copies:
        is_seen = copy != UNSEEN_CLASS
        differing.append(((copy != mean) & is_seen).sum(axis=(1, 2)))
        filling.append((((copy > 0) | (mean > 0)) & is_seen).sum(axis=(1, 2)))
    differ, filled = (np.mean(counts, axis=0) for counts in (differing, filling))  # (slices,)
    return _share(differ, filled)


def _share(differ: npt.NDArray[Any], filled: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return what differs as a share of what each slice has, 0..1."""
    floor = max(1.0, SMALLEST_SLICE_SHARE * float(filled.max()))
    share: npt.NDArray[np.float64] = np.clip(differ / np.maximum(filled, floor), 0, 1)
    return share


def _reason(
    scores: dict[str, float],
    missing: list[str],
    agreement: float,
    worst_slice: str,
) -> Text:
    weakest = min(scores, key=lambda name: scores[name])
    values: dict[str, object] = {
        "agreement": agreement,
        "structure": weakest,
        "least": scores[weakest],
        "slice": worst_slice,
    }
    if not missing:
        return Text(COPIES_AGREE, **values)
    return Text(SOME_MISSING, missing=", ".join(repr(name) for name in missing), **values)
