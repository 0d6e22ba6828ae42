"""The cards of the report: one for each case, with its pictures, doubt and verdict, as HTML."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.pipeline.report.pictures import CaseFigure, SlicePicture, draw_slices


@dataclass(frozen=True)
class CaseCard:
    """A case as the page shows it.

    Args:
        case_id: Name of the case.
        doubt: 0..1, or None if not known.
        is_for_review: Whether a person is to judge it.
        is_judged: Whether a person gave a verdict.
        has_reference: Whether the pictures hold a reference.
        anchor: Where the page shows it.
        html: The card.
    """

    case_id: str
    doubt: float | None
    is_for_review: bool
    is_judged: bool
    has_reference: bool
    anchor: str
    html: str


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
        _draw_card(figure, f"case-{n}", schema, mean_dice.get(figure.case_id))
        for n, figure in enumerate(figures, start=1)
    ]
    return tuple(
        sorted(cards, key=lambda card: (card.doubt is None, -(card.doubt or 0.0), card.case_id))
    )


def cases_section(schema: LabelSchema, cards: Sequence[CaseCard]) -> Iterator[str]:
    """Yield the section with the switches for the contours, and one card after the other."""
    if not cards:
        return
    legend = "".join(
        f'<span><i class="swatch label-{label.value}"></i>{escape(label.name)}</span>'
        for label in schema
    )
    boxes = _switch("show-proposal", "Proposal", is_on=True)
    if any(card.has_reference for card in cards):
        boxes += _switch("show-reference", "Reference (white, dashed)", is_on=True)
    boxes += _switch("large", "Large pictures", is_on=False)
    yield (
        f'<section class="cases"><h2>Cases, most doubtful first</h2>'
        f'<p class="switches">{boxes}</p>'
        f'<p class="legend">{legend}</p>'
        '<div class="cards">'
    )
    yield from (card.html for card in cards)
    yield "</div></section>"


def _switch(name: str, words: str, *, is_on: bool) -> str:
    checked = " checked" if is_on else ""
    return f'<label><input type="checkbox" id="{name}"{checked}>{words}</label>'


def _draw_card(
    figure: CaseFigure, anchor: str, schema: LabelSchema, mean_dice: float | None
) -> CaseCard:
    verdict = figure.verdict
    unjudged = "not reviewed" if figure.is_for_review else "validation"
    words = verdict.value if verdict else unjudged
    kind = verdict.value if verdict else "open"
    doubt = (
        f'<span class="doubt" style="--doubt:{figure.doubt:.3f}">doubt {figure.doubt:.2f}</span>'
        if figure.doubt is not None
        else ""
    )
    dice = f'<span class="dice">Dice {mean_dice:.3f}</span>' if mean_dice is not None else ""
    reason = f'<p class="reason">{escape(figure.reason)}</p>' if figure.reason else ""
    tiles = "".join(_tile(tile, figure) for tile in draw_slices(figure, schema))
    html = (
        f'<article id="{anchor}"><header><h3>{escape(figure.case_id)}</h3>{doubt}{dice}'
        f'<span class="verdict {kind}">{words}</span></header>{reason}'
        f'<div class="tiles">{tiles}</div>'
        f'<p class="axes">{figure.describe_axes()}</p>'
        "</article>"
    )
    return CaseCard(
        case_id=figure.case_id,
        doubt=figure.doubt,
        is_for_review=figure.is_for_review,
        is_judged=verdict is not None,
        has_reference=figure.reference is not None,
        anchor=anchor,
        html=html,
    )


def _tile(tile: SlicePicture, figure: CaseFigure) -> str:
    words = figure.slice_name(tile.index)
    if tile.doubt is not None:
        words += f"<span>{tile.doubt:.2f}</span>"
    mark = ' class="most-doubtful"' if tile.is_most_doubtful else ""
    title = ' title="Most doubtful slice"' if tile.is_most_doubtful else ""
    return f"<figure{mark}{title}>{tile.svg}<figcaption>{words}</figcaption></figure>"
