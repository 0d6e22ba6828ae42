"""Kill worker, service and the panel's process at random moments of whole loops: nothing is lost.

    python Testing/robustness/kill_whole_loops.py --kills 300 --output FOLDER

A loop is a project of phantoms: train, judge every proposal, train on the verdicts, judge again,
export. A person (`a_person.py`) does that with the real presenter, service and worker. Each process
is killed with SIGKILL; every second kill of service or panel comes right after something has begun,
if that happens soon, the others anywhere. After each one, every file of the project is read to its
end, and every verdict that the panel had shown as given must be there, voxel by voxel, as every
round that was done. The person goes on, or begins anew, until the loop is done.
"""

import argparse
import json
import os
import random
import select
import shutil
import signal
import sys
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from a_person import Person, sum_of_voxels, sums_of_proposals
from crash_checks import check_project, make_project, saved_step
from kill_the_service import in_fork

from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation

NUM_ROUNDS = 2
VICTIMS = {"worker": 1, "service": 1, "panel": 1}
SETTINGS = (
    "network.widths=[4,4,8,8,8,8]",
    "preprocess.window_size=[32,32]",
    "training.supervised.num_steps=12",
    "training.joint.num_steps=8",
    "training.checkpoints_per_round=4",
)
AIMED_AT = ("opening", "showing", "saving", "saving", "exporting", "starting")
NUM_STAGES = 7
LONGEST_S = {"worker": 3.0, "service": 8.0, "panel": 8.0}
RIGHT_BEHIND_S = 0.4
LONGEST_AIM_S = 20.0  # a training may be on its way first
PATIENCE_S = 600.0
END_OF_CHILDREN_S = 90.0
LOOKS = 20
MOST_FAULTS = 5


