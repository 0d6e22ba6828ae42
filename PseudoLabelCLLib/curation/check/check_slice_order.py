"""Volumes whose slices may run the other way than their headers say; asked before training."""

from collections.abc import Iterator, Sequence

import numpy as np

from PseudoLabelCLLib.curation.check.case_finding import Finding, asked
from PseudoLabelCLLib.curation.check.slice_order import SlicedVolume, find_slice_order, profile_of
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.findings import Note
from PseudoLabelCLLib.domain.pretraining_config import (
    GlobalStrategy,
    LocalStrategy,
    Pretraining,
    PretrainingConfig,
)
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import Question
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.text import NO_TEXT, Text
from PseudoLabelCLLib.domain.volume import Volume, array_axis

REVERSED = "reversed"
_MAX_NAMED = 8


def counts_places(config: PretrainingConfig) -> bool:
    """Return whether a pre-training compares where slices lie in their volumes."""
    if config.method is Pretraining.POSITIONAL:
        return config.positional.order_volumes
    settings = config.global_local
    has_parts = (
        settings.global_steps > 0 and settings.global_strategy is not GlobalStrategy.RANDOM
    ) or (settings.local_steps > 0 and settings.local_strategy is not LocalStrategy.RANDOM)
    return config.method is Pretraining.GLOBAL_LOCAL and has_parts


def needs_order(project: Project, case: Case) -> bool:
    """Return whether the order of a case's slices matters: before round 0, in a pre-training."""
    takes_part = case.role in (CaseRole.ANNOTATED, CaseRole.UNLABELLED)
    return takes_part and not project.rounds and counts_places(project.config.pretraining)


def sliced(project: Project, case: Case, volume: Volume) -> SlicedVolume:
    """Return what shows the order of a case's slices."""
    axis = project.slicing_axis_of(case.id)
    slices = np.moveaxis(volume.array, array_axis(axis), 0)
    return SlicedVolume(case.id, case.geometry, axis, profile_of(slices))


def order_findings(project: Project, volumes: Sequence[SlicedVolume]) -> Iterator[Finding]:
    """Yield a question for each volume whose header cannot tell, and a note of doubtful ones."""
    order = find_slice_order(volumes)
    for case_id in order.reversed_content:
        if project.case(case_id).answer_to(QuestionKind.SLICE_ORDER) is None:
            message = Text(
                "Judging by its contents, case '{case}' begins where most volumes end "
                "(such as at the apex instead of the base), and its header cannot "
                "settle this: its axes lie along the world's, as in files that have "
                "lost their orientation. Pre-training compares slices by their position "
                "in the volume.",
                case=case_id,
            )
            yield asked(Question(QuestionKind.SLICE_ORDER, message, 0, case_id))
    if order.doubtful:
        named = ", ".join(f"'{case_id}'" for case_id in order.doubtful[:_MAX_NAMED])
        more = ", ..." if order.doubtful[_MAX_NAMED:] else ""
        yield Finding("", "note", Note.ORDER_BY_HEADER.say(cases=f"{named}{more}"), NO_TEXT)
