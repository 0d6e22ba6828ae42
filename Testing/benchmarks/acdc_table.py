"""The tables and the picture of the ACDC benchmark, from whatever runs there are.

    python Testing/benchmarks/acdc_table.py FOLDER [--combination c1 c2 c3] [--picture PNG]

`FOLDER` is the output of `acdc.py`. The tables go to the standard output as Markdown.
"""

import argparse
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import matplotlib as mpl
from acdc_statistics import (
    BASELINE,
    Estimate,
    Row,
    Run,
    by_combination,
    estimate,
    gains,
    read_runs,
    weak_and_strong,
)
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Mean test Dice with 1, 2 and 8 labelled volumes, 6 draws of the labelled volumes, 20 other test
# patients, 5000 steps and three joint rounds. Source: Chaitanya et al., MedIA 2023, tables 1 and
# 2; the upper bound has 78 labelled volumes.
PUBLISHED = {
    "baseline": {1: 0.614, 2: 0.702, 8: 0.844},
    "self-training": {1: 0.690, 2: 0.749, 8: 0.860},
    "intra": {1: 0.761, 2: 0.845, 8: 0.881},
    "inter": {1: 0.759, 2: 0.831, 8: 0.883},
    "global+local:baseline": {1: 0.725, 2: 0.789, 8: 0.872},
    "global+local:self-training": {1: 0.745, 2: 0.802, 8: 0.881},
    "global+local:inter": {1: 0.774, 2: 0.845, 8: 0.887},
    "upper-bound": {1: 0.912, 2: 0.912, 8: 0.912},
    # both phases of the heart, pooled Dice of the validation fold, best epoch; as quoted by a user
    # of the published code for two patients
    "positional:baseline": {2: 0.671},
}

_COLORS = {"paper": "#0072B2", "strong": "#D55E00"}  # Okabe and Ito: safe for colour blindness


def main() -> None:
    """Print every table and draw the picture."""
    arguments = _arguments()
    runs = read_runs(arguments.folder, once=arguments.once)
    if arguments.combination:
        runs = [run for run in runs if run.combination in arguments.combination]
    if not runs:
        raise SystemExit(f"There is no such result in '{arguments.folder}' yet.")
    labelled = sorted({run.labelled for run in runs})
    _print_setting(runs)
    _print_means(runs, labelled)
    _print_gains(runs, labelled)
    for number in labelled:
        _print_combinations(runs, number)
    _print_rounds(runs, labelled)
    _print_structures(runs, labelled)
    folder = arguments.folder.parent if arguments.folder.is_file() else arguments.folder
    picture = arguments.picture or folder / "acdc.png"
    draw(runs, labelled, picture)
    print(f"\nPicture: {picture}")


def _print_setting(runs: Sequence[Run]) -> None:
    """Say what the figures are, and what they are not."""
    tests = {tuple(run.told["roles"]["test"]) for run in runs}
    print("## What was measured\n")
    print(
        f"Mean 3-D Dice of three structures on {len(next(iter(tests)))} test volumes after the "
        "last round. Spread is the standard deviation over combinations of labelled volumes, after "
        "averaging over seeds. Minutes are those of one run with everything that it shares with "
        "others. Published figures stand beside for orientation only: **another test set and "
        "protocol** (20 other patients, true voxel sizes, 5000 steps a round)."
    )
    for name, values in {
        "Devices": {run.told["device"] for run in runs},
        "Programs": {stage["program"] for run in runs for stage in run.told["stages"]},
        "Settings": {", ".join(run.told["asked"]["chosen"]) or "as they are" for run in runs},
        "Rounds, round 0 included": {str(run.told["asked"]["rounds"]) for run in runs},
        "Upper bound annotates": {
            f"{len(run.told['roles']['annotated'])} volumes"
            for run in runs
            if run.row.method.endswith("upper-bound")
        },
    }.items():
        if values:
            print(f"\n{name}: {'; '.join(sorted(values))}.")
    cut = [run for run in runs if not run.told["is_whole_time"]]
    if cut:
        print(
            f"\nIn {len(cut)} of {len(runs)} runs a stage was killed once; its minutes lack that."
        )
    if len({run.told["device"] for run in runs}) > 1:
        print("\nThe runs had several devices: minutes are comparable on the same one only.")
    for name in ("chosen", "rounds"):
        if len({str(run.told["asked"][name]) for run in runs}) > 1:
            print(
                f"\n**The runs differ in their {name.replace('chosen', 'settings')}**: the rows "
                "mix them. Give each its own folder."
            )

    if len({*_combinations_of_rows(runs)}) > 1:
        print(
            "\n**The means of some rows are over fewer combinations than others**: compare the "
            "gains, which are paired, or choose with --combination."
        )


