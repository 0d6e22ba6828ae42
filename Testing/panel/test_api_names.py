"""Every name of Slicer, Qt and CTK that the panel uses exists in the real application."""

import ast
import re

import pytest
from make_api_extract import FOUND_IN_SOURCES
from stand_ins.pythonqt import CLASSES, EXTRACT
from used_names import (
    dotted_names,
    imported_from_slicer,
    named_parameters,
    names_in_panel,
    panel_sources,
    ui_names,
    ui_widgets,
)

WIDGETS = ui_widgets()
# What code says about widgets of the .ui file through a variable; checked while the tests run.
REAL_MODULES = {"slicer.util", "slicer.mrmlScene", "slicer.app", "slicer.modules"}
# Base/Python/slicer/ScriptedLoadableModule.py:50 of Slicer 5.12.3 makes it.
REAL_MODULES |= {"slicer.selfTests"}


def ui_accesses():
    """Every `self.ui.<widget>.<name>` of the panel's code."""
    found = set()
    for path in panel_sources():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            inner = node.value if isinstance(node, ast.Attribute) else None
            if isinstance(inner, ast.Attribute) and ast.unparse(inner.value) in {"self.ui", "ui"}:
                found.add((inner.attr, node.attr))
    return sorted(found)


def known_names(api):
    """All names of a class in the extract, those of every widget included."""
    names = set()
    for entry in (CLASSES[api], CLASSES["qt.QWidget"]):
        names |= {*entry["properties"], *entry["names"]}
        names |= {one.split("(")[0] for one in (*entry["signals"], *entry["slots"])}
    return names | {"connect", "disconnect", "blockSignals", "name"}


@pytest.mark.parametrize("name", sorted(dotted_names()))
def test_slicer_has(name):
    module, _, rest = name.partition(".")
    first, _, member = rest.partition(".")
    if name.startswith(("slicer.vtkMRML", "slicer.vtkS")):
        import slicer  # noqa: PLC0415 - real MRML

        assert hasattr(slicer, first)
    elif f"{module}.{first}" == "slicer.util":
        assert not member or member.split(".")[0] in EXTRACT["slicer.util"]
    elif f"{module}.{first}" == "slicer.app":
        assert not member or member.split(".")[0] in known_names("slicer.app")
    elif f"{module}.{first}" not in REAL_MODULES:
        assert f"{module}.{first}" in CLASSES
        if member:
            entry = CLASSES[f"{module}.{first}"]
            assert member.split(".")[0] in {*entry["names"], *entry["properties"]}


@pytest.mark.parametrize(("module", "name"), sorted(imported_from_slicer()))
def test_module_of_slicer_has(module, name):
    assert name in EXTRACT["imported"][module]


@pytest.mark.parametrize("function", sorted(EXTRACT["parameters"]))
def test_function_of_slicer_has_the_parameters_that_are_named(function):
    named = named_parameters(function)
    assert named, f"nobody calls {function}"
    assert named <= set(EXTRACT["parameters"][function])


def test_what_the_dump_lacks_was_looked_up_in_a_file_at_a_line():
    place = re.compile(r"[\w/.]+\.(py|md|h|xml|cpp):\d+(-\d+)?")
    for name, (_members, where) in FOUND_IN_SOURCES.items():
        assert all(place.fullmatch(one) for one in where.split()), name


@pytest.mark.parametrize(("widget", "name"), ui_accesses())
def test_widget_of_the_ui_file_has(widget, name):
    assert widget in WIDGETS, f"the .ui file has no widget '{widget}'"
    assert name in known_names(WIDGETS[widget])


def test_every_widget_that_the_code_names_is_in_the_ui_file():
    named = set()
    for path in panel_sources():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"self.ui", "ui"}:
                named.add(node.attr)
    assert named - set(WIDGETS) == set()


@pytest.mark.parametrize("signature", sorted(names_in_panel()[1]))
def test_signal_that_the_code_connects_exists(signature):
    assert any(signature in entry["signals"] for entry in CLASSES.values())


def test_classes_of_the_ui_file_exist():
    classes, _properties, _signatures = ui_names()
    assert classes - set(CLASSES) == set()


def test_every_button_of_the_ui_file_is_used():
    buttons = {name for name, api in WIDGETS.items() if api == "qt.QPushButton"}
    text = "".join(path.read_text("utf-8") for path in panel_sources())
    assert {name for name in buttons if name not in text} == set()
