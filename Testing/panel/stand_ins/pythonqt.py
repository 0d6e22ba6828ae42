"""Qt as PythonQt hands it to Slicer's Python: properties without parentheses, no unknown names.

An object of PySide6 is put into a `Wrapped`, which lets through only what the extract of the real
application has for its class: a property is a value (so calling it fails as in Slicer), an unknown
attribute raises, `connect("signal(args)", slot)` tells by True or False whether that signal exists,
slots get all arguments of the signal, enum values are integers.
"""

import enum
import json
from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets
from shiboken6 import Shiboken

EXTRACT = json.loads(Path(__file__).parents[1].joinpath("slicer_api_extract.json").read_text())
CLASSES = EXTRACT["classes"]
_OBJECT_NAMES = {
    "connect", "disconnect", "blockSignals", "parent", "setParent", "deleteLater", "objectName",
    "setProperty", "property", "installEventFilter", "removeEventFilter", "children", "findChild",
    "className",
}  # fmt: skip
# plain values, whose members are methods in PythonQt, too
_VALUES = (QtCore.QSize, QtCore.QPoint, QtCore.QRect, QtGui.QFont)
_SPELT_OTHERWISE = {"exec_": "exec"}
used: set[tuple[str, str]] = set()
_wrappers: dict[int, "Wrapped"] = {}


class FlatEnum(int):
    """An enum value as PythonQt gives it: an integer, which Qt takes back."""

    original: Any

    @classmethod
    def of(cls, value: enum.Enum) -> "FlatEnum":
        """Make the integer of an enum value."""
        number = value.value if isinstance(value.value, int) else 0
        flat = cls(number)
        flat.original = value
        return flat


def api_class_of(qt_object: Any) -> str:
    """Return under which name the extract has the object's class: its nearest base class."""
    for base in type(qt_object).__mro__:
        for module in ("slicer", "ctk", "qt"):
            if f"{module}.{base.__name__}" in CLASSES:
                return f"{module}.{base.__name__}"
    return "qt.QWidget" if isinstance(qt_object, QtWidgets.QWidget) else "QObject"


def wrap(value: Any) -> Any:
    """Return a value of Qt as PythonQt would."""
    if isinstance(value, enum.Enum):
        return FlatEnum.of(value)
    if isinstance(value, (list, tuple)):
        return tuple(wrap(one) for one in value)
    if isinstance(value, _VALUES) or not isinstance(value, Shiboken.Object):
        return value
    known = _wrappers.get(id(value))
    if known is not None and known.__dict__["_qt"] is value:
        return known
    wrapped = Wrapped(value)
    _wrappers[id(value)] = wrapped
    return wrapped


def unwrap(value: Any) -> Any:
    """Return what PySide6 takes for a value of PythonQt."""
    if isinstance(value, Wrapped):
        return value.__dict__["_qt"]
    if isinstance(value, FlatEnum):
        return value.original
    if isinstance(value, (list, tuple)):
        return [unwrap(one) for one in value]
    return value