@dataclass
class Book:
    """What a person told of one loop.

    Args:
        given: By case and round, the verdict that the panel showed last.
        possible: By case and round, what may stand instead: verdicts that were on their way.
        proposals: By round, what tells its proposals.
        steps: By round, the step of its newest checkpoint that was seen.
    """

    given: dict[tuple[str, int], tuple[str, str]] = field(default_factory=dict)
    possible: dict[tuple[str, int], list[tuple[str, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    proposals: dict[int, dict[str, str]] = field(default_factory=dict)
    steps: dict[int, int] = field(default_factory=dict)

    def take(self, fact: dict[str, Any]) -> None:
        """Take what the person told."""
        if fact["is"] == "round":
            self.proposals.setdefault(fact["index"], fact["proposals"])
            return
        key, verdict = (fact["case"], fact["round"]), (fact["verdict"], fact["voxels"])
        if fact["is"] == "gives":
            self.possible[key].append(verdict)
        else:
            self.given[key], self.possible[key] = verdict, []


class Life:
    """One life of the panel's process: what it told, and which children it has."""

    def __init__(self, root: Path, seed: int, book: Book) -> None:
        reading, writing = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(reading)
            _live(root, seed, writing)
        os.close(writing)
        self._reading, self._text, self._book = reading, b"", book
        self.children: list[int] = []
        self.now: dict[str, int] = {"panel": self.pid}
        self.doing, self.is_done, self.is_over = "", False, False

    def hear(self, seconds: float) -> bool:
        """Take what is told within a while; tell whether something was."""
        if self.is_over or not select.select([self._reading], [], [], seconds)[0]:
            return False
        chunk = os.read(self._reading, 65_536)
        if not chunk:
            self.is_over = True
            return False
        *lines, self._text = (self._text + chunk).split(b"\n")
        for line in lines:
            self._take(json.loads(line))
        return True

    def _take(self, fact: dict[str, Any]) -> None:
        match fact["is"]:
            case "service" | "worker":
                self.now[fact["is"]] = fact["pid"]
                self.children.append(fact["pid"])
            case "doing":
                self.doing = fact["what"]
            case "gives" | "given" | "round":
                self._book.take(fact)
            case "end":
                self.is_done = True

    @property
    def has_ended(self) -> bool:
        """Whether the loop is done, or nothing more will be told."""
        return self.is_done or self.is_over

    def is_there(self, victim: str) -> bool:
        """Tell whether there is such a process now."""
        return victim in self.now and is_running(self.now[victim])

    def end(self) -> None:
        """Wait until the killed process is gone, with all that it told, and so are its children."""
        while not self.is_over:
            self.hear(1.0)
        os.close(self._reading)
        os.waitpid(self.pid, 0)
        started = time.monotonic()
        while any(is_running(pid) for pid in self.children):
            assert time.monotonic() - started < END_OF_CHILDREN_S, "a child outlives its panel"
            time.sleep(0.05)


def _live(root: Path, seed: int, writing: int) -> None:
    try:
        Person(root, NUM_ROUNDS, random.Random(seed), writing).live()
    except BaseException:  # noqa: BLE001 - the fork ends here, whatever it was
        traceback.print_exc()
    os._exit(0)


def is_running(pid: int) -> bool:
    """Tell whether a process has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


def kill_one(life: Life, victim: str, chance: random.Random) -> str:
    """Kill the victim at a random moment; return what was being done, or nothing if too late."""
    is_aimed = victim != "worker" and chance.random() < 0.5
    changes = chance.randrange(NUM_STAGES) if victim == "worker" else 0
    if not _wait_for(life, lambda: life.is_there(victim)):
        return ""
    aim = chance.choice(AIMED_AT)
    doing, end = life.doing, time.monotonic() + LONGEST_AIM_S
    if is_aimed and not _wait_for(
        life,
        lambda: (life.doing != doing and life.doing.startswith(aim)) or time.monotonic() > end,
    ):
        return ""
    for _ in range(changes):  # a worker is killed in any of its stages, however long they take
        doing = life.doing
        _wait_for(life, lambda doing=doing: life.doing != doing or not life.is_there("worker"))
    wait_s = chance.uniform(0, RIGHT_BEHIND_S if is_aimed else LONGEST_S[victim])
    end = time.monotonic() + wait_s
    while (left := end - time.monotonic()) > 0 and not life.has_ended:
        life.hear(left)
    if life.has_ended or not life.is_there(victim):
        return ""
    os.kill(life.now[victim], signal.SIGKILL)
    return life.doing or "start-up"


def _wait_for(life: Life, condition: Callable[[], bool]) -> bool:
    """Listen until something is so; False if the loop is done before."""
    heard = time.monotonic()
    while not condition():
        if life.has_ended:
            return False
        if life.hear(0.2):
            heard = time.monotonic()
        assert time.monotonic() - heard < PATIENCE_S, f"it hangs while {life.doing}"
    return True


def check(root: Path, book: Book, *, is_quiet: bool) -> str:
    """Return what is wrong with a project, or nothing.

    Args:
        root: The project.
        book: What must be there.
        is_quiet: Whether nobody works in it, so that one look must do: else a file may be replaced
            between two looks.
    """
    wrong = ""
    for _ in range(1 if is_quiet else LOOKS):
        wrong = in_fork(lambda: json.dumps(_look(root, book)))
        answer = json.loads(wrong)
        if not answer["wrong"]:
            book.steps.update({int(index): step for index, step in answer["steps"].items()})
            return ""
        time.sleep(0.3)
    return str(json.loads(wrong)["wrong"])


def _look(root: Path, book: Book) -> dict[str, Any]:
    try:
        project = check_project(root).project
        wrong = _lost_verdicts(root, project, book)
        steps = {}
        for index in book.proposals:
            if index >= len(project.rounds):
                wrong.append(f"round {index} is gone")
            elif sums_of_proposals(root, index) != book.proposals[index]:
                wrong.append(f"the proposals of round {index} are not those that were shown")
        for round_ in project.rounds:
            if round_.state is RoundState.TRAINING:
                steps[round_.index] = saved_step(root, round_.index)
                if steps[round_.index] < book.steps.get(round_.index, 0):
                    wrong.append(f"the checkpoint of round {round_.index} went back")
    except Exception as error:  # noqa: BLE001 - it is what is looked for
        return {"wrong": f"{type(error).__name__}: {error}", "steps": {}}
    return {"wrong": "; ".join(wrong), "steps": steps}


def _lost_verdicts(root: Path, project: Any, book: Book) -> list[str]:
    layout, wrong, found = ProjectLayout(root), [], {}
    for review in project.reviews:
        voxels = ""
        if review.segmentation is not None:
            labels = read_segmentation(layout.own(review.segmentation), project.schema)[0]
            voxels = sum_of_voxels(labels.array)
        found[review.case_id, review.round_index] = (review.verdict.value, voxels)
    for key in {*found, *book.given}:
        allowed = [*book.possible.get(key, ()), *([book.given[key]] if key in book.given else [])]
        if key not in found:
            wrong.append(f"the verdict on {key} is lost")
        elif found[key] not in allowed:
            wrong.append(f"the verdict on {key} is another one")
    return wrong


@dataclass
class Result:
    """What came of all kills.

    Args:
        kills: By victim and what was being done.
        verdicts: Verdicts that had been given at the kills, all together.
        loops: Loops that were done.
        faults: What went wrong, in words.
    """

    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    loops: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def number(self) -> int:
        """Of all kills."""
        return sum(self.kills.values())

    def told(self) -> str:
        """Return it as a table."""
        lines = [
            "| killed | while | kills | verdicts that had been given | lost |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {victim} | {doing} | {number} | {self.verdicts[victim, doing]} | 0 |"
            for (victim, doing), number in sorted(self.kills.items())
        ]
        text = "\n".join(lines)
        faults = "; ".join(self.faults) or "none"
        return f"{text}\n\n{self.number} kills, {self.loops} whole loops. Faults: {faults}."


def run_loop(root: Path, seed: int, result: Result, is_enough: Callable[[], bool]) -> None:
    """Run one loop to its end, killing as long as it is not enough."""
    chance, book = random.Random(seed), Book()
    life = Life(root, seed, book)
    number = 0
    while True:
        victim = chance.choices(list(VICTIMS), list(VICTIMS.values()))[0]
        doing = "" if is_enough() else kill_one(life, victim, chance)
        if not doing:
            if not life.has_ended:
                life.hear(1.0)
                continue
            break
        number += 1
        if victim == "panel":
            life.end()
        wrong = check(root, book, is_quiet=victim == "panel")
        doing = doing.partition(": ")[2] or doing
        result.kills[victim, doing] += 1
        result.verdicts[victim, doing] += len(book.given)
        print(f"{result.number}: {victim} while {doing}: {wrong or 'all is there'}", flush=True)
        if wrong:
            result.faults.append(f"{victim} killed while {doing}: {wrong}")
        if victim == "panel":
            life = Life(root, seed + number, book)
    life.end()
    wrong = check(root, book, is_quiet=True)
    if life.is_done and not wrong:
        result.loops += 1
    else:
        result.faults.append(wrong or f"the person could not go on while {life.doing}")


def main() -> int:
    """Run and print the table; 0 if nothing was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=600.0, help="begin no kill after these")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True, help="a new folder")
    arguments = parser.parse_args()
    output, result = arguments.output, Result()
    output.mkdir(parents=True)
    started = time.monotonic()
    in_fork(lambda: str(make_project(output / "made", arguments.seed, *SETTINGS)))

    def is_enough() -> bool:
        is_late = time.monotonic() - started > 60 * arguments.minutes
        is_hopeless = len(result.faults) >= MOST_FAULTS
        return is_late or is_hopeless or result.number >= arguments.kills

    loop = 0
    while not is_enough():
        loop += 1
        folder = output / f"loop-{loop}"
        shutil.copytree(output / "made", folder)
        run_loop(folder / "project", 1000 * (arguments.seed + loop), result, is_enough)
        shutil.rmtree(folder)
        print(f"loop {loop} done, {time.monotonic() - started:.0f} s", flush=True)
    print(f"\n{result.told()}")
    return 1 if result.faults else 0


if __name__ == "__main__":
    sys.exit(main())
