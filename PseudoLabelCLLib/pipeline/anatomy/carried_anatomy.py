"""What annotated patients say of another one: their labels, carried over by registration.

How far that is trusted is measured for each case and structure, without any truth of the case
(Docs/methods.md, "The anatomy prior").
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch.nn import functional

from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.learning.to_device import to_device
from PseudoLabelCLLib.pipeline.anatomy.coarse_grid import averaged, coarser
from PseudoLabelCLLib.pipeline.anatomy.registration import (
    affine_between,
    can_be_registered,
    carried,
    correlation,
    demons_after,
    inverse_of,
    moved,
    registration_image,
    values_of,
)
from PseudoLabelCLLib.pipeline.slices.slice_grid import SLICES_AT_ONCE, Probabilities, SliceGrid

FloatArray = npt.NDArray[np.float32]
ClassArray = npt.NDArray[np.uint8]

# There-and-back Dice of a structure at which an atlas begins to count, and counts in full.
CONSISTENCY = (0.75, 0.85)
# The same for the correlation of both images in and around the carried structure.
LIKENESS = (0.75, 0.88)
# How far around it, in voxels.
_AROUND = 3
# The same for the Dice of the carried labels with the network's.
AGREEMENT = (0.3, 0.5)
# From this trust on, a disagreement with the network is a reason to look.
TRUSTED = 0.5
_LEAST_TRUST = 1e-3
# Smoothing of the carried labels, in units of the smallest voxel edge.
_SMOOTHING = 0.7


@dataclass(frozen=True)
class Atlas:
    """A patient of whom a person confirmed a segmentation of all slices.

    Args:
        image: At most `MOST_VOXELS` voxels.
        shares: How much of each voxel each structure fills, 0..1, shape (structures, k, j, i).
        known: For each structure, whether the segmentation is truth for it.
    """

    image: Volume
    shares: FloatArray
    known: tuple[bool, ...]


@dataclass(frozen=True)
class CarriedAnatomy:
    """The labels of atlases on the grid of a case, or on a coarser one that fills the same space.

    Args:
        shares: 0..1, shape (structures, k, j, i), smoothed.
        covered: Where atlases have voxels, 0..1, the same shape; elsewhere they say nothing.
        trust: For each structure, how far the registration proves itself, 0..1.
    """

    shares: FloatArray
    covered: FloatArray
    trust: tuple[float, ...]

    @property
    def says_something(self) -> bool:
        """Whether any structure is trusted."""
        return any(self.trust)


@dataclass(frozen=True)
class AnatomyAgreement:
    """How far the carried labels and the network agree.

    Args:
        dice: For each structure, 0..1.
        differing: Voxels of each slice on which they differ about a trusted structure.
        filled: Voxels of each slice on which either has a trusted structure.
    """

    dice: tuple[float, ...]
    differing: npt.NDArray[np.int64]
    filled: npt.NDArray[np.int64]

    def weights(self, anatomy: CarriedAnatomy, weight: float) -> tuple[float, ...]:
        """Return the weight of the carried labels, for each structure, 0..1.

        Args:
            anatomy: The carried labels.
            weight: Where they are trusted and agree in full.
        """
        return tuple(
            weight * trust * _ramp(dice, AGREEMENT)
            for trust, dice in zip(anatomy.trust, self.dice, strict=True)
        )


def make_atlas(
    volume: Volume, classes: ClassArray, num_structures: int, known: Sequence[bool]
) -> Atlas:
    """Return an atlas on a grid of at most `MOST_VOXELS` voxels.

    Args:
        volume: The image.
        classes: Class indices on its grid, 0 background, shape (k, j, i).
        num_structures: How many classes there are besides background.
        known: For each structure, whether the classes are truth for it.
    """
    coarse = coarser(volume)
    shape = coarse.geometry.array_shape
    shares = [averaged(classes == 1 + index, shape) for index in range(num_structures)]
    return Atlas(coarse, np.stack(shares), tuple(known))


def carry_anatomy(
    volume: Volume, atlases: Sequence[Atlas], most_atlases: int
) -> CarriedAnatomy | None:
    """Carry the labels of the most similar atlases over to a case.

    An atlas counts by its consistency, the Dice of a structure that was carried to the case and
    back, or of the mean over its structures if that is lower, and by the likeness of both images
    in and around the structure.

    Args:
        volume: The image of the case.
        atlases: Of other patients.
        most_atlases: So many take part at the most; similar is what correlates after the affine
            transform.

    Returns:
        None if nothing can be registered: there is no atlas, or the volume is a few slices only.
    """
    usable = [atlas for atlas in atlases if can_be_registered(atlas.image.geometry)]
    if not usable or not can_be_registered(volume.geometry):
        return None
    coarse = coarser(volume)
    image = registration_image(coarse)
    tried = []
    for atlas in usable:
        other = registration_image(atlas.image)
        affine, fit = affine_between(image, other)
        tried.append((fit, atlas, other, affine))
    tried.sort(key=lambda one: -one[0])
    said = [
        _carry_one(image, coarse.geometry, atlas, other, affine)
        for _, atlas, other, affine in tried[:most_atlases]
    ]
    return _together(said, coarse.geometry)


def agreement_with(
    anatomy: CarriedAnatomy, classes: ClassArray, grid: SliceGrid
) -> AnatomyAgreement:
    """Compare carried labels with what the network found.

    Args:
        anatomy: The carried labels.
        classes: Class indices of the volume's slices, turned: (slices, rows, columns).
        grid: Of the case.
    """
    num_structures = len(anatomy.trust)
    both, total = np.zeros(num_structures, np.int64), np.zeros(num_structures, np.int64)
    differing, filled = np.zeros(len(classes), np.int64), np.zeros(len(classes), np.int64)
    for start in range(0, len(classes), SLICES_AT_ONCE):
        part = slice(start, min(start + SLICES_AT_ONCE, len(classes)))
        shares, covered = at_slices(anatomy, grid, part)
        is_seen = covered.max(axis=1) > 0.5
        carried_classes = np.where(is_seen, most_filling(shares, axis=1), classes[part])
        for index, trust in enumerate(anatomy.trust):
            ours, theirs = carried_classes == 1 + index, classes[part] == 1 + index
            both[index] += int((ours & theirs & is_seen).sum())
            total[index] += int((ours & is_seen).sum()) + int((theirs & is_seen).sum())
            if trust >= TRUSTED:
                differing[part] += (ours != theirs).sum(axis=(1, 2))
                filled[part] += (ours | theirs).sum(axis=(1, 2))
    dice = [2 * int(b) / int(t) if t else 0.0 for b, t in zip(both, total, strict=True)]
    return AnatomyAgreement(tuple(dice), differing, filled)


def at_slices(
    anatomy: CarriedAnatomy, grid: SliceGrid, part: slice
) -> tuple[FloatArray, FloatArray]:
    """Return carried labels at some of a volume's own slices, linear between their voxels.

    Args:
        anatomy: The carried labels.
        grid: Of the case.
        part: Which slices.

    Returns:
        Shares and where they are known, each of shape (slices, structures, rows, columns), turned.
    """
    return _sampled(anatomy.shares, grid, part), _sampled(anatomy.covered, grid, part)


def fused(
    probabilities: Probabilities, shares: FloatArray, covered: FloatArray, weights: Sequence[float]
) -> Probabilities:
    """Return the weighted mean of the network's probabilities and carried labels.

    What a structure gains or loses, background loses or gains; so a structure of weight 0 keeps
    what the network says of it.

    Args:
        probabilities: Background first, on any device.
        shares: Shape (slices, structures, rows, columns).
        covered: Where the shares are known, the same shape.
        weights: For each structure, 0..1.
    """
    network, device = probabilities[:, 1:], probabilities.device
    own = np.asarray(weights, np.float32)[:, None, None] * covered
    counted, carried_over = (to_device(torch.from_numpy(one), device) for one in (own, shares))
    structures = network + counted * (carried_over - network)
    background = (1 - structures.sum(dim=1, keepdim=True)).clamp(min=0)
    both = torch.cat((background, structures), dim=1)
    summed: Probabilities = both / both.sum(dim=1, keepdim=True)
    return summed


def most_filling(shares: FloatArray, axis: int) -> ClassArray:
    """Return the class that fills most of each voxel: 0 background, 1 the first structure."""
    background = 1 - shares.sum(axis=axis, keepdims=True)
    found: ClassArray = np.concatenate((background, shares), axis=axis).argmax(axis=axis)
    return found.astype(np.uint8)


def _carry_one(
    image: Any, geometry: Geometry, atlas: Atlas, other: Any, affine: Any
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the shares of one atlas on the grid of a case, where it has voxels, and its trust."""
    everywhere = np.ones((1, *atlas.image.array.shape), np.float32)
    there = demons_after(image, other, affine)
    both = np.concatenate((atlas.shares, everywhere))
    found = carried(both, atlas.image.geometry, image, there)
    shares, seen = found[:-1], found[-1:]
    back = demons_after(other, image, inverse_of(affine))
    returned = most_filling(carried(shares, geometry, other, back), axis=0)
    drawn = most_filling(atlas.shares, axis=0)
    dice = [_dice(returned, drawn, 1 + index) for index in range(len(shares))]
    usable = [one for one, is_known in zip(dice, atlas.known, strict=True) if is_known and one >= 0]
    mean = float(np.mean(usable)) if usable else 0.0
    alike = _likeness(image, moved(other, image, there), most_filling(shares, axis=0), len(shares))
    trust = [
        _ramp(min(one, mean), CONSISTENCY) * _ramp(like, LIKENESS) if is_known else 0.0
        for one, like, is_known in zip(dice, alike, atlas.known, strict=True)
    ]
    return shares, seen, np.asarray(trust, np.float32)


