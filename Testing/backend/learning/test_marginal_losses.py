"""Structures left out of a verdict: outside the accepted ones, a voxel is none of them."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_doubles import (
    CPU,
    NO_CHANGE,
    NUM_CLASSES,
    make_generator,
    make_network,
    phantom_slices,
    pool,
    training_config,
)
from test_ignored_pixels import all_losses, dice, rings, trainer_of

from PseudoLabelCLLib.learning.losses.segmentation import (
    segmentation_loss,
    soft_cross_entropy,
    soft_dice_loss,
)
from PseudoLabelCLLib.learning.training.class_channels import known_part, one_hot_with_ignored
from PseudoLabelCLLib.learning.training.forward import Forward
from PseudoLabelCLLib.learning.training.loss_terms import SegmentationTerm
from PseudoLabelCLLib.learning.training.sampling import (
    IGNORED_CLASS,
    MERGED_CLASS,
    LabelledSlices,
    RoundData,
    SlicePool,
)
from PseudoLabelCLLib.learning.training.step_batch import Source, StepBatch
from PseudoLabelCLLib.learning.training.step_losses import StepLosses
from PseudoLabelCLLib.learning.training.targets import TargetForm

ACCEPTED, REJECTED = 1, 2


def scores_of(probabilities):
    """Class scores of an image of one row, given each pixel's probabilities."""
    return torch.tensor(probabilities).log().T[None, :, None, :]


def targets_of(*names, num_classes=NUM_CLASSES):
    """Targets of an image of one row: class indices, or "other" for background or left out."""
    classes = torch.tensor([[[MERGED_CLASS if name == "other" else name for name in names]]])
    return known_part(one_hot_with_ignored(classes, num_classes, with_merged=True))


# --- by hand ---


def test_losses_of_two_pixels_are_those_computed_by_hand():
    # background, accepted, left out
    logits = scores_of([[0.2, 0.5, 0.3], [0.1, 0.4, 0.5]])
    target, counts = targets_of(ACCEPTED, "other")
    left_out = torch.tensor([[False, True]])
    # -(ln 0.5 + ln(0.1 + 0.5)) / 2
    assert soft_cross_entropy(logits, target, counts, left_out).item() == pytest.approx(
        0.601986, abs=1e-6
    )
    # one minus twice 0.5 over 0.5 + 0.4 + 1
    assert soft_dice_loss(logits, target, counts, left_out).item() == pytest.approx(
        0.473684, abs=1e-6
    )


def test_calling_everything_the_accepted_structure_is_contradicted_outside_it():
    everywhere = torch.zeros((1, NUM_CLASSES, 1, 4))
    everywhere[:, ACCEPTED] = 4.0
    everywhere.requires_grad_()
    target, counts = targets_of(ACCEPTED, "other", "other", "other")
    left_out = torch.tensor([[False, True]])
    for weights in ({"dice": 1.0, "ce": 0.0}, {"dice": 0.0, "ce": 1.0}):
        loss = segmentation_loss(
            everywhere,
            target,
            dice_weight=weights["dice"],
            cross_entropy_weight=weights["ce"],
            counts=counts,
            left_out=left_out,
        )
        (gradient,) = torch.autograd.grad(loss, everywhere)
        assert (gradient[0, ACCEPTED, 0, 1:] > 0).all()  # less of it lowers the loss


def test_background_and_what_is_left_out_are_not_told_apart():
    target, counts = targets_of(ACCEPTED, "other")
    left_out = torch.tensor([[False, True]])
    some = [[0.2, 0.5, 0.3], [0.1, 0.4, 0.5]]
    others = [[0.4, 0.5, 0.1], [0.55, 0.4, 0.05]]
    for loss in (soft_dice_loss, soft_cross_entropy):
        first, second = (loss(scores_of(p), target, counts, left_out) for p in (some, others))
        assert first.item() == pytest.approx(second.item(), abs=1e-6)


# --- a second implementation: losses of the merged problem, as if it had fewer classes ---


