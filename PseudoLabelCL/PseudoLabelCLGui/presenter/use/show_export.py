"""The export as it is shown."""

from PseudoLabelCLGui.panel_state import Action, ExportState, FindingRow, Light, MarkedLine
from PseudoLabelCLGui.presenter.facts.facts import Facts
from PseudoLabelCLGui.presenter.facts.use_facts import (
    ExportFacts,
    ExportPhase,
    is_unreviewed,
    state_of_cases,
)
from PseudoLabelCLGui.presenter.reasons import action, no_export
from PseudoLabelCLGui.presenter.words import counted
from PseudoLabelCLGui.translation import _, translated
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.messages.answers import DicomFinding, ExportFix
from PseudoLabelCLLib.messages.project_view import ProjectView

_MOST_NAMES = 5


def export_state(facts: Facts) -> ExportState:
    """Return what leaves the project."""
    export, reason = facts.export, no_export(facts)
    is_running = export.phase is not ExportPhase.IDLE
    no_cancel = "" if is_running and not export.is_cancelled else _("No export is running.")
    return ExportState(
        note=_note(facts.view),
        check=action(reason, _("Checks for errors and warnings; nothing is written.")),
        export=action(reason, _("Writes the segmentations; for DICOM, checks them first.")),
        cancel=action(no_cancel, _("Stops after this volume; what is written is kept.")),
        summary=_summary(facts),
        findings=_rows(facts.view, export, reason),
        is_running=is_running,
        stage=export_stage(export),
        fraction=export_fraction(export),
        results=tuple(export.results),
    )


def _note(view: ProjectView | None) -> str:
    """Which volumes have no DICOM series to refer to; said as soon as a project is open."""
    cases = [case for case in view.cases if case.role is not CaseRole.IGNORED] if view else []
    names = [case.id for case in cases if not case.is_from_dicom]
    if not names:
        return ""
    remedy = _(
        "Export them as .seg.nrrd or NIfTI, add them again from their DICOM folders, or have their "
        "volumes written as DICOM series first (Check offers it)."
    )
    if len(names) == len(cases):
        return _("No volume of this project came from DICOM.") + " " + remedy
    told = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
    text = _("Not from DICOM ({count} of {total}): {names}.")
    return text.format(count=len(names), total=len(cases), names=told) + " " + remedy


def _summary(facts: Facts) -> MarkedLine:
    export, view = facts.export, facts.view
    if view is None or export.phase is ExportPhase.CHECK or export.checked is None:
        return MarkedLine(Light.NONE, "")
    if export.checked[0] != state_of_cases(view):
        text = _("The project has changed since this check; check again.")
        return MarkedLine(Light.AMBER, text)
    free = sum(not export.stops(case_id) for case_id in export.cases)
    total = len(export.cases)
    if free == total:
        text = counted(
            total, _("Ready for DICOM: 1 volume."), _("Ready for DICOM: {count} volumes.")
        )
        return MarkedLine(Light.GREEN, text)
    if any(one.stops and not one.case_id for one in export.findings):
        text = _("First fix the lines marked in red, then export to DICOM.")
        return MarkedLine(Light.RED, text)
    text = _("{count} of {total} volumes can be exported to DICOM.")
    light = Light.AMBER if free else Light.RED
    return MarkedLine(light, text.format(count=free, total=total))


def _rows(view: ProjectView | None, export: ExportFacts, reason: str) -> tuple[FindingRow, ...]:
    if view is None or export.checked is None:
        return ()
    rows: list[FindingRow] = []
    with_button: set[tuple[str, ExportFix, int | None]] = set()
    for one in sorted(export.findings, key=lambda one: not one.stops):
        same = (one.case_id, one.fix, one.label_value)
        rows.append(_row(one, reason, has_button=same not in with_button))
        with_button.add(same)
    waiting = [case for case in view.cases if is_unreviewed(case)]
    if waiting and not export.choices.include_unreviewed and not export.choices.case_ids:
        text = counted(
            len(waiting),
            _("1 proposal that nobody has reviewed is left out."),
            _("{count} proposals that nobody has reviewed are left out."),
        )
        rows.append(
            FindingRow(
                Light.AMBER,
                text,
                ExportFix.INCLUDE_UNREVIEWED,
                _button(ExportFix.INCLUDE_UNREVIEWED, reason),
            )
        )
    return tuple(rows)


def _row(found: DicomFinding, reason: str, *, has_button: bool) -> FindingRow:
    fix = found.fix if has_button else ExportFix.NONE
    return FindingRow(
        light=Light.RED if found.stops else Light.AMBER,
        text=f"{translated(found.message)} {translated(found.remedy)}".strip(),
        fix=fix,
        button=_button(fix, reason),
        case_id=found.case_id,
        label_value=found.label_value,
        proposals=found.proposals,
    )


def _button(fix: ExportFix, reason: str) -> Action:
    if fix is ExportFix.NONE:
        return Action()
    text, tip = {
        ExportFix.CHOOSE_CODES: (_("Choose..."), _("Lets you choose what this structure is.")),
        ExportFix.FIND_SERIES: (
            _("Look in..."),
            _("Looks for the DICOM series in a folder and its subfolders."),
        ),
        ExportFix.NOT_FROM_DICOM: (
            _("Choose..."),
            _("Writes the volume as a DICOM series first, or chooses another format."),
        ),
        ExportFix.ACCEPT_LOSSES: (
            _("Accept..."),
            _("Exports this volume even though these voxels change."),
        ),
        ExportFix.INCLUDE_UNREVIEWED: (
            _("Include them"),
            _("Exports them too, marked as unreviewed."),
        ),
    }[fix]
    return action(reason, tip, text)


def export_stage(export: ExportFacts) -> str:
    """Return what is done now, or nothing."""
    if export.phase is ExportPhase.IDLE:
        return ""
    text = (
        _("Checking '{case}' ({number} of {total})")
        if export.phase is ExportPhase.CHECK
        else _("Writing '{case}' and reading it back ({number} of {total})")
    )
    if export.is_cancelled:
        text = _("Stopping after '{case}'")
    number = export.total - len(export.queue)
    return text.format(case=export.current, number=number, total=export.total)


def export_fraction(export: ExportFacts) -> float | None:
    """Return how much of it is done, 0..1, or None."""
    if export.phase is ExportPhase.IDLE or not export.total:
        return None
    done = export.total - len(export.queue) - len(export.left) - 1
    return (done + export.fraction) / export.total
