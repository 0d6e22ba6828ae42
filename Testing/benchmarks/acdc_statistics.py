"""What the results of the ACDC benchmark say: means, gains over the baseline, and their doubt."""

import json
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acdc_pack import unpack
from scipy import stats

BASELINE = "baseline"


@dataclass(frozen=True, order=True)
class Row:
    """A row of the tables: a method on a recipe, under one profile and one set of settings."""

    profile: str
    recipe: str
    method: str


@dataclass(frozen=True)
class Run:
    """One run.

    Args:
        row: Where it stands.
        labelled: How many volumes were annotated.
        combination: Which ones.
        seed: Of everything random.
        told: All that its file holds.
    """

    row: Row
    labelled: int
    combination: str
    seed: int
    told: dict[str, Any]

    @property
    def dice(self) -> float:
        """Mean test Dice of the last round."""
        return float(self.told["rounds"][-1]["test"]["dice"]["mean"])

    @property
    def minutes(self) -> float:
        """Of all stages."""
        return float(self.told["seconds"]) / 60


@dataclass(frozen=True)
class Estimate:
    """A mean over runs with its 95 % confidence interval by Student's t; None below two runs."""

    mean: float
    low: float | None
    high: float | None
    num_runs: int
    num_positive: int

    @property
    def verdict(self) -> str:
        """What the interval says of the sign."""
        if self.low is None or self.high is None:
            return "one run"
        if self.low > 0:
            return "helps"
        return "hurts" if self.high < 0 else "undecided"


def read_runs(folder: Path, *, once: bool = False) -> list[Run]:
    """Read every result, in the order of row, volumes, combination and seed.

    Args:
        folder: Output of `acdc.py`, or a file of `acdc_pack.py`.
        once: Whether the figures are those of single predictions, as published, instead of means
            over changed copies.
    """
    runs = []
    for told in _results(folder):
        asked = told["asked"]
        if once:
            told["rounds"] = [{**one, "test": one["test_once"]} for one in told["rounds"]]
        row = Row(asked["profile"], asked["recipe"], asked["method"])
        runs.append(Run(row, asked["labelled"], asked["combination"], asked["seed"], told))
    return sorted(runs, key=lambda run: (run.row, run.labelled, run.combination, run.seed))


def _results(folder: Path) -> list[dict[str, Any]]:
    if folder.is_file():
        return unpack(json.loads(folder.read_text(encoding="utf-8")))
    files = sorted((folder / "results").glob("*.json"))
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def by_combination(runs: Iterable[Run], value: Callable[[Run], float | None]) -> dict[str, float]:
    """Return a value for each combination, averaged over its seeds."""
    found: dict[str, list[float]] = {}
    for run in runs:
        number = value(run)
        if number is not None:
            found.setdefault(run.combination, []).append(number)
    return {name: statistics.fmean(numbers) for name, numbers in sorted(found.items())}


def gains(runs: Sequence[Run], row: Row, labelled: int) -> dict[str, float]:
    """Return by how much a row beats the baseline of its recipe, for each combination.

    Only runs count whose baseline has the same combination and the same seed.
    """
    base = {
        (run.combination, run.seed): run.dice
        for run in runs
        if run.row == Row(row.profile, row.recipe, BASELINE) and run.labelled == labelled
    }
    own = [run for run in runs if run.row == row and run.labelled == labelled]
    paired = [run for run in own if (run.combination, run.seed) in base]
    return by_combination(paired, lambda run: run.dice - base[run.combination, run.seed])


def estimate(values: Sequence[float]) -> Estimate:
    """Return mean and confidence interval of the values, one for each combination."""
    mean, number = statistics.fmean(values), len(values)
    positive = sum(value > 0 for value in values)
    if number < 2:
        return Estimate(mean, None, None, number, positive)
    reach = stats.t.ppf(0.975, number - 1) * statistics.stdev(values) / math.sqrt(number)
    return Estimate(mean, float(mean - reach), float(mean + reach), number, positive)


def weak_and_strong(runs: Sequence[Run], labelled: int) -> list[str]:
    """Return a sentence for each method that was run on both recipes: does its gain stand?"""
    sentences = []
    profiles = sorted({run.row.profile for run in runs})
    methods = list(dict.fromkeys(run.row.method for run in runs if run.row.method != BASELINE))
    for profile in profiles:
        for method in methods:
            found = [
                gains(runs, Row(profile, recipe, method), labelled)
                for recipe in ("paper", "strong")
            ]
            if all(found):
                weak, strong = (estimate([*values.values()]) for values in found)
                volumes = f"{labelled} volume{'' if labelled == 1 else 's'}"
                sentences.append(
                    f"**{method}** ({profile}, {volumes}): {_told(weak)} on the papers' recipe, "
                    f"{_told(strong)} on the strong one. {_conclusion(weak, strong)}"
                )
    return sentences


def _told(found: Estimate) -> str:
    interval = "" if found.low is None else f" (95 % {found.low:+.3f} to {found.high:+.3f})"
    combinations = f"{found.num_runs} combination{'' if found.num_runs == 1 else 's'}"
    return f"{found.mean:+.3f}{interval}, better in {found.num_positive} of {combinations},"


def _conclusion(weak: Estimate, strong: Estimate) -> str:
    verdicts = (weak.verdict, strong.verdict)
    if "one run" in verdicts:
        return "One run cannot tell a gain from chance."
    return {
        ("helps", "helps"): "It helps on both.",
        ("helps", "undecided"): "It helps the weak baseline; on the strong one no gain is shown.",
        ("helps", "hurts"): "It helps the weak baseline and hurts the strong one.",
        ("undecided", "helps"): "It helps the strong baseline; on the weak one no gain is shown.",
        ("hurts", "helps"): "It hurts the weak baseline and helps the strong one.",
        ("undecided", "undecided"): "No gain is shown on either.",
    }.get(verdicts, f"Weak baseline: {weak.verdict}; strong baseline: {strong.verdict}.")
