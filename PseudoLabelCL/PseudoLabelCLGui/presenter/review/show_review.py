"""Review and use as they are shown."""

from PseudoLabelCLGui.panel_state import QueueRow, ReviewState, UseState
from PseudoLabelCLGui.presenter.cases.show_cases import action
from PseudoLabelCLGui.presenter.facts.facts import Facts
from PseudoLabelCLGui.presenter.reasons import (
    newest_model,
    no_apply,
    no_project,
    no_review,
    no_verdict,
)
from PseudoLabelCLGui.presenter.review.show_correction import accept_action, extent_choices
from PseudoLabelCLGui.presenter.words import percent, time_left, verdict_of_case
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.messages.project_view import CaseView, ProjectView


def review_state(facts: Facts) -> ReviewState:
    """Return step "review"."""
    review, view = facts.review, facts.view
    cases = queue(view)
    judge = no_verdict(facts)
    shown = view.case(review.shown) if view and review.shown else None
    no_back = judge or ("" if shown and shown.verdict else _("There is no verdict to take back."))
    preview = review.fresh_preview
    return ReviewState(
        queue=tuple(
            QueueRow(case.id, percent(case.doubt), case.reason, verdict_of_case(case))
            for case in cases
        ),
        case_id=review.shown,
        is_loading=bool(review.wanted) or (bool(review.shown) and not review.is_on_screen),
        progress=_progress(facts, cases),
        reason=shown.reason if shown else "",
        identity=review.identity,
        accept=accept_action(facts),
        extents=extent_choices(facts),
        extent=review.extent,
        near=preview.near if preview else None,
        reject=action(judge, _("Leaves this proposal out of the next round.")),
        take_back=action(no_back, _("Undoes the verdict on this case.")),
        previous_case=action(_no_neighbour(facts, -1), _("Shows the previous case.")),
        next_case=action(_no_neighbour(facts, 1), _("Shows the next case.")),
        next_doubt=action(_no_doubt(facts), _("Jumps to the next doubtful slice.")),
        compare=action(_no_comparison(facts), _("Outlines what the previous round proposed.")),
    )


def queue(view: ProjectView | None) -> list[CaseView]:
    """Return the cases in review, most doubtful first."""
    found = [view.case(case_id) for case_id in view.review_order] if view else []
    return [case for case in found if case is not None]


def use_state(facts: Facts) -> UseState:
    """Return the model and what is done with it."""
    use, view = facts.use, facts.view
    no_model = no_project(facts) or (
        "" if newest_model(view) else _("No round of this project has been trained yet.")
    )
    names = ", ".join(use.model.labels.names) if use.model else ""
    told = _("Segments {names}. {trained}")
    no_cancel = "" if facts.predicts else _("Nothing is being segmented.")
    no_load = _("A model is in use.") if facts.predicts else ""
    return UseState(
        model=told.format(names=names, trained=use.model.trained_on) if use.model else "",
        apply=action(no_apply(facts), _("Segments the marked volumes.")),
        cancel=action(no_cancel, _("Stops after this volume; finished volumes are kept.")),
        save_model=action(no_model, _("Saves the newest model as one file.")),
        load_model=action(no_load, _("Loads a model file.")),
        is_running=facts.predicts,
        stage=facts.monitor.stage if facts.predicts else "",
        fraction=facts.monitor.fraction if facts.predicts else None,
        results=tuple(use.results),
        labels=use.model.labels.classes if use.model else (),
    )


def _progress(facts: Facts, cases: list[CaseView]) -> str:
    if not cases:
        return ""
    num_done = sum(case.verdict is not None for case in cases)
    text = _("{done} of {total} reviewed").format(done=num_done, total=len(cases))
    pace_s = facts.review.pace.mean_s
    if pace_s is None or num_done == len(cases):
        return text
    return f"{text}, {time_left(pace_s * (len(cases) - num_done))}"


def _no_neighbour(facts: Facts, by: int) -> str:
    reason = no_review(facts)
    if reason or facts.view is None:
        return reason
    order = facts.view.review_order
    here = facts.review.wanted or facts.review.shown
    if here not in order:
        return ""
    index = order.index(here) + by
    if index < 0:
        return _("This is the first case in the list.")
    return "" if index < len(order) else _("This is the last case in the list.")


def _no_doubt(facts: Facts) -> str:
    files = facts.review.files
    if files is None:
        return _("Choose a case first.")
    return "" if files.doubtful_slices else _("The network is confident about every slice.")


def _no_comparison(facts: Facts) -> str:
    files = facts.review.files
    if files is None:
        return _("Choose a case first.")
    return "" if files.previous else _("The previous round has no proposal for this case.")
