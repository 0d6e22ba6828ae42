"""Geometry: where the voxels of a volume lie in the patient, in LPS millimetres."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.text import Text

FloatArray = npt.NDArray[np.float64]

NUM_AXES = 3
# Direction cosines survive a NIfTI header (32-bit quaternion or affine) to about 1e-6 per entry;
# a corner of a 500 mm volume then moves by less than 0.001 mm.
DIRECTION_TOLERANCE = 1e-4
# Positions are compared in units of the smallest voxel edge: a tenth of it is far below what a
# nearest-neighbour lookup could notice, and far above what rounding in a header can do.
CORNER_TOLERANCE_VOXELS = 0.1


@dataclass(frozen=True)
class Geometry:
    """The grid of a volume; every tuple is in the order (i, j, k), world coordinates are LPS.

    Args:
        size: Number of voxels along i, j, k.
        spacing_mm: Distance of voxel centres along i, j, k.
        origin_mm: World position of the centre of voxel (0, 0, 0).
        direction: Row-major 3 x 3 matrix; column a is the world direction of axis a. It may be
            oblique and left-handed.

    Raises:
        VolumeError: The grid is empty or its axes do not span space.
    """

    size: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: tuple[float, float, float, float, float, float, float, float, float]

    def __post_init__(self) -> None:
        if min(self.size) < 1:
            raise VolumeError(Text("The volume has no voxels: its size is {size}.", size=self.size))
        numbers = (*self.spacing_mm, *self.origin_mm, *self.direction)
        if not np.all(np.isfinite(numbers)) or min(self.spacing_mm) <= 0:
            raise VolumeError(
                Text(
                    "The volume's header has an impossible geometry (spacing {spacing} "
                    "mm, origin {origin} mm).",
                    spacing=self.spacing_mm,
                    origin=self.origin_mm,
                ),
                Text("Load the volume in another program and save it again."),
            )
        if abs(np.linalg.det(self.direction_matrix)) < DIRECTION_TOLERANCE:
            raise VolumeError(
                Text(
                    "The axes of the volume do not span three-dimensional space (direction "
                    "{direction}).",
                    direction=self.direction,
                ),
                Text("Load the volume in another program and save it again."),
            )

    @property
    def voxel_mm3(self) -> float:
        """The volume of a voxel."""
        return math.prod(self.spacing_mm)

    @property
    def direction_matrix(self) -> FloatArray:
        """The 3 x 3 direction matrix; column a is the unit vector of axis a."""
        return np.asarray(self.direction, dtype=np.float64).reshape(3, 3)

    @property
    def index_to_world_matrix(self) -> FloatArray:
        """The 4 x 4 matrix from (i, j, k, 1) to LPS millimetres."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.direction_matrix * np.asarray(self.spacing_mm)
        matrix[:3, 3] = self.origin_mm
        return matrix

    @property
    def array_shape(self) -> tuple[int, int, int]:
        """Shape of the array that holds the voxels: (k, j, i)."""
        return (self.size[2], self.size[1], self.size[0])

    @property
    def extent_mm(self) -> tuple[float, float, float]:
        """Edge lengths of the whole volume, outer voxel faces included, along i, j, k."""
        i, j, k = (n * s for n, s in zip(self.size, self.spacing_mm, strict=True))
        return (i, j, k)

    @property
    def is_left_handed(self) -> bool:
        """Whether axis k points against the cross product of i and j."""
        return bool(np.linalg.det(self.direction_matrix) < 0)

    @property
    def least_resolved_axis(self) -> int:
        """The axis (0 = i, 1 = j, 2 = k) with the largest spacing; k wins a tie.

        Of a single slice, the axis across it, whatever spacing its header makes up.
        """
        if self.size.count(1) == 1:
            return self.size.index(1)
        spacing = self.spacing_mm
        widest = max(spacing)
        # 1 % apart is the same resolution: header rounding must not turn a volume on its side.
        return max(axis for axis in range(NUM_AXES) if spacing[axis] > 0.99 * widest)

    def number_in_slicer(self, axis: int, number: int) -> int:
        """Return the number that 3D Slicer gives to a slice.

        It reads a left-handed volume with its slices along k in reverse order.

        Args:
            axis: Along which the slices are counted: 0 = i, 1 = j, 2 = k.
            number: Of the slice as stored, 0 first.
        """
        is_reversed = axis == 2 and self.is_left_handed
        return self.size[2] - 1 - number if is_reversed else number

    def slice_name(self, axis: int, number: int) -> str:
        """Return what a person calls a slice who sees it in 3D Slicer, as "k = 4"."""
        return f"{'ijk'[axis]} = {self.number_in_slicer(axis, number)}"

    def index_to_world(self, index: npt.ArrayLike) -> FloatArray:
        """Return the LPS millimetres of continuous indices, shape (..., 3) in order (i, j, k)."""
        points = np.asarray(index, dtype=np.float64)
        matrix = self.index_to_world_matrix
        result: FloatArray = points @ matrix[:3, :3].T + matrix[:3, 3]
        return result

    def world_to_index(self, world_mm: npt.ArrayLike) -> FloatArray:
        """Return continuous indices (i, j, k) of LPS millimetres, shape (..., 3)."""
        points = np.asarray(world_mm, dtype=np.float64)
        matrix = self.index_to_world_matrix
        result: FloatArray = (points - matrix[:3, 3]) @ np.linalg.inv(matrix[:3, :3]).T
        return result

    def corners_mm(self) -> FloatArray:
        """Return the eight outer corners of the volume in LPS millimetres, shape (8, 3)."""
        corners = np.array(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij")).reshape(3, 8).T
        return self.index_to_world(corners * np.asarray(self.size) - 0.5)

    def is_close_to(self, other: "Geometry") -> bool:
        """Return whether both grids have the same voxels: each corner within a tenth of a voxel."""
        if self.size != other.size:
            return False
        distance = np.linalg.norm(self.corners_mm() - other.corners_mm(), axis=1).max()
        return bool(distance <= CORNER_TOLERANCE_VOXELS * min(self.spacing_mm))

    def overlap_fraction(self, other: "Geometry") -> float:
        """Return the fraction (0..1) of this volume's space that lies inside `other`.

        Measured at the centres of a 16 x 16 x 16 raster, which is enough to tell "apart" from
        "together".
        """
        steps = (np.arange(16) + 0.5) / 16
        raster = np.array(np.meshgrid(steps, steps, steps, indexing="ij")).reshape(3, -1).T
        index = other.world_to_index(self.index_to_world(raster * np.asarray(self.size) - 0.5))
        inside = np.all((index > -0.5) & (index < np.asarray(other.size) - 0.5), axis=1)
        return float(inside.mean())

    def describe(self) -> Text:
        """Return the grid in a few words for messages: size and spacing."""
        size = " x ".join(str(n) for n in self.size)
        spacing = " x ".join(f"{s:.4g}" for s in self.spacing_mm)
        return Text("{size} voxels of {spacing} mm", size=size, spacing=spacing)
