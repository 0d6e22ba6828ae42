"""One round from where it stands to its review: train, pseudo-label, measure, report."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from PseudoLabelCLLib.curation.check.check_cases import check_cases
from PseudoLabelCLLib.curation.check.check_memory import memory_findings
from PseudoLabelCLLib.curation.review.plan_round import (
    RoundPlan,
    leave_out_doubtful,
    plan_next_round,
)
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.errors import TrainingError
from PseudoLabelCLLib.domain.method_config import Mirror
from PseudoLabelCLLib.domain.plan_in_words import plan_in_words
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.pretraining_config import Pretraining
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.reporting import Report
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.round_work import Standing, Work, image_voxels
from PseudoLabelCLLib.domain.single_pieces import SinglePieces
from PseudoLabelCLLib.domain.text import Text, joined
from PseudoLabelCLLib.learning.checkpoint import save_moments
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.process_group import ALONE, ProcessGroup
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.pipeline.prediction.evaluate import MeasuredCase, MeasuredModel
from PseudoLabelCLLib.pipeline.prediction.measure_quality import measure_quality, summarise
from PseudoLabelCLLib.pipeline.prediction.model_file import (
    ModelCard,
    TrainedModel,
    TrainingSummary,
    read_model,
    write_model,
)
from PseudoLabelCLLib.pipeline.prediction.segment_volume import segment_slices
from PseudoLabelCLLib.pipeline.processes.follow import Task, lead
from PseudoLabelCLLib.pipeline.processes.shared_work import shared_out
from PseudoLabelCLLib.pipeline.report.round_report import report_round
from PseudoLabelCLLib.pipeline.rounds.drawn_pieces import single_pieces
from PseudoLabelCLLib.pipeline.rounds.earlier_tensors import rewrite_earlier_tensors
from PseudoLabelCLLib.pipeline.rounds.pretrain import pretrain_if_needed
from PseudoLabelCLLib.pipeline.rounds.pseudo_label_cases import pseudo_label_cases, write_proposal
from PseudoLabelCLLib.pipeline.rounds.require_answers import require_answers
from PseudoLabelCLLib.pipeline.rounds.round_data import (
    RoundInputs,
    for_another_process,
    settle_training,
    slices_of,
)
from PseudoLabelCLLib.pipeline.rounds.round_watch import RoundWatch
from PseudoLabelCLLib.pipeline.rounds.train_round import TrainedRound, train_round
from PseudoLabelCLLib.pipeline.slices.case_slices import (
    annotation_of,
    preprocess_plan,
)
from PseudoLabelCLLib.pipeline.slices.slice_grid import in_plane_spacing, slice_distance
from PseudoLabelCLLib.storage.files.atomic_files import write_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_lock import brief_lock
from PseudoLabelCLLib.storage.project.project_store import load_reviews, save_round

_CLOSING = Text("a training that closes the review")
# A verdict is saved in moments; a large correction on a slow disk takes longer.
_PATIENCE_S = 600.0


def run_round(
    root: Path,
    project: Project,
    device: ComputeDevice,
    report: Report,
    group: ProcessGroup = ALONE,
) -> Project:
    """Bring the project to the review of its next round, or of the one that was interrupted.

    Every step that is done is on disk; a kill at any moment loses at most the steps since the
    last checkpoint.

    The verdicts are those on disk, which others write while this round makes its proposals.

    Raises:
        Cancelled: Asked to stop; calling again continues.
    """
    watch = RoundWatch(device)
    project, plan, preprocess = _begin_as_reviewed(root, project, watch, report)
    training = settle_training(project, preprocess)
    inputs = RoundInputs(root, project, plan, preprocess, training, watch, group)
    report.notice(plan.sentence)
    report.notice(plan_in_words(preprocess, _cost_if_known(inputs, watch)))
    single = single_pieces(root, project)
    if (told := single.sentence(project.schema)) is not None:
        report.notice(told)
    if project.start is not None and plan.index == 0:
        report.notice(project.start.sentence(project.schema))
    round_ = project.rounds[plan.index]
    if round_.state is RoundState.TRAINING:
        if plan.index == 0:
            with watch.elsewhere():
                pretrain_if_needed(root, project, inputs.preprocess, device, report)
        trained = train_round(inputs, device, report)
        device = trained.device
        watch.moved_to(device)
        if trained.moments is not None:
            save_moments(ProjectLayout(root).moments(plan.index), trained.moments)
        path = ProjectLayout(root).model(plan.index)
        write_model(path, trained.network, _card(inputs, trained, single))
        report.artifact("model", path)
        round_ = round_.moved_to(RoundState.PSEUDO_LABELLING)
        save_round(root, round_)
    model = read_model(ProjectLayout(root).model(plan.index))
    pseudo_label_cases(inputs, model, device, report)
    _measure_validation(inputs, model, device, report)
    round_ = replace(round_.moved_to(RoundState.IN_REVIEW), finished=_now())
    report_round(
        root, project.with_round(round_), plan,
        device=device, duration_s=watch.elapsed_s, report=report,
    )  # fmt: skip
    round_ = replace(round_, cost=watch.finish(report))
    save_round(root, round_)
    # verdicts were given while other proposals were still made
    return replace(project.with_round(round_), reviews=load_reviews(root))


def _begin_as_reviewed(
    root: Path, project: Project, watch: RoundWatch, report: Report
) -> tuple[Project, RoundPlan, PreprocessConfig]:
    """Begin the round, or go on with it, by the verdicts that stand when the review is closed.

    Returns:
        The project with the round, what the round learns from, and its settled preprocessing.
    """
    while True:
        project = replace(project, reviews=load_reviews(root))
        plan = leave_out_doubtful(root, project, plan_next_round(project))
        try:
            with watch.timed(Work.CHECKING, _voxels_to_check(project, plan)):
                project, preprocess = _begin(root, project, plan, report)
        except _VerdictsCameError:
            continue
        return project, plan, preprocess


class _VerdictsCameError(Exception):
    """Verdicts were given since the round was planned."""


def _voxels_to_check(project: Project, plan: RoundPlan) -> int:
    """Return how many voxels are read to check the cases: none where the round goes on."""
    latest = project.latest_round
    if latest is not None and latest.index == plan.index:
        return 0
    cases = [case for case in project.cases if case.role is not CaseRole.IGNORED]
    return sum(image_voxels(case, project) for case in cases)


def _cost_if_known(inputs: RoundInputs, watch: RoundWatch) -> Text | None:
    """Return what the round costs, where that is known before its first step."""
    index, state = inputs.plan.index, inputs.project.rounds[inputs.plan.index].state
    if inputs.project.config.pretraining.method is not Pretraining.NONE and index == 0:
        watch.without_peak()
    training = inputs.training
    stage = training.joint if inputs.plan.pseudo else training.supervised
    is_trained = state is not RoundState.TRAINING
    if not is_trained and ProjectLayout(inputs.root).checkpoint(index).exists():
        return None  # how many steps are left is known once it is read
    steps_done = stage.num_steps if is_trained else 0
    standing = Standing(index, bool(inputs.plan.pseudo), steps_done)
    outlook = watch.expect(inputs.root, inputs.project, inputs.preprocess, standing)
    told = watch.tell(outlook, index)
    return None if told is None else told[0]


def _begin(
    root: Path, project: Project, plan: RoundPlan, report: Report
) -> tuple[Project, PreprocessConfig]:
    """Close the review of the round before and open this one, unless it is open already.

    Returns:
        The project with the round, and its settled preprocessing.
    """
    latest = project.latest_round
    if latest is not None and latest.index == plan.index:
        preprocess = preprocess_plan(root, project)
        require_answers(memory_findings(root, project, preprocess))
        return project, preprocess
    _check(root, project, report)
    # the plan of the grid is settled, and fits into memory, before the round counts as begun
    preprocess = preprocess_plan(root, project)
    require_answers(memory_findings(root, project, preprocess))
    if latest is not None:
        read_model(ProjectLayout(root).model(latest.index))  # it is what the round starts from
    rewrite_earlier_tensors(root, report)
    # a kill between closing and opening leaves a closed round as the latest
    if latest is not None and latest.state is not RoundState.CLOSED:
        closed = latest.moved_to(RoundState.CLOSED)
        with brief_lock(ProjectLayout(root).review_lock, _CLOSING, _PATIENCE_S):
            if load_reviews(root) != project.reviews:
                raise _VerdictsCameError
            save_round(root, closed)
        project = project.with_round(closed)
    opened = Round(
        index=plan.index,
        state=RoundState.TRAINING,
        config_hash=hashlib.sha256(repr(project.config).encode()).hexdigest()[:12],
        num_truth_cases=len({source.case_id for source in plan.human}),
        num_pseudo_cases=len(plan.pseudo),
        num_left_out_cases=len(plan.left_out),
        started=_now(),
        plane=project.preprocess.plane,
        outside_counts=True,
    )
    _tell_reread(project, plan, report)
    save_round(root, opened)
    return project.with_round(opened), preprocess


def _tell_reread(project: Project, plan: RoundPlan, report: Report) -> None:
    """Say once that verdicts which leave structures out are read otherwise than before."""
    latest = project.latest_round
    cases = dict.fromkeys(source.case_id for source in plan.human if source.left_out)
    if latest is None or latest.outside_counts or not cases:
        return
    names = ", ".join(f"'{case_id}'" for case_id in cases)
    report.notice(
        Text(
            "Structures were left out of the verdicts on {cases}. From round {index} on, "
            "what lies outside the accepted structures there counts as none of them: it is "
            "background or what was left out. Earlier rounds ignored it. No verdict was "
            "changed.",
            cases=names,
            index=plan.index,
        )
    )


def _check(root: Path, project: Project, report: Report) -> None:
    """Tell what looks odd about the cases, and refuse to train on what cannot work."""
    findings = check_cases(root, project)
    errors = [finding.sentence for finding in findings if finding.severity == "error"]
    for finding in findings:
        if finding.severity == "note":
            report.notice(finding.sentence, warning=True)
    if errors:
        raise TrainingError(
            Text("Training cannot start. {errors}", errors=joined(*errors)),
            Text("Fix this, then train again."),
        )
    require_answers(findings)


def _card(inputs: RoundInputs, trained: TrainedRound, single: SinglePieces) -> ModelCard:
    project, plan = inputs.project, inputs.plan
    config = project.config
    cases = [project.case(case_id) for case_id in (*_human_ids(plan), *plan.pseudo)]
    spacings = [s for case in cases for s in in_plane_spacing(case.geometry, inputs.preprocess)]
    distances = [slice_distance(case.geometry, inputs.preprocess) for case in cases]
    summary = TrainingSummary(
        project=project.name,
        round_index=plan.index,
        num_human_cases=len(_human_ids(plan)),
        num_pseudo_cases=len(plan.pseudo),
        in_plane_spacing_mm=(min(spacings), max(spacings)),
        slice_spacing_mm=(min(distances), max(distances)),
        validation_dice=trained.validation_dice,
        selected_at_step=trained.selected_at_step,
        num_steps=trained.num_steps,
        profile=config.profile.value,
        device=trained.device.description,
        finished=_now(),
        num_validation_cases=len(project.cases_with_role(CaseRole.VALIDATION)),
        selection=inputs.training.selection.value,
        num_validations=trained.num_validations,
        started_from="" if project.start is None else project.start.sentence(project.schema),
    )
    return ModelCard(
        schema=project.schema,
        preprocess=inputs.preprocess,
        network=trained.network.config,
        pseudo_label=config.pseudo_label,
        mirror_copies=config.pseudo_label.mirror
        and inputs.training.augmentation.mirror is not Mirror.NEVER,
        seed=config.training.seed,
        training=summary,
        channels=project.channels,
        single_pieces=single,
    )


def _human_ids(plan: RoundPlan) -> tuple[str, ...]:
    return tuple(dict.fromkeys(source.case_id for source in plan.human))


def _measure_validation(
    inputs: RoundInputs, model: TrainedModel, device: ComputeDevice, report: Report
) -> None:
    """Write the agreement on the validation cases, if there are any."""
    index = inputs.plan.index
    if not inputs.project.cases_with_role(CaseRole.VALIDATION):
        return
    device.place(model.network)
    lead(inputs.group, FollowMeasuring(inputs, device))
    measured = _measure_cases(inputs, model, device, report)
    summary = summarise([case.quality for case in measured])
    path = ProjectLayout(inputs.root).evaluation(index)
    write_json(path, to_json(MeasuredModel(f"round {index}", tuple(measured), summary)))
    report.artifact("evaluation", path)
    dice = summary.mean.dice.mean
    if dice is not None:
        report.metrics(f"Round {index}: measuring", 1, {"validation Dice": dice})


@dataclass(frozen=True)
class FollowMeasuring(Task):
    """What the other processes do while the first one measures: other validation cases."""

    inputs: RoundInputs
    device: ComputeDevice

    def follow(self, group: ProcessGroup, report: Report) -> None:
        """Measure those cases that this process takes."""
        inputs = replace(self.inputs, group=group)
        model = read_model(ProjectLayout(inputs.root).model(inputs.plan.index))
        self.device.place(model.network)
        _measure_cases(inputs, model, self.device, report)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to the first process."""
        return {**vars(self), "inputs": for_another_process(self.inputs)}


def _measure_cases(
    inputs: RoundInputs, model: TrainedModel, device: ComputeDevice, report: Report
) -> list[MeasuredCase]:
    """Segment and measure the validation cases, each in the process that takes it."""
    project, num_copies = inputs.project, model.card.pseudo_label.num_augmented_copies

    def measure(case: Case, _report: Report) -> MeasuredCase:
        slices = slices_of(inputs, case)
        num_voxels = num_copies * slices.images[:, 0].size
        with inputs.timed(Work.PROPOSING, inputs.group.size * num_voxels):
            segmented = segment_slices(model, slices.images, slices.grid, case.geometry, device)
            write_proposal(inputs, case.id, segmented)
        reference = annotation_of(inputs.root, case, project.schema)
        return MeasuredCase(case.id, measure_quality(segmented.labels, reference, project.schema))

    cases = project.cases_with_role(CaseRole.VALIDATION)
    stage = Text("Round {index}: measuring", index=inputs.plan.index)
    return shared_out(stage, cases, measure, inputs.group, report)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
