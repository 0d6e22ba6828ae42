"""Mixup: slices with human truth mixed in pairs, images and targets alike."""

import numpy as np
import torch
from torch import Tensor

from PseudoLabelCLLib.learning.shapes import Float
from PseudoLabelCLLib.learning.to_device import to_device
from PseudoLabelCLLib.learning.training.augmentation import AugmentedBatch


def mixup(batch: AugmentedBatch, alpha: float, generator: torch.Generator) -> AugmentedBatch:
    """Mix every slice of a batch with one of it, drawn at random: images and targets alike.

    Args:
        batch: Changed slices and their targets.
        alpha: Both parameters of the beta distribution of the shares, above 0.
        generator: On the CPU.

    Source: Zhang et al., ICLR 2018; with alpha .1 a comparison in Chaitanya et al., MedIA 2023.
    """
    number = len(batch.images)
    partners = torch.randperm(number, generator=generator)
    shares = drawn_shares(alpha, number, generator)
    there = to_device(partners, batch.images.device)
    own = to_device(shares, batch.images.device).reshape(-1, *[1] * (batch.images.ndim - 1))
    return AugmentedBatch(*(own * part + (1 - own) * part[there] for part in batch))


def drawn_shares(alpha: float, number: int, generator: torch.Generator) -> Float[Tensor, " slices"]:
    """Return how much of each slice stays its own, 0..1, of a beta distribution."""
    seed = int(torch.randint(2**62, (), generator=generator))
    drawn = np.random.default_rng(seed).beta(alpha, alpha, number)
    return torch.from_numpy(drawn.astype(np.float32))
