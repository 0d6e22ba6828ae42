"""The views while a case is shown: nothing of others lies over it, and all comes back as it was."""

from pathlib import Path

import numpy as np
import panel_states as states
import pytest
import slicer
from review_things import draw, leave, proposal_of, show, wait_until


def composites():
    return slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")


def a_volume(name, kind="vtkMRMLScalarVolumeNode"):
    return slicer.util.addVolumeFromArray(
        np.ones((6, 8, 9), np.uint8), name=name, nodeClassName=kind
    )


def a_segmentation(name, *, visible=True):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetVisibility(visible)
    return node


def is_seen(node):
    return bool(node.GetDisplayNode().GetVisibility())


def seen_in_views():
    widgets = [slicer.app.layoutManager().sliceWidget(n) for n in ("Red", "Green", "Yellow")]
    return [
        (
            one.GetBackgroundVolumeID(),
            one.GetForegroundVolumeID(),
            one.GetLabelVolumeID(),
            one.GetForegroundOpacity(),
            one.GetLabelOpacity(),
        )
        for one in composites()
    ] + [
        (
            tuple(np.ravel(slicer.util.arrayFromVTKMatrix(w.mrmlSliceNode().GetSliceToRAS()))),
            w.mrmlSliceNode().GetFieldOfView(),
        )
        for w in widgets
    ]


@pytest.fixture
def a_busy_scene(a_panel):
    """Views in use, and segmentations of other patients, seen and hidden."""
    layers = [
        a_volume("background"),
        a_volume("foreground"),
        a_volume("label", "vtkMRMLLabelMapVolumeNode"),
    ]
    for composite in composites():
        composite.SetBackgroundVolumeID(layers[0].GetID())
        composite.SetForegroundVolumeID(layers[1].GetID())
        composite.SetLabelVolumeID(layers[2].GetID())
        composite.SetForegroundOpacity(0.7)
        composite.SetLabelOpacity(0.6)
    slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode().SetFieldOfView(33, 44, 1)
    nodes = a_segmentation("seen"), a_segmentation("hidden", visible=False)
    a_panel.show(states.REVIEW)
    return a_panel, nodes


def test_nothing_of_others_lies_over_the_case(a_busy_scene, tmp_path):
    panel, (seen, hidden) = a_busy_scene
    show(panel, tmp_path)
    case = panel.panel._review.proposal.case
    assert not is_seen(seen)
    assert not is_seen(hidden)
    assert is_seen(case.proposal)
    for composite in composites():
        assert composite.GetBackgroundVolumeID() == case.volume.GetID()
        assert composite.GetForegroundVolumeID() == case.doubt.GetID()
        assert 0 < composite.GetForegroundOpacity() < 0.3  # faint
        assert not composite.GetLabelVolumeID()


@pytest.mark.parametrize("way", ["left", "after another case", "deleted", "discarded"])
def test_all_comes_back_as_the_person_had_it(a_busy_scene, tmp_path, way):
    panel, (seen, hidden) = a_busy_scene
    before = seen_in_views()
    show(panel, tmp_path)
    if way == "after another case":
        panel.presenter.listeners.on_case_left("heart 4", False)
        show(panel, tmp_path / "b", "heart 3")
        assert not is_seen(seen)
        panel.presenter.listeners.on_case_left("heart 3", False)
    elif way == "deleted":
        slicer.mrmlScene.RemoveNode(panel.panel._review.proposal.case.volume)
    else:
        panel.presenter.listeners.on_case_left("heart 4", way == "discarded")
    panel.tick()
    assert is_seen(seen)
    assert not is_seen(hidden)
    assert seen_in_views() == before


def test_the_views_stay_while_another_module_is_shown(a_busy_scene, tmp_path):
    panel, (seen, _hidden) = a_busy_scene
    show(panel, tmp_path)
    panel.panel.exit()
    panel.tick()
    assert not is_seen(seen)
    panel.panel.enter()
    leave(panel)
    assert is_seen(seen)


def test_what_the_person_shows_meanwhile_stays_as_it_is(a_busy_scene, tmp_path):
    panel, (seen, hidden) = a_busy_scene
    show(panel, tmp_path)
    hidden.GetDisplayNode().SetVisibility(True)
    mine = a_volume("mine")
    composites()[0].SetForegroundVolumeID(mine.GetID())
    leave(panel)
    assert is_seen(seen)
    assert is_seen(hidden)
    assert composites()[0].GetForegroundVolumeID() == mine.GetID()


def test_a_node_that_is_gone_does_not_come_back(a_busy_scene, tmp_path):
    panel, (seen, _hidden) = a_busy_scene
    show(panel, tmp_path)
    slicer.mrmlScene.RemoveNode(seen)
    for composite in composites():
        foreground = slicer.util.getNode("foreground") if composite is composites()[0] else None
        if foreground is not None:
            slicer.mrmlScene.RemoveNode(foreground)
    leave(panel)
    assert not composites()[0].GetForegroundVolumeID()


