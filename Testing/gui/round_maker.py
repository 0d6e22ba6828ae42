"""A worker that trains nothing and leaves complete rounds, each proposal unlike any other."""

import atexit
import functools
import hashlib
import shutil
import tempfile
from pathlib import Path

import numpy as np

from PseudoLabelCLLib.curation.cases.add_cases import add_case
from PseudoLabelCLLib.domain.case import CaseRole, NewCase
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.doubt import Doubt
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.messages.job_messages import (
    Artifact,
    JobCancelled,
    JobCompleted,
    JobStarted,
    WorkerCrashed,
)
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.storage.files.atomic_files import write_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import create_project, load_project, save_round
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation
from PseudoLabelCLLib.storage.volume_io import write_volume

SIZE = (8, 8, 4)  # along i, j, k
GRID = Geometry(SIZE, (1.0, 1.0, 4.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
SCHEMA = LabelSchema.from_values((1, 2))
UNLABELLED = ("u1", "u2", "u3")


def make_project(root: Path) -> None:
    """Make a project with one annotated and three unlabelled cases, before round 0."""
    project = Project("Blocks", SCHEMA, config_for(Profile.QUICK))
    create_project(root, project)
    data = root.parent / "data"
    data.mkdir()
    drawn = np.zeros(SIZE[::-1], np.int16)
    drawn[1:3, 1:4, 1:5] = 1
    label = data / "a.seg.nrrd"
    write_segmentation(label, LabelVolume(drawn, GRID), SCHEMA)
    for number, case_id in enumerate(("a", *UNLABELLED)):
        image = data / f"{case_id}.nrrd"
        voxels = np.random.default_rng(number).normal(100, 9, SIZE[::-1]).astype(np.float32)
        write_volume(image, Volume(voxels, GRID))
        role = CaseRole.UNLABELLED if number else CaseRole.ANNOTATED
        annotation = None if number else str(label)
        new = NewCase(case_id, role, str(image), annotation=annotation)
        project, _notices = add_case(root, project, new)


class RoundMaker:
    """Writes rounds into a project and remembers what it proposed.

    Args:
        root: The project folder.
        made: What was proposed in it before, by fingerprint.

    Attributes:
        index: The newest round, or -1.
        state: How far it has come.
    """

    def __init__(self, root: Path, made: dict[str, np.ndarray] | None = None) -> None:
        self.root = root
        self.made = dict(made or {})
        self._serial = len(self.made)
        rounds = load_project(root).rounds
        self.index = rounds[-1].index if rounds else -1
        self.state = rounds[-1].state if rounds else None

    def begin(self) -> None:
        """Close the review and open the next round, unless one was begun already."""
        if self.state in (RoundState.TRAINING, RoundState.PSEUDO_LABELLING):
            return
        if self.state is RoundState.IN_REVIEW:
            self._save(RoundState.CLOSED)
        self.index += 1
        self._save(RoundState.TRAINING)

    def finish(self) -> None:
        """Propose something for every case that has none yet and put the round into review."""
        self._save(RoundState.PSEUDO_LABELLING)
        self.propose(self._left())
        self._save(RoundState.IN_REVIEW)

    def propose_next(self) -> None:
        """Propose something for one more case, unless all have it."""
        self._save(RoundState.PSEUDO_LABELLING)
        self.propose(self._left()[:1])

    def _left(self) -> tuple[str, ...]:
        layout = ProjectLayout(self.root)
        return tuple(one for one in UNLABELLED if not layout.doubt(self.index, one).exists())

    def _save(self, state: RoundState) -> None:
        self.state = state
        save_round(self.root, Round(self.index, state, num_truth_cases=1))

    def propose(self, case_ids: tuple[str, ...] = UNLABELLED) -> None:
        """Write proposals of the newest round that were never seen before."""
        index, layout = self.index, ProjectLayout(self.root)
        for case_id in case_ids:
            source, labels = a_proposal(self._serial)
            file = layout.proposal(index, case_id)
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, file.with_suffix(".new"))
            file.with_suffix(".new").replace(file)
            self.made[hashlib.sha256(file.read_bytes()).hexdigest()] = labels
            doubt = Doubt(0.1 + 0.01 * (self._serial % 7), 0.9, (0.1,) * SIZE[2], "Look at it.")
            write_json(layout.doubt(index, case_id), to_json(doubt))
            self._serial += 1


@functools.cache
def a_proposal(number: int) -> tuple[Path, np.ndarray]:
    """A file with a block, and a number in binary digits beside it; no two are alike."""
    labels = np.zeros(SIZE[::-1], np.int16)
    labels[1, 1:4, 1:5] = 1
    digits = [int(digit) for digit in f"{number:024b}"]
    labels[2, :3, :] = np.array(digits, np.int16).reshape(3, 8) * 2
    folder = proposals_folder()
    write_segmentation(folder / f"{number}.seg.nrrd", LabelVolume(labels, GRID), SCHEMA)
    return folder / f"{number}.seg.nrrd", labels


@functools.cache
def proposals_folder() -> Path:
    """Where the files lie that rounds are made of, until this program ends."""
    folder = Path(tempfile.mkdtemp(prefix="proposals-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class StandInWorker:
    """A worker process of the presenter; it does its round when told."""

    def __init__(self, maker: RoundMaker) -> None:
        self._maker = maker
        self._events: list = [JobStarted(2, "train")]
        self.is_alive = True

    def poll_events(self) -> list:
        events, self._events = self._events, []
        return events

    def request_cancel(self) -> None:
        if self.is_alive:
            self.is_alive = False
            self._events.append(JobCancelled(resumable=True))

    def close(self, patience_s: float = 0.0) -> None:
        assert not self.is_alive

    def begin(self) -> None:
        self._maker.begin()
        self._events.append(Progress("Round: training", 1, 10, 9.0))

    def propose(self) -> None:
        self._maker.begin()
        self._maker.propose_next()
        self._events.append(Artifact("proposal", "of some case"))
        self._events.append(Progress("Round: pseudo-labels", 1, 3, 9.0))

    def finish(self) -> None:
        self._maker.begin()
        self._maker.finish()
        self.is_alive = False
        self._events.append(JobCompleted({}))

    def crash(self) -> None:
        self.is_alive = False
        self._events.append(WorkerCrashed(-9, "The worker was killed.", ""))
