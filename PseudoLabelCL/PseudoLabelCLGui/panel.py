"""The panel: loads the .ui file, wires its sections to the presenter, and shows its state."""

import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import qt
import slicer

from PseudoLabelCLGui.mrml_bridge import ShownCase, volume_of_case
from PseudoLabelCLGui.packages.python_packages import PythonPackages
from PseudoLabelCLGui.panel_state import Light, PanelState
from PseudoLabelCLGui.parameter_node import ParameterNode
from PseudoLabelCLGui.presenter import Presenter
from PseudoLabelCLGui.sections.cases.adding import AddingSection
from PseudoLabelCLGui.sections.cases.cases import CasesSection
from PseudoLabelCLGui.sections.cases.further import FurtherSection
from PseudoLabelCLGui.sections.cases.segmented import SegmentedVolumes
from PseudoLabelCLGui.sections.cases.structures import StructuresSection
from PseudoLabelCLGui.sections.parts.background_work import BackgroundWork
from PseudoLabelCLGui.sections.parts.remembering import RememberedProjects
from PseudoLabelCLGui.sections.parts.section import Section, Surroundings
from PseudoLabelCLGui.sections.project.head import HeadSection
from PseudoLabelCLGui.sections.project.message import MessageSection
from PseudoLabelCLGui.sections.project.project import ProjectSection
from PseudoLabelCLGui.sections.project.readiness import ReadinessSection
from PseudoLabelCLGui.sections.project.steps import StepsSection
from PseudoLabelCLGui.sections.review.review import ReviewSection
from PseudoLabelCLGui.sections.train.rounds import RoundsSection
from PseudoLabelCLGui.sections.train.training import TrainingSection
from PseudoLabelCLGui.sections.use.exporting import ExportSection
from PseudoLabelCLGui.sections.use.use import UseSection
from PseudoLabelCLGui.ticker import Ticker
from PseudoLabelCLLib.messages.jobs import Job
from PseudoLabelCLLib.messages.project_view import ProjectView
from PseudoLabelCLLib.process.service_process import ServiceProcess
from PseudoLabelCLLib.process.worker_process import WorkerProcess


