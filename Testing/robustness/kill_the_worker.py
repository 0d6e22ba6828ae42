"""Kill a real training at random moments; nothing may be lost, and it must end as if unkilled.

python Testing/robustness/kill_the_worker.py --kills 20 --seed 0 --output FOLDER
"""

import argparse
import random
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from crash_checks import (
    check_project,
    differing_files,
    leftovers,
    make_project,
    review_all,
    saved_step,
)

from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.messages.job_messages import (
    Artifact,
    Event,
    JobCompleted,
    Notice,
    WorkerCrashed,
)
from PseudoLabelCLLib.messages.jobs import DeviceChoice, TrainJob
from PseudoLabelCLLib.process.worker_process import WorkerProcess
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project

NUM_ROUNDS = 2
START_UP = "start-up"
_LOOK_EVERY_S = 0.002
_PATIENCE_S = 600.0
_MAX_REPEATS = 8
_LONGEST_GAP_S = 3.0
_WEIGHTS = {"training": 4, "pseudo-labels": 2}


@dataclass
class Run:
    """What one worker told: when which stage began, its notices, its end."""

    seconds: float = 0.0
    moments: list[tuple[float, str, int]] = field(default_factory=lambda: [(0.0, START_UP, 0)])
    notices: list[str] = field(default_factory=list)
    end: Event | None = None

    @property
    def place(self) -> tuple[str, int]:
        """The last stage and step that it told."""
        return self.moments[-1][1:]

    @property
    def stages(self) -> list[str]:
        """All stages in their order."""
        return list(dict.fromkeys(stage for _, stage, _ in self.moments))

    @property
    def first_stage(self) -> str:
        """The first stage after the start-up."""
        return self.moments[1][1] if len(self.moments) > 1 else START_UP


@dataclass(frozen=True)
class Target:
    """When to kill: so long after the reference run's place was reached, or in a write."""

    place: tuple[str, int]
    delay_s: float
    in_a_write: bool


def train(root: Path, job: str, shall_kill: Callable[[Run], bool] = lambda _: False) -> Run:
    """Start a worker for one round, and kill it when asked to."""
    run, started = Run(), time.monotonic()
    folder = ProjectLayout(root).job_folder(job)
    with WorkerProcess.start(TrainJob(str(root), 1, DeviceChoice.CPU), folder) as worker:
        while not worker.has_ended:
            event = worker.wait_event(timeout_s=_LOOK_EVERY_S)
            run.seconds = time.monotonic() - started
            _note(run, event)
            if worker.is_alive and run.end is None and shall_kill(run):
                worker.kill()
            assert run.seconds < _PATIENCE_S, "the worker hangs"
    return run


def _note(run: Run, event: Event | None) -> None:
    match event:
        case Progress():
            run.moments.append((run.seconds, event.stage.partition(": ")[2], event.step))
        case Artifact(kind="model"):
            run.moments.append((run.seconds, "model written", 0))
        case Notice():
            run.notices.append(event.text)
        case JobCompleted() | WorkerCrashed():
            run.end = event
        case None:
            pass
        case _ if hasattr(event, "message"):
            raise AssertionError(f"the worker failed: {event}")


def targets(reference: Run, number: int, rng: random.Random) -> list[Target]:
    """Draw moments from the whole life of the reference run, in its order; every fourth in a write.

    Stages are drawn by their weights, not by their length: a busy machine stretches some of them.
    """
    shares = [stage for stage in reference.stages for _ in range(_WEIGHTS.get(stage, 1))]
    chosen = [shares[int((n + rng.random()) * len(shares) / number)] for n in range(number)]
    indices = sorted(rng.choice(_moments_of(reference, stage)) for stage in chosen)
    drawn = []
    for count, index in enumerate(indices):
        at_s, *place = reference.moments[index]
        later = [moment[0] for moment in reference.moments[index + 1 :]]
        gap_s = (later[0] if later else reference.seconds) - at_s
        gap_s = gap_s if index == 0 else min(_LONGEST_GAP_S, gap_s)
        drawn.append(Target(tuple(place), rng.random() * gap_s, in_a_write=count % 4 == 3))
    return drawn


def _moments_of(reference: Run, stage: str) -> list[int]:
    return [index for index, moment in enumerate(reference.moments) if moment[1] == stage]


def killer(target: Target, reference: Run, root: Path) -> Callable[[Run], bool]:
    """Return what says when the moment has come."""
    order = reference.stages
    rank = order.index(target.place[0]), target.place[1]
    reached_s: list[float] = []

    def shall_kill(run: Run) -> bool:
        stage, step = run.place
        if (order.index(stage) if stage in order else -1, step) >= rank and not reached_s:
            reached_s.append(run.seconds)
        if not reached_s or run.seconds - reached_s[0] < target.delay_s:
            return False
        return not target.in_a_write or bool(leftovers(root))

    return shall_kill


