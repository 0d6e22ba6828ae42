"""The cosine between embeddings, which all contrastive losses share."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

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
    return functional.normalize(full_precision(embeddings), dim=-1, eps=COSINE_EPSILON)
