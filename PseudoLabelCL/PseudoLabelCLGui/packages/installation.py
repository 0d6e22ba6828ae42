"""Installing what is missing, step by step, without blocking where Slicer allows it."""

import sys
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from PseudoLabelCLGui.packages.pip_problems import explain_pip_failure
from PseudoLabelCLGui.translation import _
from PseudoLabelCLLib.messages.readiness import REQUIREMENTS, ReadinessReport
from PseudoLabelCLLib.process.line_process import LineProcess

_LONGEST_LOG = 1000
# An installation of one package must not bring another version of these: Slicer and other
# extensions work with what is there.
_KEPT = ("numpy", "SimpleITK", "torch")

# What Slicer offers to install with: requirements, constraints, then one call for each line and
# one with the exit code at the end.
PipInstaller = Callable[
    [list[str], Path | None, Callable[[str], None], Callable[[int], None]], None
]
TorchInstaller = Callable[[str], None]


class InstallError(Exception):
    """An installation failed; the first argument is what happened, the second what to do."""


@dataclass(frozen=True)
class InstallProgress:
    """How far an installation is.

    Args:
        text: What is done now, or the newest line of pip; plain text.
        is_done: Whether it has ended, well or not.
        problem: What went wrong; empty while nothing has.
        remedy: What to do about it.
        needs_restart: Whether Slicer has an older version of a package loaded.
        log: Everything that pip said, for support.
    """

    text: str
    is_done: bool = False
    problem: str = ""
    remedy: str = ""
    needs_restart: bool = False
    log: str = ""


class Installers(Protocol):
    """How packages get into an interpreter."""

    def torch_installer(self) -> TorchInstaller | None:
        """Return Slicer's PyTorch extension, or None if it is not installed."""

    def pip_installer(self) -> PipInstaller | None:
        """Return Slicer's own installer, or None where it would block."""


@dataclass(frozen=True)
class Target:
    """Where packages are installed.

    Args:
        python: The interpreter.
        environment: Variables for its children.
        wheels: A folder of wheel files to install from without a network, or None.
        is_slicers_own: Whether it is the interpreter of the running Slicer.
    """

    python: Path
    environment: Mapping[str, str]
    wheels: Path | None
    is_slicers_own: bool


