"""Label values of files that describe no segments, and what may be wrong with them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.domain.errors import AnnotationError
from PseudoLabelCLLib.domain.question import Asking
from PseudoLabelCLLib.domain.question_kinds import LEAVE_OUT, Choice, QuestionKind
from PseudoLabelCLLib.domain.segmentation import (
    BACKGROUND_VALUE,
    DEFAULT_COLORS,
    MAX_LABEL_VALUE,
    LabelClass,
    LabelSchema,
)
from PseudoLabelCLLib.domain.text import Text, counted, listed
from PseudoLabelCLLib.storage.images.nifti_scaling import intercept_without_slope

MAX_VALUES_WITHOUT_SCHEMA = 64
SWAPPED = Text("Check whether image and segmentation were swapped.")
# So many values are offered as the background, the commonest first.
_MOST_OFFERED = 4

Labels = npt.NDArray[np.int16]


@dataclass
class PlainLabels:
    """The values of a file, and how many voxels have each.

    Args:
        path: The file, for messages.
        labels: Label values, shape (k, j, i).
        counts: Voxels by value.
    """

    path: Path
    labels: Labels
    counts: dict[int, int]

    def settle_background(self, schema: LabelSchema | None, asking: Asking) -> None:
        """Ask which value is the background where no voxel has 0, and make it 0.

        Raises:
            QuestionError: Nobody has answered yet.
        """
        if BACKGROUND_VALUE in self.counts or len(self.counts) > MAX_VALUES_WITHOUT_SCHEMA:
            return
        common = sorted(self.counts, key=lambda value: -self.counts[value])[:_MOST_OFFERED]
        choices = [
            Choice(
                str(v),
                Text("{value} is background", value=v),
                Text("counts the value {value} as background", value=v),
            )
            for v in common
        ]
        lowest = min(self.counts)
        shifted = {value - lowest for value in self.counts}
        if schema is not None and shifted <= {BACKGROUND_VALUE, *schema.values}:
            effect = Text("subtracts {lowest} from every value", lowest=lowest)
            choices.insert(
                0, Choice("shift", Text("All values are {lowest} too high", lowest=lowest), effect)
            )
        answer = ask_about_background(
            self.path.name, self.counts, self.labels.size, tuple(choices), asking
        )
        if answer == "shift":
            self._change(self.labels - np.int16(lowest))
        elif answer != "none":
            self._change(np.where(self.labels == int(answer), np.int16(0), self.labels))

    def settle_unlisted(self, schema: LabelSchema, asking: Asking) -> LabelSchema:
        """Ask what values are that no label has, and make them background or new labels.

        Returns:
            The labels, with the new ones.

        Raises:
            QuestionError: Nobody has answered yet.
            AnnotationError: So many values are those of an image.
        """
        unlisted = _unlisted(self.path, self.counts, schema)
        if not unlisted:
            return schema
        choices = [
            Choice("background", Text("They are background"), Text("counts them as background"))
        ]
        if asking.labels_can_grow:
            new = Text("adds each value to the project as a structure")
            choices.append(Choice("new", Text("Add them as structures"), new))
        told = _told_unlisted(self.path, unlisted, schema)
        number = sum(unlisted.values())
        answer = asking.ask(QuestionKind.UNLISTED, told, number, (*choices, LEAVE_OUT))
        if answer == "background":
            self._change(np.where(np.isin(self.labels, list(unlisted)), 0, self.labels))
            return schema
        return LabelSchema((*schema, *_new_labels(schema, tuple(unlisted))))

    def _change(self, labels: npt.NDArray[Any]) -> None:
        self.labels = labels.astype(np.int16)
        self.counts = count_values(self.labels)


def ask_about_background(
    file_name: str,
    counts: dict[int, int],
    num_voxels: int,
    choices: tuple[Choice, ...],
    asking: Asking,
) -> str:
    """Return the answer to what a file without a voxel of background is.

    Args:
        file_name: For the message.
        counts: Voxels by value.
        num_voxels: All voxels.
        choices: Answers besides "none", every voxel belongs to a structure.
        asking: Asks.

    Raises:
        QuestionError: Nobody has answered yet.
    """
    found = _voxels_by_value(sorted(counts.items()))
    whole = Choice(
        "none", Text("All values are structures"), Text("takes every voxel as part of a structure")
    )
    return asking.ask(
        QuestionKind.NO_BACKGROUND,
        Text(
            "In '{file}', no voxel is background (0); its values are {found}.",
            file=file_name,
            found=found,
        ),
        num_voxels,
        (*choices, whole, LEAVE_OUT),
    )


def plain_labels(path: Path, array: npt.NDArray[Any]) -> "PlainLabels":
    """Return the label values of a file without segments.

    Raises:
        AnnotationError: It holds anything but label values.
    """
    if array.dtype.kind not in "iuf":
        raise AnnotationError(
            Text(
                "'{file}' holds {dtype} values; expected labels.",
                file=path.name,
                dtype=array.dtype,
            ),
            SWAPPED,
        )
    offset = intercept_without_slope(path)
    if offset:
        array = array - array.dtype.type(offset)
    if array.dtype.kind == "f":
        fractions = array[array != np.round(array)]  # NaN counts: it equals nothing
        if fractions.size:
            raise AnnotationError(
                Text(
                    "'{file}' looks like an image, not a segmentation: it holds fractions "
                    "such as {value:.4g}.",
                    file=path.name,
                    value=fractions[0],
                ),
                SWAPPED,
            )
    low, high = array.min(), array.max()
    if low < BACKGROUND_VALUE or high > MAX_LABEL_VALUE:
        raise AnnotationError(
            Text(
                "'{file}' holds values from {low:g} to {high:g}; label values go from "
                "{first} to {last}.",
                file=path.name,
                low=low,
                high=high,
                first=BACKGROUND_VALUE,
                last=MAX_LABEL_VALUE,
            ),
            SWAPPED,
        )
    labels = array.astype(np.int16)
    return PlainLabels(path, labels, count_values(labels))


def count_any_values(layer: npt.NDArray[Any]) -> dict[int, int]:
    """Count the values of a layer, of whatever type and range the file has them."""
    if are_label_values(layer):
        return count_values(layer)
    values, numbers = np.unique(layer, return_counts=True)
    return dict(zip(values.tolist(), numbers.tolist(), strict=True))


def are_label_values(layer: npt.NDArray[Any]) -> bool:
    """Return whether all values of a layer are those that labels can have."""
    return bool(
        layer.dtype.kind in "iu"
        and layer.min() >= BACKGROUND_VALUE
        and layer.max() <= MAX_LABEL_VALUE
    )


def count_values(array: Labels) -> dict[int, int]:
    """Count the voxels of each value.

    Raises:
        AnnotationError: A value is negative.
    """
    if array.min() < BACKGROUND_VALUE:
        raise AnnotationError(
            Text("A label volume holds the negative value {value}.", value=array.min())
        )
    counts = np.zeros(MAX_LABEL_VALUE + 1, dtype=np.int64)
    for plane in array:  # one at a time: the count needs 8 bytes per voxel
        counts += np.bincount(plane.ravel(), minlength=counts.size)
    return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}


def schema_of_values(path: Path, counts: dict[int, int]) -> LabelSchema:
    """Return bare labels for the values of a file.

    Raises:
        AnnotationError: It is empty, or has so many values that it is an image.
    """
    values = tuple(value for value in counts if value != BACKGROUND_VALUE)
    if not values:
        raise AnnotationError(
            Text("'{file}' is empty: every voxel is background.", file=path.name),
            Text("Segment something first."),
        )
    if len(values) > MAX_VALUES_WITHOUT_SCHEMA:
        raise AnnotationError(
            Text(
                "'{file}' looks like an image, not a segmentation: it holds {count} "
                "different values.",
                file=path.name,
                count=len(values),
            ),
            SWAPPED,
        )
    return LabelSchema.from_values(values)


def check_values(path: Path, counts: dict[int, int], schema: LabelSchema) -> None:
    """Refuse values that no label has.

    Raises:
        AnnotationError: There are such values.
    """
    unlisted = _unlisted(path, counts, schema)
    if unlisted:
        raise AnnotationError(
            _told_unlisted(path, unlisted, schema),
            Text("Change these voxels, or add the structure to the project."),
        )


def _unlisted(path: Path, counts: dict[int, int], schema: LabelSchema) -> dict[int, int]:
    unlisted = {v: n for v, n in counts.items() if v not in (BACKGROUND_VALUE, *schema.values)}
    if len(unlisted) > MAX_VALUES_WITHOUT_SCHEMA:
        raise AnnotationError(
            Text(
                "'{file}' looks like an image, not a segmentation: it holds {count} values "
                "that the project does not have.",
                file=path.name,
                count=len(unlisted),
            ),
            SWAPPED,
        )
    return unlisted


def _told_unlisted(path: Path, unlisted: dict[int, int], schema: LabelSchema) -> Text:
    found = _voxels_by_value(unlisted.items())
    expected = ", ".join(f"{label.value} {label.name}" for label in schema)
    return Text(
        "'{file}' holds label values that the project does not have: {found}. It has: 0 "
        "background, {expected}.",
        file=path.name,
        found=found,
        expected=expected,
    )


def _voxels_by_value(counts: Iterable[tuple[int, int]]) -> Text:
    return listed(
        counted(count, "{value} ({count} voxel)", "{value} ({count} voxels)", value=value)
        for value, count in counts
    )


def _new_labels(schema: LabelSchema, values: tuple[int, ...]) -> tuple[LabelClass, ...]:
    """Return labels for values, with names, colours and identifiers that no other label has."""
    fresh = []
    for number, label in enumerate(LabelSchema.from_values(values), start=len(schema)):
        name, segment_id = label.name, label.segment_id
        while name.casefold() in {other.name.casefold() for other in schema}:
            name += " (new)"
        while segment_id in {other.segment_id for other in schema}:
            segment_id += "_new"
        color = DEFAULT_COLORS[number % len(DEFAULT_COLORS)]
        fresh.append(replace(label, name=name, segment_id=segment_id, color=color))
    return tuple(fresh)
