"""What a user interface shows of a project: plain values, made anew after every change."""

from dataclasses import dataclass
from enum import Enum

from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.config import ProjectConfig
from PseudoLabelCLLib.domain.review import ProposalIdentity, Verdict
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import NO_TEXT, Text


class CaseState(Enum):
    """How far a case has come."""

    ANNOTATED = "annotated"
    VALIDATING = "validation"
    IGNORED = "ignored"
    WAITING = "not segmented yet"
    PROPOSED = "to review"
    REJECTED = "rejected"
    PARTLY_REVIEWED = "partly reviewed"
    ACCEPTED = "accepted"
    CORRECTED = "corrected"


@dataclass(frozen=True)
class CaseView:
    """One case, with what is known of it beside what the project stores.

    Args:
        case: As the project stores it.
        image: Absolute path of the volume: a file, or a folder of DICOM slices.
        image_is_missing: Whether nothing lies there now, such as on a drive that is away.
        annotation: Absolute path of the segmentation made by a person, or None.
        num_slices: Slices along the slicing axis.
        state: How far it has come.
        doubt: Of the newest proposal, 0 (sure) to 1; None without a proposal.
        reason: Why to look at the proposal, one sentence, or empty.
        verdict: The verdict on the newest proposal, or None.
        left_out: Label values of structures that this verdict rejects.
        truth_fraction: Share of the slices that a person confirmed, 0..1.
        is_confirmed: Whether a person confirmed any part of a segmentation of it.
        is_from_dicom: Whether the project remembers a DICOM series that it came from.
        proposal: Identity of the newest proposal, which a verdict must name; None without one.
        last_verdict: The newest verdict of all rounds, or None; what a person drew or accepted in
            an earlier round counts in every later one.
        last_verdict_round: The round that it was given on, or None.
        missing_channels: Further images that the case lacks, or whose files are gone.
    """

    case: Case
    image: str
    image_is_missing: bool
    annotation: str | None
    num_slices: int
    state: CaseState
    doubt: float | None = None
    reason: Text = NO_TEXT
    verdict: Verdict | None = None
    left_out: tuple[int, ...] = ()
    truth_fraction: float = 0.0
    is_confirmed: bool = False
    is_from_dicom: bool = False
    proposal: ProposalIdentity | None = None
    last_verdict: Verdict | None = None
    last_verdict_round: int | None = None
    missing_channels: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Its name."""
        return self.case.id

    @property
    def role(self) -> CaseRole:
        """What it is used for."""
        return self.case.role

    @property
    def has_new_proposal_after_verdict(self) -> bool:
        """Whether an earlier proposal was judged, and the newest is still to be reviewed."""
        return self.state is CaseState.PROPOSED and self.last_verdict is not None


@dataclass(frozen=True)
class RoundView:
    """One round.

    Args:
        index: 0 for the supervised round.
        state: How far it has come.
        num_truth_cases: Cases with human truth it was trained on.
        num_pseudo_cases: Cases that served as pseudo-labels.
        num_left_out_cases: Cases that were left out.
        started: When, ISO 8601 with zone.
        finished: When its pseudo-labels were ready, or empty.
        report: Absolute path of its report, or None.
        model: Absolute path of its model file, or None.
        report_is_foreign: Whether the report was not written on this computer.
    """

    index: int
    state: RoundState
    num_truth_cases: int
    num_pseudo_cases: int
    num_left_out_cases: int
    started: str
    finished: str
    report: str | None
    model: str | None
    report_is_foreign: bool = False


@dataclass(frozen=True)
class PlanView:
    """What the next round would learn from.

    Args:
        index: The next round, or the one that was interrupted.
        sentence: What will be used how, in one sentence.
        num_human: Human segmentations.
        num_pseudo: Pseudo-labels.
        num_left_out: Rejected cases.
        can_train: Whether it can begin.
        goes_on: Whether the round was interrupted and goes on from its checkpoint.
        seen: What the network sees of a volume, in one sentence; empty before round 0.
        is_estimated: Whether that sentence says what a round costs on this computer.
    """

    index: int
    sentence: Text
    num_human: int
    num_pseudo: int
    num_left_out: int
    can_train: bool
    goes_on: bool
    seen: Text = NO_TEXT
    is_estimated: bool = False


@dataclass(frozen=True)
class ProjectView:
    """A project as it is now.

    Args:
        root: Absolute path of its folder.
        name: What a person calls it.
        labels: The structures.
        config: The settings.
        cases: All cases, in the project's order.
        rounds: All rounds, round 0 first.
        plan: What comes next.
        review_order: The cases with a proposal in review, most doubtful first; while the round
            still makes proposals, those that are there.
        labels_are_settled: Whether a round was begun, so that no structure can come or go.
        is_pretrained: Whether weights of the chosen pre-training are ready.
        free_disk_bytes: Room left where the project lies.
        notices: What a person should know who has just opened it, in sentences.
        author: The name that a person chose for the verdicts given on this computer, or empty.
        channels: What the images of each case are called; empty for one unnamed image.
        start: Which trained model round 0 starts from, in one sentence; empty without one.
        so_far: How many of its proposals the newest round has made, in one sentence, while it makes
            them; otherwise empty.
    """

    root: str
    name: str
    labels: LabelSchema
    config: ProjectConfig
    cases: tuple[CaseView, ...]
    rounds: tuple[RoundView, ...]
    plan: PlanView
    review_order: tuple[str, ...]
    labels_are_settled: bool
    is_pretrained: bool
    free_disk_bytes: int
    notices: tuple[Text, ...] = ()
    author: str = ""
    channels: tuple[str, ...] = ()
    start: Text = NO_TEXT
    so_far: Text = NO_TEXT

    def case(self, case_id: str) -> CaseView | None:
        """Return the case with this name, or None."""
        return next((case for case in self.cases if case.id == case_id), None)

    @property
    def round_in_review(self) -> RoundView | None:
        """The newest round if a person can judge its proposals, all or the first, or None."""
        latest = self.rounds[-1] if self.rounds else None
        if latest is None or not latest.state.is_open_to_review:
            return None
        return latest if self.review_order or latest.state is RoundState.IN_REVIEW else None

    @property
    def is_proposing(self) -> bool:
        """Whether the newest round has not made all its proposals, running or interrupted."""
        return bool(self.rounds) and self.rounds[-1].state is RoundState.PSEUDO_LABELLING


@dataclass(frozen=True)
class RoundFigures:
    """How good one round was, by everything that can be measured without guessing.

    Args:
        index: The round.
        validation_dice: Mean Dice over structures and validation cases, 0..1, or None.
        agreement: Mean Dice of its proposals with what a person made of them, or None.
        num_compared: Verdicts in that mean.
        mean_doubt: Of its proposals, 0..1, or None.
    """

    index: int
    validation_dice: float | None
    agreement: float | None
    num_compared: int
    mean_doubt: float | None