class Wrapped:
    """One object of Qt as PythonQt shows it."""

    def __init__(self, qt_object: Any) -> None:
        self.__dict__["_qt"] = qt_object
        self.__dict__["_api"] = api_class_of(qt_object)
        self.__dict__["_slots"] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        qt_object = self.__dict__["_qt"]
        if name == "name":
            return qt_object.objectName()
        kind = self._kind(name)
        if kind == "property":
            return wrap(qt_object.property(name))
        if kind == "signal":
            return _Signal(self, name)
        return self._method(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if self._kind(name) != "property":
            raise AttributeError(f"{self._api}.{name} is no property: it cannot be assigned")
        self.__dict__["_qt"].setProperty(name, unwrap(value))

    def connect(self, signature: str, slot: Any) -> bool:
        """Connect a slot the old way; False if there is no such signal, as in PythonQt."""
        if signature not in self._signals():
            return False
        self._connect(signature, slot)
        return True

    def disconnect(self, signature: str, slot: Any) -> bool:
        """Undo `connect`."""
        connected = self.__dict__["_slots"].pop((signature, slot), None)
        if connected is None:
            return False
        self._bound_signal(signature).disconnect(connected)
        return True

    def _connect(self, signature: str, slot: Any) -> None:
        used.add((self._api, signature))
        num_arguments = 0 if signature.endswith("()") else signature.count(",") + 1

        def hand(*arguments: Any) -> None:
            slot(*(wrap(one) for one in arguments))

        # PySide6 counts the parameters of a slot and passes so many arguments
        names = ", ".join(f"a{n}" for n in range(num_arguments))
        pass_on = eval(f"lambda {names}: hand({names})", {"hand": hand})

        self.__dict__["_slots"][(signature, slot)] = pass_on
        self._bound_signal(signature).connect(pass_on)

    def _bound_signal(self, signature: str) -> Any:
        name, _, arguments = signature.partition("(")
        signal = getattr(self.__dict__["_qt"], name)
        try:
            return signal[f"{name}({arguments}"]
        except (KeyError, IndexError, TypeError):
            return signal

    def _signals(self) -> list[str]:
        return [one for api in self._classes() for one in CLASSES[api]["signals"]]

    def _classes(self) -> list[str]:
        is_widget = isinstance(self.__dict__["_qt"], QtWidgets.QWidget)
        names = [self._api] + (["qt.QWidget"] if is_widget else [])
        return [name for name in names if name in CLASSES]

    def _kind(self, name: str) -> str:
        for api in self._classes():
            entry = CLASSES[api]
            if name in entry["properties"]:
                used.add((api, name))
                return "property"
            if any(one.startswith(f"{name}(") for one in entry["signals"]):
                used.add((api, name))
                return "signal"
            if name in entry["names"]:
                used.add((api, name))
                return "method"
        if name in _OBJECT_NAMES and isinstance(self.__dict__["_qt"], QtCore.QObject):
            return "method"
        raise AttributeError(
            f"{self._api} has no '{name}' in slicer_api_extract.json: make the extract anew with "
            "make_api_extract.py; if it is missing then, Slicer does not have it"
        )

    def className(self) -> str:  # noqa: N802 - the name is PythonQt's
        """Return the class as Qt names it."""
        return str(self.__dict__["_qt"].metaObject().className())

    def _method(self, name: str) -> Any:
        method = getattr(self.__dict__["_qt"], _SPELT_OTHERWISE.get(name, name))

        def call(*arguments: Any) -> Any:
            return wrap(method(*(unwrap(one) for one in arguments)))

        return call


class _Signal:
    """A signal as an attribute, with the new way to connect."""

    def __init__(self, owner: Wrapped, name: str) -> None:
        self._owner = owner
        self._signature = next(s for s in owner._signals() if s.startswith(f"{name}("))

    def connect(self, slot: Any) -> bool:
        """Connect a slot."""
        return self._owner.connect(self._signature, slot)

    def disconnect(self, slot: Any) -> bool:
        """Undo `connect`."""
        return self._owner.disconnect(self._signature, slot)


class WrappedClass:
    """A class of Qt: calling it makes an object, its attributes are enums and static functions."""

    def __init__(self, api: str, qt_class: type) -> None:
        self._api = api
        self._class = qt_class

    def __call__(self, *arguments: Any) -> Wrapped:
        used.add((self._api, "()"))
        return wrap(self._class(*(unwrap(one) for one in arguments)))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        entry = CLASSES[self._api]
        if name not in entry["names"] and name not in entry["properties"]:
            raise AttributeError(f"{self._api}.{name} is not in slicer_api_extract.json")
        used.add((self._api, name))
        value = getattr(self._class, name)
        if isinstance(value, enum.Enum):
            return FlatEnum.of(value)
        return lambda *arguments: wrap(value(*(unwrap(one) for one in arguments)))


class EventFilterObject(QtCore.QObject):
    """`qt.QObject` as the base of an event filter: what it filters arrives as from PythonQt."""

    def __init_subclass__(cls) -> None:
        own = cls.__dict__["eventFilter"]

        def filtered(self: Any, watched: Any, event: Any) -> bool:
            return bool(own(self, wrap(watched), Wrapped(event)))

        cls.eventFilter = filtered


class QtModule:
    """The module `qt`: all of Qt in one flat module."""

    __name__ = "qt"
    __path__: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._replaced: dict[str, Any] = {"QObject": EventFilterObject}

    def replace(self, name: str, value: Any) -> None:
        """Let a test answer dialogs."""
        self._replaced[name] = value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in self._replaced:
            return self._replaced[name]
        if f"qt.{name}" not in CLASSES:
            raise AttributeError(f"qt.{name} is not in slicer_api_extract.json")
        for module in (QtWidgets, QtGui, QtCore):
            if hasattr(module, name):
                return WrappedClass(f"qt.{name}", getattr(module, name))
        raise AttributeError(f"PySide6 has no {name}")
