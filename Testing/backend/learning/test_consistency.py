"""Weak-to-strong consistency against a slow loop, and what the teacher may not do."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_doubles import make_generator

from PseudoLabelCLLib.learning.losses.consistency import consistency_loss


def random_scores(seed, shape=(2, 3, 4, 5)):
    generator = make_generator(seed)
    logits = 2 * torch.randn(shape, generator=generator)
    teacher = (3 * torch.randn(shape, generator=generator)).softmax(dim=1)
    return logits, teacher


def slow_loss(logits, teacher, min_confidence):
    num_classes = logits.shape[1]
    student = logits.double().softmax(dim=1).movedim(1, 3).reshape(-1, num_classes).tolist()
    taught = teacher.double().movedim(1, 3).reshape(-1, num_classes).tolist()
    cross_entropy, both, total = 0.0, [0.0] * num_classes, [0.0] * num_classes
    shown = [False] * num_classes
    for p, t in zip(student, taught, strict=True):
        if max(t) < min_confidence:
            continue
        winner = t.index(max(t))
        cross_entropy -= math.log(p[winner])
        shown[winner] = True
        for c in range(num_classes):
            both[c] += p[c] * (c == winner)
            total[c] += p[c] + (c == winner)
    missing = [
        1 - (2 * b + 1e-6) / (t + 1e-6)
        for b, t, is_shown in zip(both, total, shown, strict=True)
        if is_shown
    ]
    return cross_entropy / len(student) + (sum(missing) / len(missing) if missing else 0.0)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**31), min_confidence=st.sampled_from((0.0, 0.6, 0.9)))
def test_loss_equals_the_slow_loop(seed, min_confidence):
    logits, teacher = random_scores(seed)
    loss = consistency_loss(logits, teacher, min_confidence=min_confidence).item()
    # float32 against float64 over 40 pixels
    assert loss == pytest.approx(slow_loss(logits, teacher, min_confidence), abs=1e-4)


def test_unsure_teacher_teaches_nothing():
    logits, _ = random_scores(1)
    logits.requires_grad_()
    teacher = torch.full((2, 3, 4, 5), 1 / 3)
    loss = consistency_loss(logits, teacher, min_confidence=0.9)
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


def test_unsure_pixels_get_no_gradient():
    logits, teacher = random_scores(2)
    teacher[:, :, 0] = 1 / 3
    logits.requires_grad_()
    consistency_loss(logits, teacher, min_confidence=0.5).backward()
    assert not logits.grad[:, :, 0].any()
    assert logits.grad[:, :, 1:].any()


def test_no_gradient_flows_into_the_teacher():
    logits, teacher = random_scores(3)
    teacher.requires_grad_()
    logits.requires_grad_()
    consistency_loss(logits, teacher, min_confidence=0.0).backward()
    assert teacher.grad is None


def test_agreeing_student_costs_nothing():
    _, teacher = random_scores(4)
    winner = torch.nn.functional.one_hot(teacher.argmax(dim=1), 3).movedim(3, 1)
    loss = consistency_loss(60.0 * winner, teacher, min_confidence=0.0)
    assert loss.item() == pytest.approx(0, abs=1e-6)  # e^-60 is below float32


def test_classes_that_are_absent_cost_nothing_where_student_and_teacher_agree():
    """Fourteen classes of which one is seen: both sides say background, at 99 %."""
    logits = torch.zeros((2, 14, 6, 6))
    logits[:, 0] = math.log(0.99 / (0.01 / 13))
    loss = consistency_loss(logits, logits.softmax(dim=1), min_confidence=0.9)
    # -ln 0.99 and 1 - 2 * 0.99 / 1.99
    assert loss.item() == pytest.approx(0.01005 + 0.00503, abs=1e-4)


def test_half_precision_scores_are_summed_in_single_precision():
    logits, teacher = random_scores(5)
    assert consistency_loss(logits.bfloat16(), teacher, min_confidence=0.5).dtype == torch.float32


def test_a_volume_costs_what_its_voxels_cost_in_any_arrangement():
    generator = make_generator(5)
    logits, teacher = (torch.randn((2, 3, 4, 5, 6), generator=generator) for _ in range(2))
    teacher = (4 * teacher).softmax(dim=1)
    found = consistency_loss(logits, teacher, min_confidence=0.8)
    flat = consistency_loss(logits.flatten(3), teacher.flatten(3), min_confidence=0.8)
    assert found.item() == pytest.approx(flat.item(), rel=1e-6)
