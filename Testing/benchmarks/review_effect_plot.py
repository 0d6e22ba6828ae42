"""The table and the picture of `review_effect.py`, from its results.

    python Testing/benchmarks/review_effect_plot.py FOLDER

`FOLDER` is what `review_effect.py` wrote. A gain is always against `none` of the same seed and
round, so that what more training alone brings does not count as the clinician's.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Record = dict[str, Any]
FloatArray = npt.NDArray[np.float64]

# Colours by Okabe and Ito, which the colour-blind can tell apart; markers tell the same again.
STYLES = {
    "none": ("#000000", "o", "no review (corrects nothing)"),
    "accept-good": ("#009E73", "P", "good proposals accepted (corrects nothing)"),
    "doubt-cases": ("#0072B2", "s", "most doubtful cases, whole"),
    "random-cases": ("#56B4E9", "D", "random cases, whole"),
    "doubt-slices": ("#D55E00", "^", "most doubtful slices"),
    "random-slices": ("#E69F00", "v", "random slices"),
}
_WITHOUT_SLICES = ("none", "accept-good")
_DOTS_PER_INCH = 150


@dataclass(frozen=True)
class Line:
    """One strategy at one budget, over the seeds that are finished.

    Args:
        strategy: Its name.
        budget: Slices for one review; None for a strategy that corrects nothing.
        slices: Corrected slices in all, shape (seeds, rounds).
        dice: Mean test Dice, shape (seeds, rounds).
        gain: Dice beyond `none` of the same seed and round, shape (seeds with `none`, rounds).
        better: Share of the test volumes that are better than with `none`, as `gain`.
    """

    strategy: str
    budget: int | None
    slices: FloatArray
    dice: FloatArray
    gain: FloatArray
    better: FloatArray


def lines_of(records: Sequence[Record]) -> list[Line]:
    """One line for each strategy and budget, in the order of `STYLES`, small budgets first."""
    unreviewed = {r["seed"]: r["rounds"] for r in records if r["strategy"] == "none"}
    keys = {(record["strategy"], record["budget"]) for record in records}
    order = list(STYLES)
    lines = []
    for strategy, budget in sorted(keys, key=lambda key: (order.index(key[0]), key[1] or 0)):
        own = [r for r in records if (r["strategy"], r["budget"]) == (strategy, budget)]
        own.sort(key=lambda record: record["seed"])
        paired = [(r["rounds"], unreviewed[r["seed"]]) for r in own if r["seed"] in unreviewed]
        num_rounds = len(own[0]["rounds"])
        lines.append(
            Line(
                strategy,
                budget,
                _array([[r["slices_in_all"] for r in record["rounds"]] for record in own]),
                _array([[r["mean_dice"] for r in record["rounds"]] for record in own]),
                _array(
                    [[a["mean_dice"] - b["mean_dice"] for a, b in _zip(*pair)] for pair in paired],
                    num_rounds,
                ),
                _array(
                    [[_share_better(a["dice"], b["dice"]) for a, b in _zip(*p)] for p in paired],
                    num_rounds,
                ),
            )
        )
    return lines


def doubt_correlations(records: Sequence[Record]) -> list[float]:
    """Rank correlation of doubt with what is missing to Dice 1, for each seed's round 0."""
    from scipy.stats import spearmanr  # noqa: PLC0415 - only the table needs it

    first = {record["seed"]: record["rounds"][0]["proposals"].values() for record in records}
    found = []
    for proposals in first.values():
        doubt = [proposal["doubt"] for proposal in proposals]
        error = [1 - proposal["dice"] for proposal in proposals]
        if len(set(doubt)) > 1 and len(set(error)) > 1:
            found.append(float(spearmanr(doubt, error).statistic))
    return found


def table_of(records: Sequence[Record]) -> str:
    """Return the results as Markdown: one line for each strategy and budget."""
    lines = lines_of(records)
    num_rounds = lines[0].dice.shape[1]
    joint = range(1, num_rounds)
    columns = (
        *("strategy", "budget", "seeds", "corrected slices"),
        *(f"Dice round {index}" for index in range(num_rounds)),
        *(f"gain round {index}" for index in joint),
        f"volumes better, round {num_rounds - 1}",
    )
    rows = [_row(line, num_rounds) for line in lines]
    text = "\n".join(
        f"| {' | '.join(cells)} |" for cells in (columns, ["---"] * len(columns), *rows)
    )
    return f"{text}\n\n{_notes(records)}\n"


def _row(line: Line, num_rounds: int) -> list[str]:
    gains = ["-"] * (num_rounds - 1)
    better = "-"
    if line.strategy != "none" and len(line.gain):
        gains = [f"{gain:+.3f}" for gain in line.gain.mean(axis=0)[1:]]
        better = f"{line.better.mean(axis=0)[-1]:.0%}"
    return [
        line.strategy,
        "-" if line.budget is None else str(line.budget),
        str(len(line.dice)),
        " / ".join(f"{slices:.4g}" for slices in line.slices.mean(axis=0)[1:]),
        *(_with_spread(line.dice[:, index]) for index in range(num_rounds)),
        *gains,
        better,
    ]


def _with_spread(values: FloatArray) -> str:
    spread = f" ({values.std(ddof=1):.3f})" if len(values) > 1 else ""
    return f"{values.mean():.3f}{spread}"


