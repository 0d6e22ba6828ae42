"""A job ends once another computer has taken its project over, and writes nothing more."""

import json

import pytest
from a_service import worker_in_this_process
from learning_doubles import Listener
from small_projects import contents, make_project

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.domain.errors import ProjectInUseError
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.pipeline import report_while_held
from PseudoLabelCLLib.pipeline.report_while_held import ReportWhileHeld
from PseudoLabelCLLib.storage.project.project_lock import project_lock


def take_over(lock):
    lock.write_text(json.dumps({"holder": "a training", "machine": "other", "host": "elsewhere"}))


@pytest.mark.parametrize(
    "tell",
    [
        lambda report: report.progress(Text("training"), 1, 2),
        lambda report: report.artifact("report", "somewhere"),
        lambda report: report.is_cancelled(),
    ],
    ids=["step", "file", "question"],
)
def test_job_ends_when_its_lock_has_the_words_of_another_computer(tell, tmp_path, monkeypatch):
    monkeypatch.setattr(report_while_held, "LOOK_EVERY_S", 0.0)
    lock, listener = tmp_path / "worker.lock", Listener()
    with project_lock(lock, Text("a training")) as mark:
        report = ReportWhileHeld(listener, mark, tmp_path)
        tell(report)
        take_over(lock)
        with pytest.raises(ProjectInUseError, match="Another computer works in the project"):
            tell(report)
    assert json.loads(lock.read_text())["host"] == "elsewhere"
    assert len(listener.steps) + len(listener.artifacts) <= 1


def test_the_lock_is_not_read_at_every_step(tmp_path):
    lock = tmp_path / "worker.lock"
    with project_lock(lock, Text("a training")) as mark:
        report = ReportWhileHeld(Listener(), mark, tmp_path)
        take_over(lock)
        assert not report.is_cancelled()  # it was looked at a moment ago


def test_a_lock_without_words_stops_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(report_while_held, "LOOK_EVERY_S", 0.0)
    assert not ReportWhileHeld(Listener(), None, tmp_path).is_cancelled()


def test_training_that_another_computer_took_over_writes_nothing_more(tmp_path, monkeypatch, capfd):
    root = make_project(tmp_path)
    monkeypatch.setattr(report_while_held, "LOOK_EVERY_S", 0.0)
    kept = {}
    real = ReportWhileHeld.progress

    def at_step_2(report, stage, step, num_steps):
        if "training" in str(stage) and step == 2 and not kept:
            kept.update(contents(root))
            take_over(root / "worker.lock")
        real(report, stage, step, num_steps)

    monkeypatch.setattr(ReportWhileHeld, "progress", at_step_2)
    with worker_in_this_process(monkeypatch):
        assert main(["train", str(root), "--device", "cpu"]) != 0
    assert "Another computer works in the project" in capfd.readouterr().err
    assert kept
    after = contents(root)
    changed = {name for name in kept | after if kept.get(name) != after.get(name)}
    assert not {name for name in changed if not name.startswith("jobs/")}