def merged_problem(logits, names, left_out):
    """Marginal probabilities and one-hot targets, pixel by pixel in float64."""
    p = logits.double().softmax(dim=1)
    kept = [c for c in range(1, p.shape[1]) if not left_out[c - 1]]
    background = sum(p[:, c] for c in range(p.shape[1]) if c not in kept)
    q = [background, *(p[:, c] for c in kept)]
    wanted = [0 if name == "other" else kept.index(name) + 1 for name in names]
    return q, wanted, kept


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**31),
    left_out=st.lists(st.booleans(), min_size=3, max_size=3).filter(
        lambda x: any(x) and not all(x)
    ),
)
def test_losses_equal_those_of_the_problem_with_fewer_classes(seed, left_out):
    num_pixels, num_classes = 7, 4
    generator = make_generator(seed)
    logits = 3 * torch.randn((1, num_classes, 1, num_pixels), generator=generator)
    known = ["other", *(c for c in range(1, num_classes) if not left_out[c - 1])]
    drawn = torch.randint(len(known), (num_pixels,), generator=generator).tolist()
    names = [known[n] for n in drawn]
    target, counts = targets_of(*names, num_classes=num_classes)
    table = torch.tensor([left_out])

    q, wanted, kept = merged_problem(logits, names, left_out)
    cross_entropy = -sum(
        math.log(float(q[w][0, 0, n])) for n, w in enumerate(wanted)
    ) / num_pixels  # fmt: skip
    terms = []
    for number in range(1, len(kept) + 1):
        both = sum(float(q[number][0, 0, n]) for n, w in enumerate(wanted) if w == number)
        total = sum(float(q[number][0, 0, n]) for n in range(num_pixels)) + wanted.count(number)
        terms.append(1 - 2 * both / total)
    # float32 against float64 over 7 pixels
    assert soft_cross_entropy(logits, target, counts, table).item() == pytest.approx(
        cross_entropy, abs=1e-5
    )
    assert soft_dice_loss(logits, target, counts, table).item() == pytest.approx(
        sum(terms) / len(terms), abs=1e-5
    )


def test_images_without_anything_left_out_cost_what_they_cost_alone():
    logits = torch.randn((2, NUM_CLASSES, 3, 4), generator=make_generator(1))
    classes = torch.randint(NUM_CLASSES, (2, 3, 4), generator=make_generator(2))
    classes[0][classes[0] != ACCEPTED] = MERGED_CLASS
    target, counts = known_part(one_hot_with_ignored(classes, NUM_CLASSES, with_merged=True))
    left_out = torch.tensor([[False, True], [False, False]])
    for loss in (soft_dice_loss, soft_cross_entropy):
        whole = loss(logits[1:], target[1:, :NUM_CLASSES], counts[1:])
        partly = loss(logits[:1], target[:1], counts[:1], left_out[:1])
        both = loss(logits, target, counts, left_out)
        assert both.item() == pytest.approx((whole + partly).item() / 2, abs=1e-6)


def test_every_structure_left_out_by_one_verdict_or_another_has_no_dice_and_finite_gradients():
    logits = torch.randn((1, NUM_CLASSES, 2, 2), generator=make_generator(3), requires_grad=True)
    target, counts = known_part(
        one_hot_with_ignored(torch.full((1, 2, 2), MERGED_CLASS), NUM_CLASSES, with_merged=True)
    )
    left_out = torch.ones((1, 2), dtype=torch.bool)
    loss = segmentation_loss(
        logits, target, dice_weight=1.0, cross_entropy_weight=1.0, counts=counts, left_out=left_out
    )
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(logits.grad).all()


# --- targets ---


def test_merged_and_ignored_pixels_have_channels_of_their_own():
    classes = torch.tensor([[[0, 1, 2, MERGED_CLASS, IGNORED_CLASS]]])
    targets = one_hot_with_ignored(classes, NUM_CLASSES, with_merged=True)
    assert targets[0, :, 0].argmax(dim=0).tolist() == [0, 1, 2, 3, 4]
    probabilities, counts = known_part(targets)
    assert counts.flatten().tolist() == [True, True, True, True, False]
    assert probabilities.shape[1] == NUM_CLASSES + 1


