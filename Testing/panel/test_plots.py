"""Curves in the panel: axes that follow the points, and nothing that stalls or complains."""

from dataclasses import replace

import panel_states as states
import pytest
import slicer
from PseudoLabelCLGui.panel_state import Curve
from PseudoLabelCLGui.sections.parts.axes import axis_range, fraction_range, whole_ticks
from PySide6 import QtWidgets


@pytest.fixture
def an_open_project(a_panel):
    a_panel.show(states.OPEN)
    return a_panel


def panes(panel, name):
    """The plot of that name and what was made beside it."""
    plot = panel.widget(name)
    found = plot.parentWidget().findChildren(QtWidgets.QWidget, f"{name}Beside")
    return [plot, *found]


def training_with(loss, validation=()):
    curves = [Curve(name, tuple(x for x, _ in p), tuple(y for _, y in p))
              for name, p in (("loss", loss), ("validation Dice", validation))]  # fmt: skip
    train = replace(states.TRAINING.train, loss=curves[0], validation=curves[1])
    return replace(states.TRAINING, train=train)


def let_it_draw(panel):
    for pane in panel.panel._training._plot._panes:
        pane._drawnAtS = float("-inf")
    panel.tick()


def test_the_axes_follow_the_points_that_come(an_open_project):
    panel = an_open_project
    panel.show(training_with([(0.0, 1.2), (10.0, 1.0)]))
    for last in (50, 700, 4000):
        panel.show(training_with([(0.0, 1.2), (float(last), 3.0)]))
        let_it_draw(panel)
        (x0, x1), (y0, y1) = panel.widget("trainingPlot").plotView().ranges()
        assert x0 <= 0 < last <= x1 <= 2.5 * last
        assert y0 <= 1.2
        assert y1 >= 3.0


def test_loss_and_dice_never_share_a_scale(an_open_project):
    an_open_project.show(training_with([(0.0, 14.0), (100.0, 9.0)], [(0.0, 0.2), (100.0, 0.8)]))
    loss, dice = panes(an_open_project, "trainingPlot")
    assert [len(pane.series()) for pane in (loss, dice)] == [1, 1]
    assert dice.plotView().ranges()[1] == (0.0, 1.0)
    assert loss.plotView().ranges()[1][1] >= 14.0
    assert loss.chartNode().GetYAxisTitle() == "loss"
    assert dice.chartNode().GetYAxisTitle() == "Dice"


def test_one_round_has_an_axis_of_its_own_kind(an_open_project):
    quality = Curve("validation Dice", (0.0,), (0.61,))
    rounds = replace(states.REVIEW.rounds, quality=quality)
    an_open_project.show(replace(states.REVIEW, rounds=rounds))
    plot = an_open_project.widget("qualityPlot")
    assert plot.plotView().ranges() == ((0.0, 1.0), (0.0, 1.0))
    ((node, points),) = plot.series()  # Slicer complains of a curve of one point
    assert set(points) == {(0.0, 0.61)}
    assert node.GetMarkerStyle() == slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle


def test_steps_and_rounds_are_counted_in_whole_numbers(an_open_project):
    an_open_project.show(training_with([(0.0, 1.0), (3.0, 0.5)]))
    axis = an_open_project.widget("trainingPlot").plotView().chart().GetAxis(1)
    labels = axis.GetTickLabels()
    texts = [labels.GetValue(n) for n in range(labels.GetNumberOfValues())]
    assert texts == ["0", "1", "2", "3"]


def test_the_first_drawing_does_not_wait_for_a_training(a_panel):
    a_panel.tick()
    views = [plot.plotView() for plot in panes(a_panel, "trainingPlot")]
    assert all(view.isDrawn for view in views)
    assert not any(plot.isVisible() for plot in panes(a_panel, "trainingPlot"))


def test_the_nodes_of_a_plot_are_in_no_list(an_open_project):
    an_open_project.show(states.TRAINING)
    constants = slicer.vtkMRMLSubjectHierarchyConstants
    name = constants.GetSubjectHierarchyExcludeFromTreeAttributeName()
    kinds = ("PlotChartNode", "PlotSeriesNode", "TableNode")
    nodes = [node for kind in kinds for node in slicer.util.getNodesByClass(f"vtkMRML{kind}")]
    assert len(nodes) >= 6
    for node in nodes:
        assert node.GetHideFromEditors()
        assert node.GetAttribute(name)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0,), (0, 1)),
        ((0, 1), (0, 1)),
        ((0, 4), (0, 1, 2, 3, 4)),
        ((0, 10), (0, 5, 10)),
        ((10, 290), (0, 100, 200, 300)),
        ((0, 600), (0, 200, 400, 600)),
        ((7,), (7, 8)),
    ],
)
def test_ticks_are_round_and_few(values, expected):
    assert whole_ticks(values) == expected


def test_ranges_leave_no_point_out():
    assert fraction_range((0.3, float("nan"))) == (0.0, 1.0)
    low, high = axis_range((-2.0, 5.0, float("nan")))
    assert low < -2.0 < 5.0 < high
    assert axis_range(()) == (0.0, pytest.approx(1.05))
