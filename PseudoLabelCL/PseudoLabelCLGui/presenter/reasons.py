"""Why a button cannot be used now, in one sentence; empty where it can."""

from PseudoLabelCLGui.panel_state import Action
from PseudoLabelCLGui.presenter.facts.facts import Facts
from PseudoLabelCLGui.presenter.facts.training_facts import Ending, WorkKind
from PseudoLabelCLGui.presenter.facts.use_facts import ExportPhase
from PseudoLabelCLGui.translation import _, translated
from PseudoLabelCLLib.domain.bound_settings import is_round_0_trained
from PseudoLabelCLLib.messages.project_view import ProjectView, RoundView


def action(reason: str, tip: str, text: str = "") -> Action:
    """Return a button that says why it is disabled, or else what it does."""
    return Action(not reason, text, reason or tip)


def no_project(facts: Facts) -> str:
    """Why nothing can be done with the project."""
    if facts.opening:
        return _("The project is being opened.")
    if facts.is_away:
        return _("The project is not available now; open it again.")
    return "" if facts.view else _("Create or open a project first.")


def no_change(facts: Facts) -> str:
    """Why cases, roles, labels and settings cannot change."""
    return (
        no_project(facts)
        or facts.changing
        or (_("Pause the training first.") if facts.trains else "")
    )


def no_start(facts: Facts) -> str:
    """Why what round 0 starts from cannot be chosen."""
    has_begun = facts.view is not None and bool(facts.view.rounds)
    begun = _("Cannot be changed once the first round has started.") if has_begun else ""
    return no_change(facts) or begun


def no_opening(facts: Facts) -> str:
    """Why no project can be made or opened."""
    if facts.opening:
        return _("The project is being opened.")
    if facts.trains and facts.view is not None and not facts.is_away:
        return _("Pause the training first.")
    return facts.changing


def no_training(facts: Facts) -> str:
    """Why no round can be trained."""
    return (
        no_project(facts)
        or _still_proposing(facts)
        or busy_worker(facts)
        or facts.changing
        or (_("A verdict is being saved.") if is_saving(facts) else "")
        or no_packages(facts)
        or _no_plan(facts.view)
    )


def is_saving(facts: Facts) -> bool:
    """Tell whether a verdict is on its way to the disk."""
    return bool(facts.review.saving) or facts.review.writing is not None


def no_pretraining(facts: Facts) -> str:
    """Why the network cannot be pre-trained."""
    reason = no_project(facts) or busy_worker(facts) or facts.changing or no_packages(facts)
    if reason or facts.view is None:
        return reason
    if not wants_pretraining(facts.view):
        return _("Choose a pre-training method first.")
    if is_round_0_trained(newest_round(facts.view)):
        return _("Round 0 has already been trained; pre-training has to come before it.")
    return "" if facts.view.cases else _("Add at least one volume first.")


def no_pretrained(facts: Facts) -> str:
    """Why there is no pre-trained network to save."""
    reason = no_project(facts)
    if reason or facts.view is None:
        return reason
    return "" if facts.view.is_pretrained else _("The network has not been pre-trained yet.")


def busy_worker(facts: Facts) -> str:
    """Why no worker can start."""
    if facts.work is None:
        return _("The training is being started.") if facts.is_starting else ""
    if facts.work.root and (facts.view is None or facts.work.root != facts.view.root):
        return _("The training of another project is still being saved; wait a moment.")
    return {
        WorkKind.TRAIN: _("A round is being trained."),
        WorkKind.PRETRAIN: _("The network is being pre-trained."),
        WorkKind.PREDICT: _("Volumes are being segmented; wait, or cancel that first."),
    }[facts.work.kind]


def no_apply(facts: Facts) -> str:
    """Why no volume can be segmented now."""
    if facts.use.model is None:
        return _("Choose a model first: the one from the newest round, or a model file.")
    return busy_worker(facts) or no_packages(facts)


def no_packages(facts: Facts) -> str:
    """Why this computer cannot train, as far as is known."""
    report = facts.readiness
    if report is None or report.can_train:
        return ""
    if report.missing:
        return _("Install the missing packages first.")
    return translated(report.problem) or _("This computer cannot train yet.")


def no_ending(facts: Facts) -> str:
    """Why a training cannot be paused or stopped."""
    if facts.work is None or facts.work.kind is WorkKind.PREDICT:
        return (
            _("The training is being started.")
            if facts.is_starting
            else _("Nothing is being trained.")
        )
    return {
        Ending.NONE: "",
        Ending.PAUSE: _("The training is being saved."),
        Ending.STOP: _("The training is being discarded."),
    }[facts.work.ending]


