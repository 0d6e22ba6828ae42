"""The steps of a training, timed, and the rest of the round foretold from the first of them."""

from collections.abc import Iterator

from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.reporting import Report
from PseudoLabelCLLib.domain.round_work import Standing, Work
from PseudoLabelCLLib.learning.to_device import synchronize
from PseudoLabelCLLib.learning.training.training import StepReport, Trainer
from PseudoLabelCLLib.pipeline.rounds.round_data import RoundInputs, slices_of
from PseudoLabelCLLib.pipeline.rounds.round_watch import Outlook, RoundWatch
from PseudoLabelCLLib.pipeline.rounds.trial_prediction import (
    seconds_of_proposal,
    seconds_of_validation,
)
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout

# The first step of a process is slow, and does not count; three tell how long the others are.
STEPS_UNTIL_TOLD = 4


def timed_steps(inputs: RoundInputs, trainer: Trainer, report: Report) -> Iterator[StepReport]:
    """Yield the steps of a training, and say how long the round takes as soon as that is known.

    What this computer has measured before is used; else the first steps are real ones of the round,
    and a few real slices are predicted after them.

    Args:
        inputs: Of the round.
        trainer: Before its first step, or where it goes on.
        report: The one who listens.
    """
    watch = inputs.watch
    if watch is None:
        yield from trainer.steps()
        return
    if not watch.has_told:
        _tell(inputs, watch, report, _outlook(inputs, watch, trainer))
    mark_s, spent_s = watch.now(), watch.spent_s
    for number, step in enumerate(trainer.steps(), start=1):
        if number <= STEPS_UNTIL_TOLD:
            synchronize(trainer.device.torch_device)
        yield step
        # what was validated meanwhile has been timed by itself
        watch.add(Work.TRAINING, watch.now() - mark_s - (watch.spent_s - spent_s), 1)
        if number == STEPS_UNTIL_TOLD and not watch.has_told:
            with watch.aside():
                _measure_rest(inputs, watch, trainer)
                _tell(inputs, watch, report, _outlook(inputs, watch, trainer))
        mark_s, spent_s = watch.now(), watch.spent_s


def _outlook(inputs: RoundInputs, watch: RoundWatch, trainer: Trainer) -> Outlook:
    standing = Standing(inputs.plan.index, trainer.data.is_joint, trainer.state.step)
    return watch.expect(inputs.root, inputs.project, inputs.preprocess, standing)


def _tell(inputs: RoundInputs, watch: RoundWatch, report: Report, outlook: Outlook) -> None:
    told = watch.tell(outlook, inputs.plan.index)
    if told is not None:
        report.notice(told[1])
        watch.keep()


def _measure_rest(inputs: RoundInputs, watch: RoundWatch, trainer: Trainer) -> None:
    """Measure on real slices what nobody has measured here yet."""
    unknown = _outlook(inputs, watch, trainer).unknown
    case = _case_to_try(inputs)
    if case is None or not unknown & {Work.PREPARING, Work.PROPOSING, Work.VALIDATING}:
        return
    slices = slices_of(inputs, case)  # times the preparation, where it is not done yet
    average, device = trainer.state.average, trainer.device
    if Work.PROPOSING in unknown:
        found = seconds_of_proposal(inputs, slices, average, device, watch.now)
        watch.add(Work.PROPOSING, *found)
    if Work.VALIDATING in unknown:
        found = seconds_of_validation(inputs, slices, average, device, watch.now)
        watch.add(Work.VALIDATING, *found)


def _case_to_try(inputs: RoundInputs) -> Case | None:
    """Return a case that is not prepared yet, else any."""
    layout, project = ProjectLayout(inputs.root), inputs.project
    cases = (*project.cases_to_propose(), *project.cases_with_role(CaseRole.VALIDATION))
    new = [c for c in cases if not (layout.preprocessed(c.id) / "images.npy").exists()]
    return next(iter((*new, *cases)), None)
