"""Settings compared in pairs: the same annotated volumes, the same seed, one machine, one call.

    python Testing/benchmarks/paired.py --data-set hippocampus --data FOLDER --output FOLDER \
        --combination 343 374 --seed 0 1 --arm now --arm more training.joint.num_steps=800

The first arm is what the others are compared with. An arm whose settings change nothing before the
joint rounds goes on from the same round 0 as the first. An arm with `start-from=FILE` begins round
0 from that model; one with `term=NAME` has a further loss in its joint rounds, those of
`contrast_arms.py`. Arms take turns within a pair, so that a stop leaves whole pairs; the same call
goes on where it stopped. Measured are volumes on which a setting may be chosen; `--measure test`
measures the test volumes, which choose nothing.
"""

import argparse
import csv
import itertools
import shutil
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acdc_protocol import key_of
from acdc_run import ANSWERS, say
from acdc_stages import (
    StageLog,
    copied_project,
    forget_what_resumes,
    held,
    require_data,
)
from acdc_statistics import Estimate, estimate
from own_process import print_table
from paired_data import DATA_SETS, PairedData

from PseudoLabelCLLib.command_line.settings import config_from_arguments
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.storage.files.atomic_files import read_json, write_json

# Settings that round 0 does not see.
_START = "start-from="
_TERM = "term="
WITH_CONTRAST = Path(__file__).with_name("train_with_contrast.py")
_ONLY_JOINT = (
    "training.joint.", "training.contrastive.", "training.consistency.", "training.copy_paste.",
    "training.num_joint_rounds", "training.pseudo_label_weight", "training.fresh_network",
)  # fmt: skip


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Args:
        name: What it is called.
        settings: As typed.
        start: The model file that round 0 starts from, if any.
        term: A further loss of the joint rounds, see `contrast_arms.py`.
    """

    name: str
    settings: tuple[str, ...]
    start: str | None = None
    term: str | None = None

    @staticmethod
    def typed(words: Sequence[str]) -> "Arm":
        """Return an arm of its name, its settings, perhaps `start-from=FILE` and `term=NAME`."""
        given = {
            kind: next((w.removeprefix(kind) for w in words[1:] if w.startswith(kind)), None)
            for kind in (_START, _TERM)
        }
        settings = tuple(word for word in words[1:] if not word.startswith((_START, _TERM)))
        return Arm(words[0], settings, given[_START], given[_TERM])

    @property
    def of_the_start(self) -> tuple[str, ...]:
        """The settings that round 0 sees."""
        return tuple(one for one in self.settings if not one.startswith(_ONLY_JOINT))


@dataclass(frozen=True)
class Pair:
    """What all arms of a comparison share."""

    combination: str
    seed: int


@dataclass(frozen=True)
class Bench:
    """What all runs of a call have in common.

    Args:
        name: Of the data set.
        data: Where it lies.
        output: Where everything goes.
        profile: Of the settings.
        settings: Of all arms, as typed.
        num_rounds: Round 0 included.
        measure: "choosing" or "test".
        device: As typed.
        most_unlabelled: So many unlabelled volumes take part at the most.
    """

    name: str
    data: Path
    output: Path
    profile: str
    settings: tuple[str, ...]
    num_rounds: int
    measure: str
    device: str
    most_unlabelled: int | None = None

    @property
    def data_set(self) -> PairedData:
        """The data set."""
        return DATA_SETS[self.name]

    def settings_of(self, arm: Arm, pair: Pair) -> tuple[str, ...]:
        """Return all settings of a run."""
        return (*self.settings, f"training.seed={pair.seed}", *arm.settings)


def run(bench: Bench, arm: Arm, pair: Pair) -> dict[str, Any]:
    """Bring one arm of a pair to its figures, from wherever it stands."""
    settings = bench.settings_of(arm, pair)
    asked = {
        "data_set": bench.name, "combination": pair.combination, "seed": pair.seed,
        "arm": arm.name, "settings": list(settings), "profile": bench.profile,
        "rounds": bench.num_rounds, "measure": bench.measure,
        "most_unlabelled": bench.most_unlabelled, **({"start": arm.start} if arm.start else {}),
        **({"term": arm.term} if arm.term else {}),
    }  # fmt: skip
    path = bench.output / "results" / f"{key_of(asked)}.json"
    if path.exists():
        known: dict[str, Any] = read_json(path)
        return known
    start = _start(bench, arm, pair)
    run_folder = bench.output / "runs" / key_of({**asked, "measure": ""})
    with held(run_folder, say):
        stages = [*start.stages.values()]
        log = StageLog(run_folder, say)
        config = config_from_arguments(bench.profile, settings)
        project = copied_project(start.folder / "project", run_folder, config)
        for index in range(1, bench.num_rounds):
            if not log.is_done(f"round {index}"):
                log.run(f"round {index}", *_training(bench, arm, project))
        table = _write_measured(bench, pair, run_folder)
        figures = run_folder / f"{bench.measure}.json"
        if not log.is_done(bench.measure):
            log.run(
                bench.measure, "evaluate", project, "--table", table,
                "--rounds", *map(str, range(bench.num_rounds)),
                "--output", figures, "--device", bench.device,
            )  # fmt: skip
        trained = [log.stages[f"round {index}"] for index in range(1, bench.num_rounds)]
        told = {**asked, **_figures(figures, [*stages, *trained])}
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, told)
        forget_what_resumes(project)
    return told


def _start(bench: Bench, arm: Arm, pair: Pair) -> StageLog:
    """Make the project and train round 0, or take what another arm has made of the same."""
    settings = (*bench.settings, f"training.seed={pair.seed}", *arm.of_the_start)
    starts = () if arm.start is None else ("--start-from", str(Path(arm.start).absolute()))
    same = [bench.name, pair.combination, bench.profile, bench.most_unlabelled, *settings, *starts]
    key = key_of(same)
    folder = bench.output / "starts" / key
    with held(folder, say):
        log, project = StageLog(folder, say), folder / "project"
        if not log.is_done("create"):
            shutil.rmtree(project, ignore_errors=True)
            log.run(
                "create", "create", project, "--table", _write_cases(bench, pair, folder),
                "--labels", bench.data_set.labels, "--profile", bench.profile,
                *(word for setting in settings for word in ("--set", setting)), *starts,
            )  # fmt: skip
        if not log.is_done("round 0"):
            log.run("round 0", "train", project, "--device", bench.device, *ANSWERS)
    return log


def _training(bench: Bench, arm: Arm, project: Path) -> tuple[object, ...]:
    """Return the command that trains the next round."""
    if arm.term is not None:
        return WITH_CONTRAST, arm.term, project
    return "train", project, "--device", bench.device, *ANSWERS


def _figures(path: Path, trained: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return Dice of every round and volume, with the time that its training took."""
    told: Any = read_json(path)
    rounds = []
    for model in told["models"]:
        volumes = {}
        for case in model["cases"]:
            known = [one["dice"] for one in case["quality"]["classes"] if one["dice"] is not None]
            volumes[case["id"]] = statistics.fmean(known) if known else None
        dice = statistics.fmean(value for value in volumes.values() if value is not None)
        hd95 = model["summary"]["mean"]["hd95_mm"]["mean"]
        rounds.append({"dice": dice, "hd95_mm": hd95, "volumes": volumes})
    return {
        "measured": rounds,
        "seconds": sum(stage["seconds"] for stage in trained),
        "cpu_seconds": sum(stage["cpu_seconds"] for stage in trained),
        "peak_memory_gb": max(stage["peak_memory_gb"] for stage in trained),
        "program": trained[-1]["program"],
    }


