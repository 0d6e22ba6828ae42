"""On which slices a person drew: all of a volume, every n-th, or a range of them."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.question import Asking
from PseudoLabelCLLib.domain.question_kinds import QUESTIONS, QuestionKind
from PseudoLabelCLLib.domain.text import NO_TEXT, Text, counted, joined
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume, array_axis

DRAWN = "drawn"

# Two drawn slices show the same structure at the same place if this share of the smaller area is
# common to both; what lies between them would have to show it too.
SAME_PLACE = 0.5
# A structure that ends tapers off, or what lies beyond looks otherwise. One that was cut off is
# still this large, as a share of its largest area, ...
CUT_OFF_AREA = 0.4
# ... and the next slice looks like the last one there: this is the least correlation.
LOOKS_ALIKE = 0.3
# Fewer pixels tell nothing.
_FEWEST_PIXELS = 12
_RING_PIXELS = 3


@dataclass(frozen=True)
class DrawnSlices:
    """On which slices of a segmentation a person drew.

    Args:
        numbers: Indices of the slices that show a structure, along the slicing axis.
        num_slices: Of the volume.
        gaps: Indices of the slices between two drawn ones on which a structure would have to be.
        is_cut_off: Whether the structures go on in the image beyond both ends of what was drawn.
    """

    numbers: tuple[int, ...]
    num_slices: int
    gaps: tuple[int, ...]
    is_cut_off: bool

    @property
    def could_be_all(self) -> bool:
        """Whether nothing speaks against that the person looked at every slice."""
        return not self.gaps and not self.is_cut_off


def ask_about_drawn_slices(
    labels: LabelVolume,
    volume: Volume,
    slicing_axis: int,
    *,
    case_id: str,
    role: CaseRole,
    asking: Asking,
) -> tuple[int, ...] | None:
    """Return the slices that count, asking the person where some look as if nobody drew there.

    Args:
        labels: The segmentation.
        volume: Its image, on the same grid.
        slicing_axis: 0, 1 or 2 for i, j, k.
        case_id: The case.
        role: What it is used for; of a validation case, every slice is measured.
        asking: Asks the person.

    Returns:
        Indices along the slicing axis; None if all slices count.

    Raises:
        QuestionError: A person has to say what is meant.
        LeftOutError: A person answered that the file takes no part.
    """
    found = look_at_drawn_slices(labels, volume, slicing_axis)
    if found.could_be_all:
        return None
    message = Text(
        "Case '{case}' is drawn on {count} of its {all} slices.",
        case=case_id,
        count=len(found.numbers),
        all=found.num_slices,
    )
    why = (
        counted(
            len(found.gaps),
            "On {count} slice between them its structures should be too, since they are at the "
            "same place before and after.",
            "On {count} slices between them its structures should be too, since they are at the "
            "same place before and after.",
        )
        if found.gaps
        else Text("At both ends the structures stop abruptly, while the image continues unchanged.")
    )
    needs_all = NO_TEXT
    choices = QUESTIONS[QuestionKind.SPARSE].choices
    if role is CaseRole.VALIDATION:
        needs_all = Text("A validation case is measured on every slice, so it needs all of them.")
        choices = tuple(choice for choice in choices if choice.value != DRAWN)
    per_slice = labels.array.size // found.num_slices
    concerned = (found.num_slices - len(found.numbers)) * per_slice
    answer = asking.ask(QuestionKind.SPARSE, joined(message, why, needs_all), concerned, choices)
    return found.numbers if answer == DRAWN else None


def drawn_slices(labels: LabelVolume, slicing_axis: int) -> tuple[int, ...]:
    """Return the indices of the slices that show a structure.

    Args:
        labels: A segmentation.
        slicing_axis: 0, 1 or 2 for i, j, k.
    """
    along = np.moveaxis(labels.array, array_axis(slicing_axis), 0)
    return tuple(np.flatnonzero(along.any(axis=(1, 2))).tolist())


def look_at_drawn_slices(labels: LabelVolume, volume: Volume, slicing_axis: int) -> DrawnSlices:
    """Return on which slices a person drew, and what speaks against that the others were looked at.

    Args:
        labels: The segmentation.
        volume: Its image, on the same grid.
        slicing_axis: 0, 1 or 2 for i, j, k.
    """
    axis = array_axis(slicing_axis)
    drawn, images = (np.moveaxis(array, axis, 0) for array in (labels.array, volume.array))
    numbers = drawn_slices(labels, slicing_axis)
    gaps: list[int] = []
    for first, second in pairwise(numbers):
        if second - first > 1 and _show_the_same(drawn[first], drawn[second]):
            gaps += range(first + 1, second)
    ends = [(numbers[0], numbers[0] - 1), (numbers[-1], numbers[-1] + 1)] if numbers else []
    is_cut_off = bool(ends) and all(
        0 <= beyond < len(drawn) and _goes_on(drawn, images, last, beyond) for last, beyond in ends
    )
    return DrawnSlices(numbers, len(drawn), tuple(gaps), is_cut_off)


def _show_the_same(first: npt.NDArray[np.int16], second: npt.NDArray[np.int16]) -> bool:
    """Return whether two slices share a structure, and most of the smaller area at one place."""
    if not np.intersect1d(first[first > 0], second[second > 0]).size:
        return False
    one, other = first > 0, second > 0
    smaller = min(np.count_nonzero(one), np.count_nonzero(other))
    return bool(np.count_nonzero(one & other) >= SAME_PLACE * smaller)


def _goes_on(
    drawn: npt.NDArray[np.int16], images: npt.NDArray[np.float32], last: int, beyond: int
) -> bool:
    """Return whether what the last drawn slice shows was cut off but continues in the image."""
    areas = (drawn > 0).sum(axis=(1, 2))
    if areas[last] < max(_FEWEST_PIXELS, CUT_OFF_AREA * areas.max()):
        return False
    around = ndimage.binary_dilation(drawn[last] > 0, iterations=_RING_PIXELS)
    here, there = (images[number][around].astype(np.float64) for number in (last, beyond))
    here, there = here - here.mean(), there - there.mean()
    norm = float(np.sqrt((here**2).sum() * (there**2).sum()))
    return norm > 0 and float((here * there).sum()) >= LOOKS_ALIKE * norm
