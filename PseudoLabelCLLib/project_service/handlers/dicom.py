"""Requests about DICOM segmentation objects: what would stop their export, and the export."""

import importlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PseudoLabelCLLib.curation.export.export_source import SOURCE_WORDS
from PseudoLabelCLLib.domain.errors import PackageError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.reporting import ReportProgress
from PseudoLabelCLLib.domain.text import NO_TEXT, Text
from PseudoLabelCLLib.messages.answers import (
    DicomExportChecked,
    DicomExported,
    DicomExportResult,
    DicomFinding,
    ExportFix,
    ProposedCodes,
)
from PseudoLabelCLLib.messages.requests import CheckDicomExport, DicomChoices, ExportDicom
from PseudoLabelCLLib.project_service.handle_request import handler
from PseudoLabelCLLib.project_service.project_session import ProjectSession
from PseudoLabelCLLib.storage.segments.terminology_list import in_words, propose_terminology

if TYPE_CHECKING:
    from PseudoLabelCLLib.curation.export.dicom_export import DicomExportChoices, DicomExportLine
    from PseudoLabelCLLib.curation.export.dicom_preflight import ExportFinding

_MOST_PROPOSED = 8
_PACKAGES = ("highdicom", "pydicom")


@handler
def _check(
    session: ProjectSession, request: CheckDicomExport, progress: ReportProgress
) -> DicomExportChecked:
    _require_packages()
    from PseudoLabelCLLib.curation.export.dicom_export import check_dicom_export  # noqa: PLC0415

    project, choices = session.project(), _choices(request.choices)
    found = check_dicom_export(session.root, project, choices, progress=progress)
    return DicomExportChecked(tuple(_finding(project, one, request.choices) for one in found))


@handler
def _export(
    session: ProjectSession, request: ExportDicom, progress: ReportProgress
) -> DicomExported:
    _require_packages()
    from PseudoLabelCLLib.curation.export.dicom_export import (  # noqa: PLC0415
        export_dicom_segmentations,
    )

    folder, choices = Path(request.output_folder).absolute(), _choices(request.choices)
    lines = export_dicom_segmentations(
        session.root, session.project(), folder, choices, progress=progress
    )
    return DicomExported(tuple(_result(line) for line in lines))


def _result(line: "DicomExportLine") -> DicomExportResult:
    folder = line.volume_folder
    return DicomExportResult(
        case_id=line.case_id,
        source=SOURCE_WORDS[line.source],
        file=None if line.path is None else str(line.path),
        message=line.problem,
        remedy=line.remedy,
        notices=line.notices,
        volume_files=()
        if folder is None
        else tuple(str(path) for path in sorted(folder.iterdir())),
    )


def _require_packages() -> None:
    """Load what writes DICOM, which takes a second and is needed for nothing else.

    Raises:
        PackageError: It is not there, or broken.
    """
    try:
        for name in _PACKAGES:
            importlib.import_module(name)
    except ImportError as error:
        raise PackageError(
            Text("The Python packages that write DICOM cannot be used: {error}.", error=error),
            Text("Install the packages that are missing, then try again; or export as .seg.nrrd."),
        ) from error


def _choices(chosen: DicomChoices) -> "DicomExportChoices":
    from PseudoLabelCLLib.curation.export.dicom_export import DicomExportChoices  # noqa: PLC0415

    choices = DicomExportChoices(
        case_ids=chosen.case_ids or None,
        include_unreviewed=chosen.include_unreviewed,
        look_in=None if chosen.look_in is None else Path(chosen.look_in),
        accept_losses=chosen.accept_losses,
        creator=chosen.creator,
    )
    if chosen.volume_kind is None:
        return choices
    return replace(choices, volume_series_too=True, volume_modality=chosen.volume_kind)


def _finding(project: Project, found: "ExportFinding", chosen: DicomChoices) -> DicomFinding:
    # the command line's remedy names its own options; a user interface has a button for them
    is_offered = found.fix is ExportFix.NOT_FROM_DICOM and chosen.volume_kind is None
    proposals: tuple[ProposedCodes, ...] = ()
    if found.fix is ExportFix.CHOOSE_CODES and found.label_value is not None:
        names = {label.value: label.name for label in project.schema}
        proposed = propose_terminology(names[found.label_value])[:_MOST_PROPOSED]
        proposals = tuple(ProposedCodes(in_words(terms), terms) for terms in proposed)
    return DicomFinding(
        case_id=found.case_id or "",
        stops=found.stops,
        message=found.problem,
        remedy=NO_TEXT if is_offered else found.remedy,
        fix=found.fix,
        label_value=found.label_value,
        proposals=proposals,
    )