def _write_cases(bench: Bench, pair: Pair, folder: Path) -> Path:
    data = bench.data_set
    roles = {
        "annotated": data.combinations[pair.combination],
        "validation": data.validation,
        "unlabelled": data.without_labels(bench.data, pair.combination)[: bench.most_unlabelled],
    }
    return _write_table(bench, folder / "cases.csv", roles)


def _write_measured(bench: Bench, pair: Pair, folder: Path) -> Path:
    data = bench.data_set
    is_test = bench.measure == "test"
    numbers = data.test if is_test else data.choosing(bench.data, pair.combination)
    return _write_table(bench, folder / f"{bench.measure}.csv", {"ignored": numbers})


def _write_table(bench: Bench, path: Path, roles: dict[str, tuple[int, ...]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "role", "image", "annotation"))
        for role, numbers in roles.items():
            for number in numbers:
                image = bench.data_set.image(bench.data, number)
                label = bench.data_set.label(bench.data, number)
                writer.writerow(
                    (f"{number:03d}", role, image, "" if role == "unlabelled" else label)
                )
    return path


def paired_differences(results: Sequence[dict[str, Any]], arm: str, first: str) -> list[float]:
    """Return by how much an arm's Dice after the last round is above the first arm's, by pair.

    Args:
        results: Of all runs.
        arm: The arm.
        first: What it is compared with.
    """
    last = {
        (one["arm"], one["data_set"], one["combination"], one["seed"]): one["measured"][-1]["dice"]
        for one in results
    }
    pairs = sorted(
        {key[1:] for key in last if key[0] == arm} & {k[1:] for k in last if k[0] == first}
    )
    return [last[(arm, *pair)] - last[(first, *pair)] for pair in pairs]


