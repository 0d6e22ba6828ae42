"""What a long job tells while it runs, and how it learns that it shall stop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from PseudoLabelCLLib.domain.text import Text

# Told the stage, the steps done and the steps in all, as in `Progress`; returns at once.
ReportProgress: TypeAlias = Callable[[Text, int, int], None]


def silent(_stage: Text, _step: int, _num_steps: int) -> None:
    """Stand for a listener where nobody wants to know how far it is."""


@dataclass(frozen=True)
class Progress:
    """How far a stage of some work is.

    Args:
        stage: What is done now, in words for a person: "Round 1: training".
        step: Steps done, 0..num_steps.
        num_steps: Steps of the whole stage, as far as is known; 0 if nothing is known yet.
        seconds_left: Estimate for the rest of the stage, or None while there is none.
    """

    stage: Text
    step: int
    num_steps: int
    seconds_left: float | None = None

    @property
    def fraction(self) -> float | None:
        """The part that is done, 0..1; None if the number of steps is not known."""
        return self.step / self.num_steps if self.num_steps else None


class Cancelled(Exception):  # noqa: N818 - it is an answer to a request, not an error
    """The job stopped early because it was asked to, with everything saved.

    Args:
        resumable: Whether the same job, started again, continues from where this one stopped.
    """

    def __init__(self, *, resumable: bool = True) -> None:
        super().__init__("The job was cancelled.")
        self.resumable = resumable


class Report(Protocol):
    """The one who listens to a job; every method returns at once."""

    def progress(self, stage: Text, step: int, num_steps: int) -> None:
        """Tell that `step` of `num_steps` steps of a stage are done; call it as often as you like.

        Args:
            stage: What is done now, in words for a person: "Round 1: training".
            step: Steps done so far, 0..num_steps.
            num_steps: Steps of the whole stage, 1 or more.
        """

    def metrics(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Tell numbers measured at a step, such as {"loss": 0.3}; each is sent on."""

    def notice(self, text: Text, *, warning: bool = False) -> None:
        """Tell a person something in one or two sentences."""

    def artifact(self, kind: str, path: Path) -> None:
        """Tell that a file is ready: its kind in one word ("report", "proposal"), and where."""

    def is_cancelled(self) -> bool:
        """Return whether the job shall save its state and raise `Cancelled`; ask at every step."""