def _notes(records: Sequence[Record]) -> str:
    num_volumes = len(records[0]["rounds"][0]["dice"])
    text = (
        f"Mean Dice over structures, then over {num_volumes} test volumes, then over seeds "
        "(standard deviation over seeds in brackets). Budget: slices for one review. "
        "Corrected slices: in all, before round 1 / round 2 / ... Gain: against `none` of the same "
        "seed and round. Volumes better: share of the test volumes with more Dice than with `none`."
    )
    correlations = doubt_correlations(records)
    if correlations:
        told = ", ".join(f"{value:.2f}" for value in correlations)
        text += (
            " Rank correlation of a case's doubt with its error (1 - Dice) over the proposals of "
            f"round 0, seed by seed: {told}."
        )
    accepted = [
        sum(len(r["accepted"]) for r in record["rounds"])
        for record in records
        if record["strategy"] == "accept-good"
    ]
    if accepted:
        text += f" `accept-good` accepted {', '.join(map(str, accepted))} proposals, seed by seed."
    return text


def write_table(path: Path, records: Sequence[Record]) -> None:
    """Write the Markdown table."""
    path.write_text(table_of(records), encoding="utf-8")


def write_plot(path: Path, records: Sequence[Record], dataset: str) -> None:
    """Write a PNG: Dice, and the gain over `none`, against the corrected slices.

    A row of panels for each budget. What corrects nothing has no place along the slices; it is
    drawn, dashed, at those of the other strategies in the same round.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - slow to import
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import

    lines = lines_of(records)
    budgets = sorted({line.budget for line in lines if line.budget is not None})
    rows = budgets or [None]
    figure = Figure(figsize=(10, 3.4 * len(rows) + 1.1), layout="constrained")
    panels = figure.subplots(len(rows), 2, squeeze=False, sharey="col")
    for (left, right), budget in zip(panels, rows, strict=True):
        shown = [line for line in lines if line.budget in (None, budget)]
        where = _places_of_rounds(shown)
        for line in shown:
            _draw(left, line, line.dice, where)
            if line.strategy != "none" and len(line.gain):
                _draw(right, line, line.gain, where)
        right.axhline(0, color=STYLES["none"][0], linestyle="--", linewidth=1.2)
        told = "nothing corrected" if budget is None else f"about {budget} slices a review"
        left.set_title(f"Mean test Dice, {told}", fontsize=10)
        right.set_title(f"Gain over no review, {told}", fontsize=10)
        left.set_ylabel("mean Dice (0 to 1)")
        right.set_ylabel("difference in mean Dice")
        for panel in (left, right):
            _dress(panel, where, has_slices=budget is not None)
    _legend(figure, lines, dataset, len({record["seed"] for record in records}))
    FigureCanvasAgg(figure)
    figure.savefig(path, format="png", dpi=_DOTS_PER_INCH)


def _places_of_rounds(lines: Sequence[Line]) -> FloatArray:
    """Where a round lies along the slices: the mean over the strategies that correct."""
    correcting = [line.slices.mean(axis=0) for line in lines if line.budget is not None]
    if correcting:
        return np.mean(correcting, axis=0)
    return np.arange(lines[0].dice.shape[1], dtype=np.float64)


def _draw(panel: Any, line: Line, values: FloatArray, where: FloatArray) -> None:
    color, marker, _ = STYLES[line.strategy]
    has_slices = line.strategy not in _WITHOUT_SLICES
    places = line.slices.mean(axis=0) if has_slices else where
    panel.plot(
        places, values.mean(axis=0), color=color, marker=marker, markersize=6, linewidth=1.8,
        linestyle="-" if has_slices else "--", markeredgecolor="white", markeredgewidth=0.6,
    )  # fmt: skip
    if len(values) > 1:
        for seed in values:
            panel.plot(places, seed, color=color, marker=marker, markersize=3, linestyle="",
                       alpha=0.45)  # fmt: skip


def _dress(panel: Any, where: FloatArray, *, has_slices: bool) -> None:
    panel.set_xlabel("corrected slices in all rounds (number)" if has_slices else "round")
    panel.grid(axis="y", color="#dddddd", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    if not has_slices:
        panel.set_xticks(where)
        return
    for index, place in enumerate(where):
        panel.annotate(
            f"round {index}", (place, 0), xycoords=("data", "axes fraction"),
            xytext=(0, 3), textcoords="offset points", ha="center", fontsize=8, color="#666666",
        )  # fmt: skip
    panel.margins(x=0.08, y=0.12)


def _legend(figure: Any, lines: Sequence[Line], dataset: str, num_seeds: int) -> None:
    from matplotlib.lines import Line2D  # noqa: PLC0415 - slow to import

    strategies = {line.strategy for line in lines}
    handles = [
        Line2D(
            [], [], color=color, marker=marker, linewidth=1.8, label=label,
            linestyle="--" if name in _WITHOUT_SLICES else "-",
        )
        for name, (color, marker, label) in STYLES.items()
        if name in strategies
    ]  # fmt: skip
    num_columns = min(3, len(handles))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=num_columns, frameon=False, fontsize=9
    )
    seeds = "1 seed" if num_seeds == 1 else f"{num_seeds} seeds (small marks)"
    figure.suptitle(f"What review is worth: {dataset}, {seeds}", fontsize=12)


def _share_better(own: dict[str, float], other: dict[str, float]) -> float:
    return float(np.mean([own[case] > other[case] for case in other]))


def _zip(first: Sequence[Record], second: Sequence[Record]) -> zip:
    return zip(first, second, strict=True)


def _array(values: list[list[float]], num_columns: int = 0) -> FloatArray:
    array = np.array(values, dtype=np.float64)
    return array if len(values) else array.reshape(0, num_columns)


def main(folder: Path) -> None:
    records = json.loads((folder / "results.json").read_text())
    dataset = json.loads((folder / "benchmark.json").read_text())["name"]
    write_table(folder / "review_effect.md", records)
    write_plot(folder / "review_effect.png", records, dataset)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
