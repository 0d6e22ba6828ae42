"""What the scene remembers, after it was saved and loaded too."""

from pathlib import Path

import numpy as np
import pytest
import slicer
from PseudoLabelCLGui.mrml_bridge import (
    CaseMark,
    Made,
    case_of,
    forget_case_of,
    hand_over,
    is_edited,
    made_as,
    mark_made,
    nodes_of_case,
    project_of,
    remember_case,
    remember_project,
    save_edits_with_scene,
    show_case,
    volume_of_case,
)
from scene_things import GEOMETRIES, LABELS, SIZE, add_volume_node, box, painted, some_labels

from PseudoLabelCLLib.messages.answers import CaseFiles

SHAPE = SIZE[::-1]
ROOT = Path("/projects/Herz größer 心")


def a_parameter_node(scene):
    node = slicer.vtkMRMLScriptedModuleNode()
    node.SetModuleName("PseudoLabelCL")
    node.SetSingletonTag("PseudoLabelCL")
    return scene.AddNode(node)


def a_volume(name="volume"):
    return add_volume_node(np.zeros(SHAPE, np.int16), GEOMETRIES["oblique"], name)


def saved_and_loaded(scene, folder):
    """Save a scene with its files, clear it, and load it again."""
    folder.mkdir(exist_ok=True)
    for class_name in ("vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode"):
        for node in slicer.util.getNodesByClass(class_name):
            if node.GetSaveWithScene():
                ending = ".nrrd" if class_name == "vtkMRMLScalarVolumeNode" else ".seg.nrrd"
                node.AddDefaultStorageNode()
                node.GetStorageNode().SetFileName(str(folder / f"{node.GetID()}{ending}"))
                assert node.GetStorageNode().WriteData(node)
    scene.SetRootDirectory(str(folder))
    assert scene.Commit(str(folder / "scene.mrml"))
    scene.Clear(1)
    scene.SetURL(str(folder / "scene.mrml"))
    assert scene.Connect()


def test_project_folder_is_remembered_and_forgotten(scene):
    node = a_parameter_node(scene)
    assert project_of(node) == ""
    remember_project(node, ROOT)
    assert project_of(node) == str(ROOT)
    remember_project(node, "")
    assert project_of(node) == ""


def test_project_folder_survives_saving_and_loading_the_scene(scene, tmp_path):
    remember_project(a_parameter_node(scene), ROOT)
    saved_and_loaded(scene, tmp_path / "scene")
    found = scene.GetSingletonNode("PseudoLabelCL", "vtkMRMLScriptedModuleNode")
    assert project_of(found) == str(ROOT)


def test_volume_of_a_case_is_found_again_after_loading_the_scene(scene, tmp_path):
    remember_case(a_volume("first"), CaseMark(str(ROOT), "José <1>"))
    remember_case(a_volume("second"), CaseMark(str(ROOT), "other"))
    saved_and_loaded(scene, tmp_path / "scene")
    assert volume_of_case(ROOT, "José <1>").GetName() == "first"
    assert volume_of_case(ROOT, "unknown") is None


def test_node_survives_the_loading_under_another_id(scene, tmp_path):
    """Slicer gives other ids when a scene is added to one that has nodes already."""
    remember_case(a_volume("first"), CaseMark(str(ROOT), "case"))
    saved_and_loaded(scene, tmp_path / "scene")
    first = volume_of_case(ROOT, "case")
    taken = first.GetID()
    scene.SetURL(str(tmp_path / "scene" / "scene.mrml"))
    forget_case_of(first)
    scene.Import()
    again = volume_of_case(ROOT, "case")
    assert again is not None
    assert again.GetID() != taken


def test_same_case_of_another_project_is_another_case(scene):
    volume = a_volume()
    remember_case(volume, CaseMark(str(ROOT), "patient 1"))
    assert volume_of_case("/projects/other", "patient 1") is None
    assert volume_of_case(str(ROOT), "patient 1") is volume


def test_volume_that_the_program_made_is_not_the_person_s(scene):
    volume = a_volume()
    mark_made(volume, Made.IMAGE, CaseMark(str(ROOT), "case"))
    assert volume_of_case(ROOT, "case") is None
    assert nodes_of_case(ROOT, "case", "vtkMRMLScalarVolumeNode", Made.IMAGE) == (volume,)
    assert nodes_of_case(ROOT, "case", "vtkMRMLScalarVolumeNode", Made.DOUBT) == ()
    hand_over(volume)
    assert volume_of_case(ROOT, "case") is volume


@pytest.mark.parametrize("round_index", [None, 0, 12])
def test_mark_is_read_as_it_was_written(scene, round_index):
    volume = a_volume()
    mark = CaseMark(str(ROOT), "case", round_index)
    mark_made(volume, Made.PROPOSAL, mark)
    assert case_of(volume) == mark
    assert made_as(volume) is Made.PROPOSAL
    forget_case_of(volume)
    assert case_of(volume) is None


@pytest.mark.parametrize("text", ["", "nonsense"])
def test_mark_that_nobody_wrote_is_none(scene, text):
    volume = a_volume()
    volume.SetAttribute("PseudoLabelCL.Made", text)
    volume.SetAttribute("PseudoLabelCL.CaseId", text)
    volume.SetAttribute("PseudoLabelCL.Round", text)
    assert made_as(volume) is None
    assert case_of(volume) is None


