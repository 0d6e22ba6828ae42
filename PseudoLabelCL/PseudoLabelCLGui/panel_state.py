"""What the panel shows: plain values that the presenter makes and the panel puts on its widgets.

Texts are ready to read (translated, nothing to be parsed as HTML).
"""

from dataclasses import dataclass, field
from enum import Enum

from PseudoLabelCLGui.case_row import CaseRow, QuestionRow
from PseudoLabelCLGui.step_state import NextThing, StatusState, StepState
from PseudoLabelCLLib.domain.review import ProposalIdentity, TruthExtent
from PseudoLabelCLLib.domain.segmentation import LabelClass
from PseudoLabelCLLib.messages.answers import ExportFix, ProposedCodes


class Light(Enum):
    """The mark before a line."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"
    WORKING = "working"
    NONE = "none"


@dataclass(frozen=True)
class Action:
    """A button.

    Args:
        enabled: Whether it can be used now.
        text: What stands on it; empty leaves the text of the .ui file.
        tool_tip: What it does, or why it cannot be used now and what is missing.
    """

    enabled: bool = False
    text: str = ""
    tool_tip: str = ""


@dataclass(frozen=True)
class Message:
    """The line in the head: what happened and what to do next, or a question.

    Args:
        light: How bad it is; NONE hides the line.
        text: What happened.
        remedy: What to do next.
        next_step: A button that does it, hidden while it has no text.
        answers: Buttons of a question, the harmless one last; all waits until one is pressed.
    """

    light: Light = Light.NONE
    text: str = ""
    remedy: str = ""
    next_step: Action = field(default_factory=Action)
    answers: tuple[Action, ...] = ()


@dataclass(frozen=True)
class ReadinessState:
    """Whether this computer can train.

    Args:
        light: The mark.
        sentence: Device, memory, packages, disk, in one line.
        details: One line for each thing that was looked at.
        install: Installs what is missing.
        probe: Looks again.
        copy_report: Copies the report for support to the clipboard.
        python: The interpreter that is used, or empty for Slicer's own.
        num_gpus: How many GPUs the computer has.
        most_gpus: How many of them may be used; 0: all.
    """

    light: Light = Light.WORKING
    sentence: str = ""
    details: tuple[str, ...] = ()
    install: Action = field(default_factory=Action)
    probe: Action = field(default_factory=Action)
    copy_report: Action = field(default_factory=Action)
    python: str = ""
    num_gpus: int = 0
    most_gpus: int = 0


@dataclass(frozen=True)
class ProjectState:
    """The line with the project, above the cases.

    Args:
        root: Its folder, or empty while none is open.
        name: What a person calls it.
        new, sample: Make a project, or one from phantoms.
        open, close: Open one, or close it.
        recent: Folders of projects, the one that was opened last first.
        author: The name that verdicts given here bear, or empty.
    """

    root: str = ""
    name: str = ""
    author: str = ""
    recent: tuple[str, ...] = ()
    new: Action = field(default_factory=Action)
    open: Action = field(default_factory=Action)
    close: Action = field(default_factory=Action)
    sample: Action = field(default_factory=Action)


@dataclass(frozen=True)
class CasesState:
    """Step "cases": volumes, roles, labels.

    Args:
        columns: The titles of the table's columns.
        rows: The table.
        labels: The structures.
        labels_are_settled: Whether structures can no longer come or go.
        add: Adds what is chosen in the scene.
        add_files: Adds files.
        add_folder: Adds a folder of files or DICOM series.
        add_further: Adds another image of a patient to its case.
        channels: What the images of each case are called; empty for one unnamed image.
        set_role: Changes the role of the selected cases.
        remove: Takes the chosen cases out.
        check: Checks every case before training.
        findings: What the check found, one line each; the error lines begin with "Error:".
        questions: What a person has to answer first.
    """

    columns: tuple[str, ...] = ()
    rows: tuple[CaseRow, ...] = ()
    labels: tuple[LabelClass, ...] = ()
    labels_are_settled: bool = False
    add: Action = field(default_factory=Action)
    add_files: Action = field(default_factory=Action)
    add_folder: Action = field(default_factory=Action)
    add_further: Action = field(default_factory=Action)
    channels: tuple[str, ...] = ()
    set_role: Action = field(default_factory=Action)
    remove: Action = field(default_factory=Action)
    check: Action = field(default_factory=Action)
    findings: tuple[str, ...] = ()
    questions: tuple[QuestionRow, ...] = ()


@dataclass(frozen=True)
class Curve:
    """One line of a plot."""

    name: str
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()


@dataclass(frozen=True)
class TrainState:
    """Step "train".

    Args:
        profile: The chosen profile ("quick", ...).
        pretraining: The chosen pre-training ("none", ...).
        start: Chooses the trained model that round 0 starts from, or forgets it.
        has_start: Whether one is chosen.
        save_pretrained: Saves the pre-trained network for other projects.
        settings: The folded settings by name, as texts; the panel shows those it has a field for.
        can_change: Names of the settings that may change now.
        train: Trains the next round; its text says which ("Train round 1").
        pause: Saves and stops; the round can be continued later.
        stop: Gives the running round up.
        lost_with_it: What is given up beside its training, a sentence; empty if nothing.
        sentence: What will be used how, and how long it takes here if that is known.
        stage: What is done now, or empty.
        fraction: Of the stage, 0..1; None shows a busy bar.
        is_running: Whether a bar is shown at all.
        time_left: "about 3 min left", or empty.
        loss: The loss by step of the running or newest round.
        validation: Validation Dice by step, empty without validation cases.
        log: The newest lines of the log, oldest first.
    """

    profile: str = "quick"
    pretraining: str = "none"
    start: Action = field(default_factory=Action)
    has_start: bool = False
    save_pretrained: Action = field(default_factory=Action)
    settings: dict[str, str] = field(default_factory=dict)
    can_change: frozenset[str] = frozenset()
    train: Action = field(default_factory=Action)
    pause: Action = field(default_factory=Action)
    stop: Action = field(default_factory=Action)
    lost_with_it: str = ""
    sentence: str = ""
    stage: str = ""
    fraction: float | None = None
    is_running: bool = False
    time_left: str = ""
    loss: Curve = field(default_factory=lambda: Curve("loss"))
    validation: Curve = field(default_factory=lambda: Curve("validation Dice"))
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class QueueRow:
    """One line of the review queue."""

    case_id: str
    doubt: str
    reason: str
    verdict: str


@dataclass(frozen=True)
class ExtentChoice:
    """Which voxels of the correction at hand would count as human truth.

    Args:
        extent: The choice.
        text: How much that is: "the 15 slices that I changed (k = 4 to 18)".
    """

    extent: TruthExtent
    text: str


@dataclass(frozen=True)
class ReviewState:
    """Step "review": the proposals.

    Args:
        queue: Most doubtful first.
        case_id: The case that is shown, or empty.
        is_loading: Whether its files are being made.
        progress: "3 of 7 reviewed".
        reason: Why to look at the shown case.
        identity: The proposal that is shown, or None; verdicts are on exactly this one.
        accept: Takes the proposal as it is, or what the person made of it; its text says which.
        extents: What of the person's changes can count; empty while nothing is changed.
        extent: What of them counts.
        near: Array (uint8 .npy, (k, j, i)) of the voxels that "changed voxels" means, or None.
        reject: Leaves it out of the next round.
        take_back: Undoes the newest verdict on the shown case.
        previous_case: Shows the case before in the queue.
        next_case: Shows the next one.
        next_doubt: Jumps to the next doubtful slice.
        compare: Shows the proposal of the round before as an outline.
    """

    queue: tuple[QueueRow, ...] = ()
    case_id: str = ""
    is_loading: bool = False
    progress: str = ""
    reason: str = ""
    identity: ProposalIdentity | None = None
    accept: Action = field(default_factory=Action)
    extents: tuple[ExtentChoice, ...] = ()
    extent: TruthExtent = TruthExtent.CHANGED_SLICES
    near: str | None = None
    reject: Action = field(default_factory=Action)
    take_back: Action = field(default_factory=Action)
    previous_case: Action = field(default_factory=Action)
    next_case: Action = field(default_factory=Action)
    next_doubt: Action = field(default_factory=Action)
    compare: Action = field(default_factory=Action)


@dataclass(frozen=True)
class RoundRow:
    """One line of the history; figures are ready to read, empty where nothing was measured."""

    index: int
    state: str
    learned_from: str
    validation_dice: str
    agreement: str
    doubt: str


@dataclass(frozen=True)
class RoundsState:
    """The next round and the rounds so far.

    Args:
        sentence: What the next round will use how.
        rows: The rounds so far, round 0 first.
        quality: Validation Dice by round, or agreement where there is no validation case.
        train: Trains the next round.
        open_report: Opens the report of the selected round.
        show_result: Shows the chosen round's proposals in place of the newest.
        go_back: Makes the chosen round the newest.
    """

    sentence: str = ""
    rows: tuple[RoundRow, ...] = ()
    quality: Curve = field(default_factory=lambda: Curve("Dice"))
    train: Action = field(default_factory=Action)
    open_report: Action = field(default_factory=Action)
    show_result: Action = field(default_factory=Action)
    go_back: Action = field(default_factory=Action)


@dataclass(frozen=True)
class UseState:
    """The model and what it is used for.

    Args:
        model: What the chosen model is, in one sentence, or empty.
        apply: Segments the marked volumes.
        cancel: Stops the queue.
        save_model: Saves the newest model as one file.
        load_model: Loads a model file.
        is_running: Whether the queue runs.
        stage: What is done now.
        fraction: 0..1, or None.
        results: One line for each volume that was segmented or model that was saved.
        labels: The structures that the chosen model segments.
        questions: What a person has to answer before the volumes are segmented.
        channels: The images of each patient that the model needs; empty for one unnamed image.
    """

    model: str = ""
    apply: Action = field(default_factory=Action)
    cancel: Action = field(default_factory=Action)
    save_model: Action = field(default_factory=Action)
    load_model: Action = field(default_factory=Action)
    is_running: bool = False
    stage: str = ""
    fraction: float | None = None
    results: tuple[str, ...] = ()
    labels: tuple[LabelClass, ...] = ()
    questions: tuple[QuestionRow, ...] = ()
    channels: tuple[str, ...] = ()


@dataclass(frozen=True)
class MarkedLine:
    """A line with its mark."""

    light: Light
    text: str


@dataclass(frozen=True)
class FindingRow:
    """One thing to know or to fix before a DICOM export, with the button that fixes it.

    Args:
        light: RED stops the export, AMBER is to be known.
        text: What was found and what to do.
        fix: What the button does; NONE shows no button.
        button: The button.
        case_id: The volume that it concerns, or empty.
        label_value: The structure that it concerns, or None.
        proposals: What that structure may be, best first.
    """

    light: Light
    text: str
    fix: ExportFix = ExportFix.NONE
    button: Action = field(default_factory=Action)
    case_id: str = ""
    label_value: int | None = None
    proposals: tuple[ProposedCodes, ...] = ()


@dataclass(frozen=True)
class ExportState:
    """What leaves the project.

    Args:
        note: Which volumes cannot become DICOM segmentations, or empty.
        check: Looks for what would stop or surprise a DICOM export.
        export: Exports the segmentations.
        cancel: Stops after the volume at hand.
        summary: How the newest check came out.
        findings: What it found, first what stops.
        is_running: Whether a check or an export runs.
        stage: What is done now.
        fraction: 0..1, or None.
        results: One line for each volume: where it was written, or why not.
    """

    note: str = ""
    check: Action = field(default_factory=Action)
    export: Action = field(default_factory=Action)
    cancel: Action = field(default_factory=Action)
    summary: MarkedLine = field(default_factory=lambda: MarkedLine(Light.NONE, ""))
    findings: tuple[FindingRow, ...] = ()
    is_running: bool = False
    stage: str = ""
    fraction: float | None = None
    results: tuple[MarkedLine, ...] = ()


@dataclass(frozen=True)
class PanelState:
    """Everything that the panel shows."""

    message: Message = field(default_factory=Message)
    readiness: ReadinessState = field(default_factory=ReadinessState)
    project: ProjectState = field(default_factory=ProjectState)
    cases: CasesState = field(default_factory=CasesState)
    train: TrainState = field(default_factory=TrainState)
    review: ReviewState = field(default_factory=ReviewState)
    rounds: RoundsState = field(default_factory=RoundsState)
    use: UseState = field(default_factory=UseState)
    export: ExportState = field(default_factory=ExportState)
    status: StatusState = field(default_factory=StatusState)
    next_thing: NextThing = field(default_factory=NextThing)
    steps: tuple[StepState, ...] = ()
