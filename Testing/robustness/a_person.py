"""A person at the panel with real service and worker, who can be killed and tells what is certain.

Run in a fork by `kill_whole_loops.py`. What happens is told in lines of JSON: the processes that
are started, what is being done, the verdicts that are given, and those that the panel showed.
"""

import hashlib
import json
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

from forked_worker import start_fork
from review_sequences import Sequence

from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout

from screen_panel import ScreenPanel  # isort: skip - its path comes with review_sequences
from PseudoLabelCLLib.domain.segmentation import LabelSchema

REJECTED = "rejected"
# The others are forks, since loading the packages takes longer than all else that a worker does.
SHARE_STARTED_AS_IN_SLICER = 0.2


def sum_of_voxels(array: Any) -> str:
    """Return what tells one segmentation from another, whatever its file looks like."""
    return hashlib.sha256(array.astype("<i2").tobytes()).hexdigest()


def sums_of_proposals(root: Path, index: int) -> dict[str, str]:
    """Return what tells the proposals of a round, by file name."""
    folder = ProjectLayout(root).proposal(index, "any").parent
    files = sorted(folder.glob("*.seg.nrrd")) if folder.exists() else []
    whole = [file for file in files if not file.name.startswith(".")]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in whole}


class Person(Sequence):
    """Trains, judges every proposal, trains again, and exports; goes on wherever it stands.

    Args:
        root: The project.
        num_rounds: How many rounds.
        chance: Decides.
        lines: Where to tell, a file descriptor.
    """

    def __init__(self, root: Path, num_rounds: int, chance: random.Random, lines: int) -> None:
        folder = root.with_name("drawn")
        folder.mkdir(exist_ok=True)
        super().__init__(folder, chance, Counter())
        self.root, self._num_rounds, self._lines = root, num_rounds, lines
        self._doing = ""

    def tell(self, kind: str, **facts: Any) -> None:
        """Tell one thing that happened."""
        os.write(self._lines, json.dumps({"is": kind, **facts}).encode() + b"\n")

    def doing(self, what: str) -> None:
        """Tell what is being done, once."""
        if what != self._doing:
            self._doing = what
            self.tell("doing", what=what)

    def tick(self) -> None:
        """Let the panel live, and tell how far a training has come."""
        super().tick()
        if self.state.train.is_running and self.state.train.stage:
            self.doing(self.state.train.stage)

    def _start_service(self) -> Any:
        service = super()._start_service()
        self.tell("service", pid=service.pid)
        return service

    def _start_worker(self, job: Any, folder: Path) -> Any:
        is_as_in_slicer = self.chance.random() < SHARE_STARTED_AS_IN_SLICER
        start = super()._start_worker if is_as_in_slicer else start_fork
        worker = start(job, folder)
        self.workers += [] if is_as_in_slicer else [worker]
        self.tell("worker", pid=worker.pid)
        return worker

    def live(self) -> None:
        """Open the project and go on until all is exported."""
        self.doing("opening the project")
        while not self.state.cases.rows:  # a service that was killed twice waits for the person
            self.presenter.project.open(str(self.root))
            self.until(
                lambda: self.state.cases.rows or self.state.message.next_step.text == "Open again"
            )
        self.panel = ScreenPanel(self.presenter, LabelSchema(self.state.cases.labels), self.folder)
        self.settle()
        while not self.step_on():
            pass
        self.tell("end")

    def step_on(self) -> bool:
        """Do what comes next; tell whether all is done."""
        self.settle()
        rows, rounds = self.state.review.queue, self.state.rounds.rows
        waiting = [row.case_id for row in rows if not row.verdict]
        if waiting:
            index = rounds[-1].index
            self.tell("round", index=index, proposals=sums_of_proposals(self.root, index))
            self.judge_one(self.chance.choice(waiting), index)
        elif rows and len(rounds) >= self._num_rounds:
            return self.export()
        else:
            self.doing("starting a training")
            self.train()
            self.settle()
            self.doing("waiting")
        return False

    def judge_one(self, case_id: str, index: int) -> None:
        """Show a case, draw perhaps, accept, save or reject; tell what the panel then shows."""
        self.doing("showing a case")
        self.presenter.review.show_case(case_id)
        self.settle()
        identity, screen = self.state.review.identity, self.panel.screen
        if screen is None or identity is None or screen.files.case_id != case_id:
            return
        if self.chance.random() < 0.6:
            self.draw()
            self.settle()
        is_rejected = self.chance.random() < 0.2 and not screen.is_unsaved
        button = self.state.review.reject if is_rejected else self.state.review.accept
        if not button.enabled:
            return
        verdict = REJECTED if is_rejected else "corrected" if screen.is_unsaved else "accepted"
        voxels = "" if is_rejected else sum_of_voxels(screen.now)
        told = {"case": case_id, "round": index, "verdict": verdict, "voxels": voxels}
        services = len(self.services)
        self.doing(f"saving '{verdict}'")
        self.tell("gives", **told)
        (self.presenter.review.reject if is_rejected else self.presenter.review.accept)()
        self.settle()
        shown = {row.case_id: row.verdict for row in self.state.review.queue}.get(case_id)
        if shown == verdict and len(self.services) == services:
            self.tell("given", **told)
        self.doing("waiting")

    def export(self) -> bool:
        """Export everything; tell whether it succeeded."""
        self.doing("exporting")
        folder = self.root.with_name("exported")
        self.presenter.export.write_files(str(folder), SegmentationFormat.SEG_NRRD)
        self.settle()
        if self.state.export.results and (folder / "export.json").is_file():
            self.tell("exported")
            return True
        return False