def table_rows(results: Sequence[dict[str, Any]], arms: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each arm: Dice by round, difference with its interval, times, memory."""
    own_cpu = {
        arm: sum(one["cpu_seconds"] for one in results if one["arm"] == arm) or 1.0 for arm in arms
    }
    for arm in arms:
        own = [one for one in results if one["arm"] == arm]
        if not own:
            continue
        rounds = zip(*(one["measured"] for one in own), strict=True)
        dice = [statistics.fmean(one["dice"] for one in of_round) for of_round in rounds]
        differences = paired_differences(results, arm, arms[0])
        told = "" if arm == arms[0] or not differences else in_words(estimate(differences))
        yield (
            arm,
            str(len(own)),
            " ".join(f"{value:.3f}" for value in dice),
            told,
            f"{own_cpu[arm] / len(own) / 60:.1f}",
            f"{own_cpu[arm] / own_cpu[arms[0]]:.2f}",
            f"{max(one['peak_memory_gb'] for one in own):.1f}",
        )


def in_words(found: Estimate) -> str:
    """Return a difference with its interval and how many pairs it is positive in."""
    interval = "" if found.low is None else f" ({found.low:+.3f} to {found.high:+.3f})"
    return f"{found.mean:+.3f}{interval}, {found.num_positive} of {found.num_runs} up"


def main() -> None:
    """Run what is missing and print the table."""
    arguments = _arguments()
    arms = [Arm.typed(words) for words in arguments.arm]
    bench = _bench(arguments)
    for arm in arms:
        _require_settings(bench, arm)
    results, began = [], time.monotonic()
    for seed, combination in itertools.product(arguments.seed, arguments.combination):
        if time.monotonic() - began > 60 * arguments.minutes:
            say("No time is left for another pair.")
            break
        for arm in arms:
            say(f"{bench.name} {combination}, seed {seed}: {arm.name}")
            result = run(bench, arm, Pair(combination, seed))
            say("  Dice " + " ".join(f"{one['dice']:.3f}" for one in result["measured"]))
            results.append(result)
    columns = ("arm", "runs", "Dice by round", "difference (95 %)", "min", "ratio", "GB")
    print_table(columns, [*table_rows(results, [arm.name for arm in arms])])


def _require_settings(bench: Bench, arm: Arm) -> None:
    try:
        config_from_arguments(bench.profile, bench.settings_of(arm, Pair("", 0)))
    except PseudoLabelCLError as error:
        raise SystemExit(f"Arm '{arm.name}': {error.message} {error.remedy}") from error


def _bench(arguments: argparse.Namespace) -> Bench:
    data = arguments.data.absolute()
    require_data(data)
    unknown = set(arguments.combination) - set(DATA_SETS[arguments.data_set].combinations)
    if unknown:
        known = ", ".join(DATA_SETS[arguments.data_set].combinations)
        raise SystemExit(f"No combination {', '.join(sorted(unknown))}; there are {known}.")
    return Bench(
        arguments.data_set, data, arguments.output.absolute(), arguments.profile,
        tuple(arguments.set), arguments.rounds, arguments.measure, arguments.device,
        arguments.most_unlabelled,
    )  # fmt: skip


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data-set", choices=[*DATA_SETS], required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument(
        "--arm", action="append", nargs="+", required=True, metavar=("NAME", "SETTING"),
        help="a name and the settings that make the arm; the first arm is the reference",
    )  # fmt: skip
    parser.add_argument("--combination", nargs="+", required=True)
    parser.add_argument("--seed", type=int, nargs="+", default=[0])
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--rounds", type=int, default=2, help="round 0 included")
    parser.add_argument("--measure", choices=["choosing", "test"], default="choosing")
    parser.add_argument("--most-unlabelled", type=int, metavar="N", help="default: all")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no pair after")
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
