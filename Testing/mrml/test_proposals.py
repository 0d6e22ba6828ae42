"""A case in the scene: what is shown, what a person edits, what goes and what stays."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import slicer
from PseudoLabelCLGui.mrml_bridge import (
    CaseMemory,
    Made,
    case_of,
    fits_case,
    forget_case,
    geometry_of,
    is_edited,
    labels_of,
    made_as,
    nodes_of_case,
    remember_case,
    save_segmentation,
    show_as_outline,
    show_case,
    show_previous,
    show_read_case,
    show_segmentation,
    snapshot_correction,
)
from PseudoLabelCLGui.mrml_bridge.scene_link import CaseMark
from scene_things import (
    GEOMETRIES,
    LABELS,
    SIZE,
    add_segmentation_node,
    add_volume_node,
    box,
    painted,
    segment_ids,
    some_labels,
)

from PseudoLabelCLLib.domain.errors import AnnotationError, VolumeError
from PseudoLabelCLLib.messages.answers import CaseFiles
from PseudoLabelCLLib.storage.segmentation_io import read_segmentation

SHAPE = SIZE[::-1]
OBLIQUE = GEOMETRIES["oblique"]
PROJECT = "/projects/hearts"


@pytest.fixture
def files(tmp_path, rng):
    """Everything that the service can answer about a case."""
    arrays = {
        "image": rng.integers(-500, 500, SHAPE, dtype=np.int16),
        "proposal": some_labels(),
        "previous": np.roll(some_labels(), 1, axis=2),
        "uncertainty": rng.random(SHAPE, dtype=np.float32),
    }
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    paths = {name: str(tmp_path / f"{name}.npy") for name in arrays}
    return CaseFiles(
        case_id="José 心",
        round_index=3,
        geometry=OBLIQUE,
        reviewed=None,
        annotation=None,
        slicing_axis=2,
        doubtful_slices=(),
        **paths,
    )


def paint(node, segment_id, mask, volume):
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        mask.astype(np.uint8), node, segment_id, volume
    )


def ids_in(scene):
    return {scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())}


def test_all_parts_of_a_case_are_shown(scene, files):
    shown = show_case(files, LABELS, None, project=PROJECT)
    image = np.load(files.image)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(shown.volume), image)
    assert geometry_of(shown.volume).is_close_to(OBLIQUE)
    for node, values in ((shown.proposal, "proposal"), (shown.previous, "previous")):
        array = np.load(getattr(files, values))
        for label in LABELS:
            found = painted(node, label.segment_id, shown.volume)
            np.testing.assert_array_equal(found, array == label.value)
    percents = slicer.util.arrayFromVolume(shown.doubt)
    np.testing.assert_allclose(percents / 100, np.load(files.uncertainty), atol=0.00501)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_proposal_image_and_doubt_lie_on_each_other_in_every_geometry(scene, files, name):
    geometry = GEOMETRIES[name]
    shown = show_case(replace(files, geometry=geometry), LABELS, None)
    for node in (shown.volume, shown.doubt):
        assert not geometry_of(node).is_left_handed
        assert geometry_of(node).is_close_to(geometry_of(shown.volume))
    i, j, k = 9, 5, 4  # a voxel of the kidney
    assert np.load(files.proposal)[k, j, i] == 5
    left, posterior, superior = geometry.index_to_world((i, j, k))
    to_ijk = slicer.util.vtkMatrixFromArray(np.eye(4))
    shown.volume.GetRASToIJKMatrix(to_ijk)
    point = to_ijk.MultiplyPoint((-left, -posterior, superior, 1.0))[:3]
    shown_i, shown_j, shown_k = (round(n) for n in point)
    assert painted(shown.proposal, "kidney", shown.volume)[shown_k, shown_j, shown_i]
    image = slicer.util.arrayFromVolume(shown.volume)
    assert image[shown_k, shown_j, shown_i] == np.load(files.image)[k, j, i]


def test_proposal_has_the_project_s_names_colours_codes_and_identities(scene, files):
    shown = show_case(files, LABELS, None)
    assert shown.proposal.GetName() == "José 心 - proposal, round 3"
    found = labels_of(shown.proposal)
    for label, expected in zip(found, LABELS, strict=True):
        assert label == replace(expected, value=label.value)
    role = shown.proposal.GetReferenceImageGeometryReferenceRole()
    assert shown.proposal.GetNodeReferenceID(role) == shown.volume.GetID()
    assert shown.proposal.GetSegmentation().GetNumberOfLayers() == 1


def test_proposal_is_filled_and_the_one_before_is_a_hidden_outline(scene, files):
    shown = show_case(files, LABELS, None)
    display, before = shown.proposal.GetDisplayNode(), shown.previous.GetDisplayNode()
    assert display.GetVisibility2DFill()
    assert display.GetVisibility2DOutline()
    assert not before.GetVisibility()
    assert not before.GetVisibility2DFill()
    show_previous(shown, visible=True)
    assert before.GetVisibility()
    show_as_outline(shown, outline_only=True)
    assert not display.GetVisibility2DFill()
    assert display.GetVisibility2DOutline()


def test_doubt_is_coloured_and_clear_where_the_network_is_sure(scene, files):
    display = show_case(files, LABELS, None).doubt.GetDisplayNode()
    assert display.GetColorNode().GetNumberOfColors() == 256
    assert display.GetApplyThreshold()
    assert 0 < display.GetLowerThreshold() < display.GetUpperThreshold() == 100
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0, 100)
    show_case(replace(files, case_id="second"), LABELS, None)
    assert scene_colors() == 1


def scene_colors():
    return len(slicer.util.getNodesByClass("vtkMRMLColorTableNode"))


def test_no_surface_is_made_by_showing(scene, files):
    shown = show_case(files, LABELS, None)
    for node in (shown.proposal, shown.previous):
        assert not node.GetSegmentation().ContainsRepresentation("Closed surface")


@pytest.mark.parametrize(
    ("kinds", "name", "expected"),
    [
        (("proposal", "reviewed"), "José 心 - reviewed, round 3", "reviewed"),
        (("annotation",), "José 心 - copy of the segmentation", "annotation"),
    ],
)
def test_newest_that_anyone_made_is_what_a_person_edits(
    scene, files, tmp_path, kinds, name, expected
):
    other = some_labels()[::-1].copy()
    np.save(tmp_path / "other.npy", other)
    fields = dict.fromkeys(("proposal", "reviewed", "annotation"))
    fields |= dict.fromkeys(kinds, files.proposal)
    fields[expected] = str(tmp_path / "other.npy")
    shown = show_case(replace(files, **fields), LABELS, None)
    assert shown.proposal.GetName() == name
    np.testing.assert_array_equal(painted(shown.proposal, "heart", shown.volume), other == 2)


def test_case_without_a_proposal_shows_its_image_alone(scene, files):
    bare = replace(files, proposal=None, previous=None, uncertainty=None, round_index=None)
    shown = show_case(bare, LABELS, None)
    assert (shown.proposal, shown.previous, shown.doubt) == (None, None, None)
    assert not is_edited(shown)
    assert forget_case(shown) == ()


def test_a_person_s_volume_serves_as_the_image_and_is_never_removed(scene, files):
    mine = add_volume_node(np.load(files.image), OBLIQUE, "mine")
    shown = show_case(replace(files, image=None), LABELS, mine, project=PROJECT)
    assert shown.volume is mine
    assert made_as(mine) is None
    assert forget_case(shown) == ()
    assert slicer.mrmlScene.IsNodePresent(mine)


def test_volume_that_slicer_reversed_serves_as_the_image(scene, files, tmp_path):
    left_handed = GEOMETRIES["oblique and left-handed"]
    files = replace(files, geometry=left_handed)
    reversed_shown = show_case(files, LABELS, None)  # its image lies as Slicer would read it
    mine = add_volume_node(
        slicer.util.arrayFromVolume(reversed_shown.volume).copy(),
        geometry_of(reversed_shown.volume),
        "mine",
    )
    assert fits_case(mine, left_handed)
    shown = show_case(replace(files, image=None), LABELS, mine)
    assert not is_edited(shown, look_at_voxels=True)
    snapshot_correction(shown).write(tmp_path / "a.seg.nrrd")
    labels, _schema, _notices = read_segmentation(tmp_path / "a.seg.nrrd", LABELS)
    np.testing.assert_array_equal(labels.array, np.load(files.proposal))
    assert labels.geometry.is_close_to(left_handed)


def test_volume_that_is_not_the_image_any_more_is_refused(scene, files):
    moved = add_volume_node(np.load(files.image), GEOMETRIES["plain"], "moved")
    before = ids_in(scene)
    assert not fits_case(moved, OBLIQUE)
    with pytest.raises(VolumeError, match="'moved' in the scene is no longer the image"):
        show_case(files, LABELS, moved)
    assert ids_in(scene) == before


def test_forgetting_a_case_leaves_the_scene_as_it_was(scene, files):
    mine = add_volume_node(np.load(files.image), OBLIQUE, "mine")
    drawn = add_segmentation_node(mine, {"Herz": box(3)}, "drawn")
    show_case(files, LABELS, None)  # so that the colours of doubt are there
    before = ids_in(scene)
    shown = show_case(replace(files, case_id="other"), LABELS, None, project=PROJECT)
    assert len(ids_in(scene)) > len(before)
    assert forget_case(shown) == ()
    assert ids_in(scene) == before
    assert scene.IsNodePresent(drawn)
    assert forget_case(shown) == ()  # twice does no harm


def test_untouched_proposal_is_not_edited(scene, files):
    shown = show_case(files, LABELS, None)
    assert not is_edited(shown)
    shown.proposal.GetDisplayNode().SetVisibility2DFill(False)
    shown.proposal.GetSegmentation().GetSegment("heart").SetColor(0, 0, 1)
    shown.proposal.CreateClosedSurfaceRepresentation()
    labels_of(shown.proposal)
    snapshot_correction(shown)
    assert not is_edited(shown)


def test_painted_voxel_is_an_edit_and_taking_it_back_is_none(scene, files):
    shown = show_case(files, LABELS, None)
    heart = painted(shown.proposal, "heart", shown.volume)
    more = heart.copy()
    more[6, 0, 0] = True
    paint(shown.proposal, "heart", more, shown.volume)
    assert is_edited(shown)
    assert is_edited(shown, look_at_voxels=True)
    paint(shown.proposal, "heart", heart, shown.volume)
    assert is_edited(shown)  # touched, as far as the quick look can tell
    assert not is_edited(shown, look_at_voxels=True)


def test_deleted_and_added_segments_are_edits(scene, files):
    shown = show_case(files, LABELS, None)
    shown.proposal.GetSegmentation().RemoveSegment("heart")
    assert is_edited(shown, look_at_voxels=True)
    shown = show_case(files, LABELS, None)
    shown.proposal.GetSegmentation().AddEmptySegment("new", "new")
    assert not is_edited(shown, look_at_voxels=True)  # nothing is in it yet
    paint(shown.proposal, "new", box(6, 8, 10), shown.volume)
    assert is_edited(shown, look_at_voxels=True)


def test_correction_is_what_the_person_made_of_the_proposal(scene, files, tmp_path):
    shown = show_case(files, LABELS, None)
    paint(shown.proposal, "kidney", box(6, slice(0, 4)), shown.volume)
    snapshot_correction(shown).write(tmp_path / "a.seg.nrrd")
    labels, _schema, notices = read_segmentation(tmp_path / "a.seg.nrrd", LABELS)
    expected = np.load(files.proposal)
    expected[expected == 5] = 0
    expected[6, 0:4] = 5
    np.testing.assert_array_equal(labels.array, expected)
    assert notices == ()
    assert labels.geometry.is_close_to(OBLIQUE)


def test_edited_proposal_stays_as_the_person_s_own_when_the_case_is_left(scene, files):
    shown = show_case(files, LABELS, None, project=PROJECT)
    paint(shown.proposal, "heart", box(6), shown.volume)
    (kept,) = forget_case(shown)
    assert kept is shown.proposal
    assert "edited, not saved" in kept.GetName()
    assert made_as(kept) is None
    assert scene.IsNodePresent(shown.volume)  # it lies on it
    assert kept.GetSaveWithScene()
    assert shown.volume.GetSaveWithScene()
    np.testing.assert_array_equal(painted(kept, "heart", shown.volume), box(6))


def test_saved_edits_go_with_the_case(scene, files):
    shown = show_case(files, LABELS, None)
    paint(shown.proposal, "heart", box(6), shown.volume)
    assert forget_case(shown, edits_are_saved=True) == ()
    assert not scene.IsNodePresent(shown.proposal)


def test_edit_that_came_back_with_a_scene_is_taken_up(scene, files):
    earlier = show_case(files, LABELS, None, project=PROJECT)
    paint(earlier.proposal, "heart", box(6), earlier.volume)
    scene.RemoveNode(earlier.volume)  # the scene is saved without it
    shown = show_case(files, LABELS, None, project=PROJECT)
    assert shown.proposal is earlier.proposal
    assert is_edited(shown, look_at_voxels=True)
    np.testing.assert_array_equal(painted(shown.proposal, "heart", shown.volume), box(6))
    assert len(nodes_of_case(PROJECT, files.case_id, "vtkMRMLSegmentationNode", Made.PROPOSAL)) == 1


def test_untouched_proposal_that_came_back_with_a_scene_is_replaced(scene, files):
    earlier = show_case(files, LABELS, None, project=PROJECT)
    shown = show_case(files, LABELS, None, project=PROJECT)
    assert not scene.IsNodePresent(earlier.proposal)
    assert scene.IsNodePresent(shown.proposal)


def test_edit_older_than_the_verdict_never_takes_the_verdict_s_place(scene, files, tmp_path):
    earlier = show_case(files, LABELS, None, project=PROJECT)
    paint(earlier.proposal, "heart", box(6), earlier.volume)
    np.save(tmp_path / "reviewed.npy", some_labels())
    reviewed = replace(files, reviewed=str(tmp_path / "reviewed.npy"))
    shown = show_case(reviewed, LABELS, None, project=PROJECT)
    assert shown.proposal is not earlier.proposal
    assert scene.IsNodePresent(earlier.proposal)
    assert made_as(earlier.proposal) is None
    assert not is_edited(shown, look_at_voxels=True)


def test_voxels_can_be_read_in_a_thread(scene, files):
    memory = CaseMemory(files, LABELS, with_image=True)
    thread = threading.Thread(target=memory.read)
    thread.start()
    thread.join()
    shown = show_read_case(memory, None)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(shown.volume), np.load(files.image))
    assert not is_edited(shown, look_at_voxels=True)


def test_label_values_above_a_byte_are_shown(scene, tmp_path):
    labels = type(LABELS)((replace(LABELS.classes[0], value=300),))
    array = np.where(some_labels() == 2, 300, 0).astype(np.int16)
    np.save(tmp_path / "a.npy", array)
    volume = add_volume_node(np.zeros(SHAPE, np.int16), OBLIQUE)
    node = show_segmentation(tmp_path / "a.npy", OBLIQUE, labels, "result", volume)
    np.testing.assert_array_equal(painted(node, "heart", volume), array == 300)
    save_segmentation(node, tmp_path / "a.seg.nrrd", volume)
    found, _schema, _notices = read_segmentation(tmp_path / "a.seg.nrrd", labels)
    np.testing.assert_array_equal(found.array, array)


def test_label_values_that_do_not_fit_are_told(scene, tmp_path):
    np.save(tmp_path / "a.npy", np.full(SHAPE, 700, np.int16))
    volume = add_volume_node(np.zeros(SHAPE, np.int16), OBLIQUE)
    with pytest.raises(AnnotationError, match="from 700 to 700"):
        show_segmentation(tmp_path / "a.npy", OBLIQUE, LABELS, "result", volume)


def test_proposal_that_a_person_deleted_cannot_be_a_correction(scene, files):
    shown = show_case(files, LABELS, None)
    scene.RemoveNode(shown.proposal)
    assert not is_edited(shown)
    with pytest.raises(AnnotationError, match="no longer in the scene"):
        snapshot_correction(shown)
    assert forget_case(shown) == ()


def test_marks_tell_what_the_program_made_and_for_which_case(scene, files):
    shown = show_case(files, LABELS, None, project=PROJECT)
    kinds = {
        shown.volume: Made.IMAGE,
        shown.proposal: Made.PROPOSAL,
        shown.previous: Made.PREVIOUS,
        shown.doubt: Made.DOUBT,
    }
    for node, kind in kinds.items():
        assert made_as(node) is kind
        assert (case_of(node).project, case_of(node).case_id) == (PROJECT, files.case_id)
    assert case_of(shown.proposal).round_index == 3
    mine = add_volume_node(np.zeros(SHAPE, np.int16), OBLIQUE)
    remember_case(mine, CaseMark(PROJECT, files.case_id))
    assert made_as(mine) is None


def test_segments_of_the_proposal_do_not_share_identities_by_chance(scene, files):
    shown = show_case(files, LABELS, None)
    assert segment_ids(shown.proposal) == [label.segment_id for label in LABELS]
