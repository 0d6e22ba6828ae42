"""Section 2: the table of volumes, their roles, the check before training."""

from collections.abc import Callable
from functools import partial

from PseudoLabelCLGui.panel_state import CasesState, PanelState
from PseudoLabelCLGui.sections.asking import confirm
from PseudoLabelCLGui.sections.menus import makeMenu
from PseudoLabelCLGui.sections.section import Section, Surroundings
from PseudoLabelCLGui.sections.showing import showAction, showLines
from PseudoLabelCLGui.sections.tables import chosenIds, fillTable, stretchColumns
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.case import CaseRole

# In the order of the combo boxes of the .ui file.
ROLES = (CaseRole.ANNOTATED, CaseRole.UNLABELLED, CaseRole.VALIDATION, CaseRole.IGNORED)


class CasesSection(Section):
    """The table of volumes and what is done with the chosen ones."""

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._shown: CasesState | None = None
        stretchColumns(self.ui.caseTable, 0)
        makeMenu(self, self.ui.caseTable, self._menuEntries())
        for combo in (self.ui.roleCombo, self.ui.addRoleCombo):
            combo.toolTip = roleWords()
        self.connect(self.ui.caseTable, "itemSelectionChanged()", self._showButtons)
        self.connect(self.ui.caseTable, "cellDoubleClicked(int,int)", self._onShow)
        self.connect(self.ui.setRoleButton, "clicked()", self._onSetRole)
        self.connect(self.ui.removeButton, "clicked()", self._onRemove)
        self.connect(self.ui.checkButton, "clicked()", self._onCheck)

    def show(self, state: PanelState) -> None:
        """Show the table and the findings."""
        cases = state.cases
        if cases == self._shown:
            return
        roles = {
            CaseRole.ANNOTATED: _("annotated"),
            CaseRole.UNLABELLED: _("unlabelled"),
            CaseRole.VALIDATION: _("validation"),
            CaseRole.IGNORED: _("ignored"),
        }
        if self._shown is None or cases.rows != self._shown.rows:
            rows = [
                (r.case_id, roles[r.role], _mark(r.segmentation), r.state, r.doubt, r.verdict)
                for r in cases.rows
            ]
            ids, toolTips = [r.case_id for r in cases.rows], [r.tool_tip for r in cases.rows]
            fillTable(self.ui.caseTable, ids, rows, toolTips)
        self._shown = cases
        showLines(self.ui.findingsList, cases.findings or _hint(cases))
        showAction(self.ui.checkButton, cases.check)
        self._showButtons()

    def _showButtons(self) -> None:
        if self._shown is None:
            return
        chosen = chosenIds(self.ui.caseTable)
        for button, action in (
            (self.ui.setRoleButton, self._shown.set_role),
            (self.ui.removeButton, self._shown.remove),
        ):
            showAction(button, action)
            if action.enabled and not chosen:
                button.enabled = False
                button.toolTip = _("Choose volumes in the table first")

    def _menuEntries(self) -> tuple[tuple[str, Callable[[], None]], ...]:
        words = (_("Annotated"), _("Unlabelled"), _("Validation"), _("Ignored"))
        roles = tuple(
            (text, partial(self._setRole, role)) for text, role in zip(words, ROLES, strict=True)
        )
        return (*roles, (_("Show"), self._onShow), (_("Remove..."), self._onRemove))

    def _onSetRole(self) -> None:
        self._setRole(ROLES[self.ui.roleCombo.currentIndex])

    def _setRole(self, role: CaseRole) -> None:
        self.presenter.set_role(chosenIds(self.ui.caseTable), role)

    def _onShow(self) -> None:
        for case_id in chosenIds(self.ui.caseTable)[:1]:
            self.presenter.show_case(case_id)

    def _onRemove(self) -> None:
        chosen = chosenIds(self.ui.caseTable)
        question = _(
            "Take {count} volume(s) out of the project?\n\n{names}\n\n"
            "The volumes themselves stay where they are, and what was drawn stays in the history."
        ).format(count=len(chosen), names=", ".join(chosen))
        if chosen and confirm(question):
            self.presenter.remove_cases(chosen)

    def _onCheck(self) -> None:
        self.presenter.check_cases()


def _hint(cases: CasesState) -> tuple[str, ...]:
    """Say how to begin while a project that can be changed has no volumes."""
    if cases.rows or not cases.add.enabled:
        return ()
    return (_("Add volumes below, or drop files and folders here."),)


def roleWords() -> str:
    """Say what each role means."""
    return "\n".join(
        (
            _("annotated: the network learns from your segmentation"),
            _("unlabelled: the network proposes a segmentation, which you review"),
            _("validation: your segmentation only measures how good the network is"),
            _("ignored: takes no part"),
        )
    )


def _mark(segmentation: str) -> str:
    """Say in one letter's room whether a person's segmentation is there; the file is in the tip."""
    return "\N{CHECK MARK}" if segmentation else ""
