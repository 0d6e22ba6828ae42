"""A `slicer` that has a scene, slice views and an application, over the real MRML libraries."""

# ruff: noqa: N802 - the names are Slicer's and Qt's

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import slicer
import slicer.util
from PySide6 import QtWidgets

from stand_ins import ctk_widgets, slicer_widgets
from stand_ins.complaints import Complaints
from stand_ins.load_ui import ChildWidgetVariables, load_ui
from stand_ins.pythonqt import EXTRACT, QtModule, WrappedClass

QT = QtModule()
SLICE_VIEWS = ("Red", "Green", "Yellow")


class Answers:
    """What the person answers when a dialog asks; a question without an answer is a mistake.

    Args:
        paths: What file dialogs give back, in turn.
        confirms: What questions are answered with, in turn.
        texts: What text dialogs give back, in turn.
    """

    def __init__(self) -> None:
        self.paths: list[Any] = []
        self.confirms: list[bool] = []
        self.texts: list[str] = []
        self.asked: list[str] = []

    def confirm(self, text: str, *_arguments: Any, **_named: Any) -> bool:
        """Answer a question."""
        self.asked.append(text)
        return self.confirms.pop(0)

    def path(self, _parent: Any, title: str, *_arguments: Any) -> Any:
        """Answer a file dialog."""
        self.asked.append(title)
        return self.paths.pop(0)

    def text(self, _parent: Any, title: str, *_arguments: Any) -> str:
        """Answer a dialog that asks for a text."""
        self.asked.append(title)
        return self.texts.pop(0)


class _FileDialog:
    def __init__(self, answers: Answers) -> None:
        self.getExistingDirectory = answers.path
        self.getOpenFileName = answers.path
        self.getOpenFileNames = answers.path
        self.getSaveFileName = answers.path


class _SliceWidget:
    """One slice view: a real slice logic without a window."""

    def __init__(self, name: str, scene: Any) -> None:
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLScene(scene)
        self._node = self._logic.AddSliceNode(name)
        self._node.SetDimensions(200, 200, 1)

    def sliceLogic(self) -> Any:
        return self._logic

    def mrmlSliceNode(self) -> Any:
        return self._node


class LayoutManager:
    """Slicer's slice views."""

    def __init__(self, scene: Any) -> None:
        self._widgets = {name: _SliceWidget(name, scene) for name in SLICE_VIEWS}

    def sliceViewNames(self) -> tuple[str, ...]:
        return tuple(self._widgets)

    def sliceWidget(self, name: str) -> _SliceWidget:
        return self._widgets[name]


class Application:
    """`slicer.app`."""

    def __init__(self, scene: Any) -> None:
        self._layout_manager: LayoutManager | None = LayoutManager(scene)
        self.defaultScenePath = ""
        self.temporaryPath = ""
        self._settings: dict[str, Any] = {}

    def layoutManager(self) -> LayoutManager | None:
        return self._layout_manager

    def mrmlScene(self) -> Any:
        return slicer.mrmlScene

    def testingEnabled(self) -> bool:
        return True

    def withoutMainWindow(self) -> None:
        """Behave as Slicer does with --no-main-window."""
        self._layout_manager = None


def make_scene() -> Any:
    """Return a scene with the logics and node classes that Slicer's modules bring along."""
    scene = slicer.vtkMRMLScene()
    slicer.vtkMRMLSliceViewDisplayableManagerFactory  # noqa: B018 - the library must be loaded
    logic = slicer.vtkSlicerApplicationLogic()
    segmentations = slicer.vtkSlicerSegmentationsModuleLogic()
    terminologies = slicer.vtkSlicerTerminologiesModuleLogic()
    volumes = slicer.vtkSlicerVolumesLogic()
    for module_logic in (segmentations, terminologies, volumes):
        module_logic.SetMRMLApplicationLogic(logic)
    logic.SetMRMLScene(scene)
    for module_logic in (segmentations, terminologies, volumes):
        module_logic.SetMRMLScene(scene)
    scene.RegisterNodeClass(slicer.vtkMRMLSegmentEditorNode())
    slicer.mrmlScene = scene
    slicer.modules = SimpleNamespace(
        segmentations=SimpleNamespace(logic=lambda: segmentations),
        terminologies=SimpleNamespace(logic=lambda: terminologies),
        volumes=SimpleNamespace(logic=lambda: volumes),
    )
    scene.kept = (logic, segmentations, terminologies, volumes)
    return scene


def install(answers: Answers) -> Application:
    """Put the stand-ins where the panel imports them from; return the application."""
    QtWidgets.QApplication.instance() or QtWidgets.QApplication(["panel"])
    ctk = ModuleType("ctk")
    for name, widget_class in ctk_widgets.CLASSES.items():
        setattr(ctk, name, WrappedClass(f"ctk.{name}", widget_class))
    sys.modules["qt"], sys.modules["ctk"] = QT, ctk  # type: ignore[assignment]
    QT.replace("QFileDialog", _FileDialog(answers))
    QT.replace("QInputDialog", SimpleNamespace(getText=answers.text))
    scene = make_scene()
    slicer.app = Application(scene)
    slicer.app.complaints = Complaints(scene)
    for name, widget_class in slicer_widgets.CLASSES.items():
        if f"slicer.{name}" in EXTRACT["classes"]:
            setattr(slicer, name, WrappedClass(f"slicer.{name}", widget_class))
    slicer.util.loadUI = load_ui
    slicer.util.childWidgetVariables = ChildWidgetVariables
    for name in ("confirmOkCancelDisplay", "confirmYesNoDisplay"):
        setattr(slicer.util, name, answers.confirm)
    slicer.util.showStatusMessage = lambda *_arguments: None
    slicer.util.mainWindow = lambda: None
    return slicer.app
