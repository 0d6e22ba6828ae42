"""The cases as they are shown."""

from pathlib import Path

from PseudoLabelCLGui.case_row import CaseRow
from PseudoLabelCLGui.panel_state import CasesState
from PseudoLabelCLGui.presenter.facts.case_questions import question_row
from PseudoLabelCLGui.presenter.facts.facts import Facts
from PseudoLabelCLGui.presenter.reasons import action, no_change
from PseudoLabelCLGui.presenter.words import counted, percent, state_words, verdict_of_case
from PseudoLabelCLGui.translation import _, translated
from PseudoLabelCLLib.messages.project_view import CaseView


def cases_state(facts: Facts) -> CasesState:
    """Return step "cases"."""
    view, reason = facts.view, no_change(facts)
    chosen = reason or ("" if view and view.cases else _("Add volumes first."))
    return CasesState(
        rows=tuple(case_row(case) for case in view.cases) if view else (),
        labels=view.labels.classes if view else (),
        labels_are_settled=view.labels_are_settled if view else False,
        add=action(reason, _("Adds volumes of the scene.")),
        add_files=action(reason, _("Adds volumes from files.")),
        add_folder=action(reason, _("Adds the files or DICOM series of a folder.")),
        set_role=action(chosen, _("Changes the role of the selected cases.")),
        remove=action(chosen, _("Removes the selected cases; what you drew is kept.")),
        check=action(chosen, _("Checks every case before training.")),
        findings=facts.findings,
        questions=tuple(question_row(one, enabled=not reason) for one in facts.asked),
    )


def case_row(case: CaseView) -> CaseRow:
    """Return the line of a case."""
    size = " x ".join(f"{mm:.3g}" for mm in case.spacing_mm)
    slices = counted(case.num_slices, _("1 slice"), _("{count} slices"))
    voxels = _("voxels of {size} mm").format(size=size)
    lines = [case.image, f"{slices}, {voxels}"]
    if case.image_is_missing:
        lines.append(_("The volume cannot be found: is its drive connected?"))
    if not case.is_from_dicom:
        lines.append(_("Not from DICOM: export it as NRRD, NIfTI or a new DICOM series."))
    counting = ""
    if case.num_drawn_slices is not None:
        counting = _("{drawn} of {slices}").format(drawn=case.num_drawn_slices, slices=slices)
        words = _("Only the drawn slices count ({counting}); the others get proposals.")
        lines.append(words.format(counting=counting))
    if case.reason:
        lines.append(translated(case.reason))
    state = _("volume is missing") if case.image_is_missing else state_words(case.state)
    return CaseRow(
        case_id=case.id,
        role=case.role,
        segmentation=Path(case.annotation).name if case.annotation else "",
        state=state,
        doubt=percent(case.doubt),
        verdict=verdict_of_case(case),
        tool_tip="\n".join(lines),
        slices=counting,
    )
