"""What is known of the training: what the worker does, and what it has reported so far."""

from dataclasses import dataclass, field
from enum import Enum

from PseudoLabelCLGui.translation import translated
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.messages.job_messages import (
    Event,
    Metrics,
    Notice,
    NoticeLevel,
)

NUM_LOG_LINES = 500
NUM_POINTS = 2000
VALIDATION = "validation Dice"
# The losses that can stand for a stage, the first that is there does.
_LOSSES = ("segmentation", "global", "local", "positional", "masked")


class WorkKind(Enum):
    """What a worker does."""

    TRAIN = "train"
    PRETRAIN = "pretrain"
    PREDICT = "predict"


class Ending(Enum):
    """How a worker was asked to end, if it was."""

    NONE = "none"
    PAUSE = "pause"
    STOP = "stop"


@dataclass
class Work:
    """What the worker does now.

    Args:
        kind: The kind of job.
        root: The project that it works on; empty for segmenting volumes.
        round_index: The round that is trained; that of the next one otherwise.
        ending: How it was asked to end.
    """

    kind: WorkKind
    root: str
    round_index: int
    ending: Ending = Ending.NONE


@dataclass
class TrainingRun:
    """What was asked with Train.

    Args:
        rounds_left: Rounds still to finish.
        stop_when_no_better: Whether the run ends when validation Dice no longer rises.
        only_pretrain: Whether no round follows the pre-training.
        has_pretrained: Whether its pre-training is done.
    """

    rounds_left: int
    stop_when_no_better: bool = False
    only_pretrain: bool = False
    has_pretrained: bool = False


@dataclass
class Points:
    """A curve that stays small: once it is full, every second point goes."""

    x: list[float] = field(default_factory=list)
    y: list[float] = field(default_factory=list)

    def add(self, x: float, y: float) -> None:
        """Add a point."""
        self.x.append(x)
        self.y.append(y)
        if len(self.x) > NUM_POINTS:
            # the newest point stays, whatever the number of points
            del self.x[-2::-2], self.y[-2::-2]


@dataclass
class TrainingMonitor:
    """The newest that was heard of a worker.

    Args:
        stage: What is done now, in the worker's words, or empty.
        fraction: Of the stage, or None before its first step.
        seconds_left: For the stage, or None.
        loss: The loss of the curve's stage by step.
        validation: Validation Dice by step.
        log: The notices, oldest first.
        curve_stage: The stage that the curves belong to.
    """

    stage: str = ""
    fraction: float | None = None
    seconds_left: float | None = None
    loss: Points = field(default_factory=Points)
    validation: Points = field(default_factory=Points)
    log: list[str] = field(default_factory=list)
    curve_stage: str = ""

    def hear(self, event: Event) -> None:
        """Take in an event; others than progress, metrics and notices are for someone else."""
        if isinstance(event, Progress):
            self.stage = translated(event.stage)
            self.fraction = min(1.0, event.step / event.num_steps) if event.num_steps else None
            self.seconds_left = event.seconds_left
        elif isinstance(event, Metrics):
            self._add_metrics(event)
        elif isinstance(event, Notice):
            self.add_line(translated(event.text), warning=event.level is NoticeLevel.WARNING)

    def add_line(self, text: str, *, warning: bool = False) -> None:
        """Add a line to the log."""
        self.log.append(f"! {text}" if warning else text)
        del self.log[:-NUM_LOG_LINES]

    def begin(self) -> None:
        """Forget the stage of the worker before; curves and log stay until there are new ones."""
        self.stage, self.fraction, self.seconds_left = "", None, None

    def _add_metrics(self, event: Metrics) -> None:
        loss = next((event.values[name] for name in _LOSSES if name in event.values), None)
        is_step = loss is not None or not event.stage.endswith(": measuring")
        if is_step and event.stage != self.curve_stage:
            self.curve_stage = event.stage
            self.loss, self.validation = Points(), Points()
        if loss is not None:
            self.loss.add(event.step, loss)
        if is_step and VALIDATION in event.values:
            self.validation.add(event.step, event.values[VALIDATION])
