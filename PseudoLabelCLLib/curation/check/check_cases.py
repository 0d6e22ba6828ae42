"""A dry check of all cases before training: what cannot work, and what looks odd."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from PseudoLabelCLLib.curation.check.case_finding import Finding
from PseudoLabelCLLib.curation.check.check_memory import memory_findings
from PseudoLabelCLLib.curation.check.check_modality import modality_findings, start_findings
from PseudoLabelCLLib.curation.check.check_plane import plane_findings
from PseudoLabelCLLib.curation.check.check_same_image import same_image_findings, voxels_digest
from PseudoLabelCLLib.curation.check.check_slice_order import needs_order, order_findings, sliced
from PseudoLabelCLLib.curation.check.check_vanishing import network_pixel_mm, vanishing_findings
from PseudoLabelCLLib.curation.check.compare_cases import CaseFigures, figures_of, unlike_others
from PseudoLabelCLLib.curation.check.drawn_slices import ask_about_drawn_slices, drawn_slices
from PseudoLabelCLLib.curation.check.image_checks import check_channel, check_image
from PseudoLabelCLLib.curation.check.scanned_values import looks_like_ct
from PseudoLabelCLLib.curation.check.slice_order import SlicedVolume
from PseudoLabelCLLib.curation.find.label_map_look import question_about_label_map
from PseudoLabelCLLib.curation.grids.case_images import (
    further_on_grid,
    image_files,
    read_image_file,
)
from PseudoLabelCLLib.curation.grids.human_truth import read_on_grid, require_grid_of_case
from PseudoLabelCLLib.curation.review.truth_mask import read_truth_mask
from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.domain.findings import Note
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig, settle_directions
from PseudoLabelCLLib.domain.pretraining_config import Pretraining
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.question import Asking, QuestionError
from PseudoLabelCLLib.domain.question_kinds import QUESTIONS, QuestionKind
from PseudoLabelCLLib.domain.reporting import ReportProgress, silent
from PseudoLabelCLLib.domain.slice_turn import AS_STORED
from PseudoLabelCLLib.domain.text import NO_TEXT, Text, counted
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume, array_axis
from PseudoLabelCLLib.storage.project.preprocess_plan import settled_preprocess
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.volume_io import read_volume

_FEW_LABELLED_SLICES = 3
_MAX_NAMED = 4
_ORDER = ("error", "question", "note")


def check_cases(
    root: Path, project: Project, *, progress: ReportProgress = silent
) -> tuple[Finding, ...]:
    """Read every case that takes part and return errors, then questions, then notes.

    Args:
        root: The project folder.
        project: The project as it is now.
        progress: Called before each case with the number of checked ones.
    """
    findings = list(_check_roles(project))
    seen = _SeenImages(project)
    taught: set[int] = set()
    cases = [case for case in project.cases if case.role is not CaseRole.IGNORED]
    settled = settled_preprocess(root, project)
    pixel_mm = network_pixel_mm(root, project, settled) if cases else 0.0
    for number, case in enumerate(cases):
        progress(Text("Checking '{case}'", case=case.id), number, len(cases))
        try:
            volume, further = _read_image(root, project, case)
            labels = _read_labels(root, project, case)
            _check_verdicts(root, project, case)
        except PseudoLabelCLError as error:
            findings.append(Finding(case.id, "error", error.message, error.remedy))
            continue
        told_of_case = (*further.notices, *_answers_of(case))
        findings += (Finding(case.id, "note", told, NO_TEXT) for told in told_of_case)
        findings += _check_is_image(case, volume)
        seen.add(case, volume, is_further_ct=further.is_ct)
        if labels is not None:
            findings += _check_labels(project, case, labels)
            findings += vanishing_findings(project, case, labels, pixel_mm)
            findings += _check_drawn_slices(project, case, labels, volume)
            taught |= set(np.unique(labels.array)) if case.role is CaseRole.ANNOTATED else set()
    findings += _check_untaught_classes(project, taught)
    findings += seen.findings(settled)
    findings += plane_findings(project)
    findings += _check_turned(root, project, cases)
    findings += memory_findings(root, project)
    return tuple(sorted(findings, key=lambda finding: _ORDER.index(finding.severity)))


class _SeenImages:
    """What is compared from case to case, once their images are no longer in memory."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._figures: list[CaseFigures] = []
        self._ordered: list[SlicedVolume] = []
        self._digests: dict[str, str] = {}
        self._is_ct: dict[str, bool] = {}
        self._with_ct: list[str] = []

    def add(self, case: Case, volume: Volume, *, is_further_ct: bool) -> None:
        """Note the first image of a case, and whether another one is CT."""
        project = self._project
        self._digests[case.id] = voxels_digest(volume)
        self._is_ct[case.id] = looks_like_ct(volume)
        if self._is_ct[case.id] or is_further_ct:
            self._with_ct.append(f"'{case.id}'")
        if needs_order(project, case):
            self._ordered.append(sliced(project, case, volume))
        self._figures.append(figures_of(case.id, volume, project.slicing_axis_of(case.id)))

    def findings(self, settled: PreprocessConfig | None) -> Iterator[Finding]:
        """Yield what the comparison says.

        Args:
            settled: What round 0 has settled, or None.
        """
        for case_id, message in unlike_others(self._figures):
            yield Finding(case_id, "note", message, Text("Check that it belongs here."))
        yield from same_image_findings(self._project, self._digests)
        yield from modality_findings(self._project, settled, self._is_ct)
        yield from start_findings(self._project, self._is_ct)
        yield from order_findings(self._project, self._ordered)
        if self._with_ct and self._project.config.preprocess.bias_correction:
            more = ", ..." if self._with_ct[_MAX_NAMED:] else ""
            named = ", ".join(self._with_ct[:_MAX_NAMED]) + more
            yield Finding("", "note", Note.CT_NOT_EVENED_OUT.say(cases=named), NO_TEXT)


