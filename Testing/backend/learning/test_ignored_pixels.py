"""Pixels of which nothing is known: they enter no loss, and no structure is unlearned there."""

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
    round_data,
    training_config,
)
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from PseudoLabelCLLib.domain.method_config import AugmentationConfig, CopyPasteConfig, Mirror
from PseudoLabelCLLib.learning.checkpoint import read_checkpoint, restore, save_checkpoint
from PseudoLabelCLLib.learning.losses.consistency import consistency_loss
from PseudoLabelCLLib.learning.losses.segmentation import (
    segmentation_loss,
    soft_cross_entropy,
    soft_dice_loss,
)
from PseudoLabelCLLib.learning.training.augmentation import augment
from PseudoLabelCLLib.learning.training.class_channels import (
    foreground_masks,
    known_part,
    one_hot,
    one_hot_with_ignored,
)
from PseudoLabelCLLib.learning.training.sampling import (
    IGNORED_CLASS,
    LabelledSlices,
    RoundData,
    SlicePool,
)
from PseudoLabelCLLib.learning.training.training import Trainer, start_training

SHAPE = (2, 3, 4, 5)


def random_scores(seed):
    generator = make_generator(seed)
    logits = 3 * torch.randn(SHAPE, generator=generator)
    target = torch.randn(SHAPE, generator=generator).softmax(dim=1)
    counts = torch.rand((SHAPE[0], *SHAPE[2:]), generator=generator) < 0.6
    return logits, target, counts


def pixels_that_count(counts, image):
    rows, columns = SHAPE[2:]
    return [(r, c) for r in range(rows) for c in range(columns) if counts[image, r, c]]


def slow_dice_loss(logits, target, counts):
    p, g = logits.double().softmax(dim=1), target.double()
    terms = []
    for b in range(SHAPE[0]):
        pixels = pixels_that_count(counts, b)
        for k in range(SHAPE[1]):
            both = sum(float(p[b, k, r, c] * g[b, k, r, c]) for r, c in pixels)
            total = sum(float(p[b, k, r, c] + g[b, k, r, c]) for r, c in pixels)
            terms.append(1 - 2 * both / total if pixels else 0.0)
    return sum(terms) / len(terms)


def slow_cross_entropy(logits, target, counts):
    total = 0.0
    for b in range(SHAPE[0]):
        for r, c in pixels_that_count(counts, b):
            scores = logits[b, :, r, c].double()
            norm = math.log(sum(math.exp(score) for score in scores))
            total += sum(
                float(target[b, k, r, c]) * (norm - float(scores[k])) for k in range(SHAPE[1])
            )
    return total / counts.numel()


# --- the losses ---


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**31))
def test_losses_over_the_pixels_that_count_equal_slow_loops(seed):
    logits, target, counts = random_scores(seed)
    # float32 against float64 over 20 pixels
    assert soft_dice_loss(logits, target, counts).item() == pytest.approx(
        slow_dice_loss(logits, target, counts), abs=1e-5
    )
    assert soft_cross_entropy(logits, target, counts).item() == pytest.approx(
        slow_cross_entropy(logits, target, counts), abs=1e-5
    )


def test_an_image_without_a_pixel_that_counts_costs_nothing_and_has_no_gradient():
    logits, target, counts = random_scores(1)
    counts[0] = False
    logits.requires_grad_()
    loss = segmentation_loss(
        logits, target, dice_weight=1.0, cross_entropy_weight=1.0, counts=counts
    )
    loss.backward()
    alone = segmentation_loss(
        logits[1:], target[1:], dice_weight=1.0, cross_entropy_weight=1.0, counts=counts[1:]
    )
    assert loss.item() == pytest.approx(alone.item() / 2, abs=1e-6)
    assert torch.equal(logits.grad[0], torch.zeros_like(logits.grad[0]))
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[1].abs().sum() > 0


