"""The cosine between embeddings, which all contrastive losses share."""

import torch
from torch import Tensor

from PseudoLabelCLLib.learning.shapes import Float

COSINE_EPSILON = 1e-8


def full_precision(embeddings: Tensor) -> Tensor:
    """Return half precision as float32; float64 stays.

    e^{1 / tau} overflows 16 bits, and 8 bits of mantissa move a score by up to 0.1.
    """
    return embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))


def cosines(
    first: Float[Tensor, "*batch rows embedding"], second: Float[Tensor, "*batch columns embedding"]
) -> Float[Tensor, "*batch rows columns"]:
    """Return the cosine of every row of `first` with every row of `second`, never in 16 bits.

    An embedding of length 0 has the cosine 0 with everything.
    """
    with torch.autocast(first.device.type, enabled=False):
        return _unit(first) @ _unit(second).mT


def _unit(embeddings: Tensor) -> Tensor:
    embeddings = full_precision(embeddings)
    squared = embeddings.square().sum(dim=-1, keepdim=True)
    # what has no length has no direction: left as it is, or its gradient would be 1e8 times the
    # others' and overflow 16 bits
    return embeddings * torch.where(squared > COSINE_EPSILON**2, squared, 1).rsqrt()
