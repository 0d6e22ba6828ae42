"""Mixup: slices and targets are mixed alike, with shares of a beta distribution."""

import numpy as np
import pytest
import torch
from learning_doubles import (
    CPU,
    NO_CHANGE,
    make_generator,
    make_network,
    round_data,
    training_config,
)

from PseudoLabelCLLib.domain.method_config import AugmentationConfig
from PseudoLabelCLLib.learning.training.augmentation import AugmentedBatch
from PseudoLabelCLLib.learning.training.class_channels import known_part
from PseudoLabelCLLib.learning.training.mixup import drawn_shares, mixup
from PseudoLabelCLLib.learning.training.training import Trainer, start_training


def numbered(number):
    """Slice n is n everywhere, and its target 2 to the n."""
    values = torch.arange(number, dtype=torch.float32).reshape(-1, 1, 1, 1)
    return AugmentedBatch(values.expand(-1, 1, 4, 4), (2**values).expand(-1, 3, 4, 4))


def test_images_and_targets_are_mixed_with_the_same_partner_in_the_same_share():
    number = 7
    mixed = mixup(numbered(number), 1.0, make_generator(3))
    for own in range(number):
        image, target = float(mixed.images[own, 0, 0, 0]), float(mixed.targets[own, 0, 0, 0])
        assert (mixed.images[own] == image).all()
        # own x + partner (1 - x) for one partner and one share, found from the image
        fits = [
            partner
            for partner in range(number)
            for share in [1.0 if partner == own else (image - partner) / (own - partner)]
            if 0 <= share <= 1
            and target == pytest.approx(share * 2**own + (1 - share) * 2**partner, rel=1e-4)
        ]
        assert fits


@pytest.mark.parametrize("alpha", [0.1, 1.0])
def test_shares_follow_the_beta_distribution(alpha):
    shares = drawn_shares(alpha, 4000, make_generator()).numpy()
    assert ((shares >= 0) & (shares <= 1)).all()
    assert np.mean(shares) == pytest.approx(0.5, abs=0.03)
    assert np.var(shares) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


def test_round_0_mixes_its_slices_and_learns_from_them():
    config = training_config(
        num_steps=30, augmentation=AugmentationConfig(**{**vars(NO_CHANGE), "mixup_alpha": 0.4})
    )
    losses = []
    for changed in (config, training_config(num_steps=30, augmentation=NO_CHANGE)):
        state = start_training(make_network(), changed.supervised, CPU, 5)
        trainer = Trainer(state, round_data(joint=False), changed, CPU)
        losses.append([report.losses["segmentation"] for report in trainer.steps()])
    mixed, plain = losses
    assert mixed[1:5] != plain[1:5]
    assert np.mean(mixed[-5:]) < np.mean(mixed[:5])


def test_pixel_counts_where_what_is_known_is_the_larger_part():
    known, ignored = torch.zeros(1, 4, 2, 2), torch.zeros(1, 4, 2, 2)
    known[:, 1], ignored[:, 3] = 1.0, 1.0
    batch = AugmentedBatch(
        torch.tensor([1.0, 0.0]).reshape(2, 1, 1, 1), torch.cat((known, ignored))
    )
    for seed in range(8):
        mixed = mixup(batch, 1.0, make_generator(seed))
        probabilities, counts = known_part(mixed.targets)
        for own, known_share in enumerate(mixed.images.flatten().tolist()):
            assert bool(counts[own].all()) is (known_share > 0.5)
            if known_share > 0.5:
                assert torch.allclose(probabilities[own, 1], torch.ones(2, 2))
