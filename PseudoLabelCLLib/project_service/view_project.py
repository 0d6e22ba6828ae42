"""A project as a user interface shows it."""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from PseudoLabelCLLib.curation.review.plan_round import plan_next_round
from PseudoLabelCLLib.curation.review.proposals import ProposalFingerprints, proposals_so_far
from PseudoLabelCLLib.domain.case import Case
from PseudoLabelCLLib.domain.channels import missing_among
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError, StorageError, UnknownServerError
from PseudoLabelCLLib.domain.plan_in_words import plan_in_words
from PseudoLabelCLLib.domain.pretraining_config import Pretraining
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import ProposalIdentity
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.round_work import Standing
from PseudoLabelCLLib.domain.text import NO_TEXT, Text
from PseudoLabelCLLib.messages.project_view import CaseView, PlanView, ProjectView, RoundView
from PseudoLabelCLLib.project_service.case_progress import (
    newest_whole_round,
    progress_of_cases,
)
from PseudoLabelCLLib.project_service.image_availability import ImageAvailability
from PseudoLabelCLLib.storage.project.own_reports import is_own_report
from PseudoLabelCLLib.storage.project.preprocess_plan import settled_preprocess
from PseudoLabelCLLib.storage.project.pretraining_record import (
    PretrainingRecord,
    pretraining_settings,
    read_pretraining,
)
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.provenance import author
from PseudoLabelCLLib.storage.project.round_forecast import next_round_in_words

if TYPE_CHECKING:
    from PseudoLabelCLLib.curation.review.review_cases import QueueItem

_log = logging.getLogger(__name__)


@dataclass
class ViewMemory:
    """What need not be read again while nothing has changed.

    Args:
        images: Which images are there.
        queues: The proposals of a round, most doubtful first, with what they were read from.
        record_stamp: The file that `record` was read from.
        record: The pre-training that was done, or None.
        absolute: Absolute paths by what the project stores.
        fingerprints: Of proposals.
        foreign_reports: Which reports were written elsewhere, by path, and as the files were then.
    """

    images: ImageAvailability = field(default_factory=ImageAvailability)
    queues: "dict[int, tuple[tuple[object, ...], tuple[QueueItem, ...]]]" = field(
        default_factory=dict
    )
    record_stamp: tuple[object, ...] = ()
    record: PretrainingRecord | None = None
    absolute: dict[str, Path] = field(default_factory=dict)
    fingerprints: ProposalFingerprints = field(default_factory=ProposalFingerprints)
    foreign_reports: dict[Path, tuple[tuple[int, int], bool]] = field(default_factory=dict)

    def emptied(self) -> "ViewMemory":
        """Return one that knows nothing but which drives hang."""
        self.images.forget()
        return ViewMemory(images=self.images)


def view_of(root: Path, project: Project, memory: ViewMemory | None = None) -> ProjectView:
    """Return a project as it is shown.

    Args:
        root: The project folder.
        project: The project as it is now.
        memory: Of this project's earlier views; it makes this one faster.

    Raises:
        ProjectDamagedError: A doubt score is not what was written there.
        StorageError: The disk refuses.
    """
    memory = memory or ViewMemory()
    layout = ProjectLayout(root)
    proposed = _proposed(layout, project, memory)
    latest = project.latest_round
    is_open = latest is not None and latest.state.is_open_to_review
    newest = proposed[-1][1] if proposed and is_open else ()
    ids = {case.id for case in project.cases}
    so_far = proposals_so_far(root, project)
    return ProjectView(
        root=str(root),
        name=project.name,
        labels=project.schema,
        config=project.config,
        cases=_case_views(layout, project, proposed, memory),
        rounds=tuple(_round_view(layout, round_, memory) for round_ in project.rounds),
        plan=_plan_view(root, project),
        review_order=tuple(item.case_id for item in newest if item.case_id in ids),
        labels_are_settled=bool(project.rounds),
        is_pretrained=_is_pretrained(layout, project, memory),
        free_disk_bytes=shutil.disk_usage(root).free,
        author=author(),
        channels=project.channels,
        start=NO_TEXT if project.start is None else project.start.sentence(project.schema),
        so_far=NO_TEXT if so_far is None else so_far.sentence,
    )


