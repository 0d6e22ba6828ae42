"""The anatomy prior in a round: from which volumes, for which structures, and what is told."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.reporting import Cancelled, Report
from PseudoLabelCLLib.domain.text import Text, counted, listed
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.pipeline.anatomy.atlases import ProjectAtlases
from PseudoLabelCLLib.pipeline.prediction.measure_quality import measure_quality
from PseudoLabelCLLib.pipeline.prediction.model_file import TrainedModel
from PseudoLabelCLLib.pipeline.prediction.segment_volume import (
    AnatomyOfCase,
    Refinement,
    segment_slices,
)
from PseudoLabelCLLib.pipeline.rounds.round_data import RoundInputs
from PseudoLabelCLLib.pipeline.slices.case_slices import annotation_of, load_case_slices


@dataclass(frozen=True)
class RoundAnatomy:
    """What annotated and confirmed volumes say of the cases of a round.

    Args:
        atlases: These volumes.
        weight: Where they count in full.
        helps: For each structure, whether they may count at all.
    """

    atlases: ProjectAtlases
    weight: float
    helps: tuple[bool, ...]

    def of_case(self, case: Case) -> AnatomyOfCase | None:
        """Return what they say of a case, or None where they do not align with it.

        Raises:
            PseudoLabelCLError: An image or a segmentation cannot be read.
        """
        carried = self.atlases.carry_to(case) if any(self.helps) else None
        if carried is None:
            return None
        trust = tuple(
            one if is_used else 0.0 for one, is_used in zip(carried.trust, self.helps, strict=True)
        )
        carried = replace(carried, trust=trust)
        return AnatomyOfCase(carried, self.weight) if carried.says_something else None


def anatomy_of_round(
    inputs: RoundInputs, model: TrainedModel, device: ComputeDevice, report: Report
) -> RoundAnatomy | None:
    """Return what may be carried over to the cases, and say so; None where settings want none.

    Where there are validation cases, a structure whose Dice anatomy lowers on them goes without.

    Raises:
        Cancelled: Asked to stop.
    """
    settings = inputs.project.config.pseudo_label.anatomy_prior
    if not settings.enabled:
        return None
    atlases = ProjectAtlases(inputs.root, inputs.project, inputs.plan)
    if not len(atlases):
        report.notice(
            Text(
                "No volume was annotated or confirmed as a whole, so that proposals are the "
                "network's alone (pseudo_label.anatomy_prior)."
            ),
            warning=True,
        )
        return None
    report.notice(
        counted(
            len(atlases),
            "The anatomy of {count} annotated or confirmed volume is carried over to the others, "
            "and counts in their proposals where it aligns.",
            "The anatomy of {count} annotated or confirmed volumes is carried over to the others, "
            "and counts in their proposals where it aligns.",
        )
    )
    every = RoundAnatomy(atlases, settings.weight, (True,) * len(inputs.project.schema))
    gains = _gains_in_validation(every, inputs, model, device, report)
    names = inputs.project.schema.names
    worse = [name for name, gain in zip(names, gains, strict=True) if gain < 0]
    if worse:
        report.notice(
            Text(
                "On the validation cases the anatomy of other volumes makes these worse, so that "
                "it takes no part in them: {structures}.",
                structures=listed(worse),
            )
        )
    return replace(every, helps=tuple(gain >= 0 for gain in gains))


def anatomy_as_told(inputs: RoundInputs, helps: tuple[bool, ...]) -> RoundAnatomy:
    """Return the anatomy of a round, of which another process has found where it helps."""
    atlases = ProjectAtlases(inputs.root, inputs.project, inputs.plan)
    return RoundAnatomy(atlases, inputs.project.config.pseudo_label.anatomy_prior.weight, helps)


def tell_anatomy(with_anatomy: list[bool], report: Report) -> None:
    """Say in how many proposals anatomy took part.

    Args:
        with_anatomy: For each proposal that was made now.
        report: Who is told.
    """
    report.notice(
        Text(
            "Anatomy took part in {used} of {count} proposals. Elsewhere the annotated volumes "
            "do not align well enough, and the proposal is the network's alone.",
            used=sum(with_anatomy),
            count=len(with_anatomy),
        )
    )


def _gains_in_validation(
    anatomy: RoundAnatomy,
    inputs: RoundInputs,
    model: TrainedModel,
    device: ComputeDevice,
    report: Report,
) -> npt.NDArray[np.float64]:
    """Return by how much anatomy raises the Dice of each structure; 0 where nothing tells."""
    root, project = inputs.root, inputs.project
    cases = project.cases_with_role(CaseRole.VALIDATION)
    total = np.zeros(len(project.schema))
    for number, case in enumerate(cases, start=1):
        if report.is_cancelled():
            raise Cancelled
        said = anatomy.of_case(case)
        if said is not None:
            slices = load_case_slices(root, case, inputs.preprocess, project.channels)
            reference = annotation_of(root, case, project.schema)
            for refinement, sign in ((Refinement(), -1), (Refinement(anatomy=said), 1)):
                found = segment_slices(
                    model, slices.images, slices.grid, case.geometry, device, refinement
                )
                quality = measure_quality(found.labels, reference, project.schema)
                total += sign * np.array([one.dice or 0.0 for one in quality.classes])
        stage = Text("Round {index}: anatomy on validation cases", index=inputs.plan.index)
        report.progress(stage, number, len(cases))
    return total
