"""Soft Dice and soft cross-entropy against slow loops, closed forms and torch."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_doubles import make_generator
from torch.nn import functional

from PseudoLabelCLLib.learning.losses.segmentation import (
    segmentation_loss,
    soft_cross_entropy,
    soft_dice_loss,
)


def random_scores(seed, shape=(2, 3, 4, 5)):
    generator = make_generator(seed)
    logits = 3 * torch.randn(shape, generator=generator)
    target = torch.randn(shape, generator=generator).softmax(dim=1)
    return logits, target


def slow_dice_loss(logits, target):
    batch, classes = logits.shape[:2]
    p, g = logits.double().softmax(dim=1).flatten(2).tolist(), target.flatten(2).tolist()
    dices = []
    for b in range(batch):
        for c in range(classes):
            both = sum(x * y for x, y in zip(p[b][c], g[b][c], strict=True))
            dices.append(2 * both / (sum(p[b][c]) + sum(g[b][c]) + 1e-10))
    return 1 - sum(dices) / len(dices)


def sure_logits(classes, num_classes=3):
    return 60.0 * functional.one_hot(classes, num_classes).movedim(3, 1).float()


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31))
def test_dice_equals_the_slow_loop(seed):
    logits, target = random_scores(seed)
    # float32 against float64 over 20 pixels
    assert soft_dice_loss(logits, target).item() == pytest.approx(
        slow_dice_loss(logits, target), abs=1e-5
    )


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31))
def test_cross_entropy_equals_that_of_torch_with_soft_targets(seed):
    logits, target = random_scores(seed)
    expected = functional.cross_entropy(logits, target).item()
    # the same sum in another order, in float32
    assert soft_cross_entropy(logits, target).item() == pytest.approx(expected, abs=1e-5)


def test_perfect_prediction_costs_nothing():
    classes = torch.arange(48).reshape(1, 6, 8) % 3
    target = functional.one_hot(classes, 3).movedim(3, 1).float()
    # e^-60 is left to the other classes, below float32's resolution
    assert soft_dice_loss(sure_logits(classes), target).item() == pytest.approx(0, abs=1e-6)
    assert soft_cross_entropy(sure_logits(classes), target).item() == pytest.approx(0, abs=1e-6)


def test_uniform_prediction_has_the_closed_form():
    classes = torch.arange(48).reshape(1, 6, 8) % 3
    target = functional.one_hot(classes, 3).movedim(3, 1).float()
    logits = torch.zeros(1, 3, 6, 8)
    # each class: 2 (n/3)(1/3) / (n/3 + n/3) = 1/3; float32 rounding
    assert soft_dice_loss(logits, target).item() == pytest.approx(2 / 3, abs=1e-6)
    assert soft_cross_entropy(logits, target).item() == pytest.approx(math.log(3), abs=1e-6)


def test_absent_class_still_counts_as_missed():
    classes = torch.arange(48).reshape(1, 6, 8) % 2
    target = functional.one_hot(classes, 3).movedim(3, 1).float()
    # rightly empty: the tiny epsilon gives it Dice 0, so the loss is a third, not 0
    assert soft_dice_loss(sure_logits(classes), target).item() == pytest.approx(1 / 3, abs=1e-5)


def test_absent_class_gives_a_finite_gradient():
    classes = torch.zeros(1, 6, 8, dtype=torch.long)
    target = functional.one_hot(classes, 3).movedim(3, 1).float()
    logits = (5 * sure_logits(classes)).requires_grad_()
    segmentation_loss(logits, target, dice_weight=1.0, cross_entropy_weight=1.0).backward()
    assert torch.isfinite(logits.grad).all()


def test_images_count_alike_however_much_they_show():
    logits, target = random_scores(3, (2, 3, 8, 8))
    apart = [soft_dice_loss(logits[n : n + 1], target[n : n + 1]).item() for n in range(2)]
    assert soft_dice_loss(logits, target).item() == pytest.approx(sum(apart) / 2, abs=1e-6)


@pytest.mark.parametrize(("dice", "cross_entropy"), [(1.0, 0.0), (0.0, 1.0), (0.5, 2.0)])
def test_segmentation_loss_is_the_weighted_sum(dice, cross_entropy):
    logits, target = random_scores(1)
    expected = dice * soft_dice_loss(logits, target) + cross_entropy * soft_cross_entropy(
        logits, target
    )
    loss = segmentation_loss(
        logits, target, dice_weight=dice, cross_entropy_weight=cross_entropy
    ).item()
    assert loss == pytest.approx(expected.item(), abs=1e-6)


def test_half_precision_scores_are_summed_in_single_precision():
    logits, target = random_scores(2, (1, 3, 64, 64))
    loss = segmentation_loss(logits.bfloat16(), target, dice_weight=1.0, cross_entropy_weight=1.0)
    exact = segmentation_loss(logits, target, dice_weight=1.0, cross_entropy_weight=1.0)
    assert loss.dtype == torch.float32
    # 4096 pixels average out the 0.4 % rounding of single scores
    assert loss.item() == pytest.approx(exact.item(), abs=5e-3)


@pytest.mark.parametrize("partly", [False, True])
def test_a_volume_costs_what_its_voxels_cost_in_any_arrangement(partly):
    logits, target = random_scores(3, (2, 3, 4, 5, 6))
    counts = left_out = None
    if partly:
        counts = torch.rand(logits.shape[0], *logits.shape[2:], generator=make_generator(4)) > 0.3
        left_out = torch.tensor([[False, True], [False, False]])
        target = torch.cat((target, torch.zeros_like(target[:, :1])), dim=1)
    flat_counts = None if counts is None else counts.flatten(2)
    found, flat = (
        segmentation_loss(
            *pair, dice_weight=1.0, cross_entropy_weight=1.0, counts=which, left_out=left_out
        )
        for pair, which in (
            ((logits, target), counts),
            ((logits.flatten(3), target.flatten(3)), flat_counts),
        )
    )
    assert found.item() == pytest.approx(flat.item(), rel=1e-6)
