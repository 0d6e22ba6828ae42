"""Requests about proposals: show one, judge it, take a verdict back, measure the rounds."""

from dataclasses import dataclass

from PseudoLabelCLLib.domain.review import ProposalIdentity, TruthExtent
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.answers import CaseFiles, CorrectionPreview, History
from PseudoLabelCLLib.messages.project_view import ProjectView
from PseudoLabelCLLib.messages.requests.request import ChangesProject, Request


@dataclass(frozen=True)
class ShowCase(Request[CaseFiles]):
    """Make the files from which a case is shown.

    Args:
        case_id: The case.
        round_index: The round whose proposal is shown; None takes the newest.
        with_image: Whether the image is wanted too; it is not if the scene has it.
    """

    activity = Text("showing a case")

    case_id: str
    round_index: int | None = None
    with_image: bool = True


@dataclass(frozen=True)
class Accept(ChangesProject[ProjectView]):
    """Take proposals as they are.

    Args:
        proposals: What the person looked at, or what was listed to them; refused as a whole if
            one is not the newest proposal of its case.
        left_out: Label values of structures that are rejected; only with one proposal.
    """

    activity = Text("accepting")

    proposals: tuple[ProposalIdentity, ...]
    left_out: tuple[int, ...] = ()


@dataclass(frozen=True)
class Reject(ChangesProject[ProjectView]):
    """Leave proposals out of the next round.

    Args:
        proposals: As for `Accept`.
    """

    activity = Text("rejecting")

    proposals: tuple[ProposalIdentity, ...]


@dataclass(frozen=True)
class Correct(ChangesProject[ProjectView]):
    """Take a person's segmentation in place of the proposal.

    Args:
        proposal: What the person changed.
        file: The corrected segmentation.
        extent: Which voxels count as human truth.
        left_out: Label values of structures that are rejected.
    """

    activity = Text("saving a correction")

    proposal: ProposalIdentity
    file: str
    extent: TruthExtent = TruthExtent.CHANGED_SLICES
    left_out: tuple[int, ...] = ()


@dataclass(frozen=True)
class PreviewCorrection(Request[CorrectionPreview]):
    """Tell what of a correction would count as human truth.

    Args:
        proposal: What the person changed.
        file: The segmentation as it is now.
        left_out: Label values of structures that are rejected.
    """

    activity = Text("comparing a correction with the proposal")

    proposal: ProposalIdentity
    file: str
    left_out: tuple[int, ...] = ()


@dataclass(frozen=True)
class TakeBackVerdict(ChangesProject[ProjectView]):
    """Undo the newest verdict on a proposal; the one before it counts again.

    Args:
        proposal: The proposal that the person looks at.
    """

    activity = Text("taking back a verdict")

    proposal: ProposalIdentity


@dataclass(frozen=True)
class ReadHistory(Request[History]):
    """Measure the rounds so far."""

    activity = Text("measuring the rounds")
