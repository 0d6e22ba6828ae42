"""The panel with its real presenter, service and worker, driven by clicks; knows its children."""

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from a_panel import APanel, NoPackages
from PseudoLabelCLGui.panel_state import Light, PanelState
from PseudoLabelCLGui.presenter import Presenter
from PySide6 import QtCore, QtWidgets
from stand_ins.application import Answers

from PseudoLabelCLLib.messages.readiness import ReadinessReport

LIMIT_S = 120.0
_READY = ReadinessReport(python=sys.executable, torch_works=True, device="CPU", device_kind="cpu")


class ThisPython(NoPackages):
    """An interpreter for service and worker: the one that runs now, or another for the worker.

    Args:
        environment: Variables for both.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__()
        self.environment = dict(environment)
        self.python = Path(sys.executable)

    def default_python(self) -> Path:
        return self.python

    def child_environment(self, _python: Path) -> dict[str, str]:
        return self.environment


class RealPanel(APanel):
    """The panel as in Slicer; `close` leaves no child behind.

    Args:
        answers: What the person answers in dialogs.
        environment: Variables for service and worker.
    """

    def __init__(self, answers: Answers, environment: Mapping[str, str] | None = None) -> None:
        self.services: list[Any] = []
        self.workers: list[Any] = []
        variables = {"OMP_NUM_THREADS": "1"} if environment is None else environment
        super().__init__(self._make_presenter, answers, ThisPython(variables))
        for on_report, _named in self.packages.probed:
            on_report(_READY)
        self.tick()

    @property
    def state(self) -> PanelState:
        """What is shown."""
        return self.presenter.state

    @property
    def said(self) -> tuple[str, str, str]:
        """The words of the message line as they stand on its widgets, and on its button."""
        button = self.widget("messageButton")
        return (
            self.widget("messageLabel").text(),
            self.widget("messageRemedyLabel").text(),
            button.text() if button.isVisible() else "",
        )

    def open(self, root: Path) -> None:
        """Open a project by the button."""
        self.answers.paths = [str(root)]
        self.click("openProjectButton")

    def until(
        self, condition: Callable[[PanelState], object], *, fault: bool = False
    ) -> PanelState:
        """Let the event loop run until something is so; return the state.

        Args:
            condition: Told the state.
            fault: Whether a red message may come before.

        Raises:
            AssertionError: It took too long, or a fault was told.
        """
        end = time.monotonic() + LIMIT_S
        while not condition(self.state):
            message = self.state.message
            assert time.monotonic() < end, message
            assert fault or message.light is not Light.RED, message
            self.run_for(0.01)
        self.tick()  # what the condition waited for is shown now
        return self.state

    def run_for(self, seconds: float) -> None:
        """Let the event loop run."""
        end = time.perf_counter() + seconds
        loop = QtWidgets.QApplication.instance()
        flags = QtCore.QEventLoop.ProcessEventsFlag
        while True:
            loop.processEvents(flags.AllEvents | flags.WaitForMoreEvents)
            if time.perf_counter() >= end:
                return

    def is_idle(self) -> bool:
        """Tell whether neither service nor worker nor a thread is busy."""
        is_reading = self.panel._work.isBusy or self.state.review.is_loading
        return self.state.cases.add.enabled and not self.state.train.is_running and not is_reading

    def is_shown(self, case_id: str) -> bool:
        """Tell whether a case is in the scene."""
        case = self.panel._review.proposal.case
        return case is not None and case.case_id == case_id

    def close(self) -> None:
        """Leave, and leave no child behind."""
        super().close()
        for child in (*self.services, *self.workers):
            child.close(60.0)

    def _make_presenter(
        self, start_service: Any, start_worker: Any, *, scene: Any, recent: Any
    ) -> Presenter:
        def start_a_service() -> Any:
            self.services.append(start_service())
            return self.services[-1]

        def start_a_worker(job: Any, folder: Path) -> Any:
            self.workers.append(start_worker(job, folder))
            return self.workers[-1]

        return Presenter(start_a_service, start_a_worker, scene=scene, recent=recent)
