"""A watch on the event loop of the real panel, which runs under an offscreen Qt."""

import faulthandler
import os
import sys
import time
from pathlib import Path
from typing import TextIO

import numpy as np

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
_ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_ROOT / "Testing" / "panel"), str(_ROOT / "PseudoLabelCL")]

import vtk  # noqa: E402 - as all below: needs the paths above
from PySide6 import QtCore  # noqa: E402
from real_panel import RealPanel  # noqa: E402
from stand_ins import application  # noqa: E402

TICK_MS = 10
# What a person begins to notice.
STALL_MS = 50.0


def a_real_panel() -> RealPanel:
    """Return the panel over an empty scene, shown and entered."""
    vtk.vtkObject.GlobalWarningDisplayOff()
    answers = application.Answers()
    application.install(answers)
    return RealPanel(answers)


def waited_for_core_s() -> float:
    """Return how long this thread could have run but other processes had the cores."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text("ascii").split()[1]) / 1e9
    except OSError:
        return 0.0


class LoopWatch:
    """A timer of 10 ms that keeps the time between its calls.

    Also kept is that time less what the thread waited for a free core (on Linux, where the system
    counts it): on a machine that others use too, this is what the panel itself needed.

    Args:
        trace: Where the stack is written whenever a gap gets longer than 50 ms, or None.
    """

    def __init__(self, trace: TextIO | None = None) -> None:
        self._trace = trace
        self._last_s = self._last_waited_s = 0.0
        self._gaps_ms: list[float] = []
        self._own_ms: list[float] = []
        self._timer = QtCore.QTimer()
        self._timer.setTimerType(QtCore.Qt.TimerType.PreciseTimer)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._tick)

    def start(self) -> None:
        """Begin anew."""
        self._gaps_ms, self._own_ms = [], []
        self._last_s, self._last_waited_s = time.perf_counter(), waited_for_core_s()
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
            "largest_own_ms": max(self._own_ms),
            "num_own_over_50_ms": sum(own > STALL_MS for own in self._own_ms),
        }

    def _tick(self) -> None:
        now_s, waited_s = time.perf_counter(), waited_for_core_s()
        self._gaps_ms.append(1000 * (now_s - self._last_s))
        self._own_ms.append(self._gaps_ms[-1] - 1000 * (waited_s - self._last_waited_s))
        self._last_s, self._last_waited_s = now_s, waited_s
        if self._trace is not None:
            faulthandler.cancel_dump_traceback_later()
            if self._gaps_ms[-1] > STALL_MS:
                gap, own = self._gaps_ms[-1], self._own_ms[-1]
                self._trace.write(f"--- gap {gap:.0f} ms, {own:.0f} ms of it its own\n")
                self._trace.flush()
            faulthandler.dump_traceback_later(STALL_MS / 1000, file=self._trace)