class Installation:
    """One installation: remove what is broken, then PyTorch, then the other packages.

    Args:
        report: What is missing and broken.
        target: Where to.
        installers: What Slicer offers.
        on_progress: Hears every step; the last one says that it is done.
    """

    def __init__(
        self,
        report: ReadinessReport,
        target: Target,
        installers: Installers,
        on_progress: Callable[[InstallProgress], None],
    ) -> None:
        self._report = report
        self._target = target
        self._installers = installers
        self._on_progress = on_progress
        self._log: list[str] = []
        self._child: LineProcess | None = None
        self._is_waiting = self._is_done = False
        self._constraints: Path | None = None
        self._needs_restart = target.is_slicers_own and _is_any_loaded(report)
        self._steps: deque[Callable[[], None]] = deque(self._plan())

    @property
    def is_done(self) -> bool:
        """Whether nothing will follow."""
        return self._is_done

    def tick(self) -> None:
        """Hear what is there and begin the next step; called from a timer."""
        if self._is_done or self._is_waiting:
            return
        if self._child is not None:
            self._hear_child(self._child)
        elif self._steps:
            self._begin(self._steps.popleft())
        else:
            self._end()

    def stop(self) -> None:
        """End it in the middle; what is half installed is found by the next probe."""
        if self._child is not None:
            self._child.kill()
        self._child = None
        self._is_done = True
        self._forget_constraints()

    def _plan(self) -> list[Callable[[], None]]:
        """Return the steps; each begins something, or does it."""
        steps: list[Callable[[], None]] = []
        if self._report.broken:
            steps.append(self._remove_broken)
        missing = list(self._report.missing)
        torch = [one for one in missing if one.startswith("torch>")]
        others = [one for one in missing if one not in torch]
        if torch and self._target.is_slicers_own and self._target.wheels is None:
            # the extension blocks Slicer, so what is done is shown before it begins
            steps += [self._announce_torch, lambda: self._install_torch(torch[0])]
        elif torch:
            steps.append(lambda: self._run_pip(["install", *torch], _("Installing PyTorch ...")))
        if others:
            steps.append(lambda: self._install_others(others))
        return steps

    def _begin(self, step: Callable[[], None]) -> None:
        try:
            step()
        except InstallError as error:
            self._end(*error.args)
        except OSError as error:
            problem = _("The installer cannot be started: {reason}.").format(
                reason=error.strerror or error
            )
            self._end(problem, _("Choose another Python interpreter."))

    def _remove_broken(self) -> None:
        names = list(self._report.broken)
        text = _("Removing {names} ...").format(names=", ".join(names))
        self._run_pip(["uninstall", "--yes", *names], text)

    def _announce_torch(self) -> None:
        self._tell(_("Installing PyTorch. Slicer will not respond until this is done..."))

    def _install_torch(self, requirement: str) -> None:
        install = self._installers.torch_installer()
        if install is None:
            raise InstallError(
                _("PyTorch comes with the Slicer extension PyTorch, which is not installed yet."),
                get_torch_extension(),
            )
        install(requirement.removeprefix("torch"))

    def _install_others(self, requirements: list[str]) -> None:
        text = _("Installing {names} ...").format(names=", ".join(requirements))
        install = self._installers.pip_installer() if self._target.is_slicers_own else None
        self._constraints = self._write_constraints(requirements)
        if install is None or self._target.wheels is not None:
            keep = ["--constraint", str(self._constraints)] if self._constraints else []
            self._run_pip(["install", *requirements, *keep], text)
            return
        self._tell(text)
        self._is_waiting = True
        install(requirements, self._constraints, self._hear, self._hear_end)

    def _run_pip(self, arguments: Sequence[str], text: str) -> None:
        self._tell(text)
        command = [str(self._target.python), "-m", "pip", *arguments]
        if arguments[0] == "install":
            command += ["--no-input", "--disable-pip-version-check"]
            if self._target.wheels is not None:
                command += ["--no-index", "--find-links", str(self._target.wheels)]
        self._child = LineProcess.start(command, self._target.environment)

    def _hear_child(self, child: LineProcess) -> None:
        for line in child.poll():
            self._hear(line)
        exit_code = child.exit_code
        if exit_code is not None:
            self._child = None
            self._hear_end(exit_code)

    def _hear(self, line: str) -> None:
        self._log.append(line)
        del self._log[:-_LONGEST_LOG]
        if line.strip():
            self._tell(line.strip())

    def _hear_end(self, exit_code: int) -> None:
        self._is_waiting = False
        if exit_code:
            self._end(*explain_pip_failure(self._log))

    def _end(self, problem: str = "", remedy: str = "") -> None:
        self._is_done = True
        self._forget_constraints()
        needs_restart = self._needs_restart and not problem
        text = problem or _("The packages are installed.")
        if needs_restart:
            text = _("{done} Other extensions have older versions loaded: restart Slicer.").format(
                done=text
            )
        log = "\n".join(self._log)
        self._on_progress(InstallProgress(text, True, problem, remedy, needs_restart, log))

    def _tell(self, text: str) -> None:
        self._on_progress(InstallProgress(text, log="\n".join(self._log)))

    def _write_constraints(self, requirements: Sequence[str]) -> Path | None:
        """Write the versions that must stay as they are, or return None if there are none."""
        asked_for = {one.partition(">")[0] for one in requirements}
        lines = [
            f"{name}=={version}\n"
            for name, version in self._report.packages.items()
            if version and name in _KEPT and name not in asked_for
        ]
        if not lines:
            return None
        with tempfile.NamedTemporaryFile(
            "w", suffix=".txt", encoding="utf-8", delete=False
        ) as file:
            file.writelines(lines)
        return Path(file.name)

    def _forget_constraints(self) -> None:
        if self._constraints is not None:
            self._constraints.unlink(missing_ok=True)
            self._constraints = None


def get_torch_extension() -> str:
    """Return how a person gets Slicer's PyTorch extension."""
    return _(
        "Open the Extensions Manager (menu View), search for PyTorch, press Install, restart "
        "Slicer, and press Install here again. Without a network, choose a folder of wheel "
        "files under Project > This computer, or another Python interpreter."
    )


def _is_any_loaded(report: ReadinessReport) -> bool:
    """Return whether this process has loaded a package that will be replaced."""
    replaced = {one.partition(">")[0] for one in report.missing}
    return any(one.module in sys.modules for one in REQUIREMENTS if one.name in replaced)
