"""Segmentations of a project out as verified DICOM segmentation objects, one line for each case."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PseudoLabelCLLib.curation.dicom_preflight import Finding, grid_findings, label_findings
from PseudoLabelCLLib.curation.dicom_provenance import (
    PROGRAM,
    clean_text,
    description_of,
    origin_of,
    segment_of,
)
from PseudoLabelCLLib.curation.dicom_series_of_case import series_of_case
from PseudoLabelCLLib.curation.dicom_source_grid import onto_source_grid
from PseudoLabelCLLib.curation.export_segmentations import (
    ExportedSegmentation,
    ExportFormat,
    ExportSource,
    export_segmentations,
)
from PseudoLabelCLLib.curation.write_verified_object import ObjectToWrite, write_verified_object
from PseudoLabelCLLib.domain.errors import ProjectError, PseudoLabelCLError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.storage.atomic_files import make_folder, remove_leftovers

_WHOLE_NAME: ExportFormat = ".seg.nrrd"


@dataclass(frozen=True)
class DicomExportChoices:
    """What a person chooses for an export.

    Args:
        case_ids: Which cases; None takes all that take part.
        include_unreviewed: Whether proposals that nobody judged go out too, named so.
        look_in: A folder in or below which the series lie now; by default where they lay.
        accept_losses: Whether voxels without a place on the grid of the series may be lost.
        creator: Who answers for the content, as a DICOM person name.
    """

    case_ids: Sequence[str] | None = None
    include_unreviewed: bool = False
    look_in: Path | None = None
    accept_losses: bool = False
    creator: str = PROGRAM


@dataclass(frozen=True)
class DicomExportLine:
    """What became of one case.

    Args:
        case_id: The case.
        source: Who vouches for the segmentation.
        path: The object, or None if nothing was written.
        problem: Why nothing was written, or empty.
        remedy: What to do about it.
        notices: What a person should know about the object.
    """

    case_id: str
    source: ExportSource
    path: Path | None
    problem: str = ""
    remedy: str = ""
    notices: tuple[str, ...] = ()


def check_dicom_export(
    root: Path, project: Project, choices: DicomExportChoices
) -> tuple[Finding, ...]:
    """Return everything that would stop or surprise an export; nothing is written.

    Raises:
        ProjectError: There is nothing to export, or an unknown case.
        StorageError: The disk refuses.
    """
    found = list(label_findings(project.schema))
    with tempfile.TemporaryDirectory(prefix="pseudolabelcl-") as aside:
        for exported in _segmentations(root, project, Path(aside), choices):
            found.extend(_case_findings(root, project, exported, choices))
    return tuple(found)


def export_dicom_segmentations(
    root: Path, project: Project, output_folder: Path, choices: DicomExportChoices
) -> tuple[DicomExportLine, ...]:
    """Write one object for each case; a case that cannot go out does not stop the others.

    Args:
        root: The project folder.
        project: The project as it is now.
        output_folder: Where to; made if it is not there.
        choices: Which cases, and how.

    Raises:
        ProjectError: There is nothing to export, an unknown case, or a label is not ready for
            DICOM; then nothing is written.
        StorageError: The disk refuses.
    """
    _require_ready_labels(project)
    make_folder(output_folder)
    remove_leftovers(output_folder, deep=False)
    with tempfile.TemporaryDirectory(prefix="pseudolabelcl-") as aside:
        return tuple(
            _line_of(root, project, exported, output_folder, choices)
            for exported in _segmentations(root, project, Path(aside), choices)
        )


def _segmentations(
    root: Path, project: Project, aside: Path, choices: DicomExportChoices
) -> list[ExportedSegmentation]:
    """Put the segmentations together as every other format does, in a folder of their own."""
    return export_segmentations(
        root,
        project,
        aside,
        _WHOLE_NAME,
        case_ids=choices.case_ids,
        include_unreviewed=choices.include_unreviewed,
    )


def _require_ready_labels(project: Project) -> None:
    stops = [finding for finding in label_findings(project.schema) if finding.stops]
    if stops:
        raise ProjectError(
            "Nothing was exported. " + " ".join(finding.problem for finding in stops),
            " ".join(dict.fromkeys(finding.remedy for finding in stops)),
        )


def _case_findings(
    root: Path, project: Project, exported: ExportedSegmentation, choices: DicomExportChoices
) -> tuple[Finding, ...]:
    try:
        return _prepared(root, project, exported, choices)[1]
    except PseudoLabelCLError as error:
        return (Finding(exported.case_id, error.message, error.remedy),)


def _line_of(
    root: Path,
    project: Project,
    exported: ExportedSegmentation,
    output_folder: Path,
    choices: DicomExportChoices,
) -> DicomExportLine:
    try:
        return _export_one(root, project, exported, output_folder, choices)
    except PseudoLabelCLError as error:
        return DicomExportLine(exported.case_id, exported.source, None, error.message, error.remedy)


def _export_one(
    root: Path,
    project: Project,
    exported: ExportedSegmentation,
    output_folder: Path,
    choices: DicomExportChoices,
) -> DicomExportLine:
    content, findings = _prepared(root, project, exported, choices)
    stops = [finding for finding in findings if finding.stops]
    if stops:
        problem = " ".join(finding.problem for finding in stops)
        return DicomExportLine(exported.case_id, exported.source, None, problem, stops[0].remedy)
    path, _ = write_verified_object(output_folder, _stem(exported), content)
    return DicomExportLine(
        exported.case_id, exported.source, path, notices=tuple(f.problem for f in findings)
    )


def _prepared(
    root: Path, project: Project, exported: ExportedSegmentation, choices: DicomExportChoices
) -> tuple[ObjectToWrite, tuple[Finding, ...]]:
    """Return what would be written for a case, and what is to be known about it."""
    case, schema = project.case(exported.case_id), project.schema
    source = series_of_case(root, case, choices.look_in)
    origin = origin_of(root, project, exported)
    labels = LabelVolume(origin.labels, case.geometry)
    placed = onto_source_grid(labels, schema, source.geometry, file_name=case.id)
    findings = grid_findings(case.id, placed, schema, accept_losses=choices.accept_losses)
    uncoded = any(label.terminology is None for label in schema)
    segments = () if uncoded else tuple(
        segment_of(label, origin, source.instances.series_uid) for label in schema
    )  # fmt: skip
    content = ObjectToWrite(
        source=source,
        masks=placed.numbers,
        segments=segments,
        about=description_of(origin, clean_text(choices.creator) or PROGRAM),
        notices=tuple(finding.problem for finding in findings),
    )
    return content, findings


def _stem(exported: ExportedSegmentation) -> str:
    """Return how the file name begins; it says where no person vouches for all of it."""
    name = exported.path.name.removesuffix(_WHOLE_NAME)
    by_hand = exported.round_index is None
    return name if by_hand else f"{name}.round-{exported.round_index:02d}"
