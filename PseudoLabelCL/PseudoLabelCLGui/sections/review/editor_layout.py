"""How Slicer's Segment Editor fits into a panel of 400 pixels and leaves its width alone."""

from typing import Any

import slicer

# Row, column, and how many columns.
_PLACES = {
    "EffectsGroupBox": (0, 0, 2),
    "UndoRedoGroupBox": (1, 0, 1),
    "Show3DButton": (1, 1, 1),
}
# Frames around the options, whose margins would be missing beside them.
_FRAMES = ("OptionsGroupBox", "EffectsOptionsFrame")


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
        for name, (row, column, span) in _PLACES.items():
            for box in slicer.util.findChildren(self._editor, name=name):
                ui.toolsBox.layout().addWidget(box, row, column, 1, span)
        self._editor.layout().setContentsMargins(0, 0, 0, 0)
        for name in _FRAMES:
            for box in slicer.util.findChildren(self._editor, name=name):
                box.layout().setContentsMargins(2, 2, 2, 2)

    def fit(self) -> None:
        """Give the editor its height; options that are wider than the panel can be scrolled."""
        bar = self._area.horizontalScrollBar()
        needed = self._content.minimumSizeHint.height() + (bar.height if bar.visible else 0)
        if self._area.minimumHeight != needed:
            self._area.setMinimumHeight(needed)