def _likeness(image: Any, warped: Any, classes: ClassArray, num_structures: int) -> list[float]:
    """Return how two images correlate in and around each of the carried structures."""
    ours, theirs = values_of(image), values_of(warped)
    found = []
    for index in range(num_structures):
        around = ndimage.binary_dilation(classes == 1 + index, iterations=_AROUND)
        found.append(correlation(ours[around], theirs[around]))
    return found


def _together(
    said: Sequence[tuple[FloatArray, FloatArray, FloatArray]], geometry: Geometry
) -> CarriedAnatomy:
    """Return the mean of several atlases, each by its trust for a structure."""
    # where none is trusted, their plain mean tells how far they are from the network
    trusts = [np.maximum(trust, _LEAST_TRUST)[:, None, None, None] for _, _, trust in said]
    covered = np.sum([w * seen for w, (_, seen, _) in zip(trusts, said, strict=True)], axis=0)
    summed = np.sum([w * shares for w, (shares, _, _) in zip(trusts, said, strict=True)], axis=0)
    smallest = min(geometry.spacing_mm)
    sigmas = [_SMOOTHING * smallest / spacing for spacing in reversed(geometry.spacing_mm)]
    shares = np.stack(
        [ndimage.gaussian_filter(one, sigmas) for one in summed / np.maximum(covered, 1e-6)]
    )
    known = covered / np.sum(trusts, axis=0)
    trust = np.max([trust for _, _, trust in said], axis=0)
    return CarriedAnatomy(
        np.clip(shares, 0, 1).astype(np.float32),
        np.clip(known, 0, 1).astype(np.float32),
        tuple(trust.tolist()),
    )


