"""The project as it is shown."""

from PseudoLabelCLGui.panel_state import ProjectState
from PseudoLabelCLGui.presenter.facts.facts import Facts
from PseudoLabelCLGui.presenter.reasons import action, no_opening
from PseudoLabelCLGui.translation import _


def project_state(facts: Facts) -> ProjectState:
    """Return the line with the project."""
    view, reason = facts.view, no_opening(facts)
    can_close = view is not None or bool(facts.opening)
    close_tip = _("Closes the project; everything is saved.")
    return ProjectState(
        root=view.root if view else "",
        name=view.name if view else "",
        author=view.author if view else "",
        new=action(reason, _("Creates a project in a new folder.")),
        open=action(reason, _("Opens the folder of a project.")),
        close=action("" if can_close else _("No project is open."), close_tip),
        recent=facts.recent,
        sample=action(
            reason, _("Creates a project from small artificial volumes, to try things out.")
        ),
    )
