"""Exporting segmentations: as files, or as DICOM objects, one case after the other."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from PseudoLabelCLGui.panel_state import Light, MarkedLine
from PseudoLabelCLGui.presenter.core import Core
from PseudoLabelCLGui.presenter.facts.use_facts import (
    ExportChoices,
    ExportPhase,
    exportable_cases,
    state_of_cases,
)
from PseudoLabelCLGui.presenter.faults import fault_of_refusal
from PseudoLabelCLGui.presenter.reasons import no_change, no_export
from PseudoLabelCLGui.presenter.service_line import A, Asked
from PseudoLabelCLGui.translation import _, translated
from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.domain.segmentation import LabelSchema, Terminology
from PseudoLabelCLLib.messages.answers import (
    DicomExportChecked,
    DicomExported,
    DicomExportResult,
    DicomFinding,
    Exported,
    ExportFix,
)
from PseudoLabelCLLib.messages.project_view import ProjectView
from PseudoLabelCLLib.messages.requests import (
    ChangeLabels,
    CheckDicomExport,
    DicomChoices,
    Export,
    ExportDicom,
    Request,
)
from PseudoLabelCLLib.messages.service_messages import Refused

# Refusals that concern one case; the others concern every case that follows.
_OF_ONE_CASE = ("ProjectError", "VolumeError", "AnnotationError")


class ExportActions:
    """The actions of the export.

    Every case is a request of its own, so that other requests come in between, the export can be
    left after any case, and each case is reported as soon as it is done.

    Args:
        core: What all parts share.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    # --- files

    def write_files(
        self,
        folder: str,
        format: SegmentationFormat = SegmentationFormat.SEG_NRRD,  # noqa: A002 - as in the request
        case_ids: tuple[str, ...] = (),
        include_unreviewed: bool = False,
    ) -> None:
        """Write segmentations into a folder, as files of one kind; no case means all."""
        core = self._core

        def exported(answer: Exported) -> None:
            line = _("{case}: {file} ({source})")
            core.facts.export.results = [
                MarkedLine(
                    Light.GREEN,
                    line.format(
                        case=one.case_id, file=Path(one.file).name, source=translated(one.source)
                    ),
                )
                for one in answer.files
            ]
            core.facts.export.num_written = len(answer.files)
            self._tell_written(len(answer.files), len(answer.files), folder)

        if self._may_begin():
            request = Export(folder, format, case_ids, include_unreviewed)
            core.change(request, _("The segmentations are being exported."), exported)

    # --- DICOM: what would stop it, and what mends that

    def check(self, choices: ExportChoices) -> None:
        """Look for what would stop or surprise an export to DICOM; nothing is written."""
        if self._may_begin(choices):
            self._check(choices, goes_on=False)

    def look_in(self, folder: str) -> None:
        """Look for the series that were not found in or below a folder."""
        export = self._core.facts.export
        lost = [one.case_id for one in export.findings if one.fix is ExportFix.FIND_SERIES]
        export.folders |= dict.fromkeys(lost, folder)
        self._check_again(lost)

    def write_volumes(self, kind: str) -> None:
        """Write the volumes that did not come from DICOM as series first.

        Args:
            kind: What they are: "MR", "CT", or "OT" for anything else.
        """
        export = self._core.facts.export
        fix = ExportFix.NOT_FROM_DICOM
        foreign = [one.case_id for one in export.findings if one.fix is fix]
        export.kinds |= dict.fromkeys(foreign, kind)
        self._check_again(foreign)

    def accept_losses(self, case_id: str) -> None:
        """Let the voxels of a case go that have no place on the grid of its series."""
        self._core.facts.export.accepted.add(case_id)
        self._check_again([case_id])

    def choose_codes(self, label_value: int, terminology: Terminology) -> None:
        """Say what a structure is."""
        core, view = self._core, self._core.facts.view
        export = core.facts.export
        if not core.may(no_change, topic="export") or view is None:
            return
        was_fresh = export.checked is not None and export.checked[0] == state_of_cases(view)

        def changed(_view: ProjectView) -> None:
            export.findings = tuple(
                one
                for one in export.findings
                if one.fix is not ExportFix.CHOOSE_CODES or one.label_value != label_value
            )
            if was_fresh and export.checked is not None and core.facts.view is not None:
                export.checked = (state_of_cases(core.facts.view), export.checked[1])

        labels = LabelSchema(
            tuple(
                replace(one, terminology=terminology) if one.value == label_value else one
                for one in view.labels
            )
        )
        core.change(ChangeLabels(labels), _("The structures are being changed."), changed)

    # --- DICOM: the export

    def write_dicom(self, choices: ExportChoices) -> None:
        """Write the cases that nothing stops; what was not yet checked is checked before."""
        if not self._may_begin(choices):
            return
        export, view = self._core.facts.export, self._core.facts.view
        assert view is not None
        if export.checked != (state_of_cases(view), choices.what_goes_out):
            self._check(choices, goes_on=True)
        else:
            self._write(choices)

    def cancel(self) -> None:
        """Stop after the case that is being written or checked."""
        export = self._core.facts.export
        if export.phase is not ExportPhase.IDLE:
            self._core.is_dirty = True
            export.left, export.queue, export.is_cancelled = export.queue, [], True

    def told_by_database(self, light: Light, text: str) -> None:
        """Take what became of the import into Slicer's DICOM database."""
        self._core.is_dirty = True
        self._core.facts.export.results.append(MarkedLine(light, text))

    # --- the queue

    def _may_begin(self, choices: ExportChoices | None = None) -> bool:
        core = self._core
        core.begin("export")
        reason = no_export(core.facts)
        view = core.facts.view
        if not reason and choices and view and not exportable_cases(view, choices):
            reason = _(
                "There is no segmentation to export yet: segment a volume, or review a proposal."
            )
        if reason:
            core.refuse(reason, topic="export")
        return not reason

    def _check(self, choices: ExportChoices, *, goes_on: bool) -> None:
        export, view = self._core.facts.export, self._core.facts.view
        assert view is not None
        checked = (state_of_cases(view), choices.what_goes_out)
        if export.checked != checked:
            export.accepted.clear()  # what is lost now may be something else
        export.checked, export.choices, export.findings = checked, choices, ()
        export.cases = exportable_cases(view, choices)
        export.goes_on = goes_on
        self._begin(ExportPhase.CHECK, list(export.cases))

    def _check_again(self, case_ids: list[str]) -> None:
        """Check some of the cases again, after something about them was mended."""
        export = self._core.facts.export
        if self._core.may(no_export, topic="export") and export.checked is not None:
            export.findings = tuple(one for one in export.findings if one.case_id not in case_ids)
            export.goes_on = False
            self._begin(ExportPhase.CHECK, list(dict.fromkeys(case_ids)))

    def _write(self, choices: ExportChoices) -> None:
        export = self._core.facts.export
        free = [case_id for case_id in export.cases if not export.stops(case_id)]
        if not free:
            text = _("First fix the lines marked in red, then export.")
            self._core.tell(Light.AMBER, text, topic="export")
            return
        export.choices, export.num_written = choices, 0
        export.files, export.results = [], []
        for case_id in export.cases:
            if case_id not in free:
                why = next(o for o in export.findings if o.stops and o.case_id == case_id)
                self._add_refused(case_id, translated(why.message), translated(why.remedy))
        self._begin(ExportPhase.WRITE, free)

    def _begin(self, phase: ExportPhase, cases: list[str]) -> None:
        export = self._core.facts.export
        export.phase, export.queue, export.total = phase, cases, len(cases)
        export.left, export.is_cancelled = [], False
        self._next()

    def _next(self) -> None:
        export = self._core.facts.export
        if not export.queue:
            ended = self._checked_all if export.phase is ExportPhase.CHECK else self._written_all
            export.phase, export.current = ExportPhase.IDLE, ""
            ended()
            return
        export.current, export.fraction = export.queue.pop(0), 0.0
        if export.phase is ExportPhase.CHECK:
            self._send(CheckDicomExport(self._choices()), self._checked)
        else:
            self._send(ExportDicom(self._folder(), self._choices()), self._written)

    def _send(self, request: Request[A], then: Callable[[A], None]) -> None:
        refused, on_progress = partial(self._refused, request), self._on_progress
        self._core.send(Asked(request, then, self._lost, refused=refused, on_progress=on_progress))

    def _choices(self) -> DicomChoices:
        export = self._core.facts.export
        return DicomChoices(
            case_ids=(export.current,),
            include_unreviewed=export.choices.include_unreviewed,
            look_in=export.folders.get(export.current),
            accept_losses=export.current in export.accepted,
            creator=export.choices.creator,
            volume_kind=export.kinds.get(export.current),
        )

    def _folder(self) -> str:
        folder = self._core.facts.export.choices.folder
        return folder or str(self._core.scene.temporary_folder() / "dicom")

    # --- what the service says

    def _on_progress(self, progress: Progress) -> None:
        self._core.facts.export.fraction = progress.fraction or 0.0

    def _checked(self, answer: DicomExportChecked) -> None:
        self._add_findings(answer.findings)
        self._next()

    def _written(self, answer: DicomExported) -> None:
        for line in answer.lines:
            self._add_result(line)
        self._next()

    def _refused(self, request: Request[Any], refused: Refused) -> None:
        export = self._core.facts.export
        if refused.error_type not in _OF_ONE_CASE:
            self._lost()
            self._core.tell_fault(fault_of_refusal(refused, request), topic="export")
            return
        if export.phase is ExportPhase.CHECK:
            found = DicomFinding(
                export.current, stops=True, message=refused.message, remedy=refused.remedy
            )
            self._add_findings((found,))
        else:
            self._add_refused(
                export.current, translated(refused.message), translated(refused.remedy)
            )
        self._next()

    def _lost(self) -> None:
        """Give the queue up: the service is gone, or nothing more can be written."""
        export = self._core.facts.export
        if export.phase is ExportPhase.CHECK:
            export.checked, export.findings = None, ()
        else:
            for case_id in (export.current, *export.queue):
                self._add_refused(case_id, _("the export was interrupted"), _("Export it again."))
            self._hand_over()
        export.phase, export.current, export.queue = ExportPhase.IDLE, "", []

    def _checked_all(self) -> None:
        core, export = self._core, self._core.facts.export
        if export.is_cancelled:
            export.checked, export.findings = None, ()
            core.tell(Light.AMBER, _("The check was stopped."), topic="export")
            return
        num_stops = sum(one.stops for one in export.findings)
        if export.goes_on and not num_stops:
            self._write(export.choices)
        elif export.goes_on:
            text = _("Nothing has been exported yet. Problems to fix first: {count}.")
            remedy = _(
                "Fix what is marked in red, or press Export again to export the other volumes."
            )
            core.tell(Light.AMBER, text.format(count=num_stops), remedy, topic="export")

    def _written_all(self) -> None:
        export = self._core.facts.export
        for case_id in export.left:
            self._add_refused(case_id, _("the export was stopped before it"), _("Export it again."))
        self._tell_written(export.num_written, len(export.cases), export.choices.folder)
        self._hand_over()

    def _hand_over(self) -> None:
        export = self._core.facts.export
        if export.files and export.choices.to_database:
            self._core.listeners.on_dicom_written(tuple(export.files))

    # --- lines

    def _add_findings(self, findings: tuple[DicomFinding, ...]) -> None:
        export = self._core.facts.export
        new = [one for one in findings if one not in export.findings]
        export.findings = (*export.findings, *new)

    def _add_result(self, line: DicomExportResult) -> None:
        export = self._core.facts.export
        if line.file is None:
            self._add_refused(line.case_id, translated(line.message), translated(line.remedy))
            return
        export.num_written += 1
        export.files += [*line.volume_files, line.file]
        text = _("{case}: {file} ({source}), read back: no voxel differs").format(
            case=line.case_id, file=Path(line.file).name, source=translated(line.source)
        )
        light = Light.AMBER if line.notices else Light.GREEN
        export.results.append(MarkedLine(light, "\n".join((text, *map(translated, line.notices)))))

    def _add_refused(self, case_id: str, message: str, remedy: str) -> None:
        text = _("{case}: not exported: {why}").format(case=case_id, why=f"{message} {remedy}")
        self._core.facts.export.results.append(MarkedLine(Light.RED, text.strip()))

    def _tell_written(self, num_written: int, num_wanted: int, folder: str) -> None:
        core = self._core
        light = Light.GREEN if num_written == num_wanted else Light.AMBER
        text = _("Segmentations exported: {count} of {total}.")
        step = (_("Show the folder"), partial(core.listeners.on_folder_wanted, folder))
        core.tell(
            light,
            text.format(count=num_written, total=num_wanted),
            folder,
            topic="export",
            step=step if folder and num_written else None,
        )
