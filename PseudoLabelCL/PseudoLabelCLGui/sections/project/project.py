"""The project: make, open, close, and a sample to try; from a menu, or from the first page."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import qt
import slicer

from PseudoLabelCLGui.mrml_bridge import labels_of
from PseudoLabelCLGui.panel_state import Action, PanelState, ProjectState
from PseudoLabelCLGui.sections.parts.asking import askFolder, startFolder
from PseudoLabelCLGui.sections.parts.plain_text import plain
from PseudoLabelCLGui.sections.parts.section import Section, Surroundings
from PseudoLabelCLGui.sections.parts.showing import showAction, showVisible
from PseudoLabelCLGui.sections.project.steps import COMPUTER, NEW_PROJECT
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.segmentation import DEFAULT_COLORS, LabelClass, LabelSchema


class ProjectSection(Section):
    """The menu and the buttons around a project, and the page for a new one.

    Args:
        surroundings: What a section works with.
        onMadeFrom: Called with the segmentation whose segments became a new project's structures.
    """

    def __init__(self, surroundings: Surroundings, onMadeFrom: Callable[[Any], None]) -> None:
        super().__init__(surroundings)
        self._onMadeFrom = onMadeFrom
        self._shown: ProjectState | None = None
        self._recent: tuple[str, ...] | None = None
        self._entries: dict[str, Any] = {}
        self._recentActions: list[Any] = []
        self._madeFrom: Any = None
        self._makeMenu()
        ui = self.ui
        for button, slot in (
            (ui.newProjectButton, self._onNew),
            (ui.openProjectButton, self._onOpen),
            (ui.sampleProjectButton, self.makeSample),
            (ui.createProjectButton, self._onCreate),
            (ui.cancelProjectButton, self._onCancel),
        ):
            self.connect(button, "clicked()", slot)
        self.connect(ui.recentList, "itemDoubleClicked(QListWidgetItem*)", self._onRecentItem)
        self.connect(ui.newNameEdit, "textChanged(QString)", self._showCreate)
        self.connect(ui.newFolderEdit, "currentPathChanged(QString)", self._showCreate)
        self.connect(ui.newStructuresEdit, "textChanged(QString)", self._showCreate)
        self.connect(
            ui.newSegmentationSelector, "currentNodeChanged(vtkMRMLNode*)", self._showCreate
        )
        self._showCreate()

    def show(self, state: PanelState) -> None:
        """Show which project is open and what can be done with it."""
        project = state.project
        if project == self._shown:
            return
        self._showRecent(project.recent)
        before = self._shown.root if self._shown else ""
        self._shown = project
        if project.root and project.root != before:
            self._welcome()
        showVisible(self.ui.startBox, not project.root)
        showVisible(self.ui.casesBox, bool(project.root))
        showAction(self.ui.newProjectButton, project.new)
        showAction(self.ui.openProjectButton, project.open)
        showAction(self.ui.sampleProjectButton, project.sample)
        self._showMenu(project)

    def makeSample(self) -> None:
        """Ask where, and make a project from phantoms."""
        folder = askFolder(self.top, _("Choose a folder for the sample project"))
        if folder:
            self.presenter.project.make_sample(folder)

    def cleanUp(self) -> None:
        """Disconnect all widgets and the menu."""
        super().cleanUp()
        self.ui.projectButton.setMenu(None)

    # --- the menu

    def _makeMenu(self) -> None:
        self._menu = qt.QMenu(self.ui.projectButton)
        for name, text, slot in (
            ("new", _("New..."), self._onNew),
            ("open", _("Open..."), self._onOpen),
            ("recent", "", None),
            ("sample", _("Sample project..."), self.makeSample),
            ("close", _("Close the project"), self._onClose),
            ("folder", _("Show the folder"), self._onShowFolder),
            ("computer", _("This computer..."), lambda: self.openPage(COMPUTER)),
        ):
            if slot is None:
                self._recentMenu = qt.QMenu(_("Recent projects"), self._menu)
                self._menu.addMenu(self._recentMenu)
            else:
                self._entries[name] = self._addEntry(self._menu, text, slot)
        self.ui.projectButton.setMenu(self._menu)

    def _addEntry(self, menu: Any, text: str, slot: Callable[[], None]) -> Any:
        entry = qt.QAction(text, menu)
        self.connect(entry, "triggered()", slot)
        menu.addAction(entry)
        return entry

    def _showMenu(self, project: ProjectState) -> None:
        hasProject = Action(enabled=bool(project.root))
        for name, action in (
            ("new", project.new),
            ("open", project.open),
            ("sample", project.sample),
            ("close", project.close),
            ("folder", hasProject),
        ):
            self._entries[name].setEnabled(action.enabled)
        self._recentMenu.setEnabled(project.open.enabled and bool(self._recent))

    def _showRecent(self, recent: tuple[str, ...]) -> None:
        if recent == self._recent:
            return
        self._recent = recent
        for action in self._recentActions:
            self.disconnectAll(action)
        self._recentMenu.clear()
        self._recentActions = [
            self._addEntry(self._recentMenu, _recentWords(root), partial(self._openRecent, root))
            for root in recent
        ]
        self.ui.recentList.clear()
        for root in recent:
            item = qt.QListWidgetItem(_recentWords(root))
            item.setData(qt.Qt.UserRole, root)
            item.setToolTip(plain(root))
            self.ui.recentList.addItem(item)
        showVisible(self.ui.recentLabel, bool(recent))
        showVisible(self.ui.recentList, bool(recent))

    # --- slots

    def _onNew(self) -> None:
        if not self.ui.newFolderEdit.currentPath:
            self.ui.newFolderEdit.setCurrentPath(startFolder())
        self.openPage(NEW_PROJECT)
        self.ui.newNameEdit.setFocus()

    def _onCancel(self) -> None:
        self.openPage("cases")

    def _onOpen(self) -> None:
        root = askFolder(self.top, _("Open a project folder"))
        if root:
            self.presenter.project.open(root)

    def _onRecentItem(self) -> None:
        item = self.ui.recentList.currentItem()
        if item is not None:
            self._openRecent(str(item.data(qt.Qt.UserRole)))

    def _openRecent(self, root: str) -> None:
        self.presenter.project.open(root)

    def _onClose(self) -> None:
        self.presenter.project.close()

    def _onShowFolder(self) -> None:
        if self._shown is not None and self._shown.root:
            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(self._shown.root))

    def _onCreate(self) -> None:
        name = self.ui.newNameEdit.text.strip()
        folder = Path(self.ui.newFolderEdit.currentPath) / name
        labels = LabelSchema(self._labels())
        self._madeFrom = self.ui.newSegmentationSelector.currentNode()
        self.presenter.project.new(str(folder), name, labels)

    def _welcome(self) -> None:
        """Show the cases of a project that was just opened, and propose its first one."""
        madeFrom, self._madeFrom = self._madeFrom, None
        self.openPage("cases")
        if madeFrom is not None and slicer.mrmlScene.IsNodePresent(madeFrom):
            self._onMadeFrom(madeFrom)

    # --- the page for a new project

    def _labels(self) -> tuple[LabelClass, ...]:
        node = self.ui.newSegmentationSelector.currentNode()
        if node is not None:
            return labels_of(node)
        names = [name.strip() for name in self.ui.newStructuresEdit.text.split(",")]
        return tuple(
            LabelClass(number, name, DEFAULT_COLORS[(number - 1) % len(DEFAULT_COLORS)])
            for number, name in enumerate((name for name in names if name), start=1)
        )

    def _showCreate(self) -> None:
        missing = self._missing()
        self.ui.createProjectButton.enabled = not missing
        self.ui.createProjectButton.toolTip = plain(missing or _("Create the project and open it"))

    def _missing(self) -> str:
        if not self.ui.newNameEdit.text.strip():
            return _("Give the project a name first")
        if not self.ui.newFolderEdit.currentPath.strip():
            return _("Choose its folder first")
        if not self._labels():
            return _("First choose a segmentation with segments, or name the structures")
        return ""


def _recentWords(root: str) -> str:
    """Return the name of a project's folder, and the folder in which it lies."""
    path = Path(root)
    return _("{name}  (in {folder})").format(name=path.name, folder=path.parent)
