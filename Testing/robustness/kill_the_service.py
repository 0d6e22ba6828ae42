"""Kill `create`, `review` and `export` at random moments: all of it is done, or nothing.

    python Testing/robustness/kill_the_service.py --kills 10 --seed 0 --output FOLDER

The commands run in forks of this program, which has loaded everything and starts no thread.
"""

import argparse
import io
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from PseudoLabelCLLib.command_line.main import main as command_line
from PseudoLabelCLLib.curation.review.proposals import newest_proposal
from PseudoLabelCLLib.curation.samples.sample_data import write_sample_cases
from PseudoLabelCLLib.domain.doubt import Doubt
from PseudoLabelCLLib.domain.review import Verdict
from PseudoLabelCLLib.domain.round import Round, RoundState
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.messages.json_codec import to_json
from PseudoLabelCLLib.storage.files.atomic_files import TEMPORARY_PREFIX, read_json, write_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project, save_round
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation, write_segmentation

CASE = "unlabelled-02"
# Beyond the command's own time, so that some kills come too late and the command is done.
LONGEST_SHARE = 1.1


def run(command: Sequence[str], kill_after_s: float | None = None) -> float:
    """Run a command in a fork, kill it after a while, and return how long it lived."""
    started = time.perf_counter()
    child = os.fork()
    if not child:
        sys.stdout = sys.stderr = io.StringIO()
        os._exit(command_line(command))
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    assert kill_after_s is not None or status == 0, f"{command} failed by itself"
    return time.perf_counter() - started


def in_fork(function: Callable[[], str]) -> str:
    """Return what a function says; threads that it starts do not stay in this process."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, function().encode())
            os._exit(0)
        finally:  # reached with an error alone; the parent fails for it below
            traceback.print_exc()
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read().decode()
    assert os.waitpid(child, 0)[1] == 0, f"{function} failed"
    return text


def torture(
    command: Sequence[str],
    *,
    kills: int,
    rng: random.Random,
    prepare: Callable[[], None],
    state: Callable[[], str],
) -> Counter[str]:
    """Kill a command again and again, from the same start; count the states it left."""
    prepare()
    seconds = run(command)
    after = in_fork(state)
    prepare()
    before = in_fork(state)
    assert before != after
    found: Counter[str] = Counter()
    for _ in range(kills):
        prepare()
        run(command, rng.uniform(0, LONGEST_SHARE * seconds))
        left = in_fork(state)
        assert left in (before, after), f"{left!r} is neither {before!r} nor {after!r}"
        found[left] += 1
        if left == before:  # the command works on what the kill left
            run(command)
            assert in_fork(state) == after
    return found


def create_command(folder: Path) -> list[str]:
    """Write phantoms and return the command that makes a project of them."""
    first, *others = write_sample_cases(folder / "volumes", 0, num_unlabelled=2, num_test=0)
    pair = [str(first.image), str(first.truth)]
    images = [str(sample.image) for sample in others]
    return ["create", str(folder / "project"), "--annotated", *pair, "--unlabelled", *images]


def state_of_create(folder: Path) -> str:
    """Say what lies where the project shall be."""
    root = folder / "project"
    if not root.exists():
        return "no project"
    return f"{len(load_project(root).cases)} cases"


def put_in_review(root: Path) -> str:
    """Give a project a round 0 in review, without a training."""
    project, layout = load_project(root), ProjectLayout(root)
    save_round(root, Round(0, RoundState.IN_REVIEW))
    for case in project.cases_to_propose():
        array = np.zeros(case.geometry.array_shape, np.int16)
        array[2:5, 30:60, 30:60] = 1
        layout.proposal(0, case.id).parent.mkdir(exist_ok=True)
        write_segmentation(
            layout.proposal(0, case.id), LabelVolume(array, case.geometry), project.schema
        )
        write_json(layout.doubt(0, case.id), to_json(Doubt(0.5, 0.5, (), "A made-up doubt.")))
    return "in review"


def state_of_review(root: Path) -> str:
    """Say what the verdict is; the segmentation that it names must be there and whole."""
    project = load_project(root)
    reviews = project.reviews_of(CASE)
    if not reviews:
        return "no verdict"
    review = reviews[-1]
    assert review.segmentation is not None
    labels, _, _ = read_segmentation(
        ProjectLayout(root).resolve(review.segmentation), project.schema
    )
    return f"{review.verdict.value}, {np.count_nonzero(labels.array)} voxels"


def state_of_export(folder: Path, root: Path) -> str:
    """Say which files have left, all of them whole; the record lists them once all are there."""
    files = [] if not folder.exists() else sorted(folder.glob("*.seg.nrrd"))
    whole = [file for file in files if not file.name.startswith(TEMPORARY_PREFIX)]
    for file in whole:
        read_segmentation(file, load_project(root).schema)
    record = folder / "export.json"
    if not record.exists():
        return "no export"
    told = read_json(record)
    assert isinstance(told, dict)
    assert [line["file"] for line in told["segmentations"]] == [file.name for file in whole]
    return f"export of {len(whole)}"


def fresh(source: Path, target: Path) -> None:
    """Put a copy in the place of what is there, together with what a kill left beside it."""
    for path in (target, *target.parent.glob(f".creating-{target.name}")):
        shutil.rmtree(path, ignore_errors=True)
    if source.exists():
        shutil.copytree(source, target)


def torture_all(folder: Path, kills: int, seed: int) -> dict[str, Counter[str]]:
    """Return what was found after the kills of each command."""
    rng, root = random.Random(seed), folder / "project"
    command = in_fork(lambda: "\n".join(create_command(folder))).split("\n")
    found = {
        "create": torture(
            command, kills=kills, rng=rng,
            prepare=lambda: shutil.rmtree(root, ignore_errors=True),
            state=lambda: state_of_create(folder),
        )
    }  # fmt: skip
    in_fork(lambda: put_in_review(root))
    truth = str(folder / "volumes" / "truth" / f"{CASE}.seg.nrrd")
    shown = in_fork(lambda: newest_proposal(root, load_project(root), CASE).fingerprint)
    named = ["--proposal", f"0:{shown}"]
    run(["review", str(root), CASE, "--accept", *named])
    accepted = folder / "accepted"
    shutil.copytree(root, accepted)
    found["review --correct"] = torture(
        ["review", str(root), CASE, "--correct", truth, "--whole", *named], kills=kills, rng=rng,
        prepare=lambda: fresh(accepted, root), state=lambda: state_of_review(root),
    )  # fmt: skip
    fresh(accepted, root)
    assert load_project(root).reviews_of(CASE)[-1].verdict is Verdict.ACCEPTED
    exported = folder / "exported"
    found["export"] = torture(
        ["export", str(root), str(exported)], kills=kills, rng=rng,
        prepare=lambda: shutil.rmtree(exported, ignore_errors=True),
        state=lambda: state_of_export(exported, root),
    )  # fmt: skip
    return found


def main() -> int:
    """Run and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True, help="a new folder")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True)
    for name, found in torture_all(arguments.output, arguments.kills, arguments.seed).items():
        print(f"{name}: " + "; ".join(f"{number} times {state}" for state, number in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
