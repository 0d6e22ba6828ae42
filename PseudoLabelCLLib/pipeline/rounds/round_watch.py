"""What a round really takes: each work timed while it is done, beside what was expected."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.reporting import Report
from PseudoLabelCLLib.domain.round import RoundCost
from PseudoLabelCLLib.domain.round_estimate import (
    cost_in_words,
    cost_of_round,
    expected_seconds,
    what_was_off,
)
from PseudoLabelCLLib.domain.round_work import RoundWork, Standing, Work
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.storage.files.own_memory import forget_peak, peak_resident_bytes
from PseudoLabelCLLib.storage.project.kept_paces import KeptPace, keep_paces
from PseudoLabelCLLib.storage.project.round_forecast import Forecast, forecast_round
from PseudoLabelCLLib.storage.project.settled_device import SettledDevice


class _Timed:
    """Seconds and amount of one work; what came first in a process is slow, and apart."""

    def __init__(self) -> None:
        self.seconds, self.amount = 0.0, 0.0
        self.first: tuple[float, float] | None = None

    def add(self, seconds: float, amount: float) -> None:
        if self.first is None:
            self.first = (seconds, amount)
        else:
            self.seconds += seconds
            self.amount += amount

    @property
    def pace(self) -> float | None:
        if self.amount:
            return self.seconds / self.amount
        return self.first[0] / self.first[1] if self.first else None


class RoundWatch:
    """Times a round of one project in this process, and says what the rest of it will take.

    Args:
        device: What it runs on.
        clock: Seconds that only grow.
        peak_bytes: Returns the most memory of this process so far, or None.
    """

    def __init__(
        self,
        device: ComputeDevice,
        clock: Callable[[], float] = time.monotonic,
        peak_bytes: Callable[[], int | None] = peak_resident_bytes,
    ) -> None:
        self.now = clock
        self.device = device
        self._peak_bytes = peak_bytes
        self._started_s = clock()
        self._elsewhere_s = 0.0
        self._aside_s = 0.0
        self._peak_is_of_round = True
        self._timed: dict[Work, _Timed] = defaultdict(_Timed)
        self._expected_s: float | None = None
        self._expected_bytes: int | None = None
        self._work = RoundWork()
        forget_peak()
        if device.name == "cuda":
            torch.cuda.reset_peak_memory_stats()

    @property
    def has_told(self) -> bool:
        """Whether it was said what the round takes."""
        return self._expected_s is not None

    @property
    def elapsed_s(self) -> float:
        """Seconds since it was made."""
        return self.now() - self._started_s

    @property
    def spent_s(self) -> float:
        """Seconds of everything that was timed so far."""
        return (
            self._elsewhere_s
            + self._aside_s
            + sum(
                one.seconds + (one.first[0] if one.first else 0.0) for one in self._timed.values()
            )
        )

    def add(self, work: Work, seconds: float, amount: float) -> None:
        """Note that an amount of some work took so long."""
        if amount > 0:
            self._timed[work].add(seconds, amount)

    @contextmanager
    def timed(self, work: Work, amount: float) -> Iterator[None]:
        """Time an amount of some work; what fails, or is stopped, does not count."""
        start_s, before_s = self.now(), self.spent_s
        yield
        self.add(work, self.now() - start_s - (self.spent_s - before_s), amount)

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        """Leave out what does not belong to the round, such as a pre-training."""
        start_s, before_s = self.now(), self.spent_s
        yield
        self._elsewhere_s += self.now() - start_s - (self.spent_s - before_s)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Time what belongs to the round, but to no work of it: a trial."""
        start_s, before_s = self.now(), self.spent_s
        yield
        self._aside_s += self.now() - start_s - (self.spent_s - before_s)

    def moved_to(self, device: ComputeDevice) -> None:
        """Note that the round goes on elsewhere, where it has another speed."""
        if device.description != self.device.description:
            self.device = device
            self._timed.clear()

    def without_peak(self) -> None:
        """Note that the memory of this process was used for more than the round."""
        self._peak_is_of_round = False

    def expect(
        self, root: Path, project: Project, settled: PreprocessConfig, standing: Standing
    ) -> "Outlook":
        """Return what the rest of the round takes, from what was measured here, now or before."""
        device = SettledDevice(self.device.description, self.device.half_precision)
        forecast = forecast_round(root, project, settled, device, standing, torch=torch.__version__)
        self._work = forecast.work
        paces = {one: pace.seconds for one, pace in forecast.paces.items()} | self._paces()
        left = dict(forecast.work.amounts)
        left.pop(Work.CHECKING)  # it is done
        unknown = frozenset(one for one, n in left.items() if n > 0 and one not in paces)
        seconds = expected_seconds(RoundWork(left), paces)
        return Outlook(forecast, unknown - {Work.REPORTING}, seconds)

    def tell(self, outlook: "Outlook", round_index: int) -> tuple[Text, Text] | None:
        """Take an outlook for what is expected, and return it in words.

        Returns:
            Half a sentence for the plan, and a whole one; None while too little is known.
        """
        if outlook.seconds is None:
            return None
        seconds = self.elapsed_s - self._elsewhere_s + outlook.seconds
        self._expected_s = seconds
        self._expected_bytes = self._gpu_bytes() or outlook.forecast.num_bytes
        told = (seconds, self._expected_bytes)
        return cost_in_words(*told), cost_of_round(round_index, *told)

    def keep(self) -> None:
        """Keep what was measured for the next round on this computer."""
        keep_paces(
            KeptPace(
                work, self._work.kinds[work], self.device.description, torch.__version__,
                pace, self._gpu_bytes() if work is Work.TRAINING else 0,
            )
            for work, pace in self._paces().items()
            if work in self._work.kinds
        )  # fmt: skip

    def finish(self, report: Report) -> RoundCost:
        """Return what the round was expected to cost and did, and say what was clearly off."""
        total_s = self.elapsed_s - self._elsewhere_s
        rest_s = self.elapsed_s - self.spent_s
        self.add(Work.REPORTING, max(0.0, rest_s), 1)
        self.keep()
        peak = self._gpu_bytes() or self._peak_bytes()
        cost = RoundCost(
            self._expected_s,
            self._expected_bytes,
            total_s,
            peak if self._peak_is_of_round else None,
        )
        if told := what_was_off(cost):
            report.notice(told)
        return cost

    def _paces(self) -> dict[Work, float]:
        found = {work: timed.pace for work, timed in self._timed.items()}
        return {work: pace for work, pace in found.items() if pace is not None}

    def _gpu_bytes(self) -> int:
        return torch.cuda.max_memory_allocated() if self.device.name == "cuda" else 0


class Outlook:
    """What the rest of a round takes.

    Args:
        forecast: From what was kept.
        unknown: Work whose speed nobody knows yet.
        seconds: Of the rest; None while any is unknown.
    """

    def __init__(self, forecast: Forecast, unknown: frozenset[Work], seconds: float | None) -> None:
        self.forecast = forecast
        self.unknown = unknown
        self.seconds = seconds
