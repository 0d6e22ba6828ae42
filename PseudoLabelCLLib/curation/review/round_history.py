"""How good every round was: Dice where there is truth, agreement with corrections, doubt."""

import hashlib
import json
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PseudoLabelCLLib.curation.grids.stored_files import read_doubt
from PseudoLabelCLLib.curation.review.agreement import agreement_with_proposal
from PseudoLabelCLLib.domain.errors import ProjectDamagedError, PseudoLabelCLError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.reporting import ReportProgress
from PseudoLabelCLLib.domain.review import Review
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.json_codec import JsonValue, from_json, to_json
from PseudoLabelCLLib.messages.project_view import RoundFigures
from PseudoLabelCLLib.storage.files.atomic_files import read_json, write_json
from PseudoLabelCLLib.storage.files.fingerprint import file_fingerprint
from PseudoLabelCLLib.storage.files.own_seals import is_seal_of_text, seal_of_text
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout

_AGREEMENTS = "agreements"


@dataclass(frozen=True)
class _Kept:
    """What was measured before, by what it depends on, and this computer's seal of it."""

    agreements: dict[str, float | None]
    seal: str


def round_figures(
    root: Path, project: Project, progress: ReportProgress
) -> tuple[RoundFigures, ...]:
    """Measure the rounds so far.

    Comparing corrections with proposals reads two segmentations for each verdict; what was
    compared before is taken from `view/agreement.json`, where it lies under the content of both.

    Args:
        root: The project folder.
        project: The project as it is now.
        progress: Told how many verdicts were compared.

    Returns:
        One entry for each round, round 0 first. Dice is the mean over the validation cases that
        the round was measured on, agreement the mean over the verdicts that accept or correct,
        each of them the mean over its structures; doubt the mean over the proposals for review.

    Raises:
        ProjectDamagedError: A file of a round is not what was written there.
        AnnotationError: A segmentation does not fit the labels.
        VolumeError: A segmentation is damaged.
        StorageError: The disk refuses.
    """
    layout = ProjectLayout(root)
    agreements = _agreements(root, project, progress)
    figures = []
    for round_ in project.rounds:
        compared = [
            value
            for review in project.reviews
            if review.round_index == round_.index
            and (value := agreements.get((review.case_id, round_.index))) is not None
        ]
        is_done = round_.state in (RoundState.IN_REVIEW, RoundState.CLOSED)
        figures.append(
            RoundFigures(
                index=round_.index,
                validation_dice=_validation_dice(layout.evaluation(round_.index)),
                agreement=_mean(compared),
                num_compared=len(compared),
                mean_doubt=_mean(_doubts(layout, project, round_.index)) if is_done else None,
            )
        )
    return tuple(figures)


def _agreements(
    root: Path, project: Project, progress: ReportProgress
) -> dict[tuple[str, int], float | None]:
    """Return the agreement of each verdict by case and round; None where nothing is comparable."""
    cache_file = ProjectLayout(root).agreements
    before = _read_cache(cache_file)
    used: dict[str, float | None] = {}
    found: dict[tuple[str, int], float | None] = {}
    reviews = [review for review in project.reviews if _can_be_compared(root, project, review)]
    for number, review in enumerate(reviews):
        progress(Text("Comparing corrections with proposals"), number, len(reviews))
        key = _key(root, project, review)
        if key in before:
            used[key] = before[key]
        else:
            dice = agreement_with_proposal(root, project, review) or {}
            used[key] = _mean(value for value in dice.values() if value is not None)
        found[review.case_id, review.round_index] = used[key]
    if used != before:
        write_json(cache_file, to_json(_Kept(used, seal_of_text(_AGREEMENTS, _text_of(used)))))
    return found


def _can_be_compared(root: Path, project: Project, review: Review) -> bool:
    """Return whether both segmentations are there; where a person deleted one, nothing is known."""
    layout = ProjectLayout(root)
    return (
        review.segmentation is not None
        and any(case.id == review.case_id for case in project.cases)
        and all(layout.own(file).is_file() for file in review.files)
        and layout.proposal(review.round_index, review.case_id).is_file()
    )


def _key(root: Path, project: Project, review: Review) -> str:
    """Return what changes with everything that the agreement depends on."""
    layout = ProjectLayout(root)
    depends_on: list[JsonValue] = [
        file_fingerprint(layout.proposal(review.round_index, review.case_id)),
        file_fingerprint(layout.own(review.segmentation or "")),
        to_json(review.truth_slices),
        to_json(review.left_out),
        review.truth_mask and file_fingerprint(layout.own(review.truth_mask)),
        project.slicing_axis_of(review.case_id),
        to_json(project.schema),
    ]
    return hashlib.sha256(json.dumps(depends_on).encode()).hexdigest()


def _read_cache(path: Path) -> dict[str, float | None]:
    """Return what was measured before on this computer; any other cache is made again."""
    if not path.is_file():
        return {}
    try:
        kept = from_json(_Kept, read_json(path), path.name)
    except PseudoLabelCLError:
        return {}
    is_own = is_seal_of_text(kept.seal, _AGREEMENTS, _text_of(kept.agreements))
    return kept.agreements if is_own else {}


def _text_of(agreements: dict[str, float | None]) -> str:
    return json.dumps(agreements, sort_keys=True)


def _validation_dice(path: Path) -> float | None:
    """Return the mean Dice in a round's evaluation, or None without validation cases."""
    value = read_json(path) if path.is_file() else None
    for name in ("summary", "mean", "dice", "mean"):
        value = None if value is None else _part(path, value, name)
    return None if value is None else from_json(float, value, path.name)


def _validated_ids(path: Path) -> set[str]:
    """Return the cases that a round was measured on."""
    cases = _part(path, read_json(path), "cases") if path.is_file() else []
    if not isinstance(cases, list):
        raise _damaged(path, "cases")
    return {str(_part(path, case, "id")) for case in cases}


def _part(path: Path, value: JsonValue, name: str) -> JsonValue:
    if not isinstance(value, dict) or name not in value:
        raise _damaged(path, name)
    return value[name]


def _damaged(path: Path, name: str) -> ProjectDamagedError:
    return ProjectDamagedError(
        Text(
            "{folder}/{file} is damaged: it lacks the field '{name}'.",
            folder=path.parent.name,
            file=path.name,
            name=name,
        ),
        Text("Restore the file from a backup, or delete it."),
    )


def _doubts(layout: ProjectLayout, project: Project, index: int) -> list[float]:
    """Return the doubts about what a round proposed for review, without its validation cases."""
    validated = _validated_ids(layout.evaluation(index))
    found = (
        read_doubt(layout.doubt(index, case.id))
        for case in project.cases
        if case.id not in validated
    )
    return [doubt.doubt for doubt in found if doubt is not None]


def _mean(values: Iterable[float]) -> float | None:
    counted = list(values)
    return statistics.fmean(counted) if counted else None
