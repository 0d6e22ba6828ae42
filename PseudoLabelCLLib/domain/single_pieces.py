"""Which structures are one piece, so that a prediction of several has false ones among them."""

from collections.abc import Sequence
from dataclasses import dataclass

from PseudoLabelCLLib.domain.doubt import ALL_STRUCTURES, one_structure
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text, listed

# What is split off from a structure that counts as one piece has at most this share of it.
CRUMBS = 0.05


@dataclass(frozen=True)
class SinglePieces:
    """Of what a prediction keeps the largest connected piece alone.

    Args:
        structures: Label values of structures that are one piece each.
        together: Whether all structures together are one piece; that is kept first.
    """

    structures: tuple[int, ...] = ()
    together: bool = False

    def sentence(self, schema: LabelSchema) -> Text | None:
        """Return what that means for a person, or None if everything is kept."""
        names = [label.name for label in schema if label.value in self.structures]
        kept = [ALL_STRUCTURES] if self.together else []
        kept += [one_structure(name) for name in names]
        if not kept:
            return None
        return Text(
            "Predictions keep only the largest piece of: {kept}. The annotated volumes show each "
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
    return SinglePieces(tuple(structures), as_drawn and drawn.together and not several)


def is_one_piece(sizes: Sequence[int]) -> bool:
    """Return whether one of several pieces is all but crumbs of a structure.

    Args:
        sizes: Voxels of each piece.
    """
    return bool(sizes) and max(sizes) >= (1 - CRUMBS) * sum(sizes)
