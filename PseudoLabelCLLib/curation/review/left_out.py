"""Structures of a proposal that a person rejects while confirming the others."""

from collections.abc import Sequence

import numpy as np

from PseudoLabelCLLib.domain.errors import ReviewError
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import LabelVolume, array_axis


def structures_to_leave_out(
    schema: LabelSchema, case_id: str, values: Sequence[int]
) -> tuple[int, ...]:
    """Return the label values that a verdict leaves out, each once, in the order of the labels.

    Raises:
        ReviewError: One is not a structure of the project, or all of them are named.
    """
    unknown = sorted({value for value in values if value not in schema.values})
    if unknown:
        raise ReviewError(
            Text(
                "The project has no structure with the value {values} to leave out of case "
                "'{case}'.",
                values=", ".join(map(str, unknown)),
                case=case_id,
            ),
            Text(
                "Name structures among {structures}.",
                structures=", ".join(f"{s.value} ({s.name})" for s in schema),
            ),
        )
    left_out = tuple(value for value in schema.values if value in values)
    if len(left_out) == len(schema):
        raise ReviewError(
            Text("Every structure of case '{case}' is left out.", case=case_id),
            Text("Reject the proposal instead."),
        )
    return left_out


def without_structures(labels: LabelVolume, left_out: tuple[int, ...]) -> LabelVolume:
    """Return a segmentation with background in place of some structures."""
    if not left_out:
        return labels
    kept = np.where(np.isin(labels.array, left_out), 0, labels.array).astype(labels.array.dtype)
    return LabelVolume(kept, labels.geometry)


def require_something_to_confirm(
    shown: Sequence[LabelVolume],
    case_id: str,
    left_out: tuple[int, ...],
    *,
    slicing_axis: int,
    slices: tuple[int, ...] | None = None,
) -> None:
    """Refuse a verdict that says nothing of the other structures: none was there, and none is.

    Args:
        shown: What a person confirmed, and the proposal where it may have had more.
        case_id: The case.
        left_out: Label values of the structures that are rejected.
        slicing_axis: 0, 1 or 2 for i, j, k.
        slices: Indices along that axis; None means all.

    Raises:
        ReviewError: No voxel on these slices is of another structure.
    """
    if not left_out:
        return
    for labels in shown:
        along = np.moveaxis(without_structures(labels, left_out).array, array_axis(slicing_axis), 0)
        if np.any(along if slices is None else along[list(slices)]):
            return
    raise ReviewError(
        Text(
            "Without the structures that are left out, case '{case}' has no voxel left that "
            "would count as yours.",
            case=case_id,
        ),
        Text("Reject the proposal instead."),
    )
