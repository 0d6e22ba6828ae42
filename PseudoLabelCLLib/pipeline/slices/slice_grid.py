"""How a volume's slices lie on what the network sees, and the exact way back."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
import torch
from torch.nn import functional

from PseudoLabelCLLib.curation.check.scanned_values import scanned_values
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.preprocess_config import (
    Crop,
    PreprocessConfig,
)
from PseudoLabelCLLib.domain.slice_turn import (
    AS_STORED,
    SliceTurn,
)
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import Volume, array_axis
from PseudoLabelCLLib.learning.shapes import Float
from PseudoLabelCLLib.learning.to_device import to_device
from PseudoLabelCLLib.storage.files.free_memory import free_memory_bytes

FloatArray = npt.NDArray[np.float32]
LabelArray = npt.NDArray[np.uint8]
Probabilities = Float[torch.Tensor, "slices classes rows columns"]

# Probabilities of so many slices are put back on the volume's own slices at once, of fewer where
# they would be more numbers than this (256 MiB).
SLICES_AT_ONCE = 16
NUMBERS_AT_ONCE = 2**26


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

    def slices_at_once(self, num_classes: int) -> int:
        """Return how many slices' probabilities are put back at once, 1 or more."""
        pixels = max(math.prod(self.native_shape), math.prod(self.resampled_shape))
        return max(1, min(SLICES_AT_ONCE, NUMBERS_AT_ONCE // (num_classes * pixels)))

    def at_native_slices(
        self, parts: Iterable[tuple[slice, Probabilities]]
    ) -> Iterator[tuple[slice, Probabilities]]:
        """Yield probabilities at the volume's slices, linear between those of the network.

        Args:
            parts: Some slices of the network after the others, in order, on any device.
        """
        if self._keeps_slices:
            yield from parts
            return
        count = len(self.sources)
        middles = np.arange(self.num_slices) + 0.5
        places = np.clip(middles * count / self.num_slices - 0.5, 0, count - 1)
        below = np.floor(places).astype(np.intp)
        above = np.minimum(below + 1, count - 1)
        share = torch.from_numpy((places - below).astype(np.float32))[:, None, None, None]
        first, done = 0, 0
        held: Probabilities | None = None
        for part, said in parts:
            held = said if held is None else torch.cat((held, said))
            at_once = self.slices_at_once(held.shape[1])
            end = int(np.searchsorted(above, part.stop))
            for start in range(done, end, at_once):
                now = slice(start, min(start + at_once, end))
                lower, upper = (
                    held[to_device(torch.from_numpy(one[now] - first), held.device)]
                    for one in (below, above)
                )
                weight = to_device(share[now], held.device)
                yield now, (1 - weight) * lower + weight * upper
            done = end
            still_needed = int(below[done]) if done < self.num_slices else count
            held, first = held[still_needed - first :], still_needed

    def probabilities_to_native(self, probabilities: Probabilities) -> Probabilities:
        """Put class probabilities back on the volume's own pixels, on the device they are on.

        Args:
            probabilities: On the window.

        Returns:
            On rows and columns of the volume; background outside the window.
        """
        rows, columns = self.resampled_shape
        canvas = probabilities.new_zeros((*probabilities.shape[:2], rows, columns))
        canvas[:, 0] = 1
        inside, source = self._overlap()
        canvas[:, :, inside[0], inside[1]] = probabilities[:, :, source[0], source[1]]
        if self.resampled_shape != self.native_shape:
            canvas = functional.interpolate(canvas, size=self.native_shape, mode="bilinear")
        return canvas

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


def in_plane_spacing(geometry: Geometry, config: PreprocessConfig) -> tuple[float, float]:
    """Return the distance of rows and of columns in mm, after turning."""
    axis, turn = config.slicing_axis_of(geometry), config.slice_turn_of(geometry)
    return _in_plane(geometry.spacing_mm[::-1], axis, turn)


def slice_distance(geometry: Geometry, config: PreprocessConfig) -> float:
    """Return the distance of a volume's slices in mm."""
    return geometry.spacing_mm[config.slicing_axis_of(geometry)]


def in_plane_extent_mm(geometry: Geometry, config: PreprocessConfig) -> tuple[float, float]:
    """Return the height and width of a slice in mm, after turning."""
    axis, turn = config.slicing_axis_of(geometry), config.slice_turn_of(geometry)
    return _in_plane(geometry.extent_mm[::-1], axis, turn)


def _in_plane(kji: Sequence[float], axis: int, turn: SliceTurn) -> tuple[float, float]:
    rows, columns = [value for n, value in enumerate(kji) if n != array_axis(axis)]
    return (columns, rows) if turn.exchanged else (rows, columns)


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
