"""Who made each segment of an exported segmentation, as a DICOM object tells it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib import __version__
from PseudoLabelCLLib.curation.export.compose_segmentations import SegmentationRecipe
from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.segmentation import LabelClass
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.dicom.segment import (
    LONGEST_LABEL,
    Algorithm,
    AlgorithmType,
    ObjectDescription,
    ObjectSegment,
    clean_text,
    new_uid,
    tracking_uid_of,
)
from PseudoLabelCLLib.storage.files.fingerprint import file_fingerprint
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation
from PseudoLabelCLLib.storage.segments.terminology_list import in_words

PROGRAM = "PseudoLabelCL"
# Far from the numbers that scanners give, so that no series of the study has the same.
_FIRST_SERIES_NUMBER = 9000

Labels = npt.NDArray[Any]


@dataclass(frozen=True)
class SegmentOrigin:
    """Where the segmentation of a case comes from.

    Args:
        recipe: What the project says of it.
        labels: The segmentation, label values, shape (k, j, i).
        proposal: The proposal of its round on the same grid; None if there is none now.
        model_hash: Of the model that proposed it, or empty.
    """

    recipe: SegmentationRecipe
    labels: Labels
    proposal: Labels | None
    model_hash: str

    def is_untouched(self, value: int) -> bool:
        """Return whether a structure is voxel by voxel what was proposed."""
        proposal = self.proposal
        return proposal is not None and np.array_equal(self.labels == value, proposal == value)


def origin_of(
    root: Path, project: Project, recipe: SegmentationRecipe, labels: Labels
) -> SegmentOrigin:
    """Read what is known about the origin of a segmentation.

    Args:
        root: The project folder.
        project: The project as it is now.
        recipe: What the project says of it.
        labels: The segmentation, label values, shape (k, j, i).

    Raises:
        PseudoLabelCLError: A file of the project cannot be read.
    """
    layout, round_index = ProjectLayout(root), recipe.round_index
    if round_index is None:
        return SegmentOrigin(recipe, labels, None, "")
    file, model = layout.proposal(round_index, recipe.case_id), layout.model(round_index)
    proposal = read_segmentation(file, project.schema)[0].array if file.exists() else None
    if proposal is not None and proposal.shape != labels.shape:
        proposal = None
    return SegmentOrigin(
        recipe, labels, proposal, file_fingerprint(model) if model.exists() else ""
    )


def segment_of(label: LabelClass, origin: SegmentOrigin, series_uid: str) -> ObjectSegment:
    """Return what the object says of a structure.

    Raises:
        ProjectError: The structure has no codes yet.
    """
    terms = label.chosen_terms
    if terms is None:
        raise ProjectError(
            Text("The structure '{structure}' has no terminology codes.", structure=label.name),
            Text("Choose its terminology in the project's structures."),
        )
    type_ = algorithm_type_of(label, origin)
    return ObjectSegment(
        label=clean_text(label.name),
        terminology=terms,
        color=label.color,
        algorithm_type=type_,
        algorithm=None if type_ is AlgorithmType.MANUAL else _algorithm(origin),
        tracking_id=clean_text(f"{in_words(terms)} ({label.segment_id})"),
        tracking_uid=tracking_uid_of(series_uid, label.segment_id, terms),
        description=_told(label, origin),
    )


def description_of(origin: SegmentOrigin, creator: str) -> ObjectDescription:
    """Return what the object says of itself: the round, and who confirmed it."""
    round_index = origin.recipe.round_index
    by_hand = round_index is None
    series = "Segmentation, by hand" if by_hand else f"Segmentation, round {round_index}"
    return ObjectDescription(
        series_description=f"{series} ({_STATES[origin.recipe.source]})"[:LONGEST_LABEL],
        content_description=_what_counts(origin.recipe),
        creator=creator,
        software_version=__version__,
        series_number=_FIRST_SERIES_NUMBER + (0 if round_index is None else round_index + 1),
        instance_uid=new_uid(),
    )


def algorithm_type_of(label: LabelClass, origin: SegmentOrigin) -> AlgorithmType:
    """Return MANUAL if drawn by a person, SEMIAUTOMATIC if corrected, AUTOMATIC if as proposed."""
    source = origin.recipe.source
    if source == "annotated":
        return AlgorithmType.MANUAL
    if source == "corrected" and not origin.is_untouched(label.value):
        return AlgorithmType.SEMIAUTOMATIC
    return AlgorithmType.AUTOMATIC


def person_name(text: str) -> str:
    """Return who answers for the content as a DICOM person name; the program if nobody is named.

    A name without parts is one of before 1993, of which validators warn.
    """
    name = clean_text(text) or PROGRAM
    return name if "^" in name else f"{name[: LONGEST_LABEL - 1]}^"


_STATES = {
    "annotated": "drawn",
    "accepted": "accepted",
    "corrected": "corrected",
    "proposal, unreviewed": "not reviewed",
}


def _what_counts(recipe: SegmentationRecipe) -> str:
    """Return how much of a segmentation a person confirmed, in at most 64 characters."""
    share = f"Reviewed by a person: {recipe.human_fraction:.0%} of the slices"
    has_more = recipe.has_single_voxels and recipe.human_fraction < 1
    return f"{share}, and single voxels" if has_more else share


def _algorithm(origin: SegmentOrigin) -> Algorithm:
    parameters = [("round", str(origin.recipe.round_index))]
    if origin.model_hash:
        parameters.append(("model", origin.model_hash))
    return Algorithm(PROGRAM, __version__, tuple(parameters))


def _told(label: LabelClass, origin: SegmentOrigin) -> str:
    recipe = origin.recipe
    if recipe.source == "annotated":
        return "Drawn by a person."
    proposal = f"Proposal of round {recipe.round_index}"
    if label.name in recipe.left_out((label,)):
        return f"{proposal}; a person rejected this structure and accepted others."
    if recipe.source == "proposal, unreviewed":
        return f"{proposal}; no person has reviewed it."
    part = "" if recipe.human_fraction == 1 else f" {_what_counts(recipe)}."
    if recipe.source == "accepted":
        return f"{proposal}; a person accepted it as it is.{part}"
    if origin.is_untouched(label.value):
        return f"{proposal}; a person reviewed it and left this structure as it is.{part}"
    return f"{proposal}; corrected by a person.{part}"
