"""Every kind of job that the worker can be given."""

from pathlib import Path

from PseudoLabelCLLib.curation.check.check_cases import check_cases
from PseudoLabelCLLib.domain.reporting import Report
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.process_group import ALONE, ProcessGroup
from PseudoLabelCLLib.messages.jobs import (
    DoctorJob,
    EvaluateJob,
    Job,
    PredictJob,
    PretrainJob,
    TrainJob,
)
from PseudoLabelCLLib.messages.json_codec import JsonValue
from PseudoLabelCLLib.pipeline.doctor import examine
from PseudoLabelCLLib.pipeline.prediction.apply_model import apply_model
from PseudoLabelCLLib.pipeline.prediction.evaluate import evaluate
from PseudoLabelCLLib.pipeline.processes.shared_device import shared_by
from PseudoLabelCLLib.pipeline.report_while_held import ReportWhileHeld
from PseudoLabelCLLib.pipeline.rounds.pretrain import (
    changes_since,
    pretrain,
    require_before_round_0,
)
from PseudoLabelCLLib.pipeline.rounds.require_answers import ABOUT_IMAGES, require_answers
from PseudoLabelCLLib.pipeline.rounds.run_round import run_round
from PseudoLabelCLLib.pipeline.slices.case_slices import preprocess_plan
from PseudoLabelCLLib.pipeline.training_device import choose_training_device
from PseudoLabelCLLib.storage.files.atomic_files import remove_leftovers
from PseudoLabelCLLib.storage.project.pretraining_record import (
    pretraining_settings,
    read_pretraining,
)
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_lock import project_lock
from PseudoLabelCLLib.storage.project.project_store import load_project, require_project


def run_job(job: Job, report: Report, group: ProcessGroup = ALONE) -> dict[str, JsonValue]:
    """Do a job to its end and return its result.

    Args:
        job: What to do.
        report: The one who listens.
        group: The processes that share training, proposals and predictions; all else is done by
            the first of them, which calls this.

    Raises:
        PseudoLabelCLError: Something a person can fix.
        Cancelled: Asked to stop.
    """
    match job:
        case PretrainJob():
            return _pretrain(job, report)
        case TrainJob():
            return _train(job, report, group)
        case PredictJob():
            return apply_model(job, report, group)
        case EvaluateJob():
            return evaluate(job, report)
        case DoctorJob():
            return examine(job, report)


def _pretrain(job: PretrainJob, report: Report) -> dict[str, JsonValue]:
    """Pre-train, unless it is done already with these settings on these cases."""
    root = Path(job.project)
    require_project(root)  # another folder gets no lock
    with project_lock(ProjectLayout(root).worker_lock, Text("a pre-training")) as mark:
        report = ReportWhileHeld(report, mark, root)
        project = load_project(root)
        require_before_round_0(project)
        remove_leftovers(root)
        preprocess = preprocess_plan(root, project)
        record = read_pretraining(root)
        if (
            record is not None
            and record.settings == pretraining_settings(project)
            and not changes_since(record, project, preprocess)
        ):
            report.notice(Text("Nothing is left to do: {record}", record=record.sentence))
        else:
            require_answers(check_cases(root, project), ABOUT_IMAGES)
            device = choose_training_device(root, project, job.device.value)
            report.notice(device.sentence)
            record = pretrain(root, project, preprocess, device, report)
    return {
        "method": record.settings.config.method.value,
        "volumes": len(record.cases),
        "steps": sum(stage.num_steps for stage in record.stages),
        "last_losses": {stage.name: stage.last_loss for stage in record.stages},
        "record": str(ProjectLayout(root).pretraining_record),
    }


def _train(job: TrainJob, report: Report, group: ProcessGroup) -> dict[str, JsonValue]:
    """Train the job's rounds; only one worker may do so in a project at a time."""
    root = Path(job.project)
    require_project(root)  # another folder gets no lock
    with project_lock(ProjectLayout(root).worker_lock, Text("a training")) as mark:
        report = ReportWhileHeld(report, mark, root)
        project = load_project(root)
        remove_leftovers(root)
        device = shared_by(group, choose_training_device(root, project, job.device.value))
        report.notice(device.sentence)
        for _ in range(job.rounds):
            project = run_round(root, project, device, report, group)
    latest = project.latest_round
    index = latest.index if latest is not None else 0
    layout = ProjectLayout(root)
    return {
        "round": index,
        "awaiting_review": len(project.cases_awaiting_review()),
        "model": str(layout.model(index)),
        "report": str(layout.report(index)),
    }
