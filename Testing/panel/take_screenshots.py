"""Write a picture of the panel in each of its states, light and dark, at 400 pixels of width.

Usage: python Testing/panel/take_screenshots.py FOLDER
"""

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["QT_QPA_PLATFORM"] = "offscreen"
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1]), str(HERE.parents[1] / "PseudoLabelCL")]

import panel_states as states  # noqa: E402 - needs the paths above
import vtk  # noqa: E402 - as above
from a_panel import APanel, RecordingPresenter  # noqa: E402 - as above
from PySide6 import QtGui, QtWidgets  # noqa: E402 - as above
from stand_ins import application  # noqa: E402 - as above
from stand_ins.pythonqt import unwrap  # noqa: E402 - as above

SECTIONS = ("readiness", "cases", "training", "review", "rounds", "use", "export")
# The states with the sections that are unfolded in the picture.
PICTURES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "1-readiness-missing": (states.MISSING, ("readiness",)),
    "2-new-project": (states.NEW, ("readiness", "cases")),
    "2-cases": (states.OPEN, ("readiness", "cases")),
    "2-check": (states.CHECKED, ("cases",)),
    "3-before-training": (states.OPEN, ("training",)),
    "3-training": (states.TRAINING, ("training",)),
    "4-review": (states.REVIEW, ("review",)),
    "4-review-edited": (states.EDITED, ("review",)),
    "5-next-round": (states.REVIEW, ("rounds",)),
    "6-use": (states.REVIEW, ("use",)),
    "6-segmenting": (states.USING, ("use",)),
    "7-export": (states.OPEN, ("export",)),
    "7-export-checked": (states.EXPORT_CHECKED, ("export",)),
    "7-exporting": (states.EXPORTING, ("export",)),
    "message": (states.FAULT, ("readiness", "cases")),
}
UNFOLDED = {
    "1-readiness-missing": ("readinessDetailsBox",),
    "2-cases": ("structuresBox",),
    "3-before-training": ("advancedBox",),
    "3-training": ("logBox",),
}


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
    state, sections = PICTURES[name]
    for section in SECTIONS:
        getattr(panel.ui, f"{section}Section").collapsed = section not in sections
    for box in UNFOLDED.get(name, ()):
        getattr(panel.ui, box).collapsed = False
    panel.show(state)
    if name == "2-new-project":
        panel.click("newProjectButton")
        panel.ui.newFolderEdit.setCurrentPath("/data/projects")
    if name.startswith("4-"):
        show_case(panel, work)
    if name.startswith("7-"):
        panel.ui.exportFormatCombo.setCurrentIndex(2)
        panel.ui.exportDestinationCombo.setCurrentIndex(2)
    if name.startswith("6-"):
        add_volumes()
        panel.tick()
    top = unwrap(panel.panel.top)
    panel.module_widget.window.resize(400, 10)
    panel.settle()
    height = panel.module_widget.window.layout().heightForWidth(400)
    panel.module_widget.window.resize(400, max(height, top.sizeHint().height() + 8))
    for _ in range(3):
        panel.settle()
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
            for name in PICTURES:
                take(folder, name, theme, Path(work) / theme / name)
    print(f"{2 * len(PICTURES)} pictures written")


if __name__ == "__main__":
    main()