def kill_once(root: Path, index: int, target: Target, reference: Run, name: str) -> Run:
    """Kill at the target; where the kill came too late, put all back and try a little earlier."""
    backup = root.with_name("backup")
    shutil.copytree(root, backup)
    for attempt in range(_MAX_REPEATS):
        run = train(root, f"{name}-{attempt}", killer(target, reference, root))
        is_killed = isinstance(run.end, WorkerCrashed) and not _is_done(root, index)
        order = reference.stages
        in_time = order.index(run.place[0]) <= order.index(target.place[0])
        if is_killed and (in_time or attempt > _MAX_REPEATS // 2):
            shutil.rmtree(backup)
            return run
        shutil.rmtree(root)
        shutil.copytree(backup, root)
        stage, step = target.place
        target = Target((stage, max(0, step - 1)), target.delay_s / 3, in_a_write=False)
    raise AssertionError(f"the worker is always done before it can be killed at {target}")


def _is_done(root: Path, index: int) -> bool:
    rounds = [r for r in load_project(root).rounds if r.index == index]
    return bool(rounds) and rounds[0].state is RoundState.IN_REVIEW


def resumed_from(run: Run, index: int) -> str:
    """Say in words where a run took up the round."""
    for text in run.notices:
        if "continues after step" in text:
            return text.removeprefix(f"Round {index} goes on ").rstrip(".")
    if run.first_stage in ("pseudo-labels", "measuring", "report"):
        return run.first_stage
    return "killed before it could tell" if run.first_stage == START_UP else "its start"


def torture_round(
    root: Path, index: int, reference: Run, moments: list[Target], first: int
) -> list[tuple[str, ...]]:
    """Kill the round at each moment, check everything, then let it end; return the table."""
    rows: list[list[str]] = []
    reviews = check_project(root).project.reviews
    old_leftovers: list[Path] = []
    step = 0
    for number, target in enumerate(moments, start=first):
        run = kill_once(root, index, target, reference, f"kill-{number}")
        if run.first_stage != START_UP:
            assert not [path for path in old_leftovers if path.exists()], "a leftover stayed"
        if rows:
            rows[-1].append(resumed_from(run, index))
        found = check_project(root)
        assert found.project.reviews == reviews, "a review was lost"
        assert saved_step(root, index) >= step, "a checkpoint went back"
        step = saved_step(root, index)
        old_leftovers = leftovers(root)
        rounds = [r for r in found.project.rounds if r.index == index]
        state = rounds[0].state.value if rounds else "not begun"
        place, at = run.place
        rows.append(
            [f"{number}", f"{run.seconds:.2f} s", f"{place} {at}" if at else place,
             f"{found.num_files} whole", f"{found.num_left}", f"{state}, step {step} saved"]
        )  # fmt: skip
        print("  ".join(rows[-1]), flush=True)
    last = train(root, f"end-{index}")
    assert isinstance(last.end, JobCompleted)
    rows[-1].append(resumed_from(last, index))
    found = check_project(root)
    assert found.num_left == 0, "a leftover stayed"
    assert found.project.reviews == reviews
    assert found.project.rounds[index].state is RoundState.IN_REVIEW
    return [tuple(row) for row in rows]


def run_all(
    folder: Path, kills: int, seed: int, num_rounds: int = NUM_ROUNDS
) -> tuple[list[tuple[str, ...]], list[str]]:
    """Return the table of all kills, and what differs from the run that was never killed."""
    rng = random.Random(seed)
    reference_root = make_project(folder / "unkilled", seed)
    shutil.copytree(folder / "unkilled", folder / "killed")
    killed_root = folder / "killed" / "project"
    rows: list[tuple[str, ...]] = []
    different: list[str] = []
    for index in range(num_rounds):
        shutil.copytree(reference_root, _before(reference_root, index))
        reference = train(reference_root, f"round-{index}")
        assert isinstance(reference.end, JobCompleted)
        number = kills // num_rounds + (kills % num_rounds if index == 0 else 0)
        moments = targets(reference, number, rng)
        rows += torture_round(killed_root, index, reference, moments, len(rows) + 1)
        _match_precision(reference_root, killed_root, index)
        different += differing_files(reference_root, killed_root, index)
        for root in (reference_root, killed_root) if index + 1 < num_rounds else ():
            review_all(root)
    return rows, different


def _before(root: Path, index: int) -> Path:
    return root.with_name(f"before-round-{index}")


def _match_precision(reference_root: Path, killed_root: Path, index: int) -> None:
    """Train the reference again if its round was not begun in the precision of the other.

    Which one is faster is measured when a round begins, and a busy machine can mislead it; a begun
    round keeps its precision. So the round is begun, given the precision, and trained from step 0.
    """
    layout = ProjectLayout(reference_root)
    wanted = ProjectLayout(killed_root).settled_device.read_text(encoding="utf-8")
    if layout.settled_device.read_text(encoding="utf-8") == wanted:
        return
    shutil.rmtree(reference_root)
    shutil.copytree(_before(reference_root, index), reference_root)
    train(reference_root, f"begin-{index}", lambda run: run.place[0] == "training")
    layout.checkpoint(index).unlink(missing_ok=True)
    layout.settled_device.write_text(wanted, encoding="utf-8")
    run = train(reference_root, f"round-{index}-again")
    assert isinstance(run.end, JobCompleted)
    assert not any("goes on after" in text for text in run.notices)


def main() -> int:
    """Run and print the table; 0 if the weights are the same to the bit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True, help="a new folder")
    arguments = parser.parse_args()
    rows, different = run_all(arguments.output, arguments.kills, arguments.seed)
    print("\n| kill | after | stage | files | left over | on disk | then went on from |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print(f"\nDifferent from the run that was never killed: {', '.join(different) or 'nothing'}.")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