def test_nothing_that_counts_at_all_is_a_loss_of_0():
    logits, target, counts = random_scores(2)
    logits.requires_grad_()
    nothing = torch.zeros_like(counts)
    loss = segmentation_loss(
        logits, target, dice_weight=1.0, cross_entropy_weight=1.0, counts=nothing
    )
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_pixels_that_do_not_count_have_no_gradient_and_no_say():
    logits, target, counts = random_scores(3)
    logits.requires_grad_()
    loss = segmentation_loss(
        logits, target, dice_weight=1.0, cross_entropy_weight=1.0, counts=counts
    )
    loss.backward()
    assert not logits.grad.movedim(1, 3)[~counts].any()
    assert logits.grad.movedim(1, 3)[counts].any()

    other = torch.where(counts[:, None], target, target.roll(1, dims=1))
    assert (
        loss.item()
        == segmentation_loss(
            logits, other, dice_weight=1.0, cross_entropy_weight=1.0, counts=counts
        ).item()
    )


def test_all_pixels_count_as_if_none_were_named():
    logits, target, counts = random_scores(4)
    everywhere = torch.ones_like(counts)
    for loss in (soft_dice_loss, soft_cross_entropy):
        assert loss(logits, target, everywhere).item() == pytest.approx(
            loss(logits, target).item(), abs=1e-6
        )


def test_losses_of_parts_add_up_to_that_of_the_batch():
    logits, target, counts = random_scores(5)
    for loss in (soft_dice_loss, soft_cross_entropy):
        parts = [loss(logits[n : n + 1], target[n : n + 1], counts[n : n + 1]) for n in range(2)]
        assert loss(logits, target, counts).item() == pytest.approx(sum(parts).item() / 2, abs=1e-6)


@pytest.mark.parametrize("min_confidence", [0.0, 0.5])
def test_consistency_hears_no_pixel_that_does_not_count(min_confidence):
    logits, teacher, counts = random_scores(6)
    logits.requires_grad_()
    loss = consistency_loss(logits, teacher, min_confidence=min_confidence, counts=counts)
    loss.backward()
    assert not logits.grad.movedim(1, 3)[~counts].any()
    # a teacher that is sure of nothing there is not heard either
    unsure = torch.where(counts[:, None], teacher, -1.0)
    assert loss.item() == pytest.approx(
        consistency_loss(logits, unsure, min_confidence=min_confidence).item(), abs=1e-6
    )


def test_no_value_is_read_back_from_the_device():
    """A tensor without values refuses every look at them, for which a GPU would be waited for."""
    with FakeTensorMode():
        classes = torch.zeros((2, 4, 5), dtype=torch.int64)
        logits = torch.zeros(SHAPE, requires_grad=True)
        target, counts = known_part(one_hot_with_ignored(classes, SHAPE[1]))
        loss = segmentation_loss(
            logits, target, dice_weight=1.0, cross_entropy_weight=1.0, counts=counts
        )
        loss = loss + consistency_loss(logits, target, min_confidence=0.9, counts=counts)
        loss.backward()
        with pytest.raises(DataDependentOutputException):
            loss.item()


# --- targets ---


def classes_with_ignored(seed=0):
    classes = torch.randint(NUM_CLASSES + 1, (3, 8, 8), generator=make_generator(seed))
    return torch.where(classes == NUM_CLASSES, IGNORED_CLASS, classes)


def test_ignored_pixels_belong_to_no_class():
    classes = classes_with_ignored()
    is_ignored = classes == IGNORED_CLASS
    assert is_ignored.any()
    probabilities, counts = known_part(one_hot_with_ignored(classes, NUM_CLASSES))
    assert torch.equal(counts, ~is_ignored)
    assert not probabilities.movedim(1, 3)[is_ignored].any()
    assert not foreground_masks(classes, NUM_CLASSES).movedim(1, 2)[is_ignored.flatten(1)].any()
    known = torch.where(is_ignored, 0, classes)
    expected = one_hot(known, NUM_CLASSES).movedim(1, 3)[counts]
    assert torch.equal(probabilities.movedim(1, 3)[counts], expected)


