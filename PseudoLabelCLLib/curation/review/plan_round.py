"""What the next round will learn from, before it starts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.doubt import Doubt
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.review import Use, Verdict
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.domain.text import NO_TEXT, Text, counted, joined, listed
from PseudoLabelCLLib.messages.json_codec import from_json, without_version
from PseudoLabelCLLib.storage.files.atomic_files import read_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout


@dataclass(frozen=True)
class TruthSource:
    """A segmentation that a person confirmed.

    Args:
        case_id: The case.
        segmentation: Path of the segmentation as the project stores it.
        truth_slices: Indices along the slicing axis that count; None means all.
        left_out: Label values of structures that the person rejected; where some are, all voxels
            but those of the others are background or one of them.
        truth_mask: Path of the mask of the only voxels that count, as the project stores it; None
            if those slices count whole.
    """

    case_id: str
    segmentation: str
    truth_slices: tuple[int, ...] | None
    left_out: tuple[int, ...] = ()
    truth_mask: str | None = None


@dataclass(frozen=True)
class RoundPlan:
    """What one round learns from.

    Args:
        index: The round.
        human: Human truth, for each case oldest first: on a slice that two name, the later counts;
            single voxels lie over what the earlier ones say of their slice.
        pseudo: Cases whose newest proposal serves as pseudo-label, at least on the slices
            that `human` does not name.
        left_out: Cases whose newest proposal was rejected; slices corrected before still count.
        too_doubtful: Cases that `leave_out_doubtful` took from `pseudo`; corrected slices still
            count.
        sentence: The same for a person.
    """

    index: int
    human: tuple[TruthSource, ...]
    pseudo: tuple[str, ...]
    left_out: tuple[str, ...]
    too_doubtful: tuple[str, ...]
    sentence: Text


def plan_next_round(project: Project) -> RoundPlan:
    """Return what the next round learns from; one that was interrupted is still the next.

    Where the settings leave doubtful cases out, the sentence says so; which ones those are stands
    in the proposals' files, see `leave_out_doubtful`.
    """
    index = _next_index(project)
    human = tuple(_human_truth(project, index))
    pseudo, left_out = [], []
    for case in [case for case in project.cases if case.gets_proposals] if index > 0 else ():
        if _rejected_last(project, case.id, index):
            left_out.append(case.id)
        elif not _is_wholly_covered(project, case.id, human):
            pseudo.append(case.id)
    plan = RoundPlan(index, human, tuple(pseudo), tuple(left_out), (), NO_TEXT)
    required = project.config.pseudo_label.min_agreement
    rule = Text(
        "cases whose copies agree less than {percent:g} % will be left out", percent=100 * required
    )
    return replace(plan, sentence=_sentence(plan, rule if required and pseudo else NO_TEXT))


def leave_out_doubtful(root: Path, project: Project, plan: RoundPlan) -> RoundPlan:
    """Return the plan without pseudo-labels whose copies agree less than the settings require.

    What a person confirmed stays. A plan from which they were taken before, and any plan where
    the settings require nothing, comes back as it is. A proposal without a doubt score counts as
    agreeing nowhere; a case without a proposal stays, for the reader of the round to tell.

    Args:
        root: The project folder, where the scores of the round before lie.
        project: The project as it is now.
        plan: Of `plan_next_round`.

    Raises:
        ProjectDamagedError: A doubt score is not what was written there.

    Source: Chaitanya et al., MedIA 2023, section 5.6(d) and code (agreement above 0.9).
    """
    required = project.config.pseudo_label.min_agreement
    if plan.too_doubtful or not (required and plan.pseudo):
        return plan
    layout, proposed_by = ProjectLayout(root), plan.index - 1
    doubtful = [
        case_id for case_id in plan.pseudo if _agreement(layout, proposed_by, case_id) < required
    ]
    kept = tuple(case_id for case_id in plan.pseudo if case_id not in doubtful)
    settled = replace(plan, pseudo=kept, too_doubtful=tuple(doubtful))
    return replace(settled, sentence=_sentence(settled, _told_doubtful(doubtful, required)))


def truth_sources_of(project: Project, case_id: str, round_index: int) -> tuple[TruthSource, ...]:
    """Return the human truth of a case for a round, oldest first.

    What lies below a segmentation of all slices is not listed. Where an annotation counts on the
    slices that were drawn, it lies over proposals that were accepted, and below corrections.
    """
    case = project.case(case_id)
    if project.use_in_round(case.id, round_index) is not Use.TRUTH:
        return ()
    drawn: list[TruthSource] = []
    if case.role is CaseRole.ANNOTATED and case.annotation is not None:
        drawn = [TruthSource(case.id, case.annotation, case.drawn_slices)]
        if not case.is_partly_drawn:
            return tuple(drawn)
    sources = drawn
    for review in project.truth_reviews_of(case.id):
        if review.round_index < round_index and review.segmentation is not None:
            below = sources if review.truth_slices is not None else []
            above = drawn if review.verdict is Verdict.ACCEPTED else []
            newest = TruthSource(
                case.id,
                review.segmentation,
                review.truth_slices,
                review.left_out,
                review.truth_mask,
            )
            sources = [*below, newest, *above]
    return tuple(sources)


def _next_index(project: Project) -> int:
    latest = project.latest_round
    if latest is None:
        return 0
    interrupted = latest.state in (RoundState.TRAINING, RoundState.PSEUDO_LABELLING)
    return latest.index if interrupted else latest.index + 1


def _human_truth(project: Project, index: int) -> Iterator[TruthSource]:
    for role in (CaseRole.ANNOTATED, CaseRole.UNLABELLED):
        for case in project.cases_with_role(role):
            yield from truth_sources_of(project, case.id, index)


def _rejected_last(project: Project, case_id: str, index: int) -> bool:
    return any(
        review.verdict is Verdict.REJECTED and review.round_index == index - 1
        for review in project.reviews_of(case_id)
    )


def _is_wholly_covered(project: Project, case_id: str, human: tuple[TruthSource, ...]) -> bool:
    own = [
        source.truth_slices
        for source in human
        if source.case_id == case_id and source.truth_mask is None
    ]
    covered = {number for slices in own if slices is not None for number in slices}
    return None in own or len(covered) == project.num_slices_of(case_id)


def _agreement(layout: ProjectLayout, index: int, case_id: str) -> float:
    """How well the copies of a proposal agree; 1 where there is no proposal to judge."""
    if not layout.proposal(index, case_id).exists():
        return 1.0
    path = layout.doubt(index, case_id)
    if not path.exists():
        return 0.0
    return from_json(Doubt, without_version(read_json(path), path.name), path.name).agreement


def _sentence(plan: RoundPlan, about_doubtful: Text) -> Text:
    if not plan.human:
        return Text(
            "Round {index} needs an annotated volume: segment one (an unlabelled one of the "
            "project will do) and add it with its segmentation.",
            index=plan.index,
        )
    rejected = NO_TEXT
    if plan.left_out:
        rejected = counted(
            len(plan.left_out),
            "{count} rejected case is left out",
            "{count} rejected cases are left out",
        )
    return Text("{what}.", what=joined(_told_truth(plan), rejected, about_doubtful, by="; "))


def _told_truth(plan: RoundPlan) -> Text:
    """Return what a round will learn from, without a full stop."""
    whole = {source.case_id for source in plan.human if source.truth_slices is None}
    partial = {s.case_id for s in plan.human if s.truth_mask is None} - whole
    voxels = {source.case_id for source in plan.human} - whole - partial
    without = {source.case_id for source in plan.human if source.left_out}
    limits = listed(
        text
        for text, cases in (
            (Text("{count} of them on single slices only", count=len(partial)), partial),
            (Text("{count} of them on single voxels only", count=len(voxels)), voxels),
            (Text("{count} of them without some structures", count=len(without)), without),
        )
        if cases
    )
    told = counted(
        len(whole | partial | voxels),
        "Round {index} will learn from {count} human segmentation",
        "Round {index} will learn from {count} human segmentations",
        index=plan.index,
    )
    if limits:
        told = Text("{what} ({limits})", what=told, limits=limits)
    if plan.index > 0:
        pseudo = counted(len(plan.pseudo), "{count} pseudo-label", "{count} pseudo-labels")
        told = Text("{what} and {pseudo}", what=told, pseudo=pseudo)
    return told


def _told_doubtful(doubtful: Sequence[str], required: float) -> Text:
    if not doubtful:
        return NO_TEXT
    return counted(
        len(doubtful),
        "{count} case whose copies agree less than {percent:g} % is left out",
        "{count} cases whose copies agree less than {percent:g} % are left out",
        percent=100 * required,
    )
