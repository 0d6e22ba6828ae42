"""How long a person looks at a case before a verdict; time spent elsewhere does not count."""

from dataclasses import dataclass, field

# Whoever looks at a case for longer was called away.
LONGEST_S = 900.0
NUM_KEPT = 10


@dataclass
class Pace:
    """A stopwatch that runs while a case is in the views and the panel is shown.

    Args:
        times_s: The newest times from showing a case to its verdict, oldest first.
        spent_s: On the case at hand, up to the last pause.
        since_s: When the watch began to run again, by the presenter's clock; None while it rests.
        is_away: Whether another module is shown.
    """

    times_s: list[float] = field(default_factory=list)
    spent_s: float = 0.0
    since_s: float | None = None
    is_away: bool = False

    @property
    def mean_s(self) -> float | None:
        """Seconds for a case, or None before the first verdict."""
        return sum(self.times_s) / len(self.times_s) if self.times_s else None

    def begin(self, now_s: float) -> None:
        """A case has come into the views."""
        self.spent_s = 0.0
        self.since_s = None if self.is_away else now_s

    def rest(self, now_s: float) -> None:
        """Something else than the case is looked at."""
        if self.since_s is not None:
            self.spent_s += now_s - self.since_s
        self.since_s = None

    def leave_module(self, now_s: float) -> None:
        """Another module is shown."""
        self.rest(now_s)
        self.is_away = True

    def enter_module(self, now_s: float, *, is_looking: bool) -> None:
        """The panel is shown again.

        Args:
            now_s: By the presenter's clock.
            is_looking: Whether a case is in the views.
        """
        self.is_away = False
        if is_looking and self.since_s is None:
            self.since_s = now_s

    def judged(self, now_s: float) -> None:
        """A verdict was given on the case at hand; a second one on it counts anew."""
        self.rest(now_s)
        if 0.0 < self.spent_s <= LONGEST_S:
            self.times_s = [*self.times_s, self.spent_s][-NUM_KEPT:]
        self.begin(now_s)
