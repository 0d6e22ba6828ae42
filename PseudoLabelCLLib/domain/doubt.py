"""Doubt: how sure the network is of one pseudo-label."""

from dataclasses import dataclass, replace

from PseudoLabelCLLib.domain.errors import ReviewError
from PseudoLabelCLLib.domain.text import Text, pattern, recognised

NOTHING_FOUND = pattern("Nothing was found in this volume.")
COPIES_AGREE = pattern(
    "Copies agree to {agreement:.0%}, least on '{structure}' ({least:.0%}). Look at the slice "
    "{slice} first."
)
SOME_MISSING = pattern(
    "Copies agree to {agreement:.0%}, least on '{structure}' ({least:.0%}). Look at the slice "
    "{slice} first. Nothing was found of {missing}."
)
# As files have them in which slices were ordered by the share of their structures.
COPIES_AGREED = pattern(
    "Copies agree to {agreement:.0%}, least on '{structure}' ({least:.0%}) and in the slice "
    "{slice}."
)
SOME_WERE_MISSING = pattern(
    "Copies agree to {agreement:.0%}, least on '{structure}' ({least:.0%}) and in the slice "
    "{slice}. Nothing was found of {missing}."
)
ALL_STRUCTURES = Text("all structures together")
SECOND_PIECE = pattern(
    "{reason} One piece of {structure} was kept; another one had {share:.0%} of its size."
)
ANATOMY_DISAGREES = pattern(
    "{reason} Anatomy and network disagree here: what was carried over from annotated volumes "
    "agrees to {agreement:.0%} with the network on {structure}, least in the slice {slice}."
)
# A second piece of less than this share of the largest is no rival.
RIVAL_SHARE = 0.25


@dataclass(frozen=True)
class Doubt:
    """How much the predictions of changed copies of a volume contradict each other.

    Args:
        doubt: 0 (sure) to 1; what the review queue is sorted by.
        agreement: 0..1, mean Dice between the predictions of the copies.
        doubt_per_slice: 0..1 for each slice along the slicing axis: about how many voxels of it
            may be wrong, as a share of the structures in the fullest slice.
        reason: Why a person should look, in one sentence.

    Raises:
        ReviewError: A score lies outside 0..1.
    """

    doubt: float
    agreement: float
    doubt_per_slice: tuple[float, ...]
    reason: str

    @property
    def sentence(self) -> Text:
        """The reason for a user interface; files keep it as it was written."""
        return reason_in_patterns(self.reason)

    def __post_init__(self) -> None:
        for score in (self.doubt, self.agreement, *self.doubt_per_slice):
            if not 0 <= score <= 1:
                raise ReviewError(
                    Text("A doubt score must lie in 0..1; it is {score}.", score=score)
                )

    def with_second_piece(self, share: float, structure: Text) -> "Doubt":
        """Return the doubt where a second piece was dropped, if it was a rival of the kept one.

        Args:
            share: Its size as a share of that one, 0 or more.
            structure: Of what.
        """
        if share < RIVAL_SHARE:
            return self
        reason = Text(SECOND_PIECE, reason=self.reason, structure=structure, share=share)
        return replace(self, doubt=max(self.doubt, min(1.0, share)), reason=reason)

    def with_disagreement(self, agreement: float, structure: Text, slice_name: str) -> "Doubt":
        """Return the doubt where anatomy and network disagree, if that is the larger one.

        Args:
            agreement: Dice of the carried labels with the network's, 0..1.
            structure: On what they agree least.
            slice_name: What a person calls the slice in which they do.
        """
        if 1 - agreement <= self.doubt:
            return self
        reason = Text(
            ANATOMY_DISAGREES, reason=self.reason, agreement=agreement, structure=structure,
            slice=slice_name,
        )  # fmt: skip
        return replace(self, doubt=1 - agreement, reason=reason)


def one_structure(name: str) -> Text:
    """Return how a sentence names one structure, where it might name all of them."""
    return Text("'{structure}'", structure=name)


def reason_in_patterns(reason: str) -> Text:
    """Return the reason of a stored doubt as the text that it was made from."""
    told = recognised(
        reason, SECOND_PIECE, ANATOMY_DISAGREES, NOTHING_FOUND, SOME_MISSING, COPIES_AGREE,
        SOME_WERE_MISSING, COPIES_AGREED,
    )  # fmt: skip
    if told.pattern not in (ANATOMY_DISAGREES, SECOND_PIECE):
        return told
    structure = recognised(told.values["structure"], one_structure("").pattern)
    inner = told.with_value("reason", reason_in_patterns(told.values["reason"]))
    return inner.with_value("structure", structure)
