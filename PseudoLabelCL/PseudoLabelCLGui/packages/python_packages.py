"""Which Python runs the children, whether it can train, and how it gets what it lacks.

Nothing is looked at or installed before it is asked for, and nothing here loads PyTorch.
"""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from PseudoLabelCLGui.packages.installation import (
    Installation,
    Installers,
    InstallProgress,
    Target,
    get_torch_extension,
)
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.messages.readiness import ReadinessReport
from PseudoLabelCLLib.process.python_probe import ProbeProcess, probe_python

PYTHON_SETTING = "PseudoLabelCL/python"
WHEELS_SETTING = "PseudoLabelCL/wheels"
MOST_GPUS_SETTING = "PseudoLabelCL/mostGpus"
TICK_MS = 100
# What Slicer's launcher sets for its own Python and what would lead another one astray; set to
# nothing, each counts as not set.
_SLICERS_OWN = (
    "PYTHONHOME", "PYTHONPATH", "PYTHONNOUSERSITE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
)  # fmt: skip
# Downloads in MB, rounded up; PyTorch brings CUDA's libraries where there is an NVIDIA GPU.
_SIZES_MB = {
    "numpy": 20, "SimpleITK": 55, "scipy": 40, "pillow": 7, "pydicom": 6, "highdicom": 7,
    "jinja2": 1, "monai": 3, "safetensors": 1,
}  # fmt: skip


class Application(Installers, Protocol):
    """What is asked of the application around the panel."""

    def setting(self, key: str) -> str:
        """Return a setting of the user, or an empty text."""

    def startup_environment(self) -> Mapping[str, str]:
        """Return the variables as they were before the launcher added its own."""

    def show_status(self, text: str) -> None:
        """Show one line in the status bar."""

    def start_timer(self, interval_ms: int, callback: Callable[[], None]) -> Callable[[], None]:
        """Call again and again; what is returned stops it."""


@dataclass(frozen=True)
class MissingPackages:
    """What an installation would bring, to be asked about first.

    Args:
        names: The packages with the range that is asked for.
        size: How much is downloaded, in words.
        question: To be answered with yes or no before `install`.
        obstacle: Why it cannot be installed from here, with what to do; empty if it can.
    """

    names: tuple[str, ...]
    size: str
    question: str
    obstacle: str


