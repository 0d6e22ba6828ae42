"""Random views of slices for pre-training: crops, changed intensities, warps."""

import torch
from torch import Tensor
from torch.nn import functional

from PseudoLabelCLLib.domain.method_config import AugmentationConfig, Mirror
from PseudoLabelCLLib.learning.shapes import Float
from PseudoLabelCLLib.learning.to_device import to_device
from PseudoLabelCLLib.learning.training.augmentation import augment

Images = Float[Tensor, "views channels rows columns"]

# The corner of the published crop of 100 pixels is drawn from 10..69, of 0..92 that would fit.
_FIRST_CORNER, _LAST_CORNER = 10 / 92, 69 / 92

# Positional views: two thirds are warped; the published field (alpha 100..350, sigma 14..17 of 352
# pixels) moves pixels by 2.4 pixels (standard deviation) and is smooth over about 31.
WARPED_SHARE = 0.67
FULL_CIRCLE_DEG = 180.0
_ZOOM_FRACTION = 0.3
_ELASTIC_FRACTION = 2.4 / 352
_ELASTIC_GRID = 11


def crop_and_enlarge(images: Images, crop_fraction: float, generator: torch.Generator) -> Images:
    """Cut a random window out of every slice and enlarge it linearly to the slice's size.

    Args:
        images: The slices.
        crop_fraction: Side of the window, as a fraction of the slice's.
        generator: On the CPU.

    Source: Chaitanya et al., NeurIPS 2020, code: 100 of 192 pixels, corner in 10..69.
    """
    batch, _, *sides = images.shape
    matrix = torch.zeros((batch, 2, 3))
    for axis, side in enumerate(sides):
        crop = max(1, round(crop_fraction * side))
        first, last = (round(end * (side - crop)) for end in (_FIRST_CORNER, _LAST_CORNER))
        corner = torch.randint(first, last + 1, (batch,), generator=generator)
        # positions run over -1..1 on both axes, columns first
        matrix[:, 1 - axis, 1 - axis] = crop / side
        matrix[:, 1 - axis, 2] = (2 * corner + crop) / side - 1
    grid = functional.affine_grid(matrix, [batch, 1, *sides], align_corners=False)
    return functional.grid_sample(
        images, to_device(grid, images.device), padding_mode="border", align_corners=False
    )


def positional_warp(training: AugmentationConfig) -> AugmentationConfig:
    """Return the changes of a positional view: mirroring, rotation, zoom, elastic warp.

    The published views are mirrored along both axes and rotated by any angle. Where patients lie
    in one way only, which is where training does not mirror, that would teach the network to
    confuse what it must tell apart; there views are not mirrored, and are rotated by no more than
    training does.

    Args:
        training: The round's augmentation, with mirroring settled.

    Source: Zeng et al., MICCAI 2021, code.
    """
    lie_in_many_ways = training.mirror is not Mirror.NEVER
    return AugmentationConfig(
        rotation_deg=FULL_CIRCLE_DEG if lie_in_many_ways else training.rotation_deg,
        scale_fraction=_ZOOM_FRACTION,
        mirror=training.mirror,
        elastic_fraction=_ELASTIC_FRACTION,
        elastic_grid=_ELASTIC_GRID,
        contrast_fraction=0.0,
        brightness=0.0,
    )


def warp_views(images: Images, warp: AugmentationConfig, generator: torch.Generator) -> Images:
    """Warp two thirds of the slices at random; the others are mirrored at most.

    Args:
        images: The slices.
        warp: From `positional_warp`.
        generator: On the CPU.
    """
    no_targets = torch.ones_like(images[:, :1])
    mirrored = AugmentationConfig(
        rotation_deg=0.0,
        scale_fraction=0.0,
        mirror=warp.mirror,
        elastic_fraction=0.0,
        contrast_fraction=0.0,
        brightness=0.0,
    )
    warped = augment(images, no_targets, warp, generator).images
    kept = augment(images, no_targets, mirrored, generator).images
    chosen = torch.rand((len(images), 1, 1, 1), generator=generator) < WARPED_SHARE
    return torch.where(to_device(chosen, images.device), warped, kept)
