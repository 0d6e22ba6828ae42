"""The part of the self-test in Slicer that looks at the panel; it needs no PyTorch."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer

from PseudoLabelCLGui.panel_state import PanelState
from PseudoLabelCLLib.domain.case import CaseRole

QUICK_S = 120.0

Say = Callable[[str], None]
# Lets the application live until a condition holds or so many seconds have passed.
Wait = Callable[[Callable[[], bool], float], None]


class PanelTest:
    """The panel in the application: a project, a case in views and editor, a closed scene.

    Args:
        widget: The module's widget with its panel.
        folder: A folder of its own that is not there yet.
        say: Shows what is done.
        wait: Lets the application, and with it the panel's timer, live meanwhile.
    """

    def __init__(self, widget: Any, folder: Path, say: Say, wait: Wait) -> None:
        self._widget, self._folder, self._say, self._wait = widget, folder, say, wait
        self._panel = widget.panel
        self._editor = self._panel.ui.segmentEditor
        self._failures = FailureLog()

    def run(self) -> None:
        """Go through it; each step checks what it brought."""
        has_window = slicer.util.mainWindow() is not None
        logging.getLogger().addHandler(self._failures)
        try:
            if has_window:
                slicer.util.selectModule("PseudoLabelCL")
            else:
                self._widget.enter()
            self._show_case()
            if slicer.app.layoutManager() is not None:
                self._look_at_views()
                self._take_brush()
            self._close_scene()
        finally:
            logging.getLogger().removeHandler(self._failures)
            if not has_window:
                self._widget.exit()

    def _show_case(self) -> None:
        self._say("The panel makes a project from phantoms and shows a case.")
        presenter = self._panel.presenter
        presenter.make_sample_project(str(self._folder))
        self._until("the sample volumes were added", lambda s: len(s.cases.rows) >= 5)
        rows = presenter.state.cases.rows
        presenter.show_case(next(r.case_id for r in rows if r.role is CaseRole.ANNOTATED))
        self._until("a case was shown", lambda _: self._editor.segmentationNode() is not None)

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
        self._panel.ui.editButton.click()
        check(self._editor.sourceVolumeNode() is not None, "The editor has no source volume.")
        check(self._editor.activeEffect() is not None, "The button Edit gave no brush.")
        self._panel.ui.editButton.click()
        check(self._editor.activeEffect() is None, "The button Edit did not put the brush down.")

    def _close_scene(self) -> None:
        self._say("The scene is closed while a case is shown.")
        slicer.mrmlScene.Clear()
        self._until("the project was closed with the scene", lambda s: not s.project.root)
        check(self._editor.segmentationNode() is None, "The editor holds a node that is gone.")

    def _until(self, what: str, condition: Callable[[PanelState], bool]) -> None:
        """Wait until the panel's state is as expected; an error in a slot ends the waiting."""
        presenter = self._panel.presenter
        self._wait(lambda: condition(presenter.state) or bool(self._failures.texts), QUICK_S)
        told = " / ".join((presenter.state.message.text, *self._failures.texts))
        is_well = condition(presenter.state) and not self._failures.texts
        check(is_well, f"It was expected that {what}; the panel says: {told}")


class FailureLog(logging.Handler):
    """Keeps the errors that the panel logs; a person sees a sentence instead."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep an error of this extension."""
        if record.name.startswith("PseudoLabelCL"):
            self.texts.append(logging.Formatter().format(record))


def check(is_right: bool, otherwise: str) -> None:
    """Go on if something is as it should be.

    Raises:
        AssertionError: It is not; the text says what was found instead.
    """
    if not is_right:
        raise AssertionError(otherwise)
