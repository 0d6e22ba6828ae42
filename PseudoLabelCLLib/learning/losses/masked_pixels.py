"""The loss of pre-training by masked images: how well taken-out pixels are filled in."""

import torch
from torch import Tensor

from PseudoLabelCLLib.learning.losses.cosine import full_precision
from PseudoLabelCLLib.learning.shapes import Bool, Float

# A slice of one value has no contrast; its pixels then differ by 0 in units of this.
LEAST_DEVIATION = 1e-3

Images = Float[Tensor, "batch channels rows columns"]
Pixels = Bool[Tensor, "batch 1 rows columns"]


def masked_pixel_loss(filled: Images, images: Images, is_masked: Pixels) -> Float[Tensor, ""]:
    """Return the mean squared error on masked pixels, in units of each slice's variance.

    Mean and variance are those of a slice's own pixels in a channel, so that a network that fills
    in the mean everywhere has a loss of about 1. Padding, which is 0 in all channels, counts
    nowhere; without any masked pixel besides, the loss is 0.

    Args:
        filled: What the network fills in, in these units.
        images: The whole slices.
        is_masked: Which pixels were taken out.

    Source: He et al., CVPR 2022, section 3 ("Reconstruction target"), with a slice in the place of
        a patch.
    """
    with torch.autocast(images.device.type, enabled=False):
        filled, images = full_precision(filled), full_precision(images)
        is_image = (images != 0).any(dim=1, keepdim=True)
        targets = normalised(images, is_image)
        counts = (is_masked & is_image).expand_as(images)
        squared = torch.where(counts, (filled - targets) ** 2, 0)
        return squared.sum() / counts.sum().clamp(min=1)


def normalised(images: Images, is_image: Pixels) -> Images:
    """Return slices with mean 0 and variance 1 over their own pixels, channel by channel."""
    weights = is_image.to(images.dtype)
    count = weights.sum(dim=(2, 3), keepdim=True).clamp(min=1)
    mean = (images * weights).sum(dim=(2, 3), keepdim=True) / count
    variance = ((images - mean) ** 2 * weights).sum(dim=(2, 3), keepdim=True) / count
    return (images - mean) / variance.sqrt().clamp(min=LEAST_DEVIATION)
