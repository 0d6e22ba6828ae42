"""A process with the real panel in it, as Slicer is one, for tests that kill it.

    python Testing/panel/a_slicer_to_kill.py PROJECT review|train

It tells on the standard output, a line each: the processes it started, then what it has done.
"""

import os
import sys
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1]), str(HERE.parents[1] / "PseudoLabelCL")]

import vtk  # noqa: E402 - as all below: needs the paths above
from real_panel import RealPanel  # noqa: E402
from stand_ins import application  # noqa: E402


def main() -> None:
    """Open the project, do one thing, and wait for the end."""
    vtk.vtkObject.GlobalWarningDisplayOff()
    answers = application.Answers()
    application.install(answers)
    panel = RealPanel(answers)
    panel.open(Path(sys.argv[1]))
    {"review": review, "train": train}[sys.argv[2]](panel)
    for child in (*panel.services, *panel.workers):
        print(f"child {child.pid}", flush=True)
    print("done", flush=True)
    while True:
        panel.run_for(1.0)


def review(panel: RealPanel) -> None:
    """Accept the first case, and look at the second."""
    panel.until(lambda state: len(state.review.queue) == 2)
    panel.choose("queueTable", 0)
    panel.click("showCaseButton")
    panel.until(lambda _state: panel.is_shown("other-2"))
    panel.click("acceptButton")
    panel.until(lambda _state: panel.is_shown("other-1"))


def train(panel: RealPanel) -> None:
    """Train until the network learns."""
    panel.until(lambda state: state.train.train.enabled)
    panel.click("trainButton")
    panel.until(lambda state: state.train.loss.x)


if __name__ == "__main__":
    main()
