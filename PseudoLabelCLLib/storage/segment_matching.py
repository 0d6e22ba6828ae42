"""Which segment of a file is which label of the project: by name and term, never by order."""

from collections.abc import Iterator

from PseudoLabelCLLib.domain.counted import counted
from PseudoLabelCLLib.domain.errors import AnnotationError
from PseudoLabelCLLib.domain.segment_identity import (
    contradiction_of,
    has_identifier_of,
    label_of_segment,
    same_name,
)
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema
from PseudoLabelCLLib.storage.slicer_segments import Segment


def match_segments(
    file_name: str,
    segments: tuple[Segment, ...],
    occupied: tuple[Segment, ...],
    schema: LabelSchema,
    *,
    is_own: bool = False,
    known: tuple[Segment, ...] = (),
) -> tuple[dict[int, Segment], list[str]]:
    """Return the segment of each label value, and sentences about what is remarkable.

    Args:
        file_name: For messages.
        segments: All segments of the file.
        occupied: Those with voxels; an empty segment that fits no label is left out.
        schema: The labels of the project.
        is_own: Whether the project itself wrote the file, and its identifiers count.
        known: Segments of a file of the project that this one was made from; a segment that has
            identifier and name of one of them is the same.

    Raises:
        AnnotationError: A segment fits no label, or two fit the same.
    """
    matched: dict[int, Segment] = {}
    unknown: list[Segment] = []
    notices: list[str] = []
    kept = {(segment.segment_id, segment.name) for segment in known}
    for segment in segments:
        is_kept = is_own or (segment.segment_id, segment.name) in kept
        label = label_of_segment(segment, segments, schema, is_own=is_kept)
        if label is None:
            unknown.append(segment)
        elif label.value in matched:
            raise _both_fit(file_name, matched[label.value], segment, label)
        else:
            matched[label.value] = segment
            if not same_name(label.name, segment.name):
                notices.append(
                    f"In '{file_name}', the segment '{segment.name}' counts as '{label.name}'."
                )
    foreign = tuple(segment for segment in unknown if segment in occupied)
    if foreign:
        raise _no_label(file_name, foreign, segments, schema)
    notices.extend(
        f"In '{file_name}', the empty segment '{segment.name}' is no label; it was left out."
        for segment in unknown
    )
    return matched, notices


def overlap_notice(file_name: str, under: str, over: str, count: int) -> str:
    """Tell which of two labels the voxels of both count as."""
    return (
        f"In '{file_name}', '{under}' and '{over}' overlap in {counted(count, 'voxel')}, which "
        f"{'counts' if count == 1 else 'count'} as '{over}'."
    )


def _both_fit(file_name: str, one: Segment, other: Segment, label: LabelClass) -> AnnotationError:
    return AnnotationError(
        f"In '{file_name}', the segments '{one.name}' and '{other.name}' both fit the label "
        f"'{label.name}'.",
        "Join them in Slicer, or rename one.",
    )


def _no_label(
    file_name: str,
    foreign: tuple[Segment, ...],
    segments: tuple[Segment, ...],
    schema: LabelSchema,
) -> AnnotationError:
    names = ", ".join(segment.name or "one without a name" for segment in foreign)
    reasons = "".join(f" {reason}" for reason in _reasons(foreign, segments, schema))
    return AnnotationError(
        f"'{file_name}' holds segments that are no label of the project: {names}. "
        f"The labels are: {', '.join(schema.names)}.{reasons}",
        "Rename the segment as its label is called, delete it, or add the label.",
    )


def _reasons(
    foreign: tuple[Segment, ...], segments: tuple[Segment, ...], schema: LabelSchema
) -> Iterator[str]:
    """Tell why segments that look like a label are none."""
    by_number = []
    for segment in foreign:
        contradiction = contradiction_of(segment, segments, schema)
        if contradiction:
            yield f"'{segment.name}' {contradiction}."
        elif has_identifier_of(segment, schema):
            by_number.append(segment.segment_id)
    if by_number:
        yield (
            f"Identifiers such as '{by_number[0]}' are given anew in each file and do not tell "
            "which structure it is."
        )
