"""The cards of the report: one for each case, with its pictures, doubt and verdict."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from PseudoLabelCLLib.domain.review import Verdict
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.pipeline.report.pictures import CaseFigure, SlicePicture, draw_slices


@dataclass(frozen=True)
class CaseCard:
    """A case as the page shows it, its pictures drawn and its volume no longer needed.

    Args:
        case_id: Name of the case.
        anchor: Where the page shows it.
        doubt: 0..1, or None if not known.
        mean_dice: Of its proposal with its reference, 0..1, or None.
        reason: Why a person should look at this case, in one sentence.
        verdict: What a person decided, or None.
        is_for_review: Whether a person is to judge it.
        has_reference: Whether the pictures hold a reference.
        tiles: Its pictures.
        axes: Which way these run in the patient.
    """

    case_id: str
    anchor: str
    doubt: float | None
    mean_dice: float | None
    reason: str
    verdict: Verdict | None
    is_for_review: bool
    has_reference: bool
    tiles: tuple[SlicePicture, ...]
    axes: str

    @property
    def verdict_words(self) -> str:
        """The verdict, or what there is instead."""
        if self.verdict is not None:
            return self.verdict.value
        return "not reviewed" if self.is_for_review else "validation"


def draw_cards(
    figures: Iterable[CaseFigure], schema: LabelSchema, mean_dice: Mapping[str, float | None]
) -> tuple[CaseCard, ...]:
    """Draw every case, reading one after the other; the most doubtful comes first.

    Args:
        figures: The cases.
        schema: The structures.
        mean_dice: Mean Dice by case id, for the cases where it was measured.
    """
    cards = [
        CaseCard(
            case_id=figure.case_id,
            anchor=f"case-{number}",
            doubt=figure.doubt,
            mean_dice=mean_dice.get(figure.case_id),
            reason=figure.reason,
            verdict=figure.verdict,
            is_for_review=figure.is_for_review,
            has_reference=figure.reference is not None,
            tiles=draw_slices(figure, schema),
            axes=figure.describe_axes(),
        )
        for number, figure in enumerate(figures, start=1)
    ]
    return tuple(
        sorted(cards, key=lambda card: (card.doubt is None, -(card.doubt or 0.0), card.case_id))
    )
