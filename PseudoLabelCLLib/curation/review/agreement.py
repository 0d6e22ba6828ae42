"""How right the network was, as a person's verdict shows it."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.curation.grids.human_truth import read_on_grid
from PseudoLabelCLLib.curation.review.truth_mask import read_truth_mask
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import Review
from PseudoLabelCLLib.domain.volume import array_axis
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout


def agreement_with_proposal(
    root: Path, project: Project, review: Review
) -> dict[str, float | None] | None:
    """Compare a reviewed segmentation with the proposal that it was made from.

    Returns:
        Dice (0..1) of each structure by name between proposal and reviewed segmentation, on the
        voxels that count as human truth; None for a structure that neither has there, or that the
        person left out. None in place of the table if the proposal was rejected.

    Raises:
        AnnotationError: A file does not fit the labels.
        VolumeError: A file cannot be read.
    """
    if review.segmentation is None:
        return None
    layout, schema = ProjectLayout(root), project.schema
    case = project.case(review.case_id)
    proposal = read_on_grid(layout.proposal(review.round_index, case.id), schema, case)
    reviewed = read_on_grid(layout.own(review.segmentation), schema, case)
    counts = _what_counts(layout, project, review, reviewed.array.shape)
    first, second = proposal.array[counts], reviewed.array[counts]
    return {
        label.name: None
        if label.value in review.left_out
        else _dice(first == label.value, second == label.value)
        for label in schema
    }


def _what_counts(
    layout: ProjectLayout, project: Project, review: Review, shape: tuple[int, ...]
) -> npt.NDArray[np.bool_]:
    """Return the voxels that a person confirmed, shape (k, j, i)."""
    if review.truth_mask is not None:
        case = project.case(review.case_id)
        return read_truth_mask(layout.own(review.truth_mask), case.geometry)
    counts = np.ones(shape, np.bool_)
    if review.truth_slices is not None:
        counts[:] = False
        axis = array_axis(project.slicing_axis_of(review.case_id))
        np.moveaxis(counts, axis, 0)[list(review.truth_slices)] = True
    return counts


def _dice(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> float | None:
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else None
