"""The part of the self-test in Slicer that looks at the panel; only its rounds need PyTorch."""

import logging
from pathlib import Path
from typing import Any

import slicer

from PseudoLabelCLGui.self_test.layout import LayoutTest
from PseudoLabelCLGui.self_test.rounds import RoundsTest
from PseudoLabelCLGui.self_test.scene import OtherSegmentations
from PseudoLabelCLGui.self_test.shared import PanelUnderTest, Say, Wait, check
from PseudoLabelCLLib.domain.case import CaseRole

# The smallest screen that the panel is made for, in pixels.
SMALLEST_SCREEN = (1366, 768)


class PanelTest:
    """The panel in the application: a project, a case in views and editor, a closed scene, rounds.

    Args:
        widget: The module's widget with its panel.
        folder: A folder of its own that is not there yet.
        say: Shows what is done.
        wait: Lets the application, and with it the panel's timer, live meanwhile.
    """

    def __init__(self, widget: Any, folder: Path, say: Say, wait: Wait) -> None:
        self._widget, self._say = widget, say
        self._tested = PanelUnderTest(widget, folder, say, wait)
        self._editor = self._tested.ui.segmentEditor
        self._layout = LayoutTest(self._tested)

    def run(self, *, trains: bool = True) -> None:
        """Go through it; each step checks what it brought.

        Args:
            trains: Whether to train rounds as well.
        """
        has_window = slicer.util.mainWindow() is not None
        logging.getLogger().addHandler(self._tested.failures)
        try:
            if has_window:
                enlarge(slicer.util.mainWindow())
                slicer.util.selectModule("PseudoLabelCL")
            else:
                self._widget.enter()
            self._layout.look_without_project()
            self._show_case_among_others()
            self._close_scene()
            if trains:
                RoundsTest(self._tested, self._layout).run()
                self._close_scene()
            self._layout.tell()
        finally:
            logging.getLogger().removeHandler(self._tested.failures)
            if not has_window:
                self._widget.exit()

    def _show_case_among_others(self) -> None:
        tested = self._tested
        self._say("The panel makes a project from phantoms.")
        tested.presenter.project.make_sample(str(tested.folder))
        tested.until("the sample volumes were added", lambda s: len(s.cases.rows) >= 5)
        root = tested.state.project.root
        self._say("A case is shown while other segmentations are in the scene.")
        others = OtherSegmentations()
        self._show_case()
        tested.let_settle()
        others.check_hidden()
        if slicer.app.layoutManager() is not None:
            self._look_at_views()
            self._take_brush()
        tested.presenter.project.close()
        tested.until("the case was left with its project", lambda s: not s.project.root)
        tested.let_settle()
        others.check_back()
        others.remove()
        tested.presenter.project.open(root)
        tested.until("the project was opened again", lambda s: len(s.cases.rows) >= 5)
        self._show_case()
        self._layout.look_at_steps()

    def _show_case(self) -> None:
        tested = self._tested
        rows = tested.state.cases.rows
        tested.presenter.review.show_case(
            next(r.case_id for r in rows if r.role is CaseRole.ANNOTATED)
        )
        tested.until("a case was shown", lambda _: self._editor.segmentationNode() is not None)

    def _look_at_views(self) -> None:
        views = slicer.app.layoutManager()
        segmentation = self._editor.segmentationNode()
        role = segmentation.GetReferenceImageGeometryReferenceRole()
        volume_id = segmentation.GetNodeReferenceID(role)
        for name in views.sliceViewNames():
            composite = views.sliceWidget(name).sliceLogic().GetSliceCompositeNode()
            shown = composite.GetBackgroundVolumeID()
            check(shown == volume_id, f"View {name} shows '{shown}', not '{volume_id}'.")

    def _take_brush(self) -> None:
        self._tested.ui.editButton.click()
        check(self._editor.sourceVolumeNode() is not None, "The editor has no source volume.")
        check(self._editor.activeEffect() is not None, "The button Edit gave no brush.")
        self._tested.ui.editButton.click()
        check(self._editor.activeEffect() is None, "The button Edit did not put the brush down.")

    def _close_scene(self) -> None:
        self._say("The scene is closed while a case is shown.")
        slicer.mrmlScene.Clear()
        self._tested.until("the project was closed with the scene", lambda s: not s.project.root)
        check(self._editor.segmentationNode() is None, "The editor holds a node that is gone.")


def enlarge(window: Any) -> None:
    """Make a window as large as the smallest screen, if it is smaller, so that layouts count."""
    width, height = (
        max(a, b) for a, b in zip((window.width, window.height), SMALLEST_SCREEN, strict=True)
    )
    window.resize(width, height)
