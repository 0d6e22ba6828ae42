"""What the parts of the self-test in Slicer share: waiting, checking, and the panel under test."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer

from PseudoLabelCLGui.mrml_bridge import ShownCase
from PseudoLabelCLGui.panel_state import Light, PanelState
from PseudoLabelCLGui.presenter import Presenter

QUICK_S = 120.0
SLOW_S = 1800.0
# Widgets get their places, and plots their axes, within this.
SETTLED_S = 1.2
# A round so small that a slow computer needs about a minute for it; what it learns is poor.
SMALL_ROUND = {
    "training.supervised.num_steps": "6",
    "training.joint.num_steps": "2",
    "training.supervised.batch_size": "4",
}
# Half the width of the block that is painted, in voxels.
_HALF_BLOCK = 4

Say = Callable[[str], None]
# Lets the application live until a condition holds or so many seconds have passed.
Wait = Callable[[Callable[[], bool], float], None]


def check(is_right: bool, otherwise: str) -> None:
    """Go on if something is as it should be.

    Raises:
        AssertionError: It is not; the text says what was found instead.
    """
    if not is_right:
        raise AssertionError(otherwise)


def paint_block(shown: ShownCase) -> None:
    """Paint a block over the middle of the volume as the Segment Editor does.

    It becomes the first structure and no other; if it is that already, it is erased.
    """
    first, *others = (label.segment_id for label in shown.labels.classes)
    proposal, volume = shown.proposal, shown.volume
    array = slicer.util.arrayFromSegmentBinaryLabelmap(proposal, first, volume)
    k, j, i = (length // 2 for length in array.shape)
    rows, columns = (slice(middle - _HALF_BLOCK, middle + _HALF_BLOCK) for middle in (j, i))
    block = (k, rows, columns)
    array[block] = 0 if array[block].all() else 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, proposal, first, volume)
    for other in others:
        array = slicer.util.arrayFromSegmentBinaryLabelmap(proposal, other, volume)
        array[block] = 0
        slicer.util.updateSegmentBinaryLabelmapFromArray(array, proposal, other, volume)


class FailureLog(logging.Handler):
    """Keeps the errors that the panel logs; a person sees a sentence instead."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep an error of this extension."""
        if record.name.startswith("PseudoLabelCL"):
            self.texts.append(logging.Formatter().format(record))


class PanelUnderTest:
    """The panel in the application, as the parts of the self-test use it.

    Args:
        widget: The module's widget with its panel.
        folder: A folder of its own that is not there yet.
        say: Shows what is done.
        wait: Lets the application, and with it the panel's timer, live meanwhile.
    """

    def __init__(self, widget: Any, folder: Path, say: Say, wait: Wait) -> None:
        self.widget, self.panel, self.ui = widget, widget.panel, widget.panel.ui
        self.folder, self.say = folder, say
        self.failures = FailureLog()
        self._wait = wait

    @property
    def presenter(self) -> Presenter:
        """The presenter of the panel."""
        presenter: Presenter = self.panel.presenter
        return presenter

    @property
    def state(self) -> PanelState:
        """What the panel shows."""
        return self.presenter.state

    @property
    def shown(self) -> ShownCase | None:
        """The case in the views, or None."""
        shown: ShownCase | None = self.panel.shownCase
        return shown

    @property
    def is_seen(self) -> bool:
        """Whether the panel is on a screen; Slicer can run without a window."""
        return bool(self.panel.top.visible)

    def press(self, name: str) -> None:
        """Press a button of the panel as soon as it can be pressed."""
        button = getattr(self.ui, name)
        self.until(f"{name} can be pressed", lambda _: bool(button.enabled))
        button.click()

    def let_settle(self) -> None:
        """Let the application live for a moment."""
        self._wait(lambda: bool(self.failures.texts), SETTLED_S)

    def wait_for(self, condition: Callable[[], bool], limit_s: float) -> None:
        """Let the application live until a condition holds, or no longer than a limit."""
        self._wait(condition, limit_s)

    def until(
        self,
        what: str,
        condition: Callable[[PanelState], bool],
        limit_s: float | None = None,
        *,
        at_all_times: Callable[[], None] = lambda: None,
    ) -> None:
        """Wait until the panel's state is as expected; an error in a slot ends the waiting.

        Args:
            what: What is expected, as a sentence goes on after "it was expected that".
            condition: Whether it is so.
            limit_s: How long to wait; while a round is trained, a red message ends it too.
            at_all_times: Raises if something is wrong meanwhile.
        """

        def is_over() -> bool:
            at_all_times()
            is_red = limit_s is not None and self.state.message.light is Light.RED
            return condition(self.state) or is_red or bool(self.failures.texts)

        self._wait(is_over, limit_s or QUICK_S)
        message = self.state.message
        log = " / ".join(self.state.train.log[-5:])
        told = " / ".join((message.text, message.remedy, log, *self.failures.texts))
        is_well = condition(self.state) and not self.failures.texts
        check(is_well, f"It was expected that {what}; the panel says: {told}")
