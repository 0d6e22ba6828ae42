"""Curves as a native plot: tables and a chart in the scene, shown by Slicer's plot widget."""

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from PseudoLabelCLGui.panel_state import Curve
from PseudoLabelCLGui.sections.showing import showVisible

# A chart is drawn anew for every point; the eye needs no more than this.
_REDRAW_EVERY_S = 0.5
# Hues that differ in brightness too, readable on the plot's light ground (Okabe and Ito, 2008).
_COLORS = ((0.0, 0.447, 0.698), (0.835, 0.369, 0.0))


class CurvePlot:
    """Shows curves in one plot; the nodes for it are made when there is something to show.

    Args:
        widget: A qMRMLPlotWidget.
        tag: Tells this plot's nodes from those of others.
        xTitle: What lies along the x axis.
        yTitle: What lies along the y axis.
    """

    def __init__(self, widget: Any, tag: str, xTitle: str, yTitle: str) -> None:
        self._widget = widget
        self._tag = tag
        self._titles = (xTitle, yTitle)
        self._wanted: tuple[Curve, ...] = ()
        self._drawn: tuple[Curve, ...] = ()
        self._drawnAtS = -math.inf
        self._viewNode: Any = None
        self._chartNode: Any = None
        self._tables: dict[str, Any] = {}
        showVisible(widget, visible=False)

    def show(self, curves: Sequence[Curve]) -> None:
        """Show the curves that have points; without any the plot takes no room."""
        self._wanted = tuple(curve for curve in curves if curve.x)
        self.tick()
        showVisible(self._widget, visible=bool(self._wanted))

    def tick(self) -> None:
        """Draw what is not drawn yet, unless something was drawn a moment ago."""
        if self._wanted == self._drawn or time.monotonic() - self._drawnAtS < _REDRAW_EVERY_S:
            return
        if self._wanted:
            self._draw(self._wanted)
        self._drawn, self._drawnAtS = self._wanted, time.monotonic()

    def sceneClosed(self) -> None:
        """Let go of nodes that are gone with the scene; the next `show` makes them anew."""
        self._chartNode = None
        self._tables = {}
        self._drawn, self._drawnAtS = (), -math.inf

    def cleanUp(self) -> None:
        """Remove the nodes."""
        self._widget.setMRMLPlotViewNode(None)
        for node in (*self._nodes(), self._chartNode, self._viewNode):
            if node is not None and slicer.mrmlScene.IsNodePresent(node):
                slicer.mrmlScene.RemoveNode(node)
        self._viewNode = None
        self.sceneClosed()

    def _draw(self, curves: tuple[Curve, ...]) -> None:
        if self._chartNode is None or not slicer.mrmlScene.IsNodePresent(self._chartNode):
            self._makeChart()
            self._drawn = ()
        for number, curve in enumerate(curves):
            table = self._tables.get(curve.name)
            if table is None:
                table = self._addSeries(curve.name, _COLORS[number % len(_COLORS)])
            if curve not in self._drawn:
                _putPoints(table, curve)
        gone = set(self._tables) - {curve.name for curve in curves}
        for name in gone:
            _putPoints(self._tables[name], Curve(name))

    def _makeChart(self) -> None:
        self._tables = {}
        self._chartNode = _addHidden("vtkMRMLPlotChartNode", f"PseudoLabelCL {self._tag}")
        self._chartNode.SetXAxisTitle(self._titles[0])
        self._chartNode.SetYAxisTitle(self._titles[1])
        self._chartNode.SetTitleVisibility(False)
        if self._viewNode is None or not slicer.mrmlScene.IsNodePresent(self._viewNode):
            self._viewNode = self._makeViewNode()
            self._widget.setMRMLPlotViewNode(self._viewNode)
        # a chart that another module shows would take its place; closing a scene resets this
        self._viewNode.SetDoPropagatePlotChartSelection(False)
        self._viewNode.SetPlotChartNodeID(self._chartNode.GetID())

    def _makeViewNode(self) -> Any:
        node = slicer.vtkMRMLPlotViewNode()
        node.SetSingletonTag(f"PseudoLabelCL{self._tag}")
        node.SetLayoutName(f"PseudoLabelCL{self._tag}")
        node.SetName(f"PseudoLabelCL {self._tag}")
        node.SetSaveWithScene(False)
        return slicer.mrmlScene.AddNode(node)

    def _addSeries(self, name: str, color: tuple[float, float, float]) -> Any:
        table = _addHidden("vtkMRMLTableNode", f"PseudoLabelCL {name}")
        series = _addHidden("vtkMRMLPlotSeriesNode", name)
        _putPoints(table, Curve(name))
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName("x")
        series.SetYColumnName("y")
        series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        series.SetColor(*color)
        series.SetLineWidth(2)
        self._chartNode.AddAndObservePlotSeriesNodeID(series.GetID())
        self._tables[name] = table
        return table

    def _nodes(self) -> list[Any]:
        chart = self._chartNode
        if chart is None or not slicer.mrmlScene.IsNodePresent(chart):
            return []
        count = chart.GetNumberOfPlotSeriesNodes()
        series = [chart.GetNthPlotSeriesNode(number) for number in range(count)]
        return [*series, *self._tables.values()]


def _addHidden(className: str, name: str) -> Any:
    node = slicer.mrmlScene.AddNewNodeByClass(className, name)
    node.SetHideFromEditors(True)
    node.SetSaveWithScene(False)
    return node


def _putPoints(tableNode: Any, curve: Curve) -> None:
    """Put a curve's points into the two columns of a table, all at once."""
    filled = vtk.vtkTable()
    for name, values in (("x", curve.x), ("y", curve.y)):
        column = numpy_to_vtk(np.asarray(values, dtype=np.float64), deep=True)
        column.SetName(name)
        filled.AddColumn(column)
    tableNode.SetAndObserveTable(filled)
