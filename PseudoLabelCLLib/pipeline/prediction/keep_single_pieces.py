"""Predictions without the pieces that are no part of what is one piece."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from PseudoLabelCLLib.domain.doubt import ALL_STRUCTURES, RIVAL_SHARE, one_structure
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.single_pieces import SinglePieces, index_of_kept
from PseudoLabelCLLib.domain.text import NO_TEXT, Text

LabelArray = npt.NDArray[np.uint8]


def keep_single_pieces(
    classes: LabelArray, schema: LabelSchema, single: SinglePieces, voxel_mm3: float
) -> tuple[float, Text]:
    """Drop all but one piece of what is one piece: first of all together, then of each.

    What lies apart from the largest piece of all together is dropped only of structures of which
    enough lies in it: an organ that touches the others in one patient may not do so in the next.

    Args:
        classes: Class indices, which are changed.
        schema: The structures.
        single: What is one piece.
        voxel_mm3: Volume of a voxel.

    Returns:
        The size of the largest piece that was dropped, as a share of the one that was kept, and of
        what it was one.
    """
    dropped = [(0.0, NO_TEXT)]
    if single.together:
        dropped.append((_drop_what_lies_apart(classes, len(schema)), ALL_STRUCTURES))
    for index, label in enumerate(schema, start=1):
        if label.keep_largest_component or label.value in single.structures:
            pieces, sizes = _pieces(classes == index)
            if len(sizes) > 1:
                kept = index_of_kept(sizes.tolist(), single.drawn_size_mm3(label.value) / voxel_mm3)
                classes[(pieces > 0) & (pieces != 1 + kept)] = 0
                share = np.delete(sizes, kept).max() / sizes[kept]
                dropped.append((float(share), one_structure(label.name)))
    return max(dropped, key=lambda one: one[0])


def _drop_what_lies_apart(classes: LabelArray, num_structures: int) -> float:
    """Make background of what lies apart from the largest piece of all structures together.

    Returns:
        The size of the largest piece of which something was dropped, as a share of that one.
    """
    pieces, sizes = _pieces(classes > 0)
    if len(sizes) < 2:
        return 0.0
    largest = 1 + int(sizes.argmax())
    dropped = np.zeros(classes.shape, np.bool_)
    for index in range(1, num_structures + 1):
        own = classes == index
        apart = own & (pieces != largest)
        if apart.any() and (own & ~apart).sum() >= RIVAL_SHARE * np.bincount(pieces[apart]).max():
            dropped |= apart
    if not dropped.any():
        return 0.0
    rival = max(sizes[number - 1] for number in np.unique(pieces[dropped]))
    classes[dropped] = 0
    return float(rival / sizes[largest - 1])


def _pieces(mask: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.intp]]:
    """Return which piece each voxel of a mask belongs to, from 1, and the size of each piece.

    Voxels of one piece touch, be it at a corner.
    """
    pieces, _ = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    return pieces, np.bincount(pieces.ravel())[1:]
