"""Patches of slices: which part a step sees, and that nothing in it is told wrongly."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from learning_doubles import CPU, NUM_CLASSES, make_generator, make_network, training_config

from PseudoLabelCLLib.domain.errors import TrainingError
from PseudoLabelCLLib.domain.method_config import ContrastiveConfig, IncompleteSlices
from PseudoLabelCLLib.learning.training.pairs import draw_pairs
from PseudoLabelCLLib.learning.training.patches import Patches, cut
from PseudoLabelCLLib.learning.training.sampling import (
    IGNORED_CLASS,
    MERGED_CLASS,
    LabelledSlices,
    RoundData,
    SlicePool,
)
from PseudoLabelCLLib.learning.training.training import Trainer, start_training

SHAPE = (32, 32)


def places_as_values(shape):
    """Slices whose pixels hold their own number, from 1 on, so that a patch tells where it was."""
    return np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)


def a_case(shape=(3, 80, 100), structures=(), num_ignored_rows=0):
    classes = np.zeros(shape, np.uint8)
    for number, value, row, column, size in structures:
        classes[number, row : row + size, column : column + size] = value
    classes[:, :num_ignored_rows] = IGNORED_CLASS
    return LabelledSlices(places_as_values(shape)[:, None], classes)


def patch_pool(*cases, share=1.0, shape=SHAPE, num_classes=NUM_CLASSES):
    return SlicePool(cases, num_classes, Patches(shape, share))


def middle_classes(batch):
    return batch.classes[:, batch.classes.shape[1] // 2, batch.classes.shape[2] // 2].tolist()


@given(
    sizes=st.lists(st.integers(1, 12), min_size=2, max_size=3),
    data=st.data(),
)
def test_cut_takes_what_lies_there_and_0_outside(sizes, data):
    array = places_as_values(tuple(sizes))
    first = [data.draw(st.integers(-5, size - 1)) for size in sizes]
    shape = [data.draw(st.integers(max(1, 1 - f), 12)) for f in first]
    found = cut(array, first, shape)
    assert found.shape == tuple(shape)
    for place in np.ndindex(*shape):
        there = tuple(f + p for f, p in zip(first, place, strict=True))
        is_inside = all(0 <= t < size for t, size in zip(there, sizes, strict=True))
        assert found[place] == (array[there] if is_inside else 0)


def test_image_and_classes_of_a_patch_come_from_the_same_place():
    one = a_case(structures=[(0, 1, 10, 20, 9), (1, 2, 60, 80, 3)])
    batch = patch_pool(one, share=0.5).draw(60, make_generator())
    assert batch.images.shape == (60, 1, *SHAPE)
    places = batch.images[:, 0].long().numpy() - 1
    np.testing.assert_array_equal(batch.classes.numpy(), one.classes.ravel()[places])
    rows = places // 100 % 80
    assert (np.diff(rows, axis=1) == 1).all()


def test_every_structure_of_a_slice_is_the_middle_of_as_many_patches_however_small():
    one = a_case((1, 90, 90), [(0, 1, 20, 20, 40), (0, 2, 70, 20, 1)])
    middles = middle_classes(patch_pool(one).draw(300, make_generator()))
    assert middles.count(2) == pytest.approx(150, abs=10)
    assert middles.count(1) == 300 - middles.count(2)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_stated_share_is_centred_on_structures_and_the_rest_lies_anywhere(share):
    one = a_case((1, 200, 200), [(0, 1, 100, 100, 2)])
    batch = patch_pool(one, share=share).draw(2000, make_generator(1))
    on_structure = np.mean([middle == 1 for middle in middle_classes(batch)])
    # of 169 * 169 corners that a patch can have, 4 have the structure in the middle
    assert on_structure == pytest.approx(share, abs=0.04)
    corners = batch.images[:, 0, 0, 0].unique()
    assert len(corners) > 900 * (1 - share)


def test_patch_shows_the_class_that_it_was_drawn_for():
    one = a_case((2, 80, 100), [(0, 1, 5, 5, 4), (0, 2, 70, 90, 2), (1, 1, 0, 0, 2)])
    a_pool = patch_pool(one, share=0.0)
    batch = a_pool.draw_showing([1, 2] * 20, make_generator())
    for wanted, classes in zip([1, 2] * 20, batch.classes, strict=True):
        assert (classes == wanted).any()


def test_pairs_are_patches_that_show_a_class_of_both_kinds():
    truth = patch_pool(a_case(structures=[(0, 1, 5, 5, 4), (2, 2, 70, 90, 2)]), share=0.0)
    pseudo = patch_pool(a_case((4, 60, 50), [(0, 2, 2, 2, 3), (3, 1, 50, 40, 2)]), share=0.0)
    batch = draw_pairs(truth, pseudo, 10, make_generator())
    assert batch.images.shape == (20, 1, *SHAPE)
    assert all((classes > 0).any() for classes in batch.classes)


def test_slice_smaller_than_a_patch_lies_in_its_middle_on_background():
    one = a_case((1, 20, 50), [(0, 1, 3, 3, 4)])
    batch = patch_pool(one).draw(5, make_generator())
    images = batch.images[:, 0].numpy()
    assert (images[:, :6] == 0).all()
    assert (images[:, 26:] == 0).all()
    assert (images[:, 6:26] > 0).all()
    assert (batch.classes[:, :6] == 0).all()


def test_cases_of_different_sizes_are_drawn_together():
    cases = [a_case((2, 40 + 30 * n, 90 - 20 * n), [(0, 1, 4, 4, 5)]) for n in range(3)]
    assert patch_pool(*cases).draw(30, make_generator()).images.shape == (30, 1, *SHAPE)


def test_patches_look_where_something_is_known():
    one = a_case((1, 300, 64), num_ignored_rows=296)
    batch = patch_pool(one, share=0.0).draw(50, make_generator())
    assert ((batch.classes != IGNORED_CLASS).flatten(1).any(dim=1)).all()


def test_what_was_left_out_goes_with_its_slice():
    classes = np.full((2, 64, 64), MERGED_CLASS, np.uint8)
    classes[:, 30:34, 30:34] = 1
    left_out = np.array([[False, True], [False, False]])
    one = LabelledSlices(places_as_values(classes.shape)[:, None], classes, None, left_out)
    batch = patch_pool(one).draw(40, make_generator())
    number = (batch.images[:, 0, 0, 0].long() - 1) // (64 * 64)
    assert torch.equal(batch.left_out, torch.from_numpy(left_out)[number])


def test_same_generator_draws_the_same_patches():
    a_pool = patch_pool(a_case(structures=[(0, 1, 10, 20, 9)]), share=0.5)
    first, second = (a_pool.draw(9, make_generator(4)) for _ in range(2))
    assert torch.equal(first.images, second.images)


def test_whole_slices_are_drawn_as_without_patches():
    one = a_case((5, 32, 32), [(0, 1, 10, 20, 9), (3, 2, 1, 1, 3)])
    whole = SlicePool([one], NUM_CLASSES).draw(20, make_generator())
    patches = patch_pool(one).draw(20, make_generator())
    assert torch.equal(whole.images, patches.images)


def joint_data(share=0.67):
    cases = [
        a_case((3, 70 + 10 * n, 64), [(0, 1, 30, 30, 12), (1, 2, 20, 10, 8)]) for n in range(2)
    ]
    scaled = [LabelledSlices(c.images / c.images.max(), c.classes) for c in cases]
    return RoundData(patch_pool(scaled[0], share=share), patch_pool(scaled[1], share=share))


def test_every_loss_of_a_joint_step_takes_patches():
    config, data = training_config(), joint_data()
    state = start_training(make_network(), config.joint, CPU, 0)
    reports = list(Trainer(state, data, config, CPU).steps())
    assert set(reports[-1].losses) == {"segmentation", "contrastive", "consistency"}
    assert all(np.isfinite(list(report.losses.values())).all() for report in reports)


def test_skipping_of_incomplete_slices_is_refused_where_patches_could_all_be_incomplete():
    skip = ContrastiveConfig(num_pairs=2, incomplete_slices=IncompleteSlices.SKIP)
    config = training_config(contrastive=skip)
    state = start_training(make_network(), config.joint, CPU, 0)
    with pytest.raises(TrainingError, match="need not show every structure"):
        Trainer(state, joint_data(), config, CPU)
