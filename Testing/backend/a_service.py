"""A service for tests of the command line: volumes, segmentations, a project in review, a model."""

import hashlib
import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from PseudoLabelCLLib.command_line import job_commands, show_job
from PseudoLabelCLLib.command_line.main import main
from PseudoLabelCLLib.curation.review.proposals import newest_proposal
from PseudoLabelCLLib.domain.config import Profile, PseudoLabelConfig
from PseudoLabelCLLib.domain.doubt import Doubt
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.learning import device
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.messages.job_messages import Notice, NoticeLevel
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.pipeline.prediction.model_file import ModelCard, TrainingSummary, write_model
from PseudoLabelCLLib.pipeline.run_job import run_job
from PseudoLabelCLLib.process.failure import failure_of
from PseudoLabelCLLib.storage.files.atomic_files import write_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project, save_round
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation

SIZE = (32, 32, 5)
SPACING = (1.5, 1.5, 8.0)
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
GRID = Geometry(SIZE, SPACING, (0.0, 0.0, 0.0), IDENTITY)
SCHEMA = LabelSchema.from_values((1, 2))
LABELS = "1=label 1,2=label 2"
TINY = NetworkConfig(widths=(4, 4, 4, 4, 4, 4), embedding_size=4)
QUICKEST = [
    "--set", f"network.widths={list(TINY.widths)}",
    "--set", f"network.embedding_size={TINY.embedding_size}",
    "--set", "preprocess.window_size=[32,32]",
    "--set", "training.supervised.num_steps=2", "--set", "training.supervised.batch_size=2",
    "--set", "training.joint.num_steps=2", "--set", "training.joint.batch_size=2",
    "--set", "pseudo_label.num_augmented_copies=2",
]  # fmt: skip


@dataclass(frozen=True)
class Service:
    """A folder with what a person has on the service; every path is absolute text."""

    folder: Path

    def __getattr__(self, name):
        names = {
            "image": "heart.nii.gz", "label": "heart-label.nii.gz", "other": "other-1.nii.gz",
            "project": "project", "unreviewed": "unreviewed", "model": "model.plcl", "new": "new",
            "out": "out", "table": "cases.csv",
        }  # fmt: skip
        if name not in names:
            raise AttributeError(name)
        return str(self.folder / names[name])

    def path(self, name):
        return self.folder / name

    def write(self, name, array, *, spacing=SPACING, origin=(0.0, 0.0, 0.0)):
        """Write an array (k, j, i) as an image file and return its path as text."""
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(spacing[: image.GetDimension()])
        image.SetOrigin((*origin, 0.0)[: image.GetDimension()])
        sitk.WriteImage(image, str(self.path(name)))
        return str(self.path(name))

    def text(self, name, text, encoding="utf-8"):
        self.path(name).write_text(text, encoding=encoding)
        return str(self.path(name))

    def edit(self, name, change):
        """Change the JSON object in a file."""
        value = json.loads(self.path(name).read_text("utf-8"))
        change(value)
        return self.text(name, json.dumps(value))

    def create(self, image=None, label=None, *more):
        return ["create", self.new, "--annotated", image or self.image, label or self.label, *more]


def voxels(seed=0):
    """Return an image in which the structures of `labels` can be seen, shape (k, j, i)."""
    noise = np.random.default_rng(seed).normal(100, 5, SIZE[::-1])
    return (noise + 60.0 * labels()).astype(np.float32)


def labels():
    """Return two structures, one inside the other, shape (k, j, i)."""
    array = np.zeros(SIZE[::-1], np.uint8)
    array[1:4, 8:24, 8:24] = 1
    array[1:4, 12:20, 12:20] = 2
    return array