# A round and its proposals, most doubtful first.
_Proposed: TypeAlias = "tuple[int, tuple[QueueItem, ...]]"


def _proposed(
    layout: ProjectLayout, project: Project, memory: ViewMemory
) -> "tuple[_Proposed, ...]":
    """Return the newest proposals: of the round that made all, and of one that still makes them."""
    rounds = []
    whole = newest_whole_round(project)
    if whole is not None:
        # As it was in its review, also while the round after it is trained.
        in_review = replace(project.rounds[whole], state=RoundState.IN_REVIEW)
        rounds.append(replace(project, rounds=(*project.rounds[:whole], in_review)))
    latest = project.latest_round
    if latest is not None and latest.state is RoundState.PSEUDO_LABELLING:
        rounds.append(project)
    kept = {one.rounds[-1].index for one in rounds}
    memory.queues = {n: queue for n, queue in memory.queues.items() if n in kept}
    return tuple((one.rounds[-1].index, _queue(layout, one, memory)) for one in rounds)


def _queue(layout: ProjectLayout, project: Project, memory: ViewMemory) -> "tuple[QueueItem, ...]":
    """Return the proposals of the newest round of a project, most doubtful first."""
    round_ = project.rounds[-1]
    folder = layout.proposal(round_.index, "any").parent
    roles = tuple((case.id, case.role) for case in project.cases)
    stamp = (round_.state, _stamp(folder), _stamp(layout.round_file(round_.index)), roles)
    known = memory.queues.get(round_.index)
    if known is None or known[0] != stamp:
        # It brings the readers of images along, which a project before round 0 does without.
        from PseudoLabelCLLib.curation.review.review_cases import review_queue  # noqa: PLC0415

        known = (stamp, review_queue(layout.root, project))
        memory.queues[round_.index] = known
    return known[1]


def _case_views(
    layout: ProjectLayout, project: Project, proposed: "tuple[_Proposed, ...]", memory: ViewMemory
) -> tuple[CaseView, ...]:
    proposals, proposed_by = {}, {}
    for index, queue in proposed:
        for item in queue:
            proposals[item.case_id], proposed_by[item.case_id] = item, index
    progress = progress_of_cases(project, proposed_by)
    images = {case.id: _absolute(layout, case.image, memory) for case in project.cases}
    further = {
        (case.id, one.channel): _absolute(layout, one.image, memory)
        for case in project.cases
        for one in case.further_images
    }
    looked_for = (*images.values(), *further.values())
    missing = memory.images.missing(image for image in looked_for if image is not None)
    series = _cases_with_series(layout)
    identities = _identities(layout, proposed_by, memory)
    views = []
    for case in project.cases:
        known, proposal = progress[case.id], proposals.get(case.id)
        image, last = images[case.id], known.last
        views.append(
            CaseView(
                case,
                image=case.image if image is None else str(image),
                image_is_missing=image is None or image in missing,
                annotation=str(layout.own(case.annotation)) if case.annotation else None,
                num_slices=project.num_slices_of(case.id),
                state=known.state,
                doubt=None if proposal is None else proposal.doubt,
                reason=NO_TEXT if proposal is None else proposal.reason,
                verdict=None if known.review is None else known.review.verdict,
                left_out=() if known.review is None else known.review.left_out,
                truth_fraction=known.truth_fraction,
                is_confirmed=known.is_confirmed,
                is_from_dicom=case.dicom_series_uid is not None or case.id in series,
                proposal=identities.get(case.id),
                last_verdict=None if last is None else last.verdict,
                last_verdict_round=None if last is None else last.round_index,
                missing_channels=_missing_channels(project, case, further, missing),
            )
        )
    return tuple(views)


def _missing_channels(
    project: Project,
    case: Case,
    further: dict[tuple[str, str], Path | None],
    missing: frozenset[Path],
) -> tuple[str, ...]:
    """Return the further images that a case lacks, or whose files are gone, in their order."""
    there = []
    for one in case.further_images:
        path = further[(case.id, one.channel)]
        if path is not None and path not in missing:
            there.append(one.channel)
    return missing_among(project.channels[1:], there)


