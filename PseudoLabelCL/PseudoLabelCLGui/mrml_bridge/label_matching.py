"""Which label of the project a segment is: by identity, code or name, never by order."""

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema, Terminology


class SegmentLike(Protocol):
    """What is known of a segment."""

    @property
    def segment_id(self) -> str:
        """Its identity in Slicer."""

    @property
    def name(self) -> str:
        """What a person calls it."""

    @property
    def terminology(self) -> Terminology | None:
        """Its codes, if chosen."""


def label_of_segment(
    segment: SegmentLike, segments: Sequence[SegmentLike], labels: LabelSchema
) -> LabelClass | None:
    """Return the label that a segment fits, or None.

    The same rule as the project follows when it reads the file: Slicer numbers identities anew in
    each segmentation, so an identity does not count where name or code are those of another label.
    """
    by_name = next((label for label in labels if _same_name(label.name, segment.name)), None)
    by_id = next((label for label in labels if label.segment_id == segment.segment_id), None)
    by_code = _by_code(segment, segments, labels)
    if by_id is not None and (by_name is by_id or (by_name is None and by_code in (None, by_id))):
        return by_id
    return by_code or by_name


def _by_code(
    segment: SegmentLike, segments: Sequence[SegmentLike], labels: LabelSchema
) -> LabelClass | None:
    code = _type_code(segment.terminology)
    codes = Counter(_type_code(other.terminology) for other in segments)
    fitting = [label for label in labels if _type_code(label.terminology) == code]
    return fitting[0] if code and codes[code] == 1 and len(fitting) == 1 else None


def _type_code(terminology: Terminology | None) -> tuple[str, ...] | None:
    if terminology is None:
        return None
    modifier = terminology.type_modifier
    side = (modifier.scheme, modifier.value) if modifier else ()
    return (terminology.type.scheme, terminology.type.value, *side)


def _same_name(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()
