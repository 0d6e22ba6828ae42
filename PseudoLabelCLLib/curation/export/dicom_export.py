"""Segmentations of a project out as verified DICOM segmentation objects, one line for each case."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.curation.export.compose_segmentations import (
    SegmentationRecipe,
    compose,
    recipes_of,
)
from PseudoLabelCLLib.curation.export.dicom_preflight import (
    ExportFinding,
    error_finding,
    grid_findings,
    label_findings,
)
from PseudoLabelCLLib.curation.export.dicom_provenance import (
    PROGRAM,
    description_of,
    origin_of,
    person_name,
    segment_of,
)
from PseudoLabelCLLib.curation.export.dicom_series_of_case import is_from_dicom, series_of_case
from PseudoLabelCLLib.curation.export.dicom_series_of_volume import (
    SeriesAttributes,
    series_finding,
    series_of_volume,
    series_written,
)
from PseudoLabelCLLib.curation.export.dicom_source_grid import OnSourceGrid, onto_source_grid
from PseudoLabelCLLib.curation.export.export_source import ExportSource
from PseudoLabelCLLib.curation.export.write_verified_object import (
    WRITING_STEPS,
    ObjectToWrite,
    write_verified_object,
)
from PseudoLabelCLLib.domain.case import Case
from PseudoLabelCLLib.domain.errors import ProjectError, PseudoLabelCLError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.reporting import ReportProgress, silent
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema
from PseudoLabelCLLib.domain.text import NO_TEXT, Text, joined
from PseudoLabelCLLib.storage.dicom.series_writer import PlannedSeries, VolumeKind
from PseudoLabelCLLib.storage.dicom.source_series import SourceSeries
from PseudoLabelCLLib.storage.files.atomic_files import make_folder, remove_leftovers

# Words for a person, steps done, steps in all (0: not known yet).
_Tell: TypeAlias = Callable[[Text], None]

_CHECKING_STEPS = (Text("checking"), Text("resampling"))


@dataclass(frozen=True)
class DicomExportChoices:
    """What a person chooses for an export.

    Args:
        case_ids: Which cases; None takes all that take part.
        include_unreviewed: Whether proposals that nobody judged go out too, named so.
        look_in: A folder in or below which the series lie now; by default where they lay.
        accept_losses: Whether voxels without a place on the grid of the series may be lost.
        creator: Who answers for the content, as a DICOM person name.
        volume_series_too: Whether volumes that did not come from DICOM go out as series first.
        volume_modality: What those volumes are: "MR", "CT", or "OT" where nobody said so.
        patient_id: Of the one case that is exported, a pseudonym for its volume; or empty.
    """

    case_ids: Sequence[str] | None = None
    include_unreviewed: bool = False
    look_in: Path | None = None
    accept_losses: bool = False
    creator: str = PROGRAM
    volume_series_too: bool = False
    volume_modality: str = VolumeKind.OTHER.value
    patient_id: str = ""


@dataclass(frozen=True)
class DicomExportLine:
    """What became of one case.

    Args:
        case_id: The case.
        source: Who confirmed the segmentation.
        path: The object, or None if nothing was written.
        problem: Why nothing was written, or empty.
        remedy: What to do about it.
        notices: What a person should know about the object.
        volume_folder: Where its volume went as a series of its own, or None.
    """

    case_id: str
    source: ExportSource
    path: Path | None
    problem: Text = NO_TEXT
    remedy: Text = NO_TEXT
    notices: tuple[Text, ...] = ()
    volume_folder: Path | None = None


def check_dicom_export(
    root: Path, project: Project, choices: DicomExportChoices, *, progress: ReportProgress = silent
) -> tuple[ExportFinding, ...]:
    """Return everything that would stop or surprise an export; nothing is written.

    Args:
        root: The project folder.
        project: The project as it is now.
        choices: Which cases, and how.
        progress: Called with the progress, before each step of each case and at the end.

    Raises:
        ProjectError: There is nothing to export, or an unknown case.
        StorageError: The disk refuses.
    """
    found = list(label_findings(project.schema))
    work = _Work(root, project, choices, _CHECKING_STEPS, progress)
    waiting = work.recipes()
    for number, recipe in enumerate(waiting):
        found.extend(_case_findings(work, recipe, work.teller(waiting, number)))
    work.tell_end(len(waiting))
    return tuple(found)


def export_dicom_segmentations(
    root: Path,
    project: Project,
    output_folder: Path,
    choices: DicomExportChoices,
    *,
    progress: ReportProgress = silent,
    is_stopped: Callable[[], bool] | None = None,
) -> tuple[DicomExportLine, ...]:
    """Write one object for each case; a case that cannot go out does not stop the others.

    Args:
        root: The project folder.
        project: The project as it is now.
        output_folder: Where to; made if it is not there.
        choices: Which cases, and how.
        progress: Called with the progress, before each step of each case and at the end.
        is_stopped: Is asked before each case whether to leave the rest; what was written stays.

    Raises:
        ProjectError: There is nothing to export, an unknown case, or a label is not ready for
            DICOM; then nothing is written.
        StorageError: The disk refuses.
    """
    _require_ready_labels(project)
    steps = (*_CHECKING_STEPS, *WRITING_STEPS)
    work = _Work(root, project, choices, steps, progress)
    make_folder(output_folder)
    remove_leftovers(output_folder, deep=False)
    lines: list[DicomExportLine] = []
    waiting = work.recipes()
    for number, recipe in enumerate(waiting):
        if is_stopped is not None and is_stopped():
            return (*lines, *map(_stopped_line, waiting[number:]))
        lines.append(_line_of(work, recipe, output_folder, work.teller(waiting, number)))
    work.tell_end(len(waiting))
    return tuple(lines)


@dataclass(frozen=True)
class _Work:
    """What is done for every case, and where it is reported."""

    root: Path
    project: Project
    choices: DicomExportChoices
    steps: tuple[Text, ...]
    progress: ReportProgress

    def recipes(self) -> list[SegmentationRecipe]:
        """Return how the segmentations are put together."""
        choices = self.choices
        found = recipes_of(
            self.root,
            self.project,
            choices.case_ids,
            include_unreviewed=choices.include_unreviewed,
        )
        if self.choices.patient_id and len(found) > 1:
            raise ProjectError(
                Text(
                    "The patient ID '{id}' is given for {count} cases.",
                    id=self.choices.patient_id,
                    count=len(found),
                ),
                Text("Name the one case that it belongs to."),
            )
        return found

    def teller(self, waiting: Sequence[SegmentationRecipe], number: int) -> _Tell:
        """Return what tells, by its name, which step of a case begins."""
        total = len(waiting) * len(self.steps)

        def tell(step: Text) -> None:
            told = Text(
                "Case '{case}' ({number} of {count}): {step}",
                case=waiting[number].case_id,
                number=number + 1,
                count=len(waiting),
                step=step,
            )
            self.progress(told, number * len(self.steps) + self.steps.index(step), total)

        return tell

    def tell_end(self, num_cases: int) -> None:
        """Tell that all steps of all cases are done."""
        total = num_cases * len(self.steps)
        self.progress(Text("All cases are done"), total, total)


def _require_ready_labels(project: Project) -> None:
    stops = [finding for finding in label_findings(project.schema) if finding.stops]
    if stops:
        raise ProjectError(
            joined(Text("Nothing was exported."), *(finding.problem for finding in stops)),
            joined(*dict.fromkeys(finding.remedy for finding in stops)),
        )


def _case_findings(
    work: _Work, recipe: SegmentationRecipe, tell: _Tell
) -> tuple[ExportFinding, ...]:
    try:
        return _prepared(work, recipe, tell)[1]
    except PseudoLabelCLError as error:
        return (error_finding(work.root, work.project.case(recipe.case_id), error),)


def _stopped_line(recipe: SegmentationRecipe) -> DicomExportLine:
    problem = Text("The export was stopped before this case.")
    return DicomExportLine(recipe.case_id, recipe.source, None, problem, Text("Export it again."))


def _line_of(
    work: _Work, recipe: SegmentationRecipe, output_folder: Path, tell: _Tell
) -> DicomExportLine:
    try:
        return _export_one(work, recipe, output_folder, tell)
    except PseudoLabelCLError as error:
        return DicomExportLine(recipe.case_id, recipe.source, None, error.message, error.remedy)


def _export_one(
    work: _Work, recipe: SegmentationRecipe, output_folder: Path, tell: _Tell
) -> DicomExportLine:
    content, findings = _prepared(work, recipe, tell)
    stops = [finding for finding in findings if finding.stops]
    if stops:
        problem = joined(*(finding.problem for finding in stops))
        return DicomExportLine(recipe.case_id, recipe.source, None, problem, stops[0].remedy)
    with series_written(content, output_folder, recipe.case_id) as whole:
        path, _ = write_verified_object(output_folder, _stem(recipe), whole, tell)
    return DicomExportLine(
        recipe.case_id,
        recipe.source,
        path,
        notices=tuple(f.problem for f in findings),
        volume_folder=None if whole is content else whole.source.folder,
    )


def _prepared(
    work: _Work, recipe: SegmentationRecipe, tell: _Tell
) -> tuple[ObjectToWrite, tuple[ExportFinding, ...]]:
    """Return what would be written for a case, and what is to be known about it."""
    case, schema, choices = work.project.case(recipe.case_id), work.project.schema, work.choices
    tell(Text("checking"))
    source = _source_of(work, case)
    labels = compose(work.root, work.project, recipe)
    origin = origin_of(work.root, work.project, recipe, labels.array)
    tell(Text("resampling"))
    placed = onto_source_grid(labels, schema, source.geometry, file_name=case.id)
    findings = grid_findings(case.id, placed, schema, accept_losses=choices.accept_losses)
    if isinstance(source, PlannedSeries):
        findings = (series_finding(case.id, source), *findings)
    numbers, ordered = _empty_last(placed, schema)
    uncoded = any(label.chosen_terms is None for label in schema)
    segments = () if uncoded else tuple(
        segment_of(label, origin, source.instances.series_uid) for label in ordered
    )  # fmt: skip
    content = ObjectToWrite(
        source=source,
        masks=numbers,
        segments=segments,
        about=description_of(origin, person_name(choices.creator)),
        notices=tuple(finding.problem for finding in findings),
    )
    return content, findings


def _empty_last(
    placed: OnSourceGrid, schema: LabelSchema
) -> tuple[npt.NDArray[np.int16], tuple[LabelClass, ...]]:
    """Return segment numbers and labels with the empty ones at the end.

    3D Slicer gives the names of the segments, one after the other, to those that have voxels: an
    empty one before them would shift all names that follow.
    """
    counts = placed.num_voxels
    order = sorted(range(len(counts)), key=lambda n: not counts[n])
    labels = tuple(schema.classes[n] for n in order)
    if order == list(range(len(counts))):
        return placed.numbers, labels
    table = np.zeros(len(counts) + 1, dtype=placed.numbers.dtype)
    table[np.add(order, 1)] = np.arange(1, len(counts) + 1)
    return table[placed.numbers], labels


def _source_of(work: _Work, case: Case) -> SourceSeries:
    """Return the series of a case; where it came from none, the one its volume would make."""
    choices = work.choices
    if not choices.volume_series_too or is_from_dicom(work.root, case):
        return series_of_case(work.root, case, choices.look_in)
    attributes = SeriesAttributes(choices.volume_modality, choices.patient_id)
    return series_of_volume(work.root, case, attributes)


def _stem(recipe: SegmentationRecipe) -> str:
    """Return how the file name begins; it says where no person confirmed all of it."""
    name = recipe.file_stem
    by_hand = recipe.round_index is None
    return name if by_hand else f"{name}.round-{recipe.round_index:02d}"