def _identities(
    layout: ProjectLayout, proposed_by: Mapping[str, int], memory: ViewMemory
) -> dict[str, ProposalIdentity]:
    """Return which proposals are the newest ones, by case; without those that cannot be read."""
    found = {}
    for case_id, index in proposed_by.items():
        try:
            fingerprint = memory.fingerprints.of(layout.proposal(index, case_id))
        except StorageError as error:
            # The view shows the others; a verdict on this one is impossible anyway.
            _log.warning("A proposal cannot be read: %s", error)
            continue
        found[case_id] = ProposalIdentity(case_id, index, fingerprint)
    return found


def _cases_with_series(layout: ProjectLayout) -> frozenset[str]:
    """Return the cases whose DICOM series is remembered, with one look at the folder."""
    record = layout.dicom_series("any")
    if not record.parent.is_dir():
        return frozenset()
    return frozenset(path.stem for path in record.parent.glob(f"*{record.suffix}"))


def _is_foreign(report: Path, memory: ViewMemory) -> bool:
    stamp = _stamp(report)
    known = memory.foreign_reports.get(report)
    if known is None or known[0] != stamp:
        known = (stamp, report.exists() and not is_own_report(report))
        memory.foreign_reports[report] = known
    return known[1]


def _round_view(layout: ProjectLayout, round_: Round, memory: ViewMemory) -> RoundView:
    return RoundView(
        index=round_.index,
        state=round_.state,
        num_truth_cases=round_.num_truth_cases,
        num_pseudo_cases=round_.num_pseudo_cases,
        num_left_out_cases=round_.num_left_out_cases,
        started=round_.started,
        finished=round_.finished,
        report=_if_there(layout.report(round_.index)),
        model=_if_there(layout.model(round_.index)),
        report_is_foreign=_is_foreign(layout.report(round_.index), memory),
    )


def _plan_view(root: Path, project: Project) -> PlanView:
    plan = plan_next_round(project)
    seen, is_estimated = _seen(root, project, Standing(plan.index, bool(plan.pseudo)))
    return PlanView(
        index=plan.index,
        sentence=plan.sentence,
        num_human=len({source.case_id for source in plan.human}),
        num_pseudo=len(plan.pseudo),
        num_left_out=len(plan.left_out),
        can_train=bool(plan.human),
        goes_on=plan.index < len(project.rounds),
        seen=seen,
        is_estimated=is_estimated,
    )


def _seen(root: Path, project: Project, standing: Standing) -> tuple[Text, bool]:
    """Return what the network sees, once it is settled, and whether it says what a round costs.

    A damaged file is reported by the next round.
    """
    try:
        settled = settled_preprocess(root, project)
    except PseudoLabelCLError:
        return NO_TEXT, False
    if settled is None:
        return NO_TEXT, False
    cost = next_round_in_words(root, project, settled, standing)
    return plan_in_words(settled, cost), cost is not None


def _is_pretrained(layout: ProjectLayout, project: Project, memory: ViewMemory) -> bool:
    if project.config.pretraining.method is Pretraining.NONE:
        return False
    stamp = (_stamp(layout.pretraining_record), _stamp(layout.pretrained_weights))
    if stamp != memory.record_stamp:
        memory.record = _read_record(layout.root)
        memory.record_stamp = stamp
    if memory.record is None:
        return False
    is_used = bool(project.rounds) and project.rounds[0].state is not RoundState.TRAINING
    return is_used or memory.record.settings == pretraining_settings(project)


def _read_record(root: Path) -> PretrainingRecord | None:
    try:
        return read_pretraining(root)
    except PseudoLabelCLError as error:
        # The view shows that it is to be done; what is wrong is said when it is asked for.
        _log.warning("The record of the pre-training cannot be read: %s", error)
        return None


def _absolute(layout: ProjectLayout, stored: str, memory: ViewMemory) -> Path | None:
    """Return where an image lies; None where it must not be looked for."""
    if stored not in memory.absolute:
        try:
            memory.absolute[stored] = layout.resolve(stored)
        except UnknownServerError:
            return None
    return memory.absolute[stored]


def _if_there(path: Path) -> str | None:
    return str(path) if path.exists() else None


def _stamp(path: Path) -> tuple[int, int]:
    """What changes when a file is written anew, or a file of a folder; (0, 0) for none."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_ino)
