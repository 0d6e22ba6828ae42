"""A real MRML scene without the Slicer application: slicer-core and the logics it needs."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import slicer
import vtk

sys.path.append(str(Path(__file__).parents[1] / "backend"))

from own_state import own_state  # noqa: F401 - a fixture of every test


@pytest.fixture(scope="session", autouse=True)
def quiet_vtk():
    # without the application's colour tables and terminologies the logics log errors on standard
    # error that say nothing about the bridge
    vtk.vtkObject.GlobalWarningDisplayOff()


@pytest.fixture
def scene(monkeypatch):
    """An empty scene, as `slicer.mrmlScene`, with the logics that slicer.util asks for."""
    scene = slicer.vtkMRMLScene()
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    logics = {
        "terminologies": slicer.vtkSlicerTerminologiesModuleLogic(),
        "volumes": slicer.vtkSlicerVolumesLogic(),
        "segmentations": slicer.vtkSlicerSegmentationsModuleLogic(),
    }
    for logic in logics.values():
        logic.SetMRMLApplicationLogic(application)
        logic.SetMRMLScene(scene)
    modules = {name: SimpleNamespace(logic=lambda it=logic: it) for name, logic in logics.items()}
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    monkeypatch.setattr(slicer, "modules", SimpleNamespace(**modules), raising=False)
    yield scene
    scene.Clear(1)
    for logic in logics.values():
        logic.SetMRMLScene(None)


@pytest.fixture
def rng():
    return np.random.default_rng(4)
