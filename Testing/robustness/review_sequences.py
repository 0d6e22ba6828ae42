"""Random reviews with the real presenter, service and worker: verdicts store what was in the views.

    python Testing/robustness/review_sequences.py --sequences 20 --steps 20 --seed 0 --output FOLDER

A person shows, draws, judges, trains, closes and opens at random; now and then the service or the
worker is killed. After every verdict, the segmentation on disk is compared with what was in the
views when the verdict was given, voxel by voxel. `Testing/gui/test_review_identity.py` does the
same with a worker that trains nothing, 150 times in `make test`, 500 times in `make test-all`.
"""

import argparse
import json
import os
import random
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY / "PseudoLabelCL"), str(REPOSITORY / "Testing" / "gui")]

from PseudoLabelCLGui.presenter import Presenter  # noqa: E402 - the path comes first
from screen_panel import ScreenPanel  # noqa: E402 - the path comes first

from PseudoLabelCLLib.domain.segmentation import LabelSchema  # noqa: E402
from PseudoLabelCLLib.process.service_process import ServiceProcess  # noqa: E402
from PseudoLabelCLLib.process.worker_process import WorkerProcess  # noqa: E402
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout  # noqa: E402
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation  # noqa: E402

LIMIT_S = 600.0
# The smallest training that is one.
TINY = {
    "network.widths": "[4, 4, 4, 4, 4, 4]",
    "network.embedding_size": "4",
    "preprocess.window_size": "[32, 32]",
    "preprocess.in_plane_spacing_mm": "4.0",
    "training.supervised.num_steps": "2",
    "training.supervised.batch_size": "2",
    "training.joint.num_steps": "2",
    "training.joint.batch_size": "2",
    "pseudo_label.num_augmented_copies": "2",
}


