"""The model, and what is done with it, as it is shown."""

from dataclasses import replace

from PseudoLabelCLGui.panel_state import UseState
from PseudoLabelCLGui.presenter.facts.case_questions import AskedQuestion, question_row
from PseudoLabelCLGui.presenter.facts.facts import Facts
from PseudoLabelCLGui.presenter.reasons import action, newest_model, no_apply, no_project
from PseudoLabelCLGui.translation import _, translated


def use_state(facts: Facts) -> UseState:
    """Return the model and what is done with it."""
    use, view = facts.use, facts.view
    no_model = no_project(facts) or (
        "" if newest_model(view) else _("No round of this project has been trained yet.")
    )
    names = ", ".join(use.model.labels.names) if use.model else ""
    told = _("Segments {names}. {trained}")
    channels = use.model.channels if use.model else ()
    no_cancel = "" if facts.predicts else _("Nothing is being segmented.")
    no_load = _("A model is in use.") if facts.predicts else ""
    model = told.format(names=names, trained=translated(use.model.trained_on)) if use.model else ""
    if channels:
        needed = _("Needs {channels} of each patient.").format(channels=", ".join(channels))
        model = f"{model} {needed}"
    return UseState(
        model=model,
        apply=action(no_apply(facts), _("Segments the marked volumes.")),
        cancel=action(no_cancel, _("Stops after this volume; finished volumes are kept.")),
        save_model=action(no_model, _("Saves the newest model as one file.")),
        load_model=action(no_load, _("Loads a model file.")),
        is_running=facts.predicts,
        stage=facts.monitor.stage if facts.predicts else "",
        fraction=facts.monitor.fraction if facts.predicts else None,
        results=tuple(use.results),
        # the name of a case is that of its file, which every question tells
        questions=tuple(
            question_row(AskedQuestion(replace(one, case_id="")), enabled=not no_apply(facts))
            for one in use.asked
        ),
        labels=use.model.labels.classes if use.model else (),
        channels=channels,
    )
