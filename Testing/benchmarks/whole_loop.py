"""The whole loop on real volumes: round 0 and joint rounds, Dice per round, time, memory.

    python Testing/benchmarks/whole_loop.py --dataset acdc --data FOLDER --output FOLDER

`FOLDER` of the data holds `images/` and `labels/` with the challenge's file names. The test
volumes are measured once, after all rounds; nothing is selected on them.
"""

import argparse
import csv
import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from acdc_protocol import DEVELOPMENT_TEST, LABELS, UNLABELLED_LIST

HIPPOCAMPUS_TEST = (
    70, 92, 142, 150, 152, 157, 160, 162, 163, 190, 205, 220, 229, 245, 252, 282, 321, 325, 329,
    389,
)  # fmt: skip


@dataclass(frozen=True)
class Dataset:
    """File names, roles and labels of a data set."""

    pattern: str
    annotated: tuple[int, ...]
    validation: tuple[int, ...]
    unlabelled: tuple[int, ...]
    test: tuple[int, ...]
    labels: str

    def image(self, data: Path, number: int) -> Path:
        return data / "images" / self.pattern.format(number)

    def label(self, data: Path, number: int) -> Path:
        return data / "labels" / self.pattern.format(number)


def acdc(annotated: tuple[int, ...]) -> Dataset:
    """The papers' split: 52 unlabelled volumes less those that are annotated or validate."""
    validation = (11, 71)
    taken = {*annotated, *validation}
    return Dataset(
        "patient{:03d}.nii.gz",
        annotated,
        validation,
        tuple(n for n in UNLABELLED_LIST if n not in taken),
        DEVELOPMENT_TEST,
        LABELS,
    )


def hippocampus(annotated: tuple[int, ...], data: Path) -> Dataset:
    """All images without a label file are unlabelled."""
    numbers = [int(path.name[12:15]) for path in sorted((data / "images").glob("*.nii.gz"))]
    labelled = {int(path.name[12:15]) for path in (data / "labels").glob("*.nii.gz")}
    return Dataset(
        "hippocampus_{:03d}.nii.gz",
        annotated,
        (156, 102),
        tuple(n for n in numbers if n not in labelled),
        HIPPOCAMPUS_TEST,
        "1=anterior hippocampus,2=posterior hippocampus",
    )


def main() -> None:
    arguments = _arguments()
    data, output = arguments.data.absolute(), arguments.output.absolute()
    output.mkdir(parents=True)
    if arguments.dataset == "acdc":
        dataset = acdc(tuple(arguments.annotated or (2,)))
    else:
        dataset = hippocampus(tuple(arguments.annotated or (343,)), data)
    cases, tests = output / "cases.csv", output / "test.csv"
    _write_table(cases, dataset, data)
    _write_tests(tests, dataset, data)
    project = output / "project"
    settings = [word for setting in arguments.set for word in ("--set", setting)]
    seconds = {
        "create": _run("create", project, "--table", cases, "--labels", dataset.labels,
                       "--profile", arguments.profile, *settings),
        "rounds": [_run("train", project) for _ in range(arguments.rounds)],
        "evaluate": _run("evaluate", project, "--table", tests, "--output", output / "test.json"),
    }  # fmt: skip
    peak_gb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    models = json.loads((output / "test.json").read_text())["models"]
    result = {
        "dataset": arguments.dataset,
        "annotated": dataset.annotated,
        "profile": arguments.profile,
        "settings": arguments.set,
        "seconds": seconds,
        "peak_memory_gb": round(peak_gb, 2),
        "test": {model["name"]: model["summary"] for model in models},
    }
    (output / "result.json").write_text(json.dumps(result, indent=2))
    _print(result)


def _write_table(path: Path, dataset: Dataset, data: Path) -> None:
    roles = {
        "annotated": dataset.annotated,
        "validation": dataset.validation,
        "unlabelled": dataset.unlabelled,
    }
    _write_csv(path, [(role, n) for role, numbers in roles.items() for n in numbers], dataset, data)


def _write_tests(path: Path, dataset: Dataset, data: Path) -> None:
    _write_csv(path, [("ignored", n) for n in dataset.test], dataset, data)


def _write_csv(path: Path, cases: list[tuple[str, int]], dataset: Dataset, data: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "role", "image", "annotation"))
        for role, n in cases:
            label = "" if role == "unlabelled" else dataset.label(data, n)
            writer.writerow((f"{n:03d}", role, dataset.image(data, n), label))


def _run(*words: object) -> float:
    start = time.monotonic()
    command = [sys.executable, "-m", "PseudoLabelCLLib", *map(str, words)]
    subprocess.run(command, check=True)
    return round(time.monotonic() - start, 1)


def _print(result: dict) -> None:
    names = [c["name"] for c in next(iter(result["test"].values()))["classes"]]
    columns = (
        "round",
        *names,
        "mean Dice (sd)",
        "HD95 mm",
        "ASSD mm",
        "missed",
        "invented",
        "wall time",
    )
    print("\n| " + " | ".join(columns) + " |")
    print("|---" * len(columns) + "|")
    for (name, summary), seconds in zip(
        result["test"].items(), result["seconds"]["rounds"], strict=True
    ):
        classes = " | ".join(f"{c['dice']['mean']:.3f}" for c in summary["classes"])
        mean = summary["mean"]
        print(
            f"| {name} | {classes} | {mean['dice']['mean']:.3f} "
            f"({mean['dice']['standard_deviation']:.3f}) | {mean['hd95_mm']['mean']:.1f} | "
            f"{mean['assd_mm']['mean']:.2f} | {mean['num_missed']} | "
            f"{mean['num_invented']} | {seconds / 60:.1f} min |"
        )
    total = sum(result["seconds"]["rounds"]) + result["seconds"]["create"]
    print(f"\n{total / 60:.1f} min for all rounds, peak memory {result['peak_memory_gb']} GB.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", choices=["acdc", "hippocampus"], required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="a new folder")
    parser.add_argument("--annotated", type=int, nargs="+", help="default: 2 or 343")
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--rounds", type=int, default=3, help="round 0 included")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    return parser.parse_args()


if __name__ == "__main__":
    main()
