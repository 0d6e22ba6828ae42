"""How Slicer's Segment Editor fits into a panel of 400 pixels and leaves its width alone."""

from typing import Any

import slicer

_TOOLS = ("EffectsGroupBox", "UndoRedoGroupBox")


class EditorLayout:
    """Puts the tools in rows above the table of segments, so that options have the whole width.

    Beside the table they would leave too little for the options of most tools, and the panel would
    be widened by about 100 pixels as soon as one is taken.

    Args:
        ui: All widgets of the panel by name.
    """

    def __init__(self, ui: Any) -> None:
        self._editor = ui.segmentEditor
        self._area = ui.editorArea
        self._content = ui.editorContent
        for name in _TOOLS:
            for box in slicer.util.findChildren(self._editor, name=name):
                ui.toolsBox.layout().addWidget(box)

    def fit(self) -> None:
        """Give the editor its height; options that are wider than the panel can be scrolled."""
        bar = self._area.horizontalScrollBar()
        needed = self._content.minimumSizeHint.height() + (bar.height if bar.visible else 0)
        if self._area.minimumHeight != needed:
            self._area.setMinimumHeight(needed)
