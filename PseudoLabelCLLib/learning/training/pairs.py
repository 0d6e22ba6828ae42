"""The pairs of slices that the local contrastive loss compares."""

import torch

from PseudoLabelCLLib.domain.method_config import ContrastForm
from PseudoLabelCLLib.learning.training.sampling import SLICES_OF_A_KIND, SliceBatch, SlicePool

# One slice of a contrastive batch: L has human truth, U a pseudo-label.
Place = tuple[str, int]

# The ten pairs of one contrastive batch, in the authors' order.
AUTHORS_PAIRS: tuple[tuple[Place, Place], ...] = (
    (("L", 0), ("L", 0)), (("L", 1), ("U", 1)), (("L", 2), ("L", 2)), (("L", 3), ("U", 3)),
    (("L", 4), ("U", 4)), (("U", 0), ("U", 0)), (("U", 0), ("U", 1)), (("U", 2), ("U", 2)),
    (("U", 2), ("U", 3)), (("U", 3), ("U", 4)),
)  # fmt: skip
# Reordered so that its beginning is a fair mixture too when fewer are drawn.
PAIRS = tuple(AUTHORS_PAIRS[place] for place in (1, 6, 0, 3, 8, 5, 4, 9, 2, 7))

# The intra-image form pairs every slice with itself.
AUTHORS_SELF_PAIRS = tuple(((kind, n), (kind, n)) for kind in "LU" for n in range(5))
SELF_PAIRS = tuple(((kind, n), (kind, n)) for n in range(5) for kind in "LU")


def draw_pairs(  # noqa: PLR0913 - two pools, how many pairs, and three settings of the batch
    truth: SlicePool,
    pseudo: SlicePool,
    num_pairs: int,
    generator: torch.Generator,
    *,
    form: ContrastForm = ContrastForm.INTER,
    authors_order: bool = False,
    complete_only: bool = False,
) -> SliceBatch:
    """Draw the views of a contrastive batch: first members of all pairs, then second members.

    Slices are drawn for one class after the other, the same one for both kinds of slices, among all
    that show it: so a structure's ends serve like its middle, and a single slice that happens to
    show every class is no more likely than others. Without pseudo-labelled slices all come from
    human truth.

    Args:
        truth: Slices with human truth.
        pseudo: Slices with pseudo-labels.
        num_pairs: Half the number of views.
        generator: Of random numbers.
        form: "intra" pairs every slice with itself, "inter" some with each other.
        authors_order: Whether pairs stand in the order of the published code, on which its
            weighting depends, or in one of which every beginning is a fair mixture.
        complete_only: Whether only slices that show every class are drawn, as in the published
            code; where none does, those that show the most.

    Source: Chaitanya et al., MedIA 2023, code (5 + 5 slices, 10 pairs).
    """
    if form is ContrastForm.INTRA:
        pairs = AUTHORS_SELF_PAIRS if authors_order else SELF_PAIRS
    else:
        pairs = AUTHORS_PAIRS if authors_order else PAIRS
    unlabelled = pseudo if len(pseudo) else truth
    drawn: dict[str, list[SliceBatch]] = {"L": [], "U": []}
    for _ in range(-(-num_pairs // len(pairs))):
        classes = [] if complete_only else _classes_in_turn(truth, unlabelled, generator)
        for kind, slices in (("L", truth), ("U", unlabelled)):
            batch = (
                slices.draw_showing(classes, generator)
                if classes
                else slices.draw_rich(SLICES_OF_A_KIND, generator)
            )
            drawn[kind].append(batch)
    members: tuple[list[SliceBatch], list[SliceBatch]] = ([], [])
    for number in range(num_pairs):
        block, pair = divmod(number, len(pairs))
        for side, (kind, position) in enumerate(pairs[pair]):
            batch = drawn[kind][block]
            one = slice(position, position + 1)
            members[side].append(SliceBatch(batch.images[one], batch.classes[one]))
    views = members[0] + members[1]
    return SliceBatch(
        torch.cat([view.images for view in views]), torch.cat([view.classes for view in views])
    )


def _classes_in_turn(
    truth: SlicePool, unlabelled: SlicePool, generator: torch.Generator
) -> list[int]:
    """Return for each slice of a kind the class that it must show; none where none is shown."""
    shared = sorted(set(truth.classes_shown) & set(unlabelled.classes_shown))
    classes = shared or truth.classes_shown
    order: list[int] = torch.randperm(len(classes), generator=generator).tolist()
    return [classes[order[n % len(order)]] for n in range(SLICES_OF_A_KIND)] if order else []
