"""The anatomical plane in which all volumes of a project are cut into slices."""

from collections import Counter
from collections.abc import Iterable
from enum import Enum

import numpy as np

from PseudoLabelCLLib.domain.geometry import NUM_AXES, Geometry
from PseudoLabelCLLib.domain.text import Text

# 1 % apart is the same resolution: header rounding must not turn a volume on its side.
_SAME_SPACING = 0.99
# A pixel that is longer than this, measured in slice distances, shows too little of the anatomy.
_MOST_STRETCHED = 2.0


class Plane(Enum):
    """A plane of the body, by what it is called."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"

    @property
    def word(self) -> Text:
        """What a person reads."""
        return {
            Plane.AXIAL: Text("axial"),
            Plane.CORONAL: Text("coronal"),
            Plane.SAGITTAL: Text("sagittal"),
        }[self]

    @property
    def world_axis(self) -> int:
        """The LPS axis across the plane: 0 left, 1 posterior, 2 superior."""
        return {Plane.SAGITTAL: 0, Plane.CORONAL: 1, Plane.AXIAL: 2}[self]

    def slicing_axis_of(self, geometry: Geometry) -> int:
        """Return along which axis (0 = i, 1 = j, 2 = k) a volume is cut into such slices.

        Of an oblique volume, the axis that runs nearest to the direction across the plane.
        """
        along = np.abs(geometry.direction_matrix[self.world_axis])
        nearest = along >= along.max() - 1e-6
        return max(axis for axis in range(NUM_AXES) if nearest[axis])

    def stretch_in(self, geometry: Geometry) -> float:
        """Return how long the pixels of such slices are, in distances of the slices.

        A volume whose slices are thick in another plane has a large one.
        """
        axis = self.slicing_axis_of(geometry)
        sides = [mm for n, mm in enumerate(geometry.spacing_mm) if n != axis]
        if geometry.size[axis] > 1 and 1 in geometry.size:
            return np.inf  # a single slice of another plane
        return max(sides) / geometry.spacing_mm[axis]

    def suits(self, geometry: Geometry) -> bool:
        """Return whether slices of this plane show what the volume resolves."""
        return self.stretch_in(geometry) <= _MOST_STRETCHED


def plane_across(geometry: Geometry, axis: int) -> Plane:
    """Return the plane that an axis of a volume runs across."""
    world_axis = int(np.abs(geometry.direction_matrix[:, axis]).argmax())
    return next(plane for plane in Plane if plane.world_axis == world_axis)


def resolved_plane(geometry: Geometry) -> Plane | None:
    """Return the plane that a volume resolves best; None if it resolves several alike."""
    if geometry.size.count(1) == 1:
        return plane_across(geometry, geometry.size.index(1))
    widest = max(geometry.spacing_mm)
    wide = [n for n, mm in enumerate(geometry.spacing_mm) if mm > _SAME_SPACING * widest]
    return plane_across(geometry, wide[0]) if len(wide) == 1 else None


def stored_plane(geometry: Geometry) -> Plane:
    """Return the plane of the slices as they are stored: that across the last axis."""
    return plane_across(geometry, NUM_AXES - 1)


def common_plane(geometries: Iterable[Geometry]) -> Plane | None:
    """Return the plane that most volumes resolve best; None without a volume.

    Volumes that resolve several planes alike (isotropic ones, thin slices of a wide field) decide
    only where no other does, by the slices that are stored. Of planes with as many volumes, the
    first of axial, coronal, sagittal is taken.
    """
    grids = list(geometries)
    best = [plane for grid in grids if (plane := resolved_plane(grid)) is not None]
    votes = Counter(best or [stored_plane(grid) for grid in grids])
    return max(Plane, key=lambda plane: votes[plane]) if votes else None
