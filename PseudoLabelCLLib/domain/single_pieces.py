"""Which structures are one piece, so that a prediction of several has false ones among them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PseudoLabelCLLib.domain.doubt import ALL_STRUCTURES, RIVAL_SHARE, one_structure
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text, listed

# What is split off from a structure that counts as one piece has at most this share of it.
CRUMBS = 0.05


@dataclass(frozen=True)
class SinglePieces:
    """Of what a prediction keeps one connected piece alone.

    Args:
        structures: Label values of structures that are one piece each.
        together: Whether all structures together are one piece; that is kept first.
        drawn_mm3: How large each of `structures` is where it was drawn, the median over the
            annotated volumes; 0 or missing where that is not known.
    """

    structures: tuple[int, ...] = ()
    together: bool = False
    drawn_mm3: tuple[float, ...] = ()

    def drawn_size_mm3(self, value: int) -> float:
        """Return how large a structure is where it was drawn, or 0."""
        known = dict(zip(self.structures, self.drawn_mm3, strict=False))
        return known.get(value, 0.0)

    def sentence(self, schema: LabelSchema) -> Text | None:
        """Return what that means for a person, or None if everything is kept."""
        names = [label.name for label in schema if label.value in self.structures]
        kept = [ALL_STRUCTURES] if self.together else []
        kept += [one_structure(name) for name in names]
        if not kept:
            return None
        return Text(
            "Predictions keep a single piece of: {kept}. The annotated volumes show each "
            "of these in one piece.",
            kept=listed(kept),
        )


def settled_pieces(drawn: SinglePieces, schema: LabelSchema, *, as_drawn: bool) -> SinglePieces:
    """Return what predictions keep: what was chosen for a structure, and what was drawn elsewhere.

    Args:
        drawn: What the annotated volumes show.
        schema: The structures, of which each may be set to one piece, or to several.
        as_drawn: Whether what was drawn decides where nothing is set.
    """
    chosen = {label.value: label.keep_largest_component for label in schema}
    several = [value for value, keeps in chosen.items() if keeps is False]
    structures = [
        value
        for value, keeps in chosen.items()
        if keeps or (keeps is None and as_drawn and value in drawn.structures)
    ]
    return SinglePieces(
        tuple(structures),
        as_drawn and drawn.together and not several,
        tuple(map(drawn.drawn_size_mm3, structures)),
    )


def index_of_kept(sizes: Sequence[int], drawn: float) -> int:
    """Return which piece of a structure is kept.

    It is the largest; of several that are not much smaller, the one nearest in size to what was
    drawn: a false piece, such as the rim of the body, may well be larger than an organ.

    Args:
        sizes: Voxels of each piece.
        drawn: Voxels of the structure where it was drawn, or 0.
    """
    largest = max(sizes)
    if drawn <= 0:
        return sizes.index(largest)
    rivals = [n for n, size in enumerate(sizes) if size >= RIVAL_SHARE * largest]
    return min(rivals, key=lambda n: (abs(math.log(sizes[n] / drawn)), -sizes[n]))


def is_one_piece(sizes: Sequence[int]) -> bool:
    """Return whether one of several pieces is all but crumbs of a structure.

    Args:
        sizes: Voxels of each piece.
    """
    return bool(sizes) and max(sizes) >= (1 - CRUMBS) * sum(sizes)