def test_a_mixed_pixel_counts_where_the_known_part_is_the_larger():
    # background, class 1, class 2, ignored
    mixed = torch.tensor([[0.0, 0.6, 0.15, 0.25], [0.0, 0.5, 0.0, 0.5], [0.1, 0.0, 0.0, 0.9]])
    probabilities, counts = known_part(mixed[:, :, None, None])
    assert counts.flatten().tolist() == [True, False, False]
    assert probabilities[0].flatten().tolist() == pytest.approx([0.0, 0.8, 0.2])


def test_ignored_pixels_move_with_the_image():
    strong = AugmentationConfig(
        rotation_deg=40.0, mirror=Mirror.BOTH, contrast_fraction=0.0, brightness=0.0
    )
    # as a picture: dark where something is known, and outside the slice
    classes = torch.from_numpy(phantom_slices(4).classes).long()
    classes[classes == 2] = IGNORED_CLASS
    picture = (classes == IGNORED_CLASS)[:, None].float()
    targets = one_hot_with_ignored(classes, NUM_CLASSES)
    moved = augment(picture, targets, strong, make_generator(3))
    probabilities, counts = known_part(moved.targets)
    told = (moved.images[:, 0] - 0.5).abs() > 1e-4  # neither more known nor more ignored
    assert torch.equal(counts[told], moved.images[:, 0][told] < 0.5)
    assert (~counts).any(dim=2).any(dim=1).all()
    sums = probabilities.sum(dim=1)[counts]
    assert torch.allclose(sums, torch.ones_like(sums), atol=1e-5)


def test_pool_knows_whether_anything_is_ignored():
    whole = phantom_slices(3)
    classes = whole.classes.copy()
    classes[1][classes[1] == 0] = IGNORED_CLASS
    partly = LabelledSlices(whole.images, classes)
    assert not pool(whole).has_ignored
    assert pool(whole, partly).has_ignored
    assert not pool(LabelledSlices(whole.images, classes, np.array([0, 2]))).has_ignored


# --- training ---


def without(slices, is_known):
    """The slices with `IGNORED_CLASS` in place of every class that is not known."""
    classes = np.where(is_known(slices.classes), slices.classes, IGNORED_CLASS)
    return LabelledSlices(slices.images, classes.astype(np.uint8))


def all_losses(num_steps=4):
    config = training_config(num_steps=num_steps)
    return replace(
        config, copy_paste=CopyPasteConfig(weight=1.0, num_slices=2), pseudo_label_weight=0.5
    )


def trainer_of(data, config, seed=5, network=None):
    stage = config.joint if data.is_joint else config.supervised
    return Trainer(start_training(network or make_network(), stage, CPU, seed), data, config, CPU)


# First and last step, in this order of the losses. Round 0 as computed before pixels could be
# ignored; the joint round since slices of the contrastive loss are drawn class by class.
REFERENCE = {
    False: ([2.1173472], [2.0229254]),
    True: (
        [2.1310592, 2.0746436, 1.0044160, 1.7302153, 1.3912991],
        [2.0771384, 2.0659242, 1.0855991, 1.5510423, 1.3733805],
    ),
}


@pytest.mark.parametrize("joint", [False, True], ids=["supervised", "joint"])
def test_training_is_what_it_was_where_nothing_is_ignored(joint):
    reports = list(trainer_of(round_data(joint=joint), all_losses()).steps())
    # Another machine sums in another order. The first step shows only that; Adam, which divides by
    # the size of the gradient, lets it grow from step to step (4e-4 seen after four).
    tolerances = (1e-4, 2e-3)
    both = zip((reports[0], reports[-1]), REFERENCE[joint], tolerances, strict=True)
    for report, expected, tolerance in both:
        assert list(report.losses.values()) == pytest.approx(expected, rel=tolerance)


