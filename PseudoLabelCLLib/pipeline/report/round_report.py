"""The report of a round, filled from what lies on disk."""

from collections.abc import Iterator
from pathlib import Path

from PseudoLabelCLLib.curation.check.check_cases import check_cases
from PseudoLabelCLLib.curation.review.plan_round import RoundPlan
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.doubt import Doubt
from PseudoLabelCLLib.domain.pretraining_config import Pretraining
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.reporting import Report
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.messages.json_codec import from_json
from PseudoLabelCLLib.pipeline.learning_curve import RoundCurve, read_learning_curve
from PseudoLabelCLLib.pipeline.prediction.evaluate import MeasuredModel
from PseudoLabelCLLib.pipeline.report.curves import RoundQuality
from PseudoLabelCLLib.pipeline.report.pictures import CaseFigure
from PseudoLabelCLLib.pipeline.report.report import RoundReport, write_report
from PseudoLabelCLLib.pipeline.slices.case_slices import annotation_of, case_volume
from PseudoLabelCLLib.storage.files.atomic_files import read_json
from PseudoLabelCLLib.storage.files.fingerprint import file_fingerprint
from PseudoLabelCLLib.storage.project.pretraining_record import PretrainingRecord, read_pretraining
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation


def report_round(
    root: Path,
    project: Project,
    plan: RoundPlan,
    *,
    device: ComputeDevice,
    duration_s: float,
    report: Report,
) -> None:
    """Write `report.html` of the round that has just been pseudo-labelled."""
    layout = ProjectLayout(root)
    index = plan.index
    model = layout.model(index)
    write_report(
        layout.report(index),
        RoundReport(
            project_name=project.name,
            schema=project.schema,
            round=project.rounds[index],
            device=device.sentence,
            duration_s=duration_s,
            cases=_figures(root, project, index, report),
            plan=plan.sentence.replace("will learn", "learned"),
            notices=tuple(finding.sentence for finding in check_cases(root, project)),
            curves=tuple(
                RoundCurve(n, read_learning_curve(layout.learning_curve(n)))
                for n in range(index + 1)
            ),
            qualities=tuple(_qualities(layout, index)),
            model_file=layout.relative(model),
            model_fingerprint=file_fingerprint(model),
            settings=project.config,
            pretraining=_pretraining_of(root, project, index),
        ),
    )
    report.artifact("report", layout.report(index))


def _pretraining_of(root: Path, project: Project, index: int) -> PretrainingRecord | None:
    """What round 0 began with, where the settings name a pre-training."""
    is_named = project.config.pretraining.method is not Pretraining.NONE
    return read_pretraining(root) if index == 0 and is_named else None


def _figures(root: Path, project: Project, index: int, report: Report) -> Iterator[CaseFigure]:
    """One case at a time, so that only one volume is in memory."""
    layout = ProjectLayout(root)
    cases = (*project.cases_to_propose(index), *project.cases_with_role(CaseRole.VALIDATION))
    for number, case in enumerate(cases, start=1):
        doubt = from_json(
            Doubt, read_json(layout.doubt(index, case.id)), layout.doubt(index, case.id).name
        )
        yield CaseFigure(
            case_id=case.id,
            volume=case_volume(root, case),
            proposal=read_segmentation(layout.proposal(index, case.id), project.schema)[0],
            slicing_axis=project.slicing_axis_of(case.id),
            reference=(
                annotation_of(root, case, project.schema)
                if case.role is CaseRole.VALIDATION
                else None
            ),
            is_for_review=case.role is not CaseRole.VALIDATION,
            doubt=doubt.doubt,
            doubt_per_slice=doubt.doubt_per_slice,
            reason=doubt.reason,
        )
        report.progress(Text("Round {index}: report", index=index), number, len(cases))


def _qualities(layout: ProjectLayout, index: int) -> Iterator[RoundQuality]:
    for number in range(index + 1):
        path = layout.evaluation(number)
        if path.exists():
            measured = from_json(MeasuredModel, read_json(path), path.name)
            yield RoundQuality(number, tuple((case.id, case.quality) for case in measured.cases))
