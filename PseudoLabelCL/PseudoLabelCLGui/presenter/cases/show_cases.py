"""The cases as they are shown."""

from PseudoLabelCLGui.case_row import CaseRow
from PseudoLabelCLGui.panel_state import CasesState
from PseudoLabelCLGui.presenter.cases.case_columns import CaseColumn, case_columns, case_tip
from PseudoLabelCLGui.presenter.facts.case_questions import question_row
from PseudoLabelCLGui.presenter.facts.facts import Facts
from PseudoLabelCLGui.presenter.reasons import action, no_change
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.messages.project_view import CaseView


def cases_state(facts: Facts) -> CasesState:
    """Return step "cases"."""
    view, reason = facts.view, no_change(facts)
    chosen = reason or ("" if view and view.cases else _("Add volumes first."))
    channels = view.channels if view else ()
    columns = case_columns(channels)
    return CasesState(
        columns=tuple(column.title for column in columns),
        rows=tuple(_row(case, columns) for case in view.cases) if view else (),
        labels=view.labels.classes if view else (),
        labels_are_settled=view.labels_are_settled if view else False,
        add=action(reason, _("Adds volumes of the scene.")),
        add_files=action(reason, _("Adds volumes from files.")),
        add_folder=action(reason, _("Adds the files or DICOM series of a folder.")),
        add_further=action(chosen, _("Adds another image of the selected patient.")),
        channels=channels,
        set_role=action(chosen, _("Changes the role of the selected cases.")),
        remove=action(chosen, _("Removes the selected cases; what you drew is kept.")),
        check=action(chosen, _("Checks every case before training.")),
        findings=facts.findings,
        questions=tuple(question_row(one, enabled=not reason) for one in facts.asked),
    )


def _row(case: CaseView, columns: tuple[CaseColumn, ...]) -> CaseRow:
    cells = tuple(column.text(case) for column in columns)
    return CaseRow(
        case.id,
        case.role,
        cells,
        case_tip(case),
        case.case.is_partly_drawn,
        case.missing_channels,
    )