def _check_roles(project: Project) -> Iterator[Finding]:
    if not project.cases_with_role(CaseRole.ANNOTATED):
        yield Finding(
            "",
            "error",
            Text("The project has no annotated case, and round 0 learns from those alone."),
            Text(
                "Segment one volume (an unlabelled one of the project will do) and add it: "
                "pseudolabelcl add PROJECT --annotated VOLUME SEGMENTATION."
            ),
        )
    if project.start is not None and project.config.pretraining.method is not Pretraining.NONE:
        yield Finding(
            "",
            "error",
            Text("The project is to begin with pre-training, and from the model of another one."),
            Text(
                "Choose one of the two: set pretraining.method=none, or let round 0 start "
                "without a model."
            ),
        )
    if not project.cases_with_role(CaseRole.UNLABELLED):
        yield Finding(
            "",
            "note",
            Note.NO_UNLABELLED.say(),
            Text("Add volumes without a segmentation."),
        )


@dataclass(frozen=True)
class _Further:
    """What is known of the further images of a case once they were read."""

    notices: tuple[Text, ...]
    is_ct: bool


def _read_image(root: Path, project: Project, case: Case) -> tuple[Volume, _Further]:
    """Return the first image of a case, and what the others are like.

    Raises:
        VolumeError: One is gone, unreadable, unfit, or not the one that was added.
    """
    files = image_files(root, project.channels, case)
    volume = read_volume(
        ProjectLayout(root).resolve(case.image), case.dicom_series_uid, case.geometry
    )
    require_grid_of_case(volume.geometry, case, Text("image"))
    axis = project.slicing_axis_of(case.id)
    check_image(volume, case_id=case.id, slicing_axis=axis, role=case.role)
    channels = project.channels or ("",)
    others = [
        read_image_file(file, channel, case.id)
        for file, channel in zip(files[1:], channels[1:], strict=True)
    ]
    placed, notices = further_on_grid(volume, others, channels, case.id)
    for one, channel in zip(placed, channels[1:], strict=True):
        check_channel(one, channel, case_id=case.id, axis=axis)
    return volume, _Further(notices, any(map(looks_like_ct, others)))


def _check_is_image(case: Case, volume: Volume) -> Iterator[Finding]:
    """Ask about an image that looks like a label map, as those of older projects may."""
    question = question_about_label_map(volume, Path(case.image).name, case.id)
    if question is not None and case.answer_to(question.kind) is None:
        yield Finding(case.id, "question", question.message, question.flags, question)


def _read_labels(root: Path, project: Project, case: Case) -> LabelVolume | None:
    if case.annotation is None:
        return None
    path = ProjectLayout(root).own(case.annotation)
    return read_on_grid(path, project.schema, case)


