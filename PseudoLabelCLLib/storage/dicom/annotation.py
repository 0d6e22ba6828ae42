"""A DICOM segmentation object as one label volume with the values of a schema."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.domain.errors import AnnotationError
from PseudoLabelCLLib.domain.findings import Note
from PseudoLabelCLLib.domain.geometry import NUM_AXES, FloatArray, Geometry
from PseudoLabelCLLib.domain.question import Asking
from PseudoLabelCLLib.domain.segmentation import BACKGROUND_VALUE, LabelSchema, Terminology
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.storage.dicom.header import uid_of
from PseudoLabelCLLib.storage.dicom.seg_reader import (
    SegmentationObject,
    StoredFrame,
    read_segmentation_object,
)
from PseudoLabelCLLib.storage.dicom.segment import clean_text
from PseudoLabelCLLib.storage.dicom.slice_stack import (
    ORIENTATION_TOLERANCE,
    SPACING_TOLERANCE_FRACTION,
    gap_tolerance_mm,
    slices_at,
)
from PseudoLabelCLLib.storage.images.itk_files import direction_of
from PseudoLabelCLLib.storage.segments.segment_matching import (
    match_segments,
    settle_overlaps,
    unclaimed_notice,
)
from PseudoLabelCLLib.storage.segments.slicer_segments import Segment, schema_of

_DRIFT_TOLERANCE_PIXELS = 0.5
_DIRECTION_TOLERANCE = 1e-3
_SAME_PLACE_MM = 1e-3
# A stack higher than this comes from contradicting positions; no scanner makes it.
_MOST_SLICES = 20_000
_REMEDY = Text("Open it in Slicer with its volume, and save the segmentation as .seg.nrrd.")

Labels: TypeAlias = npt.NDArray[np.int16]


@dataclass(frozen=True)
class _Stack:
    """The grid that the frames of an object span, and on which slice each of them lies."""

    geometry: Geometry
    slices: tuple[int, ...]


def read_object_as_labels(
    path: Path,
    schema: LabelSchema | None,
    near: Geometry | None = None,
    asking: Asking | None = None,
) -> tuple[LabelVolume, LabelSchema, tuple[Text, ...]]:
    """Read a binary or label map segmentation object as one label volume.

    Segments are known by their codes, else by their names, never by their order. Slices between
    the stored ones count as empty: objects leave out slices that no segment touches.

    Args:
        path: The object.
        schema: The labels of the project; None takes the segments of the object.
        near: The grid of the volume, which settles how far apart slices are where the object does
            not say so.
        asking: Asks the person about what could be wrong; None for an object of the program.

    Returns:
        The labels on the grid of the object, their schema, and sentences about what a person
        should know.

    Raises:
        AnnotationError: It is another kind of object, damaged, makes no grid, or its segments do
            not fit the schema.
        StorageError: The disk refuses.
    """
    found = read_segmentation_object(path, label_maps=True)
    stack = _stack_of(path, found, near)
    segments = _segments_of(path, found, schema)
    counts = _count(found)
    used = schema or schema_of(segments)
    occupied = {s: counts[s.label_value] for s in segments if counts[s.label_value]}
    matched, notices, used = match_segments(path.name, segments, occupied, used, asking)
    numbers = {value: segment.label_value for value, segment in matched.items()}
    if found.is_label_map:
        labels = _translated(found, stack, numbers)
    else:
        values = tuple(value for value in used.values if value in numbers)
        labels, overlaps = _painted(found, stack, numbers, values)
        names = {label.value: label.name for label in used}
        named = {(names[under], names[over]): n for (under, over), n in overlaps.items()}
        later_wins, told = settle_overlaps(path.name, named, asking)
        if not later_wins:
            labels, _ = _painted(found, stack, numbers, values[::-1])
        notices.extend(told)
    notices.extend(_remarks(path, segments, counts, asking))
    return LabelVolume(labels, stack.geometry), used, tuple(notices)


def _segments_of(
    path: Path, found: SegmentationObject, schema: LabelSchema | None
) -> tuple[Segment, ...]:
    """Return the segments but the background, which label maps may describe as number 0.

    DICOM keeps of a name what fits into it; a segment that is called as a label would be called
    there gets the whole name of that label.
    """
    labels = tuple(schema or ())
    cut = Counter(clean_text(label.name) for label in labels)
    whole = {clean_text(label.name): label.name for label in labels}
    uid = uid_of(found.header, "SOPInstanceUID")
    described = [segment for segment in found.segments if segment.number != BACKGROUND_VALUE]
    numbers = [segment.number for segment in described]
    if not numbers or min(numbers) < 0 or len(set(numbers)) < len(numbers):
        raise AnnotationError(
            Text(
                "The DICOM segmentation '{path}' is damaged: its segments are numbered {numbers}.",
                path=path,
                numbers=numbers,
            ),
            Text("Write the segmentation again, or copy the file again from where it came."),
        )
    return tuple(
        Segment(
            # Numbers are no identity: another object gives them to other structures.
            segment_id=segment.tracking_uid or f"{uid}.{segment.number}",
            name=(whole[segment.label] if cut[segment.label] == 1 else segment.label)
            or f"segment {segment.number}",
            label_value=segment.number,
            layer=0,
            terminology=_chosen(segment.terminology),
        )
        for segment in described
    )


def _chosen(terminology: Terminology | None) -> Terminology | None:
    return None if terminology is None or terminology.is_slicers_default else terminology


def _count(found: SegmentationObject) -> Counter[int]:
    """Count the voxels of each segment number, background aside."""
    counts = Counter[int]()
    for index, frame in enumerate(found.frames):
        if found.is_label_map:
            values, numbers = np.unique(found.numbers(index), return_counts=True)
            counts.update(dict(zip(values.tolist(), numbers.tolist(), strict=True)))
        else:
            counts[frame.segment_number] += int(np.count_nonzero(found.mask(index)))
    del counts[BACKGROUND_VALUE]
    return counts


def _translated(found: SegmentationObject, stack: _Stack, numbers: Mapping[int, int]) -> Labels:
    """Return a label map with the values of the schema: one look into a table for each voxel."""
    table = np.zeros(1 << found.bits, np.int16)
    for value, number in numbers.items():
        if number < len(table):
            table[number] = value
    labels = np.zeros(stack.geometry.array_shape, np.int16)
    for index, k in enumerate(stack.slices):
        labels[k] = table[found.numbers(index)]
    return labels


def _painted(
    found: SegmentationObject, stack: _Stack, numbers: Mapping[int, int], values: tuple[int, ...]
) -> tuple[Labels, Counter[tuple[int, int]]]:
    """Return segments painted over each other in this order, and how many voxels overlap."""
    frames: dict[int, list[int]] = {}
    for index, frame in enumerate(found.frames):
        frames.setdefault(frame.segment_number, []).append(index)
    labels, overlaps = np.zeros(stack.geometry.array_shape, np.int16), Counter[tuple[int, int]]()
    for value in values:
        for index in frames.get(numbers[value], ()):
            mask, plane = found.mask(index), labels[stack.slices[index]]
            under, counts = np.unique(plane[mask], return_counts=True)
            for other, count in zip(under.tolist(), counts.tolist(), strict=True):
                if other not in (BACKGROUND_VALUE, value):
                    overlaps[other, value] += count
            plane[mask] = value
    return labels, overlaps


def _remarks(
    path: Path, segments: tuple[Segment, ...], counts: Mapping[int, int], asking: Asking | None
) -> Iterator[Text]:
    numbers = {segment.label_value for segment in segments}
    unclaimed = sum(count for number, count in counts.items() if number not in numbers)
    if unclaimed:
        yield unclaimed_notice(path.name, unclaimed, asking)
    empty = [segment.name for segment in segments if not counts.get(segment.label_value)]
    if empty:
        yield Note.NO_VOXEL_OF.say(file=path.name, segments=", ".join(empty))


def _stack_of(path: Path, found: SegmentationObject, near: Geometry | None) -> _Stack:
    first = found.frames[0]
    axes = _axes_of(path, found.frames)
    positions = np.array([frame.position_mm for frame in found.frames])
    if near is not None and (on_near := _on_slices_of(near, found, axes, positions)) is not None:
        return on_near
    heights = positions @ axes[:, 2]
    spacing = _slice_spacing(path, found.frames, heights, axes[:, 2], near)
    steps = (heights - heights.min()) / spacing
    slices = np.round(steps).astype(np.intp)
    lowest = positions[int(heights.argmin())]
    drift = positions - lowest - np.outer(heights - heights.min(), axes[:, 2])
    if np.linalg.norm(drift, axis=1).max() > _DRIFT_TOLERANCE_PIXELS * min(first.spacing_mm):
        raise _no_grid(path, Text("its slices are shifted sideways against each other"))
    if slices.max() >= _MOST_SLICES:
        raise _no_grid(path, Text("its slices span {count} places", count=slices.max() + 1))
    x, y, z = lowest.tolist()
    geometry = Geometry(
        size=(found.columns, found.rows, int(slices.max()) + 1),
        spacing_mm=(first.spacing_mm[0], first.spacing_mm[1], spacing),
        origin_mm=(x, y, z),
        direction=direction_of(axes),
    )
    return _Stack(geometry, tuple(slices.tolist()))


def _on_slices_of(
    near: Geometry, found: SegmentationObject, axes: FloatArray, positions: FloatArray
) -> _Stack | None:
    """Return the grid of the volume if each frame lies on one of its slices, else None."""
    spacing_mm = (*found.frames[0].spacing_mm,)
    is_alike = (
        near.size[:2] == (found.columns, found.rows)
        and np.abs(near.direction_matrix[:, :2] - axes[:, :2]).max() <= ORIENTATION_TOLERANCE
        and np.allclose(spacing_mm, near.spacing_mm[:2], rtol=SPACING_TOLERANCE_FRACTION)
    )
    if not is_alike:
        return None
    regular = near.index_to_world([(0, 0, k) for k in range(near.size[2])])
    slices = [k for k in slices_at(positions, near, regular) if k is not None]
    return _Stack(near, tuple(slices)) if len(slices) == len(positions) else None


def _axes_of(path: Path, frames: tuple[StoredFrame, ...]) -> FloatArray:
    """Return the directions of rows, columns and of what is across them, as columns."""
    for frame in frames:
        lengths = (len(frame.position_mm), len(frame.orientation), len(frame.spacing_mm))
        if lengths != (3, 6, 2) or min(frame.spacing_mm) <= 0:
            raise _no_grid(path, Text("not every frame says where it lies"))
    directions = np.array([frame.orientation for frame in frames])
    spacings = np.array([frame.spacing_mm for frame in frames])
    if np.abs(directions - directions[0]).max() > _DIRECTION_TOLERANCE:
        raise _no_grid(path, Text("its frames are turned against each other"))
    if not np.allclose(spacings, spacings[0]):
        raise _no_grid(path, Text("its frames have different pixel sizes"))
    row, column = directions[0, :3], directions[0, 3:]
    products = np.array([row @ row - 1, column @ column - 1, row @ column])
    if np.abs(products).max() > _DIRECTION_TOLERANCE:
        raise _no_grid(path, Text("its rows and columns are not perpendicular"))
    return np.stack([row, column, np.cross(row, column)], axis=1)


def _slice_spacing(
    path: Path,
    frames: tuple[StoredFrame, ...],
    heights: FloatArray,
    normal: FloatArray,
    near: Geometry | None,
) -> float:
    """Return the first plausible distance of slices of which every height is a multiple."""
    gaps = np.diff(np.unique(heights))
    gaps = gaps[gaps > _SAME_PLACE_MM]
    told = frames[0].slice_spacing_mm
    candidates = [told] if told is not None and told > _SAME_PLACE_MM else []
    candidates += [] if near is None else _spacings_along(near, normal)
    candidates += [float(gaps.min())] if gaps.size else [1.0]
    offsets = heights - heights.min()
    for spacing in candidates:
        steps = offsets / spacing
        if np.abs(steps - np.round(steps)).max() * spacing <= gap_tolerance_mm(spacing):
            return spacing
    raise _no_grid(path, Text("the distances of its slices are not regular"))


def _spacings_along(grid: Geometry, normal: FloatArray) -> list[float]:
    """Return the spacing of the grid's axis that runs along a direction, if one does."""
    along = np.abs(grid.direction_matrix.T @ normal)
    return [grid.spacing_mm[a] for a in range(NUM_AXES) if along[a] > 1 - _DIRECTION_TOLERANCE]


def _no_grid(path: Path, found: Text) -> AnnotationError:
    return AnnotationError(
        Text(
            "The DICOM segmentation '{path}' does not form a volume: {found}.",
            path=path,
            found=found,
        ),
        _REMEDY,
    )
