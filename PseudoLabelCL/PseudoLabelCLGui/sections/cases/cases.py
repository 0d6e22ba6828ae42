"""The table of volumes, their roles, the check before training."""

from collections.abc import Callable
from functools import partial

from PseudoLabelCLGui.panel_state import CasesState, PanelState
from PseudoLabelCLGui.presenter.words import role_words
from PseudoLabelCLGui.sections.parts.asking import confirm
from PseudoLabelCLGui.sections.parts.folding import Folding
from PseudoLabelCLGui.sections.parts.menus import makeMenu
from PseudoLabelCLGui.sections.parts.plain_text import plain
from PseudoLabelCLGui.sections.parts.section import Section, Surroundings
from PseudoLabelCLGui.sections.parts.showing import showAction, showLines, showVisible
from PseudoLabelCLGui.sections.parts.tables import chosenIds, fillTable, showColumns
from PseudoLabelCLGui.sections.project.question_lines import QuestionLines
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.case import CaseRole

# In the order of the combo boxes of the .ui file.
ROLES = (CaseRole.ANNOTATED, CaseRole.UNLABELLED, CaseRole.VALIDATION, CaseRole.IGNORED)


class CasesSection(Section):
    """The table of volumes and what is done with the chosen ones.

    Args:
        surroundings: What a section works with.
        addFurther: Shows the fields for another image of a case.
    """

    def __init__(self, surroundings: Surroundings, addFurther: Callable[[str], None]) -> None:
        super().__init__(surroundings)
        self._addFurther = addFurther
        self._shown: CasesState | None = None
        self._root = ""
        makeMenu(self, self.ui.caseTable, self._menuEntries(), self._ticked)
        self._folding = Folding(
            self,
            (
                (self.ui.addToggle, self.ui.addFrame),
                (self.ui.structuresToggle, self.ui.structuresFrame),
            ),
        )
        for combo in (self.ui.roleCombo, self.ui.addRoleCombo):
            combo.toolTip = plain(roleWords())
        self._questions = QuestionLines(self, self.ui.caseQuestions, self._onAnswer)
        showVisible(self.ui.caseQuestionsArea, visible=False)
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
        if self._shown is None or cases.columns != self._shown.columns:
            showColumns(self.ui.caseTable, cases.columns)
        if self._shown is None or cases.rows != self._shown.rows:
            ids, toolTips = [r.case_id for r in cases.rows], [r.tool_tip for r in cases.rows]
            fillTable(self.ui.caseTable, ids, [row.cells for row in cases.rows], toolTips)
        if state.project.root != self._root:
            self._root = state.project.root
            if self._root and not cases.rows:
                self.showAdding()
        before, self._shown = self._shown, cases
        if before is None or before.questions != cases.questions:
            self._questions.show(cases.questions)
            showVisible(self.ui.caseQuestionsArea, visible=bool(cases.questions))
        showLines(self.ui.findingsList, cases.findings or _hint(cases))
        showAction(self.ui.checkButton, cases.check)
        self._showButtons()

    def showAdding(self) -> None:
        """Show the fields for adding volumes."""
        self._folding.unfold(self.ui.addToggle)

    def showStructures(self) -> None:
        """Show the table in which the terminology of structures is edited."""
        self._folding.unfold(self.ui.structuresToggle)
        self.ui.structuresTable.setFocus()

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
                button.toolTip = plain(_("Choose volumes in the table first"))

    def _menuEntries(self) -> tuple[tuple[str, Callable[[], None]], ...]:
        words = _("Set role: {role}")
        roles = tuple(
            (words.format(role=role_words(role)), partial(self._setRole, role)) for role in ROLES
        )
        slices = (
            (_("Only the drawn slices count"), partial(self._chooseSlices, True)),
            (_("All slices count"), partial(self._chooseSlices, False)),
        )
        further = (_("Further image of this patient..."), self._onFurther)
        return (
            *roles,
            *slices,
            further,
            (_("Show"), self._onShow),
            (_("Remove..."), self._onRemove),
        )

    def _ticked(self) -> tuple[bool, ...]:
        """Tell for each role, and choice of slices, whether all of the chosen volumes have it."""
        chosen = set(chosenIds(self.ui.caseTable))
        rows = self._shown.rows if self._shown else ()
        own = [row for row in rows if row.case_id in chosen]
        present = {row.role for row in own}
        roles = tuple(present == {role} for role in ROLES)
        isDrawn = {row.only_drawn for row in own if row.role is CaseRole.ANNOTATED}
        return (*roles, isDrawn == {True}, isDrawn == {False})

    def _onSetRole(self) -> None:
        self._setRole(ROLES[self.ui.roleCombo.currentIndex])

    def _setRole(self, role: CaseRole) -> None:
        self.presenter.cases.set_role(chosenIds(self.ui.caseTable), role)

    def _chooseSlices(self, onlyDrawn: bool) -> None:
        rows = self._shown.rows if self._shown else ()
        annotated = {row.case_id for row in rows if row.role is CaseRole.ANNOTATED}
        chosen = tuple(id_ for id_ in chosenIds(self.ui.caseTable) if id_ in annotated)
        self.presenter.cases.choose_slices(chosen, only_drawn=onlyDrawn)

    def _onFurther(self) -> None:
        for case_id in chosenIds(self.ui.caseTable)[:1]:
            self._addFurther(case_id)

    def _onShow(self) -> None:
        for case_id in chosenIds(self.ui.caseTable)[:1]:
            self.presenter.review.show_case(case_id)

    def _onRemove(self) -> None:
        chosen = chosenIds(self.ui.caseTable)
        question = _(
            "Remove {count} volume(s) from the project?\n\n{names}\n\nThe volumes themselves "
            "stay where they are, and what was drawn is kept in the project folder."
        ).format(count=len(chosen), names=", ".join(chosen))
        if chosen and confirm(question):
            self.presenter.cases.remove(chosen)

    def _onAnswer(self, number: int, value: str) -> None:
        self.presenter.cases.answer_question(number, value)

    def _onCheck(self) -> None:
        self.presenter.cases.check()


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
