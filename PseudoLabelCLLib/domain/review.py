"""Review: what a person decided about a pseudo-label, and what that makes of it in training."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from PseudoLabelCLLib.domain.case import check_case_id
from PseudoLabelCLLib.domain.errors import ReviewError
from PseudoLabelCLLib.domain.text import Text


class Verdict(Enum):
    """A person's decision on one pseudo-label; no review means `unreviewed`."""

    ACCEPTED = "accepted"
    CORRECTED = "corrected"
    REJECTED = "rejected"

    @property
    def word(self) -> Text:
        """What a person reads."""
        return _VERDICT_WORDS[self]


_VERDICT_WORDS = {
    Verdict.ACCEPTED: Text("accepted"),
    Verdict.CORRECTED: Text("corrected"),
    Verdict.REJECTED: Text("rejected"),
}


class Use(Enum):
    """What a case does in one round of training."""

    TRUTH = "human truth"
    PSEUDO = "pseudo-label, never truth"
    NOTHING = "left out"


class TruthExtent(Enum):
    """Which voxels of a correction count as human truth; all others count for nothing."""

    CHANGED_SLICES = "changed slices"
    CHANGED_VOXELS = "changed voxels"
    WHOLE = "all slices"

    @property
    def word(self) -> Text:
        """What a person reads."""
        return _EXTENT_WORDS[self]


_EXTENT_WORDS = {
    TruthExtent.CHANGED_SLICES: Text("changed slices"),
    TruthExtent.CHANGED_VOXELS: Text("changed voxels"),
    TruthExtent.WHOLE: Text("all slices"),
}


@dataclass(frozen=True)
class ProposalIdentity:
    """Which proposal a person looked at: a verdict is on exactly this one, or it is refused.

    Args:
        case_id: The case.
        round_index: The round that proposed it.
        fingerprint: Of the proposal's file (SHA-256, hexadecimal).
    """

    case_id: str
    round_index: int
    fingerprint: str


@dataclass(frozen=True)
class Review:
    """One decision.

    Args:
        case_id: The case whose pseudo-label was judged.
        round_index: The round that proposed it.
        verdict: The decision.
        segmentation: Path in the project of the accepted or corrected segmentation, a copy of its
            own that no machine writes to again; None if rejected.
        truth_slices: Indices along the slicing axis that a person confirmed; None means all.
        time: When, ISO 8601 with zone.
        left_out: Label values of structures that the person rejected while confirming the
            others. Then a voxel outside the others is known to be none of them: it is background
            or one of the rejected structures, and which of these is not known.
        truth_mask: Path in the project of a volume on the case's grid that is 1 at the only voxels
            that count as truth, all of them on `truth_slices`; None if the slices count whole. No
            machine writes to it again.
        author: The name that the person chose to sign with, or empty.
        origin: Seal of the computer on which the verdict was given; empty before version 2.

    Raises:
        ProjectError: The name of the case cannot be one.
        ReviewError: The parts contradict each other.
    """

    case_id: str
    round_index: int
    verdict: Verdict
    segmentation: str | None
    truth_slices: tuple[int, ...] | None = None
    time: str = ""
    left_out: tuple[int, ...] = ()
    truth_mask: str | None = None
    author: str = ""
    origin: str = ""

    def __post_init__(self) -> None:
        check_case_id(self.case_id)
        has_segmentation = self.segmentation is not None
        if has_segmentation == (self.verdict is Verdict.REJECTED):
            raise ReviewError(
                Text(
                    "The review of case '{case}' is '{verdict}' with a segmentation."
                    if has_segmentation
                    else "The review of case '{case}' is '{verdict}' without a segmentation.",
                    case=self.case_id,
                    verdict=self.verdict.word,
                )
            )
        if self.truth_slices is not None and self.verdict is not Verdict.CORRECTED:
            raise ReviewError(
                Text(
                    "The review of case '{case}' names single slices, which only a "
                    "correction can do; it is '{verdict}'.",
                    case=self.case_id,
                    verdict=self.verdict.word,
                )
            )
        if self.truth_slices is not None and not self.truth_slices:
            raise ReviewError(
                Text("The correction of case '{case}' covers no slice.", case=self.case_id),
                Text("Correct at least one slice, accept the proposal, or reject it."),
            )
        numbers = self.truth_slices or ()
        if min(numbers, default=0) < 0 or len(set(numbers)) < len(numbers):
            raise ReviewError(
                Text(
                    "The correction of case '{case}' names a slice twice, or below 0.",
                    case=self.case_id,
                )
            )
        if self.truth_mask is not None and self.truth_slices is None:
            raise ReviewError(
                Text(
                    "The review of case '{case}' names single voxels, but not their slices.",
                    case=self.case_id,
                )
            )
        self._check_structures()

    def _check_structures(self) -> None:
        if len(set(self.left_out)) < len(self.left_out):
            raise ReviewError(
                Text("The review of case '{case}' leaves a structure out twice.", case=self.case_id)
            )
        if self.left_out and self.verdict is Verdict.REJECTED:
            raise ReviewError(
                Text(
                    "The review of case '{case}' leaves single structures out, and rejects "
                    "all of them.",
                    case=self.case_id,
                ),
                Text("Reject the proposal without naming structures."),
            )

    @property
    def use(self) -> Use:
        """What the judged case does in the rounds that follow."""
        return Use.NOTHING if self.verdict is Verdict.REJECTED else Use.TRUTH

    @property
    def files(self) -> tuple[str, ...]:
        """Paths in the project of what goes with the verdict: segmentation, mask."""
        return tuple(path for path in (self.segmentation, self.truth_mask) if path is not None)


class Confirming(Protocol):
    """What says on which slices and voxels, and of which structures, a segmentation is truth."""

    @property
    def truth_slices(self) -> tuple[int, ...] | None:
        """Indices along the slicing axis; None means all."""

    @property
    def left_out(self) -> tuple[int, ...]:
        """Label values of structures that the person rejected."""

    @property
    def truth_mask(self) -> str | None:
        """Path of the mask of the only voxels that count; None means all on those slices."""


def fully_confirmed_slices(oldest_first: Iterable[Confirming], num_slices: int) -> frozenset[int]:
    """Return the slices on which a person confirmed every structure.

    Where two name the same slice, the later counts. Slices on which structures are left out are no
    human share of a case. Single voxels change nothing: they lie over what counts on their slice.
    """
    confirmed: frozenset[int] = frozenset()
    for one in oldest_first:
        if one.truth_mask is not None:
            continue
        all_ = range(num_slices)
        own = all_ if one.truth_slices is None else [n for n in one.truth_slices if n in all_]
        confirmed = confirmed.difference(own) if one.left_out else confirmed.union(own)
    return confirmed
