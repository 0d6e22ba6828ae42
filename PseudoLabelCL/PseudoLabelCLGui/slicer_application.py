"""Slicer as the installer and the probe use it: settings, environment, timer, pip, PyTorch."""

import importlib
import inspect
import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import qt
import slicer

from PseudoLabelCLGui.packages.installation import InstallError, PipInstaller, TorchInstaller
from PseudoLabelCLGui.translation import _


class SlicerApplication:
    """The running Slicer, for `PythonPackages`."""

    def setting(self, key: str) -> str:
        """Return a setting of the user, or an empty text."""
        return str(slicer.util.settingsValue(key, "") or "")

    def startup_environment(self) -> Mapping[str, str]:
        """Return the variables as they were before the launcher added its own."""
        return dict(slicer.util.startupEnvironment())

    def show_status(self, text: str) -> None:
        """Show one line in the status bar; without a main window there is none."""
        if slicer.util.mainWindow() is not None:
            slicer.util.showStatusMessage(text)

    def start_timer(self, interval_ms: int, callback: Callable[[], None]) -> Callable[[], None]:
        """Call again and again; what is returned stops it."""
        timer = qt.QTimer()
        timer.setInterval(interval_ms)
        timer.connect("timeout()", callback)
        timer.start()

        def stop() -> None:
            timer.stop()  # a timer that nobody holds would never fire

        return stop

    def torch_installer(self) -> TorchInstaller | None:
        """Return Slicer's PyTorch extension, or None if it is not installed."""
        try:
            utils = importlib.import_module("PyTorchUtils")
        except ImportError:
            return None
        logic = utils.PyTorchUtilsLogic()
        return lambda version_range: _install_torch(logic.installTorch, version_range)

    def pip_installer(self) -> PipInstaller | None:
        """Return Slicer's own installer; before Slicer 5.12 it blocks, so pip runs in a child."""
        try:
            packaging = importlib.import_module("slicer.packaging")
        except ImportError:
            return None
        return partial(_install_packages, packaging.pip_install)


def _install_packages(
    pip_install: Callable[..., object],
    requirements: list[str],
    constraints: Path | None,
    on_line: Callable[[str], None],
    on_end: Callable[[int], None],
) -> None:
    """Call Slicer's installer.

    Raises:
        InstallError: It is busy, or failed at once.
    """
    try:
        pip_install(
            requirements,
            constraints=constraints,
            blocking=False,
            show_progress=True,
            requester="PseudoLabelCL",
            logCallback=on_line,
            completedCallback=on_end,
        )
    except (RuntimeError, subprocess.CalledProcessError) as error:
        raise InstallError(
            _("Slicer's package installer refused: {reason}.").format(reason=error),
            _("Wait until other installations have finished, then press Install again."),
        ) from error
    if slicer.app.testingEnabled():
        on_end(0)  # a Slicer that runs tests waits for pip and calls nobody back


def _install_torch(install: Callable[..., object], version_range: str) -> None:
    """Call the extension with those of its arguments that its version has.

    Raises:
        InstallError: It did not install PyTorch.
    """
    known = inspect.signature(install).parameters
    wanted = {"askConfirmation": False, "torchVersionRequirement": version_range}
    try:
        installed = install(**{key: value for key, value in wanted.items() if key in known})
    except (subprocess.CalledProcessError, ImportError, OSError, RuntimeError, ValueError) as error:
        raise InstallError(
            _("The PyTorch extension could not install PyTorch: {reason}.").format(reason=error),
            _(
                "Its messages are in Slicer's Python console. Restart Slicer and try again, or "
                "choose another Python interpreter."
            ),
        ) from error
    if installed is None:
        raise InstallError(
            _("The PyTorch extension did not install PyTorch."),
            _("Its messages are in Slicer's Python console; press Install to try again."),
        )
