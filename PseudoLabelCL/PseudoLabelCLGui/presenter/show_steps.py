"""The head of the panel: what runs now, what to do next, and what each step has done so far."""

from PseudoLabelCLGui.presenter.facts.facts import Facts
from PseudoLabelCLGui.presenter.facts.training_facts import WorkKind
from PseudoLabelCLGui.presenter.facts.use_facts import ExportPhase
from PseudoLabelCLGui.presenter.reasons import is_open_while_training, is_saving, no_packages
from PseudoLabelCLGui.presenter.train.show_training import training_stage
from PseudoLabelCLGui.presenter.use.show_export import export_fraction, export_stage
from PseudoLabelCLGui.presenter.waiting import cases_to_check, num_waiting
from PseudoLabelCLGui.presenter.words import counted, time_left
from PseudoLabelCLGui.step_state import NextThing, StatusState, StepState
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.review import Verdict
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.messages.project_view import ProjectView, RoundView

CASES, TRAIN, REVIEW, USE = "cases", "train", "review", "use"


def status_state(facts: Facts) -> StatusState:
    """Return the line that says what runs now."""
    monitor = facts.monitor
    if facts.trains:
        left = time_left(monitor.seconds_left)
        return StatusState(training_stage(facts), monitor.fraction, is_running=True, time_left=left)
    if facts.predicts:
        text = monitor.stage or _("Segmenting: loading packages")
        left = time_left(monitor.seconds_left)
        return StatusState(text, monitor.fraction, is_running=True, time_left=left)
    if facts.export.phase is not ExportPhase.IDLE:
        return StatusState(
            export_stage(facts.export), export_fraction(facts.export), is_running=True
        )
    return _service_status(facts)


def _service_status(facts: Facts) -> StatusState:
    """What the project's own process does."""
    opening = _("The project is being opened.") if facts.opening else ""
    if text := facts.service_working or facts.changing or opening:
        return StatusState(text, facts.service_fraction, is_running=True)
    if is_saving(facts):
        return StatusState(_("Saving the verdict"), is_running=True)
    if facts.review.wanted:
        text = _("Loading '{case}'").format(case=facts.review.wanted)
        return StatusState(text, is_running=True)
    return StatusState()


def next_thing(facts: Facts) -> NextThing:
    """Return the one thing to do next."""
    view = facts.view
    if view is None:
        return NextThing(CASES, _("Create or open a project"))
    if facts.trains and not (num_waiting(view) and is_open_while_training(facts)):
        is_pretraining = facts.work is not None and facts.work.kind is WorkKind.PRETRAIN
        text = _("The network is being pre-trained") if is_pretraining else _("Training round {n}")
        return NextThing(TRAIN, text.format(n=_round_at_work(facts, view)), is_doing=True)
    return _next_in_project(facts, view)


def _next_in_project(facts: Facts, view: ProjectView) -> NextThing:
    if not view.cases:
        return NextThing(CASES, _("Add volumes"))
    if not view.plan.can_train:
        return NextThing(CASES, _("Segment a volume"))
    waiting = num_waiting(view)
    goes_on_first = view.plan.goes_on and not facts.trains and not no_packages(facts)
    if waiting and not goes_on_first:
        text = counted(waiting, _("Review 1 proposal"), _("Review {count} proposals"))
        return NextThing(REVIEW, text)
    if no_packages(facts):
        return NextThing(TRAIN, _("Install the missing packages"))
    if not view.rounds and facts.checked != cases_to_check(view):
        return NextThing(CASES, _("Check the cases"))
    words = _("Continue round {index}") if view.plan.goes_on else _("Train round {index}")
    return NextThing(TRAIN, words.format(index=view.plan.index))


def _round_at_work(facts: Facts, view: ProjectView) -> int:
    return facts.work.round_index if facts.work is not None else view.plan.index


def steps_state(facts: Facts) -> tuple[StepState, ...]:
    """Return the four steps with what was done in each."""
    return (_cases(facts), _train(facts), _review(facts), _use(facts))


