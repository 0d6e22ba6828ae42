"""What is known of the use of the results: the model, the volumes to segment, the export."""

from dataclasses import dataclass, field
from enum import Enum

from PseudoLabelCLGui.panel_state import MarkedLine
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.channels import NamedImage
from PseudoLabelCLLib.domain.file_formats import SegmentationFormat
from PseudoLabelCLLib.domain.question import GivenAnswer, Question
from PseudoLabelCLLib.domain.review import Verdict
from PseudoLabelCLLib.messages.answers import DicomFinding, ModelSummary
from PseudoLabelCLLib.messages.project_view import CaseView, ProjectView


@dataclass
class UseFacts:
    """Where segmenting new volumes stands.

    Args:
        model: The model.
        is_chosen: Whether a person chose its file; otherwise it follows the project.
        followed: The model file of the project that was read, or is being read.
        queue: Volumes not yet segmented, each with its DICOM series or None.
        batch: Those that the running worker was given and has not finished.
        further: The other images of a patient, by the first one.
        one_by_one: Whether every volume gets a worker of its own: one was unreadable, or was
            asked about and may have several results or none.
        current: The volume whose result came last.
        asked: Questions about the volumes that wait for their answers.
        answers: What was answered.
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
    further: dict[tuple[str, str | None], tuple[NamedImage, ...]] = field(default_factory=dict)
    one_by_one: bool = False
    current: str = ""
    asked: tuple[Question, ...] = ()
    answers: tuple[GivenAnswer, ...] = ()
    output_folder: str = ""
    format: SegmentationFormat = SegmentationFormat.SEG_NRRD
    results: list[str] = field(default_factory=list)
    num_segmented: int = 0


@dataclass(frozen=True)
class ExportChoices:
    """What a person chooses in the export section.

    Args:
        folder: Where to; empty if only the DICOM database gets it.
        to_database: Whether Slicer's DICOM database gets it too.
        case_ids: The cases; empty takes all that can be exported.
        include_unreviewed: Whether proposals that nobody has reviewed go out too.
        creator: Who answers for the content, or empty.
    """

    folder: str = ""
    to_database: bool = False
    case_ids: tuple[str, ...] = ()
    include_unreviewed: bool = False
    creator: str = ""

    @property
    def what_goes_out(self) -> tuple[object, ...]:
        """What a check depends on, besides the project."""
        return self.case_ids, self.include_unreviewed


class ExportPhase(Enum):
    """What the export section is busy with."""

    IDLE = "idle"
    CHECK = "check"
    WRITE = "write"


@dataclass
class ExportFacts:
    """Where the export to DICOM stands; each case is asked for by itself.

    Args:
        phase: What it is busy with.
        choices: What was chosen for it.
        queue: Cases not yet asked for.
        current: The case that the service works on, or empty.
        total: How many cases the queue had.
        fraction: How far the service is with the current case.
        left: Cases that were not asked for because the person stopped.
        is_cancelled: Whether the person stopped.
        goes_on: Whether the export follows the check if nothing stops it.
        checked: The cases and choices that the newest check looked at; None without a check.
        cases: The cases that were checked.
        findings: What was found, each once.
        folders: Where the series of cases lie now, as the person said.
        kinds: What the volumes of cases are that go out as DICOM series first: "MR", "CT", "OT".
        accepted: Cases whose losses the person accepted.
        num_written: How many cases this export has written.
        files: All that it has written.
        results: One line for each case.
    """

    phase: ExportPhase = ExportPhase.IDLE
    choices: ExportChoices = field(default_factory=ExportChoices)
    queue: list[str] = field(default_factory=list)
    current: str = ""
    total: int = 0
    fraction: float = 0.0
    left: list[str] = field(default_factory=list)
    is_cancelled: bool = False
    goes_on: bool = False
    checked: tuple[object, object] | None = None
    cases: tuple[str, ...] = ()
    findings: tuple[DicomFinding, ...] = ()
    folders: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    num_written: int = 0
    files: list[str] = field(default_factory=list)
    results: list[MarkedLine] = field(default_factory=list)

    def stops(self, case_id: str) -> bool:
        """Tell whether a case cannot go out, as far as the newest check knows."""
        return any(one.stops and one.case_id in ("", case_id) for one in self.findings)


def exportable_cases(view: ProjectView, choices: ExportChoices) -> tuple[str, ...]:
    """Return the cases that are chosen, or else all that have a segmentation to export."""
    if choices.case_ids:
        return tuple(case.id for case in view.cases if case.id in choices.case_ids)
    return tuple(
        case.id
        for case in view.cases
        if case.role is not CaseRole.IGNORED
        and (case.is_confirmed or (choices.include_unreviewed and is_unreviewed(case)))
    )


def is_unreviewed(case: CaseView) -> bool:
    """Tell whether a case has a proposal, and no segmentation that a person confirmed."""
    is_proposed = case.doubt is not None and case.verdict is not Verdict.REJECTED
    return is_proposed and not case.is_confirmed


def state_of_cases(view: ProjectView) -> tuple[object, ...]:
    """Return what a check of the export depends on."""
    cases = tuple(
        (one.id, one.role, one.annotation, one.doubt, one.verdict, one.left_out, one.truth_fraction)
        for one in view.cases
    )
    return view.root, view.labels, len(view.rounds), cases
