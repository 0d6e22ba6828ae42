"""The part of the self-test in Slicer that compares what is stored with what was shown."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk

from PseudoLabelCLGui.mrml_bridge import ShownCase
from PseudoLabelCLGui.self_test.shared import check
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.review import ProposalIdentity, Verdict
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation

# Of a voxel; two programs compute its place.
_SAME_PLACE = 0.01


@dataclass(frozen=True)
class Seen:
    """What the views show of a case.

    Args:
        identity: The proposal.
        places: Centres of the voxels of each structure by label value, (voxels, 3), LPS in mm.
    """

    identity: ProposalIdentity
    places: dict[int, Any]

    @property
    def num_voxels(self) -> int:
        """How many voxels belong to a structure."""
        return sum(self.sizes.values())

    @property
    def sizes(self) -> dict[int, int]:
        """How many voxels belong to each structure, by label value."""
        return {value: len(places) for value, places in self.places.items()}


def look_at(shown: ShownCase) -> Seen:
    """Read from the scene what of a case can be seen, as Slicer's own functions give it."""
    identity = shown.files.identity
    assert identity is not None  # only proposals are looked at
    to_ras = vtk.vtkMatrix4x4()
    shown.volume.GetIJKToRASMatrix(to_ras)
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ slicer.util.arrayFromVTKMatrix(to_ras)
    places = {}
    for label in shown.labels.classes:
        array = slicer.util.arrayFromSegmentBinaryLabelmap(
            shown.proposal, label.segment_id, shown.volume
        )
        indices = np.argwhere(array > 0)[:, ::-1]
        places[label.value] = indices @ to_lps[:3, :3].T + to_lps[:3, 3]
    return Seen(identity, places)


def check_stored(root: Path, seen: Seen, verdict: Verdict) -> None:
    """Check that the verdict on the disk is on what was seen, voxel for voxel."""
    identity, project = seen.identity, load_project(root)
    name = f"'{identity.case_id}', round {identity.round_index}"
    of_case = (
        review for review in project.reviews
        if (review.case_id, review.round_index) == (identity.case_id, identity.round_index)
    )  # fmt: skip
    review = next(of_case, None)
    if review is None or review.segmentation is None:
        raise AssertionError(f"No verdict on {name} is on the disk.")
    stored_as = f"{name} is '{review.verdict.value}' on the disk, not '{verdict.value}'."
    check(review.verdict is verdict, stored_as)
    file = ProjectLayout(root).resolve(review.segmentation)
    stored = read_segmentation(file, project.schema)[0]
    for label in project.schema.classes:
        expected = _mask_of(seen.places[label.value], stored.geometry)
        found = stored.array == label.value
        num_differing = int(np.count_nonzero(found != expected))
        check(
            num_differing == 0,
            f"{label.name} of {name}: {num_differing} voxels differ from what was shown "
            f"({int(expected.sum())} shown, {int(found.sum())} stored).",
        )


def _mask_of(places: Any, geometry: Geometry) -> Any:
    """Return where points (LPS, in mm) lie on a grid, boolean (k, j, i)."""
    direction = np.array(geometry.direction).reshape(3, 3) * np.array(geometry.spacing_mm)
    mask = np.zeros(geometry.size[::-1], bool)
    if not len(places):
        return mask
    exact = (places - np.array(geometry.origin_mm)) @ np.linalg.inv(direction).T
    indices = np.rint(exact).astype(int)
    apart = float(np.abs(exact - indices).max())
    check(apart < _SAME_PLACE, f"What is stored lies {apart:.2f} of a voxel beside what was shown.")
    is_within = bool((indices >= 0).all() and (indices < np.array(geometry.size)).all())
    check(is_within, "What was shown lies beyond what is stored.")
    mask[tuple(indices[:, ::-1].T)] = True
    return mask
