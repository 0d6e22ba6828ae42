"""What a person made of a proposal: read, compared with it, and how much of it counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.curation.grids.match_grid import matched_to_grid, matches_by_cropping
from PseudoLabelCLLib.curation.review.left_out import require_something_to_confirm
from PseudoLabelCLLib.curation.review.truth_mask import Mask, near_changed, slices_of_mask
from PseudoLabelCLLib.domain.case import Case
from PseudoLabelCLLib.domain.errors import ReviewError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import TruthExtent
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation


@dataclass(frozen=True)
class Correction:
    """A person's segmentation in place of a proposal, and what of it counts as human truth.

    Args:
        labels: The segmentation, on the case's grid.
        truth_slices: Indices along the slicing axis that count; None means all.
        mask: The only voxels that count, shape (k, j, i); None if those slices count whole.
    """

    labels: LabelVolume
    truth_slices: tuple[int, ...] | None
    mask: Mask | None = None


def read_proposal(path: Path, schema: LabelSchema, case: Case) -> LabelVolume:
    """Read the pseudo-label of a case.

    Raises:
        ReviewError: It is not on the case's grid.
        VolumeError: It cannot be read.
    """
    proposal = read_segmentation(path, schema)[0]
    if not proposal.geometry.is_close_to(case.geometry):
        raise ReviewError(
            Text(
                "The proposal of case '{case}' has {found}, its image has {expected}.",
                case=case.id,
                found=proposal.geometry.describe(),
                expected=case.geometry.describe(),
            ),
            Text("Train the round again."),
        )
    return proposal


def on_grid_of_case(
    corrected: LabelVolume, case: Case, file_name: str, places: Sequence[Geometry] = ()
) -> LabelVolume:
    """Return a correction on the grid of its case, from which it may be cropped.

    Args:
        corrected: The correction.
        case: Its case.
        file_name: For messages.
        places: Other grids of the very same voxels, which the header of the image names.

    Raises:
        ReviewError: It has another grid, or lies elsewhere.
        AnnotationError: It lies elsewhere.
    """
    if not np.any(corrected.array):
        # Slicer crops to what is segmented; of nothing, no position is left to compare.
        return LabelVolume(np.zeros(case.geometry.array_shape, np.int16), case.geometry)
    if any(corrected.geometry.is_close_to(place) for place in (case.geometry, *places)):
        return LabelVolume(corrected.array, case.geometry)
    matched, notices = matched_to_grid(corrected, case.geometry, file_name=file_name)
    kept = np.count_nonzero(matched.array) == np.count_nonzero(corrected.array)
    if notices and not (kept and matches_by_cropping(corrected.geometry, case.geometry)):
        raise ReviewError(
            Text(
                "The correction '{file}' has a different grid ({found}) from case "
                "'{case}' ({expected}), or lies elsewhere.",
                file=file_name,
                found=corrected.geometry.describe(),
                case=case.id,
                expected=case.geometry.describe(),
            ),
            Text("Save it with the case's image as its reference."),
        )
    return matched


def changed_voxels(
    first: npt.NDArray[np.int16], second: npt.NDArray[np.int16], left_out: tuple[int, ...] = ()
) -> Mask:
    """Return the voxels in which two segmentations of one grid differ.

    Args:
        first: Label values.
        second: Label values, same shape.
        left_out: Label values that count as background.
    """
    differs: Mask = np.not_equal(first, second)
    if left_out:
        differs &= ~(_is_nothing(first, left_out) & _is_nothing(second, left_out))
    return differs


def changed_slices(first: LabelVolume, second: LabelVolume, slicing_axis: int) -> tuple[int, ...]:
    """Return the slices in which two segmentations of one grid differ.

    Args:
        first: One segmentation.
        second: The other.
        slicing_axis: 0, 1 or 2 for i, j, k.
    """
    return slices_of_mask(changed_voxels(first.array, second.array), slicing_axis)


def what_counts(  # noqa: PLR0913 - what is corrected, by what, and how much of it shall count
    project: Project,
    case: Case,
    proposal: LabelVolume,
    corrected: LabelVolume,
    *,
    slices: Sequence[int] | None,
    extent: TruthExtent,
    left_out: tuple[int, ...],
) -> Correction:
    """Return what of a correction counts as human truth.

    Args:
        project: The project.
        case: The case.
        proposal: The pseudo-label.
        corrected: What a person made of it, on the same grid.
        slices: Slices that the person names; they take the place of the extent.
        extent: Which voxels count otherwise.
        left_out: Label values of the structures that the person rejects.

    Raises:
        ReviewError: Nothing was changed, or the person names slices that there are none of.
    """
    axis, num_slices = project.slicing_axis_of(case.id), project.num_slices_of(case.id)
    if slices is not None:
        chosen = _named_slices(case, slices, num_slices, extent)
        correction = Correction(corrected, None if len(chosen) == num_slices else chosen)
    else:
        changed = changed_voxels(proposal.array, corrected.array, left_out)
        correction = _by_extent(corrected, changed, extent, axis)
        _require_change(case, changed, leaves_out=bool(left_out))
        if not np.any(corrected.array):
            raise ReviewError(
                Text("The correction of case '{case}' is empty.", case=case.id),
                Text("Reject the proposal, or name the slices that should be empty."),
            )
    mask = correction.mask
    require_something_to_confirm(
        [one if mask is None else _within(one, mask) for one in (corrected, proposal)],
        case.id,
        left_out,
        slicing_axis=axis,
        slices=correction.truth_slices,
    )
    return correction


def _by_extent(
    corrected: LabelVolume, changed: Mask, extent: TruthExtent, slicing_axis: int
) -> Correction:
    if extent is TruthExtent.WHOLE:
        return Correction(corrected, None)
    if extent is TruthExtent.CHANGED_VOXELS:
        near = near_changed(changed, corrected.geometry.spacing_mm)
        return Correction(corrected, slices_of_mask(near, slicing_axis), near)
    slices = slices_of_mask(changed, slicing_axis)
    is_whole = len(slices) == corrected.geometry.size[slicing_axis]
    return Correction(corrected, None if is_whole else slices)


def _require_change(case: Case, changed: Mask, *, leaves_out: bool) -> None:
    if not changed.any():
        raise ReviewError(
            Text(
                "The correction of case '{case}' is identical to the proposal in what is not left "
                "out."
                if leaves_out
                else "The correction of case '{case}' is identical to the proposal.",
                case=case.id,
            ),
            Text("Accept the proposal instead, and leave out the same.")
            if leaves_out
            else Text("Accept the proposal instead."),
        )


def _named_slices(
    case: Case, slices: Sequence[int], num_slices: int, extent: TruthExtent
) -> tuple[int, ...]:
    if extent is not TruthExtent.CHANGED_SLICES:
        raise ReviewError(
            Text(
                "A correction covers either {extent} or the named ones, not both.",
                extent=extent.word,
            ),
            Text("Choose one of the two."),
        )
    wrong = [number for number in slices if not 0 <= number < num_slices]
    if wrong:
        raise ReviewError(
            Text(
                "Case '{case}' has no slice {slices}; its slices are 0 to {last}.",
                case=case.id,
                slices=", ".join(map(str, wrong)),
                last=num_slices - 1,
            ),
            Text("Choose among these slices."),
        )
    return tuple(sorted(set(slices)))


def _is_nothing(labels: npt.NDArray[np.int16], left_out: tuple[int, ...]) -> Mask:
    return np.isin(labels, (0, *left_out))


def _within(labels: LabelVolume, mask: Mask) -> LabelVolume:
    return LabelVolume(np.where(mask, labels.array, np.int16(0)), labels.geometry)
