"""Load the .ui file as `slicer.util.loadUI` does, with stand-ins for Slicer's and CTK's widgets."""

# ruff: noqa: N802 - the names are Slicer's and Qt's

from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from PySide6 import QtCore, QtUiTools, QtWidgets
from used_names import api_name

from stand_ins import ctk_widgets, slicer_widgets
from stand_ins.pythonqt import CLASSES, api_class_of, used, wrap

CUSTOM = {**ctk_widgets.CLASSES, **slicer_widgets.CLASSES}


class _Loader(QtUiTools.QUiLoader):
    """Makes the stand-ins where the .ui file names a class of Slicer or CTK."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[QtWidgets.QWidget] = []

    def createWidget(
        self, class_name: str, parent: QtWidgets.QWidget | None = None, name: str = ""
    ) -> QtWidgets.QWidget:
        """Make one widget."""
        if class_name not in CUSTOM:
            return super().createWidget(class_name, parent, name)
        widget = CUSTOM[class_name](parent)
        widget.setObjectName(name)
        self.made.append(widget)
        return widget


def load_ui(path: str) -> Any:
    """Return the panel of a .ui file; its connections are made and must exist in the extract."""
    widgets, connections = _read(path)
    loader = _Loader()
    content = QtCore.QBuffer()
    content.setData(widgets)
    content.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
    loader.setWorkingDirectory(QtCore.QDir(str(Path(path).parent)))
    top = loader.load(content)
    top.setProperty("kept", None)
    top._made = loader.made
    _connect_all(top, connections)
    for widget in loader.made:
        if hasattr(widget, "watch_children"):
            widget.watch_children()
            widget._fold(widget.isChecked())
    return wrap(top)


@cache
def _read(path: str) -> tuple[bytes, Any]:
    """Return the widgets of a .ui file as text, and its connections."""
    root = ET.parse(path).getroot()
    connections = root.find("connections")
    if connections is not None:
        root.remove(connections)
    for widget in root.iter("widget"):
        _check_properties(widget)
    return ET.tostring(root), connections


def _check_properties(widget: Any) -> None:
    """Refuse properties that the widget's class lacks; those of sets no stand-in can take."""
    api = api_name(widget.get("class", ""))
    for node in widget.findall("property"):
        name = node.get("name", "")
        if name not in CLASSES[api]["properties"] + CLASSES["qt.QWidget"]["properties"]:
            raise AttributeError(f"{api} has no property '{name}'")
        used.add((api, name))
        if name == "filters":
            widget.remove(node)


def _connect_all(top: QtWidgets.QWidget, connections: Any) -> None:
    for connection in connections if connections is not None else ():
        sender, signal, receiver, slot = (
            connection.findtext(tag) or "" for tag in ("sender", "signal", "receiver", "slot")
        )
        source, target = _find(top, sender), _find(top, receiver)
        for widget, signature, kind in ((source, signal, "signals"), (target, slot, "slots")):
            api = api_class_of(widget)
            known = [s for name in (api, "qt.QWidget") for s in CLASSES[name][kind]]
            if signature not in known:
                raise AttributeError(f"{api} has no {kind[:-1]} {signature}")
            used.add((api, signature))
        getattr(source, signal.split("(")[0]).connect(getattr(target, slot.split("(")[0]))


def _find(top: QtWidgets.QWidget, name: str) -> QtWidgets.QWidget:
    found = top if top.objectName() == name else top.findChild(QtWidgets.QWidget, name)
    if found is None:
        raise AttributeError(f"the .ui file connects '{name}', which it does not hold")
    return found


class ChildWidgetVariables:
    """All widgets of a panel by their names, as `slicer.util.childWidgetVariables` gives them."""

    def __init__(self, top: Any) -> None:
        for widget in top.__dict__["_qt"].findChildren(QtWidgets.QWidget):
            if widget.objectName() and not widget.objectName().startswith("qt_"):
                setattr(self, widget.objectName(), wrap(widget))