def _cases(facts: Facts) -> StepState:
    view = facts.view
    title = _("Cases")
    if view is None:
        return StepState(CASES, title, _("No project is open"), is_done=False)
    words = (
        (CaseRole.ANNOTATED, _("1 annotated"), _("{count} annotated")),
        (CaseRole.UNLABELLED, _("1 unlabelled"), _("{count} unlabelled")),
        (CaseRole.VALIDATION, _("1 validation"), _("{count} validation")),
        (CaseRole.IGNORED, _("1 ignored"), _("{count} ignored")),
    )
    numbers = {role: sum(case.role is role for case in view.cases) for role in CaseRole}
    told = [counted(numbers[role], one, many) for role, one, many in words if numbers[role]]
    summary = ", ".join(told) or _("No volumes yet")
    return StepState(CASES, title, summary, is_done=bool(view.cases) and view.plan.can_train)


def _train(facts: Facts) -> StepState:
    view = facts.view
    trained = [r for r in view.rounds if _is_trained(r)] if view else []
    is_done = bool(trained) and not facts.trains
    return StepState(TRAIN, _("Train"), _train_summary(facts, trained), is_done)


def _train_summary(facts: Facts, trained: list[RoundView]) -> str:
    view = facts.view
    if facts.trains and view is not None:
        is_pretraining = facts.work is not None and facts.work.kind is WorkKind.PRETRAIN
        text = _("Pre-training") if is_pretraining else _("Round {n} is being trained")
        return text.format(n=_round_at_work(facts, view))
    if view is not None and view.plan.goes_on:
        return _("Round {n} was interrupted").format(n=view.plan.index)
    if not trained:
        return _("No round trained yet")
    newest = trained[-1].index
    figures = next((one for one in facts.history if one.index == newest), None)
    text = _("Round {n} trained").format(n=newest)
    if figures is not None and figures.validation_dice is not None:
        dice = f"{figures.validation_dice:.2f}"
        text += ", " + _("validation Dice {dice}").format(dice=dice)
    return text


def _is_trained(one: RoundView) -> bool:
    return one.state in (RoundState.IN_REVIEW, RoundState.CLOSED)


def _review(facts: Facts) -> StepState:
    view, title = facts.view, _("Review")
    order = view.review_order if view else ()
    if view is None or not order or (facts.trains and not is_open_while_training(facts)):
        return StepState(REVIEW, title, _("Nothing to review now"), is_done=False)
    found = [view.case(case_id) for case_id in order]
    verdicts = [case.verdict for case in found if case is not None and case.verdict is not None]
    text = _("{done} of {total} reviewed").format(done=len(verdicts), total=len(order))
    if view.is_proposing:
        text = _("{done} of {total} reviewed so far").format(done=len(verdicts), total=len(order))
    words = (
        (Verdict.ACCEPTED, _("1 accepted"), _("{count} accepted")),
        (Verdict.CORRECTED, _("1 corrected"), _("{count} corrected")),
        (Verdict.REJECTED, _("1 rejected"), _("{count} rejected")),
    )
    told = [
        counted(verdicts.count(verdict), one, many)
        for verdict, one, many in words
        if verdict in verdicts
    ]
    summary = f"{text}: {', '.join(told)}" if told else text
    is_done = len(verdicts) == len(order) and not view.is_proposing
    return StepState(REVIEW, title, summary, is_done=is_done)


def _use(facts: Facts) -> StepState:
    num_segmented, num_exported = facts.use.num_segmented, facts.export.num_written
    told = []
    if num_segmented:
        told.append(counted(num_segmented, _("1 volume segmented"), _("{count} volumes segmented")))
    if num_exported:
        told.append(counted(num_exported, _("1 exported"), _("{count} exported")))
    summary = ", ".join(told) or _("Nothing segmented or exported yet")
    return StepState(USE, _("Use and export"), summary, is_done=bool(told))
