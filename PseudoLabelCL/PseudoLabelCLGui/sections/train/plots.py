"""Curves as native plots: tables and charts in the scene, shown by Slicer's plot widget."""

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import qt
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from PseudoLabelCLGui.mrml_bridge import keep_out_of_lists
from PseudoLabelCLGui.panel_state import Curve
from PseudoLabelCLGui.sections.parts.axes import axis_range, fraction_range, whole_ticks
from PseudoLabelCLGui.sections.parts.showing import showVisible

# A chart is drawn anew for every point; the eye needs no more than this.
_REDRAW_EVERY_S = 0.5
# Hues that differ in brightness too, readable on the plot's light ground (Okabe and Ito, 2008).
_COLORS = ((0.0, 0.447, 0.698), (0.835, 0.369, 0.0))
# So few points are seen one by one.
_FEW_POINTS = 12
_X_AXIS = vtk.vtkAxis.BOTTOM


class CurvePlot:
    """Shows curves, each in a pane of its own, since their scales have nothing in common.

    Args:
        widget: A qMRMLPlotWidget; further panes are made beside it.
        tag: Tells this plot's nodes from those of others.
        xTitle: What lies along the x axes, counted in whole numbers.
        yTitles: What lies along the y axis of each pane; "Dice" goes from 0 to 1.
    """

    def __init__(self, widget: Any, tag: str, xTitle: str, *yTitles: str) -> None:
        widgets = [widget, *(_widgetBeside(widget) for _title in yTitles[1:])]
        self._panes = tuple(
            _Pane(one, f"{tag}{number or ''}", xTitle, yTitle, _COLORS[number % len(_COLORS)])
            for number, (one, yTitle) in enumerate(zip(widgets, yTitles, strict=True))
        )
        self._own = widgets[1:]

    def show(self, curves: Sequence[Curve]) -> None:
        """Show the curves that have points, in the order of the panes."""
        for pane, curve in zip(self._panes, curves, strict=True):
            pane.show(curve)

    def tick(self) -> None:
        """Draw what is not drawn yet, unless something was drawn a moment ago."""
        for pane in self._panes:
            pane.tick()

    def sceneClosed(self) -> None:
        """Forget nodes that were removed with the scene; the next `show` makes new ones."""
        for pane in self._panes:
            pane.sceneClosed()

    def cleanUp(self) -> None:
        """Remove the nodes."""
        for pane in self._panes:
            pane.cleanUp()
        for widget in self._own:
            widget.setMRMLScene(None)


