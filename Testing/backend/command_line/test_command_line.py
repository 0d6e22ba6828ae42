"""The command line from a new project to its export, what it shows, and how it ends."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from a_service import (
    LABELS,
    QUICKEST,
    copied_service,
    fake_round,
    labels,
    named,
    worker_in_this_process,
    write_service,
)

from PseudoLabelCLLib.command_line import job_commands, show_job
from PseudoLabelCLLib.command_line.arguments import build_parser
from PseudoLabelCLLib.command_line.console import Console
from PseudoLabelCLLib.command_line.main import command_named, main
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.messages.job_messages import JobCancelled, JobFailed, WorkerCrashed
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.pipeline.prediction.measure_quality import measure_quality, summarise
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project

COMMANDS = build_parser()._subparsers._group_actions[0].choices


@pytest.fixture(scope="session")
def a_filled_service(tmp_path_factory):
    return write_service(tmp_path_factory.mktemp("service"))


@pytest.fixture
def a_service(a_filled_service, tmp_path):
    return copied_service(a_filled_service, tmp_path / "service")


@pytest.fixture
def told(capfd):
    """Run a command with --json and return what it tells."""

    def run(*arguments):
        capfd.readouterr()
        assert main([*arguments, "--json"]) == 0
        out, err = capfd.readouterr()
        assert err == ""
        return json.loads(out)

    return run


def labels_in(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


# --- the way through ---


def test_project_goes_from_volumes_to_export(a_service, told):
    others = [str(a_service.path(f"other-{n}.nii.gz")) for n in (1, 2)]
    created = told(*a_service.create(None, None, "--unlabelled", *others, *QUICKEST))
    assert created["cases"] == {
        "heart": "annotated", "other-1": "unlabelled", "other-2": "unlabelled",
    }  # fmt: skip
    assert created["labels"] == ["label 1", "label 2"]
    assert (created["rounds"], created["latest_report"]) == ([], None)

    fake_round(Path(a_service.new), 0)
    assert told("status", a_service.new)["awaiting_review"] == ["other-1", "other-2"]
    queue = told("review", a_service.new)
    assert [item["case_id"] for item in queue] == ["other-2", "other-1"]  # most doubtful first

    shown = [f"{item['round_index']}:{item['fingerprint']}" for item in queue]
    rejected = told("review", a_service.new, "other-2", "--reject", "--proposal", shown[0])
    assert rejected["awaiting_review"] == ["other-1"]
    corrected = told(
        "review", a_service.new, "other-1", "--correct", a_service.label, "--proposal", shown[1]
    )
    assert corrected["awaiting_review"] == []
    assert "1 rejected case is left out" in corrected["next"]

    exported = told("export", a_service.new, a_service.out)
    assert [line["source"] for line in exported] == ["annotated", "corrected"]
    for line in exported:
        found = labels_in(a_service.path("out") / line["file"])
        np.testing.assert_array_equal(found[1:4], labels()[1:4])


def test_train_brings_the_next_round(a_service, told, monkeypatch, capfd):
    cases = ("other-1", "other-2")
    assert (
        main(["review", a_service.project, *cases, "--accept", *named(a_service.project, *cases)])
        == 0
    )
    with worker_in_this_process(monkeypatch):
        assert main(["train", a_service.project, "--device", "cpu"]) == 0
    out = capfd.readouterr().out
    assert "Round 1 will learn from 3 human segmentations and 0 pseudo-labels." in out
    assert "Round 1 is ready. Report: " in out
    assert [r["state"] for r in told("status", a_service.project)["rounds"]] == [
        "closed",
        "in review",
    ]


def test_predicted_volume_lies_on_the_grid_of_its_image(a_service, told, monkeypatch):
    with worker_in_this_process(monkeypatch):
        result = told("predict", a_service.model, a_service.image, "--output", a_service.out,
                      "--format", "nii.gz", "--uncertainty", "--device", "cpu")  # fmt: skip
    image, predicted = (sitk.ReadImage(str(path)) for path in
                        (a_service.image, result["segmentations"][0]["output"]))  # fmt: skip
    assert predicted.GetSize() == image.GetSize()
    assert predicted.GetSpacing() == pytest.approx(image.GetSpacing())
    assert (a_service.path("out") / "heart_uncertainty.nrrd").is_file()


def test_evaluation_shows_a_table_of_the_rounds(a_service, monkeypatch, capfd):
    pair = ["--pair", a_service.image, a_service.label]
    with worker_in_this_process(monkeypatch):
        arguments = ["evaluate", a_service.project, *pair, "--device", "cpu"]
        assert main([*arguments, "--output", str(a_service.path("table.json"))]) == 0
    out = capfd.readouterr().out
    header = next(line for line in out.splitlines() if "mean Dice" in line)
    assert header.split()[:2] == ["model", "cases"]
    assert "Dice label 1" in header
    assert header.split()[-2:] == ["missed", "invented"]
    assert "larger of the two directed 95th percentiles" in out
    assert any(line.split()[:3] == ["round", "0", "1"] for line in out.splitlines())
    assert (
        json.loads(a_service.path("table.json").read_text("utf-8"))["models"][0]["name"]
        == "round 0"
    )


def test_structure_that_was_missed_is_named_beside_the_mean_distances(capsys):
    schema = LabelSchema((LabelClass(1, "heart", "#e69f00"), LabelClass(2, "lung", "#56b4e9")))
    geometry = Geometry((6, 6, 6), (1, 1, 1), (0, 0, 0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    heart, both = np.zeros((2, 6, 6, 6), np.int16)
    heart[1:3, 1:3, 1:3] = both[1:3, 1:3, 1:3] = 1
    both[3:5, 3:5, 3:5] = 2
    truth = LabelVolume(both, geometry)
    found = [LabelVolume(heart, geometry), truth]
    summary = summarise([measure_quality(labels, truth, schema) for labels in found])
    result = to_json({"definitions": {}, "models": ({"name": "round 0", "summary": summary},)})
    job_commands.show_quality(result, Console())
    out = capsys.readouterr().out
    assert "round 0, lung: missed in 1, invented in 0 of 2 cases; HD95 0.0 mm" in out
    assert "round 0, heart" not in out


# --- review ---


def test_accepted_proposal_is_kept_byte_by_byte(a_service, told):
    layout = ProjectLayout(Path(a_service.project))
    told("review", a_service.project, "other-1", "--accept", *named(a_service.project, "other-1"))
    proposal, kept = layout.proposal(0, "other-1"), layout.reviewed_segmentation(0, "other-1")
    assert kept.read_bytes() == proposal.read_bytes()


@pytest.mark.parametrize(
    ("typed", "slices"), [("2-3", (1, 2)), ("1", (0,)), (" 5, 1-2 ,2", (0, 1, 4))]
)
def test_slices_are_counted_from_one(a_service, typed, slices):
    correct = ["review", a_service.project, "other-1", *named(a_service.project, "other-1")]
    correct += ["--correct", a_service.label]
    assert main([*correct, "--slices", typed]) == 0
    assert load_project(Path(a_service.project)).reviews[0].truth_slices == slices


def test_whole_correction_confirms_every_slice(a_service):
    correct = ["review", a_service.project, "other-1", *named(a_service.project, "other-1")]
    assert main([*correct, "--correct", a_service.label, "--whole"]) == 0
    assert load_project(Path(a_service.project)).reviews[0].truth_slices is None


def test_second_thoughts_replace_a_verdict(a_service, told):
    shown = named(a_service.project, "other-1")
    told("review", a_service.project, "other-1", "--reject", *shown)
    told("review", a_service.project, "OTHER-1", "--accept", *shown)
    verdicts = {item["case_id"]: item["verdict"] for item in told("review", a_service.project)}
    assert verdicts == {"other-1": "accepted", "other-2": None}


def test_review_list_is_a_table_for_a_person(a_service, capfd):
    assert main(["review", a_service.project]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].split() == ["case", "proposal", "doubt", "verdict", "why"]
    shown = named(a_service.project, "other-2")[1]
    assert lines[2].split()[:4] == ["other-2", shown, "0.20", "-"]
    assert "0 of 2 reviewed." in lines[-1]


@pytest.mark.parametrize(("project", "words"), [("unreviewed", "nothing to review yet"),
                                                ("project", "nothing is left")])  # fmt: skip
def test_empty_review_list_says_why(a_service, project, words, capfd):
    root = str(a_service.path(project))
    if project == "project":
        for case in ("other-1", "other-2"):
            Path(ProjectLayout(Path(root)).proposal(0, case)).unlink()
    assert main(["review", root]) == 0
    assert words in capfd.readouterr().out


# --- status ---


def test_status_says_what_comes_next(a_service, capfd):
    assert main(["status", a_service.project]) == 0
    out = capfd.readouterr().out
    assert "1 annotated, 2 unlabelled" in out
    assert "Round 0: in review" in out
    assert "2 proposals wait for review: pseudolabelcl review" in out


def test_status_checks_the_volumes_if_asked(a_service, told, capfd):
    a_service.path("other-1.nii.gz").unlink()
    findings = told("status", a_service.project, "--check")["findings"]
    assert (findings[0]["case_id"], findings[0]["severity"]) == ("other-1", "error")
    assert main(["status", a_service.project, "--check"]) == 0
    assert "error: Case 'other-1': The file" in capfd.readouterr().out


def test_settings_and_labels_reach_the_project(a_service):
    arguments = ["--labels", "2=inside, 1 = outside", "--profile", "paper", "--name", "Hearts"]
    arguments += ["--set", "training.seed=7", "--set", "preprocess.crop=foreground"]
    assert main(a_service.create(None, None, *arguments)) == 0
    project = load_project(Path(a_service.new))
    assert project.name == "Hearts"
    assert dict(zip(project.schema.values, project.schema.names, strict=True)) == {
        2: "inside", 1: "outside",
    }  # fmt: skip
    assert (project.config.training.seed, project.config.preprocess.crop.value) == (7, "foreground")
    assert project.config.training.supervised.num_steps == 5000


def test_project_with_copies_moves_alone(a_service, tmp_path, told):
    assert main(a_service.create(None, None, "--copy-images")) == 0
    moved = Path(a_service.new).rename(tmp_path / "moved")
    a_service.path("heart.nii.gz").unlink()
    findings = told("status", str(moved), "--check")["findings"]
    assert "error" not in {finding["severity"] for finding in findings}


# --- help ---


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_tells_every_argument(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    told = capsys.readouterr().out
    for action in COMMANDS[name]._actions:
        assert action.help, f"{action.dest} of {name} has no help"
        names = action.option_strings or [action.metavar or action.dest]
        assert all(text in told for text in names)


def test_help_names_every_command_and_its_examples_can_be_read(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    told = capsys.readouterr().out
    assert all(name in told for name in COMMANDS)
    examples = re.findall(r"(?:^|:)  pseudolabelcl (.+?)(?:  |$)", told, re.MULTILINE)
    assert len(examples) == 11
    for example in examples:
        build_parser().parse_args(shlex.split(example))


# --- how it ends ---

ENDINGS = {
    "user error": (JobFailed("VolumeError", "It is empty.", "Choose another."), 1, "It is empty."),
    "defect": (JobFailed("InternalError", "Over zero.", "Report it.", "trace"), 3, "Over zero."),
    "death": (WorkerCrashed(-9, "It was killed.", "Go on.", ""), 3, "It was killed."),
    "cancel": (JobCancelled(resumable=True), 130, "Run the same command again"),
    "cancel for good": (JobCancelled(resumable=False), 130, "saved."),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_exit_code_tells_how_a_job_ended(a_service, ending, capfd, monkeypatch):
    event, code, words = ending
    monkeypatch.setattr(job_commands, "run_job_shown", lambda *_, **__: show_job._result_of(event))
    assert main(["train", a_service.unreviewed]) == code
    err = capfd.readouterr().err
    assert words in err
    assert "trace" not in err


class PretendedWorker:
    """Stands for a worker whose events a test scripts."""

    def __init__(self, ending):
        self.ending, self.asked, self.killed = ending, 0, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def request_cancel(self):
        self.asked += 1

    def kill(self):
        self.killed += 1

    def wait_event(self, timeout_s):
        signal.raise_signal(signal.SIGINT)
        return self.ending if self.asked + self.killed >= 2 else None


def test_ctrl_c_asks_the_worker_and_the_second_one_kills_it(monkeypatch, capfd, tmp_path):
    worker = PretendedWorker(JobCancelled(resumable=True))
    monkeypatch.setattr(show_job.WorkerProcess, "start", lambda *_: worker)
    before = signal.getsignal(signal.SIGINT)

    with pytest.raises(show_job.JobCancelledError):
        show_job.run_job_shown(None, tmp_path, Console())

    assert (worker.asked, worker.killed) == (1, 1)
    assert signal.getsignal(signal.SIGINT) is before
    assert "press Ctrl-C again to stop at once" in capfd.readouterr().err


def test_ctrl_c_while_nothing_works_ends_quietly(a_service, monkeypatch, capfd):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("PseudoLabelCLLib.curation.cases.add_or_annotate.add_case", interrupt)
    assert main(a_service.create()) == 130
    assert capfd.readouterr().err == "Error: Stopped.\n"
    assert not Path(a_service.new).exists()
    assert not list(a_service.folder.glob(".creating-*"))


def test_reader_that_has_enough_is_no_error(a_service):
    process = subprocess.Popen(
        [sys.executable, "-m", "PseudoLabelCLLib", "status", a_service.project],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    process.stdout.close()  # as `head` does
    with process:
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no interrupt to one process")
def test_interrupted_training_is_cancelled_and_goes_on(a_service, monkeypatch):
    long = ["--set", "training.supervised.num_steps=100000"]
    arguments = a_service.create(None, None, "--labels", LABELS, *QUICKEST, *long)
    assert main(arguments) == 0
    train = [sys.executable, "-m", "PseudoLabelCLLib", "train", a_service.new, "--device", "cpu"]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(train, stderr=subprocess.PIPE, text=True, env=one_thread) as process:
        stop = threading.Timer(200, process.kill)
        stop.start()
        for line in process.stderr:
            if "training" in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
        stop.cancel()
    assert process.returncode == 130
    assert "Run the same command again to continue." in rest
    assert load_project(Path(a_service.new)).rounds[0].state.value == "training"


# --- what a command loads ---


def test_every_command_of_the_parser_is_there():
    assert all(callable(command_named(name)) for name in COMMANDS)


def test_segmenting_loads_no_library_of_images_into_the_command_line_itself():
    code = (
        "import sys\n"
        "from PseudoLabelCLLib.command_line.main import command_named\n"
        "command_named('predict')\n"
        "print({'scipy', 'SimpleITK', 'torch', 'pydicom'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"
