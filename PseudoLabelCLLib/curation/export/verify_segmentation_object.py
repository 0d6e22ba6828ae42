"""Whether a DICOM segmentation object is what it should be: by itself, to its series, by voxel."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.domain.segmentation import BACKGROUND_VALUE, Terminology
from PseudoLabelCLLib.domain.text import NO_TEXT, Text
from PseudoLabelCLLib.storage.dicom.header import items_of, text_of, uid_of, whole_number_of
from PseudoLabelCLLib.storage.dicom.seg_reader import (
    SegmentationObject,
    StoredFrame,
    StoredSegment,
    read_segmentation_object,
)
from PseudoLabelCLLib.storage.dicom.segment import AlgorithmType, ObjectSegment
from PseudoLabelCLLib.storage.dicom.slice_stack import (
    ORIENTATION_TOLERANCE,
    SPACING_TOLERANCE_FRACTION,
    slices_at,
)
from PseudoLabelCLLib.storage.dicom.source_series import REQUIRED_PATIENT_STUDY, SourceSeries

# "Source image for image processing operation"
_SOURCE_IMAGE = "121322"
_MOST_NAMED = 3


@dataclass(frozen=True)
class ExpectedContent:
    """What was to be written.

    Args:
        masks: Numbers of segments, shape (k, j, i), or one mask for each, (segments, k, j, i).
        segments: In the order of their numbers.
    """

    masks: npt.NDArray[Any]
    segments: Sequence[ObjectSegment]

    def mask(self, number: int, k: int) -> npt.NDArray[np.bool_]:
        """Return one slice of one segment, shape (j, i)."""
        if self.masks.ndim == 3:
            return np.asarray(self.masks[k] == number)
        return np.asarray(self.masks[number - 1, k], dtype=np.bool_)


@dataclass(frozen=True)
class FoundSegment:
    """One segment of a verified object.

    Args:
        number: From 1.
        label: What a person calls it.
        terminology: What it is.
        algorithm_type: How it came to be.
        num_voxels: How many it has.
    """

    number: int
    label: str
    terminology: Terminology | None
    algorithm_type: str
    num_voxels: int


@dataclass(frozen=True)
class Check:
    """One check; `problem` is empty if it passed."""

    name: str
    problem: Text = NO_TEXT


@dataclass(frozen=True)
class Verification:
    """What verifying an object found.

    Args:
        checks: All checks, passed or not.
        segments: What the object holds.
        num_frames: Its stored slices.
        sop_instance_uid: Of the object.
    """

    checks: tuple[Check, ...]
    segments: tuple[FoundSegment, ...]
    num_frames: int
    sop_instance_uid: str

    @property
    def problems(self) -> tuple[Text, ...]:
        """What did not pass, each a sentence."""
        return tuple(check.problem for check in self.checks if check.problem)


def verify_segmentation_object(
    path: Path, source: SourceSeries, expected: ExpectedContent | None = None
) -> Verification:
    """Read an object with a reader of its own and compare it with its series and content.

    Args:
        path: The object.
        source: The series it belongs to.
        expected: What was to be written; without it, the object is checked by itself and against
            the series.

    Raises:
        AnnotationError: It is not a readable segmentation object.
        StorageError: The disk refuses.
    """
    found = read_segmentation_object(path, label_maps=expected is None)
    return compare_with_series(found, source, expected)


def compare_with_series(
    found: SegmentationObject, source: SourceSeries, expected: ExpectedContent | None = None
) -> Verification:
    """Compare an object that was read already; see `verify_segmentation_object`."""
    slices = _slices_of(found, source)
    checks = [Check(name, check(found, source)) for name, check in _CHECKS.items()]
    checks.append(Check("every frame lies on a slice of the series", _misplaced(found, slices)))
    wrong = _wrong_sources(found, source, slices, is_own=expected is not None)
    checks.append(Check("every frame names its slice", wrong))
    checks.append(Check("no slice of a segment comes twice", _repeated(found, slices)))
    if expected is not None:
        unreferenced = _unreferenced_problem(found, source)
        checks.append(Check("refers to every slice of the series", unreferenced))
        segments = _different_segments(found, expected)
        checks.append(Check("names, codes and origin are as written", segments))
        voxels = NO_TEXT if segments else _different_voxels(found, slices, expected)
        checks.append(Check("voxels are as written", voxels))
    return Verification(
        tuple(checks), _counted(found), len(found.frames), uid_of(found.header, "SOPInstanceUID")
    )


def _slices_of(found: SegmentationObject, source: SourceSeries) -> list[int | None]:
    """Return on which slice of the series each frame lies, or None if on no slice."""
    positions = [f.position_mm if len(f.position_mm) == 3 else (np.inf,) * 3 for f in found.frames]
    own = np.asarray(source.positions_mm, dtype=np.float64)
    return slices_at(np.asarray(positions, dtype=np.float64), source.geometry, own)


def _patient_problem(found: SegmentationObject, source: SourceSeries) -> Text:
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID"):
        theirs = text_of(source.headers[0], keyword)
        if text_of(found.header, keyword) != theirs:
            return Text("The object names another {attribute} than the series.", attribute=keyword)
    return NO_TEXT


def _missing_problem(found: SegmentationObject, _: SourceSeries) -> Text:
    missing = [keyword for keyword in REQUIRED_PATIENT_STUDY if keyword not in found.header]
    return (
        Text("The object lacks {attributes}.", attributes=", ".join(missing))
        if missing
        else NO_TEXT
    )


def _frame_of_reference_problem(found: SegmentationObject, source: SourceSeries) -> Text:
    own = uid_of(found.header, "FrameOfReferenceUID")
    if own == source.instances.frame_of_reference_uid:
        return NO_TEXT
    return Text("The object counts its positions in another frame of reference than the series.")


def _reference_problem(found: SegmentationObject, source: SourceSeries) -> Text:
    wanted = source.instances
    referenced = dict(found.referenced_series).get(wanted.series_uid)
    if referenced is None:
        return Text("The object does not refer to this series.")
    foreign = set(referenced) - set(wanted.instance_uids)
    if foreign:
        return Text(
            "The object refers to {count} slices that the series does not have ({all} slices).",
            count=len(foreign),
            all=len(wanted.instance_uids),
        )
    return NO_TEXT


def _unreferenced_problem(found: SegmentationObject, source: SourceSeries) -> Text:
    """Say which slices are not referred to: of an object of this program, all are."""
    referenced = set(dict(found.referenced_series).get(source.instances.series_uid, ()))
    wanted = source.instances.instance_uids
    if referenced >= set(wanted):
        return NO_TEXT
    return Text(
        "The object refers to {count} slices of the series, which has {all}.",
        count=len(referenced),
        all=len(wanted),
    )


def _grid_problem(found: SegmentationObject, source: SourceSeries) -> Text:
    geometry = source.geometry
    if (found.columns, found.rows) != geometry.size[:2]:
        return Text(
            "The object has {columns} x {rows} pixels, the series {width} x {height}.",
            columns=found.columns,
            rows=found.rows,
            width=geometry.size[0],
            height=geometry.size[1],
        )
    direction = geometry.direction_matrix[:, :2].T.ravel()
    for frame in found.frames:
        if len(frame.orientation) != 6 or len(frame.spacing_mm) != 2:
            return Text(
                "A frame of the object does not say how it is turned, or its pixel spacing."
            )
        if np.abs(np.subtract(frame.orientation, direction)).max() > ORIENTATION_TOLERANCE:
            return Text("The frames of the object are turned against the series.")
        if not np.allclose(
            frame.spacing_mm, geometry.spacing_mm[:2], rtol=SPACING_TOLERANCE_FRACTION
        ):
            return Text("The pixels of the object have another size than those of the series.")
    return NO_TEXT


def _segment_problem(found: SegmentationObject, _: SourceSeries) -> Text:
    numbers = [segment.number for segment in found.segments]
    if found.is_label_map:
        twice = len(numbers) - len(set(numbers))
        return (
            Text("{count} segments have the number of another one.", count=twice)
            if twice
            else NO_TEXT
        )
    if not numbers or numbers != list(range(1, len(numbers) + 1)):
        return Text("The segments are numbered {numbers}; expected 1, 2, 3, ...", numbers=numbers)
    problems = (_one_segment_problem(segment) for segment in found.segments)
    return next((problem for problem in problems if problem), NO_TEXT)


def _one_segment_problem(segment: StoredSegment) -> Text:
    kinds = [kind.value for kind in AlgorithmType]
    if not segment.label:
        return Text("Segment {number} has no label.", number=segment.number)
    if segment.terminology is None:
        return Text("Segment '{segment}' does not say by codes what it is.", segment=segment.label)
    if segment.algorithm_type not in kinds:
        return Text("Segment '{segment}' does not say how it came to be.", segment=segment.label)
    if segment.algorithm_type != AlgorithmType.MANUAL.value and not segment.algorithm_name:
        return Text(
            "Segment '{segment}' does not name the program that made it.",
            segment=segment.label,
        )
    return NO_TEXT


def _frame_segment_problem(found: SegmentationObject, _: SourceSeries) -> Text:
    numbers = {segment.number for segment in found.segments}
    if found.is_label_map:
        used = {int(n) for i in range(len(found.frames)) for n in np.unique(found.numbers(i))}
        unknown = sorted(used - numbers - {BACKGROUND_VALUE})
    else:
        unknown = sorted({f.segment_number for f in found.frames} - numbers)
    return (
        Text("Frames belong to segments that are not described: {numbers}.", numbers=unknown)
        if unknown
        else NO_TEXT
    )


def _dimension_problem(found: SegmentationObject, _: SourceSeries) -> Text:
    dimensions = items_of(found.header, "DimensionIndexSequence")
    values = [frame.index_values for frame in found.frames]
    if not dimensions or any(len(v) != len(dimensions) for v in values):
        return Text("The frames are not numbered along the dimensions that the object declares.")
    if len(set(values)) < len(values):
        return Text("Two frames have the same place along the dimensions of the object.")
    return NO_TEXT


def _length_problem(found: SegmentationObject, _: SourceSeries) -> Text:
    if found.is_label_map and (whole_number_of(found.header, "BitsStored") or 0) > found.bits:
        return Text("The object stores more bits for each voxel than it has.")
    if not found.is_label_map and whole_number_of(found.header, "BitsStored") != 1:
        return Text("The object does not store one bit for each voxel.")
    return NO_TEXT


_CHECKS: dict[str, Callable[[SegmentationObject, SourceSeries], Text]] = {
    "one bit for each voxel, or a label map": _length_problem,
    "patient and study are those of the series": _patient_problem,
    "patient and study attributes are all there": _missing_problem,
    "same frame of reference": _frame_of_reference_problem,
    "refers to the series and to no other slice": _reference_problem,
    "same pixel grid": _grid_problem,
    "segments are numbered from 1, named, coded, with their origin": _segment_problem,
    "every frame belongs to a segment": _frame_segment_problem,
    "frames are numbered along the dimensions": _dimension_problem,
}


def _misplaced(found: SegmentationObject, slices: Sequence[int | None]) -> Text:
    wrong = [f for f, k in zip(found.frames, slices, strict=True) if k is None]
    if not wrong:
        return NO_TEXT
    places = ", ".join(_place(frame) for frame in wrong[:_MOST_NAMED])
    return Text(
        "{count} frames match no slice of the series (at {places} mm).",
        count=len(wrong),
        places=places,
    )


def _place(frame: StoredFrame) -> str:
    return "(" + ", ".join(f"{x:.4g}" for x in frame.position_mm) + ")"


def _wrong_sources(
    found: SegmentationObject,
    source: SourceSeries,
    slices: Sequence[int | None],
    *,
    is_own: bool,
) -> Text:
    """Say how many frames name another source; other writers may name several, or none."""
    wrong = 0
    for frame, k in zip(found.frames, slices, strict=True):
        if is_own:
            named = k is not None and _names(frame, source, k)
            wrong += not (named and frame.source_purposes == (_SOURCE_IMAGE,))
        elif frame.source_uids and k is not None:
            wrong += not _names_among_others(frame, source, k)
    return (
        Text("{count} frames do not name their own slice as their source.", count=wrong)
        if wrong
        else NO_TEXT
    )


def _names(frame: StoredFrame, source: SourceSeries, k: int) -> bool:
    """Return whether a frame names a slice, or the frame of an enhanced object, as its source."""
    uids = source.instances.instance_uids
    if not source.frame_numbers:
        return frame.source_uids == (uids[k],)
    return frame.source_uids == uids and frame.source_frames == (source.frame_numbers[k],)


def _names_among_others(frame: StoredFrame, source: SourceSeries, k: int) -> bool:
    if source.frame_numbers:
        numbers = frame.source_frames
        return not numbers or source.frame_numbers[k] in numbers
    return source.instances.instance_uids[k] in frame.source_uids


def _repeated(found: SegmentationObject, slices: Sequence[int | None]) -> Text:
    places = [(f.segment_number, k) for f, k in zip(found.frames, slices, strict=True)]
    twice = len(places) - len(set(places))
    return (
        Text("{count} frames hold a slice of a segment for a second time.", count=twice)
        if twice
        else NO_TEXT
    )


def _different_segments(found: SegmentationObject, expected: ExpectedContent) -> Text:
    if len(found.segments) != len(expected.segments):
        return Text(
            "{count} segments instead of {expected}.",
            count=len(found.segments),
            expected=len(expected.segments),
        )
    for stored, wanted in zip(found.segments, expected.segments, strict=True):
        algorithm = wanted.algorithm
        pairs = {
            Text("name"): (stored.label, wanted.label),
            Text("codes"): (stored.terminology, wanted.terminology),
            Text("algorithm type"): (stored.algorithm_type, wanted.algorithm_type.value),
            Text("algorithm"): (stored.algorithm_name, algorithm.name if algorithm else ""),
            Text("version"): (stored.algorithm_version, algorithm.version if algorithm else ""),
            Text("tracking id"): (stored.tracking_id, wanted.tracking_id),
            Text("tracking UID"): (stored.tracking_uid, wanted.tracking_uid),
            Text("description"): (stored.description, wanted.description),
            Text("colour"): (stored.has_color, True),
        }
        for name, (is_, should) in pairs.items():
            if is_ != should:
                return Text(
                    "Segment '{segment}': {attribute} is {found!r} instead of {expected!r}.",
                    segment=wanted.label,
                    attribute=name,
                    found=is_,
                    expected=should,
                )
    return NO_TEXT


def _different_voxels(
    found: SegmentationObject, slices: Sequence[int | None], expected: ExpectedContent
) -> Text:
    stored = {
        (frame.segment_number, k): index
        for index, (frame, k) in enumerate(zip(found.frames, slices, strict=True))
    }
    different = 0
    num_slices = expected.masks.shape[-3]
    for number in range(1, len(expected.segments) + 1):
        for k in range(num_slices):
            wanted = expected.mask(number, k)
            index = stored.get((number, k))
            is_ = np.zeros_like(wanted) if index is None else found.mask(index)
            different += int(np.count_nonzero(is_ != wanted)) if is_.shape == wanted.shape else 1
    return (
        Text("{count} voxels differ from what was to be written.", count=different)
        if different
        else NO_TEXT
    )


def _counted(found: SegmentationObject) -> tuple[FoundSegment, ...]:
    counts = dict.fromkeys((segment.number for segment in found.segments), 0)
    for index, frame in enumerate(found.frames):
        if found.is_label_map:
            for number, count in zip(
                *np.unique(found.numbers(index), return_counts=True), strict=True
            ):
                if int(number) in counts:
                    counts[int(number)] += int(count)
        elif frame.segment_number in counts:
            counts[frame.segment_number] += int(np.count_nonzero(found.mask(index)))
    return tuple(
        FoundSegment(s.number, s.label, s.terminology, s.algorithm_type, counts[s.number])
        for s in found.segments
    )