def _combinations_of_rows(runs: Sequence[Run]) -> Iterator[frozenset[str]]:
    """The combinations of every row and number of volumes; the upper bound stands alone."""
    for row in _rows(runs):
        if not row.method.endswith("upper-bound"):
            own = [run for run in runs if run.row == row]
            for labelled in {run.labelled for run in own}:
                yield frozenset(run.combination for run in own if run.labelled == labelled)


def _print_means(runs: Sequence[Run], labelled: Sequence[int]) -> None:
    print("\n## Test Dice\n")
    columns = [
        text
        for n in labelled
        for text in (f"{_volumes(n)}: Dice", "spread", "runs", "minutes", "published")
    ]
    _print_header(("method", "recipe", "profile", *columns))
    for row in _rows(runs):
        cells = []
        for number in labelled:
            own = [run for run in runs if run.row == row and run.labelled == number]
            dice = [*by_combination(own, lambda run: run.dice).values()]
            minutes = statistics.fmean(run.minutes for run in own) if own else None
            cells += [
                _number(statistics.fmean(dice) if dice else None),
                _number(statistics.stdev(dice) if len(dice) > 1 else None),
                str(len(own)),
                _number(minutes, 1),
                _published(row.method, number),
            ]
        _print_row((row.method, row.recipe, row.profile, *cells))


def _print_gains(runs: Sequence[Run], labelled: Sequence[int]) -> None:
    print("\n## Gain over the baseline of the same recipe\n")
    print(
        "Paired by combination and seed; 95 % interval over combinations (Student's t). The "
        "baseline has no joint method and trains on for about as long.\n"
    )
    columns = [
        text
        for n in labelled
        for text in (f"{_volumes(n)}: gain", "95 %", "better in", "published gain")
    ]
    _print_header(("method", "recipe", "profile", *columns))
    for row in _rows(runs):
        found = [[*gains(runs, row, number).values()] for number in labelled]
        if row.method == BASELINE or not any(found):
            continue
        cells = [
            cell
            for number, values in zip(labelled, found, strict=True)
            for cell in _gain_cells(row.method, number, estimate(values) if values else None)
        ]
        _print_row((row.method, row.recipe, row.profile, *cells))
    for number in labelled:
        for sentence in weak_and_strong(runs, number):
            print(f"\n{sentence}")


def _gain_cells(method: str, labelled: int, found: Estimate | None) -> tuple[str, ...]:
    ours, theirs = PUBLISHED[BASELINE].get(labelled), PUBLISHED.get(method, {}).get(labelled)
    # the positional figure has another protocol than the baseline's
    is_comparable = ours and theirs and not method.startswith("positional")
    published = f"{theirs - ours:+.3f}" if is_comparable and ours and theirs else "-"
    if found is None:
        return ("-", "-", "-", published)
    interval = "-" if found.low is None else f"{found.low:+.3f} to {found.high:+.3f}"
    return (f"{found.mean:+.3f}", interval, f"{found.num_positive} of {found.num_runs}", published)


def _print_combinations(runs: Sequence[Run], labelled: int) -> None:
    print(f"\n## Each combination of {_volumes(labelled)}\n")
    here = [run for run in runs if run.labelled == labelled]
    names = sorted({run.combination for run in here})
    annotated = {
        run.combination: "+".join(f"{n:03d}" for n in run.told["roles"]["annotated"])
        for run in here
        if not run.row.method.endswith("upper-bound")
    }
    headed = [f"{name} ({annotated.get(name, 'all')})" for name in names]
    _print_header(("method", "recipe", "profile", *headed))
    for row in _rows(here):
        dice = by_combination((run for run in here if run.row == row), lambda run: run.dice)
        _print_row((row.method, row.recipe, row.profile, *(_number(dice.get(n)) for n in names)))


def _print_rounds(runs: Sequence[Run], labelled: Sequence[int]) -> None:
    print("\n## Round by round\n")
    print(
        "Pseudo-labels are measured on the unlabelled volumes whose truth was kept from the run.\n"
    )
    _print_header(
        ("method", "recipe", "profile", "volumes", "round", "test", "validation", "pseudo-labels")
    )
    for row in _rows(runs):
        for number in labelled:
            own = [run for run in runs if run.row == row and run.labelled == number]
            for index in range(max((len(run.told["rounds"]) for run in own), default=0)):
                means = [_mean(own, value, index) for value in (_test, _validation, _pseudo)]
                figures = (_number(mean) for mean in means)
                _print_row((row.method, row.recipe, row.profile, str(number), str(index), *figures))


def _mean(
    runs: Iterable[Run], value: Callable[[Run, int], float | None], index: int
) -> float | None:
    there = [run for run in runs if index < len(run.told["rounds"])]
    found = by_combination(there, lambda run: value(run, index))
    return statistics.fmean(found.values()) if found else None


def _test(run: Run, index: int) -> float | None:
    mean: float | None = run.told["rounds"][index]["test"]["dice"]["mean"]
    return mean


