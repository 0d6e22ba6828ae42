"""Which segment of a file is which label of the project: by name and term, never by order."""

import re
from collections.abc import Iterable, Mapping, Sequence

from PseudoLabelCLLib.domain.errors import AnnotationError
from PseudoLabelCLLib.domain.findings import Note
from PseudoLabelCLLib.domain.question import Asking
from PseudoLabelCLLib.domain.question_kinds import LEAVE_OUT, QUESTIONS, Choice, QuestionKind
from PseudoLabelCLLib.domain.segment_identity import (
    contradiction_of,
    label_by_identifier,
    label_by_name,
    label_by_term,
    label_of_segment,
    same_name,
)
from PseudoLabelCLLib.domain.segmentation import (
    DEFAULT_COLORS,
    MAX_LABEL_VALUE,
    LabelClass,
    LabelSchema,
)
from PseudoLabelCLLib.domain.text import Text, counted, joined, listed
from PseudoLabelCLLib.storage.segments.slicer_segments import Segment

# What Slicer calls a new segment.
_AUTOMATIC = re.compile("Segment_[0-9]+")


def match_segments(
    file_name: str,
    segments: tuple[Segment, ...],
    occupied: Mapping[Segment, int],
    schema: LabelSchema,
    asking: Asking | None = None,
    *,
    made_from: tuple[Segment, ...] | None = None,
) -> tuple[dict[int, Segment], list[Text], LabelSchema]:
    """Return the segment of each label value, what is remarkable in words, and the labels.

    The labels are those of the project, and those that a person wants as new structures.

    Args:
        file_name: For messages.
        segments: All segments of the file.
        occupied: Those with voxels, and how many (0 where that is not known); an empty segment
            that fits no label is left out.
        schema: The labels of the project.
        asking: Asks the person where name and term do not tell; None for a file of the project,
            which keeps the identifiers of its labels.
        made_from: Segments of the file of the project that a person changed into this one, or
            None; a segment with identifier and name of one of them is the same, all others are
            as of any other file.

    Raises:
        AnnotationError: A segment fits no label and nobody can be asked, or two fit the same.
        QuestionError: A person has to say which label a segment is.
    """
    is_own = asking is None and made_from is None
    kept = {(segment.segment_id, segment.name) for segment in made_from or ()}
    labels = [
        label_of_segment(
            segment,
            segments,
            schema,
            is_own=is_own or (segment.segment_id, segment.name) in kept,
        )
        for segment in segments
    ]
    if asking is not None:
        _ask_about_contradictions(file_name, segments, labels, schema, asking)
        _ask_about_identifiers(file_name, segments, labels, schema, occupied, asking)
        own = [segment for segment in occupied if (segment.segment_id, segment.name) not in kept]
        _ask_about_automatic_names(file_name, own, segments, schema, asking)
    matched: dict[int, Segment] = {}
    notices: list[Text] = []
    for segment, label in zip(segments, labels, strict=True):
        if label is None:
            continue
        if label.value in matched:
            raise _both_fit(file_name, matched[label.value], segment, label)
        matched[label.value] = segment
        if not same_name(label.name, segment.name):
            notices.append(Note.BY_TERM.say(file=file_name, segment=segment.name, label=label.name))
    unknown = [s for s, label in zip(segments, labels, strict=True) if label is None]
    foreign = {s: occupied[s] for s in unknown if s in occupied}
    if foreign:
        added = _new_structures(file_name, foreign, schema, asking, has_others=bool(matched))
        schema = LabelSchema((*schema, *added))
        matched |= {label.value: segment for label, segment in added.items()}
    notices.extend(
        Note.EMPTY_SEGMENT.say(file=file_name, segment=segment.name)
        for segment in unknown
        if segment not in foreign
    )
    return matched, notices, schema


def _new_structures(
    file_name: str,
    foreign: Mapping[Segment, int],
    schema: LabelSchema,
    asking: Asking | None,
    *,
    has_others: bool,
) -> dict[LabelClass, Segment]:
    """Ask what segments are that fit no label; return those that become structures.

    Args:
        file_name: For messages.
        foreign: These segments, and how many voxels each has (0 where that is not known).
        schema: The labels of the project.
        asking: Asks the person, or None.
        has_others: Whether the file has a segment that fits a label.

    Raises:
        AnnotationError: Nobody can be asked, or nothing but leaving the file out could be answered.
        QuestionError: Nobody has answered yet.
    """
    choices = []
    if has_others:
        choices.append(
            Choice("background", Text("They are background"), Text("counts them as background"))
        )
    if asking is not None and asking.labels_can_grow:
        new = Text("adds each segment to the project as a structure")
        choices.append(Choice("new", Text("Add them as structures"), new))
    told = _told_foreign(file_name, foreign, schema)
    if asking is None or not choices:
        remedy = Text(
            "Give the segment the name of its structure, delete it, or add the structure."
        )
        raise AnnotationError(told, remedy)
    number = sum(foreign.values())
    answer = asking.ask(QuestionKind.UNLISTED, told, number, (*choices, LEAVE_OUT))
    return _labels_for(foreign, schema) if answer == "new" else {}


