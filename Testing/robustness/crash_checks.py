"""A tiny real project to be mistreated, and the check that all of its files are whole."""

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.curation.review.proposals import newest_proposal
from PseudoLabelCLLib.curation.review.review_cases import accept, correct, reject
from PseudoLabelCLLib.curation.samples.sample_data import write_sample_cases
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.tensor_files import read_tensor_file
from PseudoLabelCLLib.messages.jobs import DeviceChoice, TrainJob
from PseudoLabelCLLib.pipeline import training_device as choose_training_device
from PseudoLabelCLLib.pipeline.learning_curve import read_learning_curve
from PseudoLabelCLLib.pipeline.prediction.model_file import read_model
from PseudoLabelCLLib.pipeline.run_job import run_job
from PseudoLabelCLLib.storage.files.atomic_files import TEMPORARY_PREFIX, read_json
from PseudoLabelCLLib.storage.project.own_reports import is_own_report
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation
from PseudoLabelCLLib.storage.volume_io import read_volume

SETTINGS = (
    "preprocess.window_size=[64,64]",
    "network.widths=[8,8,16,16,16,16]",
    "training.supervised.num_steps=30",
    "training.supervised.batch_size=4",
    "training.joint.num_steps=15",
    "training.joint.batch_size=2",
    "training.contrastive.num_pairs=2",
    "training.consistency.num_slices=2",
    "training.checkpoints_per_round=10",
    "training.validations_per_round=2",
    "pseudo_label.num_augmented_copies=2",
)
_LOCKS = tuple(
    f"{name}.lock{claim}" for name in ("desk", "worker", "review") for claim in ("", ".claim")
)


def make_project(folder: Path, seed: int, *settings: str) -> Path:
    """Make phantoms (1 annotated, 3 unlabelled, 1 for validation) and a project of them."""
    samples = write_sample_cases(folder / "volumes", seed, num_unlabelled=3, num_test=1)
    root = folder / "project"
    arguments = ["create", str(root), "--json"]
    for setting in (*SETTINGS, *settings):
        arguments += ["--set", setting]
    roles = {"annotated": "--annotated", "test": "--validation"}
    for sample in samples:
        if sample.kind in roles:
            arguments += [roles[sample.kind], str(sample.image), str(sample.truth)]
    unlabelled = [str(sample.image) for sample in samples if sample.kind == "unlabelled"]
    with contextlib.redirect_stdout(io.StringIO()):
        assert main([*arguments, "--unlabelled", *unlabelled]) == 0
    return root


def review_all(root: Path) -> None:
    """Accept the first proposal, correct two slices of the second, reject the third."""
    project = load_project(root)
    first, second, third = (
        newest_proposal(root, project, case.id) for case in project.cases_to_propose()
    )
    project = accept(root, project, first)
    truth = root.parent / "volumes" / "truth" / f"{second.case_id}.seg.nrrd"
    project = correct(root, project, second, truth, slices=(2, 3))
    reject(root, project, third)


class StoppedError(Exception):
    """Ends a training as a crash would."""


class Listener:
    """A report that keeps the notices and calls a hook at every progress."""

    def __init__(self, on_progress=lambda stage, step: None):
        self.notices = []
        self.on_progress = on_progress

    def progress(self, stage, step, num_steps):
        self.on_progress(stage, step)

    def metrics(self, stage, step, values):
        pass

    def notice(self, text, *, warning=False):
        self.notices.append(text)

    def artifact(self, kind, path):
        pass

    def is_cancelled(self):
        return False


def train_here(root, on_progress=lambda stage, step: None, *, half_precision=False):
    """Train one round in this process, without the trial of the device; return what was told."""
    listener = Listener(on_progress)
    device = ComputeDevice("cpu", "CPU", Text(""), half_precision)
    torch.set_num_threads(1)
    with mock.patch.object(choose_training_device, "choose_device", return_value=device):
        run_job(TrainJob(str(root), 1, DeviceChoice.CPU), listener)
    return listener.notices


def leftovers(root: Path) -> list[Path]:
    """Return the temporary files in a project."""
    return sorted(root.rglob(f"{TEMPORARY_PREFIX}*"))


def saved_step(root: Path, index: int) -> int:
    """Return after which step a round's checkpoint was written, 0 without one."""
    path = ProjectLayout(root).checkpoint(index)
    if not path.exists():
        return 0
    return int(read_tensor_file(path, torch.device("cpu"))["step"])


@dataclass
class Found:
    """What lies in a project: its state, how many whole files, and files that are left over."""

    project: Project
    num_files: int
    num_left: int


def check_project(root: Path) -> Found:
    """Read every file of a project to its last byte.

    Raises:
        PseudoLabelCLError, ValueError, RuntimeError: A file is not whole.
        AssertionError: A file is none that a project has.
    """
    project = load_project(root)
    files = [path for path in sorted(root.rglob("*")) if path.is_file()]
    whole = [path for path in files if not path.name.startswith(TEMPORARY_PREFIX)]
    for path in whole:
        _read_whole(path, project)
    return Found(project, len(whole), len(files) - len(whole))


def _read_whole(path: Path, project: Project) -> None:
    readers = {
        ".json": read_json,
        ".seg.nrrd": lambda file: read_segmentation(file, project.schema),
        ".nrrd": read_volume,
        ".npy": np.load,
        "checkpoint.pt": _read_checkpoint,
        "model.plcl": read_model,
        "learning_curve.jsonl": read_learning_curve,
        "events.jsonl": _read_events,
        "report.html": _read_page,
    }
    reader = next((read for ending, read in readers.items() if path.name.endswith(ending)), None)
    if reader is not None:
        reader(path)
    else:
        assert path.name in (*_LOCKS, "log.txt"), f"{path} is no file of a project"


def _read_checkpoint(path: Path) -> None:
    content = read_tensor_file(path, torch.device("cpu"))
    assert {"network", "average", "optimizer", "generator", "notes"} <= content.keys()


def _read_events(path: Path) -> None:
    # The one file that grows in place: only its last line may be cut off.
    for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
        json.loads(line)


def _read_page(path: Path) -> None:
    page = path.read_text(encoding="utf-8").rstrip()
    assert is_own_report(path)
    assert page.rpartition("<!-- seal")[0].rstrip().endswith("</html>")


def differing_files(first: Path, second: Path, index: int) -> list[str]:
    """Return which weights and proposals of a round are not the same to the bit."""
    layouts = ProjectLayout(first), ProjectLayout(second)
    names = []
    ours, theirs = (read_model(layout.model(index)).network.state_dict() for layout in layouts)
    if ours.keys() != theirs.keys() or any(not torch.equal(ours[k], theirs[k]) for k in ours):
        names.append(f"round {index}: weights")
    project = load_project(first)
    for case in project.cases:
        proposals = [layout.proposal(index, case.id) for layout in layouts]
        if any(path.exists() for path in proposals):
            arrays = [read_segmentation(path, project.schema)[0].array for path in proposals]
            if not np.array_equal(*arrays):
                names.append(f"round {index}: proposal of {case.id}")
    return names