class Sequence:
    """One person, one project.

    Args:
        folder: Empty, for the project.
        chance: Decides.
        told: What happened how often.
    """

    def __init__(self, folder: Path, chance: random.Random, told: Counter) -> None:
        self.folder, self.chance, self.told = folder, chance, told
        self.services: list[ServiceProcess] = []
        self.num_services = 0  # when the newest verdict was given
        self.workers: list[WorkerProcess] = []
        self.presenter = Presenter(self._start_service, self._start_worker, scene=self)
        self.panel: ScreenPanel | None = None

    def has_image(self, _case_id: str) -> bool:
        return True

    def temporary_folder(self) -> Path:
        return self.folder

    def _start_service(self) -> ServiceProcess:
        self.services.append(ServiceProcess.start(Path(sys.executable)))
        return self.services[-1]

    def _start_worker(self, job, folder: Path) -> WorkerProcess:
        environment = {"OMP_NUM_THREADS": "1", "GOMP_SPINCOUNT": "1000"}
        worker = WorkerProcess.start(
            job, folder, python=Path(sys.executable), environment=environment
        )
        self.workers.append(worker)
        return worker

    @property
    def state(self):
        return self.presenter.state

    def begin(self) -> None:
        """Make a project of phantoms, and its first round."""
        self.presenter.project.make_sample(str(self.folder / "samples"))
        self.until(lambda: len(self.state.cases.rows) > 1 and self.is_idle)
        self.panel = ScreenPanel(self.presenter, LabelSchema(self.state.cases.labels), self.folder)
        self.root = Path(self.state.project.root)
        for name, value in TINY.items():
            self.presenter.train.change_setting(name, value)
            self.until(lambda: self.is_idle)
        self.presenter.train.start()
        self.until(lambda: self.state.review.queue and self.is_idle)

    @property
    def is_idle(self) -> bool:
        return self.state.cases.add.enabled and not self.state.status.is_running

    def tick(self) -> None:
        self.presenter.tick()
        if self.panel is not None:
            self.panel.tick()

    def until(self, condition) -> None:
        end = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < end, f"nothing happens any more: {self.state.message}"
            self.tick()
            time.sleep(0.005)

    def settle(self) -> None:
        """Wait until nothing runs, answering what is asked in the way that loses nothing."""
        self.until(lambda: self.is_idle or self.state.message.answers or not self.root_is_open)
        if answers := self.state.message.answers:
            self.answer(len(answers) - 1)
        if not self.root_is_open:
            self.presenter.project.open(str(self.root))
        for _ in range(3):
            self.tick()
        self.until(lambda: self.is_idle)

    def answer(self, index: int) -> None:
        """Give an answer; only one that says so may lose what was drawn."""
        self.panel.may_discard = "iscard" in self.state.message.answers[index].text
        self.presenter.answer(index)

    @property
    def root_is_open(self) -> bool:
        return bool(self.state.project.root) and self.state.message.next_step.text != "Open again"

    def step(self) -> None:
        """Do one thing, and leave it running or not."""
        actions = {
            self.judge: 6, self.draw: 2, self.train: 1, self.kill: 1, self.leave: 1, self.wait: 3,
        }  # fmt: skip
        action = self.chance.choices(list(actions), list(actions.values()))[0]
        self.told[action.__name__] += 1
        action()

    def judge(self) -> None:
        """Show a case, draw perhaps, accept, save or reject, and look what lies on disk."""
        self.settle()
        rows = [row.case_id for row in self.state.review.queue]
        if not rows:
            return
        self.presenter.review.show_case(self.chance.choice(rows))
        self.settle()
        if self.chance.random() < 0.5:
            self.draw()
        is_accepted = self.chance.random() < 0.8
        button = self.state.review.accept if is_accepted else self.state.review.reject
        identity, screen = self.state.review.identity, self.panel.screen
        if not button.enabled or screen is None or identity is None:
            return
        seen, name = screen.now.copy(), button.text or "reject"
        self.num_services = len(self.services)
        (self.presenter.review.accept if is_accepted else self.presenter.review.reject)()
        if not is_accepted and self.state.message.answers:
            self.answer(self.chance.randrange(2))
        if self.chance.random() < 0.3:
            self.draw()  # while it is saved
        self.settle()
        self.check(identity, seen if is_accepted else None, name)

    def check(self, identity, seen: np.ndarray | None, name: str) -> None:
        """Compare a verdict on disk with what was in the views."""
        layout = ProjectLayout(self.root)
        file = layout.review(identity.round_index, identity.case_id)
        if not file.exists():
            assert self.state.message.text, "a verdict was lost without a word"
            self.told["refused"] += 1
            return
        review = json.loads(file.read_text("utf-8"))
        self.told[f"checked: {name}"] += 1
        if seen is None:
            assert review["verdict"] == "rejected"
            return
        schema = LabelSchema(self.state.cases.labels)
        found = read_segmentation(layout.resolve(review["segmentation"]), schema)[0].array
        if not np.array_equal(found, seen) and self._is_unsaved(seen):
            self.told["not saved, still in the views"] += 1  # the service was killed
            return
        assert np.array_equal(found, seen), f"'{identity.case_id}': {name} stored something else"

    def _is_unsaved(self, seen: np.ndarray) -> bool:
        """Tell whether the service died first, and all of it is in the views as unsaved changes."""
        if len(self.services) == self.num_services:
            return False
        screen = self.panel.screen
        is_there = screen is not None and np.array_equal(screen.now, seen)
        return is_there and self.state.review.accept.text == "Save correction"

    def draw(self) -> None:
        if self.panel is not None and self.panel.screen is not None:
            shape = self.panel.screen.now.shape
            place = tuple(self.chance.randrange(size) for size in shape)
            self.panel.draw(place, 1)

    def train(self) -> None:
        self.presenter.train.start()
        if answers := self.state.message.answers:
            self.answer(self.chance.randrange(len(answers)))

    def kill(self) -> None:
        """Kill the service, or the worker if one runs."""
        alive = [worker for worker in self.workers if worker.is_alive]
        if alive and self.chance.random() < 0.5:
            os.kill(alive[-1].pid, 9)
        elif self.services:
            self.services[-1].kill()

    def leave(self) -> None:
        self.presenter.leave_module()
        if self.chance.random() < 0.5:
            self.presenter.project.close()
        self.presenter.enter_module()

    def wait(self) -> None:
        for _ in range(self.chance.randrange(200)):
            self.tick()
            time.sleep(0.005)

    def end(self) -> None:
        self.presenter.shut_down(5.0)
        for worker in self.workers:
            worker.close(30.0)


def main() -> int:
    """Run the sequences; return 0 if every verdict stored what was in the views."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sequences", type=int, default=20)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True)
    chosen = parser.parse_args()
    told: Counter = Counter()
    started = time.monotonic()
    for number in range(chosen.seed, chosen.seed + chosen.sequences):
        folder = chosen.output / f"sequence-{number}"
        folder.mkdir(parents=True)
        sequence = Sequence(folder, random.Random(number), told)
        try:
            sequence.begin()
            for _ in range(chosen.steps):
                sequence.step()
            sequence.settle()
        finally:
            sequence.end()
        shutil.rmtree(folder)
        print(f"sequence {number}: {dict(told)}, {time.monotonic() - started:.0f} s", flush=True)
    print("PASSED: every verdict stored what was in the views")
    return 0


if __name__ == "__main__":
    sys.exit(main())
