"""Charts for the report as inline SVG that takes its colours from the page.

matplotlib would draw fixed colours, which a dark page cannot change, and would be one more
package in Slicer's Python.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape

from PseudoLabelCLLib.pipeline.learning_curve import RoundCurve
from PseudoLabelCLLib.pipeline.prediction.measure_quality import CaseQuality

_WIDTH, _HEIGHT = 270, 160
_LEFT, _RIGHT, _TOP, _BOTTOM = 28, 40, 20, 24
# More points than this cannot be told apart at the chart's width.
_MAX_POINTS = 120
_AIMED_TICKS = 4

Point = tuple[float, float]


@dataclass(frozen=True)
class RoundQuality:
    """Quality after one round: (case id, agreement with its reference), for cases that have one.

    Raises:
        ValueError: There is no case.
    """

    round_index: int
    cases: tuple[tuple[str, CaseQuality], ...]

    def __post_init__(self) -> None:
        if not self.cases:
            raise ValueError(f"expected one or more cases in round {self.round_index}, got none")


@dataclass(frozen=True)
class _Frame:
    """Ranges of a chart's data and their places on the picture."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def x(self, value: float) -> float:
        low, high = self.x_range
        return _LEFT + (value - low) / ((high - low) or 1) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return _HEIGHT - _BOTTOM - (value - low) / ((high - low) or 1) * (_HEIGHT - _TOP - _BOTTOM)


def draw_learning_curves(curves: Sequence[RoundCurve]) -> tuple[Markup, ...]:
    """Return one figure for validation Dice and one for each part of the loss.

    Steps are counted on over the rounds; the newest round stands out. Values that
    are no finite number are not drawn.
    """
    starts = _first_steps(curves)
    names = dict.fromkeys(name for curve in curves for p in curve.points for name in p.losses)
    figures = []
    dice = [_dice_line(curve, start) for curve, start in zip(curves, starts, strict=True)]
    if any(dice):
        frame = _Frame(_step_range(curves, starts), _dice_range(dice))
        figures.append(_steps_figure("Validation Dice", dice, curves, frame, has_dots=True))
    for name in names:
        lines = [_loss_line(c, start, name) for c, start in zip(curves, starts, strict=True)]
        if any(lines):
            highest = max(y for line in lines for _, y in line)
            frame = _Frame(_step_range(curves, starts), (min(0.0, *_all_y(lines)), highest))
            figures.append(_steps_figure(f"Loss: {name}", lines, curves, frame, has_dots=False))
    return tuple(figures)


def draw_loss_curve(title: str, points: Sequence[tuple[int, float]]) -> Markup:
    """Return a figure of one loss over the steps, or nothing where no value is finite."""
    line = [(float(step), loss) for step, loss in points if math.isfinite(loss)]
    if not line:
        return Markup("")
    frame = _Frame(
        (line[0][0], max(line[-1][0], line[0][0] + 1)),
        (min(0.0, *_all_y([line])), max(_all_y([line]))),
    )
    drawn = [_polyline(line, frame, "now"), _last_step(frame), _end_label(line[-1], frame)]
    return _figure(title, frame, drawn)


def draw_dice_over_rounds(qualities: Sequence[RoundQuality]) -> Markup:
    """Return a figure with mean Dice after each round: thin lines are cases, the thick one all."""
    by_case: dict[str, list[Point]] = {}
    for quality in qualities:
        for case_id, measured in quality.cases:
            if measured.mean_dice is not None:
                point = (float(quality.round_index), measured.mean_dice)
                by_case.setdefault(case_id, []).append(point)
    lines = list(by_case.values())
    if not lines:
        return Markup("")
    rounds = sorted({x for line in lines for x, _ in line})
    means = [(x, float(np.mean([y for line in lines for a, y in line if a == x]))) for x in rounds]
    frame = _Frame((rounds[0], rounds[-1]), _dice_range(lines))
    drawn = [_polyline(line, frame, "thin") for line in lines]
    drawn += [_polyline(means, frame, "now"), _dots(means, frame, "now")]
    drawn += [
        f'<text class="tick" x="{frame.x(x):.1f}" y="{_HEIGHT - 6}" text-anchor="middle">'
        f"round {x:.0f}</text>"
        for x in rounds
    ]
    drawn.append(_end_label(means[-1], frame))
    return _figure("Mean Dice after each round", frame, drawn)


