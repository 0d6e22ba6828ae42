"""Which slices a step sees: pools, rich slices, pairs, masks."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_doubles import NUM_CLASSES, make_generator, pool

from PseudoLabelCLLib.learning.sampling import (
    FOREGROUND_SHARE,
    PAIRS,
    LabelledSlices,
    SlicePool,
    draw_pairs,
    foreground_masks,
    one_hot,
)


def numbered_slices(classes_shown, first=0):
    """Slices whose every pixel is their number, showing the given classes."""
    count = len(classes_shown)
    images = np.empty((count, 4, 4), np.float32)
    classes = np.zeros((count, 4, 4), np.uint8)
    for n, shown in enumerate(classes_shown):
        images[n] = first + n
        classes[n, 0, : len(shown)] = shown
    return LabelledSlices(images, classes)


def numbers_in(batch):
    return [int(image[0, 0, 0]) for image in batch.images]


def test_pool_draws_from_every_case_and_keeps_image_and_classes_together():
    a_pool = pool(numbered_slices([(1,), (2,)]), numbered_slices([(1, 2)], first=2))
    batch = a_pool.draw(200, make_generator())
    assert len(a_pool) == 3
    assert set(numbers_in(batch)) == {0, 1, 2}
    for number, classes in zip(numbers_in(batch), batch.classes, strict=True):
        assert set(classes.unique().tolist()) - {0} == {0: {1}, 1: {2}, 2: {1, 2}}[number]


def test_pool_leaves_mapped_voxels_on_disk_until_they_are_drawn(tmp_path):
    np.save(tmp_path / "images.npy", np.ones((3, 4, 4), np.float32))
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    a_pool = pool(LabelledSlices(mapped, np.ones((3, 4, 4), np.uint8)))
    assert isinstance(a_pool.draw(2, make_generator()).images, torch.Tensor)


@pytest.mark.parametrize("num_empty", [0, 1, 30])
def test_two_thirds_of_the_draws_show_a_structure_however_few_slices_do(num_empty):
    a_pool = pool(numbered_slices([(1,)] * 3 + [()] * num_empty))
    drawn = numbers_in(a_pool.draw(6000, make_generator(1)))
    share = np.mean([number < 3 for number in drawn])
    expected = max(FOREGROUND_SHARE, 3 / (3 + num_empty))
    # deviation of a share of 6000 draws is 0.006
    assert share == pytest.approx(expected, abs=0.025)


def test_pool_without_any_structure_draws_evenly():
    drawn = numbers_in(pool(numbered_slices([()] * 4)).draw(4000, make_generator(2)))
    assert set(drawn) == {0, 1, 2, 3}


def test_same_generator_draws_the_same_slices():
    a_pool = pool(numbered_slices([(1,)] * 9))
    first, second = (numbers_in(a_pool.draw(8, make_generator(3))) for _ in range(2))
    assert first == second


def test_rich_draw_takes_only_slices_with_the_most_classes():
    a_pool = pool(numbered_slices([(1,), (1, 2), (), (1, 2), (2, 1), (1, 2), (1, 2)]))
    drawn = numbers_in(a_pool.draw_rich(5, make_generator()))
    assert sorted(drawn) == [1, 3, 4, 5, 6]  # each once, as there are enough
    assert a_pool.most_classes_in_a_slice == 2


def test_rich_draw_repeats_slices_where_there_are_too_few():
    drawn = numbers_in(pool(numbered_slices([(1,), ()])).draw_rich(5, make_generator()))
    assert drawn == [0] * 5


def test_empty_pool_has_no_slices_and_no_classes():
    a_pool = SlicePool((), NUM_CLASSES)
    assert len(a_pool) == 0
    assert a_pool.most_classes_in_a_slice == 0


def test_pairs_are_the_published_ten():
    # Chaitanya et al. 2023, code: L has human truth, U a pseudo-label
    published = "L0L0 L1U1 L2L2 L3U3 L4U4 U0U0 U0U1 U2U2 U2U3 U3U4"
    ours = ["".join(f"{kind}{place}" for kind, place in pair) for pair in PAIRS]
    assert " ".join(sorted(ours)) == published


def test_views_are_first_members_then_second_members():
    truth = pool(numbered_slices([(1, 2)] * 5))
    pseudo = pool(numbered_slices([(1, 2)] * 5, first=100))
    batch = draw_pairs(truth, pseudo, 10, make_generator(4))
    numbers = numbers_in(batch)
    assert len(numbers) == 20
    kinds = ["U" if number >= 100 else "L" for number in numbers]
    assert [kinds[n] + kinds[n + 10] for n in range(10)] == [a[0] + b[0] for a, b in PAIRS]
    for n, (first, second) in enumerate(PAIRS):
        assert (numbers[n] == numbers[n + 10]) == (first == second)


@settings(deadline=None, max_examples=20)
@given(num_pairs=st.integers(2, 33), seed=st.integers(0, 999))
def test_any_number_of_pairs_can_be_drawn(num_pairs, seed):
    truth = pool(numbered_slices([(1, 2)] * 2))
    pseudo = pool(numbered_slices([(1,), ()], first=100))
    batch = draw_pairs(truth, pseudo, num_pairs, make_generator(seed))
    assert len(batch.images) == len(batch.classes) == 2 * num_pairs
    assert 101 not in Counter(numbers_in(batch))  # the empty slice is not rich


def test_without_pseudo_labels_pairs_come_from_human_truth():
    truth = pool(numbered_slices([(1,)] * 5))
    batch = draw_pairs(truth, SlicePool((), NUM_CLASSES), 4, make_generator())
    assert max(numbers_in(batch)) < 5


def test_one_hot_and_masks_agree_with_the_class_indices():
    classes = torch.arange(24).reshape(2, 3, 4) % 3
    hot = one_hot(classes, 3)
    masks = foreground_masks(classes, 3)
    assert torch.equal(hot.argmax(dim=1), classes)
    assert torch.equal(hot.sum(dim=1), torch.ones(2, 3, 4))
    for c in (1, 2):
        assert torch.equal(masks[:, c - 1], classes.flatten(1) == c)
