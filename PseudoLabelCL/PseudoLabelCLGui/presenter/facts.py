"""What the presenter knows: the facts from which everything that is shown follows."""

from dataclasses import dataclass, field
from enum import Enum

from PseudoLabelCLGui.panel_state import Message
from PseudoLabelCLGui.presenter.export_facts import ExportFacts
from PseudoLabelCLGui.presenter.training_monitor import TrainingMonitor
from PseudoLabelCLLib.domain.desk_answers import CaseFiles, ModelCard
from PseudoLabelCLLib.domain.jobs import DeviceChoice, SegmentationFormat
from PseudoLabelCLLib.domain.project_view import ProjectView, RoundFigures
from PseudoLabelCLLib.domain.readiness import ReadinessReport


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
class ReviewFacts:
    """Where the review stands.

    Args:
        shown: The case whose files were shown, or empty.
        wanted: The case that is being made ready, or empty.
        asked: The case whose files the desk is making now, or empty.
        asked_round: The round that was asked for with it.
        files: From which the shown case is shown.
        round_index: The round that is looked at; None for the newest.
        is_edited: Whether the shown proposal was changed and not saved.
        may_leave: Whether the person was told so and may go on without saving.
        saving: Cases whose verdict is not yet confirmed.
        goes_on: Whether the next case is shown by itself after a verdict.
        shown_at_s: When the shown case came, by the clock.
        paces_s: How long each verdict of this session took.
    """

    shown: str = ""
    wanted: str = ""
    asked: str = ""
    asked_round: int | None = None
    files: CaseFiles | None = None
    round_index: int | None = None
    is_edited: bool = False
    may_leave: bool = False
    saving: set[str] = field(default_factory=set)
    goes_on: bool = True
    shown_at_s: float = 0.0
    paces_s: list[float] = field(default_factory=list)


@dataclass
class UseFacts:
    """Where segmenting new volumes stands.

    Args:
        model: The chosen model.
        queue: Volumes not yet segmented, each with its DICOM series or None.
        batch: Those that the running worker was given and has not finished.
        one_by_one: Whether every volume gets a worker of its own, as one was unreadable.
        output_folder: Where the segmentations go.
        format: Kind of file.
        results: One line for each volume or file.
    """

    model: ModelCard | None = None
    queue: list[tuple[str, str | None]] = field(default_factory=list)
    batch: list[tuple[str, str | None]] = field(default_factory=list)
    one_by_one: bool = False
    output_folder: str = ""
    format: SegmentationFormat = SegmentationFormat.SEG_NRRD
    results: list[str] = field(default_factory=list)


@dataclass
class Facts:
    """Everything that the presenter knows.

    Args:
        view: The open project.
        opening: Folder of the project that is being opened or made, or empty.
        is_away: Whether the desk that had the project open is gone and no other has it yet.
        changing: What is being changed in the project now, in words; empty if nothing.
        desk_working: How far a long request is, in words; empty if none.
        message: The line above all sections, with the topic it belongs to.
        topic: Which kind of action replaces the message.
        readiness: What the newest probe found.
        is_probing: Whether a probe runs.
        python: The chosen interpreter; empty for Slicer's own.
        findings: What the check of the cases found.
        work: What the worker does, or None.
        is_starting: Whether a training was asked for and the project is being read for it.
        run: What was asked with Train.
        device: What shall run the network.
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
    desk_working: str = ""
    message: Message = field(default_factory=Message)
    topic: str = ""
    readiness: ReadinessReport | None = None
    is_probing: bool = False
    python: str = ""
    findings: tuple[str, ...] = ()
    work: Work | None = None
    is_starting: bool = False
    run: TrainingRun | None = None
    device: DeviceChoice = DeviceChoice.AUTO
    monitor: TrainingMonitor = field(default_factory=TrainingMonitor)
    history: tuple[RoundFigures, ...] = ()
    review: ReviewFacts = field(default_factory=ReviewFacts)
    use: UseFacts = field(default_factory=UseFacts)
    export: ExportFacts = field(default_factory=ExportFacts)

    @property
    def trains(self) -> bool:
        """Whether a training or pre-training runs or is about to."""
        kind = self.work.kind if self.work else None
        return self.is_starting or kind in (WorkKind.TRAIN, WorkKind.PRETRAIN)

    @property
    def predicts(self) -> bool:
        """Whether volumes are being segmented."""
        return self.work is not None and self.work.kind is WorkKind.PREDICT
