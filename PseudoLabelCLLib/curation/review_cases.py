"""A person's verdicts on the pseudo-labels of the newest round."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.curation.history import keep_in_history
from PseudoLabelCLLib.curation.left_out import (
    require_something_to_vouch_for,
    structures_to_leave_out,
    without_structures,
)
from PseudoLabelCLLib.curation.match_grid import matched_to_grid, matches_by_cropping
from PseudoLabelCLLib.curation.verdict_history import (
    forget_verdict,
    keep_taken_back,
    put_verdict_back,
    replaced_verdicts,
    require_segmentation,
)
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.errors import ReviewError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.pseudo_label import Doubt
from PseudoLabelCLLib.domain.review import Review, Verdict
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume, array_axis
from PseudoLabelCLLib.storage.atomic_files import read_json, written_aside
from PseudoLabelCLLib.storage.json_codec import from_json
from PseudoLabelCLLib.storage.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project_store import make_review_folder, save_review
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation


@dataclass(frozen=True)
class QueueItem:
    """One pseudo-label to look at.

    Args:
        case_id: The case.
        doubt: 0 (sure) to 1.
        reason: Why to look, in one sentence.
        verdict: The verdict that stands, or None.
        left_out: Label values of structures that this verdict rejects.
    """

    case_id: str
    doubt: float
    reason: str
    verdict: Verdict | None
    left_out: tuple[int, ...] = ()


def review_queue(root: Path, project: Project) -> tuple[QueueItem, ...]:
    """Return the proposals of the round in review, most doubtful first; none if no round is.

    Raises:
        ProjectDamagedError: A doubt score is not what was written there.
        StorageError: It cannot be read.
    """
    latest = project.latest_round
    if latest is None or latest.state is not RoundState.IN_REVIEW:
        return ()
    layout = ProjectLayout(root)
    reviews = {r.case_id: r for r in project.reviews if r.round_index == latest.index}
    items = []
    for case in project.cases_with_role(CaseRole.UNLABELLED):
        if layout.proposal(latest.index, case.id).exists():
            doubt = _read_doubt(layout.doubt(latest.index, case.id))
            item = QueueItem(case.id, doubt.doubt, doubt.reason, None)
            judged = reviews.get(case.id)
            if judged is not None:
                item = replace(item, verdict=judged.verdict, left_out=judged.left_out)
            items.append(item)
    return tuple(sorted(items, key=lambda item: -item.doubt))


def require_proposal(root: Path, project: Project, case_id: str) -> None:
    """Refuse a case that there is nothing to judge about.

    Raises:
        ProjectError: There is no such case.
        ReviewError: No round is in review, or it has no proposal for the case.
    """
    _find_proposal(root, project, case_id)


def accept(root: Path, project: Project, case_id: str, *, left_out: Sequence[int] = ()) -> Project:
    """Take the pseudo-label of a case as it is, or all but some structures of it.

    Args:
        root: The project folder.
        project: The project as it is now.
        case_id: The case.
        left_out: Label values of structures that the person rejects.

    Raises:
        ReviewError: No round is in review, it has no proposal for the case, or nothing is left of
            the proposal without those structures.
        StorageError: The disk refuses.
    """
    case, round_, proposal_file = _find_proposal(root, project, case_id)
    rejected = structures_to_leave_out(project.schema, case.id, left_out)
    proposal = _read_proposal(proposal_file, project.schema, case)
    axis = project.slicing_axis_of(case.id)
    require_something_to_vouch_for(proposal, case.id, rejected, slicing_axis=axis)
    layout = ProjectLayout(root)
    target = layout.reviewed_segmentation(round_.index, case.id)
    _make_way(root, project, case.id, round_.index)
    with written_aside(target) as temporary:
        shutil.copyfile(proposal_file, temporary)
    review = Review(
        case.id, round_.index, Verdict.ACCEPTED, layout.relative(target), left_out=rejected
    )
    return _save(root, project, review)


def reject(root: Path, project: Project, case_id: str) -> Project:
    """Leave the pseudo-label of a case out of the next round.

    Raises:
        ReviewError: No round is in review, or it has no proposal for the case.
        StorageError: The disk refuses.
    """
    case, round_, _ = _find_proposal(root, project, case_id)
    _make_way(root, project, case.id, round_.index)
    return _save(root, project, Review(case.id, round_.index, Verdict.REJECTED, None))


def correct(  # noqa: PLR0913 - what is corrected, by what, and three ways to say how much of it
    root: Path,
    project: Project,
    case_id: str,
    file: Path,
    *,
    slices: Sequence[int] | None = None,
    whole: bool = False,
    left_out: Sequence[int] = (),
) -> Project:
    """Take a person's segmentation in place of the pseudo-label.

    Args:
        root: The project folder.
        project: The project as it is now.
        case_id: The case.
        file: The corrected segmentation, on the case's grid or cropped from it.
        slices: Indices along the slicing axis that the person vouches for; by default those that
            differ from the proposal.
        whole: Whether the person vouches for every slice.
        left_out: Label values of structures that the person rejects, whatever the file has of
            them.

    Raises:
        ReviewError: No round is in review, there is no proposal, or the file does not correct it.
        AnnotationError: The file has labels outside the schema or lies elsewhere.
        VolumeError: The file cannot be read.
        StorageError: The disk refuses.
    """
    case, round_, proposal_file = _find_proposal(root, project, case_id)
    rejected = structures_to_leave_out(project.schema, case.id, left_out)
    proposal = _read_proposal(proposal_file, project.schema, case)
    corrected = _read_correction(file, project.schema, case)
    axis = project.slicing_axis_of(case.id)
    changed = changed_slices(
        without_structures(proposal, rejected), without_structures(corrected, rejected), axis
    )
    truth_slices = _truth_slices(
        changed,
        case_id=case.id,
        num_slices=project.num_slices_of(case.id),
        slices=slices,
        whole=whole,
        leaves_out=bool(rejected),
    )
    if slices is None and not np.any(corrected.array):
        raise ReviewError(
            f"The correction of case '{case.id}' holds no label at all.",
            "Reject the proposal, or name the slices that are rightly empty.",
        )
    require_something_to_vouch_for(
        corrected, case.id, rejected, slicing_axis=axis, slices=truth_slices
    )
    layout = ProjectLayout(root)
    target = layout.reviewed_segmentation(round_.index, case.id)
    _make_way(root, project, case.id, round_.index)
    write_segmentation(target, corrected, project.schema)
    segmentation = layout.relative(target)
    review = Review(
        case.id, round_.index, Verdict.CORRECTED, segmentation, truth_slices, left_out=rejected
    )
    return _save(root, project, review)


def changed_slices(first: LabelVolume, second: LabelVolume, slicing_axis: int) -> tuple[int, ...]:
    """Return the slices in which two segmentations of one grid differ.

    Args:
        first: One segmentation.
        second: The other.
        slicing_axis: 0, 1 or 2 for i, j, k.
    """
    axis = array_axis(slicing_axis)
    others = tuple(n for n in range(first.array.ndim) if n != axis)
    differs = np.any(first.array != second.array, axis=others)
    return tuple(int(number) for number in np.flatnonzero(differs))


def agreement_with_proposal(
    root: Path, project: Project, review: Review
) -> dict[str, float | None] | None:
    """Return how right the network was, as the person's verdict shows it.

    Returns:
        Dice (0..1) of each structure by name between proposal and reviewed segmentation, on the
        slices that the person vouches for; None for a structure that neither has, or that the
        person left out. None in place of the table if the proposal was rejected.

    Raises:
        AnnotationError: A file does not fit the labels.
        VolumeError: A file cannot be read.
    """
    if review.segmentation is None:
        return None
    layout, schema = ProjectLayout(root), project.schema
    proposal = read_segmentation(layout.proposal(review.round_index, review.case_id), schema)[0]
    reviewed = read_segmentation(layout.resolve(review.segmentation), schema)[0]
    axis = array_axis(project.slicing_axis_of(review.case_id))
    slices = review.truth_slices or range(reviewed.array.shape[axis])
    first, second = (np.take(v.array, list(slices), axis) for v in (proposal, reviewed))
    return {
        label.name: None
        if label.value in review.left_out
        else _dice(first == label.value, second == label.value)
        for label in schema
    }


def take_back(root: Path, project: Project, case_id: str) -> Project:
    """Undo the newest verdict on the newest proposal; the one before it counts again.

    Without one before it, the proposal is unreviewed again. What is taken back stays in
    `history/taken_back/`.

    Raises:
        ReviewError: No round is in review, there is no verdict, or the earlier one is damaged.
        StorageError: The disk refuses.
    """
    case, round_, _ = _find_proposal(root, project, case_id)
    layout = ProjectLayout(root)
    standing = next((r for r in project.reviews_of(case.id) if r.round_index == round_.index), None)
    if standing is None:
        raise ReviewError(
            f"There is no verdict on the proposal of case '{case.id}' in round {round_.index}.",
            "Nothing is to be taken back.",
        )
    earlier = replaced_verdicts(layout, standing)
    if earlier:
        require_segmentation(layout, earlier[-1].review)
    keep_taken_back(layout, standing)
    if earlier:
        return project.with_review(put_verdict_back(layout, earlier[-1]))
    forget_verdict(layout, standing)
    return replace(project, reviews=tuple(r for r in project.reviews if r != standing))


def _find_proposal(root: Path, project: Project, case_id: str) -> tuple[Case, Round, Path]:
    """Return a case, the round in review, and where its proposal for the case lies."""
    latest = project.latest_round
    if latest is None:
        raise ReviewError("There is no round to review yet.", "Train round 0 first.")
    if latest.state is not RoundState.IN_REVIEW:
        raise ReviewError(
            f"Round {latest.index} is '{latest.state.value}', not in review.",
            "Wait until its pseudo-labels are ready.",
        )
    case = project.case(case_id)
    proposal = ProjectLayout(root).proposal(latest.index, case.id)
    if case.role is not CaseRole.UNLABELLED or not proposal.exists():
        raise ReviewError(
            f"Round {latest.index} has no pseudo-label for case '{case.id}' ({case.role.value}).",
            "Choose a case from the review list.",
        )
    return case, latest, proposal


def _read_proposal(path: Path, schema: LabelSchema, case: Case) -> LabelVolume:
    proposal = read_segmentation(path, schema)[0]
    if not proposal.geometry.is_close_to(case.geometry):
        raise ReviewError(
            f"The pseudo-label of case '{case.id}' has {proposal.geometry.describe()}, "
            f"its image has {case.geometry.describe()}.",
            "Train the round again.",
        )
    return proposal


def _read_correction(file: Path, schema: LabelSchema, case: Case) -> LabelVolume:
    corrected = read_segmentation(file, schema)[0]
    if not np.any(corrected.array):
        # Slicer crops to what is segmented; of nothing, no position is left to compare.
        return LabelVolume(np.zeros(case.geometry.array_shape, np.int16), case.geometry)
    matched, notices = matched_to_grid(corrected, case.geometry, file_name=file.name)
    kept = np.count_nonzero(matched.array) == np.count_nonzero(corrected.array)
    if notices and not (kept and matches_by_cropping(corrected.geometry, case.geometry)):
        raise ReviewError(
            f"The correction '{file.name}' has another grid ({corrected.geometry.describe()}) "
            f"than case '{case.id}' ({case.geometry.describe()}), or lies elsewhere.",
            "Save it with the case's image as its reference.",
        )
    return matched


def _truth_slices(
    changed: tuple[int, ...],
    *,
    case_id: str,
    num_slices: int,
    slices: Sequence[int] | None,
    whole: bool,
    leaves_out: bool,
) -> tuple[int, ...] | None:
    """Return the slices that a correction vouches for; None for all."""
    if slices is not None and whole:
        raise ReviewError(
            "A correction covers either every slice or the named ones, not both.",
            "Choose one of the two.",
        )
    if slices is not None:
        wrong = [number for number in slices if not 0 <= number < num_slices]
        if wrong:
            raise ReviewError(
                f"Case '{case_id}' has no slice {', '.join(map(str, wrong))}; "
                f"its slices are 0 to {num_slices - 1}.",
                "Name slices that the case has.",
            )
        chosen = tuple(sorted(set(slices)))
        return None if len(chosen) == num_slices else chosen
    if not changed:
        raise ReviewError(
            f"The correction of case '{case_id}' is equal to the proposal"
            f"{' in what is not left out' if leaves_out else ''}.",
            f"Accept the proposal instead{', and leave out the same' if leaves_out else ''}.",
        )
    return None if whole or len(changed) == num_slices else changed


def _make_way(root: Path, project: Project, case_id: str, round_index: int) -> None:
    """Keep an earlier verdict on the same proposal in the history before it is replaced.

    The earlier verdict points to the history's copy before its own segmentation is written over,
    so that at every moment the verdict on disk goes with the segmentation that it names. The folder
    for the new verdict is there afterwards.
    """
    make_review_folder(root, round_index)
    layout = ProjectLayout(root)
    segmentation = layout.reviewed_segmentation(round_index, case_id)
    kept = keep_in_history(segmentation) if segmentation.exists() else None
    earlier = next((r for r in project.reviews_of(case_id) if r.round_index == round_index), None)
    if earlier is None:
        return
    if kept is not None and layout.relative(segmentation) == earlier.segmentation:
        save_review(root, replace(earlier, segmentation=layout.relative(kept)))
    keep_in_history(layout.review(round_index, case_id))


def _save(root: Path, project: Project, review: Review) -> Project:
    review = replace(review, time=datetime.now(timezone.utc).isoformat(timespec="seconds"))
    save_review(root, review)
    return project.with_review(review)


def _read_doubt(path: Path) -> Doubt:
    if not path.exists():
        return Doubt(1.0, 0.0, (), "Its doubt score is missing.")
    value = read_json(path)
    if isinstance(value, dict):
        value = {name: item for name, item in value.items() if name != "schema_version"}
    return from_json(Doubt, value, path.name)


def _dice(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> float | None:
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else None