def test_edits_of_another_case_that_stay_do_not_lie_over_this_one(a_busy_scene, tmp_path):
    panel, _nodes = a_busy_scene
    show(panel, tmp_path)
    draw(panel)
    mine = proposal_of(panel)
    panel.presenter.listeners.on_case_left("heart 4", False)
    show(panel, tmp_path / "b", "heart 3")
    assert not is_seen(mine)
    panel.presenter.listeners.on_case_left("heart 3", False)
    panel.tick()
    assert is_seen(mine)


def window_of(panel):
    display = panel.panel._review.proposal.case.volume.GetDisplayNode()
    return display.GetWindow(), display.GetLevel()


def go_on(panel, folder, left, case_id):
    panel.presenter.listeners.on_case_left(left, False)
    show(panel, folder, case_id)


def test_window_and_level_stay_as_the_person_set_them(a_shown_case, tmp_path):
    go_on(a_shown_case, tmp_path / "b", "heart 4", "heart 3")
    by_itself = window_of(a_shown_case)
    display = a_shown_case.panel._review.proposal.case.volume.GetDisplayNode()
    display.SetWindowLevel(77.0, 55.0)
    go_on(a_shown_case, tmp_path / "c", "heart 3", "heart 6")
    assert window_of(a_shown_case) == (77.0, 55.0) != by_itself
    go_on(a_shown_case, tmp_path / "d", "heart 6", "heart 4")
    assert window_of(a_shown_case) == (77.0, 55.0)


def test_until_then_each_case_has_its_own_window(a_shown_case, tmp_path):
    first = window_of(a_shown_case)
    files = states.phantom_files(tmp_path / "b", "heart 3")
    image = np.load(files.image)
    np.save(Path(files.image), image * 3)
    a_shown_case.presenter.listeners.on_case_left("heart 4", False)
    a_shown_case.presenter.listeners.on_case_files(files)

    wait_until(a_shown_case, lambda: a_shown_case.panel._review.proposal.case is not None)
    assert window_of(a_shown_case)[0] == pytest.approx(3 * first[0])


def test_a_person_s_own_volume_gets_its_window_back(a_shown_case, tmp_path):
    from PseudoLabelCLGui.mrml_bridge import (  # noqa: PLC0415 - the stand-ins come before it
        CaseMark,
        remember_case,
        show_volume,
    )

    a_shown_case.panel._review.proposal.case.volume.GetDisplayNode().SetWindowLevel(77.0, 55.0)
    files = states.phantom_files(tmp_path / "b", "heart 3")
    mine = show_volume(Path(files.image), files.geometry, "mine")
    remember_case(mine, CaseMark(states.REVIEW.project.root, "heart 3"))
    before = mine.GetDisplayNode().GetWindow(), mine.GetDisplayNode().GetLevel()
    go_on(a_shown_case, tmp_path / "b", "heart 4", "heart 3")
    assert a_shown_case.panel._review.proposal.case.volume is mine
    assert window_of(a_shown_case) == (77.0, 55.0)
    a_shown_case.presenter.listeners.on_case_left("heart 3", False)
    assert (mine.GetDisplayNode().GetWindow(), mine.GetDisplayNode().GetLevel()) == before


def test_the_first_slice_shown_has_something_to_judge(a_panel, tmp_path):
    a_panel.show(states.REVIEW)
    files = states.phantom_files(tmp_path, "heart 4")
    labels = np.load(files.proposal)
    labels[[0, 3, 8]] = 0  # the most doubtful slices show nothing
    np.save(Path(files.proposal), labels)
    a_panel.presenter.listeners.on_case_files(files)

    wait_until(a_panel, lambda: a_panel.panel._review.proposal.case is not None)
    logic = slicer.app.layoutManager().sliceWidget("Red").sliceLogic()
    spacing, origin = states.GEOMETRY.spacing_mm[2], states.GEOMETRY.origin_mm[2]
    assert logic.GetSliceOffset() == pytest.approx(origin + 5 * spacing)


def test_a_map_of_doubt_that_nobody_sees_is_not_in_the_scene(a_panel, tmp_path):

    a_panel.show(states.REVIEW)
    a_panel.ui.doubtCheck.setChecked(False)
    show(a_panel, tmp_path)
    review = a_panel.panel._review
    assert review.proposal.case.doubt is None
    a_panel.ui.doubtCheck.setChecked(True)
    wait_until(a_panel, lambda: review.proposal.case.doubt is not None)
    (composite, *_rest) = composites()
    assert composite.GetForegroundVolumeID() == review.proposal.case.doubt.GetID()
    assert composite.GetForegroundOpacity() > 0
