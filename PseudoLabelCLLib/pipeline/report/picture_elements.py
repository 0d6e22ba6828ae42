"""What a picture of a slice is made of: its box, grey values, outlines, and their web forms."""

import base64
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Box = tuple[slice, slice]

# A slice is shown about this large; more pixels would only make the file larger.
MAX_SIDE_PIXELS = 192
_WEBP_QUALITY = 80
# Around the segmentation on every side, as a fraction of its longer side.
_MARGIN_FRACTION = 0.2
# A small structure still needs some anatomy around it: a fraction of the slice's longer side.
_MIN_SIDE_FRACTION = 0.25
# Where an outline may leave a square of 2 x 2 pixels that it has entered from a side, and which way
# comes first: round the nearer pixel, so that pixels that only touch have outlines of their own.
_WAYS_OUT = {
    "north": ("west", "south", "east"),
    "south": ("east", "north", "west"),
    "west": ("south", "east", "north"),
    "east": ("north", "west", "south"),
}
_LOW_PERCENTILE, _HIGH_PERCENTILE = 1, 99.5
_MAX_VOXELS_FOR_PERCENTILE = 1_000_000


def surroundings(filled: npt.NDArray[np.bool_], pixel_size_mm: tuple[float, float]) -> Box:
    """Return a box around the filled pixels with a margin, as square in mm as the slice allows.

    Args:
        filled: Shape (rows, columns); if nothing is filled the box is the whole slice.
        pixel_size_mm: Height and width of a pixel.
    """
    if not filled.any():
        return (slice(None), slice(None))
    size_mm = np.asarray(pixel_size_mm)
    indices = np.argwhere(filled)
    low, high = indices.min(axis=0), indices.max(axis=0) + 1
    shape = np.asarray(filled.shape)
    longest_mm = float(max((high - low) * size_mm))
    side_mm = max(
        longest_mm * (1 + 2 * _MARGIN_FRACTION), _MIN_SIDE_FRACTION * max(shape * size_mm)
    )
    side = np.minimum(np.ceil(side_mm / size_mm).astype(int), shape)
    start = np.clip((low + high - side) // 2, 0, shape - side)
    rows, columns = (slice(int(a), int(a + n)) for a, n in zip(start, side, strict=True))
    return (rows, columns)


def intensity_window(image: npt.NDArray[Any]) -> tuple[float, float]:
    """Return the intensities to show as black and white; voxels that are no number do not count."""
    step = max(1, math.ceil((image.size / _MAX_VOXELS_FOR_PERCENTILE) ** (1 / image.ndim)))
    sample = image[(slice(None, None, step),) * image.ndim].astype(np.float64)
    finite = sample[np.isfinite(sample)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(finite, [_LOW_PERCENTILE, _HIGH_PERCENTILE])
    return float(low), float(high)


def to_grey(slice_: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
    """Return the slice in 0..255, `low` and below black, `high` and above white."""
    finite = np.nan_to_num(slice_.astype(np.float64), nan=low, posinf=high, neginf=low)
    scaled = (finite - low) / ((high - low) or 1.0)
    return np.clip(scaled * 255, 0, 255).round().astype(np.uint8)


def trace_contours(mask: npt.NDArray[np.bool_]) -> list[FloatArray]:
    """Return the closed outlines of a mask.

    Args:
        mask: Shape (rows, columns).

    Returns:
        Polygons of (x, y) in pixels, shape (points, 2), the first point repeated at the end; pixel
        (row, column) covers column..column + 1 and row..row + 1. Every point lies in the middle of
        an edge between a pixel inside and one outside.
    """
    padded = np.pad(mask, 1)
    follower = _following_crossings(padded)
    width = padded.shape[1]
    numbers = np.flatnonzero(follower >= 0)
    row, column = np.divmod(numbers % padded.size, width)
    # A padded pixel's centre (p) is at p - 1 + 0.5 in pixels of the mask.
    is_below = numbers >= padded.size
    points = np.stack([column - 0.5 * is_below, row - 0.5 * ~is_below], axis=1)
    place = {number: position for position, number in enumerate(numbers.tolist())}
    after = [place[number] for number in follower[numbers].tolist()]
    outlines = []
    is_taken = [False] * len(after)
    for first in range(len(after)):
        if is_taken[first]:
            continue
        ring, here = [first], after[first]
        while here != first:
            is_taken[here] = True
            ring.append(here)
            here = after[here]
        outlines.append(points[[*ring, first]])
    return outlines


def _following_crossings(filled: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Return which crossing of an outline comes after which, in marching squares of 2 x 2 pixels.

    An outline crosses the way from a pixel's centre to its neighbour's where one is inside and the
    other outside. Inside is to the west of an outline that goes down. Pixels that only touch at a
    corner have outlines of their own.

    Args:
        filled: Shape (rows, columns); nothing is filled at the border.

    Returns:
        For every crossing the number of the next, else -1; shape (2 * rows * columns,). A crossing
        to the right of pixel (row, column) has the number row * columns + column; one below it the
        same plus rows * columns.
    """
    number = np.arange(filled.size).reshape(filled.shape)
    crossing = {
        "north": number[:-1, :-1],
        "south": number[1:, :-1],
        "west": number[:-1, :-1] + filled.size,
        "east": number[:-1, 1:] + filled.size,
    }
    north_west, north_east = filled[:-1, :-1], filled[:-1, 1:]
    south_west, south_east = filled[1:, :-1], filled[1:, 1:]
    is_entered = {
        "north": north_west & ~north_east,
        "south": ~south_west & south_east,
        "west": ~north_west & south_west,
        "east": north_east & ~south_east,
    }
    is_left = {
        "north": ~north_west & north_east,
        "south": south_west & ~south_east,
        "west": north_west & ~south_west,
        "east": ~north_east & south_east,
    }
    follower = np.full(2 * filled.size, -1)
    for side, ways_out in _WAYS_OUT.items():
        goal = np.select([is_left[way] for way in ways_out], [crossing[way] for way in ways_out])
        follower[crossing[side][is_entered[side]]] = goal[is_entered[side]]
    return follower


def path_data(outlines: Sequence[FloatArray]) -> str:
    """Return SVG path data in half pixels, which are whole numbers; straight runs are one step.

    Args:
        outlines: Closed polygons as `trace_contours` returns them; a speckled mask has thousands.
    """
    if not outlines:
        return ""
    points = np.rint(np.concatenate(outlines) * 2).astype(int)
    owner = np.repeat(np.arange(len(outlines)), [len(outline) for outline in outlines])
    steps = np.diff(points, axis=0)
    counts = np.any(steps != 0, axis=1) & (owner[:-1] == owner[1:])
    steps, owner_of_step = steps[counts], owner[:-1][counts]
    turns = np.any(np.diff(np.sign(steps), axis=0) != 0, axis=1) | (np.diff(owner_of_step) != 0)
    begins = np.flatnonzero(np.concatenate([[True], turns]))
    runs = np.add.reduceat(steps, begins, axis=0)
    owner_of_run = owner_of_step[begins]
    is_last = np.append(np.diff(owner_of_run) != 0, True)
    origins = points[np.searchsorted(owner, np.arange(len(outlines)))].tolist()
    texts = []
    is_first = True
    for (x, y), place, ends in zip(
        runs.tolist(), owner_of_run.tolist(), is_last.tolist(), strict=True
    ):
        if is_first:
            texts.append(f"M{origins[place][0]} {origins[place][1]}")
        texts.append("z" if ends else f"l{x} {y}")  # the last step closes the outline
        is_first = ends
    return "".join(texts)


def grey_data_uri(grey: npt.NDArray[np.uint8]) -> str:
    """Return a grey picture as a data URI, made smaller if a side is above `MAX_SIDE_PIXELS`."""
    from PIL import Image, features  # noqa: PLC0415 - only pictures need it

    picture = Image.fromarray(grey)
    largest = max(picture.size)
    if largest > MAX_SIDE_PIXELS:
        width, height = (max(1, round(n * MAX_SIDE_PIXELS / largest)) for n in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BOX)
    kind = "webp" if features.check("webp") else "png"
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, quality=_WEBP_QUALITY)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