def _sampled(array: FloatArray, grid: SliceGrid, part: slice) -> FloatArray:
    """Return (structures, k, j, i) at slices of the volume, (slices, structures, rows, columns)."""
    turned = [grid.slices_of(one) for one in array]
    count = len(turned[0])
    numbers = np.arange(part.start, part.stop)
    places = np.clip((numbers + 0.5) * count / grid.num_slices - 0.5, 0, count - 1)
    below = np.floor(places).astype(np.intp)
    above = np.minimum(below + 1, count - 1)
    share = (places - below).astype(np.float32)[:, None, None, None]
    under, over = (np.stack([one[where] for one in turned], axis=1) for where in (below, above))
    between = np.ascontiguousarray((1 - share) * under + share * over)
    if between.shape[2:] == grid.native_shape:
        return between
    tensor = torch.from_numpy(between)
    found: FloatArray = functional.interpolate(
        tensor, size=grid.native_shape, mode="bilinear"
    ).numpy()
    return found


def _dice(one: ClassArray, other: ClassArray, index: int) -> float:
    """Return the Dice of a class; -1 where the second has none."""
    ours, theirs = one == index, other == index
    if not theirs.any():
        return -1.0
    return 2 * int((ours & theirs).sum()) / (int(ours.sum()) + int(theirs.sum()))


def _ramp(value: float, limits: tuple[float, float]) -> float:
    low, high = limits
    return min(1.0, max(0.0, (value - low) / (high - low)))