class _Pane:
    def __init__(
        self,
        widget: Any,
        tag: str,
        xTitle: str,
        yTitle: str,
        color: tuple[float, float, float],
    ) -> None:
        self._widget, self._tag, self._color = widget, tag, color
        self._titles = (xTitle, yTitle)
        self._wanted = self._drawn = Curve("")
        self._drawnAtS = -math.inf
        self._isWarm = False
        self._viewNode: Any = None
        self._chartNode: Any = None
        self._tableNode: Any = None
        self._seriesNode: Any = None
        showVisible(widget, visible=False)

    def show(self, curve: Curve) -> None:
        self._wanted = curve
        self.tick()
        showVisible(self._widget, visible=bool(curve.x))

    def tick(self) -> None:
        self._warmUp()
        if self._wanted == self._drawn or time.monotonic() - self._drawnAtS < _REDRAW_EVERY_S:
            return
        if self._wanted.x:
            self._draw(self._wanted)
            self._drawnAtS = time.monotonic()
        self._drawn = self._wanted

    def sceneClosed(self) -> None:
        self._chartNode = self._tableNode = self._seriesNode = None
        self._drawn, self._drawnAtS = Curve(""), -math.inf

    def cleanUp(self) -> None:
        self._widget.setMRMLPlotViewNode(None)
        for node in (self._seriesNode, self._tableNode, self._chartNode, self._viewNode):
            if node is not None and slicer.mrmlScene.IsNodePresent(node):
                slicer.mrmlScene.RemoveNode(node)
        self._viewNode = None
        self.sceneClosed()

    def _warmUp(self) -> None:
        """Draw once before anybody waits: the first time takes Slicer up to two seconds."""
        if self._isWarm or not self._widget.window().visible:
            return
        self._isWarm = True
        self._makeNodes()
        view = self._widget.plotView()
        renderers = view.renderWindow().GetRenderers()
        for number in range(renderers.GetNumberOfItems()):
            # smoothing needs a window that is seen, or OpenGL complains; lines need none
            renderers.GetItemAsObject(number).SetUseFXAA(False)
        view.grab()

    def _draw(self, curve: Curve) -> None:
        self._makeNodes()
        _putPoints(self._tableNode, curve)
        self._seriesNode.SetMarkerStyle(
            slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle
            if len(curve.x) <= _FEW_POINTS
            else slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone
        )
        chart = self._chartNode
        if chart.GetNumberOfPlotSeriesNodes() == 0:
            chart.AddAndObservePlotSeriesNodeID(self._seriesNode.GetID())
        ticks = whole_ticks(curve.x)
        isFraction = self._titles[1] == "Dice"
        was_modifying = chart.StartModify()
        chart.SetXAxisRange(ticks[0], ticks[-1])
        chart.SetYAxisRange(*(fraction_range(curve.y) if isFraction else axis_range(curve.y)))
        chart.EndModify(was_modifying)
        _putTicks(self._widget.plotView().chart().GetAxis(_X_AXIS), ticks)

    def _makeNodes(self) -> None:
        if self._chartNode is None or not slicer.mrmlScene.IsNodePresent(self._chartNode):
            self._makeChart()
        if self._viewNode is None or not slicer.mrmlScene.IsNodePresent(self._viewNode):
            self._viewNode = self._makeViewNode()
            self._widget.setMRMLPlotViewNode(self._viewNode)
        # a chart that another module shows would take its place; closing a scene resets this
        self._viewNode.SetDoPropagatePlotChartSelection(False)
        if self._viewNode.GetPlotChartNodeID() != self._chartNode.GetID():
            self._viewNode.SetPlotChartNodeID(self._chartNode.GetID())

    def _makeChart(self) -> None:
        chart = self._chartNode = _addHidden("vtkMRMLPlotChartNode", f"PseudoLabelCL {self._tag}")
        chart.SetXAxisTitle(self._titles[0])
        chart.SetYAxisTitle(self._titles[1])
        chart.SetTitleVisibility(False)
        chart.SetLegendVisibility(False)
        # the view fits its axes once and never again when points come
        chart.SetXAxisRangeAuto(False)
        chart.SetYAxisRangeAuto(False)
        self._tableNode = _addHidden("vtkMRMLTableNode", f"PseudoLabelCL {self._titles[1]}")
        self._seriesNode = series = _addHidden("vtkMRMLPlotSeriesNode", self._titles[1])
        series.SetAndObserveTableNodeID(self._tableNode.GetID())
        series.SetXColumnName("x")
        series.SetYColumnName("y")
        series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        series.SetColor(*self._color)
        series.SetLineWidth(2)

    def _makeViewNode(self) -> Any:
        node = slicer.vtkMRMLPlotViewNode()
        node.SetSingletonTag(f"PseudoLabelCL{self._tag}")
        node.SetLayoutName(f"PseudoLabelCL{self._tag}")
        node.SetName(f"PseudoLabelCL {self._tag}")
        node.SetSaveWithScene(False)
        return slicer.mrmlScene.AddNode(node)


def _widgetBeside(widget: Any) -> Any:
    """Make a further plot widget, and a row in which the two share the place of the first."""
    other = slicer.qMRMLPlotWidget()
    other.setObjectName(f"{widget.objectName}Beside")
    other.setMRMLScene(slicer.mrmlScene)
    other.setMinimumSize(widget.minimumSize)
    other.setMaximumSize(widget.maximumSize)
    layout = widget.parent().layout()
    row = qt.QHBoxLayout()
    layout.insertLayout(layout.indexOf(widget), row)
    layout.removeWidget(widget)
    row.addWidget(widget)
    row.addWidget(other)
    return other


def _addHidden(className: str, name: str) -> Any:
    node = slicer.mrmlScene.AddNewNodeByClass(className, name)
    keep_out_of_lists(node)
    node.SetSaveWithScene(False)
    return node


def _putPoints(tableNode: Any, curve: Curve) -> None:
    """Put a curve's points into the two columns of a table, all at once."""
    filled = vtk.vtkTable()
    for name, values in (("x", curve.x), ("y", curve.y)):
        array = np.asarray(values, dtype=np.float64)
        if array.size == 1:  # Slicer complains of a line of one point, and draws one of two
            array = np.repeat(array, 2)
        column = numpy_to_vtk(array, deep=True)
        column.SetName(name)
        filled.AddColumn(column)
    tableNode.SetAndObserveTable(filled)


def _putTicks(axis: Any, ticks: Sequence[int]) -> None:
    positions, labels = vtk.vtkDoubleArray(), vtk.vtkStringArray()
    for tick in ticks:
        positions.InsertNextValue(tick)
        labels.InsertNextValue(str(tick))
    axis.SetCustomTickPositions(positions, labels)
