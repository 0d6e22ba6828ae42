"""Write a picture of the panel in each of its states, light and dark, at 400 x 620 pixels.

Usage: python Testing/panel/take_screenshots.py FOLDER
"""

import os
import sys
import tempfile
import time
from pathlib import Path

os.environ["QT_QPA_PLATFORM"] = "offscreen"
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1]), str(HERE.parents[1] / "PseudoLabelCL")]

import panel_states as states  # noqa: E402 - needs the paths above
import vtk  # noqa: E402 - as above
from a_panel import APanel, RecordingPresenter  # noqa: E402 - as above
from layout_states import EVERYTHING  # noqa: E402 - as above
from PySide6 import QtGui, QtWidgets  # noqa: E402 - as above
from stand_ins import application  # noqa: E402 - as above


def dark_palette() -> QtGui.QPalette:
    """Return the palette of Slicer's dark theme, nearly."""
    palette = QtGui.QPalette()
    role = QtGui.QPalette.ColorRole
    for name, color in (
        (role.Window, "#323232"), (role.Base, "#1e1e1e"), (role.AlternateBase, "#2a2a2a"),
        (role.Button, "#3c3c3c"), (role.WindowText, "#f0f0f0"), (role.Text, "#f0f0f0"),
        (role.ButtonText, "#f0f0f0"), (role.Highlight, "#2a6fb0"), (role.ToolTipBase, "#323232"),
        (role.HighlightedText, "#ffffff"), (role.PlaceholderText, "#909090"),
    ):  # fmt: skip
        palette.setColor(name, QtGui.QColor(color))
    for name in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QtGui.QPalette.ColorGroup.Disabled, name, QtGui.QColor("#808080"))
    return palette


def show_case(panel: APanel, folder: Path) -> None:
    """Let the panel show the phantom case, and wait until it was read."""
    panel.presenter.listeners.on_case_files(states.phantom_files(folder, "heart 4"))
    for _ in range(100):
        time.sleep(0.02)
        panel.tick()
        if panel.panel._review.proposal.case is not None:
            return


def take(folder: Path, name: str, theme: str, work: Path) -> None:
    """Write one picture."""
    answers = application.Answers()
    application.install(answers)
    panel = APanel(RecordingPresenter, answers)
    shown = EVERYTHING[name]
    panel.show(shown.state)
    panel.panel._steps.open(shown.page)
    if shown.may_be_higher:
        show_case(panel, work)
    if shown.page == "use":
        add_volumes()
    shown.prepare(panel)
    for _ in range(10):
        panel.tick()
    panel.module_widget.window.grab().save(str(folder / f"{name}-{theme}.png"))
    panel.close()


def add_volumes() -> None:
    """Put two volumes into the scene."""
    import slicer  # noqa: PLC0415 - the scene is made by then

    for name in ("heart 7", "heart 8"):
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)


def main() -> None:
    """Write all pictures."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    vtk.vtkObject.GlobalWarningDisplayOff()
    app = QtWidgets.QApplication(["panel"])
    app.setStyle("Fusion")
    light = app.palette()
    with tempfile.TemporaryDirectory() as work:
        for theme, palette in (("light", light), ("dark", dark_palette())):
            app.setPalette(palette)
            for name in EVERYTHING:
                take(folder, name, theme, Path(work) / theme / name)
    print(f"{2 * len(EVERYTHING)} pictures written")


if __name__ == "__main__":
    main()
