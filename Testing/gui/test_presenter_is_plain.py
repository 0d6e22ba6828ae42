"""The presenter needs no Slicer, Qt, VTK or torch, and leaves the actions to its parts."""

import ast
import inspect
import subprocess
import sys
import textwrap
from pathlib import Path

import PseudoLabelCLGui
from PseudoLabelCLGui.presenter import Presenter

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


def delegating_methods(cls: type) -> list[str]:
    """Names of the methods whose whole body is one call of a method of one of their attributes."""
    found = []
    for one in inspect.getmro(cls)[:-1]:
        tree = ast.parse(textwrap.dedent(inspect.getsource(one)))
        for method in tree.body[0].body:
            if isinstance(method, ast.FunctionDef):
                body = method.body[1:] if ast.get_docstring(method) else method.body
                call = getattr(body[0], "value", None) if len(body) == 1 else None
                target = call.func if isinstance(call, ast.Call) else None
                is_on_attribute = isinstance(target, ast.Attribute) and isinstance(
                    target.value, ast.Attribute
                )
                if is_on_attribute:
                    found.append(method.name)
    return found


class Facade:
    def __init__(self, part):
        self.part = part

    def act(self, what):
        """Do it."""
        return self.part.act(what)

    def act_twice(self, what):
        self.part.act(what)
        self.part.act(what)

    def own(self):
        return self.act(1)


def test_a_method_that_only_passes_a_call_on_is_found():
    assert delegating_methods(Facade) == ["act"]


def test_no_method_of_the_presenter_only_passes_a_call_on_to_one_of_its_parts():
    assert delegating_methods(Presenter) == []
