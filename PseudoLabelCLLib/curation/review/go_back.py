"""Making an earlier round the newest; what came later is put aside, not deleted."""

from dataclasses import replace
from pathlib import Path

from PseudoLabelCLLib.curation.review.files_set_aside import moving_aside
from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.files.atomic_files import storage_error
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout, round_index
from PseudoLabelCLLib.storage.project.project_lock import project_lock
from PseudoLabelCLLib.storage.project.project_store import save_round

BEFORE_ALL = -1
_REVIEWABLE = (RoundState.IN_REVIEW, RoundState.CLOSED)


def go_back(root: Path, project: Project, index: int) -> Project:
    """Make a round the newest, in review with its own proposals and verdicts.

    Later rounds and the verdicts on them move to `set_aside/`, and before round 0 a pre-training
    that was interrupted; cases, their roles, segmentations and settings stay as they are. The
    verdicts on a round go before the round itself, the newest round first, so that a kill in
    between leaves a project with fewer rounds or verdicts, never a verdict on another round's
    proposal.

    Args:
        root: The project folder.
        project: The project as it is now.
        index: The round; -1 goes back to before round 0.

    Raises:
        ProjectError: There is no such round, it has no proposals, or it is the newest in review;
            or nothing was begun.
        ProjectInUseError: A training runs.
        StorageError: The disk refuses; everything is where it was.
    """
    layout = ProjectLayout(root)
    gives_up_pretraining = index == BEFORE_ALL and layout.pretraining_checkpoint.exists()
    target = None if gives_up_pretraining else _target(project, index)
    with (
        project_lock(layout.worker_lock, Text("going back to an earlier round")),
        moving_aside(root) as aside,
    ):
        for later in _later_rounds(layout, index):
            aside.move(layout.review_folder(later))
            aside.move(layout.round_folder(later))
        if gives_up_pretraining:
            aside.move(layout.pretraining_checkpoint)
        if target is not None:
            save_round(root, target)
    return replace(
        project,
        rounds=() if target is None else (*project.rounds[:index], target),
        reviews=tuple(review for review in project.reviews if review.round_index <= index),
    )


def _target(project: Project, index: int) -> Round | None:
    """Return the round as it will be; None before round 0."""
    if not BEFORE_ALL <= index < len(project.rounds) or not project.rounds:
        told = ", ".join(str(round_.index) for round_ in project.rounds) or Text("none")
        raise ProjectError(
            Text(
                "There is no round {index} to go back to (rounds: {rounds}).",
                index=index,
                rounds=told,
            ),
            Text("Choose one of the project's rounds, or -1 for the state before round 0."),
        )
    if index == BEFORE_ALL:
        return None
    round_ = project.rounds[index]
    if round_.state not in _REVIEWABLE:
        raise ProjectError(
            Text(
                "Round {index} is '{state}': it has no proposals to go back to.",
                index=index,
                state=round_.state.word,
            ),
            Text(
                "Go back to round {index}, or let the training finish this round.", index=index - 1
            )
            if index
            else Text("Go back to before round 0, or let the training finish this round."),
        )
    if round_.state is RoundState.IN_REVIEW and round_ == project.latest_round:
        raise ProjectError(
            Text("Round {index} is the newest one and in review already.", index=index),
            Text("Choose an earlier round."),
        )
    return replace(round_, state=RoundState.IN_REVIEW)


def _later_rounds(layout: ProjectLayout, index: int) -> list[int]:
    """Return the rounds to put aside, newest first, also those that were hardly begun."""
    found: set[int] = set()
    for folder in (layout.rounds, layout.reviews):
        try:
            names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
        except OSError as error:
            raise storage_error(folder, error, action="read") from error
        found |= {number for name in names if (number := round_index(name)) is not None}
    return sorted((number for number in found if number > index), reverse=True)
