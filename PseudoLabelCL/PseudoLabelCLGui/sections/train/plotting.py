"""A section with one plot of curves."""

from typing import Generic, TypeVar

from PseudoLabelCLGui.sections.parts.section import Section, Surroundings
from PseudoLabelCLGui.sections.train.plots import CurvePlot

Shown = TypeVar("Shown")


class PlottingSection(Section, Generic[Shown]):
    """Draws its plot with every tick, and removes the plot's nodes with itself.

    Args:
        surroundings: What a section works with.
        plot: The plot.
    """

    def __init__(self, surroundings: Surroundings, plot: CurvePlot) -> None:
        super().__init__(surroundings)
        self._plot = plot
        self._shown: Shown | None = None

    def tick(self) -> None:
        """Draw the newest points of the curves."""
        self._plot.tick()

    def sceneClosed(self) -> None:
        """Forget the plot's nodes; the next state is shown as if it were the first."""
        self._plot.sceneClosed()
        self._shown = None

    def cleanUp(self) -> None:
        """Remove the plot's nodes."""
        super().cleanUp()
        self._plot.cleanUp()