def _labels_for(segments: Iterable[Segment], schema: LabelSchema) -> dict[LabelClass, Segment]:
    """Return a label for each segment: its own name, codes and colour, a value that is free."""
    values, ids = set(schema.values), {label.segment_id for label in schema}
    labels: dict[LabelClass, Segment] = {}
    for number, segment in enumerate(segments, start=len(schema)):
        value = segment.label_value
        if value in values or value > MAX_LABEL_VALUE:
            value = max(values) + 1
        segment_id = segment.segment_id or f"Segment_{value}"
        while segment_id in ids:
            segment_id += "_new"
        values.add(value)
        ids.add(segment_id)
        label = LabelClass(
            value=value,
            name=segment.name or f"label {value}",
            color=segment.color or DEFAULT_COLORS[number % len(DEFAULT_COLORS)],
            terminology=segment.terminology,
            segment_id=segment_id,
        )
        labels[label] = segment
    return labels


def settle_overlaps(
    file_name: str, overlaps: Mapping[tuple[str, str], int], asking: Asking | None
) -> tuple[bool, list[Text]]:
    """Ask which of two labels the voxels of both are.

    Args:
        file_name: For messages.
        overlaps: Voxels by the names of the earlier and of the later label in the project's list.
        asking: Asks the person; None lets the later label win.

    Returns:
        Whether the later label wins, and sentences about it.

    Raises:
        QuestionError: Nobody has answered yet.
    """
    if not overlaps:
        return True, []
    found = {
        pair: counted(
            count,
            "'{one}' and '{other}' overlap in {count} voxel",
            "'{one}' and '{other}' overlap in {count} voxels",
            one=pair[0],
            other=pair[1],
        )
        for pair, count in overlaps.items()
    }
    later = True
    if asking is not None:
        told = Text("In '{file}', {found}.", file=file_name, found=joined(*found.values(), by="; "))
        later = asking.ask(QuestionKind.OVERLAP, told, sum(overlaps.values())) == "later"
    return later, [
        Note.OVERLAPPED.say(
            found=Text("In '{file}', {found}", file=file_name, found=words),
            verb=Text("counts") if overlaps[pair] == 1 else Text("count"),
            label=pair[later],
        )
        for pair, words in found.items()
    ]


def unclaimed_notice(file_name: str, count: int, asking: Asking | None) -> Text:
    """Tell of voxels that belong to no segment, once a person agreed that they are background.

    Raises:
        QuestionError: Nobody was asked yet.
    """
    found = counted(
        count,
        "In '{file}', {count} voxel belongs to no segment",
        "In '{file}', {count} voxels belong to no segment",
        file=file_name,
    )
    if asking is not None:
        asking.ask(QuestionKind.NO_SEGMENT, Text("{found}.", found=found), count)
    return Note.UNCLAIMED.say(found=found, verb=Text("was") if count == 1 else Text("were"))


def _ask_about_contradictions(
    file_name: str,
    segments: tuple[Segment, ...],
    labels: list[LabelClass | None],
    schema: LabelSchema,
    asking: Asking,
) -> None:
    """Ask what counts where the name of a segment says one label and its term another."""
    found = {
        place: told
        for place, segment in enumerate(segments)
        if labels[place] is None and (told := contradiction_of(segment, segments, schema))
    }
    if not found:
        return
    told = joined(
        *(
            Text("'{segment}' {found}", segment=segments[place].name, found=clause)
            for place, clause in found.items()
        ),
        by="; ",
    )
    by_name = (
        asking.ask(
            QuestionKind.NAME_OR_TERM, Text("In '{file}', {told}.", file=file_name, told=told)
        )
        == "name"
    )
    for place in found:
        segment = segments[place]
        labels[place] = (
            label_by_name(segment, schema) if by_name else label_by_term(segment, segments, schema)
        )


