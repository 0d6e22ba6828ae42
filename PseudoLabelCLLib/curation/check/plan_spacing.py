"""The voxels of the network: as most volumes have them, and fine enough for what was annotated."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.curation.grids.human_truth import read_on_grid
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig, typical_pixel_mm
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout

# Of every annotated structure at least this share of its voxels comes back from the network's grid.
KEPT_SHARE = 0.5
# Voxels become finer than those of most volumes by this factor at the most: what is lost even then
# is a question, since the time of a round grows with every step of it.
FINEST_FACTOR = 2.0
# By what an axis becomes finer in one step.
_STEP = 0.8
# Where slices are the coarse axis, their distance is that of the finer volumes.
COARSE_AXIS_PERCENTILE = 10


@dataclass(frozen=True)
class Spacing:
    """The voxels of the network.

    Args:
        pixel_mm: Distance of rows and columns.
        slice_mm: Distance of slices in 3-D; None in 2-D, where every volume has its own.
    """

    pixel_mm: float
    slice_mm: float | None = None

    def along(self, geometry: Geometry, slicing_axis: int) -> tuple[float, float, float]:
        """Return the distances along the axes i, j, k of a volume."""
        across = geometry.spacing_mm[slicing_axis] if self.slice_mm is None else self.slice_mm
        i, j, k = (across if n == slicing_axis else self.pixel_mm for n in range(3))
        return i, j, k


def settle_spacing(
    config: PreprocessConfig, geometries: Sequence[Geometry], annotated: Sequence[LabelVolume]
) -> Spacing:
    """Return the voxels of the network: those that were set, else of most volumes, or finer ones.

    The pixel size is the median over the volumes, and so is the distance of slices in 3-D. Where
    slices are farther apart than pixels, it is the 10th percentile instead, though never less than
    the pixel size. With whole slices both become finer, down to half, until every annotated
    structure keeps half of its voxels.

    Args:
        config: The settings.
        geometries: Of all volumes that take part.
        annotated: The annotations.

    Source: Isensee et al., Nature Methods 2021: median, and 10th percentile of the coarse axis.
    """
    spacing = Spacing(config.in_plane_spacing_mm or typical_pixel_mm(config, geometries))
    if config.dimension == 3:
        distance = config.slice_spacing_mm or typical_distance_mm(
            [g.spacing_mm[config.slicing_axis_of(g)] for g in geometries], spacing.pixel_mm
        )
        spacing = Spacing(spacing.pixel_mm, distance)
    if not config.sees_whole_slices:
        return spacing
    limits = _finest(config, spacing)
    for labels in annotated:
        spacing = _fine_enough(spacing, limits, labels, config)
    return spacing


def typical_distance_mm(distances_mm: Sequence[float], pixel_mm: float) -> float:
    """Return the distance of slices for a network in 3-D."""
    middle = statistics.median(distances_mm)
    if middle <= pixel_mm:
        return middle
    return max(pixel_mm, float(np.percentile(distances_mm, COARSE_AXIS_PERCENTILE)))


def smallest_kept_share(
    labels: LabelVolume, spacing_mm: Sequence[float], values: Sequence[int] | None = None
) -> float:
    """Return which share of its voxels the worst structure keeps on another grid and back.

    Args:
        labels: A segmentation.
        spacing_mm: Of the other grid along i, j, k.
        values: The structures; None takes all that there are.
    """
    array = labels.array
    filled = [np.flatnonzero(array.any(axis=_others(axis))) for axis in range(3)]
    if not len(filled[0]):
        return 1.0
    moved = array
    own = labels.geometry.spacing_mm[::-1]
    for axis, mm in enumerate(spacing_mm[::-1]):
        places = _there_and_back(array.shape[axis], own[axis], mm)
        # whatever lies outside the structures is of no interest
        moved = moved.take(places[filled[axis][0] : filled[axis][-1] + 1], axis)
    inside = array[tuple(slice(one[0], one[-1] + 1) for one in filled)]
    present = np.unique(inside[inside > 0]).tolist() if values is None else values
    shares = [
        float((moved[inside == value] == value).mean())
        for value in present
        if (inside == value).any()
    ]
    return min(shares, default=1.0)


def annotations(root: Path, project: Project) -> Iterator[LabelVolume]:
    """Yield the annotations that a round learns from.

    Raises:
        PseudoLabelCLError: One is gone, unreadable, or does not belong to its case.
    """
    layout = ProjectLayout(root)
    for case in project.cases_with_role(CaseRole.ANNOTATED):
        if case.annotation is not None:
            yield read_on_grid(layout.own(case.annotation), project.schema, case)


def _finest(config: PreprocessConfig, typical: Spacing) -> Spacing:
    """Return the finest voxels: what a person has set stays."""
    pixel_mm = typical.pixel_mm
    if config.in_plane_spacing_mm is None:
        pixel_mm /= FINEST_FACTOR
    distance = typical.slice_mm
    if distance is not None and config.slice_spacing_mm is None:
        distance /= FINEST_FACTOR
    return Spacing(pixel_mm, distance)


def _fine_enough(
    spacing: Spacing, finest: Spacing, labels: LabelVolume, config: PreprocessConfig
) -> Spacing:
    """Return the spacing, the coarsest axis finer step by step until no structure is lost."""
    axis = config.slicing_axis_of(labels.geometry)
    own = labels.geometry.spacing_mm
    own_pixel_mm = min(mm for n, mm in enumerate(own) if n != axis)
    while smallest_kept_share(labels, spacing.along(labels.geometry, axis)) < KEPT_SHARE:
        pixel_mm = max(_STEP * spacing.pixel_mm, finest.pixel_mm, own_pixel_mm)
        finer = [(spacing.pixel_mm / own_pixel_mm, Spacing(pixel_mm, spacing.slice_mm))]
        if spacing.slice_mm is not None and finest.slice_mm is not None:
            slice_mm = max(_STEP * spacing.slice_mm, finest.slice_mm, own[axis])
            finer.append((spacing.slice_mm / own[axis], Spacing(spacing.pixel_mm, slice_mm)))
        can_be = [one for one in finer if _is_finer(one[1], spacing)]
        if not can_be:
            return spacing
        spacing = max(can_be, key=lambda one: one[0])[1]
    return spacing


def _is_finer(one: Spacing, other: Spacing) -> bool:
    return one.pixel_mm < other.pixel_mm or (one.slice_mm or 0.0) < (other.slice_mm or 0.0)


def _there_and_back(size: int, own_mm: float, other_mm: float) -> npt.NDArray[np.intp]:
    """Return which voxel each voxel of an axis becomes on another grid and back, by the nearest."""
    other = max(1, round(size * own_mm / other_mm))
    sources = np.floor((np.arange(other) + 0.5) * size / other).astype(np.intp)
    targets = np.floor((np.arange(size) + 0.5) * other / size).astype(np.intp)
    places: npt.NDArray[np.intp] = sources[np.minimum(targets, other - 1)]
    return places


def _others(axis: int) -> tuple[int, ...]:
    return tuple(n for n in range(3) if n != axis)
