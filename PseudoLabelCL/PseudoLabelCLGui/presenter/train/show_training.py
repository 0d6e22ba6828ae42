"""Training and rounds as they are shown."""

from datetime import datetime

from PseudoLabelCLGui.panel_state import Action, Curve, RoundRow, RoundsState, TrainState
from PseudoLabelCLGui.presenter.facts.facts import Facts
from PseudoLabelCLGui.presenter.facts.training_facts import Ending, Points, WorkKind
from PseudoLabelCLGui.presenter.reasons import (
    action,
    newest_round,
    no_change,
    no_ending,
    no_history,
    no_pretrained,
    no_project,
    no_start,
    no_stopping,
    no_training,
)
from PseudoLabelCLGui.presenter.words import (
    about_time,
    counted,
    dice,
    named_settings,
    percent,
    round_words,
    time_left,
)
from PseudoLabelCLGui.translation import _, translated
from PseudoLabelCLLib.domain.bound_settings import bound_settings, why_bound
from PseudoLabelCLLib.domain.config import Profile, ProjectConfig
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.messages.project_view import ProjectView, RoundFigures, RoundView

NUM_LINES_SHOWN = 200


class SettingsCache:
    """The settings as texts, made anew only when they have changed."""

    def __init__(self) -> None:
        self._config: ProjectConfig | None = None
        self._texts: dict[str, str] = {}

    def texts(self, config: ProjectConfig) -> dict[str, str]:
        """Return every setting by its name."""
        if config is not self._config:
            self._config, self._texts = config, named_settings(config)
        return self._texts


def train_state(facts: Facts, settings: SettingsCache) -> TrainState:
    """Return step "train"."""
    view, monitor = facts.view, facts.monitor
    texts = settings.texts(view.config) | facts.next_settings if view else {}
    return TrainState(
        profile=view.config.profile.value if view else "quick",
        pretraining=view.config.pretraining.method.value if view else "none",
        start=_start_action(facts),
        has_start=bool(view and view.start),
        save_pretrained=action(
            no_pretrained(facts),
            _("Saves the pre-trained network as one file, from which other projects can start."),
        ),
        settings=texts,
        can_change=_can_change(facts, texts),
        train=train_action(facts),
        pause=action(
            no_ending(facts), _("Saves and stops; training can be continued from there later.")
        ),
        stop=action(no_stopping(facts), _stop_tip(facts)),
        lost_with_it=_lost_with_it(facts.view),
        sentence=_sentence(facts),
        stage=training_stage(facts),
        fraction=monitor.fraction if facts.trains else None,
        is_running=facts.trains,
        time_left=time_left(monitor.seconds_left) if facts.trains else "",
        loss=_curve("loss", monitor.loss),
        validation=_curve("validation Dice", monitor.validation),
        log=tuple(monitor.log[-NUM_LINES_SHOWN:]),
    )


def _lost_with_it(view: ProjectView | None) -> str:
    """What goes with a round that is given up: verdicts that were given on its first proposals."""
    if view is None or not view.is_proposing:
        return ""
    cases = (view.case(case_id) for case_id in view.review_order)
    number = sum(case is not None and case.verdict is not None for case in cases)
    if not number:
        return ""
    return counted(
        number,
        _("Your verdict on a proposal of this round goes with it."),
        _("Your {count} verdicts on the proposals of this round go with it."),
    )


def _start_action(facts: Facts) -> Action:
    """Return the button that chooses the model to start from, or forgets it."""
    if facts.view is not None and facts.view.start:
        text, tip = _("Start without the model"), translated(facts.view.start)
    else:
        text = _("Start from a model...")
        tip = _(
            "Round 0 starts from a trained model of another project (.plcl) instead of random "
            "weights. Its structures may be others."
        )
    return action(no_start(facts), tip, text)


def rounds_state(facts: Facts) -> RoundsState:
    """Return the rounds so far."""
    view = facts.view
    rounds = view.rounds if view else ()
    figures = {one.index: one for one in facts.history}
    reason = no_project(facts) or ("" if rounds else _("No round has been trained yet."))
    no_report = reason or ("" if any(r.report for r in rounds) else _("There is no report yet."))
    return RoundsState(
        sentence=translated(view.plan.sentence) if view else "",
        rows=tuple(_round_row(one, figures.get(one.index), facts) for one in rounds),
        quality=_quality(facts.history),
        train=train_action(facts),
        open_report=action(no_report, _("Opens the report of the selected round.")),
        show_result=action(reason, _("Shows what the selected round proposed.")),
        go_back=action(no_history(facts), _("Makes the selected round the newest; asks first.")),
    )


def train_action(facts: Facts) -> Action:
    """Return the button that trains; its text says which round."""
    view = facts.view
    text = _("Train")
    if facts.trains and view is not None:
        text = _training_words(facts).format(index=_round_at_work(facts))
    elif view is not None:
        words = _("Continue round {index}") if view.plan.goes_on else _("Train round {index}")
        text = words.format(index=view.plan.index)
    tip = translated(view.plan.sentence) if view else ""
    return action(no_training(facts), tip, text)


