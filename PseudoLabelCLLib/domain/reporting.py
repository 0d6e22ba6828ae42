"""What a long job tells while it runs, and how it learns that it shall stop."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, TypeAlias

# Is told what is done now, in words for a person, how many steps are done, and how many there are
# as far as is known.
SayProgress: TypeAlias = Callable[[str, int, int], None]


def silent(_text: str, _done: int, _total: int) -> None:
    """Stand for a listener where nobody wants to know how far it is."""


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

    def progress(self, stage: str, step: int, num_steps: int) -> None:
        """Tell that `step` of `num_steps` steps of a stage are done; call it as often as you like.

        Args:
            stage: What is done now, in words for a person: "Round 1: training".
            step: Steps done so far, 0..num_steps.
            num_steps: Steps of the whole stage, 1 or more.
        """

    def metrics(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Tell numbers measured at a step, such as {"loss": 0.3}; each is sent on."""

    def notice(self, text: str, *, warning: bool = False) -> None:
        """Tell a person something in one or two sentences."""

    def artifact(self, kind: str, path: Path) -> None:
        """Tell that a file is ready: its kind in one word ("report", "proposal"), and where."""

    def is_cancelled(self) -> bool:
        """Return whether the job shall save its state and raise `Cancelled`; ask at every step."""