@pytest.fixture
def files(tmp_path, rng):
    np.save(tmp_path / "image.npy", rng.integers(0, 99, SHAPE, dtype=np.int16))
    np.save(tmp_path / "proposal.npy", some_labels())
    np.save(tmp_path / "doubt.npy", np.zeros(SHAPE, np.float32))
    return CaseFiles(
        "case", 2, GEOMETRIES["oblique"], str(tmp_path / "image.npy"),
        str(tmp_path / "proposal.npy"), None, None, str(tmp_path / "proposal.npy"),
        str(tmp_path / "doubt.npy"), 2, (),
    )  # fmt: skip


def test_edit_survives_saving_and_loading_the_scene(scene, tmp_path, files):
    shown = show_case(files, LABELS, None, project=str(ROOT))
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        box(6).astype(np.uint8), shown.proposal, "heart", shown.volume
    )
    save_edits_with_scene(shown, edited=True)
    saved_and_loaded(scene, tmp_path / "scene")
    again = show_case(files, LABELS, None, project=str(ROOT))
    assert is_edited(again, look_at_voxels=True)
    np.testing.assert_array_equal(painted(again.proposal, "heart", again.volume), box(6))
    role = again.proposal.GetReferenceImageGeometryReferenceRole()
    assert again.proposal.GetNodeReference(role) is again.volume


KINDS_OF_A_CASE = ("ScalarVolumeNode", "SegmentationNode", "ScalarVolumeDisplayNode",
                   "SegmentationDisplayNode")  # fmt: skip


def test_what_the_project_holds_is_not_saved_with_the_scene(scene, tmp_path, files):
    show_case(files, LABELS, None, project=str(ROOT))
    saved_and_loaded(scene, tmp_path / "scene")
    for kind in KINDS_OF_A_CASE:
        assert slicer.util.getNodesByClass(f"vtkMRML{kind}") == []


def test_an_edited_proposal_is_saved_together_with_its_image(scene, tmp_path, files):
    shown = show_case(files, LABELS, None, project=str(ROOT))
    save_edits_with_scene(shown, edited=True)
    saved_and_loaded(scene, tmp_path / "scene")
    (volume,) = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    (proposal,) = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert made_as(proposal) is Made.PROPOSAL
    role = proposal.GetReferenceImageGeometryReferenceRole()
    assert proposal.GetNodeReference(role) is volume
    again = show_case(files, LABELS, None, project=str(ROOT))
    assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == [again.volume, again.doubt]


def test_slicer_asks_about_edited_proposals_alone(scene, files):
    shown = show_case(files, LABELS, None, project=str(ROOT))
    assert asked_about(scene) == set()
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        box(6).astype(np.uint8), shown.proposal, "heart", shown.volume
    )
    save_edits_with_scene(shown, edited=True)
    assert asked_about(scene) == {shown.proposal.GetID(), shown.volume.GetID()}
    save_edits_with_scene(shown, edited=False)  # a stroke that was undone
    assert asked_about(scene) == set()


def asked_about(scene):
    """What Slicer offers to save at its end: changed since read, and part of the scene's file."""
    nodes = (scene.GetNthNode(n) for n in range(scene.GetNumberOfNodes()))
    return {
        node.GetID()
        for node in nodes
        if node.IsA("vtkMRMLStorableNode")
        and node.GetSaveWithScene()
        and not node.IsA("vtkMRMLColorNode")
        and node.GetModifiedSinceRead()
    }


def test_untouched_proposal_of_a_saved_scene_is_replaced_not_doubled(scene, tmp_path, files):
    show_case(files, LABELS, None, project=str(ROOT))
    saved_and_loaded(scene, tmp_path / "scene")
    again = show_case(files, LABELS, None, project=str(ROOT))
    assert len(nodes_of_case(ROOT, "case", "vtkMRMLSegmentationNode", Made.PROPOSAL)) == 1
    assert not is_edited(again, look_at_voxels=True)


def test_marked_volume_survives_an_archive(scene, tmp_path):
    """slicer-core writes .mrb files and cannot read them: what is inside is read instead."""
    remember_project(a_parameter_node(scene), ROOT)
    remember_case(a_volume("first"), CaseMark(str(ROOT), "case"))
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        node.AddDefaultStorageNode()
    scene.SetRootDirectory(str(tmp_path))
    assert scene.WriteToMRB(str(tmp_path / "a.mrb"))
    import zipfile  # noqa: PLC0415 - only here

    with zipfile.ZipFile(tmp_path / "a.mrb") as archive:
        archive.extractall(tmp_path / "out")
    (mrml,) = (tmp_path / "out").rglob("*.mrml")
    scene.Clear(1)
    scene.SetRootDirectory(str(mrml.parent))
    scene.SetURL(str(mrml))
    assert scene.Connect()
    assert volume_of_case(ROOT, "case").GetName() == "first"
    found = scene.GetSingletonNode("PseudoLabelCL", "vtkMRMLScriptedModuleNode")
    assert project_of(found) == str(ROOT)
