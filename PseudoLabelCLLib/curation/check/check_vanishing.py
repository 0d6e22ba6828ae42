"""How much of each structure is left at the pixel size of the network."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.curation.check.case_finding import Finding, asked
from PseudoLabelCLLib.curation.check.plan_spacing import annotations, settle_spacing
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import Question
from PseudoLabelCLLib.domain.question_kinds import QUESTIONS, Choice, QuestionKind
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text, joined
from PseudoLabelCLLib.domain.volume import LabelVolume, array_axis

FINER = "finer"
_FEWEST_VOXELS = 20
_LEAST_FRACTION = 0.1


@dataclass(frozen=True)
class Left:
    """What is left of a structure.

    Args:
        name: The structure.
        native: Voxels in the segmentation.
        at_network: Voxels at the pixel size of the network.
    """

    name: str
    native: int
    at_network: int

    @property
    def is_little(self) -> bool:
        """Whether hardly anything is left to learn from."""
        least = max(_FEWEST_VOXELS, _LEAST_FRACTION * self.native)
        return self.native > 0 and self.at_network < least


def network_pixel_mm(root: Path, project: Project, settled: PreprocessConfig | None) -> float:
    """Return the pixel size of the network: settled by round 0, set, or as it will be settled."""
    config = settled or project.preprocess
    if config.in_plane_spacing_mm is not None:
        return config.in_plane_spacing_mm
    grids = [case.geometry for case in project.cases if case.role is not CaseRole.IGNORED]
    try:
        known = list(annotations(root, project))
    except PseudoLabelCLError:
        known = []  # the check of that case says what is wrong
    return settle_spacing(config, grids, known).pixel_mm


def vanishing_findings(
    project: Project, case: Case, labels: LabelVolume, pixel_mm: float
) -> Iterator[Finding]:
    """Ask about the structures of an annotated case of which hardly a voxel is left.

    Args:
        project: The project.
        case: The case.
        labels: Its annotation.
        pixel_mm: The pixel size of the network.
    """
    if case.role is not CaseRole.ANNOTATED or case.answer_to(QuestionKind.VANISHING) is not None:
        return
    axis = project.slicing_axis_of(case.id)
    left = [one for one in left_at(labels, project.schema, axis, pixel_mm) if one.is_little]
    if not left:
        return
    told = joined(
        *(
            Text(
                "'{structure}' has {left} of {count} voxels left",
                structure=one.name,
                left=one.at_network,
                count=one.native,
            )
            for one in left
        ),
        by="; ",
    )
    own_mm = own_pixel_mm(case.geometry, axis)
    message = Text(
        "At the pixel size of the network ({pixel:.3g} mm; the pixels of case "
        "'{case}' have {own:.3g} mm), {found}.",
        pixel=pixel_mm,
        case=case.id,
        own=own_mm,
        found=told,
    )
    choices = QUESTIONS[QuestionKind.VANISHING].choices
    if not project.rounds and own_mm < pixel_mm:
        effect = Text(
            "sets preprocess.in_plane_spacing_mm to {size:.4g}, which trains longer",
            size=own_mm,
        )
        choices = (*choices, Choice(FINER, Text("Use smaller pixels"), effect))
    num_voxels = sum(one.native for one in left)
    yield asked(Question(QuestionKind.VANISHING, message, num_voxels, case.id, choices))


def left_at(
    labels: LabelVolume, schema: LabelSchema, slicing_axis: int, pixel_mm: float
) -> tuple[Left, ...]:
    """Return what is left of each structure on pixels of another size, by the nearest voxel.

    Args:
        labels: A segmentation.
        schema: The structures.
        slicing_axis: 0, 1 or 2 for i, j, k; along it nothing is resampled.
        pixel_mm: The other size.
    """
    spacing = labels.geometry.spacing_mm[::-1]
    array: npt.NDArray[np.int16] = labels.array
    for axis in range(array.ndim):
        if axis != array_axis(slicing_axis):
            array = array.take(_nearest(array.shape[axis], spacing[axis], pixel_mm), axis)
    return tuple(
        Left(
            label.name,
            int(np.count_nonzero(labels.array == label.value)),
            int(np.count_nonzero(array == label.value)),
        )
        for label in schema
    )


def own_pixel_mm(geometry: Geometry, slicing_axis: int) -> float:
    """Return the pixel size within a slice, the geometric mean of both sides."""
    sides = [mm for n, mm in enumerate(geometry.spacing_mm) if n != slicing_axis]
    return float(np.sqrt(np.prod(sides)))


def _nearest(size: int, spacing_mm: float, pixel_mm: float) -> Sequence[int]:
    resampled = max(1, round(size * spacing_mm / pixel_mm))
    places = (np.arange(resampled) + 0.5) * size / resampled
    found: list[int] = np.floor(places).astype(int).tolist()
    return found