class PythonPackages:
    """Finds, tries and completes the interpreter; used from the thread of the panel.

    Args:
        application: Slicer, as far as it is asked for something; None takes the running one.
    """

    def __init__(self, application: Application | None = None) -> None:
        self._application = application or _running_slicer()
        self._in_use: Path | None = None
        self._probe: ProbeProcess | None = None
        self._on_report: Callable[[ReadinessReport], None] | None = None
        self._installation: Installation | None = None
        self._stop_timer: Callable[[], None] | None = None

    def use(self, python: Path | None) -> None:
        """Take an interpreter in place of the chosen one, until None; no setting changes."""
        self._in_use = python

    def default_python(self) -> Path:
        """Return the chosen interpreter, or Slicer's own."""
        if self._in_use is not None:
            return self._in_use
        chosen = self._application.setting(PYTHON_SETTING)
        return Path(chosen) if chosen else slicers_python()

    def child_environment(self, python: Path) -> dict[str, str]:
        """Return the variables that a child of an interpreter needs beside those of Slicer.

        An interpreter other than Slicer's gets the variables from before Slicer was started.
        """
        fixed = {"PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
        if _is_same_file(python, slicers_python()):
            return fixed
        before = dict(self._application.startup_environment())
        return {**before, **dict.fromkeys(_SLICERS_OWN, ""), **fixed}

    def probe(
        self,
        on_report: Callable[[ReadinessReport], None],
        *,
        python: Path | None = None,
        folder: Path | None = None,
    ) -> None:
        """Begin to find out what the interpreter can do; a probe that runs is given up for it.

        Args:
            on_report: Hears the report, and once more when the minutes of a round are known
                (`ReadinessReport.is_complete`).
            python: The interpreter; None takes the default.
            folder: Where free disk space counts: the project, or where it will be.
        """
        if self._probe is not None:
            self._probe.kill()
        chosen = python or self.default_python()
        self._on_report = on_report
        self._probe = probe_python(chosen, self.child_environment(chosen), folder=folder)
        self._start_timer()

    def what_is_missing(self, report: ReadinessReport) -> MissingPackages:
        """Return what an installation would bring; empty names if nothing is missing."""
        names = [one.partition(">")[0] for one in report.missing]
        size = _size_in_words(names)
        question = _(
            "These packages will be downloaded ({size}) and installed into the Python "
            "interpreter {python}:\n\n{names}"
        ).format(size=size, python=report.python, names="\n".join(report.missing))
        if "torch" in names and self._is_installed_by_extension(Path(report.python)):
            wait = _("Slicer will not respond while PyTorch is downloaded (2 to 15 minutes).")
            question = f"{question}\n\n{wait}"
        return MissingPackages(report.missing, size, question, self._obstacle(report, names))

    def install(
        self, report: ReadinessReport, on_progress: Callable[[InstallProgress], None]
    ) -> None:
        """Install what a report lacks; ask the user first. Afterwards probe again.

        While something is being installed, nothing is done.

        Args:
            report: The newest report of the probe.
            on_progress: Hears what is done; the last call has `is_done`. The newest line stands
                in the status bar as well.
        """
        if self._installation is not None:
            return

        def hear(progress: InstallProgress) -> None:
            self._application.show_status(progress.text)
            on_progress(progress)

        target = self._target(Path(report.python))
        self._installation = Installation(report, target, self._application, hear)
        self._start_timer()

    def stop(self) -> None:
        """Give up what is running, when the panel goes away."""
        if self._probe is not None:
            self._probe.kill()
        if self._installation is not None:
            self._installation.stop()
        self._probe = self._installation = None
        self._end_timer()

    def tick(self) -> None:
        """Hear the children; the timer calls it."""
        if self._probe is not None:
            report = self._probe.poll()
            if not self._probe.is_running:
                self._probe = None
            if report is not None and self._on_report is not None:
                self._on_report(report)
        if self._installation is not None:
            installation = self._installation
            installation.tick()
            if installation.is_done and self._installation is installation:
                self._installation = None
        if self._probe is None and self._installation is None:
            self._end_timer()

    def _target(self, python: Path) -> Target:
        wheels = self._application.setting(WHEELS_SETTING)
        return Target(
            python,
            self.child_environment(python),
            Path(wheels) if wheels else None,
            _is_same_file(python, slicers_python()),
        )

    def _is_installed_by_extension(self, python: Path) -> bool:
        is_offline = bool(self._application.setting(WHEELS_SETTING))
        return _is_same_file(python, slicers_python()) and not is_offline

    def _obstacle(self, report: ReadinessReport, names: list[str]) -> str:
        if not names:
            return ""
        needs_extension = "torch" in names and self._is_installed_by_extension(Path(report.python))
        if needs_extension and self._application.torch_installer() is None:
            return get_torch_extension()
        return ""

    def _start_timer(self) -> None:
        if self._stop_timer is None:
            self._stop_timer = self._application.start_timer(TICK_MS, self.tick)

    def _end_timer(self) -> None:
        if self._stop_timer is not None:
            self._stop_timer()
        self._stop_timer = None


def slicers_python() -> Path:
    """Return the interpreter of the running Slicer, as a program that a child can be started of."""
    found = shutil.which("PythonSlicer")
    if found:
        return Path(found)
    name = "PythonSlicer.exe" if sys.platform == "win32" else "PythonSlicer"
    beside = Path(sys.executable).parent / name
    return beside if beside.exists() else Path(sys.executable)


def support_text(report: ReadinessReport, install_log: str = "") -> str:
    """Return a report for support, without the name of the user's home folder."""
    lines = [
        f"python: {report.python} ({report.version})",
        *(f"{name}: {version or 'not usable'}" for name, version in report.packages.items()),
        f"device: {report.device} [{report.device_kind}] {report.device_reason}",
        f"memory: {report.memory_bytes}; free disk: {report.free_disk_bytes} bytes",
        f"minutes per round: {report.minutes_per_round}",
        f"problem: {report.problem} {report.remedy}",
        "", report.log, "", install_log,
    ]  # fmt: skip
    return "\n".join(lines).replace(str(Path.home()), "~").strip() + "\n"


def _running_slicer() -> Application:
    from PseudoLabelCLGui.slicer_application import SlicerApplication  # noqa: PLC0415 - needs Qt

    return SlicerApplication()


def _size_in_words(names: list[str]) -> str:
    others_mb = sum(_SIZES_MB.get(name, 1) for name in names)
    others = _("about {size} MB").format(size=max(1, others_mb))
    if "torch" not in names:
        return others
    with_torch = _("PyTorch about 200 MB, or 3 GB with an NVIDIA GPU")
    return f"{with_torch}; {others}" if others_mb > 1 else with_torch


def _is_same_file(one: Path, other: Path) -> bool:
    # links are not followed: the Python of a virtual environment links to the one it was made from
    return os.path.normcase(one.absolute()) == os.path.normcase(other.absolute())
