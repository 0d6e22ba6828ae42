"""Whether the voxels of an image look like a label map, whatever its name says."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.domain.question import Asking, Question
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.text import Text, counted
from PseudoLabelCLLib.domain.volume import Volume

# A label map has few values, and one of them, mostly the background, nearly everywhere.
MOST_VALUES = 64
LEAST_SHARE = 0.5


@dataclass(frozen=True)
class LabelMapLook:
    """What makes an image look like a label map.

    Args:
        num_values: How many different values it has.
        commonest: The one that most voxels have.
        num_others: How many voxels have another one.
        share: The share of voxels that have the commonest.
    """

    num_values: int
    commonest: int
    num_others: int
    share: float


def label_map_look(array: npt.NDArray[np.generic]) -> LabelMapLook | None:
    """Return what makes an image look like a label map, or None if it does not.

    Args:
        array: Intensities, any shape, finite.
    """
    counts: dict[float, int] = {}
    for plane in array:  # an image has too many values after a plane or two
        values, numbers = np.unique(plane, return_counts=True)
        if len(values) > MOST_VALUES or not np.array_equal(values, np.round(values)):
            return None
        for value, number in zip(values.tolist(), numbers.tolist(), strict=True):
            counts[value] = counts.get(value, 0) + number
        if len(counts) > MOST_VALUES:
            return None
    commonest = max(counts, key=lambda value: counts[value])
    share = counts[commonest] / array.size
    if len(counts) < 2 or share <= LEAST_SHARE:
        return None
    return LabelMapLook(len(counts), int(commonest), array.size - counts[commonest], share)


def ask_about_label_map(volume: Volume, file_name: str, asking: Asking) -> None:
    """Ask whether an image that looks like a label map is one.

    Raises:
        QuestionError: Nobody has answered yet.
        LeftOutError: It is a label map.
    """
    look = label_map_look(volume.array)
    if look is not None:
        asking.ask(QuestionKind.LABEL_MAP, _in_words(look, file_name), look.num_others)


def question_about_label_map(volume: Volume, file_name: str, case_id: str) -> Question | None:
    """Return the question whether an image is a label map, or None if it does not look so."""
    look = label_map_look(volume.array)
    if look is None:
        return None
    message = _in_words(look, file_name)
    return Question(QuestionKind.LABEL_MAP, message, look.num_others, case_id)


def _in_words(look: LabelMapLook, file_name: str) -> Text:
    return Text(
        "The image '{file}' looks like a label map: it has {values} different "
        "values, all whole numbers, and {share:.1%} of its voxels are {value} "
        "({others}). A label map must not be trained on as an image.",
        file=file_name,
        values=look.num_values,
        share=look.share,
        value=look.commonest,
        others=counted(look.num_others, "{count} voxel is not", "{count} voxels are not"),
    )
