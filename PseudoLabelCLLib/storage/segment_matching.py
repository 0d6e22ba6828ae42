"""Which segment of a file is which label of the project: by identity, code or name, never order."""

from collections import Counter

from PseudoLabelCLLib.domain.counted import belongs, counted
from PseudoLabelCLLib.domain.errors import AnnotationError
from PseudoLabelCLLib.domain.findings import Note
from PseudoLabelCLLib.domain.question import Asking, QuestionKind
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema
from PseudoLabelCLLib.storage.slicer_segments import Segment, type_code


def match_segments(
    file_name: str,
    segments: tuple[Segment, ...],
    occupied: tuple[Segment, ...],
    schema: LabelSchema,
    asking: Asking | None = None,
) -> tuple[dict[int, Segment], list[str]]:
    """Return the segment of each label value, and sentences about what is remarkable.

    A segment fits a label by its identity in Slicer, else by its terminology code, else by its
    name. Slicer numbers identities anew in each file, so an identity does not count where name or
    code are those of another label.

    Args:
        file_name: For messages.
        segments: All segments of the file.
        occupied: Those with voxels; an empty segment that fits no label is left out.
        schema: The labels of the project.
        asking: Asks the person where identity alone would decide; None for a file of the project,
            which keeps the identities of its labels.

    Raises:
        AnnotationError: A segment fits no label, or two fit the same.
        QuestionError: A person has to say whether a segment is that label.
    """
    matched: dict[int, Segment] = {}
    unknown: list[Segment] = []
    notices: list[str] = []
    for segment in segments:
        label = _label_for(segment, segments, schema)
        if label is None:
            unknown.append(segment)
        elif label.value in matched:
            raise AnnotationError(
                f"In '{file_name}', the segments '{matched[label.value].name}' and "
                f"'{segment.name}' both fit the label '{label.name}'.",
                "Join them in Slicer, or rename one.",
            )
        else:
            matched[label.value] = segment
            if asking is not None and segment in occupied:
                _ask_about_identity(file_name, segment, label, asking)
            if not _same_name(label.name, segment.name):
                notices.append(
                    Note.BY_TERM.say(file=file_name, segment=segment.name, label=label.name)
                )
    foreign = [segment.name for segment in unknown if segment in occupied]
    if foreign:
        raise AnnotationError(
            f"'{file_name}' holds segments that are no label of the project: "
            f"{', '.join(foreign)}. The labels are: {', '.join(schema.names)}.",
            "Rename the segment as its label is called, delete it, or add the label.",
        )
    notices.extend(
        Note.EMPTY_SEGMENT.say(file=file_name, segment=segment.name) for segment in unknown
    )
    return matched, notices


def _ask_about_identity(
    file_name: str, segment: Segment, label: LabelClass, asking: Asking
) -> None:
    """Ask where neither name nor term says that a segment is a label."""
    code = type_code(segment.terminology)
    if _same_name(label.name, segment.name) or (code and code == type_code(label.terminology)):
        return
    asking.ask(
        QuestionKind.BY_IDENTIFIER,
        f"In '{file_name}', the segment '{segment.name}' has the identifier of the label "
        f"'{label.name}' ({segment.segment_id}), but neither its name nor its term.",
    )


def _label_for(
    segment: Segment, segments: tuple[Segment, ...], schema: LabelSchema
) -> LabelClass | None:
    by_name = next((label for label in schema if _same_name(label.name, segment.name)), None)
    by_id = next((label for label in schema if label.segment_id == segment.segment_id), None)
    by_code = _by_code(segment, segments, schema)
    if by_id is not None and (by_name is by_id or (by_name is None and by_code in (None, by_id))):
        return by_id
    return by_code or by_name


def _by_code(
    segment: Segment, segments: tuple[Segment, ...], schema: LabelSchema
) -> LabelClass | None:
    """Match by code where it tells segments apart: new segments in Slicer are all "Tissue"."""
    code = type_code(segment.terminology)
    codes = Counter(type_code(other.terminology) for other in segments)
    labels = [label for label in schema if type_code(label.terminology) == code]
    return labels[0] if code and codes[code] == 1 and len(labels) == 1 else None


def _same_name(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


def overlap_notice(file_name: str, under: str, over: str, count: int, asking: Asking | None) -> str:
    """Tell which of two labels the voxels of both count as, once a person agreed.

    Raises:
        QuestionError: Nobody was asked yet.
    """
    found = f"In '{file_name}', '{under}' and '{over}' overlap in {counted(count, 'voxel')}"
    if asking is not None:
        asking.ask(QuestionKind.OVERLAP, f"{found}.", count)
    verb = "counts" if count == 1 else "count"
    return Note.OVERLAPPED.say(found=found, verb=verb, label=over)


def unclaimed_notice(file_name: str, count: int, asking: Asking | None) -> str:
    """Tell of voxels that belong to no segment, once a person agreed that they are background.

    Raises:
        QuestionError: Nobody was asked yet.
    """
    found = f"In '{file_name}', {counted(count, 'voxel')} {belongs(count)} to no segment"
    if asking is not None:
        asking.ask(QuestionKind.NO_SEGMENT, f"{found}.", count)
    return Note.UNCLAIMED.say(found=found, verb="was" if count == 1 else "were")
