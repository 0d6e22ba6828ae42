"""The page "This computer": whether it can train, what is missing, which Python trains."""

from pathlib import Path

import qt
import slicer

from PseudoLabelCLGui.packages.installation import InstallProgress
from PseudoLabelCLGui.packages.python_packages import (
    MOST_GPUS_SETTING,
    PYTHON_SETTING,
    WHEELS_SETTING,
    PythonPackages,
    support_text,
)
from PseudoLabelCLGui.panel_state import Light, PanelState, ProjectState, ReadinessState
from PseudoLabelCLGui.sections.parts.asking import confirm
from PseudoLabelCLGui.sections.parts.lights import LightMark
from PseudoLabelCLGui.sections.parts.section import Section, Surroundings
from PseudoLabelCLGui.sections.parts.showing import (
    showAction,
    showField,
    showText,
    showUsable,
    showVisible,
)
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.messages.readiness import ReadinessReport


class ReadinessSection(Section):
    """Shows the readiness line and its details, and installs what is missing after asking.

    Args:
        surroundings: What a section works with.
        packages: Probes interpreters and installs what is missing.
    """

    def __init__(self, surroundings: Surroundings, packages: PythonPackages) -> None:
        super().__init__(surroundings)
        self._packages = packages
        self._light = LightMark(self.ui.readinessLight, surroundings.icon)
        self._shown: ReadinessState | None = None
        self._report: ReadinessReport | None = None
        self._root = ""
        self._installLog = ""
        self._isInstalling = False
        self._authorTip = self.ui.authorEdit.toolTip
        self.connect(self.ui.installButton, "clicked()", self.install)
        self.connect(self.ui.probeButton, "clicked()", self._onProbe)
        self.connect(self.ui.copyReportButton, "clicked()", self._onCopyReport)
        self.connect(self.ui.authorEdit, "editingFinished()", self._onAuthor)
        self.connect(self.ui.pythonPathEdit, "currentPathChanged(QString)", self._onPython)
        self.ui.wheelsFolderEdit.setCurrentPath(str(qt.QSettings().value(WHEELS_SETTING) or ""))
        self.connect(self.ui.wheelsFolderEdit, "currentPathChanged(QString)", self._onWheels)

        kept = str(qt.QSettings().value(MOST_GPUS_SETTING) or "")
        if kept.isdecimal() and int(kept):
            self.presenter.readiness.set_most_gpus(int(kept))
        self.connect(self.ui.mostGpusSpin, "valueChanged(int)", self._onMostGpus)

    def show(self, state: PanelState) -> None:
        """Show the mark, the sentence and the details."""
        readiness = state.readiness
        self._root = state.project.root
        self._showAuthor(state.project)
        if readiness == self._shown or self._isInstalling:
            return
        self._shown = readiness
        self._light.show(readiness.light)
        showText(self.ui.readinessLabel, readiness.sentence)
        showText(self.ui.readinessDetailsLabel, "\n".join(readiness.details))
        showAction(self.ui.installButton, readiness.install)
        showVisible(self.ui.installButton, readiness.install.enabled)
        showAction(self.ui.probeButton, readiness.probe)
        showAction(self.ui.copyReportButton, readiness.copy_report)
        self._showPython(readiness.python)
        self._showGpus(readiness)

    def _showAuthor(self, project: ProjectState) -> None:
        reason = "" if project.root else _("Open a project first")
        showUsable(self.ui.authorEdit, reason, self._authorTip)
        showField(self.ui.authorEdit, project.author)

    def _onAuthor(self) -> None:
        self.presenter.project.sign_verdicts(self.ui.authorEdit.text.strip())

    def probe(self, python: str) -> None:
        """Find out what an interpreter can do, in a child; the answer comes by itself.

        Args:
            python: The interpreter; empty for the chosen one or Slicer's own.
        """
        self._packages.probe(
            self._onReport,
            python=Path(python) if python else None,
            folder=Path(self._root) if self._root else None,
        )

    def install(self) -> None:
        """Ask, then install what is missing."""
        if self._report is None or self._isInstalling:
            return
        missing = self._packages.what_is_missing(self._report)
        if missing.obstacle:
            self.tell(Light.AMBER, missing.obstacle)
        elif missing.names and confirm(missing.question):
            self._isInstalling = True
            self._light.show(Light.WORKING)
            self.ui.installButton.enabled = False
            self._packages.install(self._report, self._onProgress)

    def _onReport(self, report: ReadinessReport) -> None:
        self._report = report
        self.presenter.readiness.found(report)

    def _onProgress(self, progress: InstallProgress) -> None:
        showText(self.ui.readinessLabel, progress.text)
        self._installLog = progress.log
        if not progress.is_done:
            return
        self._isInstalling = False
        self._shown = None
        if progress.problem:
            self.tell(Light.RED, progress.problem, progress.remedy)
        elif progress.needs_restart:
            self.tell(
                Light.AMBER,
                _("Slicer still has an older version of a package loaded."),
                _("Restart Slicer, then open this module again."),
            )
        self.presenter.readiness.probe()

    def _onProbe(self) -> None:
        self.presenter.readiness.probe()

    def _onCopyReport(self) -> None:
        if self._report is not None:
            slicer.app.clipboard().setText(support_text(self._report, self._installLog))

    def _onPython(self) -> None:
        path = self.ui.pythonPathEdit.currentPath.strip()
        if path and not Path(path).is_file():
            return  # the person is still typing
        qt.QSettings().setValue(PYTHON_SETTING, path)
        self.presenter.readiness.set_python(path)

    def _onWheels(self) -> None:
        folder = self.ui.wheelsFolderEdit.currentPath.strip()
        if folder and not Path(folder).is_dir():
            return  # the person is still typing
        qt.QSettings().setValue(WHEELS_SETTING, folder)
        self.presenter.readiness.probe()

    def _onMostGpus(self) -> None:
        number = int(self.ui.mostGpusSpin.value)
        qt.QSettings().setValue(MOST_GPUS_SETTING, number)
        self.presenter.readiness.set_most_gpus(number)

    def _showGpus(self, readiness: ReadinessState) -> None:
        """Show how many GPUs may be used; where there is one at most, there is no choice."""
        spin, hasChoice = self.ui.mostGpusSpin, readiness.num_gpus > 1
        showVisible(self.ui.mostGpusLabel, hasChoice)
        showVisible(spin, hasChoice)
        if not hasChoice:
            return
        spin.blockSignals(True)
        spin.setMaximum(readiness.num_gpus)
        spin.setValue(min(readiness.most_gpus, readiness.num_gpus))
        spin.blockSignals(False)

    def _showPython(self, python: str) -> None:
        edit = self.ui.pythonPathEdit
        if edit.currentPath != python and not edit.focus:
            edit.blockSignals(True)
            edit.setCurrentPath(python)
            edit.blockSignals(False)
