"""The self-test that runs in Slicer, run here with a real scene, service and worker, without Qt."""

import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import slicer
from PseudoLabelCLGui.mrml_bridge import show_case
from PseudoLabelCLGui.packages.python_packages import PythonPackages
from PseudoLabelCLGui.self_test.log import LogWatch
from PseudoLabelCLGui.self_test.run import SelfTest, check_log
from PseudoLabelCLGui.self_test.scene import OtherSegmentations
from PseudoLabelCLGui.self_test.shared import paint_block
from PseudoLabelCLGui.self_test.stored import check_stored, look_at
from scene_things import GEOMETRIES, LABELS, SIZE, some_labels

from PseudoLabelCLLib.domain.review import ProposalIdentity, Review, Verdict
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.messages.answers import CaseFiles
from PseudoLabelCLLib.storage.segmentation_io import write_segmentation


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


@pytest.mark.slow
@pytest.mark.long
def test_whole_loop_goes_well_and_leaves_the_scene_as_it_was(self_test, scene):
    nodes_before = scene.GetNumberOfNodesByClass("vtkMRMLDisplayableNode")
    test, said = self_test()
    test.run()
    test.close()
    assert said[-1] == "The whole loop went well."
    assert scene.GetNumberOfNodesByClass("vtkMRMLDisplayableNode") == nodes_before


@pytest.mark.slow
def test_python_that_cannot_train_is_told_in_a_sentence(self_test):
    test, _ = self_test("/no/such/python")
    with pytest.raises(AssertionError, match="cannot train"):
        test.run()


# --- what is stored against what is shown

IDENTITY = ProposalIdentity("heart", 1, "a fingerprint")