def _training_words(facts: Facts) -> str:
    if facts.work is not None and facts.work.kind is WorkKind.PRETRAIN:
        return _("Pre-training...")
    return _("Training round {index}...")


def _round_at_work(facts: Facts) -> int:
    if facts.work is not None:
        return facts.work.round_index
    return facts.view.plan.index if facts.view else 0


def _sentence(facts: Facts) -> str:
    """What will be used how, and how long that takes here, as far as is known."""
    if facts.view is None:
        return ""
    plan = facts.view.plan
    start = translated(facts.view.start) if plan.index == 0 else ""
    told = (translated(plan.sentence), translated(plan.seen), start, _estimate(facts))
    return " ".join(one for one in told if one)


def _estimate(facts: Facts) -> str:
    view, report = facts.view, facts.readiness
    if view is None or not view.plan.can_train or view.plan.is_estimated or facts.trains:
        return ""
    seconds = seconds_of_round(view)
    if seconds is not None:
        return _("It will take {time}, judging by earlier rounds.").format(time=about_time(seconds))
    is_quick = view.config.training == config_for(Profile.QUICK).training
    if is_quick and report is not None and report.minutes_per_round is not None:
        time = about_time(60 * report.minutes_per_round)
        return _("It will take {time} on this computer.").format(time=time)
    return ""


def seconds_of_round(view: ProjectView) -> float | None:
    """Return how long the rounds before took, the shortest of the newest three; None if unknown.

    One that was interrupted took longer than it works. Round 0 learns from less than the others.
    """
    later = [one for one in view.rounds if (one.index > 0) == (view.plan.index > 0)]
    times = [seconds for one in later[-3:] if (seconds := _seconds_between(one)) is not None]
    return min(times) if times else None


def _seconds_between(one: RoundView) -> float | None:
    try:
        began, ended = datetime.fromisoformat(one.started), datetime.fromisoformat(one.finished)
        seconds = (ended - began).total_seconds()
    except (TypeError, ValueError):
        return None
    return seconds if seconds > 0 else None


def _can_change(facts: Facts, texts: dict[str, str]) -> frozenset[str]:
    if facts.view is None or no_change(facts):
        return frozenset()
    counts_drawn_slices = any(one.case.drawn_slices is not None for one in facts.view.cases)
    bound = bound_settings(newest_round(facts.view), counts_drawn_slices=counts_drawn_slices)
    return frozenset(name for name in texts if why_bound(name, bound) is None)


def training_stage(facts: Facts) -> str:
    """Return what the training does now, or nothing."""
    if facts.is_starting:
        return _("Preparing")
    if facts.work is None or facts.work.kind is WorkKind.PREDICT:
        return ""
    if facts.work.ending is Ending.PAUSE:
        return _("Saving")
    if facts.work.ending is Ending.STOP:
        is_round = facts.work.kind is WorkKind.TRAIN
        return _("Discarding the round") if is_round else _("Discarding the pre-training")
    return facts.monitor.stage or _("Starting: loading packages")


def _stop_tip(facts: Facts) -> str:
    if facts.work is not None and facts.work.kind is WorkKind.PRETRAIN:
        return _("Discards the pre-training, after asking.")
    return _("Discards this round, after asking.")


def _curve(name: str, points: Points) -> Curve:
    return Curve(name, tuple(points.x), tuple(points.y))


def _round_row(one: RoundView, figures: RoundFigures | None, facts: Facts) -> RoundRow:
    words = _("{human} human, {pseudo} pseudo-labels, {left} left out")
    learned = words.format(
        human=one.num_truth_cases, pseudo=one.num_pseudo_cases, left=one.num_left_out_cases
    )
    agreement = dice(figures.agreement) if figures else ""
    if figures is not None and agreement:
        number = counted(figures.num_compared, _("1 case"), _("{count} cases"))
        agreement = f"{agreement} ({number})"
    return RoundRow(
        index=one.index,
        state=round_words(one.state, is_at_work=facts.trains),
        learned_from=learned,
        validation_dice=dice(figures.validation_dice) if figures else "",
        agreement=agreement,
        doubt=percent(figures.mean_doubt) if figures else "",
    )


def _quality(history: tuple[RoundFigures, ...]) -> Curve:
    """Validation Dice by round, or the agreement where nothing validates."""
    validated = [(r.index, r.validation_dice) for r in history if r.validation_dice is not None]
    agreed = [(r.index, r.agreement) for r in history if r.agreement is not None]
    points = validated or agreed
    words = _("validation Dice") if validated else _("agreement with your verdicts")
    return Curve(words, tuple(float(x) for x, _y in points), tuple(y for _x, y in points))
