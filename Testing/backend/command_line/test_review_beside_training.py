"""Review from a second terminal while a training makes the other proposals."""

import hashlib
import json
from pathlib import Path

import pytest
from a_service import named, voxels, worker_in_this_process, write_service

from PseudoLabelCLLib.command_line import show_job
from PseudoLabelCLLib.command_line.console import Console
from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.curation.review.plan_round import plan_next_round
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.messages.job_messages import Artifact, JobCompleted
from PseudoLabelCLLib.messages.jobs import DoctorJob
from PseudoLabelCLLib.pipeline.rounds import pseudo_label_cases as proposing
from PseudoLabelCLLib.pipeline.rounds import run_round as rounds
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_lock import COMMAND_LINE, project_lock
from PseudoLabelCLLib.storage.project.project_store import load_project

pytestmark = pytest.mark.slow

CASES = ("other-1", "other-2", "other-3")


class Killed(BaseException):
    """Stands for a worker that ends at once."""


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project with three cases to propose, before round 0; jobs run in this process."""
    service = write_service(tmp_path)
    third = service.write("other-3.nii.gz", voxels(3))
    root = Path(service.unreviewed)
    assert main(["add", str(root), "--unlabelled", third]) == 0
    with worker_in_this_process(monkeypatch):
        yield root


@pytest.fixture
def after_proposal(monkeypatch):
    """Does something in place of another process once a proposal of a round is whole."""
    done, write = {}, proposing.write_proposal

    def write_and_do(inputs, case_id, segmented):
        write(inputs, case_id, segmented)
        done.pop((inputs.plan.index, case_id), lambda: None)()

    monkeypatch.setattr(proposing, "write_proposal", write_and_do)
    return done


def judged(root, case_id, verdict="--accept"):
    assert main(["review", str(root), case_id, verdict, *named(root, case_id)]) == 0


def proposals(root, index):
    folder = ProjectLayout(root).proposal(index, "any").parent
    return {
        path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in folder.iterdir()
    }


def test_first_proposals_are_listed_and_judged_while_the_others_are_made(
    root, after_proposal, capfd
):
    def look():
        capfd.readouterr()
        assert main(["review", str(root)]) == 0
        listed = capfd.readouterr().out
        assert (
            "2 of 3 proposals are there; the order is provisional until all are. 0 of 2 reviewed."
            in listed
        )
        assert "other-3" not in listed
        assert main(["status", str(root)]) == 0
        told = capfd.readouterr().out
        assert "2 of 3 proposals are there; the order is provisional until all are." in told
        assert "2 proposals wait for review" in told
        assert main(["status", str(root), "--json"]) == 0
        told = json.loads(capfd.readouterr().out)
        assert told["awaiting_review"] == ["other-1", "other-2"]
        assert told["proposals_so_far"] == {"num_there": 2, "num_all": 3}
        judged(root, "other-1")
        judged(root, "other-2", "--reject")
        assert main(["review", str(root), "other-3", "--accept", "--proposal", "0:12345678"]) == 1
        assert "is not there yet: the round has made 2 of 3." in capfd.readouterr().err

    after_proposal[0, "other-2"] = look
    assert main(["train", str(root), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["awaiting_review"] == 1
    project = load_project(root)
    assert project.latest_round.state is RoundState.IN_REVIEW
    assert [one.case_id for one in project.reviews] == ["other-1", "other-2"]
    report = ProjectLayout(root).report(0).read_text("utf-8")
    assert all(case_id in report for case_id in CASES)
    plan = plan_next_round(project)
    assert [source.case_id for source in plan.human] == ["heart", "other-1"]
    assert (plan.pseudo, plan.left_out) == (("other-3",), ("other-2",))


def test_verdicts_survive_a_kill_of_the_worker_and_its_proposals_are_not_made_anew(
    root, after_proposal, capfd
):
    def kill():
        judged(root, "other-1")
        raise Killed

    after_proposal[0, "other-2"] = kill
    with pytest.raises(Killed):
        main(["train", str(root)])
    assert load_project(root).latest_round.state is RoundState.PSEUDO_LABELLING
    judged(root, "other-2", "--reject")
    before = proposals(root, 0)
    verdicts = load_project(root).reviews
    assert main(["train", str(root)]) == 0
    project = load_project(root)
    assert project.latest_round.state is RoundState.IN_REVIEW
    assert project.reviews == verdicts
    after = proposals(root, 0)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"other-3.json", "other-3.seg.nrrd"}
    assert all(case_id in ProjectLayout(root).report(0).read_text("utf-8") for case_id in CASES)


def test_rounds_in_a_row_count_the_verdicts_given_until_the_review_is_closed(
    root, after_proposal, monkeypatch
):
    """One verdict while round 0 makes its proposals, one while round 1 is being planned."""
    after_proposal[0, "other-2"] = lambda: judged(root, "other-1")
    check, num_checks = rounds._check, [0]

    def check_and_judge(*arguments):
        check(*arguments)
        num_checks[0] += 1
        if num_checks[0] == 2:  # of round 1
            judged(root, "other-3")

    monkeypatch.setattr(rounds, "_check", check_and_judge)
    assert main(["train", str(root), "--rounds", "2"]) == 0
    latest = load_project(root).latest_round
    assert (latest.index, latest.num_truth_cases, latest.num_pseudo_cases) == (1, 3, 1)
    assert num_checks == [3]


def test_beside_any_other_command_line_no_verdict_is_given(root, after_proposal, capfd):
    found = []

    def look():
        # as another command would hold it
        lock = ProjectLayout(root).lock
        text = lock.read_text().replace("a command line that trains", str(COMMAND_LINE))
        lock.write_text(text)
        found.append(main(["review", str(root), "other-1", "--accept", *named(root, "other-1")]))

    after_proposal[0, "other-1"] = look
    assert main(["train", str(root)]) == 0
    assert found == [1]
    assert "is in use by a command line" in capfd.readouterr().err
    assert load_project(root).reviews == ()


def test_training_says_once_that_the_review_can_begin(tmp_path, monkeypatch, capfd):
    events = [Artifact("proposal", "a"), Artifact("proposal", "b"), JobCompleted({})]

    class OneWorker:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def wait_event(self, timeout_s):
            return events.pop(0)

    monkeypatch.setattr(show_job.WorkerProcess, "start", lambda *_: OneWorker())
    show_job.run_job_shown(DoctorJob(), tmp_path, Console(), at_first_proposal="Review now.")
    assert capfd.readouterr().out == "Review now.\n"


def test_project_that_a_panel_has_open_takes_no_verdict_of_a_command_line(root, capfd):
    with project_lock(ProjectLayout(root).lock, "another PseudoLabelCL session"):
        assert main(["review", str(root), "other-1", "--reject", "--proposal", "0:12345678"]) == 1
    assert "in use by another PseudoLabelCL session" in capfd.readouterr().err