def partly_known_data():
    """Human truth and pseudo-labels with one structure each that nobody confirmed."""
    truth, pseudo = phantom_slices(5, seed=1), phantom_slices(5, seed=2)
    nothing = without(phantom_slices(1, seed=3), lambda classes: classes > 2)
    return RoundData(
        pool(truth, without(truth, lambda classes: classes == 1), nothing),
        pool(pseudo, without(pseudo, lambda classes: classes == 2)),
    )


def test_every_loss_is_a_number_with_ignored_pixels():
    data = partly_known_data()
    assert data.has_ignored
    reports = list(trainer_of(data, all_losses(num_steps=6)).steps())
    names = {"segmentation", "self-training", "consistency", "copy-paste", "contrastive"}
    for report in reports:
        assert set(report.losses) == names
        assert all(math.isfinite(loss) for loss in report.losses.values())


def test_resumed_round_with_ignored_pixels_equals_an_uninterrupted_one(tmp_path):
    config = all_losses(num_steps=4)
    whole = trainer_of(partly_known_data(), config)
    list(whole.steps())

    interrupted = trainer_of(partly_known_data(), config)
    for report in interrupted.steps():
        if report.step == 2:
            break
    save_checkpoint(tmp_path / "checkpoint.pt", interrupted.state, {})
    resumed = trainer_of(partly_known_data(), config, seed=77, network=make_network(99))
    content = read_checkpoint(tmp_path / "checkpoint.pt", torch.device("cpu"))
    restore(content, resumed.state, tmp_path / "checkpoint.pt")
    list(resumed.steps())

    ours, theirs = (t.state.network.state_dict() for t in (resumed, whole))
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


@pytest.mark.slow
@pytest.mark.long
def test_what_an_image_shows_under_ignored_pixels_is_not_called_background():
    """Truth knows the ring of dark phantoms alone; their cores look like those it learned."""
    annotated, partly = rings(1, 0.55), rings(2, 0.3)
    left_out = without(partly, lambda classes: classes == 1)
    erased = np.where(partly.classes == 1, 1, 0).astype(np.uint8)

    alone, taught, mistaught = (
        trained(annotated, *more)
        for more in ((), (left_out,), (LabelledSlices(partly.images, erased),))
    )

    unseen_dark = rings(4, 0.3)
    ring, core = 1, 2
    # the accepted structure is learned from the voxels that a person confirmed
    assert dice(taught, unseen_dark, ring) > dice(alone, unseen_dark, ring) + 0.15
    # the rejected one stays what the annotated case teaches; called background, it is unlearned
    for unseen in (rings(3, 0.55), unseen_dark):
        assert dice(taught, unseen, core) > dice(alone, unseen, core) - 0.1
        assert dice(mistaught, unseen, core) < dice(alone, unseen, core) - 0.3


def rings(seed, brightness, num_slices=6):
    """Disks of some brightness (class 1) with a bright core (class 2)."""
    classes = phantom_slices(num_slices, (32, 32), seed).classes
    images = np.array((0.1, brightness, 1.2), np.float32)[classes]
    noise = np.random.default_rng(seed).normal(0, 0.03, images.shape)
    return LabelledSlices((images + noise.astype(np.float32))[:, None], classes)


def trained(*cases):
    config = training_config(num_steps=140, batch_size=4, augmentation=NO_CHANGE)
    config = replace(config, supervised=replace(config.supervised, learning_rate=3e-2))
    trainer = trainer_of(RoundData(pool(*cases), SlicePool((), NUM_CLASSES)), config)
    list(trainer.steps())
    return trainer.state.average.eval()


@torch.no_grad()
def dice(network, slices, index):
    found = network(torch.from_numpy(slices.images)).argmax(dim=1).numpy() == index
    true = slices.classes == index
    return 2 * int((found & true).sum()) / int(found.sum() + true.sum())