class Panel:
    """Everything between the module's widget and the presenter.

    Args:
        moduleWidget: The ScriptedLoadableModuleWidget, with the layout that the panel goes into.
        resourcePath: Returns where a file of the extension's Resources lies.
        packages: The interpreters; those of the running Slicer by default.
        makePresenter: Makes the presenter from the starters of its two children.
    """

    def __init__(
        self,
        moduleWidget: Any,
        resourcePath: Callable[[str], str],
        packages: PythonPackages | None = None,
        makePresenter: Callable[..., Presenter] = Presenter,
    ) -> None:
        self._moduleWidget = moduleWidget
        self._resourcePath = resourcePath
        self.packages = packages or PythonPackages()
        self._makePresenter = makePresenter
        self._folder = Path(tempfile.mkdtemp(prefix="PseudoLabelCL-"))
        self._parameterNode = ParameterNode()
        self._observers: list[int] = []
        self._isEntered = False
        self._offeredProject = ""
        self._shownState: PanelState | None = None
        self.sections: tuple[Section, ...] = ()

    @property
    def shownCase(self) -> ShownCase | None:
        """The case in the views, or None."""
        return self._review.proposal.case

    def setUp(self) -> None:
        """Build the panel; nothing is started or looked at before the module is shown."""
        self.top = slicer.util.loadUI(self._resourcePath("UI/PseudoLabelCL.ui"))
        self._moduleWidget.layout.addWidget(self.top)
        self.ui = slicer.util.childWidgetVariables(self.top)
        self.top.setMRMLScene(slicer.mrmlScene)
        self.presenter = self._makePresenter(
            self._startService, self._startWorker, scene=self, recent=RememberedProjects()
        )
        self._makeSections()
        self._listen()
        self._observeScene()
        self._ticker = Ticker(self._onTick)
        self._show()
        # Reload builds the panel anew in a module that is shown already; nobody calls `enter` then
        if getattr(getattr(self._moduleWidget, "parent", None), "isEntered", False):
            self.enter()

    def enter(self) -> None:
        """The module is shown: look at the computer once, and ask about the scene's project."""
        isFirst = not self._isEntered
        self._isEntered = True
        for section in self.sections:
            section.enter()
        self._ticker.start()
        if isFirst:
            self.presenter.readiness.probe()
        self._offerProjectOfScene()

    def exit(self) -> None:
        """Another module is shown; training continues and is followed."""
        for section in self.sections:
            section.exit()

    def cleanUp(self) -> None:
        """The module goes away: a running training saves and stops, and nothing is waited for."""
        self.exit()
        self._ticker.cleanUp()
        self._work.wait()
        self.presenter.shut_down()
        self.packages.stop()
        for tag in self._observers:
            slicer.mrmlScene.RemoveObserver(tag)
        self._observers = []
        for section in self.sections:
            section.cleanUp()
        self.top.hide()
        self.top.setMRMLScene(None)
        shutil.rmtree(self._folder, ignore_errors=True)

    def onReload(self) -> None:
        """The module's files are about to be read again; Slicer calls `cleanUp` afterwards."""
        self._ticker.stop()

    def makeSampleProject(self) -> None:
        """Ask where, and make a project from phantoms."""
        self._project.makeSample()

    # What the presenter asks of the scene; its names are the presenter's.

    def has_image(self, case_id: str) -> bool:  # noqa: D102 - presenter.ports.SceneFiles
        return volume_of_case(self.presenter.state.project.root, case_id) is not None

    def temporary_folder(self) -> Path:  # noqa: D102 - presenter.ports.SceneFiles
        return self._folder

    def _startService(self) -> ServiceProcess:
        python = self.packages.default_python()
        return ServiceProcess.start(python, self.packages.child_environment(python))

    def _startWorker(self, job: Job, folder: Path) -> WorkerProcess:
        python = self.packages.default_python()
        environment = self.packages.child_environment(python)
        return WorkerProcess.start(job, folder, python=python, environment=environment)

    def _makeSections(self) -> None:
        surroundings = Surroundings(
            ui=self.ui,
            top=self.top,
            presenter=self.presenter,
            tell=self._tell,
            icon=lambda name: self._resourcePath(f"Icons/{name}"),
            openPage=lambda name: self._steps.open(name),  # noqa: PLW0108 - made below
        )
        self._message = MessageSection(surroundings)
        self._work = BackgroundWork(self._message.guard)
        self._steps = StepsSection(surroundings)
        self._head = HeadSection(surroundings)
        self._further = FurtherSection(surroundings, self._work, self._folder / "volumes")
        self._cases = CasesSection(surroundings, self._further.open)
        self._review = ReviewSection(surroundings, self._work, self._folder)
        self._adding = AddingSection(surroundings, self._work, self._folder / "volumes")
        self._structures = StructuresSection(surroundings)
        toSegment = self._folder / "to-segment"
        self._use = UseSection(surroundings, self._work, toSegment, self._folder / "segmented")
        self._segmented = SegmentedVolumes(
            self._work, toSegment, self._folder, lambda: self.presenter.state.use.labels,
            self._review.proposal.stage,
        )  # fmt: skip
        self._export = ExportSection(surroundings, self._showStructures)
        self._readiness = ReadinessSection(surroundings, self.packages)
        self._training = TrainingSection(surroundings)
        self._rounds = RoundsSection(surroundings)
        self._project = ProjectSection(surroundings, self._adding.propose)
        self.sections = (
            self._message,
            self._head,
            self._steps,
            self._readiness,
            self._project,
            self._cases,
            self._further,
            self._adding,
            self._structures,
            self._training,
            self._review,
            self._rounds,
            self._use,
            self._export,
        )
        self._ticking = (
            self._head, self._steps, self._structures, self._training, self._review,
            self._rounds, self._use,
        )  # fmt: skip

    def _openStep(self, step: str) -> None:
        if step == "use" and self.presenter.state.export.results:
            self._steps.openExport()
        else:
            self._steps.open(step)

    def _showStructures(self) -> None:
        """Show the table in which the terminology of structures is edited."""
        self._steps.open("cases")
        self._cases.showStructures()

    def _tell(self, light: Light, text: str, *rest: Any) -> None:
        self._message.tellOwn(light, text, *rest)

    def _listen(self) -> None:
        guard = self._message.guard
        listeners = self.presenter.listeners
        listeners.on_case_files = lambda files: guard(lambda: self._review.showFiles(files))
        listeners.on_case_left = lambda case_id, discard: guard(
            lambda: self._review.leaveCase(case_id, discard)
        )
        listeners.on_verdict_saved = self._review.verdictSaved
        listeners.on_correction_wanted = lambda left: guard(
            lambda: self._review.saveCorrection(left)
        )
        listeners.on_project_opened = self._onProjectOpened
        listeners.on_project_closed = self._onProjectClosed
        listeners.on_segmented = lambda image, file: guard(
            lambda: self._segmented.show(image, file)
        )
        listeners.on_dicom_written = lambda files: guard(
            lambda: self._export.importIntoDatabase(files)
        )
        listeners.on_found = lambda found: guard(lambda: self._adding.showFound(found))
        listeners.on_probe_wanted = lambda python: guard(lambda: self._readiness.probe(python))
        listeners.on_install_wanted = lambda: guard(self._readiness.install)
        listeners.on_folder_wanted = _openFolder
        listeners.on_step_wanted = lambda step: guard(lambda: self._openStep(step))

    def _observeScene(self) -> None:
        events = slicer.vtkMRMLScene
        for event, slot in (
            (events.StartCloseEvent, self._onSceneStartClose),
            (events.EndCloseEvent, self._onSceneEndClose),
            (events.EndImportEvent, self._onSceneEndImport),
        ):
            self._observers.append(slicer.mrmlScene.AddObserver(event, slot))

    def _onTick(self) -> None:
        self._work.tick()
        self.presenter.tick()
        # not by what `tick` says: an action between two ticks changes the state as well
        if self.presenter.state is not self._shownState:
            self._show()
        for section in self._ticking:
            section.guard(section.tick)

    def _show(self) -> None:
        state = self._shownState = self.presenter.state
        for section in self.sections:
            section.guard(partial(section.show, state))

    def _onProjectOpened(self, view: ProjectView) -> None:
        self._parameterNode.rememberProject(view.root)

    def _onProjectClosed(self) -> None:
        self._parameterNode.rememberProject("")
        self._steps.open("cases")  # where the next project is made or opened

    def _offerProjectOfScene(self) -> None:
        """Ask about the project of a scene, once: who does not want it now is not asked again."""
        root = self._parameterNode.project()
        if root and root != self._offeredProject and not self.presenter.state.project.root:
            self._offeredProject = root
            self.presenter.project.offer(root)

    def _onSceneStartClose(self, _caller: Any, _event: str) -> None:
        self._review.sceneClosing()

    def _onSceneEndClose(self, _caller: Any, _event: str) -> None:
        self._offeredProject = ""
        self.presenter.project.withdraw()
        for section in (self._structures, self._training, self._rounds):
            section.sceneClosed()
        state = self.presenter.state
        if state.train.is_running:
            # The training goes on without the scene; the new scene belongs to it from now on.
            self._parameterNode.rememberProject(state.project.root)
        elif state.project.root:
            self.presenter.project.close()
        self._show()

    def _onSceneEndImport(self, _caller: Any, _event: str) -> None:
        self._offeredProject = ""
        if self._isEntered:
            self._offerProjectOfScene()


def _openFolder(folder: str) -> None:
    qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(folder))
