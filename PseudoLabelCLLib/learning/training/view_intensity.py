"""Changed intensities of the views that contrastive losses compare; pixels stay in place."""

import torch
from torch import Tensor

from PseudoLabelCLLib.learning.shapes import Float
from PseudoLabelCLLib.learning.to_device import to_device

Images = Float[Tensor, "views channels *space"]

_BRIGHTEST = 1.5


def change_intensity(
    images: Images,
    *,
    brightness: float,
    contrast_fraction: float,
    is_shared: bool,
    generator: torch.Generator,
    slices_at_once: int = 1,
) -> Images:
    """Change brightness, then contrast around each slice's mean; pixels stay in place.

    Each image of a patient draws a change of its own; its neighbouring slices share it.

    Args:
        images: Intensities, about 0..1.
        brightness: Largest additive change.
        contrast_fraction: Largest change of contrast.
        is_shared: Whether all slices undergo one change; else each its own.
        generator: On the CPU.
        slices_at_once: How many slices of each image the channels are.

    Source: Chaitanya et al., NeurIPS 2020 and MedIA 2023, code; result clipped to 0..1.5.
    """
    ones = [1] * (images.ndim - 2)
    shape = (1 if is_shared else len(images), images.shape[1] // slices_at_once, *ones)
    alike = (1, slices_at_once, *ones)
    shift = ((torch.rand(shape, generator=generator) * 2 - 1) * brightness).repeat(alike)
    drawn = 1 + (torch.rand(shape, generator=generator) * 2 - 1) * contrast_fraction
    factor = drawn.repeat(alike)
    brighter = images + to_device(shift, images.device)
    mean = brighter.mean(dim=tuple(range(2, images.ndim)), keepdim=True)
    return ((brighter - mean) * to_device(factor, images.device) + mean).clamp(0, _BRIGHTEST)
