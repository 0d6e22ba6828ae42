"""What the presenter knows: the facts from which everything that is shown follows."""

from collections.abc import Callable
from dataclasses import dataclass, field

from PseudoLabelCLGui.panel_state import Message
from PseudoLabelCLGui.presenter.facts.case_questions import AskedQuestion
from PseudoLabelCLGui.presenter.facts.review_facts import ReviewFacts
from PseudoLabelCLGui.presenter.facts.training_facts import (
    TrainingMonitor,
    TrainingRun,
    Work,
    WorkKind,
)
from PseudoLabelCLGui.presenter.facts.use_facts import ExportFacts, UseFacts
from PseudoLabelCLLib.messages.jobs import ALL_GPUS, DeviceChoice
from PseudoLabelCLLib.messages.project_view import ProjectView, RoundFigures
from PseudoLabelCLLib.messages.readiness import ReadinessReport


@dataclass(frozen=True)
class Answer:
    """One way to decide.

    Args:
        text: What stands on the button.
        tool_tip: What happens then.
        do: Does it.
    """

    text: str
    tool_tip: str
    do: Callable[[], None]


@dataclass(frozen=True)
class Decision:
    """Something that only the person can decide; verdicts wait for it.

    Args:
        text: What is the matter.
        remedy: The question itself.
        answers: The ways to answer, the one that loses nothing last.
        is_about_changes: Whether it is about unsaved changes of the case that is shown.
        is_closed: Whether that case can no longer be judged, only left.
    """

    text: str
    remedy: str
    answers: tuple[Answer, ...]
    is_about_changes: bool = False
    is_closed: bool = False


@dataclass
class Facts:
    """Everything that the presenter knows.

    Args:
        view: The open project.
        opening: Folder of the project that is being opened or made, or empty.
        is_away: Whether the service that had the project open is gone and no other has it yet.
        changing: What is being changed in the project now, in words; empty if nothing.
        next_settings: Settings by name that wait until those before them are changed.
        service_working: How far a long request is, in words; empty if none.
        service_fraction: The same, 0..1, or None.
        message: What happened last, until it has served.
        topic: Which kind of action replaces the message.
        is_passing: Whether any action replaces it.
        about_case: The case that the message is about, or empty.
        decision: What the person must decide, or None.
        recent: Folders of projects, the one that was opened last first.
        readiness: What the newest probe found.
        is_probing: Whether a probe runs.
        python: The chosen interpreter; empty for Slicer's own.
        findings: What the check of the cases found.
        asked: Questions about the files of cases that wait for their answers.
        checked: What was checked, or None; cases that changed since are to be checked again.
        work: What the worker does, or None.
        is_starting: Whether a training was asked for and the project is being read for it.
        run: What was asked with Train.
        device: What shall run the network.
        most_gpus: How many GPUs may be used; 0: all of them.
        monitor: What the worker has told.
        history: Figures of the rounds.
        review: The review.
        use: Segmenting new volumes.
        export: Exporting.
    """

    view: ProjectView | None = None
    opening: str = ""
    is_away: bool = False
    changing: str = ""
    next_settings: dict[str, str] = field(default_factory=dict)
    service_working: str = ""
    service_fraction: float | None = None
    message: Message = field(default_factory=Message)
    topic: str = ""
    is_passing: bool = False
    about_case: str = ""
    decision: Decision | None = None
    recent: tuple[str, ...] = ()
    readiness: ReadinessReport | None = None
    is_probing: bool = False
    python: str = ""
    findings: tuple[str, ...] = ()
    asked: tuple[AskedQuestion, ...] = ()
    checked: object = None
    work: Work | None = None
    is_starting: bool = False
    run: TrainingRun | None = None
    device: DeviceChoice = DeviceChoice.AUTO
    most_gpus: int = 0
    monitor: TrainingMonitor = field(default_factory=TrainingMonitor)
    history: tuple[RoundFigures, ...] = ()
    review: ReviewFacts = field(default_factory=ReviewFacts)
    use: UseFacts = field(default_factory=UseFacts)
    export: ExportFacts = field(default_factory=ExportFacts)

    @property
    def num_gpus(self) -> int:
        """How many GPUs a job takes, as far as is known: all, or as many as the person chose."""
        available = 0 if self.readiness is None else self.readiness.num_gpus
        return min(self.most_gpus, available) if self.most_gpus else available

    @property
    def processes(self) -> int:
        """How many processes share a job; `ALL_GPUS` leaves it to the worker."""
        available = 0 if self.readiness is None else self.readiness.num_gpus
        is_fewer = self.num_gpus < available and self.device is not DeviceChoice.CPU
        return self.num_gpus if is_fewer else ALL_GPUS

    @property
    def trains(self) -> bool:
        """Whether a training or pre-training runs or is about to."""
        kind = self.work.kind if self.work else None
        return self.is_starting or kind in (WorkKind.TRAIN, WorkKind.PRETRAIN)

    @property
    def predicts(self) -> bool:
        """Whether volumes are being segmented."""
        return self.work is not None and self.work.kind is WorkKind.PREDICT