def no_stopping(facts: Facts) -> str:
    """Why no round can be given up; one that is paused can be, too."""
    reason = no_ending(facts)
    is_idle = facts.work is None and not facts.is_starting
    if is_idle and facts.view is not None and facts.view.plan.goes_on:
        return no_change(facts)
    return reason


def no_review(facts: Facts) -> str:
    """Why there is nothing to review."""
    reason = no_project(facts)
    if reason or facts.view is None:
        return reason
    if facts.trains and not is_open_while_training(facts):
        return _(
            "A round is being trained; you can review its proposals as soon as the first one is "
            "there."
        )
    if facts.view.round_in_review is None and facts.view.is_proposing:
        return _("The round has made no proposal yet; continue it first.")
    if facts.view.round_in_review is None:
        return _("Train a round first; you review its proposals here.")
    return "" if facts.view.review_order else _("This round has no proposals to review.")


def is_open_while_training(facts: Facts) -> bool:
    """Tell whether the first proposals of the round that is at work can be judged.

    A round that the worker has left behind, or is about to, is closed.
    """
    view = facts.view
    if view is None or view.round_in_review is None:
        return False
    at_work = facts.work.round_index if facts.work is not None else view.plan.index
    return view.round_in_review.index == at_work


def _still_proposing(facts: Facts) -> str:
    if not facts.trains or not is_open_while_training(facts) or facts.view is None:
        return ""
    text = _("Round {index} is still making proposals; the next one can begin once all are there.")
    return text.format(index=facts.view.rounds[-1].index)


def no_listed_verdict(facts: Facts) -> str:
    """Why no verdict can be given on several proposals of the queue at once."""
    asking = _("Answer the question first.") if facts.decision else ""
    return asking or no_review(facts)


def no_verdict(facts: Facts) -> str:
    """Why no verdict can be given on the shown case."""
    asking = _("Answer the question first.") if facts.decision else ""
    return asking or no_judging(facts)


def no_judging(facts: Facts) -> str:
    """The same, whether or not something is asked."""
    reason, review, view = no_review(facts), facts.review, facts.view
    if reason or view is None:
        return reason
    newest = view.rounds[-1].index
    if review.round_index not in (None, newest):
        return _(
            "This is what round {index} proposed; only the newest round can be reviewed."
        ).format(index=review.round_index)
    loading = _("The case is being loaded.")
    what_holds = (
        (bool(review.wanted), loading),
        (not review.shown, _("Choose a case from the list first.")),
        (review.shown not in view.review_order, _("This case has no proposal to review.")),
        (not review.is_on_screen, loading),
        (
            not shows_newest(facts),
            _("There is a newer proposal for this case: show the case again."),
        ),
        (
            review.writing is not None or review.shown in review.saving,
            _("The verdict is being saved."),
        ),
    )
    return next((reason for is_so, reason in what_holds if is_so), "")


def no_accept(facts: Facts) -> str:
    """Why what is shown can neither be accepted nor saved as a correction."""
    reason = no_verdict(facts)
    if not reason and facts.review.has_correction and not facts.review.is_edited:
        return _("Your correction is saved; take it back to accept the original proposal.")
    return reason


def shows_newest(facts: Facts) -> bool:
    """Tell whether the newest proposal of the shown case is the one that is shown."""
    identity = facts.review.identity
    case = facts.view.case(facts.review.shown) if facts.view else None
    return identity is not None and case is not None and case.proposal == identity


def no_history(facts: Facts) -> str:
    """Why there is no earlier round to go back to."""
    reason = no_change(facts)
    if reason or facts.view is None:
        return reason
    return "" if facts.view.rounds else _("No round has been trained yet.")


def no_export(facts: Facts) -> str:
    """Why nothing can be exported now."""
    reason = no_change(facts)
    if reason or facts.view is None:
        return reason
    if facts.export.phase is not ExportPhase.IDLE:
        return _("An export is running; wait, or stop it.")
    return "" if facts.view.cases else _("Add volumes first.")


def newest_model(view: ProjectView | None) -> RoundView | None:
    """Return the newest round that has a model file, or None."""
    rounds = view.rounds if view else ()
    return next((r for r in reversed(rounds) if r.model is not None), None)


def wants_pretraining(view: ProjectView) -> bool:
    """Tell whether a pre-training is chosen."""
    return view.config.pretraining.method.value != "none"


def newest_round(view: ProjectView) -> RoundView | None:
    """Return the newest round, or None."""
    return view.rounds[-1] if view.rounds else None


def _no_plan(view: ProjectView | None) -> str:
    if view is None or view.plan.can_train:
        return ""
    if not view.cases:
        return _("Add volumes and segment at least one first.")
    if view.plan.num_human == 0:
        return _("Segment at least one volume first.")
    return translated(view.plan.sentence)
