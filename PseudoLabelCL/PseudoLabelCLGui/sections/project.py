"""The project's line above the cases: make, open, close, and a sample to try."""

from pathlib import Path

import slicer

from PseudoLabelCLGui.mrml_bridge import labels_of
from PseudoLabelCLGui.panel_state import PanelState, ProjectState
from PseudoLabelCLGui.sections.asking import askFolder
from PseudoLabelCLGui.sections.section import Section, Surroundings
from PseudoLabelCLGui.sections.showing import showAction, showText, showVisible
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.domain.segmentation import DEFAULT_COLORS, LabelClass, LabelSchema


class ProjectSection(Section):
    """The buttons around a project, and the small form for a new one."""

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._shown: ProjectState | None = None
        showVisible(self.ui.newProjectBox, visible=False)
        self.connect(self.ui.newProjectButton, "clicked()", self._onNew)
        self.connect(self.ui.openProjectButton, "clicked()", self._onOpen)
        self.connect(self.ui.closeProjectButton, "clicked()", self._onClose)
        self.connect(self.ui.sampleProjectButton, "clicked()", self._onSample)
        self.connect(self.ui.createProjectButton, "clicked()", self._onCreate)
        self.connect(self.ui.cancelProjectButton, "clicked()", self._onCancel)
        self.connect(self.ui.newNameEdit, "textChanged(QString)", self._showCreate)
        self.connect(self.ui.newFolderEdit, "currentPathChanged(QString)", self._showCreate)
        self.connect(self.ui.newStructuresEdit, "textChanged(QString)", self._showCreate)
        self.connect(
            self.ui.newSegmentationSelector, "currentNodeChanged(vtkMRMLNode*)", self._showCreate
        )
        self._showCreate()

    def show(self, state: PanelState) -> None:
        """Show which project is open and what can be done with it."""
        project = state.project
        if project == self._shown:
            return
        if project.root and (self._shown is None or self._shown.root != project.root):
            showVisible(self.ui.newProjectBox, visible=False)
        self._shown = project
        name = _("Project: {name}").format(name=project.name)
        showText(self.ui.projectLabel, name if project.root else _("No project is open."))
        self.ui.projectLabel.toolTip = project.root
        showAction(self.ui.newProjectButton, project.new)
        showAction(self.ui.openProjectButton, project.open)
        showAction(self.ui.closeProjectButton, project.close)
        showAction(self.ui.sampleProjectButton, project.sample)

    def _onNew(self) -> None:
        if not self.ui.newFolderEdit.currentPath:
            self.ui.newFolderEdit.setCurrentPath(slicer.app.defaultScenePath)
        showVisible(self.ui.newProjectBox, visible=True)
        self.ui.newNameEdit.setFocus()

    def _onCancel(self) -> None:
        showVisible(self.ui.newProjectBox, visible=False)

    def _onOpen(self) -> None:
        root = askFolder(self.top, _("Open a project folder"), slicer.app.defaultScenePath)
        if root:
            self.presenter.open_project(root)

    def _onClose(self) -> None:
        self.presenter.close_project()

    def _onSample(self) -> None:
        title = _("Where shall the sample project lie?")
        folder = askFolder(self.top, title, slicer.app.defaultScenePath)
        if folder:
            self.presenter.make_sample_project(folder)

    def _onCreate(self) -> None:
        name = self.ui.newNameEdit.text.strip()
        folder = Path(self.ui.newFolderEdit.currentPath) / name
        self.presenter.new_project(str(folder), name, LabelSchema(self._labels()))

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
        self.ui.createProjectButton.toolTip = missing or _("Make the project and open it")

    def _missing(self) -> str:
        if not self.ui.newNameEdit.text.strip():
            return _("Give the project a name first")
        if not self.ui.newFolderEdit.currentPath.strip():
            return _("Say in which folder it shall lie first")
        if not self._labels():
            return _("Choose a segmentation with segments, or name the structures, first")
        return ""