def _check_verdicts(root: Path, project: Project, case: Case) -> None:
    """Read all that a person said of a case.

    Raises:
        PseudoLabelCLError: A file is gone, unreadable, or does not belong to the case.
    """
    layout = ProjectLayout(root)
    for review in project.truth_reviews_of(case.id):
        if review.segmentation is not None:
            read_on_grid(layout.own(review.segmentation), project.schema, case)
        if review.truth_mask is not None:
            read_truth_mask(layout.own(review.truth_mask), case.geometry)


def _check_labels(project: Project, case: Case, labels: LabelVolume) -> Iterator[Finding]:
    for label in project.schema:
        if not np.any(labels.array == label.value):
            yield Finding(
                case.id,
                "note",
                Note.STRUCTURE_MISSING.say(case=case.id, label=label.name),
                Text("Segment it if it is visible there."),
            )
    axis = array_axis(project.slicing_axis_of(case.id))
    others = tuple(n for n in range(labels.array.ndim) if n != axis)
    num_labelled = int(np.any(labels.array, axis=others).sum())
    if num_labelled < _FEW_LABELLED_SLICES and case.drawn_slices is None:
        yield Finding(
            case.id,
            "note",
            Note.FEW_SLICES.say(
                case=case.id,
                found=num_labelled,
                slices=counted(project.num_slices_of(case.id), "{count} slice", "{count} slices"),
            ),
            Text("Segment every slice that shows a structure."),
        )


def _check_drawn_slices(
    project: Project, case: Case, labels: LabelVolume, volume: Volume
) -> Iterator[Finding]:
    """Ask about slices on which nobody seems to have drawn, unless that was answered."""
    axis = project.slicing_axis_of(case.id)
    if case.is_partly_drawn and case.drawn_slices != drawn_slices(labels, axis):
        yield Finding(
            case.id,
            "error",
            Text(
                "Only the drawn slices of case '{case}' count, but its slices are now cut "
                "along another axis.",
                case=case.id,
            ),
            Text(
                "Choose again which of its slices count: pseudolabelcl slices PROJECT "
                "'{case}' --drawn, or --all.",
                case=case.id,
            ),
        )
    if not case.role.needs_annotation or case.answer_to(QuestionKind.SPARSE) is not None:
        return
    try:
        ask_about_drawn_slices(
            labels, volume, axis, case_id=case.id, role=case.role, asking=Asking(case.id)
        )
    except QuestionError as asked:
        yield Finding(case.id, "question", asked.message, asked.remedy, asked.question)


def _answers_of(case: Case) -> Iterator[Text]:
    """Yield what a person answered about the files of a case."""
    for answer in case.answers:
        choices = QUESTIONS[answer.kind].choices
        chosen = next((c.effect for c in choices if c.value == answer.value), NO_TEXT)
        told = Text("{value} ({effect})", value=answer.value, effect=chosen) if chosen else None
        yield Text(
            "{found} The answer was: {answer}.", found=answer.message, answer=told or answer.value
        )


def _check_turned(root: Path, project: Project, cases: list[Case]) -> Iterator[Finding]:
    settled = settled_preprocess(root, project)
    grids = [case.geometry for case in cases]
    settings = settled or settle_directions(project.preprocess, grids)
    turned = [c.id for c in cases if settings.slice_turn_of(c.geometry) != AS_STORED]
    if not turned:
        return
    one = len(turned) == 1
    more = ", ..." if turned[_MAX_NAMED:] else ""
    named = counted(
        len(turned),
        "case {names}",
        "{count} cases {names}",
        names=f"'{turned[0]}'" if one else ", ".join(turned[:_MAX_NAMED]) + more,
    )
    yield Finding(
        turned[0] if one else "",
        "note",
        Note.TURNED.say(cases=named),
        Text("If the header is wrong, correct it and add the volume again.")
        if settled
        else Text(
            "If the header is wrong, correct it and add the volume again, or use all slices as "
            "they are stored (setting preprocess.turn_slices=false)."
        ),
    )


def _check_untaught_classes(project: Project, taught: set[int]) -> Iterator[Finding]:
    if not taught:
        return
    for label in project.schema:
        if label.value not in taught:
            yield Finding(
                "",
                "error",
                Text("No annotated case has any voxels of '{structure}'.", structure=label.name),
                Text("Segment it in an annotated case, or remove the structure."),
            )
