"""The rounds so far, folded under what the next one is trained with; the way back."""

from functools import partial
from pathlib import Path

import qt

from PseudoLabelCLGui.panel_state import Light, PanelState, RoundsState
from PseudoLabelCLGui.sections.parts.asking import confirm
from PseudoLabelCLGui.sections.parts.plain_text import plain
from PseudoLabelCLGui.sections.parts.section import Surroundings
from PseudoLabelCLGui.sections.parts.showing import showAction
from PseudoLabelCLGui.sections.parts.tables import chosenIds, fillTable, stretchColumns
from PseudoLabelCLGui.sections.train.plots import CurvePlot
from PseudoLabelCLGui.sections.train.plotting import PlottingSection
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.storage.project.own_reports import is_own_report
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout


class RoundsSection(PlottingSection[RoundsState]):
    """The history of rounds: report, results, the way back."""

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(
            surroundings, CurvePlot(surroundings.ui.qualityPlot, "Quality", _("round"), "Dice")
        )
        self._root = ""
        stretchColumns(self.ui.roundTable, 2)
        self.connect(self.ui.roundTable, "itemSelectionChanged()", self._showButtons)
        self.connect(self.ui.roundTable, "cellDoubleClicked(int,int)", self._onShowResult)
        self.connect(self.ui.openReportButton, "clicked()", self._onOpenReport)
        self.connect(self.ui.showResultButton, "clicked()", self._onShowResult)
        self.connect(self.ui.goBackButton, "clicked()", self._onGoBack)

    def show(self, state: PanelState) -> None:
        """Show table and curve."""
        rounds = state.rounds
        self._root = state.project.root
        if rounds == self._shown:
            return
        if self._shown is None or rounds.rows != self._shown.rows:
            rows = [
                (
                    str(row.index),
                    row.state,
                    row.learned_from,
                    row.validation_dice,
                    row.agreement,
                    row.doubt,
                )
                for row in rounds.rows
            ]
            fillTable(self.ui.roundTable, [str(row.index) for row in rounds.rows], rows)
        self._shown = rounds
        self._plot.show((rounds.quality,))
        self._showButtons()

    def _showButtons(self) -> None:
        if self._shown is None:
            return
        hasChosen = bool(chosenIds(self.ui.roundTable))
        for button, action in (
            (self.ui.openReportButton, self._shown.open_report),
            (self.ui.showResultButton, self._shown.show_result),
            (self.ui.goBackButton, self._shown.go_back),
        ):
            showAction(button, action)
            if action.enabled and not hasChosen:
                button.enabled = False
                button.toolTip = plain(_("Choose a round in the table first"))

    def _chosen(self) -> int | None:
        chosen = chosenIds(self.ui.roundTable)
        return int(chosen[0]) if chosen else None

    def _onOpenReport(self) -> None:
        index = self._chosen()
        if index is None:
            return
        report = ProjectLayout(Path(self._root)).report(index)
        if not report.is_file():
            text = _("Round {index} has no report yet.").format(index=index)
            self.tell(Light.AMBER, text, _("It is written when the round has finished."))
        elif is_own_report(report):
            _openInBrowser(report)
        else:  # a page of somebody else's: whether a browser shall open it, the person says
            text = _("The report of round {index} was not written on this computer.")
            remedy = _("What it shows may differ from the project.")
            step = _("Open it anyway")
            said = text.format(index=index)
            self.tell(Light.AMBER, said, remedy, step, partial(_openInBrowser, report))

    def _onShowResult(self) -> None:
        index = self._chosen()
        if index is not None:
            self.presenter.review.show_round(index)

    def _onGoBack(self) -> None:
        index = self._chosen()
        question = _(
            "Make round {index} the newest?\n\nLater rounds are moved to 'set_aside' in the "
            "project folder. Nothing is deleted; what you corrected in them is kept there too."
        )
        if index is not None and confirm(question.format(index=index)):
            self.presenter.train.go_back(index)


def _openInBrowser(report: Path) -> None:
    qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(report)))