def _validation(run: Run, index: int) -> float | None:
    dice: float | None = run.told["rounds"][index]["validation_dice"]
    return dice


def _pseudo(run: Run, index: int) -> float | None:
    mean: float | None = run.told["rounds"][index]["pseudo_label_dice"]["mean"]
    return mean


def _print_structures(runs: Sequence[Run], labelled: Sequence[int]) -> None:
    print("\n## Each structure, last round\n")
    names = list(runs[0].told["rounds"][-1]["test"]["structures"])
    _print_header(("method", "recipe", "profile", "volumes", *names))
    for row in _rows(runs):
        for number in labelled:
            own = [run for run in runs if run.row == row and run.labelled == number]
            if own:
                dice = [_structure_dice(own, name) for name in names]
                cells = (_number(value) for value in dice)
                _print_row((row.method, row.recipe, row.profile, str(number), *cells))


def _structure_dice(runs: Sequence[Run], name: str) -> float | None:
    found = by_combination(
        runs, lambda run: run.told["rounds"][-1]["test"]["structures"][name]["mean"]
    )
    return statistics.fmean(found.values()) if found else None


def draw(runs: Sequence[Run], labelled: Sequence[int], picture: Path) -> None:
    """Draw a dot for each run and a bar for each mean, one panel for each number of volumes."""
    mpl.use("Agg")
    methods = list(dict.fromkeys(row.method for row in _rows(runs)))
    height = 1.4 + 0.5 * len(methods)
    figure = Figure(figsize=(1.6 + 4.2 * len(labelled), height), layout="constrained")
    panels = figure.subplots(1, len(labelled), sharey=True, squeeze=False)[0]
    for panel, number in zip(panels, labelled, strict=True):
        _draw_panel(panel, [run for run in runs if run.labelled == number], methods, number)
    panels[0].set_yticks(range(len(methods)), methods)
    panels[0].invert_yaxis()
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)
    figure.savefig(picture, dpi=150)


def _draw_panel(panel: Axes, runs: Sequence[Run], methods: Sequence[str], labelled: int) -> None:
    for recipe, offset in (("paper", -0.15), ("strong", 0.15)):
        places: list[float] = []
        dice: list[float] = []
        means: list[tuple[float, float]] = []
        for place, method in enumerate(methods):
            own = [r for r in runs if (r.row.recipe, r.row.method) == (recipe, method)]
            places += [place + offset] * len(own)
            dice += [run.dice for run in own]
            if own:
                mean = statistics.fmean(by_combination(own, lambda run: run.dice).values())
                means.append((place + offset, mean))
        color = _COLORS[recipe]
        panel.scatter(dice, places, s=22, color=color, alpha=0.55, lw=0, label=f"{recipe} recipe")
        for height, mean in means:
            panel.plot([mean, mean], [height - 0.14, height + 0.14], color=color, lw=2.5)
    there = [
        (n, PUBLISHED[m][labelled]) for n, m in enumerate(methods) if _is_published(m, labelled)
    ]
    panel.scatter(
        [value for _, value in there], [place for place, _ in there], marker="D", s=26,
        facecolor="none", edgecolor="0.45", label="published, other test set",
    )  # fmt: skip
    panel.set_title(f"{_volumes(labelled)} labelled", fontsize=10)
    panel.set_xlabel("mean test Dice, last round")
    panel.grid(axis="x", color="0.9")
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def _is_published(method: str, labelled: int) -> bool:
    return labelled in PUBLISHED.get(method, {})


def _rows(runs: Iterable[Run]) -> list[Row]:
    """All rows, the baseline of each recipe first and the upper bound last."""

    def place(row: Row) -> tuple[str, str, bool, bool, bool, str]:
        is_last = row.method.endswith("upper-bound")
        return (row.profile, row.recipe, is_last, row.method != BASELINE, ":" in row.method,
                row.method)  # fmt: skip

    return sorted({run.row for run in runs}, key=place)


def _published(method: str, labelled: int) -> str:
    return _number(PUBLISHED.get(method, {}).get(labelled))


def _volumes(number: int) -> str:
    return f"{number} volume{'' if number == 1 else 's'}"


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _print_header(columns: Sequence[str]) -> None:
    _print_row(columns)
    print("|" + "---|" * len(columns))


def _print_row(cells: Iterable[str]) -> None:
    print("| " + " | ".join(cells) + " |")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("folder", type=Path, help="output of acdc.py, or a file of acdc_pack.py")
    parser.add_argument(
        "--once", action="store_true", help="figures of single predictions, as the papers predict"
    )
    parser.add_argument("--combination", nargs="+", help="only these (default: all)")
    parser.add_argument("--picture", type=Path, help="default: acdc.png in the folder")
    return parser.parse_args()


if __name__ == "__main__":
    main()
