"""Slicer's plot widget as far as the panel needs it, over real MRML."""

# ruff: noqa: N801, N802 - the names are Slicer's and Qt's

from math import isfinite
from types import SimpleNamespace
from typing import Any

import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from stand_ins.scene_widget import SceneWidget

Range = tuple[float, float]
_X_AXIS, _Y_AXIS = vtk.vtkAxis.BOTTOM, vtk.vtkAxis.LEFT


class qMRMLPlotView(QtWidgets.QWidget):
    """The view in the widget. Seen in the application: drawing for the first time takes up to two
    seconds, and axes fit their points by themselves once only, when a chart comes into the view.
    """

    def __init__(self, widget: "qMRMLPlotWidget") -> None:
        super().__init__(widget)
        self.hide()  # the widget paints for it
        self._widget = widget
        self._chart = vtk.vtkChartXY()
        self._fitted: tuple[Any, Range, Range] | None = None
        self.isDrawn = False
        self._renderer = vtk.vtkRenderer()
        self._renderer.SetUseFXAA(True)
        self._renderers = vtk.vtkRendererCollection()
        self._renderers.AddItem(self._renderer)

    def renderWindow(self) -> Any:
        return SimpleNamespace(GetRenderers=lambda: self._renderers)

    def chart(self) -> Any:
        """Return what draws; its axes go as the view shows them."""
        for number, (low, high) in zip((_X_AXIS, _Y_AXIS), self.ranges(), strict=True):
            self._chart.GetAxis(number).SetRange(low, high)
        return self._chart

    def grab(self) -> None:
        """Draw, though nobody sees it."""
        if self._renderer.GetUseFXAA() and not self._widget.isVisible():
            raise AssertionError("Error glBlitFramebuffer1 OpenGL errors detected")
        self.isDrawn = True

    def fitToContent(self) -> None:
        self._fitted = None

    def ranges(self) -> tuple[Range, Range]:
        """Return from where to where the axes x and y go."""
        chart = self._widget.chartNode()
        if chart is None:
            return (0.0, 1.0), (0.0, 1.0)
        if self._fitted is None or self._fitted[0] is not chart:
            points = [point for _node, points in self._widget.series() for point in points]
            if points:
                xs, ys = zip(*(p for p in points if isfinite(p[1])), strict=True)
                self._fitted = (chart, (min(xs), max(xs)), (min(ys), max(ys)))
        fitted = self._fitted[1:] if self._fitted else ((0.0, 1.0), (0.0, 1.0))
        x = fitted[0] if chart.GetXAxisRangeAuto() else chart.GetXAxisRange()
        y = fitted[1] if chart.GetYAxisRangeAuto() else chart.GetYAxisRange()
        return tuple(x), tuple(y)


class qMRMLPlotWidget(SceneWidget):
    """Draws the chart of its plot view node, plainly."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._node: Any = None
        self._view = qMRMLPlotView(self)
        self.setMinimumHeight(150)
        policy = QtWidgets.QSizePolicy.Policy.Expanding
        view = QtWidgets.QWidget()
        view.setSizePolicy(policy, policy)
        layout = QtWidgets.QVBoxLayout(self)  # the real one grows as its view does
        layout.addWidget(view)
        self._timer = QtCore.QTimer(self)
        self._timer.setInterval(200)
        self._timer.timeout.connect(self.update)

    def setMRMLPlotViewNode(self, node: Any) -> None:
        self._node = node

    def mrmlPlotViewNode(self) -> Any:
        return self._node

    def plotView(self) -> qMRMLPlotView:
        return self._view

    def chartNode(self) -> Any:
        return self._node.GetPlotChartNode() if self._node is not None else None

    def series(self) -> list[tuple[Any, list[tuple[float, float]]]]:
        """Return what is drawn: each series node with its points."""
        chart = self.chartNode()
        shown = []
        for n in range(chart.GetNumberOfPlotSeriesNodes() if chart else 0):
            node = chart.GetNthPlotSeriesNode(n)
            table = node.GetTableNode().GetTable()
            columns = [
                vtk.util.numpy_support.vtk_to_numpy(table.GetColumnByName(name))
                for name in (node.GetXColumnName(), node.GetYColumnName())
            ]
            points = list(zip(*columns, strict=True))
            assert len(points) != 1, "vtkPlotLine: a line of one point is an error"
            shown.append((node, points))
        return shown

    def paintEvent(self, _event: QtGui.QPaintEvent) -> None:
        self._view.isDrawn = True
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect(), QtGui.QColor("#fffdf6"))
        area = self.rect().adjusted(34, 12, -12, -30)
        painter.setPen(QtGui.QColor("#444444"))
        painter.drawRect(area)
        (x0, x1), (y0, y1) = self._view.ranges()
        painter.save()
        painter.setClipRect(area)
        for node, points in self.series():
            painter.setPen(QtGui.QPen(QtGui.QColor.fromRgbF(*node.GetColor()), 2))
            path = [
                QtCore.QPointF(
                    area.left() + area.width() * (x - x0) / max(x1 - x0, 1e-9),
                    area.bottom() - area.height() * (y - y0) / max(y1 - y0, 1e-9),
                )
                for x, y in points
                if isfinite(y)
            ]
            painter.drawPolyline(path)
        painter.restore()
        painter.setPen(QtGui.QColor("#444444"))
        chart = self.chartNode()
        if chart is not None:
            painter.drawText(area.left() + 4, area.top() + 12, chart.GetYAxisTitle() or "")
        painter.drawText(4, area.top() + 10, f"{y1:.2f}")
        painter.drawText(4, area.bottom(), f"{y0:.2f}")
        painter.drawText(area.left(), area.bottom() + 16, f"{x0:.0f}")
        painter.drawText(area.right() - 24, area.bottom() + 16, f"{x1:.0f}")