# --- training ---


def without_rejected(slices):
    """The slices as a verdict tells them that accepts class 1 and leaves class 2 out."""
    classes = np.where(slices.classes == ACCEPTED, ACCEPTED, MERGED_CLASS).astype(np.uint8)
    table = np.tile([False, True], (len(slices.images), 1))
    return LabelledSlices(slices.images, classes, left_out=table)


def test_drawn_slices_say_what_is_left_out_of_them_wherever_they_are_kept():
    slices = phantom_slices(3)
    mixed = pool(slices, without_rejected(slices))
    assert mixed.has_left_out
    assert not pool(slices).has_left_out
    for _ in range(2):
        batch = mixed.draw(20, make_generator(4))
        shows_merged = (batch.classes == MERGED_CLASS).flatten(1).any(dim=1)
        assert 0 < int(shows_merged.sum()) < 20
        assert torch.equal(batch.left_out, shows_merged[:, None] & torch.tensor([False, True]))
        mixed.bring_to(torch.device("cpu"))


def test_parts_of_a_batch_keep_what_is_left_out_of_their_slices():
    slices = phantom_slices(3)
    batch = pool(slices, without_rejected(slices)).draw(5, make_generator(5))
    parts = [part for part, _ in StepBatch({Source.TRUTH: batch}).parts(2)]
    assert torch.equal(torch.cat([part[Source.TRUTH].left_out for part in parts]), batch.left_out)


def test_every_loss_is_a_number_with_structures_left_out_of_truth_and_pseudo_labels():
    truth, pseudo = phantom_slices(5, seed=1), phantom_slices(5, seed=2)
    data = RoundData(
        pool(truth, without_rejected(phantom_slices(3, seed=3))),
        pool(pseudo, without_rejected(phantom_slices(3, seed=4))),
    )
    for report in trainer_of(data, all_losses(num_steps=4)).steps():
        assert len(report.losses) == 5
        assert all(math.isfinite(loss) for loss in report.losses.values())


def test_slices_without_anything_left_out_cost_the_same_beside_others_that_have():
    batch = pool(phantom_slices(5, seed=1)).draw(4, make_generator(6))
    config = training_config()
    found = []
    for has_left_out in (False, True):
        losses = StepLosses(
            (SegmentationTerm(config, config.supervised),),
            Forward(make_network(), make_network()),
            TargetForm(NUM_CLASSES, CPU.torch_device, has_left_out=has_left_out),
            CPU,
            make_generator(7),
        )
        found.append(losses.of(StepBatch({Source.TRUTH: batch}))["segmentation"].item())
    assert found[0] == pytest.approx(found[1], rel=1e-6)


@pytest.mark.long
@pytest.mark.slow
def test_a_network_that_calls_everything_the_accepted_structure_is_corrected():
    """Truth knows the ring alone, on every slice: outside it the network must not say ring."""
    partly = without_rejected(rings(2, 0.3))
    ignored = LabelledSlices(
        partly.images, np.where(partly.classes == ACCEPTED, ACCEPTED, IGNORED_CLASS).astype("u1")
    )
    unseen = rings(4, 0.3)
    found = {}
    for name, slices in (("ignored", ignored), ("marginal", partly)):
        config = training_config(num_steps=70, batch_size=4, augmentation=NO_CHANGE)
        config = replace(config, supervised=replace(config.supervised, learning_rate=3e-2))
        trainer = trainer_of(RoundData(pool(slices), SlicePool((), NUM_CLASSES)), config)
        list(trainer.steps())
        found[name] = dice(trainer.state.average.eval(), unseen, ACCEPTED)
    assert found["ignored"] < 0.4  # ring on every pixel
    assert found["marginal"] > 0.8
