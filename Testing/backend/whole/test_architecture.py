"""The layers, and what no import of a user interface may load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

import PseudoLabelCLLib

LIBRARY = Path(PseudoLabelCLLib.__file__).parent
REPOSITORY = LIBRARY.parent
MODULE = REPOSITORY / "PseudoLabelCL"
SOURCES = sorted([*LIBRARY.rglob("*.py"), *MODULE.rglob("*.py")])
TESTS = sorted((REPOSITORY / "Testing").rglob("*.py"))
WITHOUT_TORCH = ("domain", "storage", "curation", "process", "command_line", "project_service")
LONGEST_FUNCTION = 50

CHILD = """
import importlib, importlib.abc, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"slicer", "qt", "ctk", "vtk", "torch", "monai"}:
            raise ImportError("refused: " + name)
        return None

sys.meta_path.insert(0, Refuse())
for name in sys.argv[1:]:
    importlib.import_module(name)
assert "torch" not in sys.modules
assert "monai" not in sys.modules
"""


def name_of(path):
    return path.relative_to(REPOSITORY).as_posix()


def module_of(path):
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def functions_of(path):
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [
        node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, kinds)
    ]


def lines_without_docstring(function):
    first = function.body[0]
    if ast.get_docstring(function) is None:
        return function.end_lineno - function.lineno + 1
    return function.end_lineno - function.lineno + 1 - (first.end_lineno - first.lineno + 1)


def test_imports_point_down(monkeypatch, capsys):
    monkeypatch.chdir(REPOSITORY)
    status = lint_imports(config_filename=str(REPOSITORY / "pyproject.toml"), no_cache=True)
    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out


def test_what_a_user_interface_imports_needs_neither_torch_nor_slicer():
    modules = [
        module_of(path) for part in WITHOUT_TORCH for path in sorted((LIBRARY / part).rglob("*.py"))
    ]
    assert len(modules) > len(WITHOUT_TORCH)
    child = subprocess.run(
        [sys.executable, "-c", CHILD, *modules], capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=lambda path: path.stem)
def test_file_says_what_it_holds_in_its_first_line(path):
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    assert docstring, f"{path.name} has no docstring"
    first = docstring.splitlines()[0]
    assert first.endswith("."), f"{path.name} begins with {first!r}, expected a sentence"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_functions_can_be_read_at_a_glance(path):
    long = [f.name for f in functions_of(path) if lines_without_docstring(f) > LONGEST_FUNCTION]
    assert long == []


def test_library_never_prints():
    printing = [
        name_of(path)
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    ]
    assert printing == []
