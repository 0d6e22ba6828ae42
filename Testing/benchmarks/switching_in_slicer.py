"""Switching between cases in the real application: how long, and how long its window stands still.

    Slicer --no-splash --additional-module-paths PseudoLabelCL \\
        --python-script Testing/benchmarks/switching_in_slicer.py PROJECT [TIMES] [PYTHON]

takes a project that `case_switching.py --output FOLDER` made (FOLDER/project), goes to and fro
between its cases in review and prints one row for each switch: seconds, the longest gaps of the
event loop, and the longest time of the panel's own Python within one of its calls, the rest being
Slicer's. The same script run with the module of an older version measures that.
"""

import cProfile
import os
import pstats
import sys
import time
from pathlib import Path

import qt
import slicer

LIMIT_S = 300.0


def waited_for_core_s():
    """Return how long this thread could have run but other processes had the cores."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text("ascii").split()[1]) / 1e9
    except OSError:
        return 0.0


class Watch:
    """A timer of 10 ms that keeps the time between its calls, with and without waiting."""

    def __init__(self):
        self._timer = qt.QTimer()
        self._timer.setInterval(10)
        self._timer.connect("timeout()", self._tick)

    def start(self):
        self.gaps, self._last, self._waited = [], time.perf_counter(), waited_for_core_s()
        self._timer.start()

    def stop(self):
        self._tick()
        self._timer.stop()
        wall, own = ([round(1e3 * one[n]) for one in self.gaps] for n in (0, 1))
        return sorted(wall)[:-4:-1], sorted(own)[:-4:-1]

    def _tick(self):
        now, waited = time.perf_counter(), waited_for_core_s()
        gap = now - self._last
        self.gaps.append((gap, gap - (waited - self._waited)))
        self._last, self._waited = now, waited


class OwnTime:
    """Time that the panel's Python spends itself in one call, without what it calls of Slicer."""

    def __init__(self, owner, names):
        self.longest_ms = 0.0
        for name in names:
            setattr(owner, name, self._timed(getattr(owner, name)))

    def _timed(self, call):
        def timed(*arguments, **named):
            profile = cProfile.Profile(lambda: time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID))
            profile.enable()
            try:
                return call(*arguments, **named)
            finally:
                profile.disable()
                stats = pstats.Stats(profile).stats
                own = sum(v[2] for key, v in stats.items() if "PseudoLabelCL" in key[0])
                self.longest_ms = max(self.longest_ms, 1e3 * own)

        return timed


def until(condition):
    """Let the application live until something is so."""
    end = time.monotonic() + LIMIT_S
    while not condition():
        slicer.app.processEvents(qt.QEventLoop.AllEvents | qt.QEventLoop.WaitForMoreEvents, 20)
        if time.monotonic() > end:
            raise SystemExit("it took too long")


def run_for(seconds):
    """Let the application live."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() > end)


def is_shown(case, before, case_id):
    """Tell whether another case is in the views than before, the wanted one."""
    return case is not None and case is not before and case.case_id == case_id


def main():
    """Open the project, switch, print."""
    arguments = [one for one in sys.argv[1:] if not one.startswith("--")]
    root, times = arguments[0], int(arguments[1]) if len(arguments) > 1 else 6
    if len(arguments) > 2:
        qt.QSettings().setValue("PseudoLabelCL/python", arguments[2])
    slicer.util.selectModule("PseudoLabelCL")
    panel = slicer.modules.PseudoLabelCLWidget.panel
    review, presenter, watch = panel._review, panel.presenter, Watch()
    presenter.project.open(root)
    until(lambda: len(presenter.state.review.queue) >= 2)
    cases = [row.case_id for row in presenter.state.review.queue[:2]]
    own = OwnTime(review, ("_put", "leaveCase", "showFiles", "tick"))
    for number in range(times + 2):  # the first two are shown for the first time
        before, case_id = review.proposal.case, cases[number % 2]
        run_for(4.0)  # the service makes the files of the next one ready
        own.longest_ms = 0.0
        watch.start()
        start = time.perf_counter()
        presenter.review.show_case(case_id)
        until(lambda b=before, c=case_id: is_shown(review.proposal.case, b, c))
        seconds = time.perf_counter() - start
        run_for(1.5)
        wall, less = watch.stop()
        first = " (first time)" if number < 2 else ""
        print(
            f"SWITCH {case_id}{first}: {seconds:.2f} s, gaps {wall} ms, less waiting {less} ms, "
            f"own code at most {own.longest_ms:.0f} ms at a time",
            flush=True,
        )
    os._exit(0)


main()
