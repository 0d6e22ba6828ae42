"""Which label a segment is: by its name and its term, never by its place or its number."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from PseudoLabelCLLib.domain.segmentation import Code, LabelClass, LabelSchema, Terminology
from PseudoLabelCLLib.domain.text import NO_TEXT, Text

# A DICOM tracking UID is the same in all objects that show the same thing, and in no other.
_UID = re.compile(r"[0-2](\.(0|[1-9][0-9]*)){3,}")


class SegmentLike(Protocol):
    """What is known of a segment."""

    @property
    def segment_id(self) -> str:
        """Its identifier in Slicer, or empty."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    @property
    def terminology(self) -> Terminology | None:
        """Its codes, if chosen."""


def label_of_segment(
    segment: SegmentLike,
    segments: Sequence[SegmentLike],
    labels: LabelSchema,
    *,
    is_own: bool = False,
) -> LabelClass | None:
    """Return the label that a segment is, or None where name and term do not tell.

    Slicer renumbers identifiers in every file (`Segment_1`, `Segment_2`), so an identifier tells
    nothing about the file of somebody else. In the project's own files it is the project that gave
    it, so that a structure may get another name.

    Args:
        segment: The segment.
        segments: All segments of its file.
        labels: The labels of the project.
        is_own: Whether the project itself gave the segment its identifier.
    """
    by_name = label_by_name(segment, labels)
    by_term = label_by_term(segment, segments, labels)
    by_id = label_by_identifier(segment, labels)
    if (
        by_id is not None
        and (is_own or _UID.fullmatch(segment.segment_id))
        and (by_name is by_id or (by_name is None and by_term in (None, by_id)))
    ):
        return by_id
    if is_own:
        return by_term or by_name
    return None if contradiction_of(segment, segments, labels) else by_name or by_term


def contradiction_of(
    segment: SegmentLike, segments: Sequence[SegmentLike], labels: LabelSchema
) -> Text:
    """Tell, in a clause, how the name of a segment and its term contradict each other, if so."""
    by_name = label_by_name(segment, labels)
    by_term = label_by_term(segment, segments, labels)
    if by_name is None or by_term is by_name or segment.terminology is None:
        return NO_TEXT
    term = segment.terminology
    if by_term is not None:
        return Text(
            "is called like '{by_name}' and has the terminology of '{by_term}'",
            by_name=by_name.name,
            by_term=by_term.name,
        )
    side, own = _side(term), _side(by_name.terminology)
    same_type = by_name.terminology is not None and _type(term) == _type(by_name.terminology)
    if same_type and side and own and side != own:
        return Text(
            "is called like '{by_name}' and has a terminology of the other side ({meaning})",
            by_name=by_name.name,
            meaning=(term.type_modifier or term.type).meaning,
        )
    return NO_TEXT


def label_by_identifier(segment: SegmentLike, labels: LabelSchema) -> LabelClass | None:
    """Return the label whose identifier a segment bears, which alone proves nothing."""
    return next((label for label in labels if label.segment_id == segment.segment_id), None)


def term_key(terminology: Terminology | None) -> tuple[str, ...] | None:
    """Return what a term says a structure is, without its wording; None where nobody chose it."""
    if terminology is None or terminology.is_slicers_default:
        return None
    return (*_type(terminology), *_side(terminology))


def same_name(one: str, other: str) -> bool:
    """Return whether two names are the same for a reader."""
    return _plain(one) == _plain(other)


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split()).casefold()


def label_by_name(segment: SegmentLike, labels: LabelSchema) -> LabelClass | None:
    """Return the label of the same name, or None."""
    fitting = [label for label in labels if same_name(label.name, segment.name)]
    exact = [label for label in fitting if label.name == segment.name]
    return next(iter(exact or fitting), None)


def label_by_term(
    segment: SegmentLike, segments: Sequence[SegmentLike], labels: LabelSchema
) -> LabelClass | None:
    """Return the label of the same term, or None where a term does not tell segments apart."""
    key = term_key(segment.terminology)
    keys = Counter(term_key(other.terminology) for other in segments)
    fitting = [label for label in labels if term_key(label.terminology) == key]
    if not key or keys[key] != 1 or len(fitting) != 1:
        return None
    return fitting[0] if _regions_agree(segment.terminology, fitting[0].terminology) else None


def _regions_agree(one: Terminology | None, other: Terminology | None) -> bool:
    """Return whether two terms of one type can be the same: a mass may lie in any organ."""
    if one is None or other is None:
        return False
    regions = [_code_key(term.region) + _code_key(term.region_modifier) for term in (one, other)]
    return not all(regions) or regions[0] == regions[1]


def _code_key(code: Code | None) -> tuple[str, ...]:
    return () if code is None else (code.scheme, code.value)


def _type(terminology: Terminology) -> tuple[str, ...]:
    return _code_key(terminology.type)


def _side(terminology: Terminology | None) -> tuple[str, ...]:
    return () if terminology is None else _code_key(terminology.type_modifier)