def write_service(folder):
    """Fill a folder: a project before round 0 ("unreviewed"), one in review, a model, volumes."""
    service = Service(folder)
    service.write("heart.nii.gz", voxels())
    service.write("heart-label.nii.gz", labels())
    others = [service.write(f"other-{n}.nii.gz", voxels(n)) for n in (1, 2)]
    write_tiny_model(service.path("model.plcl"))
    for name in ("unreviewed", "project"):
        arguments = ["create", str(service.path(name)), "--annotated", service.image, service.label]
        assert main([*arguments, "--unlabelled", *others, "--labels", LABELS, *QUICKEST]) == 0
        for lock in ("desk.lock", "worker.lock"):  # they stay after each command, empty
            (service.path(name) / lock).touch()
    fake_round(service.path("project"), 0)
    return service


def write_tiny_model(path, schema=SCHEMA, *, card_network=TINY):
    """Write a model file with random weights of the network TINY."""
    config = config_for(Profile.QUICK)
    card = ModelCard(
        schema=schema,
        preprocess=replace(config.preprocess, in_plane_spacing_mm=1.5, window_size=(32, 32)),
        network=card_network,
        pseudo_label=replace(config.pseudo_label, num_augmented_copies=2),
        mirror_copies=True,
        seed=0,
        training=TrainingSummary("hearts", 0, 1, 0, (1.5, 1.5), None, 2, 2, "quick", "CPU", ""),
    )
    assert isinstance(card.preprocess, PreprocessConfig)
    assert isinstance(card.pseudo_label, PseudoLabelConfig)
    generator = torch.Generator().manual_seed(0)
    write_model(path, SegmentationNetwork(TINY, schema.num_classes, generator), card)


def fake_round(root, index):
    """Write what a trained round leaves: model, proposals with doubts, the state "in review"."""
    project, layout = load_project(root), ProjectLayout(root)
    save_round(root, Round(index, RoundState.IN_REVIEW, num_truth_cases=1))
    write_tiny_model(layout.model(index), project.schema)
    for number, case in enumerate(project.cases_to_propose(), start=1):
        array = labels().astype(np.int16)
        array[:, : 9 + number] = 0
        write_segmentation(
            layout.proposal(index, case.id), LabelVolume(array, GRID), project.schema
        )
        doubt = Doubt(0.1 * number, 0.9, (0.1,) * SIZE[2], f"Look at slice {number}.")
        write_json(layout.doubt(index, case.id), to_json(doubt))


def named(root, *case_ids):
    """Return how a command names the newest proposals of cases."""
    project = load_project(Path(root))
    found = [newest_proposal(Path(root), project, case_id) for case_id in case_ids]
    return ["--proposal", *(f"{one.round_index}:{one.fingerprint[:12]}" for one in found)]


def contents(folder):
    """Return a fingerprint of every file below a folder; a project's caches and jobs aside."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path(folder).rglob("*")
        if path.is_file() and not {"preprocessed", "jobs"} & set(path.parts)
    }


class ReportToConsole:
    """A job's listener that shows notices as the parent of a worker does."""

    def __init__(self, console):
        self.console = console

    def progress(self, stage, step, num_steps):
        pass

    def metrics(self, stage, step, values):
        pass

    def notice(self, text, *, warning=False):
        level = NoticeLevel.WARNING if warning else NoticeLevel.INFO
        show_job._show(Notice(level, text), self.console)

    def artifact(self, kind, path):
        pass

    def is_cancelled(self):
        return False


def run_job_here(job, job_folder, console, **_):
    """Do a job as the worker does it, in this process: its failure comes as over the line."""
    try:
        return run_job(job, ReportToConsole(console))
    except Exception as error:  # noqa: BLE001 - as in the worker
        return show_job._result_of(failure_of(error))


@contextmanager
def worker_in_this_process(monkeypatch):
    """Let commands do their jobs here instead of in a process of their own."""
    with monkeypatch.context() as patched:
        patched.setattr(job_commands, "run_job_shown", run_job_here)
        patched.setattr(device, "choose_number_of_threads", lambda: torch.set_num_threads(1))
        # no trial of speed: equal times choose plain numbers
        patched.setattr(device, "_time_trial_step", lambda *_, **__: 1.0)
        yield


def copied_service(template, folder):
    """Return a fresh copy of a service."""
    shutil.copytree(template.folder, folder, dirs_exist_ok=True)
    return Service(folder)
