"""The real panel with real desk and worker under an offscreen Qt, and a watch on its event loop."""

import faulthandler
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
_ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_ROOT / "Testing" / "panel"), str(_ROOT / "PseudoLabelCL")]

import vtk  # noqa: E402 - needs the paths above
from a_panel import APanel, NoPackages  # noqa: E402 - as above
from PseudoLabelCLGui.panel_state import Light, PanelState  # noqa: E402 - as above
from PseudoLabelCLGui.presenter import Presenter  # noqa: E402 - as above
from PySide6 import QtCore, QtWidgets  # noqa: E402 - as above
from stand_ins import application  # noqa: E402 - as above

from PseudoLabelCLLib.domain.readiness import ReadinessReport  # noqa: E402 - as above

TICK_MS = 10
# What a person begins to notice.
STALL_MS = 50.0


class ThisPython(NoPackages):
    """The interpreter that runs the benchmark, for desk and worker.

    Args:
        environment: Variables for both.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__()
        self._environment = dict(environment)

    def default_python(self) -> Path:
        return Path(sys.executable)

    def child_environment(self, _python: Path) -> dict[str, str]:
        return self._environment


class RealPanel(APanel):
    """The panel as in Slicer, driven by clicks, that remembers its children.

    Args:
        environment: Variables for desk and worker.
        on_worker: Told the process number of every worker.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        on_worker: Callable[[int], None] = lambda _pid: None,
    ) -> None:
        vtk.vtkObject.GlobalWarningDisplayOff()
        self.children: list[Any] = []
        self._on_worker = on_worker
        answers = application.Answers()
        application.install(answers)
        super().__init__(self._make_presenter, answers, ThisPython(environment))

    def is_ready(self) -> None:
        """Let the panel believe that this computer can train."""
        report = ReadinessReport(
            python=sys.executable, torch_works=True, device="CPU", device_kind="cpu"
        )
        for on_report, _named in self.packages.probed:
            on_report(report)

    def until(self, condition: Callable[[PanelState], bool], limit_s: float = 600.0) -> float:
        """Let the event loop run until something is so; return the seconds.

        Raises:
            RuntimeError: A fault was told, or it took too long.
        """
        start = time.perf_counter()
        while not condition(self.presenter.state):
            message = self.presenter.state.message
            if message.light is Light.RED or time.perf_counter() - start > limit_s:
                raise RuntimeError(f"The panel did not come there: {message}")
            self.run_for(0.001)
        return time.perf_counter() - start

    def run_for(self, seconds: float) -> None:
        """Let the event loop run."""
        end = time.perf_counter() + seconds
        loop = QtWidgets.QApplication.instance()
        assert loop is not None
        while True:
            flags = QtCore.QEventLoop.ProcessEventsFlag
            loop.processEvents(flags.AllEvents | flags.WaitForMoreEvents)
            if time.perf_counter() >= end:
                return

    def is_idle(self) -> bool:
        """Tell whether neither desk nor worker nor a thread is busy."""
        state = self.presenter.state
        is_reading = self.panel._work.isBusy or state.review.is_loading
        return state.cases.add.enabled and not state.train.is_running and not is_reading

    def close(self) -> None:
        """Leave, and leave no child behind."""
        super().close()
        for child in self.children:
            child.close(60.0)

    def _make_presenter(self, start_desk: Any, start_worker: Any, *, scene: Any) -> Presenter:
        def start(job: Any, folder: Path) -> Any:
            worker = start_worker(job, folder)
            self.children.append(worker)
            self._on_worker(worker.pid)
            return worker

        def start_a_desk() -> Any:
            self.children.append(start_desk())
            return self.children[-1]

        return Presenter(start_a_desk, start, scene=scene)


class LoopWatch:
    """A timer of 10 ms that keeps the time between its calls, and the processor's time in it.

    On a machine that others use too, the second tells what the panel itself did.

    Args:
        trace: Where the stack is written whenever a gap gets longer than 50 ms, or None.
    """

    def __init__(self, trace: TextIO | None = None) -> None:
        self._trace = trace
        self._last_s = self._last_work_s = 0.0
        self._gaps_ms: list[float] = []
        self._works_ms: list[float] = []
        self._timer = QtCore.QTimer()
        self._timer.setTimerType(QtCore.Qt.TimerType.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)

    def start(self) -> None:
        """Begin anew."""
        self._gaps_ms, self._works_ms = [], []
        self._last_s, self._last_work_s = time.perf_counter(), time.thread_time()
        self._timer.start()

    def stop(self) -> dict[str, float]:
        """Return the figures in milliseconds."""
        self._tick()
        self._timer.stop()
        if self._trace is not None:
            faulthandler.cancel_dump_traceback_later()
        gaps = np.asarray(self._gaps_ms)
        return {
            "num_gaps": len(gaps),
            "largest_ms": float(gaps.max()),
            "percentile_99_ms": float(np.percentile(gaps, 99)),
            "median_ms": float(np.median(gaps)),
            "num_over_50_ms": int(np.count_nonzero(gaps > STALL_MS)),
            "largest_work_ms": max(self._works_ms),
            "num_work_over_50_ms": sum(work > STALL_MS for work in self._works_ms),
        }

    def _tick(self) -> None:
        now_s, work_s = time.perf_counter(), time.thread_time()
        self._gaps_ms.append(1000 * (now_s - self._last_s))
        self._works_ms.append(1000 * (work_s - self._last_work_s))
        self._last_s, self._last_work_s = now_s, work_s
        if self._trace is not None:
            faulthandler.cancel_dump_traceback_later()
            if self._gaps_ms[-1] > STALL_MS:
                gap, work = self._gaps_ms[-1], self._works_ms[-1]
                self._trace.write(f"--- gap {gap:.0f} ms, own work {work:.0f} ms\n")
                self._trace.flush()
            faulthandler.dump_traceback_later(STALL_MS / 1000, file=self._trace)
