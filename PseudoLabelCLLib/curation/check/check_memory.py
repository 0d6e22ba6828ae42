"""Whether the computer has the memory that the next round is estimated to need."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from PseudoLabelCLLib.curation.check.case_finding import Finding, asked
from PseudoLabelCLLib.curation.review.plan_round import plan_next_round
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.config import ProjectConfig
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import Question
from PseudoLabelCLLib.domain.question_kinds import QUESTIONS, QuestionKind
from PseudoLabelCLLib.domain.round_estimate import gigabytes
from PseudoLabelCLLib.domain.round_memory import RoundMemory, memory_of_round
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.files.free_memory import free_memory_bytes
from PseudoLabelCLLib.storage.files.own_memory import resident_bytes
from PseudoLabelCLLib.storage.project.preprocess_plan import planned_preprocess
from PseudoLabelCLLib.storage.project.settled_device import read_settled_device

SMALLER = "smaller"
# Batch normalisation needs two slices.
_SMALLEST_BATCH = 2


def memory_findings(
    root: Path, project: Project, settled: PreprocessConfig | None = None
) -> Iterator[Finding]:
    """Ask where the next round is estimated to need more memory than is free.

    Args:
        root: The project folder.
        project: The project.
        settled: Its plan; None takes the one that was settled last, without which nothing is known.
    """
    settled = settled or planned_preprocess(root, project)
    device = read_settled_device(root)
    annotated = project.cases_with_role(CaseRole.ANNOTATED)
    if settled is None or device is None or not annotated:
        return
    if any(case.answer_to(QuestionKind.MEMORY) is not None for case in project.cases):
        return
    plan = plan_next_round(project)
    memory = memory_of_round(
        project,
        settled,
        is_joint=bool(plan.pseudo),
        half_precision=device.half_precision,
        on_gpu=not device.is_cpu,
    )
    free = free_memory_bytes()
    if free is None:
        return
    free += resident_bytes() or 0  # what this process has is part of what the round needs
    if memory.needed > free:
        yield asked(_question(project, settled, memory, free, is_joint=bool(plan.pseudo)))


def with_smaller_batches(config: ProjectConfig) -> ProjectConfig:
    """Return the settings with half as many slices in a step."""
    training = config.training
    return replace(
        config,
        training=replace(
            training,
            supervised=replace(
                training.supervised, batch_size=_half(training.supervised.batch_size)
            ),
            joint=replace(training.joint, batch_size=_half(training.joint.batch_size)),
            consistency=replace(
                training.consistency, num_slices=max(1, training.consistency.num_slices // 2)
            ),
        ),
    )


def _half(batch_size: int) -> int:
    return max(_SMALLEST_BATCH, batch_size // 2)


def _question(
    project: Project, settled: PreprocessConfig, memory: RoundMemory, free: int, *, is_joint: bool
) -> Question:
    is_step = memory.step >= max(memory.prediction, memory.reading)
    case = project.cases_with_role(CaseRole.ANNOTATED)[0] if is_step else _largest(project)
    message = Text(
        "A round is estimated to need {needed} of memory, and {free} are free. {cause} {remedy}",
        needed=gigabytes(memory.needed),
        free=gigabytes(free),
        cause=Text("A training step needs the most.")
        if is_step
        else Text("The largest volume, '{case}', needs the most.", case=case.id),
        remedy=_smaller_settings(project, settled, is_joint=is_joint)
        if is_step
        else Text(
            "Close other programs, give that volume the role 'ignored', or set a larger "
            "preprocess.in_plane_spacing_mm in a new project."
        ),
    )
    train, smaller = QUESTIONS[QuestionKind.MEMORY].choices
    can_be_smaller = is_step and with_smaller_batches(project.config) != project.config
    choices = (train, smaller) if can_be_smaller else (train,)
    return Question(QuestionKind.MEMORY, message, 0, case.id, choices)


def _smaller_settings(project: Project, settled: PreprocessConfig, *, is_joint: bool) -> Text:
    """Return which settings make a step smaller, with what they are."""
    training = project.config.training
    patch = "preprocess.patch_size" if settled.patch_size else "preprocess.window_size"
    size = " x ".join(map(str, settled.patch_size or settled.window_size or ()))
    if is_joint:
        return Text(
            "Close other programs, or make training.joint.batch_size (now {batch}) or "
            "training.consistency.num_slices ({slices}) smaller; in a new project also {patch} "
            "({size}).",
            batch=training.joint.batch_size,
            slices=training.consistency.num_slices,
            patch=patch,
            size=size,
        )
    return Text(
        "Close other programs, or make training.supervised.batch_size (now {batch}) smaller; in "
        "a new project also {patch} ({size}).",
        batch=training.supervised.batch_size,
        patch=patch,
        size=size,
    )


def _largest(project: Project) -> Case:
    cases = [case for case in project.cases if case.role is not CaseRole.IGNORED]
    return max(cases, key=lambda case: math.prod(case.geometry.size))
