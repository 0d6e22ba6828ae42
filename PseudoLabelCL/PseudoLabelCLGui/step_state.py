"""What the head of the panel shows: what runs now, what to do next, what each step has done."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StatusState:
    """The line that says what runs now: training, segmenting, exporting, reading.

    Args:
        text: What is done now, or empty.
        fraction: Of it, 0..1; None shows a busy bar.
        is_running: Whether anything runs.
        time_left: "about 3 min left", or empty.
    """

    text: str = ""
    fraction: float | None = None
    is_running: bool = False
    time_left: str = ""


@dataclass(frozen=True)
class NextThing:
    """The one thing to do next.

    Args:
        step: Where it is done: "cases", "train", "review" or "use".
        text: "Review 5 proposals".
        is_doing: Whether it runs already, so that nothing is to be done but to wait.
    """

    step: str = "cases"
    text: str = ""
    is_doing: bool = False


@dataclass(frozen=True)
class StepState:
    """One of the four steps.

    Args:
        name: "cases", "train", "review" or "use".
        title: What stands on it.
        summary: What was done in it so far.
        is_done: Whether what it is for was done.
    """

    name: str
    title: str
    summary: str
    is_done: bool
