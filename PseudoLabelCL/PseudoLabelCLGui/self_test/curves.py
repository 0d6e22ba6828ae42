"""The part of the self-test in Slicer that looks at the axes of the curves."""

import math
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from PseudoLabelCLGui.self_test.shared import check

Range = tuple[float, float]
# Narrower than this, an axis shows rounding errors.
_NARROWEST = 0.01
_SAME = 1e-6


def check_curves(plot: Any, what: str) -> int:
    """Check the axes of all panes of a plot.

    Args:
        plot: The qMRMLPlotWidget of the .ui file; its further panes stand beside it.
        what: Which plot, for the message.

    Returns:
        How many points the panes show.
    """
    others = slicer.util.findChildren(plot.parent(), name=f"{plot.objectName}Beside")
    return sum(_check_pane(pane, what) for pane in (plot, *others))


def _check_pane(pane: Any, what: str) -> int:
    view = pane.mrmlPlotViewNode()
    chart = view.GetPlotChartNode() if view is not None else None  # none before the first point
    points = _points_of(chart)
    if chart is None or not len(points):
        return 0
    what = f"{what}, {chart.GetYAxisTitle()}"
    x_range, y_range = chart.GetXAxisRange(), chart.GetYAxisRange()
    _check_range(points[:, 0], x_range, 1.0, f"{what}: the x axis")
    _check_range(points[:, 1], y_range, _NARROWEST, f"{what}: the y axis")
    drawn = pane.plotView().chart()
    _check_ticks(drawn.GetAxis(vtk.vtkAxis.BOTTOM), x_range, what)
    _check_drawn(drawn.GetAxis(vtk.vtkAxis.BOTTOM), x_range, what)
    _check_drawn(drawn.GetAxis(vtk.vtkAxis.LEFT), y_range, what)
    return len(np.unique(points, axis=0))


def _points_of(chart: Any) -> Any:
    """Return what a chart shows, (points, 2) with x and y."""
    found = [np.zeros((0, 2))]
    for number in range(chart.GetNumberOfPlotSeriesNodes() if chart is not None else 0):
        series = chart.GetNthPlotSeriesNode(number)
        table = series.GetTableNode().GetTable()
        names = series.GetXColumnName(), series.GetYColumnName()
        columns = [vtk_to_numpy(table.GetColumnByName(name)) for name in names]
        found.append(np.column_stack(columns))
    return np.concatenate(found)


def _check_range(values: Any, axis_range: Range, narrowest: float, what: str) -> None:
    low, high = axis_range
    told = f"{what} goes from {low:g} to {high:g}"
    is_sane = math.isfinite(low) and math.isfinite(high) and high - low >= narrowest
    check(is_sane, f"{told}.")
    known = values[np.isfinite(values)]
    if len(known):
        first, last = float(known.min()), float(known.max())
        holds_all = low <= first and last <= high
        check(holds_all, f"{told}, and its points from {first:g} to {last:g}.")


def _check_ticks(axis: Any, x_range: Range, what: str) -> None:
    labels, places = axis.GetTickLabels(), axis.GetTickPositions()
    texts = [labels.GetValue(n) for n in range(labels.GetNumberOfValues())]
    values = [places.GetValue(n) for n in range(places.GetNumberOfValues())]
    is_whole = len(values) > 1 and all(text.lstrip("-").isdigit() for text in texts)
    is_whole = is_whole and [float(text) for text in texts] == values
    check(is_whole, f"{what}: the ticks of the x axis are {texts} at {values}.")
    is_within = x_range[0] <= min(values) and max(values) <= x_range[1]
    check(is_within, f"{what}: the ticks {texts} lie beyond the x axis {x_range}.")


def _check_drawn(axis: Any, wanted: Range, what: str) -> None:
    drawn = axis.GetMinimum(), axis.GetMaximum()
    is_same = all(abs(a - b) < _SAME * max(1.0, abs(b)) for a, b in zip(drawn, wanted, strict=True))
    check(is_same, f"{what}: an axis is drawn from {drawn[0]:g} to {drawn[1]:g}, not {wanted}.")
