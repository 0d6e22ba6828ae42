"""Which structures are one piece in every annotated volume."""

import statistics
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.single_pieces import SinglePieces, is_one_piece, settled_pieces
from PseudoLabelCLLib.pipeline.slices.case_slices import annotation_of

# Voxels that touch at a corner belong together.
TOUCHING = np.ones((3, 3, 3), np.bool_)


def single_pieces(root: Path, project: Project) -> SinglePieces:
    """Return of what predictions keep a single piece.

    Annotated volumes decide if they are drawn as a whole; slices drawn here and there show pieces
    that are none. A structure that none of them shows keeps every piece.

    Raises:
        PseudoLabelCLError: A segmentation cannot be read.
    """
    as_drawn = project.config.pseudo_label.single_pieces
    cases = project.cases_with_role(CaseRole.ANNOTATED) if as_drawn else ()
    whole = [case for case in cases if not case.is_partly_drawn]
    seen: dict[int, list[bool]] = {value: [] for value in project.schema.values}
    sizes_mm3: dict[int, list[float]] = {value: [] for value in project.schema.values}
    together: list[bool] = []
    for case in whole:
        labels = annotation_of(root, case, project.schema).array
        for value in seen:
            mask = labels == value
            seen[value] += _looks_single(mask)
            if mask.any():
                sizes_mm3[value].append(int(mask.sum()) * case.geometry.voxel_mm3)
        together += _looks_single(labels > 0)
    single = tuple(value for value, found in seen.items() if found and all(found))
    drawn = SinglePieces(
        single,
        len(project.schema) > 1 and bool(together) and all(together),
        tuple(statistics.median(sizes_mm3[value]) for value in single),
    )
    return settled_pieces(drawn, project.schema, as_drawn=as_drawn)


def _looks_single(mask: npt.NDArray[np.bool_]) -> list[bool]:
    """Return whether a mask is one piece; nothing where it is empty."""
    if not mask.any():
        return []
    pieces, _ = ndimage.label(mask, structure=TOUCHING)
    return [is_one_piece(np.bincount(pieces.ravel())[1:].tolist())]
