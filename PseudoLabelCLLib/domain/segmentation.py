"""LabelSchema: which structures are segmented, their values in files and their codes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from PseudoLabelCLLib.domain.errors import AnnotationError
from PseudoLabelCLLib.domain.text import Text

BACKGROUND_VALUE = 0
MAX_LABEL_VALUE = 32767
_COLOR_PATTERN = re.compile(r"#[0-9a-fA-F]{6}")
# What Slicer gives to every new segment, in today's scheme and in the one before it.
_DEFAULT_TYPES = (("SCT", "85756007"), ("SRT", "T-D0050"))


class SegmentStatus(Enum):
    """How far a person is with a segment, in the words of Slicer's files."""

    NOT_STARTED = "notstarted"
    IN_PROGRESS = "inprogress"
    COMPLETED = "completed"
    FLAGGED = "flagged"


@dataclass(frozen=True)
class Code:
    """One coded concept, such as SCT 80891009 "Heart"."""

    scheme: str
    value: str
    meaning: str


@dataclass(frozen=True)
class Terminology:
    """What a structure is, in the terms that DICOM-SEG and Slicer use.

    Args:
        category: For example SCT 123037004 "Anatomical Structure".
        type: The structure itself.
        type_modifier: For example a side.
        region: Where it lies, for findings that can lie anywhere.
        region_modifier: For example the side of the region.
    """

    category: Code
    type: Code
    type_modifier: Code | None = None
    region: Code | None = None
    region_modifier: Code | None = None

    @property
    def is_slicers_default(self) -> bool:
        """Whether it is the "Tissue" of every new segment, which nobody chose."""
        return (self.type.scheme, self.type.value) in _DEFAULT_TYPES


@dataclass(frozen=True)
class LabelClass:
    """One structure to segment.

    Args:
        value: Its integer in label volumes, 1 or more.
        name: What a person calls it.
        color: "#rrggbb".
        terminology: Its codes, if chosen.
        segment_id: Identity of the segment in Slicer, kept over files; by default from the value.
        keep_largest_component: Whether predictions keep only the largest connected part; None goes
            by what people have drawn (`SinglePieces`).
    """

    value: int
    name: str
    color: str
    terminology: Terminology | None = None
    segment_id: str = ""
    keep_largest_component: bool | None = None

    def __post_init__(self) -> None:
        if not BACKGROUND_VALUE < self.value <= MAX_LABEL_VALUE:
            raise AnnotationError(
                Text(
                    "Structure '{structure}' has the label value {value}; values go from 1 to "
                    "{highest}, 0 is the background.",
                    structure=self.name,
                    value=self.value,
                    highest=MAX_LABEL_VALUE,
                ),
                Text("Give it another value."),
            )
        if not self.name.strip():
            raise AnnotationError(
                Text("The structure with label value {value} has no name.", value=self.value),
                Text("Give every structure a name."),
            )
        if not _COLOR_PATTERN.fullmatch(self.color):
            raise AnnotationError(
                Text(
                    "Structure '{structure}' has the colour {color!r}; expected '#rrggbb'.",
                    structure=self.name,
                    color=self.color,
                ),
                Text("Write red, green and blue as six hexadecimal digits, such as #e69f00."),
            )
        if not self.segment_id:
            object.__setattr__(self, "segment_id", f"Segment_{self.value}")

    @property
    def chosen_terms(self) -> Terminology | None:
        """Its codes as far as a person chose them: what Slicer fills in is not a choice."""
        terms = self.terminology
        return None if terms is None or terms.is_slicers_default else terms

    @property
    def rgb(self) -> tuple[float, float, float]:
        """The colour as red, green, blue in 0..1."""
        red, green, blue = (int(self.color[n : n + 2], 16) / 255 for n in (1, 3, 5))
        return (red, green, blue)


# Hues far apart, readable on grey images and for colour-blind eyes (Okabe and Ito, 2008).
DEFAULT_COLORS = (
    "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#999999",
)  # fmt: skip


@dataclass(frozen=True)
class LabelSchema:
    """All structures of a project; in tensors the classes are 0 (background), 1, 2, ... in order.

    Raises:
        AnnotationError: No class, or two classes with the same value, name or segment identity.
    """

    classes: tuple[LabelClass, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        if not self.classes:
            raise AnnotationError(
                Text("The project has no structure to segment."),
                Text("Name at least one structure."),
            )
        shared = {"value": Text("value"), "name": Text("name"), "segment_id": Text("segment id")}
        for attribute, said in shared.items():
            seen = [getattr(label, attribute) for label in self.classes]
            twice = sorted({str(s) for s in seen if seen.count(s) > 1})
            if twice:
                raise AnnotationError(
                    Text(
                        "Two structures share the same {property}: {values}.",
                        property=said,
                        values=", ".join(twice),
                    ),
                    Text("Give each structure its own."),
                )

    def __iter__(self) -> Iterator[LabelClass]:
        return iter(self.classes)

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def num_classes(self) -> int:
        """Number of classes in tensors, background included."""
        return len(self.classes) + 1

    @property
    def values(self) -> tuple[int, ...]:
        """Label values in files, in the order of the class indices 1, 2, ..."""
        return tuple(label.value for label in self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the order of the class indices 1, 2, ..."""
        return tuple(label.name for label in self.classes)

    @staticmethod
    def from_values(values: tuple[int, ...]) -> "LabelSchema":
        """Make a schema for bare label values: names "label 1", ..., colours from the palette."""
        return LabelSchema(
            tuple(
                LabelClass(value, f"label {value}", DEFAULT_COLORS[n % len(DEFAULT_COLORS)])
                for n, value in enumerate(values)
            )
        )
