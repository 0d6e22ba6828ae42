"""Nothing that the bridge does makes MRML complain: Slicer's log stays clean."""

from dataclasses import replace

import numpy as np
import pytest
import slicer
import vtk
from PseudoLabelCLGui.mrml_bridge import (
    CaseMemory,
    SpareNodes,
    SpareVoxels,
    forget_case,
    is_edited,
    keep_out_of_lists,
    show_previous,
    show_read_case,
)
from scene_things import GEOMETRIES, LABELS, SIZE, some_labels

from PseudoLabelCLLib.messages.answers import CaseFiles

# What is missing beside the libraries is the application's: colour tables and terminologies.
NOT_OF_THE_BRIDGE = ("terminolog", "color", "colour")


@pytest.fixture
def log(scene):
    """All that VTK says meanwhile, errors and warnings."""
    before, window = vtk.vtkOutputWindow.GetInstance(), vtk.vtkStringOutputWindow()
    vtk.vtkOutputWindow.SetInstance(window)
    vtk.vtkObject.GlobalWarningDisplayOn()
    yield lambda: [
        line
        for line in window.GetOutput().splitlines()
        if line.strip() and not any(word in line.lower() for word in NOT_OF_THE_BRIDGE)
    ]
    vtk.vtkObject.GlobalWarningDisplayOff()
    vtk.vtkOutputWindow.SetInstance(before)


@pytest.fixture
def removals(scene):
    """Names of nodes that were removed although they had gone already, which Slicer logs."""
    found = []

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def removed(_scene, _event, node):
        if node.GetScene() is None:
            found.append(node.GetClassName())

    scene.AddObserver(slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, removed)
    return found


def files_of(folder, case_id):
    names = ("image", "proposal", "previous", "uncertainty")
    arrays = (np.ones(SIZE[::-1], np.int16), some_labels(), some_labels(),
              np.zeros(SIZE[::-1], np.float32))  # fmt: skip
    for name, array in zip(names, arrays, strict=True):
        np.save(folder / f"{name}.npy", array)
    paths = {name: str(folder / f"{name}.npy") for name in names}
    return CaseFiles(
        case_id=case_id, round_index=3, geometry=GEOMETRIES["plain"], reviewed=None,
        annotation=None, slicing_axis=2, doubtful_slices=(), **paths,
    )  # fmt: skip


def test_showing_switching_and_leaving_cases_says_nothing(scene, tmp_path, log, removals):
    nodes, voxels = SpareNodes(), SpareVoxels()
    files = files_of(tmp_path, "first")
    for number in range(4):
        memory = CaseMemory(
            replace(files, case_id=f"case {number}"), LABELS, with_image=True, spare=voxels
        )
        memory.read()
        shown = show_read_case(memory, None, project="/projects/hearts", spare=nodes)
        show_previous(shown, visible=True)
        assert not is_edited(shown)
        forget_case(shown, spare=voxels, spare_nodes=nodes)
    nodes.clear()
    assert log() == []
    assert removals == []


def test_leaving_without_a_next_case_says_nothing(scene, tmp_path, log, removals):
    memory = CaseMemory(files_of(tmp_path, "one"), LABELS, with_image=True)
    memory.read()
    forget_case(show_read_case(memory, None))
    assert log() == []
    assert removals == []


def test_an_own_node_is_hidden_once_it_is_in_the_scene(scene):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "structures")
    keep_out_of_lists(node)
    assert node.GetHideFromEditors()
    constants = slicer.vtkMRMLSubjectHierarchyConstants
    assert node.GetAttribute(constants.GetSubjectHierarchyExcludeFromTreeAttributeName()) == "1"


def test_switching_cases_adds_no_nodes(scene, tmp_path):
    nodes, counts = SpareNodes(), []
    files = files_of(tmp_path, "first")
    for number in range(6):
        memory = CaseMemory(replace(files, case_id=f"case {number}"), LABELS, with_image=True)
        memory.read()
        shown = show_read_case(memory, None, project="/projects/hearts", spare=nodes)
        counts.append(scene.GetNumberOfNodes())
        forget_case(shown, spare_nodes=nodes)
    assert len(set(counts)) == 1
