"""What a DICOM segmentation object says about its segments, for its writer and its reader."""

import hashlib
import uuid
from dataclasses import dataclass
from enum import Enum

from PseudoLabelCLLib.domain.segmentation import Terminology

LONGEST_LABEL = 64


class AlgorithmType(Enum):
    """How a segment came to be, as DICOM has it."""

    MANUAL = "MANUAL"
    SEMIAUTOMATIC = "SEMIAUTOMATIC"
    AUTOMATIC = "AUTOMATIC"


@dataclass(frozen=True)
class Algorithm:
    """The program that made a segment.

    Args:
        name: Its name.
        version: Its version.
        parameters: Names and values, such as the hash of the model.
    """

    name: str
    version: str
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ObjectSegment:
    """One segment of an object; its number is its place in the object, from 1.

    Args:
        label: What a person calls it.
        terminology: What it is.
        color: "#rrggbb".
        algorithm_type: How it came to be.
        algorithm: What made it; None if a person drew it.
        tracking_id: Name of the structure that stays the same over objects.
        tracking_uid: The same as a UID.
        description: Who confirmed it, in a sentence.
    """

    label: str
    terminology: Terminology
    color: str
    algorithm_type: AlgorithmType
    algorithm: Algorithm | None
    tracking_id: str
    tracking_uid: str
    description: str = ""


@dataclass(frozen=True)
class ObjectDescription:
    """What the object says about itself.

    Args:
        series_description: What a list of series shows, at most 64 characters.
        content_description: What the object holds, at most 64 characters.
        creator: Who answers for the content, as a DICOM person name.
        software_version: Of PseudoLabelCL.
        series_number: Number of the new series.
        instance_uid: SOP Instance UID of the new object, see `new_uid`.
    """

    series_description: str
    content_description: str
    creator: str
    software_version: str
    series_number: int
    instance_uid: str


def clean_text(text: str) -> str:
    """Return a name as DICOM can hold it: one line, no backslash, at most 64 characters."""
    kept = "".join(c if c.isprintable() and c != "\\" else " " for c in text)
    return " ".join(kept.split())[:LONGEST_LABEL].strip()


def new_uid() -> str:
    """Return a UID that no other object has."""
    return f"2.25.{uuid.uuid4().int}"


def tracking_uid_of(series_uid: str, segment_id: str, terminology: Terminology) -> str:
    """Return the UID of a structure in a series: always the same, in every round and export.

    It is made of the series, the identity of the segment (which outlives a new name) and the code
    of the structure, so that no two projects call different things the same.
    """
    side = terminology.type_modifier
    parts = (
        series_uid, segment_id, terminology.type.scheme, terminology.type.value,
        *((side.scheme, side.value) if side else ()),
    )  # fmt: skip
    digest = hashlib.sha256("\n".join(parts).encode()).digest()[:16]
    return f"2.25.{uuid.UUID(bytes=digest, version=4).int}"
