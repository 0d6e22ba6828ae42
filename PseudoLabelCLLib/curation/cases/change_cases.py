"""Giving cases another role, and taking cases out of a project."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from PseudoLabelCLLib.curation.review.files_set_aside import SetAside, moving_aside
from PseudoLabelCLLib.curation.review.verdict_history import TAKEN_BACK_FOLDER
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.errors import ProjectError, StorageError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.text import Text, counted
from PseudoLabelCLLib.storage.files.atomic_files import storage_error
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout, round_index
from PseudoLabelCLLib.storage.project.project_lock import project_lock
from PseudoLabelCLLib.storage.project.project_store import save_cases


def set_role(root: Path, project: Project, case_ids: Sequence[str], role: CaseRole) -> Project:
    """Give cases another role; it counts from the next round on.

    A segmentation stays with its case, whatever the role. Verdicts stay too: they count while the
    case is unlabelled, and again when it becomes so again. In a running review, a case that is no
    longer unlabelled leaves the queue.

    Raises:
        ProjectError: There is no such case, or the role needs a segmentation; then no role changes.
        StorageError: The disk refuses.
    """
    cases = [project.case(case_id) for case_id in case_ids]
    without = [case.id for case in cases if case.annotation is None]
    if role.needs_annotation and without:
        names = ", ".join(f"'{case_id}'" for case_id in without)
        raise ProjectError(
            counted(
                len(without),
                "Case {names} cannot be {role}: a person's segmentation is missing.",
                "The cases {names} cannot be {role}: a person's segmentation is missing.",
                names=names,
                role=role.word,
            ),
            Text("Add the volume again together with its segmentation."),
        )
    changed = project
    for case in cases:
        changed = changed.with_case(case.with_role(role))
    save_cases(root, changed)
    return changed


def remove_cases(root: Path, project: Project, case_ids: Sequence[str]) -> Project:
    """Take cases out of the project.

    Their segmentations, verdicts and proposals move to `set_aside/`, so that a case of the same
    name starts again. The verdicts go first, the newest before the older ones, then the proposals;
    a kill in between leaves the case in the project with fewer of them. The image stays where it
    is, unless the project has a copy.

    Raises:
        ProjectError: There is no such case; then none is taken out.
        ProjectInUseError: A training runs.
        StorageError: The disk refuses; everything is where it was.
    """
    cases = tuple(dict.fromkeys(project.case(case_id) for case_id in case_ids))
    ids = {case.id for case in cases}
    changed = replace(
        project,
        cases=tuple(case for case in project.cases if case.id not in ids),
        reviews=tuple(review for review in project.reviews if review.case_id not in ids),
    )
    layout = ProjectLayout(root)
    with project_lock(layout.worker_lock, Text("taking cases out")):
        with moving_aside(root) as aside:
            for case in cases:
                _put_rounds_aside(layout, case, aside)
            save_cases(root, changed)
        # No case names these any more; one that cannot be moved lies safely where it is.
        with suppress(StorageError):
            for case in cases:
                aside.move(layout.annotation(case.id))
                aside.move(layout.volume_copy(case.id))
                for image in case.further_images:
                    aside.move(layout.channel_copy(case.id, image.channel))
    return changed


def _put_rounds_aside(layout: ProjectLayout, case: Case, aside: SetAside) -> None:
    """Move what people and networks said of a case in every round, the newest round first."""
    for index in sorted(_all_rounds(layout), reverse=True):
        aside.move(layout.review(index, case.id))
        aside.move(layout.reviewed_segmentation(index, case.id))
        aside.move(layout.truth_mask(index, case.id))
        for file in _history_of(layout, index, case.id):
            aside.move(file)
        aside.move(layout.doubt(index, case.id))
        aside.move(layout.proposal(index, case.id))
        aside.move(layout.uncertainty(index, case.id))


def _all_rounds(layout: ProjectLayout) -> set[int]:
    names = (entry.name for folder in (layout.rounds, layout.reviews) for entry in _in(folder))
    return {index for name in names if (index := round_index(name)) is not None}


def _history_of(layout: ProjectLayout, index: int, case_id: str) -> Iterator[Path]:
    """Yield verdicts on a case that were replaced or taken back, with their segmentations."""
    own = re.compile(re.escape(case_id) + r"\.\d+\.(json|seg\.nrrd|truth\.nrrd)", re.IGNORECASE)
    for folder in (layout.review_history(index), layout.review_history(index, TAKEN_BACK_FOLDER)):
        yield from (file for file in _in(folder) if own.fullmatch(file.name))


def _in(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise storage_error(folder, error, action="read") from error