@pytest.fixture(params=["oblique", "left-handed", "sagittal"])
def shown(request, scene, tmp_path):
    """A proposal in the scene."""
    arrays = {"image": np.arange(np.prod(SIZE), dtype=np.int16).reshape(SIZE[::-1]),
              "proposal": some_labels()}  # fmt: skip
    paths = {name: str(tmp_path / f"{name}.npy") for name in arrays}
    for name, array in arrays.items():
        np.save(paths[name], array)
    files = CaseFiles(
        "heart", 1, GEOMETRIES[request.param], reviewed=None, annotation=None, previous=None,
        uncertainty=None, slicing_axis=2, doubtful_slices=(), identity=IDENTITY, **paths,
    )  # fmt: skip
    return show_case(files, LABELS, None)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Makes a project whose one verdict is on an array."""

    def make(array, geometry, verdict=Verdict.ACCEPTED, round_index=1):
        name = "stored.seg.nrrd"
        write_segmentation(tmp_path / name, LabelVolume(array, geometry), LABELS)
        review = Review("heart", round_index, verdict, name)
        project = SimpleNamespace(reviews=(review,), schema=LABELS)
        monkeypatch.setattr("PseudoLabelCLGui.self_test.stored.load_project", lambda _root: project)
        return tmp_path

    return make


def test_what_was_shown_and_stored_passes(shown, project):
    root = project(some_labels(), shown.files.geometry)
    check_stored(root, look_at(shown), Verdict.ACCEPTED)


def test_a_voxel_that_was_not_shown_is_told(shown, project):
    array = some_labels()
    array[6, 8, 0] = 5
    root = project(array, shown.files.geometry)
    with pytest.raises(AssertionError, match="niere of 'heart', round 1: 1 voxels differ"):
        check_stored(root, look_at(shown), Verdict.ACCEPTED)


def test_what_is_painted_counts_as_shown(shown, project):
    before = look_at(shown)
    paint_block(shown)
    root = project(some_labels(), shown.files.geometry, Verdict.CORRECTED)
    check_stored(root, before, Verdict.CORRECTED)
    with pytest.raises(AssertionError, match="voxels differ from what was shown"):
        check_stored(root, look_at(shown), Verdict.CORRECTED)


def test_another_verdict_or_none_is_told(shown, project):
    root = project(some_labels(), shown.files.geometry, Verdict.CORRECTED)
    with pytest.raises(AssertionError, match="is 'corrected' on the disk, not 'accepted'"):
        check_stored(root, look_at(shown), Verdict.ACCEPTED)
    root = project(some_labels(), shown.files.geometry, round_index=0)
    with pytest.raises(AssertionError, match="No verdict on 'heart', round 1"):
        check_stored(root, look_at(shown), Verdict.ACCEPTED)


# --- other segmentations


def displays():
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    return [node.GetDisplayNode() for node in nodes]


def test_others_that_are_hidden_and_come_back_pass(scene):
    others = OtherSegmentations()
    with pytest.raises(AssertionError, match="'Other, as it comes' lies over the case"):
        others.check_hidden()
    seen = [display for display in displays() if display.GetVisibility()]
    assert len(seen) == len(displays()) - 1
    for display in seen:
        display.SetVisibility(False)
    others.check_hidden()
    for display in seen:
        display.SetVisibility(True)
    others.check_back()
    others.remove()
    assert scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda display: display.SetVisibility(not display.GetVisibility()),
        lambda display: display.SetVisibility2DFill(not display.GetVisibility2DFill()),
        lambda display: display.SetVisibility3D(not display.GetVisibility3D()),
        lambda display: display.SetOpacity3D(0.123),
        lambda display: display.SetSegmentVisibility3D("first", False),
        lambda display: display.SetSegmentOpacity2DOutline("second", 0.4),
    ],
)
def test_others_that_come_back_otherwise_are_told(scene, change):
    others = OtherSegmentations()
    change(displays()[2])
    with pytest.raises(AssertionError, match="'Other, in 3-D alone' did not come back as it was"):
        others.check_back()


# --- Slicer's log

BEFORE = """[CRITICAL][FD] 30.11.2026 02:46:26 [] (unknown:0) -
[DEBUG][Qt] 30.11.2026 02:46:33 [] (unknown:0) - Session start time
[ERROR][VTK] 30.11.2026 02:46:34 [vtkThing] (vtkThing.cxx:10) - vtkThing (0x55ab): Input 1 is bad
"""
OF_SLICER = """[CRITICAL][FD] 30.11.2026 02:46:26 [] (unknown:0) -
[ERROR][VTK] 30.11.2026 02:50:00 [vtkThing] (vtkThing.cxx:10) - vtkThing (0x77cd): Input 2 is bad
[CRITICAL][FD] 30.11.2026 02:50:01 [] (unknown:0) - libGL error: failed to load driver
[WARNING][Python] 30.11.2026 02:50:02 [Python] (/slicer/util.py:10) - Something is deprecated
[INFO][Python] 30.11.2026 02:50:03 [Python] (PseudoLabelCLGui/panel.py:1) - an ERROR was mended
"""


@pytest.fixture
def log(tmp_path):
    file = tmp_path / "Slicer.log"
    file.write_text(BEFORE, "utf-8")
    return file


def add(log, text):
    with log.open("a", encoding="utf-8") as file:
        file.write(text)


def test_a_clean_log_passes_and_what_was_passed_over_is_said(log):
    watch, said = LogWatch(log), []
    add(log, OF_SLICER)
    check_log(watch, said.append)
    assert said[0] == "Slicer's log: 0 lines of trouble, 3 passed over."
    assert any("libGL error: failed to load driver" in text for text in said)


@pytest.mark.parametrize(
    "line",
    [
        "[ERROR][VTK] 30.11.2026 02:50:00 [a] (a.cxx:1) - Failed to access subject hierarchy node",
        "[CRITICAL][Stream] 30.11.2026 02:50:00 [] (unknown:0) - Traceback (most recent call last)",
        "[WARNING][Python] 30.11.2026 02:50:00 [Python] (/a/PseudoLabelCLGui/a.py:3) - odd",
        "[CRITICAL][FD] 30.11.2026 02:50:00 [] (unknown:0) -\nPseudoLabelCL: OpenGL went wrong",
    ],
)
def test_a_line_of_trouble_is_told(log, line):
    watch = LogWatch(log)
    add(log, f"{OF_SLICER}{line}\n[INFO][Qt] 30.11.2026 02:50:01 [] (unknown:0) - more\n")
    with pytest.raises(AssertionError, match="1 lines of trouble") as told:
        check_log(watch, lambda _text: None)
    assert line in str(told.value)
