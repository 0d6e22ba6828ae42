"""A person's verdicts on the pseudo-labels of the newest round."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from PseudoLabelCLLib.curation.grids.image_place import places_of
from PseudoLabelCLLib.curation.review.corrections import on_grid_of_case, read_proposal, what_counts
from PseudoLabelCLLib.curation.review.history import keep_in_history
from PseudoLabelCLLib.curation.review.left_out import (
    require_something_to_confirm,
    structures_to_leave_out,
)
from PseudoLabelCLLib.curation.review.proposals import (
    judged_proposal,
    proposed_cases,
    require_open,
    require_proposal,
)
from PseudoLabelCLLib.curation.review.truth_mask import write_truth_mask
from PseudoLabelCLLib.curation.review.verdict_history import (
    files_of_verdict,
    forget_verdict,
    keep_taken_back,
    put_verdict_back,
    remove_file,
    replaced_verdicts,
    require_files,
    with_files_at,
)
from PseudoLabelCLLib.domain.doubt import Doubt
from PseudoLabelCLLib.domain.errors import ReviewError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import Asking
from PseudoLabelCLLib.domain.review import ProposalIdentity, Review, TruthExtent, Verdict
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.json_codec import from_json, without_version
from PseudoLabelCLLib.storage.files.atomic_files import read_json, written_aside
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_lock import brief_lock
from PseudoLabelCLLib.storage.project.project_store import (
    load_review,
    load_round,
    make_review_folder,
    save_review,
)
from PseudoLabelCLLib.storage.project.provenance import signed
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation

_HOLDER = Text("a verdict that is being saved")
# Others hold the verdicts for as long as one correction is written.
_PATIENCE_S = 30.0


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
    reason: Text
    verdict: Verdict | None
    left_out: tuple[int, ...] = ()


def review_queue(root: Path, project: Project) -> tuple[QueueItem, ...]:
    """Return the proposals that can be judged now, most doubtful first.

    While a round still makes its proposals, these are the ones that are there.

    Raises:
        ProjectDamagedError: A doubt score is not what was written there.
        StorageError: It cannot be read.
    """
    latest = project.latest_round
    if latest is None:
        return ()
    layout = ProjectLayout(root)
    reviews = {r.case_id: r for r in project.reviews if r.round_index == latest.index}
    items = []
    for case in proposed_cases(root, project):
        doubt = _read_doubt(layout.doubt(latest.index, case.id))
        item = QueueItem(case.id, doubt.doubt, doubt.sentence, None)
        judged = reviews.get(case.id)
        if judged is not None:
            item = replace(item, verdict=judged.verdict, left_out=judged.left_out)
        items.append(item)
    return tuple(sorted(items, key=lambda item: -item.doubt))


def accept(
    root: Path, project: Project, proposal: ProposalIdentity, *, left_out: Sequence[int] = ()
) -> Project:
    """Take the pseudo-label of a case as it is, or all but some structures of it.

    Args:
        root: The project folder.
        project: The project as it is now.
        proposal: What the person looked at.
        left_out: Label values of structures that the person rejects.

    Raises:
        ReviewError: It is not the newest proposal of the case, no round is in review, or nothing is
            left of the proposal without those structures.
        StorageError: The disk refuses.
    """
    with judged_proposal(root, project, proposal) as judged:
        case, index = judged.case, judged.round_index
        rejected = structures_to_leave_out(project.schema, case.id, left_out)
        labels = read_proposal(judged.file, project.schema, case)
        axis = project.slicing_axis_of(case.id)
        require_something_to_confirm([labels], case.id, rejected, slicing_axis=axis)
        layout = ProjectLayout(root)
        target = layout.reviewed_segmentation(index, case.id)
        with _open_review(root, project, case.id, index) as now:
            _make_way(root, now, case.id, index)
            with written_aside(target) as temporary:
                shutil.copyfile(judged.file, temporary)
            file = layout.relative(target)
            review = Review(case.id, index, Verdict.ACCEPTED, file, left_out=rejected)
            return _save(root, now, review)


def reject(root: Path, project: Project, proposal: ProposalIdentity) -> Project:
    """Leave the pseudo-label of a case out of the next round.

    Args:
        root: The project folder.
        project: The project as it is now.
        proposal: What the person looked at.

    Raises:
        ReviewError: It is not the newest proposal of the case, or no round is in review.
        StorageError: The disk refuses.
    """
    require_proposal(root, project, proposal)
    case, index = project.case(proposal.case_id), proposal.round_index
    with _open_review(root, project, case.id, index) as now:
        _make_way(root, now, case.id, index)
        return _save(root, now, Review(case.id, index, Verdict.REJECTED, None))


def correct(  # noqa: PLR0913 - what is corrected, by what, and three ways to say how much of it
    root: Path,
    project: Project,
    proposal: ProposalIdentity,
    file: Path,
    *,
    slices: Sequence[int] | None = None,
    extent: TruthExtent = TruthExtent.CHANGED_SLICES,
    left_out: Sequence[int] = (),
    asking: Asking | None = None,
) -> Project:
    """Take a person's segmentation in place of the pseudo-label.

    Args:
        root: The project folder.
        project: The project as it is now.
        proposal: What the person changed.
        file: The corrected segmentation, on the case's grid or cropped from it.
        slices: Indices along the slicing axis that the person confirmed, in place of an extent.
        extent: Which voxels count as human truth.
        left_out: Label values of structures that the person rejects, whatever the file has of
            them.
        asking: Asks the person about what could be wrong with the file; None for a file that the
            panel wrote.

    Raises:
        QuestionError: A person has to say what is meant.
        ReviewError: It is not the newest proposal of the case, no round is in review, or the file
            does not correct it.
        AnnotationError: The file has labels outside the schema or lies elsewhere.
        VolumeError: The file cannot be read.
        StorageError: The disk refuses.
    """
    with judged_proposal(root, project, proposal) as judged:
        case, index = judged.case, judged.round_index
        rejected = structures_to_leave_out(project.schema, case.id, left_out)
        proposed = read_proposal(judged.file, project.schema, case)
        read = read_segmentation(
            file, project.schema, near=case.geometry, asking=asking, made_from=judged.file
        )[0]
    image = ProjectLayout(root).resolve(case.image)
    places = places_of(image) if image.is_file() else None
    corrected = on_grid_of_case(read, case, file.name, places.all if places else ())
    correction = what_counts(
        project, case, proposed, corrected, slices=slices, extent=extent, left_out=rejected
    )
    layout = ProjectLayout(root)
    target, mask_file = layout.reviewed_segmentation(index, case.id), None
    with _open_review(root, project, case.id, index) as now:
        _make_way(root, now, case.id, index)
        write_segmentation(target, corrected, project.schema)
        if correction.mask is not None:
            mask_file = layout.truth_mask(index, case.id)
            write_truth_mask(mask_file, correction.mask, case.geometry)
        review = Review(
            case.id,
            index,
            Verdict.CORRECTED,
            layout.relative(target),
            correction.truth_slices,
            left_out=rejected,
            truth_mask=None if mask_file is None else layout.relative(mask_file),
        )
        return _save(root, now, review)


def take_back(root: Path, project: Project, proposal: ProposalIdentity) -> Project:
    """Undo the newest verdict on the newest proposal; the one before it counts again.

    Without one before it, the proposal is unreviewed again. What is taken back stays in
    `history/taken_back/`.

    Args:
        root: The project folder.
        project: The project as it is now.
        proposal: What the person looks at.

    Raises:
        ReviewError: It is not the newest proposal of the case, no round is in review, there is no
            verdict, or the earlier one is damaged.
        StorageError: The disk refuses.
    """
    require_proposal(root, project, proposal)
    case_id, index = project.case(proposal.case_id).id, proposal.round_index
    with _open_review(root, project, case_id, index) as now:
        return _undo(root, now, case_id, index)


def undo_verdict(root: Path, project: Project, case_id: str, round_index: int) -> Project:
    """Undo the newest verdict on a proposal, whatever has become of its file or round since.

    Raises:
        ReviewError: There is no verdict, or the earlier one is damaged.
        StorageError: The disk refuses.
    """
    with _verdicts_held(root, project, case_id, round_index) as now:
        return _undo(root, now, case_id, round_index)


def _undo(root: Path, project: Project, case_id: str, round_index: int) -> Project:
    layout = ProjectLayout(root)
    standing = next((r for r in project.reviews_of(case_id) if r.round_index == round_index), None)
    if standing is None:
        raise ReviewError(
            Text(
                "There is no verdict on the proposal of case '{case}' in round {index}.",
                case=case_id,
                index=round_index,
            ),
            Text("There is nothing to take back."),
        )
    earlier = replaced_verdicts(layout, standing)
    if earlier:
        require_files(layout, earlier[-1].review)
    keep_taken_back(layout, standing)
    if earlier:
        return project.with_review(put_verdict_back(layout, earlier[-1]))
    forget_verdict(layout, standing)
    return replace(project, reviews=tuple(r for r in project.reviews if r != standing))


@contextmanager
def _open_review(root: Path, project: Project, case_id: str, round_index: int) -> Iterator[Project]:
    """Keep the review of a round open while a verdict is saved.

    A training that closes it waits, and counts the verdict; if it was closed before, the verdict
    is refused.

    Yields:
        The project with the verdict that stands on this proposal now, whoever gave it.

    Raises:
        ReviewError: The review was closed.
        ProjectInUseError: Somebody else holds the verdicts for too long.
        StorageError: The disk refuses.
    """
    with _verdicts_held(root, project, case_id, round_index) as newest:
        require_open(load_round(root, round_index))
        yield newest


@contextmanager
def _verdicts_held(
    root: Path, project: Project, case_id: str, round_index: int
) -> Iterator[Project]:
    with brief_lock(ProjectLayout(root).review_lock, _HOLDER, _PATIENCE_S):
        standing = load_review(root, round_index, case_id)
        yield _with_standing(project, case_id, round_index, standing)


def _make_way(root: Path, project: Project, case_id: str, round_index: int) -> None:
    """Keep an earlier verdict on the same proposal in the history before it is replaced.

    The earlier verdict points to the history's copies before its own files are written over, so
    that at every moment the verdict on disk goes with the files that it names. The folder for the
    new verdict is there afterwards.
    """
    make_review_folder(root, round_index)
    layout = ProjectLayout(root)
    kept = {
        layout.relative(file): layout.relative(keep_in_history(layout, file))
        for file in files_of_verdict(layout, round_index, case_id)
        if file.exists()
    }
    earlier = next((r for r in project.reviews_of(case_id) if r.round_index == round_index), None)
    if earlier is None:
        return
    if kept.keys() & set(earlier.files):
        save_review(root, with_files_at(earlier, kept))
    keep_in_history(layout, layout.review(round_index, case_id))


def _with_standing(
    project: Project, case_id: str, round_index: int, standing: Review | None
) -> Project:
    if standing is not None:
        return project.with_review(standing)
    key = (case_id, round_index)
    others = tuple(one for one in project.reviews if (one.case_id, one.round_index) != key)
    return replace(project, reviews=others)


def _save(root: Path, project: Project, review: Review) -> Project:
    review = replace(review, time=datetime.now(timezone.utc).isoformat(timespec="seconds"))
    review = signed(review)
    save_review(root, review)
    if review.truth_mask is None:
        # that of an earlier verdict, which the history has
        remove_file(ProjectLayout(root).truth_mask(review.round_index, review.case_id))
    return project.with_review(review)


def _read_doubt(path: Path) -> Doubt:
    if not path.exists():
        return Doubt(1.0, 0.0, (), "Its doubt score is missing.")
    return from_json(Doubt, without_version(read_json(path), path.name), path.name)
