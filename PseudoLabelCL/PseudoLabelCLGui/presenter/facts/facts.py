"""What the presenter knows: the facts from which everything that is shown follows."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from PseudoLabelCLGui.panel_state import Message
from PseudoLabelCLGui.presenter.facts.export_facts import ExportFacts
from PseudoLabelCLGui.presenter.facts.pace import Pace
from PseudoLabelCLGui.presenter.facts.questions import AskedQuestion
from PseudoLabelCLGui.presenter.facts.training_monitor import TrainingMonitor
from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.domain.review import ProposalIdentity, TruthExtent
from PseudoLabelCLLib.messages.answers import CaseFiles, CorrectionPreview, ModelSummary
from PseudoLabelCLLib.messages.jobs import (
    DeviceChoice,
)
from PseudoLabelCLLib.messages.project_view import ProjectView, RoundFigures
from PseudoLabelCLLib.messages.readiness import ReadinessReport


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


@dataclass(frozen=True)
class Answer:
    """One way to answer a question.

    Args:
        text: What stands on the button.
        tool_tip: What happens then.
        do: Does it.
    """

    text: str
    tool_tip: str
    do: Callable[[], None]


@dataclass(frozen=True)
class Question:
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


@dataclass(frozen=True)
class Writing:
    """A correction that the panel is writing to a file.

    Args:
        identity: The proposal that was changed.
        edit: Which change is written; what is drawn later is another one.
    """

    identity: ProposalIdentity
    edit: int


# The newest round and whether it is in review, and the newest proposal of a case.
RoundKey = tuple[int | None, bool, ProposalIdentity | None]


@dataclass
class ReviewFacts:
    """Where the review stands.

    Args:
        shown: The case whose files were handed to the panel, or empty.
        is_on_screen: Whether the panel has said that it is in the views.
        files: From which the shown case is shown.
        round_key: The round that was the newest when it was shown.
        wanted: The case that is being made ready, or empty.
        asked: The case whose files the service is making now, or empty.
        asked_round: The round that was asked for with it.
        round_index: The round that is looked at; None for the newest.
        is_edited: Whether what is shown was changed and not saved.
        edit: Grows with every change that was told.
        has_correction: Whether a saved correction is on the screen in place of the proposal.
        writing: The correction that the panel is writing, or None.
        after_saving: What the person wants to do once the verdict is on disk, or None.
        extent: What of a correction shall count.
        preview: What of the changes would count, or None.
        preview_edit: The change that `preview` looked at.
        preview_wanted: The newest file to look at while an older one is looked at, or None.
        is_previewing: Whether the service is looking at a file.
        looked_at: The proposals that were in the views in this session.
        saving: Cases whose verdict is not yet confirmed.
        goes_on: Whether the next case is shown by itself after a verdict.
        pace: How long people look at a case here.
    """

    shown: str = ""
    is_on_screen: bool = False
    files: CaseFiles | None = None
    round_key: RoundKey = (None, False, None)
    wanted: str = ""
    asked: str = ""
    asked_round: int | None = None
    round_index: int | None = None
    is_edited: bool = False
    edit: int = 0
    has_correction: bool = False
    writing: Writing | None = None
    after_saving: Callable[[], None] | None = None
    extent: TruthExtent = TruthExtent.CHANGED_SLICES
    preview: CorrectionPreview | None = None
    preview_edit: int = -1
    preview_wanted: tuple[str, tuple[int, ...], int] | None = None
    is_previewing: bool = False
    looked_at: set[ProposalIdentity] = field(default_factory=set)
    saving: set[str] = field(default_factory=set)
    goes_on: bool = True
    pace: Pace = field(default_factory=Pace)

    @property
    def identity(self) -> ProposalIdentity | None:
        """The proposal that is shown, or None."""
        return self.files.identity if self.files else None

    @property
    def fresh_preview(self) -> CorrectionPreview | None:
        """What of the changes would count, if that is about what is on the screen now."""
        is_fresh = (
            self.preview is not None
            and self.is_edited
            and self.preview.proposal == self.identity
            and self.preview_edit == self.edit
        )
        return self.preview if is_fresh else None

    def let_go(self) -> str:
        """Show no case any more; return the one that was shown, or an empty text."""
        left, self.shown = self.shown, ""
        self.files, self.is_on_screen, self.round_key = None, False, (None, False, None)
        self.is_edited = self.has_correction = False
        self.edit += 1  # nothing that was said about the case before is about the next one
        self.writing = self.after_saving = self.preview = self.preview_wanted = None
        self.extent = TruthExtent.CHANGED_SLICES
        return left


@dataclass
class UseFacts:
    """Where segmenting new volumes stands.

    Args:
        model: The model.
        is_chosen: Whether a person chose its file; otherwise it follows the project.
        followed: The model file of the project that was read, or is being read.
        queue: Volumes not yet segmented, each with its DICOM series or None.
        batch: Those that the running worker was given and has not finished.
        one_by_one: Whether every volume gets a worker of its own, as one was unreadable.
        output_folder: Where the segmentations go.
        format: Kind of file.
        results: One line for each volume or file.
        num_segmented: Volumes that were segmented in this session.
    """

    model: ModelSummary | None = None
    is_chosen: bool = False
    followed: str = ""
    queue: list[tuple[str, str | None]] = field(default_factory=list)
    batch: list[tuple[str, str | None]] = field(default_factory=list)
    one_by_one: bool = False
    output_folder: str = ""
    format: SegmentationFormat = SegmentationFormat.SEG_NRRD
    results: list[str] = field(default_factory=list)
    num_segmented: int = 0


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
        question: What the person must decide, or None.
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
    question: Question | None = None
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
