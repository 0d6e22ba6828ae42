"""The self-test that runs in Slicer, run here with a real scene, desk and worker, without Qt."""

import sys
import time
from pathlib import Path

import pytest
from PseudoLabelCLGui.python_packages import PythonPackages
from PseudoLabelCLGui.self_test import SelfTest

pytestmark = pytest.mark.slow


class AnApplication:
    """Timers that run while somebody waits; no settings."""

    def __init__(self):
        self.callbacks = []

    def setting(self, key):
        return ""

    def startup_environment(self):
        return {}

    def start_timer(self, interval_ms, callback):
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)

    def wait(self, condition, limit_s):
        deadline_s = time.monotonic() + limit_s
        while not condition() and time.monotonic() < deadline_s:
            for callback in list(self.callbacks):
                callback()
            time.sleep(0.02)


@pytest.fixture
def self_test(scene, tmp_path):
    """Makes the self-test, and ends its children."""
    made = []

    def make(python=sys.executable):
        application = AnApplication()
        said = []
        packages = PythonPackages(application)
        test = SelfTest(tmp_path, packages, Path(python), said.append, application.wait)
        made.append(test)
        return test, said

    yield make
    for test in made:
        test.close()


def test_whole_loop_goes_well_and_leaves_the_scene_as_it_was(self_test, scene):
    nodes_before = scene.GetNumberOfNodesByClass("vtkMRMLDisplayableNode")
    test, said = self_test()
    test.run()
    test.close()
    assert said[-1] == "The whole loop went well."
    assert scene.GetNumberOfNodesByClass("vtkMRMLDisplayableNode") == nodes_before


def test_python_that_cannot_train_is_told_in_a_sentence(self_test):
    test, _ = self_test("/no/such/python")
    with pytest.raises(AssertionError, match="cannot train"):
        test.run()
