"""Tables of quality for the report, as HTML."""

from collections.abc import Sequence
from html import escape

from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.pipeline.prediction.measure_quality import (
    DEFINITIONS,
    CaseQuality,
    ClassQuality,
    QualitySummary,
    Spread,
    summarise,
)
from PseudoLabelCLLib.pipeline.report.curves import RoundQuality

_ABSENT = "&ndash;"
_MEASURES = (("dice", 3), ("hd95_mm", 1), ("assd_mm", 2))


def rounds_table(qualities: Sequence[RoundQuality], schema: LabelSchema) -> str:
    """Return a table of Dice after each round: mean and spread for each structure and for all."""
    head = "".join(f"<th>{_named(label.name, label.value)}</th>" for label in schema)
    rows = []
    before: float | None = None
    for quality in qualities:
        summary = summarise([measured for _, measured in quality.cases])
        cells = "".join(f"<td>{_spread(c.dice, 3)}</td>" for c in summary.classes)
        mean = summary.mean.dice
        newest = ' class="now"' if quality is qualities[-1] else ""
        rows.append(
            f"<tr{newest}><th>Round {quality.round_index}</th>{cells}"
            f'<td class="all">{_spread(mean, 3)}</td><td>{_change(before, mean.mean)}</td>'
            f"<td>{mean.num_counted}</td></tr>"
        )
        before = mean.mean
    return (
        '<p class="caption">Dice, mean ± standard deviation over cases</p>'
        f'<div class="scroll"><table><thead>'
        f"<tr><th></th>{head}<th>Mean</th><th>Change</th><th>Cases</th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def cases_table(quality: RoundQuality, schema: LabelSchema, anchors: dict[str, str]) -> str:
    """Return a table of every measure for each case, the least good first, with mean and spread.

    Args:
        quality: The round.
        schema: The structures.
        anchors: Where the page shows a case, by case id; cases without are not linked.
    """
    groups = "".join(
        f'<th colspan="3" class="group">{_named(label.name, label.value)}</th>' for label in schema
    )
    measures = '<th class="group">Dice</th><th>HD95</th><th>ASSD</th>' * (len(schema) + 1)
    worst_first = sorted(quality.cases, key=_mean_dice_of)
    rows = "".join(_case_row(case_id, case, anchors) for case_id, case in worst_first)
    foot = _summary_rows(summarise([measured for _, measured in quality.cases]))
    return (
        '<p class="caption">Every case with a reference, least good first. '
        f"HD95 and ASSD in mm. {escape(' '.join(DEFINITIONS.values()))}</p>"
        '<div class="scroll"><table>'
        f'<thead><tr><th rowspan="2">Case</th>{groups}<th colspan="3" class="group">Mean</th></tr>'
        f"<tr>{measures}</tr></thead><tbody>{rows}</tbody><tfoot>{foot}</tfoot></table></div>"
    )


def format_number(value: float | None, digits: int) -> str:
    """Return a number with so many decimals, or a dash for None."""
    return _ABSENT if value is None else f"{value:.{digits}f}"


def _named(name: str, value: int) -> str:
    first, *others = name.split()
    swatch = f'<i class="swatch label-{value}"></i>'
    return " ".join(
        [f'<span class="kept">{swatch}{escape(first)}</span>', *(escape(word) for word in others)]
    )


def _mean_dice_of(case: tuple[str, CaseQuality]) -> tuple[float, str]:
    mean = case[1].mean_dice
    return (2.0 if mean is None else mean, case[0])


def _case_row(case_id: str, case: CaseQuality, anchors: dict[str, str]) -> str:
    name = escape(case_id)
    if case_id in anchors:
        name = f'<a href="#{anchors[case_id]}">{name}</a>'
    cells = "".join(_class_cells(quality) for quality in case.classes)
    means = (case.mean_dice, case.mean_hd95_mm, case.mean_assd_mm)
    left_out = _left_out(case.num_missed, case.num_invented)
    cells += "".join(
        f"<td{_group(measure)}>{format_number(mean, digits)}"
        f"{'' if measure == 'dice' else left_out}</td>"
        for (measure, digits), mean in zip(_MEASURES, means, strict=True)
    )
    return f"<tr><th>{name}</th>{cells}</tr>"


def _class_cells(quality: ClassQuality) -> str:
    cells = []
    for measure, digits in _MEASURES:
        value = getattr(quality, measure)
        text = format_number(value, digits)
        if value is None and quality.is_missed:
            text = "missed"
        elif value is None and quality.is_invented:
            text = "invented"
        cells.append(f"<td{_group(measure)}>{text}</td>")
    return "".join(cells)


def _summary_rows(summary: QualitySummary) -> str:
    columns = (*summary.classes, summary.mean)
    spreads = [
        (measure, digits, getattr(column, measure), column)
        for column in columns
        for measure, digits in _MEASURES
    ]
    means = "".join(
        f"<td{_group(measure)}>{format_number(spread.mean, digits)}"
        f"{'' if measure == 'dice' else _left_out(column.num_missed, column.num_invented)}</td>"
        for measure, digits, spread, column in spreads
    )
    deviations = "".join(
        f"<td{_group(measure)}>{format_number(spread.standard_deviation, digits)}</td>"
        for measure, digits, spread, _ in spreads
    )
    counts = "".join(
        f"<td{_group(measure)}>{spread.num_counted}</td>" for measure, _, spread, _ in spreads
    )
    return (
        f"<tr><th>Mean</th>{means}</tr><tr><th>Standard deviation</th>{deviations}</tr>"
        f"<tr><th>Counted</th>{counts}</tr>"
    )


def _left_out(num_missed: int, num_invented: int) -> str:
    """Return what a mean distance leaves out, to stand right after it."""
    parts = [f"{num_missed} missed"] * bool(num_missed)
    parts += [f"{num_invented} invented"] * bool(num_invented)
    return f" <small>+ {', '.join(parts)}</small>" if parts else ""


def _group(measure: str) -> str:
    return ' class="group"' if measure == "dice" else ""


def _spread(spread: Spread, digits: int) -> str:
    mean = format_number(spread.mean, digits)
    if spread.standard_deviation is None:
        return mean
    return f"{mean} <small>± {spread.standard_deviation:.{digits}f}</small>"


def _change(before: float | None, now: float | None) -> str:
    return "" if before is None or now is None else f"{now - before:+.3f}".replace("-", "&minus;")
