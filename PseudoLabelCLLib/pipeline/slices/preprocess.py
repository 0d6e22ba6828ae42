"""From a volume to the slices that the network sees, and the exact way back to its own grid."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
import torch
from torch.nn import functional

from PseudoLabelCLLib.curation.check.check_modality import mostly_ct
from PseudoLabelCLLib.curation.check.scanned_values import looks_like_ct, scanned_values
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.network_config import NUM_LEVELS, SIZE_MULTIPLE
from PseudoLabelCLLib.domain.network_plan import fitting_block, largest_block
from PseudoLabelCLLib.domain.preprocess_config import (
    Crop,
    PreprocessConfig,
    settle_directions,
    typical_pixel_mm,
)
from PseudoLabelCLLib.domain.slice_turn import (
    AS_STORED,
    SliceTurn,
)
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import Volume, array_axis
from PseudoLabelCLLib.storage.files.free_memory import free_memory_bytes

FloatArray = npt.NDArray[np.float32]
LabelArray = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]

# A window must hold the structures with this much room around them, in pixels of the network.
MARGIN_PIXELS = 8
LARGEST_WINDOW = 512
# Probabilities of so many slices are put back on the volume's own slices at once.
SLICES_AT_ONCE = 16
# N4 works on a coarser copy: the shading is smooth, and its cost grows with the voxels.
BIAS_CORRECTION_LONGEST_SIDE = 128
# Between these percentiles of the structures' values lies the scale of CT.
CT_PERCENTILES = (0.5, 99.5)
LEAST_CT_RANGE_HU = 1.0


@dataclass(frozen=True)
class SliceGrid:
    """How one volume's slices lie on the network's window, or on their own whole size.

    Args:
        slicing_axis: 0, 1 or 2 for i, j, k.
        num_slices: Along that axis.
        native_shape: Rows and columns of a slice of the volume, after turning.
        resampled_shape: The same slice at the network's pixel size.
        window_shape: What the network sees.
        corner: Row and column of the window's corner in the resampled slice; negative where the
            window is larger.
        turn: How a stored slice is turned first.
        resampled_slices: How many slices the network sees in 3-D; None in 2-D, as many as there
            are.
    """

    slicing_axis: int
    num_slices: int
    native_shape: tuple[int, int]
    resampled_shape: tuple[int, int]
    window_shape: tuple[int, int]
    corner: tuple[int, int]
    turn: SliceTurn = AS_STORED
    resampled_slices: int | None = None

    @property
    def sources(self) -> npt.NDArray[np.intp]:
        """Which of the volume's slices lies nearest to each slice of the network."""
        count = self.resampled_slices or self.num_slices
        middles = (np.arange(count) + 0.5) * self.num_slices / count
        return np.minimum(middles.astype(np.intp), self.num_slices - 1)

    def slices_of(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a (k, j, i) array as turned (slices, rows, columns), without a copy."""
        return self.turn.turn(np.moveaxis(array, array_axis(self.slicing_axis), 0))

    def volume_of(self, slices: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return turned (slices, rows, columns) as a contiguous (k, j, i) array."""
        stored = self.turn.turn_back(slices)
        return np.ascontiguousarray(np.moveaxis(stored, 0, array_axis(self.slicing_axis)))

    def images_to_network(self, slices: FloatArray) -> FloatArray:
        """Resample images linearly (smoothed where they shrink), then crop or pad with 0.

        Args:
            slices: Shape (slices, rows, columns), turned.
        """
        tensor = torch.from_numpy(np.ascontiguousarray(slices, dtype=np.float32))[:, None]
        if self.resampled_shape != self.native_shape:
            tensor = functional.interpolate(
                tensor, size=self.resampled_shape, mode="bilinear", antialias=True
            )
        if self._keeps_slices:
            return self._window(tensor)[:, 0].numpy()
        along = tensor.flatten(1)[None, None]  # (1, 1, slices, pixels)
        size = (len(self.sources), along.shape[3])
        along = functional.interpolate(along, size=size, mode="bilinear", antialias=True)
        return self._window(along[0, 0].reshape(-1, *tensor.shape[1:]))[:, 0].numpy()

    @property
    def _keeps_slices(self) -> bool:
        return self.resampled_slices in (None, self.num_slices)

    def labels_to_network(self, slices: npt.NDArray[np.integer]) -> LabelArray:
        """Take the nearest label for every pixel of the network, 0 outside the slice."""
        if not self._keeps_slices:
            slices = slices[self.sources]
        tensor = torch.from_numpy(np.ascontiguousarray(slices, dtype=np.uint8))[:, None]
        if self.resampled_shape != self.native_shape:
            tensor = functional.interpolate(tensor, size=self.resampled_shape, mode="nearest-exact")
        return self._window(tensor)[:, 0].numpy()

    def at_native_slices(
        self, parts: Iterable[tuple[slice, FloatArray]]
    ) -> Iterator[tuple[slice, FloatArray]]:
        """Yield probabilities at the volume's slices, linear between those of the network.

        Args:
            parts: Some slices of the network after the others, in order, and their probabilities,
                shape (slices, classes, rows, columns).
        """
        if self._keeps_slices:
            yield from parts
            return
        count = len(self.sources)
        middles = np.arange(self.num_slices) + 0.5
        places = np.clip(middles * count / self.num_slices - 0.5, 0, count - 1)
        below = np.floor(places).astype(np.intp)
        above = np.minimum(below + 1, count - 1)
        share = (places - below).astype(np.float32)[:, None, None, None]
        first, done = 0, 0
        held: FloatArray | None = None
        for part, said in parts:
            held = said if held is None else np.concatenate((held, said))
            end = int(np.searchsorted(above, part.stop))
            for start in range(done, end, SLICES_AT_ONCE):
                now = slice(start, min(start + SLICES_AT_ONCE, end))
                lower, upper = held[below[now] - first], held[above[now] - first]
                yield now, (1 - share[now]) * lower + share[now] * upper
            done = end
            still_needed = int(below[done]) if done < self.num_slices else count
            held, first = held[still_needed - first :], still_needed

    def probabilities_to_native(self, probabilities: FloatArray) -> FloatArray:
        """Put class probabilities back on the volume's own pixels.

        Args:
            probabilities: Shape (slices, classes, window rows, window columns).

        Returns:
            Shape (slices, classes, rows, columns) of the volume; background outside the window.
        """
        tensor = torch.from_numpy(probabilities)
        rows, columns = self.resampled_shape
        canvas = torch.zeros((*tensor.shape[:2], rows, columns))
        canvas[:, 0] = 1
        inside, source = self._overlap()
        canvas[:, :, inside[0], inside[1]] = tensor[:, :, source[0], source[1]]
        if self.resampled_shape != self.native_shape:
            canvas = functional.interpolate(canvas, size=self.native_shape, mode="bilinear")
        return canvas.numpy()

    def _window(self, tensor: torch.Tensor) -> torch.Tensor:
        window = torch.zeros((*tensor.shape[:2], *self.window_shape), dtype=tensor.dtype)
        inside, target = self._overlap()
        window[:, :, target[0], target[1]] = tensor[:, :, inside[0], inside[1]]
        return window

    def _overlap(self) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Where slice and window overlap: in the resampled slice, and in the window."""
        inside, target = [], []
        for size, window, corner in zip(
            self.resampled_shape, self.window_shape, self.corner, strict=True
        ):
            first, last = max(0, corner), min(size, corner + window)
            inside.append(slice(first, last))
            target.append(slice(first - corner, last - corner))
        return (inside[0], inside[1]), (target[0], target[1])


@dataclass(frozen=True)
class Annotated:
    """Where an annotated case has structures, and where the window will lie on it.

    Args:
        geometry: The case's grid.
        foreground: Where any structure is, shape (k, j, i).
        window_center: Row and column from `window_center`, in turned slices; None for the middle.
        values_hu: The intensities of its structures in each channel, None in one that is not CT;
            empty if nobody asks.
    """

    geometry: Geometry
    foreground: BoolArray
    window_center: tuple[float, float] | None = None
    values_hu: tuple[FloatArray | None, ...] = ()


def resolve_preprocess(
    config: PreprocessConfig, geometries: Sequence[Geometry], annotated: Sequence[Annotated]
) -> PreprocessConfig:
    """Fill in what the settings leave open: the way slices lie, pixel size, window, scale of CT.

    Slices lie as those of most cases. The pixel size is the median over the cases; the window is
    the smallest that holds the median slice, at most `max_window_size`, but never so small that it
    cuts an annotated structure: for that it grows, and beyond 512 pixels the pixels grow. With
    whole slices there is no window; the training patch is the smallest that holds the median slice,
    at most `max_window_size`.
    """
    config = settle_directions(config, geometries)
    config = replace(config, ct_limits_hu=_ct_limits(config, annotated))
    spacing = config.in_plane_spacing_mm or typical_pixel_mm(config, geometries)
    if config.window_size is not None:
        return replace(config, in_plane_spacing_mm=spacing)
    extents = np.array([in_plane_extent_mm(g, config) for g in geometries])
    window = [
        min(config.max_window_size, _round_up(float(extent) / spacing))
        for extent in np.median(extents, axis=0)
    ]
    if config.dimension == 3:
        return _resolve_blocks(replace(config, in_plane_spacing_mm=spacing), geometries)
    if config.whole_slices:
        patch = config.patch_size or (window[0], window[1])
        return replace(config, in_plane_spacing_mm=spacing, patch_size=patch)
    needed_mm = _needed_extent_mm(config, annotated)
    for axis in range(2):
        needed = needed_mm[axis] / spacing + 2 * MARGIN_PIXELS if needed_mm[axis] else 0
        window[axis] = max(window[axis], _round_up(needed))
    if max(window) > LARGEST_WINDOW:
        spacing *= max(window) / LARGEST_WINDOW
        window = [min(LARGEST_WINDOW, side) for side in window]
    return replace(config, in_plane_spacing_mm=spacing, window_size=(window[0], window[1]))


def _ct_limits(
    config: PreprocessConfig, annotated: Sequence[Annotated]
) -> tuple[tuple[float, float] | None, ...]:
    """Return for each channel between which values the structures lie, if most cases are CT.

    Source: Isensee et al., Nature Methods 2021, supplement: clipping to the percentiles .5 and 99.5
        of the foreground of all cases.
    """
    if config.ct_limits_hu or not config.scale_ct:
        return config.ct_limits_hu
    channels = zip(*(case.values_hu for case in annotated), strict=True)
    limits = tuple(_limits_of_channel(values) for values in channels)
    return limits if any(limits) else ()


def _limits_of_channel(values_hu: Sequence[FloatArray | None]) -> tuple[float, float] | None:
    known = [values for values in values_hu if values is not None]
    if not mostly_ct([values is not None for values in values_hu]):
        return None
    together = np.concatenate(known)
    if not together.size:
        return None
    low, high = (float(value) for value in np.percentile(together, CT_PERCENTILES))
    return low, max(high, low + LEAST_CT_RANGE_HU)


def _resolve_blocks(config: PreprocessConfig, geometries: Sequence[Geometry]) -> PreprocessConfig:
    """Fill in the distance of slices and the block of a network in 3-D."""
    distances = [g.spacing_mm[config.slicing_axis_of(g)] for g in geometries]
    config = replace(
        config, slice_spacing_mm=config.slice_spacing_mm or float(np.median(distances))
    )
    spacing = config.block_spacing_mm
    if spacing is None:
        raise ValueError("the distance of slices must be settled before the block")
    block = config.patch_size
    if block is None:
        shapes = [
            (n * distance / spacing[0], *(mm / spacing[1] for mm in in_plane_extent_mm(g, config)))
            for g, distance in zip(geometries, distances, strict=True)
            for n in [g.size[config.slicing_axis_of(g)]]
        ]
        median = [max(1, round(n)) for n in np.median(shapes, axis=0)]
        block = largest_block(median, spacing)
    return replace(config, patch_size=fitting_block(block, spacing, NUM_LEVELS))


def slice_grid(volume: Volume, config: PreprocessConfig, num_channels: int = 1) -> SliceGrid:
    """Return where a volume's slices lie on the network's window.

    Args:
        volume: The image; its voxels are looked at only for the foreground-aware crop.
        config: With pixel size and window filled in (`resolve_preprocess`).
        num_channels: Images of the patient that lie on it, for the memory that they need.

    Raises:
        VolumeError: The slices would need more memory than is free.
    """
    geometry = volume.geometry
    axis = config.slicing_axis_of(geometry)
    is_placed = config.sees_whole_slices or config.window_size is not None
    if config.in_plane_spacing_mm is None or not is_placed:
        raise ValueError("the settings must be resolved first, got no pixel size or no window")
    turn = config.slice_turn_of(geometry)
    native = _in_plane(geometry.array_shape, axis, turn)
    rows, columns = (
        max(1, round(extent / config.in_plane_spacing_mm))
        for extent in in_plane_extent_mm(geometry, config)
    )
    window = config.window_size or (rows, columns)
    num_slices = geometry.size[axis]
    if config.slice_spacing_mm is not None:
        extent_mm = num_slices * geometry.spacing_mm[axis]
        num_slices = max(1, round(extent_mm / config.slice_spacing_mm))
    most_slices = num_channels * max(num_slices, geometry.size[axis])
    _check_memory(most_slices, (rows, columns), window, config.in_plane_spacing_mm)
    grid = SliceGrid(
        slicing_axis=axis,
        num_slices=geometry.size[axis],
        native_shape=(int(native[0]), int(native[1])),
        resampled_shape=(rows, columns),
        window_shape=window,
        corner=(0, 0),
        turn=turn,
        resampled_slices=num_slices if config.dimension == 3 else None,
    )
    if config.window_size is None:
        return grid
    middle = window_center(volume, config)
    center = (middle[0] * rows / native[0], middle[1] * columns / native[1])
    corner = tuple(round(c - w / 2) for c, w in zip(center, window, strict=True))
    return replace(grid, corner=(corner[0], corner[1]))


def _check_memory(
    num_slices: int, resampled: tuple[int, int], window: tuple[int, int], spacing_mm: float
) -> None:
    """Refuse slices that memory cannot hold; settings and models may come from others."""
    pixels = max(math.prod(resampled), math.prod(window))
    # as they are and as the network sees them, in float32
    needed, free = 2 * 4 * num_slices * pixels, free_memory_bytes()
    if free is not None and needed > free:
        raise VolumeError(
            Text(
                "{count} slices of {height} x {width} pixels of "
                "{spacing:g} mm, on a window of {height2} x {width2}, need "
                "{needed:.1f} GB of memory; {free:.1f} GB are free.",
                count=num_slices,
                height=resampled[0],
                width=resampled[1],
                spacing=spacing_mm,
                height2=window[0],
                width2=window[1],
                needed=needed / 1000000000.0,
                free=free / 1000000000.0,
            ),
            Text(
                "Close other programs, or check the settings preprocess.in_plane_spacing_mm "
                "and preprocess.window_size of the project or the model."
            ),
        )


def window_center(volume: Volume, config: PreprocessConfig) -> tuple[float, float]:
    """Return the row and column of the window's middle, in pixels from the turned slice's edge."""
    axis, turn = config.slicing_axis_of(volume.geometry), config.slice_turn_of(volume.geometry)
    if config.crop is Crop.FOREGROUND:
        array = scanned_values(volume).array if config.measured_values else volume.array
        return _body_center(turn.turn(np.moveaxis(array, array_axis(axis), 0)))
    rows, columns = _in_plane(volume.geometry.array_shape, axis, turn)
    return rows / 2, columns / 2


def network_slices(
    volume: Volume, grid: SliceGrid, config: PreprocessConfig, *, channel: int = 0
) -> FloatArray:
    """Return a volume's slices as the network sees them: evened out, scaled, resampled, cropped.

    CT is never evened out: it has no coil shading, and its values are absolute. With limits in
    Hounsfield units these become 0 and 1 in every volume, and what lies outside is clipped.

    Other intensities are scaled so that the low percentile becomes 0 and the high one 1; they are
    not clipped. With `measured_values`, padding and metal set no scale.

    Raises:
        VolumeError: The image is constant between the percentiles, or between the limits.

    Source: Chaitanya et al., MedIA 2023, section 4.2; for CT Isensee et al., Nature Methods 2021.
    """
    limits_hu = config.ct_limits_of(channel)
    if limits_hu is not None:
        scaled = _scaled_ct(volume.array, limits_hu)
    else:
        scaled = _scaled(volume, config)
    return grid.images_to_network(grid.slices_of(scaled).astype(np.float32, copy=False))


def _scaled_ct(array: npt.NDArray[Any], limits_hu: tuple[float, float]) -> FloatArray:
    low, high = limits_hu
    scaled = (np.clip(array.astype(np.float32), low, high) - low) / (high - low)
    if scaled.min() == scaled.max():
        raise VolumeError(
            Text(
                "The image does not show anything between {low:g} and {high:g} HU, the values "
                "of the structures that the network has learned.",
                low=low,
                high=high,
            ),
            Text("Check that this is a CT volume, in Hounsfield units."),
        )
    return scaled


def _scaled(volume: Volume, config: PreprocessConfig) -> FloatArray:
    array, counts = volume.array.astype(np.float32), None
    if config.measured_values:
        array, counts = scanned_values(volume)
    if config.bias_correction and not looks_like_ct(volume):
        array = _correct_bias(array, volume.geometry, with_body_mask=config.body_mask)
    fractions = (100 * config.low_percentile, 100 * config.high_percentile)
    setting_scale = array if counts is None or not counts.any() else array[counts]
    low, high = (float(value) for value in np.percentile(setting_scale, fractions))
    if not high > low:
        low, high = float(array.min()), float(array.max())
    if not high > low:
        raise VolumeError(
            Text("The image is constant: every voxel is {value:g}.", value=low),
            Text("Check that this is the right volume."),
        )
    return (array - low) / (high - low)


def network_channels(
    volumes: Sequence[Volume], grid: SliceGrid, config: PreprocessConfig
) -> FloatArray:
    """Return the images of one patient as the network sees them, each scaled by itself.

    Args:
        volumes: The images, all on one grid.
        grid: How their slices lie on the network's window.
        config: With pixel size and window filled in.

    Returns:
        Shape (slices, channels, rows, columns).

    Raises:
        VolumeError: An image is constant between the percentiles.
    """
    channels = [
        network_slices(volume, grid, config, channel=number)
        for number, volume in enumerate(volumes)
    ]
    return np.stack(channels, axis=1)


def in_plane_spacing(geometry: Geometry, config: PreprocessConfig) -> tuple[float, float]:
    """Return the distance of rows and of columns in mm, after turning."""
    axis, turn = config.slicing_axis_of(geometry), config.slice_turn_of(geometry)
    return _in_plane(geometry.spacing_mm[::-1], axis, turn)


def in_plane_extent_mm(geometry: Geometry, config: PreprocessConfig) -> tuple[float, float]:
    """Return the height and width of a slice in mm, after turning."""
    axis, turn = config.slicing_axis_of(geometry), config.slice_turn_of(geometry)
    return _in_plane(geometry.extent_mm[::-1], axis, turn)


def _in_plane(kji: Sequence[float], axis: int, turn: SliceTurn) -> tuple[float, float]:
    rows, columns = [value for n, value in enumerate(kji) if n != array_axis(axis)]
    return (columns, rows) if turn.exchanged else (rows, columns)


def _round_up(pixels: float) -> int:
    # a tenth of a pixel is rounding, not content
    return max(SIZE_MULTIPLE, SIZE_MULTIPLE * math.ceil((pixels - 0.1) / SIZE_MULTIPLE))


def _needed_extent_mm(
    config: PreprocessConfig, annotated: Sequence[Annotated]
) -> tuple[float, float]:
    """Return how high and wide the window must be to hold every annotated structure."""
    needed = [0.0, 0.0]
    for case in annotated:
        axis = config.slicing_axis_of(case.geometry)
        spacing = in_plane_spacing(case.geometry, config)
        turn = config.slice_turn_of(case.geometry)
        flat = turn.turn(np.any(case.foreground, axis=array_axis(axis), keepdims=False))
        for n in range(2):
            places = np.flatnonzero(np.any(flat, axis=1 - n))
            if len(places):
                middle = flat.shape[n] / 2 if case.window_center is None else case.window_center[n]
                reach = max(middle - places[0], places[-1] + 1 - middle)
                needed[n] = max(needed[n], 2 * reach * spacing[n])
    return needed[0], needed[1]


def _body_center(slices: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the middle (row, column) of the box that holds what is brighter than air."""
    image = sitk.GetImageFromArray(slices.astype(np.float32))
    body = sitk.GetArrayFromImage(sitk.OtsuThreshold(image, 0, 1)).max(axis=0) > 0
    center = []
    for n in range(2):
        places = np.flatnonzero(np.any(body, axis=1 - n))
        if len(places):
            center.append(float(places[0] + places[-1] + 1) / 2)
        else:
            center.append(body.shape[n] / 2)
    return center[0], center[1]


def _correct_bias(array: FloatArray, geometry: Geometry, *, with_body_mask: bool) -> FloatArray:
    """Divide by the smooth shading that N4 finds (4 levels of 50 iterations, threshold 1e-3).

    Args:
        array: Intensities, shape (k, j, i).
        geometry: Their grid.
        with_body_mask: Whether N4 looks only at what Otsu's threshold tells from air.
    """
    image = sitk.GetImageFromArray(array - min(0.0, float(array.min())))
    image.SetSpacing(geometry.spacing_mm)
    factor = max(1, math.ceil(max(geometry.size) / BIAS_CORRECTION_LONGEST_SIDE))
    factors = [min(factor, max(1, n // 4)) for n in geometry.size]
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations([50] * 4)
    n4.SetConvergenceThreshold(1e-3)
    coarse = sitk.Shrink(image, factors)
    if with_body_mask:
        n4.Execute(coarse, sitk.OtsuThreshold(coarse, 0, 1))
    else:
        n4.Execute(coarse)
    field = np.asarray(sitk.GetArrayFromImage(sitk.Exp(n4.GetLogBiasFieldAsImage(image))))
    evened: FloatArray = (array / np.maximum(field, 1e-6)).astype(np.float32)
    return evened
