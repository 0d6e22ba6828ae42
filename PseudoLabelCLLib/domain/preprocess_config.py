"""The settings of the way from volumes to what the network sees."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.network_config import SIZE_MULTIPLE
from PseudoLabelCLLib.domain.plane import Plane
from PseudoLabelCLLib.domain.require import require
from PseudoLabelCLLib.domain.slice_turn import (
    AS_STORED,
    SliceDirections,
    SliceTurn,
    most_common_directions,
    runs_backwards,
    slice_directions,
    turn_onto,
)
from PseudoLabelCLLib.domain.text import Text

# With more, a slab is rather a matter of networks in 3-D.
MOST_NEIGHBOURING_SLICES = 3


class Crop(Enum):
    """Where the network's window is laid on a slice."""

    CENTER = "center"
    FOREGROUND = "foreground"


@dataclass(frozen=True)
class PreprocessConfig:
    """From volumes to the slices that the network sees.

    Args:
        slicing_axis: 0, 1 or 2 for i, j, k, whatever the plane; None takes the plane.
        in_plane_spacing_mm: Pixel size for the network; None takes the median over the cases, and
            with whole slices down to half of it, where an annotated structure would be lost.
        window_size: Rows and columns of a slice for the network, multiples of 32; None takes whole
            slices if `whole_slices`, else the smallest window that holds the slices of the cases,
            at most `max_window_size`.
        max_window_size: Upper limit of the sides of an automatic window or training patch.
        crop: Whether the window lies on the centre of the slice or of the body (what is not air).
        bias_correction: Whether N4 evens out the coil shading first (Tustison et al. 2010); never
            that of CT, which has none.
        body_mask: Whether N4 looks at the body alone, which Otsu's threshold tells from air; the
            published recipe gives it every voxel.
        measured_values: Whether padding around the scanned field and metal are found and set no
            scale; the published recipe takes percentiles of all voxels.
        low_percentile: Intensity that becomes 0, as a fraction of the volume's voxels.
        high_percentile: Intensity that becomes 1, as a fraction of the volume's voxels.
        turn_slices: Whether slices that are stored turned or mirrored against those of most cases
            are turned for the network, as their headers tell.
        slice_directions: Onto which rows and columns are turned; None takes those of most cases,
            and where it is None although all is settled, nothing is turned.
        plane: In which plane of the body all volumes are cut; None takes the one that most volumes
            resolve best, and in projects of earlier versions each volume's own.
        scale_ct: Whether CT is scaled by the same two values in every volume, those between which
            the annotated structures lie; where False, as in everything else, by the volume's own
            percentiles.
        ct_limits_hu: For each channel the Hounsfield units that become 0 and 1, with what lies
            outside clipped, or None for one that is not CT; nothing takes them from the annotated
            cases, as far as these are CT.
        whole_slices: Whether, where no `window_size` is set, nothing is cut off: the network is
            trained on patches and predicts slices or volumes as large as they are.
        patch_size: Rows and columns of a training patch, multiples of 32; in 3-D slices, rows and
            columns, which are enlarged as the network needs. None takes the whole window, or with
            whole slices the smallest patch that holds the slices of the cases, at most
            `max_window_size`; in 3-D the largest block that does not exceed `BLOCK_VOXELS`.
        dimension: 2 cuts volumes into slices, 3 into blocks of neighbouring slices.
        slice_spacing_mm: Distance of the network's slices in 3-D; None takes the median over the
            cases, or their 10th percentile where slices are farther apart than pixels, and down to
            half of that, where an annotated structure would be lost.
        neighbouring_slices: In 2-D, how many slices on each side of a slice the network sees with
            it, as further channels; at a volume's ends its last slice stands for those beyond.
    """

    slicing_axis: int | None = None
    in_plane_spacing_mm: float | None = None
    window_size: tuple[int, int] | None = None
    max_window_size: int = 192
    crop: Crop = Crop.CENTER
    bias_correction: bool = False
    body_mask: bool = False
    measured_values: bool = False
    low_percentile: float = 0.01
    high_percentile: float = 0.99
    turn_slices: bool = True
    slice_directions: SliceDirections | None = None
    plane: Plane | None = None
    scale_ct: bool = False
    ct_limits_hu: tuple[tuple[float, float] | None, ...] = ()
    whole_slices: bool = False
    patch_size: tuple[int, ...] | None = None
    dimension: int = 2
    slice_spacing_mm: float | None = None
    neighbouring_slices: int = 0

    def __post_init__(self) -> None:
        require(
            self.slicing_axis in (None, 0, 1, 2),
            "slicing_axis",
            Text("0, 1, 2 or none"),
            self.slicing_axis,
        )
        spacing = self.in_plane_spacing_mm
        require(
            spacing is None or 0.01 <= spacing <= 100,
            "in_plane_spacing_mm", Text("between 0.01 and 100 mm"), spacing,
        )  # fmt: skip
        for side in (*(self.window_size or ()), self.max_window_size):
            require(
                _fits_the_network(side),
                "window size",
                Text("a multiple of {number}", number=SIZE_MULTIPLE),
                side,
            )
        self._check_dimension()
        require(
            0 <= self.low_percentile < self.high_percentile <= 1,
            "percentiles",
            Text("0 <= low < high <= 1"),
            (self.low_percentile, self.high_percentile),
        )
        for limits in self.ct_limits_hu:
            require(
                limits is None or (math.isfinite(limits[1] - limits[0]) and limits[0] < limits[1]),
                "ct_limits_hu", Text("two values, the lower one first"), limits,
            )  # fmt: skip

    def ct_limits_of(self, channel: int) -> tuple[float, float] | None:
        """Return which Hounsfield units become 0 and 1 in a channel; None where it is not CT."""
        return self.ct_limits_hu[channel] if channel < len(self.ct_limits_hu) else None

    def _check_dimension(self) -> None:
        patch, distance = self.patch_size, self.slice_spacing_mm
        require(self.dimension in (2, 3), "dimension", Text("2 or 3"), self.dimension)
        neighbours = self.neighbouring_slices
        require(
            0 <= neighbours <= MOST_NEIGHBOURING_SLICES,
            "neighbouring_slices",
            Text("0 to {most}", most=MOST_NEIGHBOURING_SLICES),
            neighbours,
        )
        if self.dimension == 2:
            require(
                patch is None or (len(patch) == 2 and all(map(_fits_the_network, patch))),
                "patch_size",
                Text("rows and columns, multiples of {number}", number=SIZE_MULTIPLE),
                patch,
            )
            require(distance is None, "slice_spacing_mm", Text("none in 2-D"), distance)
            return
        require(
            patch is None or (len(patch) == 3 and min(patch) > 0),
            "patch_size", Text("slices, rows and columns in 3-D"), patch,
        )  # fmt: skip
        require(
            distance is None or 0.01 <= distance <= 100,
            "slice_spacing_mm", Text("between 0.01 and 100 mm"), distance,
        )  # fmt: skip
        require(self.whole_slices, "whole_slices", Text("true in 3-D"), self.whole_slices)
        require(self.window_size is None, "window_size", Text("none in 3-D"), self.window_size)
        require(neighbours == 0, "neighbouring_slices", Text("0 in 3-D"), neighbours)

    @property
    def block_spacing_mm(self) -> tuple[float, float, float] | None:
        """Distance of slices, rows and columns for a network in 3-D; None in 2-D."""
        if self.dimension == 2 or self.in_plane_spacing_mm is None or self.slice_spacing_mm is None:
            return None
        return self.slice_spacing_mm, self.in_plane_spacing_mm, self.in_plane_spacing_mm

    @property
    def slices_at_once(self) -> int:
        """How many slices of each image are channels of the network's input."""
        return 2 * self.neighbouring_slices + 1

    @property
    def sees_whole_slices(self) -> bool:
        """Whether nothing of a slice is cut off, however large it is."""
        return self.whole_slices and self.window_size is None

    def slicing_axis_of(self, geometry: Geometry) -> int:
        """Return along which axis (0 = i, 1 = j, 2 = k) a volume is cut into slices."""
        if self.slicing_axis is not None:
            return self.slicing_axis
        if self.plane is not None:
            return self.plane.slicing_axis_of(geometry)
        return geometry.least_resolved_axis

    def slice_turn_of(self, geometry: Geometry) -> SliceTurn:
        """Return how a volume's slices are turned for the network, once all is settled."""
        if self.slice_directions is None or not self.turn_slices:
            return AS_STORED
        own = slice_directions(geometry, self.slicing_axis_of(geometry))
        return turn_onto(self.slice_directions, own)

    def runs_backwards(self, geometry: Geometry) -> bool:
        """Return whether a volume's slices are stored against the order of most, once settled."""
        if self.slice_directions is None or not self.turn_slices:
            return False
        axis = self.slicing_axis_of(geometry)
        return runs_backwards(self.slice_directions, geometry, axis)


def _fits_the_network(side: int) -> bool:
    return side > 0 and side % SIZE_MULTIPLE == 0


def typical_pixel_mm(config: PreprocessConfig, geometries: Sequence[Geometry]) -> float:
    """Return the pixel size of most slices: the median over volumes of both sides' mean.

    Args:
        config: How volumes are cut.
        geometries: One volume or more.
    """
    sizes = []
    for geometry in geometries:
        axis = config.slicing_axis_of(geometry)
        sides = [mm for n, mm in enumerate(geometry.spacing_mm) if n != axis]
        sizes.append(math.prod(sides) ** 0.5)
    return statistics.median(sizes)


def settle_directions(config: PreprocessConfig, geometries: Sequence[Geometry]) -> PreprocessConfig:
    """Fill in the way in which slices lie, that of most cases, unless all stay as stored."""
    if config.slice_directions is not None or not config.turn_slices or not geometries:
        return config
    directions = [slice_directions(g, config.slicing_axis_of(g)) for g in geometries]
    return replace(config, slice_directions=most_common_directions(directions))
