"""Which slices of an annotation count: all of them, or only those that were drawn."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from PseudoLabelCLLib.curation.check.drawn_slices import DRAWN, drawn_slices
from PseudoLabelCLLib.curation.grids.human_truth import read_on_grid
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import KeptAnswer
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import save_cases


def choose_counting_slices(
    root: Path, project: Project, case_ids: Sequence[str], *, only_drawn: bool
) -> Project:
    """Let only the drawn slices of annotated cases count, or all; it counts from the next round on.

    Args:
        root: The project folder.
        project: The project as it is now.
        case_ids: Annotated cases.
        only_drawn: Whether the slices without a drawing are unlabelled, and get proposals.

    Raises:
        ProjectError: There is no such case, or it is not annotated; then nothing changes.
        PseudoLabelCLError: A segmentation cannot be read, or the disk refuses.
    """
    changed = project
    for case_id in case_ids:
        case = project.case(case_id)
        if case.role is not CaseRole.ANNOTATED:
            raise ProjectError(
                Text(
                    "Case '{case}' is {role}; only annotated cases can count on single slices.",
                    case=case.id,
                    role=case.role.word,
                ),
                Text("Choose annotated cases."),
            )
        changed = with_counting_slices(root, changed, case.id, only_drawn=only_drawn)
        chosen = changed.case(case.id)
        told = f"Which slices of case '{case.id}' count was chosen."
        answer = KeptAnswer(QuestionKind.SPARSE, DRAWN if only_drawn else "all", told)
        changed = changed.with_case(chosen.with_answers([answer]))
    save_cases(root, changed)
    return changed


def with_counting_slices(
    root: Path, project: Project, case_id: str, *, only_drawn: bool
) -> Project:
    """Return the project in which only the drawn slices of a case count, or all.

    Raises:
        PseudoLabelCLError: The segmentation is missing or cannot be read.
    """
    case = project.case(case_id)
    numbers = None
    if only_drawn:
        if case.annotation is None:
            raise ProjectError(
                Text("Case '{case}' has no segmentation.", case=case.id), Text("Add one first.")
            )
        labels = read_on_grid(ProjectLayout(root).own(case.annotation), project.schema, case)
        numbers = drawn_slices(labels, project.slicing_axis_of(case.id))
    changed = project.with_case(replace(case, drawn_slices=numbers))
    return changed if numbers is None else changed.with_plane_settled()
