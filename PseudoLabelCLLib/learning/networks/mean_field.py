"""Smoothing of class probabilities by their neighbourhood, slice by slice."""

import torch
from torch import Tensor

from PseudoLabelCLLib.learning.shapes import Float

# A class that the network rules out can still come back through its neighbours.
SMALLEST_PROBABILITY = 1e-5
# Far below the rounding of a sum, yet products of such numbers make a CPU ten times as slow.
NEGLIGIBLE = 1e-15

Probabilities = Float[Tensor, "slices classes rows columns"]


@torch.no_grad()
def mean_field(
    probabilities: Probabilities,
    *,
    num_iterations: int,
    sigma_px: float,
    neighbour_weight: float,
    self_weight: float,
) -> Probabilities:
    """Return the mean-field approximation of a Potts model with a Gaussian neighbourhood.

    From Q = p on, every iteration sets, with the softmax over the classes,

        Q <- softmax( log p + w N^{-1/2} G (N^{-1/2} Q) + s Q ),    N = G 1,

    where G is the convolution with a Gaussian, the pixel itself included, and nothing lies outside
    the slice. N evens out the borders, so that the scale of G has no effect. Without the
    neighbourhood (w = 0) the most likely class stays; without the pixel's own weight (s = 0) a
    neighbourhood wider than a structure erases it.

    Args:
        probabilities: p, raised to 1e-5 at least before the logarithm.
        num_iterations: 0 returns p.
        sigma_px: Standard deviation of the Gaussian, in pixels.
        neighbour_weight: w.
        self_weight: s.

    Source: Kraehenbuehl and Koltun, NeurIPS 2011 (algorithm 1); the published code of Chaitanya et
        al., MedIA 2023, whose bilateral term is so narrow that it is the pixel's own weight.
    """
    evidence = probabilities.clamp(SMALLEST_PROBABILITY, 1).log()
    over_rows = _normalised_gaussian(probabilities, 2, sigma_px) * neighbour_weight
    over_columns = _normalised_gaussian(probabilities, 3, sigma_px)
    belief = probabilities
    for _ in range(num_iterations):
        from_neighbours = over_rows @ belief @ over_columns
        scores = from_neighbours.add_(evidence).add_(belief, alpha=self_weight)
        belief = scores.softmax(dim=1)
    return belief


def _normalised_gaussian(
    probabilities: Probabilities, axis: int, sigma_px: float
) -> Float[Tensor, "pixels pixels"]:
    """One axis of N^{-1/2} G N^{-1/2}; a 2-D Gaussian and its N are products over both axes.

    As a matrix, the 1-D convolution is one fast product, and nothing that counts is cut off.
    """
    places = torch.arange(
        probabilities.shape[axis], dtype=probabilities.dtype, device=probabilities.device
    )
    distance = places[:, None] - places[None]
    gaussian = torch.exp(-((distance / sigma_px) ** 2) / 2)
    gaussian = torch.where(gaussian < NEGLIGIBLE, 0, gaussian)
    scale = gaussian.sum(dim=1).rsqrt()
    return scale[:, None] * gaussian * scale[None]
