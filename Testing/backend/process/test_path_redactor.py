"""The folder of a job, which goes with the project, names no place of this computer."""

import json
import logging
import sys
from pathlib import Path

import pytest
from small_projects import make_project

from PseudoLabelCLLib.messages.jobs import DeviceChoice, EvaluateJob, EvaluationPair, PredictJob
from PseudoLabelCLLib.messages.jobs import TrainJob as Train
from PseudoLabelCLLib.process.job_files import write_job
from PseudoLabelCLLib.process.path_redactor import PathRedactor
from PseudoLabelCLLib.process.worker_process import WorkerProcess
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout


@pytest.fixture
def a_folder(tmp_path):
    folder = tmp_path / "Herz 心" / "jobs" / "one"
    folder.mkdir(parents=True)
    return folder


def test_job_of_a_project_names_no_folder(a_folder, tmp_path):
    jobs = [
        Train(str(a_folder.parent.parent), 1, DeviceChoice.CPU),
        PredictJob(str(tmp_path / "m.plcl"), (str(tmp_path / "scans" / "a.nii"),), str(tmp_path)),
        EvaluateJob(model=str(tmp_path / "m.plcl"), project=None, pairs=(
            EvaluationPair("a", str(tmp_path / "x" / "a.nii"), str(tmp_path / "y" / "b.nii")),
        )),
    ]  # fmt: skip
    for job in jobs:
        path = write_job(a_folder, job)
        redactor = PathRedactor(a_folder)
        redactor.add_job(job)
        redactor.rewrite_job_file(path, job)
        text = path.read_text(encoding="utf-8")
        assert str(tmp_path) not in text
        assert json.dumps(str(tmp_path))[1:-1] not in text
        assert json.loads(text)["kind"]


def test_tracebacks_in_the_log_name_no_folder(a_folder):
    redactor = PathRedactor(a_folder)
    formatter = redactor.formatter("%(message)s")
    record = logging.LogRecord("a", 20, "f", 1, "%s", (f"at {a_folder} and {Path.home()}/x",), None)
    assert formatter.format(record) == "at JOB and ~/x"


def test_real_job_leaves_no_absolute_path(tmp_path):
    root = make_project(tmp_path / "Herz 心", num_unlabelled=0)
    folder = ProjectLayout(root).job_folder("one")
    job = PredictJob(str(tmp_path / "none.plcl"), (str(tmp_path / "a.nrrd"),), str(tmp_path / "o"))
    with WorkerProcess.start(job, folder, python=Path(sys.executable)) as worker:
        while not worker.has_ended:
            worker.wait_event(60)
    for path in folder.iterdir():
        text = path.read_text(encoding="utf-8")
        for place in (str(tmp_path), json.dumps(str(tmp_path))[1:-1], str(Path.home())):
            assert place not in text, path.name
    assert "none.plcl" in (folder / "events.jsonl").read_text(encoding="utf-8")
