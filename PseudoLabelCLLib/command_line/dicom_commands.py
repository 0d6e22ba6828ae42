"""Commands about DICOM segmentations: export them, say what labels are, verify one."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PseudoLabelCLLib.command_line import project_commands
from PseudoLabelCLLib.command_line.console import Console, for_shell
from PseudoLabelCLLib.command_line.incomplete_export import ExportIncompleteError
from PseudoLabelCLLib.command_line.with_noun import with_noun
from PseudoLabelCLLib.curation.cases.change_labels import change_labels
from PseudoLabelCLLib.domain.errors import AnnotationError, ProjectError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema, Terminology
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.json_codec import JsonValue, to_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_lock import COMMAND_LINE, project_lock
from PseudoLabelCLLib.storage.project.project_store import load_project
from PseudoLabelCLLib.storage.segments.terminology_list import (
    in_words,
    propose_terminology,
    terminology_named,
)

if TYPE_CHECKING:
    from PseudoLabelCLLib.curation.export.dicom_export import DicomExportChoices, DicomExportLine

_MOST_PROPOSED = 3


def export(arguments: argparse.Namespace, console: Console) -> JsonValue:
    """Write the segmentations a person confirmed, in any format."""
    if arguments.format != "dicom-seg":
        return project_commands.export(arguments, console)
    # The libraries of DICOM load slowly, and other commands need none of them.
    from PseudoLabelCLLib.curation.export.dicom_export import DicomExportChoices  # noqa: PLC0415

    choices = DicomExportChoices(
        case_ids=arguments.cases,
        include_unreviewed=arguments.include_unreviewed,
        look_in=Path(arguments.source) if arguments.source else None,
        accept_losses=arguments.accept_losses,
        volume_series_too=arguments.with_volume,
        volume_modality=arguments.modality,
        patient_id=arguments.patient_id,
    )
    if arguments.creator:
        choices = replace(choices, creator=arguments.creator)
    if arguments.check:
        return _check(Path(arguments.project), choices, console)
    return _export(Path(arguments.project), Path(arguments.output), choices, console)


def terms(arguments: argparse.Namespace, console: Console) -> JsonValue:
    """Show or choose what the labels of a project are."""
    root = Path(arguments.project)
    project = load_project(root)
    if arguments.terms or arguments.accept_proposed:
        with project_lock(ProjectLayout(root).lock, COMMAND_LINE):
            project = load_project(root)
            labels = _with_terms(project, arguments.terms, accept=arguments.accept_proposed)
            project = change_labels(root, project, labels)
    rows = [
        (label.name, _chosen(label), "; ".join(_proposed_words(label)) or "-")
        for label in project.schema
    ]
    console.table(("structure", "is", "similar terms"), rows)
    if any(label.chosen_terms is None for label in project.schema):
        console.say(f"Choose: pseudolabelcl terms {for_shell(root)} 'STRUCTURE=WORDS'")
    return [
        {
            "label": label.name,
            "terminology": to_json(label.terminology),
            "proposed": list(_proposed_words(label)),
        }
        for label in project.schema
    ]


def verify_seg(arguments: argparse.Namespace, console: Console) -> JsonValue:
    """Check a DICOM segmentation by itself, against its series, and against its record."""
    from PseudoLabelCLLib.curation.export.verify_segmentation_object import (  # noqa: PLC0415
        verify_segmentation_object,
    )
    from PseudoLabelCLLib.curation.export.write_verified_object import record_problem  # noqa: PLC0415
    from PseudoLabelCLLib.storage.dicom.source_series import read_source_series  # noqa: PLC0415

    file = Path(arguments.file)
    source = read_source_series(Path(arguments.source), arguments.series)
    verification = verify_segmentation_object(file, source)
    for check in verification.checks:
        console.say(f"{'no ' if check.problem else 'yes'}  {check.name}")
    rows = [
        (
            str(segment.number),
            segment.label,
            in_words(segment.terminology) if segment.terminology else "-",
            segment.algorithm_type,
            str(segment.num_voxels),
        )
        for segment in verification.segments
    ]
    console.table(("segment", "label", "is", "origin", "voxels"), rows)
    problems = [*verification.problems, record_problem(file)]
    problems = [problem for problem in problems if problem]
    if problems:
        raise AnnotationError(
            Text(
                "'{file}' does not match this series: {problems}",
                file=file.name,
                problems=" ".join(problems),
            ),
            Text("Do not use it; export it again, or name the series that it belongs to."),
        )
    console.say(f"'{file.name}' fits the series; slices stored: {verification.num_frames}.")
    return to_json(verification)


def _check(root: Path, choices: "DicomExportChoices", console: Console) -> JsonValue:
    from PseudoLabelCLLib.curation.export.dicom_export import check_dicom_export  # noqa: PLC0415

    findings = check_dicom_export(root, load_project(root), choices)
    for finding in findings:
        console.say(f"{'Stops' if finding.stops else 'Note'}: {finding.problem}")
        if finding.remedy:
            console.say(f"       {finding.remedy}")
    stops = sum(finding.stops for finding in findings)
    console.say(f"{stops} to fix before the export." if stops else "Ready to export.")
    return [to_json(finding) for finding in findings]


def _export(root: Path, output: Path, choices: "DicomExportChoices", console: Console) -> JsonValue:
    from PseudoLabelCLLib.curation.export.dicom_export import export_dicom_segmentations  # noqa: PLC0415

    project = load_project(root)
    _tell_notes(project, console)
    lines = export_dicom_segmentations(root, project, output, choices, progress=console.progress)
    written = [(line.case_id, line.source, line.path.name) for line in lines if line.path]
    for line in lines:
        for notice in line.notices:
            console.warn(notice)
        if line.path is None:
            console.warn(f"Case '{line.case_id}' was not exported. {line.problem} {line.remedy}")
    if written:
        console.table(("case", "source", "file"), written)
        console.say(
            f"{len(written)} of {with_noun(len(lines), 'segmentation')} written to '{output}', "
            "each read back and compared voxel by voxel."
        )
    result: JsonValue = [_line_as_json(line) for line in lines]
    if len(written) < len(lines):
        raise ExportIncompleteError(len(lines) - len(written), len(lines), result)
    return result


def _tell_notes(project: Project, console: Console) -> None:
    """Tell what will be another way in DICOM, such as a name that is cut."""
    from PseudoLabelCLLib.curation.export.dicom_preflight import label_findings  # noqa: PLC0415

    for finding in label_findings(project.schema):
        if not finding.stops:
            console.warn(f"{finding.problem} {finding.remedy}".strip())


def _line_as_json(line: "DicomExportLine") -> JsonValue:
    return {
        "case": line.case_id,
        "source": line.source,
        "file": line.path.name if line.path else None,
        "problem": line.problem,
        "remedy": line.remedy,
        "notices": list(line.notices),
    }


def _with_terms(project: Project, given: list[str], *, accept: bool) -> LabelSchema:
    chosen = dict(_parsed(project, text) for text in given)
    labels = []
    for label in project.schema:
        terminology = chosen.get(label.name, label.chosen_terms)
        if terminology is None and accept:
            terminology = next(iter(propose_terminology(label.name)), None)
        labels.append(replace(label, terminology=terminology))
    return LabelSchema(tuple(labels))


def _parsed(project: Project, text: str) -> tuple[str, Terminology]:
    name, equals, words = text.rpartition("=")
    known = {label.name.casefold(): label.name for label in project.schema}
    if not equals or name.strip().casefold() not in known:
        raise ProjectError(
            Text(
                "'{text}' does not name a structure of the project (structures: {names}).",
                text=text,
                names=", ".join(project.schema.names),
            ),
            Text("Write STRUCTURE=WORDS, such as 'kidney_l=Kidney, left'."),
        )
    terminology = terminology_named(words)
    if terminology is None:
        like = "; ".join(in_words(found) for found in propose_terminology(words)[:_MOST_PROPOSED])
        raise ProjectError(
            Text("'{words}' is not in the list of terms.", words=words.strip()),
            Text("Similar terms: {like}.", like=like)
            if like
            else Text("Choose it in Slicer's segment editor."),
        )
    return known[name.strip().casefold()], terminology


def _chosen(label: LabelClass) -> str:
    return in_words(label.chosen_terms) if label.chosen_terms else "not chosen"


def _proposed_words(label: LabelClass) -> tuple[str, ...]:
    return tuple(in_words(terms) for terms in propose_terminology(label.name)[:_MOST_PROPOSED])