def _ask_about_identifiers(
    file_name: str,
    segments: tuple[Segment, ...],
    labels: list[LabelClass | None],
    schema: LabelSchema,
    occupied: Mapping[Segment, int],
    asking: Asking,
) -> None:
    """Ask whether segments are the labels whose identifiers they bear, if that is all to go by."""
    unknown = [
        place
        for place, segment in enumerate(segments)
        if labels[place] is None and segment in occupied
    ]
    by_identifier = {place: label_by_identifier(segments[place], schema) for place in unknown}
    wanted = [label for label in by_identifier.values() if label not in labels]
    if not unknown or None in wanted or len(wanted) < len(unknown):
        return
    told = listed(
        Text(
            "'{segment}' that of '{structure}' ({id})",
            segment=segments[place].name,
            structure=label.name,
            id=label.segment_id,
        )
        for place, label in by_identifier.items()
        if label is not None
    )
    answer = asking.ask(
        QuestionKind.BY_IDENTIFIER,
        Text(
            "In '{file}', segments have neither the name nor the terminology of a "
            "structure, only the identifier: {told}. Slicer renumbers identifiers in every "
            "file, in the order in which segments were made.",
            file=file_name,
            told=told,
        ),
    )
    for place, label in by_identifier.items() if answer == "take" else ():
        labels[place] = label


def _ask_about_automatic_names(
    file_name: str,
    drawn: Sequence[Segment],
    segments: tuple[Segment, ...],
    schema: LabelSchema,
    asking: Asking,
) -> None:
    """Ask where nobody named the segments, so that their names are but the order of drawing."""
    automatic = [
        segment
        for segment in drawn
        if _AUTOMATIC.fullmatch(segment.name)
        and label_by_name(segment, schema) is not None
        and label_by_term(segment, segments, schema) is None
    ]
    if asking.is_first or len(automatic) < 2:
        return
    names = ", ".join(f"'{segment.name}'" for segment in automatic)
    asking.ask(
        QuestionKind.BY_IDENTIFIER,
        Text(
            "In '{file}', nobody named the segments {names}: Slicer numbers new segments in "
            "the order in which they are made, which may be another one than in the other "
            "files.",
            file=file_name,
            names=names,
        ),
        choices=tuple(
            choice
            for choice in QUESTIONS[QuestionKind.BY_IDENTIFIER].choices
            if choice.value != "other"
        ),
    )


def _both_fit(file_name: str, one: Segment, other: Segment, label: LabelClass) -> AnnotationError:
    return AnnotationError(
        Text(
            "In '{file}', the segments '{one}' and '{other}' both match the structure "
            "'{structure}'.",
            file=file_name,
            one=one.name,
            other=other.name,
            structure=label.name,
        ),
        Text("Merge them in Slicer, or rename one."),
    )


def _told_segment(segment: Segment, num_voxels: int) -> Text:
    name = segment.name or Text("one without a name")
    if not num_voxels:
        return Text("{name}", name=name)
    return counted(num_voxels, "{name} ({count} voxel)", "{name} ({count} voxels)", name=name)


def _told_foreign(file_name: str, foreign: Mapping[Segment, int], schema: LabelSchema) -> Text:
    return Text(
        "'{file}' holds segments that are not structures of the project: {names}. Its "
        "structures are: {structures}.",
        file=file_name,
        names=listed(_told_segment(segment, count) for segment, count in foreign.items()),
        structures=", ".join(schema.names),
    )


def _joined_names(names: Sequence[str]) -> Text:
    first, *others = names
    told = Text("{name}", name=first)
    for name in others:
        told = Text("{names}' and '{name}", names=told, name=name)
    return told


def ask_which_has_the_voxels(
    file_name: str, sharing: Sequence[Segment], count: int, asking: Asking | None
) -> Segment:
    """Return the one of several segments of the same voxels that keeps them.

    Slicer gives all of them the voxels of their layer and value; in a label volume a voxel is one
    structure.

    Raises:
        AnnotationError: Nobody can be asked, or the names do not tell the segments apart.
        QuestionError: Nobody was asked yet.
    """
    names = [segment.name for segment in sharing]
    told = counted(
        count,
        "In '{file}', the segments '{segments}' are the same {count} voxel (value {value} of layer "
        "{layer}), and a voxel can be only one structure.",
        "In '{file}', the segments '{segments}' are the same {count} voxels (value {value} of "
        "layer {layer}), and a voxel can be only one structure.",
        file=file_name,
        segments=_joined_names(names),
        value=sharing[0].label_value,
        layer=sharing[0].layer,
    )
    if asking is None or len(set(names)) < len(names):
        raise AnnotationError(told, Text("Delete all but one of them in Slicer."))
    choices = tuple(
        Choice(name, Text("They are {name}", name=name), Text("takes them as '{name}'", name=name))
        for name in names
    )
    kept = asking.ask(QuestionKind.SAME_VOXELS, told, count, (*choices, LEAVE_OUT))
    return sharing[names.index(kept)]
