"""The presenter needs no Slicer, Qt, VTK or torch, and makes its state fast."""

import subprocess
import sys
from pathlib import Path

import PseudoLabelCLGui

_REFUSE = """
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"slicer", "qt", "ctk", "vtk", "mrml", "torch", "SimpleITK",
                                  "PySide6", "monai", "scipy"}:
            raise ImportError(f"the presenter imports {name}")

sys.meta_path.insert(0, Refusing())
import PseudoLabelCLGui.presenter
import PseudoLabelCLGui.panel_state
print("fine")
"""


def test_the_presenter_imports_nothing_of_slicer_qt_vtk_or_torch():
    gui = Path(PseudoLabelCLGui.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", _REFUSE],
        cwd=gui, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.strip() == "fine", done.stderr
