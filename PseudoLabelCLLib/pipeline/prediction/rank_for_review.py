"""How doubtful a pseudo-label is, and why, so that a person looks at the worst first."""

from collections.abc import Sequence
from dataclasses import replace

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

SliceDoubt = npt.NDArray[np.float64]


def doubt_per_slice(
    classes: npt.NDArray[np.uint8], uncertainty: npt.NDArray[np.float32]
) -> SliceDoubt:
    """Return about how many voxels of each slice may be wrong, as a share of the fullest slice.

    Uncertainty is summed, not averaged over a slice's structures: slices in which these begin and
    end are the most uncertain by the voxel, and hold the fewest errors (`Docs/benchmarks.md`).

    Args:
        classes: Class indices, 0 background, shape (slices, rows, columns).
        uncertainty: Relative entropy of the same voxels, 0..1.

    Returns:
        Shape (slices,), 0..1: the voxels of the structures in the fullest slice are 1, or what may
        be wrong in the most doubtful one where that is more.
    """
    uncertain = uncertainty.sum(axis=(1, 2), dtype=np.float64)
    return _share_of_fullest(uncertain, np.count_nonzero(classes, axis=(1, 2)))


def doubt_of(
    classes: MostLikely, schema: LabelSchema, per_slice: SliceDoubt, slice_names: Sequence[str]
) -> Doubt:
    """Return the doubt of a prediction: how far turned, zoomed and mirrored copies disagree.

    Agreement is the Dice between each copy and the averaged prediction on the pixels that the copy
    sees, averaged over structures and copies; doubt is what is missing to 1. Where nothing was
    found, doubt is 1.

    Args:
        classes: Of every slice of the network's grid.
        schema: The structures.
        per_slice: Of each of the volume's slices, see `doubt_per_slice`.
        slice_names: What a person calls each of these, as "k = 4".

    Source: Chaitanya et al., MedIA 2023, section 5.6(d) (agreement of augmented copies).
    """
    mean = classes.mean
    per_class = {
        label.name: _agreement(mean, classes.copies, index)
        for index, label in enumerate(schema, start=1)
    }
    present = {name: score for name, score in per_class.items() if score is not None}
    if not (mean > 0).any() or not present:
        return Doubt(1.0, 0.0, (1.0,) * len(per_slice), NOTHING_FOUND)
    agreement = float(np.mean(list(present.values())))
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
    *,
    is_fused: bool,
) -> Doubt:
    """Return the doubt of a prediction that the anatomy of annotated volumes contradicts.

    Doubt is what is missing to 1 in the agreement on the structure that agrees least, of those of
    which the registration is trusted. Where anatomy has no part in the prediction, what differs in
    a slice counts as what may be wrong in it.

    Args:
        doubt: Of the copies, with the volume's own slices.
        carried: The carried labels.
        agreement: Of these with the network.
        schema: The structures.
        slice_names: What a person calls each of the volume's slices.
        is_fused: Whether anatomy took part in the prediction.
    """
    trusted = {
        label.name: dice
        for label, dice, trust in zip(schema, agreement.dice, carried.trust, strict=True)
        if trust >= TRUSTED
    }
    if not trusted or not agreement.filled.any():
        return doubt
    per_slice = _share_of_fullest(agreement.differing, agreement.filled)
    least = min(trusted, key=lambda name: trusted[name])
    told = doubt.with_disagreement(
        trusted[least], one_structure(least), slice_names[int(per_slice.argmax())]
    )
    if is_fused:
        return told
    raised = np.maximum(doubt.doubt_per_slice, per_slice)
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


def _share_of_fullest(
    voxels: npt.NDArray[np.float64] | npt.NDArray[np.int64], filled: npt.NDArray[np.int64]
) -> SliceDoubt:
    """Return voxels of each slice as a share of the fullest slice, or of their largest number."""
    share: SliceDoubt = voxels / max(1.0, float(filled.max()), float(voxels.max()))
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
