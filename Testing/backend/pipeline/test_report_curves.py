"""Tests of the charts of the report."""

from xml.etree import ElementTree as ET

import pytest
from report_phantoms import quality_of_dice

from PseudoLabelCLLib.pipeline.learning_curve import CurvePoint, RoundCurve
from PseudoLabelCLLib.pipeline.report.curves import (
    RoundQuality,
    draw_dice_over_rounds,
    draw_learning_curves,
)


def test_a_round_without_quality_is_refused():
    with pytest.raises(ValueError, match="round 3"):
        RoundQuality(3, ())


def polylines(figure):
    root = ET.fromstring(figure)
    lines = root.iter("polyline")
    return [
        (line.get("class"), [tuple(map(float, p.split(","))) for p in line.get("points").split()])
        for line in lines
    ]


def test_learning_curves_continue_over_the_rounds_and_the_newest_stands_out():
    curves = tuple(
        RoundCurve(n, tuple(CurvePoint(s, {"Dice": 1.0 / (n + s)}) for s in (1, 50, 100)))
        for n in range(3)
    )
    (figure,) = draw_learning_curves(curves)
    lines = polylines(figure)
    assert [kind for kind, _ in lines] == ["line earlier", "line earlier", "line now"]
    x = [point[0] for _, line in lines for point in line]
    assert x == sorted(x)
    # A loss that falls goes down on the picture, where y grows downwards.
    assert all(line[0][1] < line[-1][1] for _, line in lines)


def test_a_curve_of_zeros_and_one_without_points_are_drawn():
    zeros = RoundCurve(0, (CurvePoint(1, {"Dice": 0.0}), CurvePoint(2, {"Dice": 0.0})))
    (figure,) = draw_learning_curves((zeros, RoundCurve(1, ())))
    assert [len(line) for _, line in polylines(figure)] == [2, 0]
    assert draw_learning_curves(()) == ()


def test_long_curves_are_thinned_and_values_that_are_no_number_left_out():
    points = [CurvePoint(s, {"Dice": 0.5}, None) for s in range(1, 2001)]
    points += [CurvePoint(2001, {"Dice": float("nan"), "other": float("inf")}, float("nan"))]
    (figure,) = draw_learning_curves((RoundCurve(0, tuple(points)),))
    ((_, line),) = polylines(figure)
    assert 50 <= len(line) <= 150
    assert "nan" not in figure
    assert len({y for _, y in line}) == 1


def test_validation_dice_is_drawn_where_it_was_measured():
    points = (CurvePoint(1), CurvePoint(10, {}, 0.5), CurvePoint(20, {}, 0.75))
    (figure,) = draw_learning_curves((RoundCurve(0, points),))
    ((_, line),) = polylines(figure)
    assert "Validation Dice" in figure
    assert len(line) == 2
    assert ">0.750<" in figure


def test_dice_over_rounds_has_a_line_for_each_case_and_their_mean():
    qualities = tuple(
        RoundQuality(n, (("a", quality_of_dice(0.5, 0.5)), ("b", quality_of_dice(dice, dice))))
        for n, dice in enumerate((0.7, 0.9))
    )
    lines = polylines(draw_dice_over_rounds(qualities))
    assert [kind for kind, _ in lines] == ["line thin", "line thin", "line now"]
    (_, a), (_, b), (_, mean) = lines
    # Coordinates are written with one decimal.
    assert [y for _, y in mean] == pytest.approx(
        [(p[1] + q[1]) / 2 for p, q in zip(a, b, strict=True)], abs=0.11
    )
