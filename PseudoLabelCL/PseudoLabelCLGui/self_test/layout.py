"""The part of the self-test in Slicer that looks how the panel is laid out, where it is seen."""

from collections.abc import Iterator
from typing import Any

from PseudoLabelCLGui.self_test.shared import PanelUnderTest, check

# What lays out its own inner widgets; looking inside is Slicer's and Qt's business.
_CLOSED = {
    "qMRMLSegmentEditorWidget", "qMRMLPlotWidget", "QTableWidget", "QListWidget", "QPlainTextEdit",
    "ctkPathLineEdit", "qMRMLNodeComboBox", "QComboBox", "QSpinBox", "qMRMLSegmentsTableView",
}  # fmt: skip
# What scrolls may be as low as the panel says; else it goes by what Qt proposes.
_SCROLLS = {"QTableWidget", "QListWidget", "QPlainTextEdit"}
_BUTTONS = {"QPushButton", "QToolButton"}
# Frame and margin of a button.
_AROUND_TEXT_PX = 8
# Texts in these are cut on purpose, and stand in the tool tip.
_CUT = {"projectLabel", "statusLabel", "doneLabel", "nextThingButton"}
# A busy computer takes some time over it.
_LAID_OUT_WITHIN_S = 3.0
_ALWAYS_IN_SIGHT = ("headFrame", "stepsFrame", "footFrame")


class LayoutTest:
    """Opens the steps with their folded parts, and looks at each.

    Args:
        tested: The panel.
    """

    def __init__(self, tested: PanelUnderTest) -> None:
        self._tested = tested
        self._num_looks = 0

    def look(self, where: str) -> None:
        """Check what is laid out now, if it is on a screen.

        Args:
            where: What is shown, for the message.
        """
        if not self._tested.is_seen:
            return
        self._tested.let_settle()
        top = self._tested.panel.top
        self._tested.wait_for(lambda: not self._faults(), _LAID_OUT_WITHIN_S)
        faults = self._faults()
        self._num_looks += 1
        size = f"{top.width} x {top.height} pixels"
        check(not faults, f"The layout of '{where}' ({size}): {'; '.join(faults)}.")

    def _faults(self) -> list[str]:
        return [*layout_faults(self._tested.panel.top), *_out_of_sight(self._tested)]

    def look_without_project(self) -> None:
        """Check the panel before a project is open."""
        self._open("cases")
        for press, where in (
            ("newProjectButton", "a new project"),
            ("cancelProjectButton", "the beginning again"),
            ("readinessButton", "this computer"),
        ):
            self._press(press, where)
        self._open("cases")

    def look_at_steps(self) -> None:
        """Check every step of an open project, with what can be unfolded in it."""
        for step, toggles in (
            ("cases", ("addToggle", "structuresToggle")),
            ("train", ("curveToggle", "historyToggle", "advancedToggle", "logToggle")),
            ("review", ("editButton",)),
            ("use", ("exportChoiceButton", "segmentChoiceButton")),
        ):
            self._open(step)
            for name in toggles:
                self._unfold(name, step)

    def tell(self) -> None:
        """Say how much was looked at."""
        looked = f"The layout was looked at {self._num_looks} times."
        self._tested.say(looked if self._num_looks else "There is no window: no layout is shown.")

    def _open(self, step: str) -> None:
        self._press(f"{step}StepButton", step)

    def _press(self, name: str, where: str) -> None:
        self._tested.press(name)
        self.look(where)

    def _unfold(self, name: str, step: str) -> None:
        button = getattr(self._tested.ui, name)
        if not (button.visible and button.enabled):
            return
        was_checked = bool(button.checked)
        for _ in range(2):
            button.click()
            self.look(f"{step}, {name} {'pressed' if button.checked else 'let go'}")
            if bool(button.checked) is was_checked or name.endswith("ChoiceButton"):
                return


def layout_faults(parent: Any) -> Iterator[str]:
    """Tell what covers something else beside it, or is smaller than it needs to be."""
    shown = [one for one in parent.children() if _is_shown(one)]
    for number, first in enumerate(shown):
        for second in shown[number + 1 :]:
            if first.geometry.intersects(second.geometry):
                yield f"{_name(first)} overlaps {_name(second)}"
    for widget in shown:
        yield from _too_small(widget)
        if widget.className() not in _CLOSED:
            yield from layout_faults(widget)


def _too_small(widget: Any) -> Iterator[str]:
    least = widget.minimumSizeHint
    wraps = widget.hasHeightForWidth()
    needed = _height_for_width(widget) if wraps else least.height()
    if widget.className() in _SCROLLS and widget.minimumHeight:
        needed = widget.minimumHeight
    if widget.height < min(needed, widget.maximumHeight):
        yield f"{_name(widget)} is {widget.height} pixels high and needs {needed}"
    if wraps or widget.objectName in _CUT:
        return
    if widget.className() in _BUTTONS and widget.minimumWidth:
        yield from _cut_text(widget)
    elif widget.width < min(least.width(), widget.maximumWidth):
        yield f"{_name(widget)} is {widget.width} pixels wide and needs {least.width()}"


def _height_for_width(widget: Any) -> int:
    """Return the least height that a text, or what holds texts, needs for its width."""
    layout = widget.layout()
    if layout is None:
        return int(widget.heightForWidth(widget.width))
    return int(layout.totalMinimumHeightForWidth(widget.width))


def _cut_text(button: Any) -> Iterator[str]:
    """Tell if a button that may be narrower than Qt proposes does not hold its words."""
    import qt  # noqa: PLC0415 - the rest of the self-test runs without Qt as well

    room = button.width - _AROUND_TEXT_PX
    if button.fontMetrics().elidedText(button.text, qt.Qt.ElideMiddle, room) != button.text:
        yield f"{_name(button)} is {button.width} pixels wide and cuts '{button.text}'"


def _out_of_sight(tested: PanelUnderTest) -> Iterator[str]:
    """Tell which of head, steps and foot reaches beyond something that holds it."""
    for name in _ALWAYS_IN_SIGHT:
        frame = holder = getattr(tested.ui, name)
        left = top = 0
        while not holder.isWindow():
            left, top, holder = left + holder.x, top + holder.y, holder.parent()
            is_beyond = left + frame.width > holder.width or top + frame.height > holder.height
            if left < 0 or top < 0 or is_beyond:
                yield f"{name} reaches beyond {_name(holder)}"
                break


def _is_shown(child: Any) -> bool:
    return hasattr(child, "isWindow") and bool(child.visible) and not child.isWindow()


def _name(widget: Any) -> str:
    return str(widget.objectName or widget.className())
