"""Every kind of job that the worker can be given."""

from pathlib import Path

from PseudoLabelCLLib.domain.jobs import DoctorJob, EvaluateJob, Job, PredictJob, TrainJob
from PseudoLabelCLLib.domain.reporting import Report
from PseudoLabelCLLib.pipeline.apply_model import apply_model
from PseudoLabelCLLib.pipeline.doctor import examine
from PseudoLabelCLLib.pipeline.evaluate import evaluate
from PseudoLabelCLLib.pipeline.run_round import run_round
from PseudoLabelCLLib.pipeline.settle_device import settle_device
from PseudoLabelCLLib.storage.atomic_files import remove_leftovers
from PseudoLabelCLLib.storage.json_codec import JsonValue
from PseudoLabelCLLib.storage.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project_lock import project_lock
from PseudoLabelCLLib.storage.project_store import load_project


def run_job(job: Job, report: Report) -> dict[str, JsonValue]:
    """Do a job to its end and return its result.

    Raises:
        PseudoLabelCLError: Something a person can mend.
        Cancelled: Asked to stop.
    """
    match job:
        case TrainJob():
            return _train(job, report)
        case PredictJob():
            return apply_model(job, report)
        case EvaluateJob():
            return evaluate(job, report)
        case DoctorJob():
            return examine(job, report)


def _train(job: TrainJob, report: Report) -> dict[str, JsonValue]:
    """Train the job's rounds; only one worker may do so in a project at a time."""
    root = Path(job.project)
    load_project(root)  # a folder that is no project gets no lock
    with project_lock(ProjectLayout(root).worker_lock, "a training"):
        project = load_project(root)
        remove_leftovers(root)
        device = settle_device(root, project, job.device.value)
        report.notice(device.sentence)
        for _ in range(job.rounds):
            project = run_round(root, project, device, report)
    latest = project.latest_round
    index = latest.index if latest is not None else 0
    layout = ProjectLayout(root)
    return {
        "round": index,
        "awaiting_review": len(project.cases_awaiting_review()),
        "model": str(layout.model(index)),
        "report": str(layout.report(index)),
    }
