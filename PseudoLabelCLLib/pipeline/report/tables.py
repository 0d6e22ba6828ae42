"""Tables of quality for the report, row by row."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from PseudoLabelCLLib.pipeline.prediction.measure_quality import (
    CaseQuality,
    ClassQuality,
    Spread,
    summarise,
)
from PseudoLabelCLLib.pipeline.report.curves import RoundQuality

_ABSENT = "\N{EN DASH}"
_MEASURES = (("dice", 3), ("hd95_mm", 1), ("assd_mm", 2))


@dataclass(frozen=True)
class Cell:
    """One cell.

    Args:
        text: What it holds.
        small: What stands behind it in small letters, or empty.
        kind: Its class in the style sheet, or empty.
    """

    text: str
    small: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Row:
    """One row: what it is about, and its cells."""

    name: str
    cells: tuple[Cell, ...]


def round_rows(qualities: Sequence[RoundQuality]) -> tuple[Row, ...]:
    """Return Dice after each round: of each structure, of all, the change, the number of cases."""
    rows = []
    before: float | None = None
    for quality in qualities:
        summary = summarise([measured for _, measured in quality.cases])
        mean = summary.mean.dice
        cells = (
            *(_spread(one.dice) for one in summary.classes),
            _spread(mean, kind="all"),
            Cell(_change(before, mean.mean)),
            Cell(str(mean.num_counted)),
        )
        rows.append(Row(f"Round {quality.round_index}", cells))
        before = mean.mean
    return tuple(rows)


def case_rows(quality: RoundQuality) -> tuple[Row, ...]:
    """Return every measure of each case, the least good first: each structure, then their means."""
    worst_first = sorted(quality.cases, key=_mean_dice_of)
    return tuple(Row(case_id, tuple(_case_cells(case))) for case_id, case in worst_first)


def summary_rows(quality: RoundQuality) -> tuple[Row, ...]:
    """Return mean, standard deviation, and number of cases of what `case_rows` holds."""
    summary = summarise([measured for _, measured in quality.cases])
    means, deviations, counts = [], [], []
    for column in (*summary.classes, summary.mean):
        left_out = _left_out(column.num_missed, column.num_invented)
        for measure, digits in _MEASURES:
            spread: Spread = getattr(column, measure)
            means.append(_measured(measure, format_number(spread.mean, digits), left_out))
            deviation = format_number(spread.standard_deviation, digits)
            deviations.append(_measured(measure, deviation))
            counts.append(_measured(measure, str(spread.num_counted)))
    return (
        Row("Mean", tuple(means)),
        Row("Standard deviation", tuple(deviations)),
        Row("Counted", tuple(counts)),
    )


def format_number(value: float | None, digits: int) -> str:
    """Return a number with so many decimals, or a dash for None."""
    return _ABSENT if value is None else f"{value:.{digits}f}"


def _mean_dice_of(case: tuple[str, CaseQuality]) -> tuple[float, str]:
    mean = case[1].mean_dice
    return (2.0 if mean is None else mean, case[0])


def _case_cells(case: CaseQuality) -> Iterator[Cell]:
    for quality in case.classes:
        yield from _class_cells(quality)
    means = (case.mean_dice, case.mean_hd95_mm, case.mean_assd_mm)
    left_out = _left_out(case.num_missed, case.num_invented)
    for (measure, digits), mean in zip(_MEASURES, means, strict=True):
        yield _measured(measure, format_number(mean, digits), left_out)


def _class_cells(quality: ClassQuality) -> Iterator[Cell]:
    for measure, digits in _MEASURES:
        value = getattr(quality, measure)
        text = format_number(value, digits)
        if value is None and quality.is_missed:
            text = "missed"
        elif value is None and quality.is_invented:
            text = "invented"
        yield _measured(measure, text)


def _measured(measure: str, text: str, left_out: str = "") -> Cell:
    """Return the cell of a measure; what a mean leaves out stands behind distances, not Dice."""
    if measure == "dice":
        return Cell(text, kind="group")
    return Cell(text, left_out)


def _left_out(num_missed: int, num_invented: int) -> str:
    """Return what a mean distance leaves out, to stand right after it."""
    parts = [f"{num_missed} missed"] * bool(num_missed)
    parts += [f"{num_invented} invented"] * bool(num_invented)
    return f"+ {', '.join(parts)}" if parts else ""


def _spread(spread: Spread, kind: str = "") -> Cell:
    deviation = spread.standard_deviation
    return Cell(
        format_number(spread.mean, 3), "" if deviation is None else f"± {deviation:.3f}", kind
    )


def _change(before: float | None, now: float | None) -> str:
    return (
        ""
        if before is None or now is None
        else f"{now - before:+.3f}".replace("-", "\N{MINUS SIGN}")
    )
