"""Which names of Slicer, Qt and CTK the panel's code and its .ui file use, read from their text."""

import ast
import itertools
import re
from pathlib import Path
from xml.etree import ElementTree as ET

REPOSITORY = Path(__file__).resolve().parents[2]
GUI = REPOSITORY / "PseudoLabelCL" / "PseudoLabelCLGui"
UI_FILE = REPOSITORY / "Resources" / "UI" / "PseudoLabelCL.ui"
_SIGNATURE = re.compile(r"^\w+\([\w:*<>,& ]*\)$")
_QT_PREFIXES = {"Q": "qt", "ctk": "ctk", "qMRML": "slicer", "qSlicer": "slicer"}


def panel_sources() -> list[Path]:
    """Return the files that may touch Qt or the application."""
    single = [path for path in GUI.glob("*.py") if path.name != "panel_state.py"]
    single += [GUI.parent / "PseudoLabelCL.py", REPOSITORY / "Testing/slicer/run_self_test.py"]
    rooms = [(GUI / room).rglob("*.py") for room in ("sections", "self_test")]
    return sorted([*single, *itertools.chain(*rooms)])


def names_in_panel() -> tuple[set[str], set[str]]:
    """Return all attribute names, and all strings that look like a signal's signature."""
    return _names_in(panel_sources())


def _names_in(paths: list[Path]) -> tuple[set[str], set[str]]:
    attributes, signatures = set(), set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute):
                attributes.add(node.attr)
            elif isinstance(node, ast.Constant) and _SIGNATURE.match(str(node.value)):
                signatures.add(node.value)
    return attributes, signatures


def names_in_tests() -> tuple[set[str], set[str]]:
    """Return the same of the tests: they use widgets through their API, too."""
    return _names_in(sorted(Path(__file__).parent.glob("*.py")))


def dotted_names() -> set[str]:
    """Return every dotted name that begins with qt, ctk or slicer, such as "qt.QMenu"."""
    found = set()
    for path in panel_sources():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = _dotted(node)
            if name.split(".")[0] in {"qt", "ctk", "slicer"} and "." in name:
                found.add(name)
    return found


def imported_from_slicer() -> set[tuple[str, str]]:
    """Return module and name of everything that is imported from a module of Slicer."""
    found = set()
    for path in panel_sources():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("slicer."):
                found |= {(node.module, one.name) for one in node.names}
    return found


def named_parameters(function: str) -> set[str]:
    """Return the parameters that calls of a function name."""
    found = set()
    for path in panel_sources():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == function:
                found |= {one.arg for one in node.keywords}
    return found


def ui_names() -> tuple[set[str], set[str], set[str]]:
    """Return the classes, properties and connected signatures of the .ui file."""
    tree = ET.parse(UI_FILE)
    classes = {api_name(widget.get("class", "")) for widget in tree.iter("widget")}
    properties = {
        node.get("name", "")
        for widget in tree.iter("widget")
        for node in widget.findall("property")
    }
    signatures = {node.text or "" for tag in ("signal", "slot") for node in tree.iter(tag)}
    return classes, properties, signatures


def ui_widgets() -> dict[str, str]:
    """Return the class of every widget of the .ui file by its name."""
    tree = ET.parse(UI_FILE)
    return {node.get("name", ""): api_name(node.get("class", "")) for node in tree.iter("widget")}


def api_name(class_name: str) -> str:
    """Return the name under which Python finds a class, such as "ctk.ctkPathLineEdit"."""
    for prefix in sorted(_QT_PREFIXES, key=len, reverse=True):
        if class_name.startswith(prefix):
            return f"{_QT_PREFIXES[prefix]}.{class_name}"
    return class_name


def _dotted(node: ast.AST) -> str:
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""