def _first_steps(curves: Sequence[RoundCurve]) -> list[int]:
    starts, total = [], 0
    for curve in curves:
        starts.append(total)
        total += max((point.step for point in curve.points), default=0)
    return starts


def _step_range(curves: Sequence[RoundCurve], starts: Sequence[int]) -> tuple[float, float]:
    last = max((point.step for point in curves[-1].points), default=0)
    return (0.0, float(max(starts[-1] + last, 1)))


def _dice_line(curve: RoundCurve, start: int) -> list[Point]:
    return [
        (float(start + point.step), point.validation_dice)
        for point in curve.points
        if point.validation_dice is not None and math.isfinite(point.validation_dice)
    ]


def _loss_line(curve: RoundCurve, start: int, name: str) -> list[Point]:
    raw = [
        (float(start + point.step), point.losses[name])
        for point in curve.points
        if name in point.losses and math.isfinite(point.losses[name])
    ]
    if len(raw) <= _MAX_POINTS:
        return raw
    groups = np.array_split(np.asarray(raw), _MAX_POINTS)
    return [(float(x), float(y)) for x, y in (group.mean(axis=0) for group in groups)]


def _all_y(lines: Sequence[Sequence[Point]]) -> list[float]:
    return [y for line in lines for _, y in line]


def _dice_range(lines: Sequence[Sequence[Point]]) -> tuple[float, float]:
    """Return 0..1 or its upper part, where the values lie."""
    return (math.floor(min(_all_y(lines)) * 5 - 1e-9) / 5 if min(_all_y(lines)) > 0 else 0.0, 1.0)


def _steps_figure(
    title: str,
    lines: Sequence[Sequence[Point]],
    curves: Sequence[RoundCurve],
    frame: _Frame,
    *,
    has_dots: bool,
) -> Markup:
    drawn = []
    for curve, start, line in zip(curves, _first_steps(curves), lines, strict=True):
        kind = "now" if curve is curves[-1] else "earlier"
        drawn.append(_round_mark(curve.round_index, start, frame))
        drawn.append(_polyline(line, frame, kind))
        if has_dots:
            drawn.append(_dots(line, frame, kind))
    drawn.append(_last_step(frame))
    newest = [line for line in lines if line]
    drawn.append(_end_label(newest[-1][-1], frame))
    return _figure(title, frame, drawn)


def _last_step(frame: _Frame) -> str:
    return (
        f'<text class="tick" x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 6}" text-anchor="end">'
        f"{frame.x_range[1]:.0f} steps</text>"
    )


def _figure(title: str, frame: _Frame, drawn: Sequence[str]) -> Markup:
    grid = []
    for tick in _ticks(*frame.y_range):
        y = frame.y(tick)
        grid.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" '
                    f'y2="{y:.1f}"/><text class="tick" x="{_LEFT - 6}" y="{y + 3.5:.1f}" '
                    f'text-anchor="end">{tick:.4g}</text>')  # fmt: skip
    return Markup(
        f'<figure class="chart"><figcaption>{escape(title)}</figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{''.join(grid)}{''.join(drawn)}</svg></figure>"
    )


def _ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / _AIMED_TICKS
    if not rough > 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * min((m for m in (1, 2, 5, 10) if m * power >= rough), default=10)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [n * step for n in range(first, last + 1)]


def _round_mark(round_index: int, start: int, frame: _Frame) -> str:
    x = frame.x(start)
    line = (
        f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 12}" y2="{_HEIGHT - _BOTTOM}"/>'
    )
    label = f'<text class="tick" x="{x + 4:.1f}" y="{_TOP - 8}">round {round_index}</text>'
    return (line if start else "") + label


def _polyline(line: Sequence[Point], frame: _Frame, kind: str) -> str:
    points = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in line)
    return f'<polyline class="line {kind}" points="{points}"/>'


def _dots(line: Sequence[Point], frame: _Frame, kind: str) -> str:
    return "".join(
        f'<circle class="dot {kind}" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="2.6"/>'
        for x, y in line
    )


def _end_label(point: Point, frame: _Frame) -> str:
    x, y = frame.x(point[0]) + 6, frame.y(point[1]) + 3.5
    digits = 3 if abs(point[1]) < 1 else 2
    return f'<text class="value" x="{x:.1f}" y="{y:.1f}">{point[1]:.{digits}f}</text>'
