"""Which slices a step sees: pools, rich slices, pairs, masks."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_doubles import NUM_CLASSES, make_generator, phantom_slices, pool

from PseudoLabelCLLib.domain.method_config import ContrastForm
from PseudoLabelCLLib.learning.training.class_channels import foreground_masks, one_hot
from PseudoLabelCLLib.learning.training.pairs import PAIRS, draw_pairs
from PseudoLabelCLLib.learning.training.sampling import FOREGROUND_SHARE, LabelledSlices, SlicePool

FIELDS = ("images", "classes")


def numbered_slices(classes_shown, first=0):
    """Slices whose every pixel is their number, showing the given classes."""
    count = len(classes_shown)
    images = np.empty((count, 1, 4, 4), np.float32)
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


@pytest.mark.parametrize("kept", [True, False])
def test_channels_of_a_slice_stay_together_in_their_order(kept):
    one = numbered_slices([(1,), (2,), (1, 2)])
    two = LabelledSlices(np.concatenate([one.images, one.images + 10], axis=1), one.classes)
    a_pool = pool(two)
    if kept:
        assert a_pool.bring_to(torch.device("cpu"))
    batch = a_pool.draw(20, make_generator())
    assert batch.images.shape == (20, 2, 4, 4)
    assert torch.equal(batch.images[:, 1], batch.images[:, 0] + 10)


def test_pool_leaves_mapped_voxels_on_disk_until_they_are_drawn(tmp_path):
    np.save(tmp_path / "images.npy", np.ones((3, 1, 4, 4), np.float32))
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    a_pool = pool(LabelledSlices(mapped, np.ones((3, 4, 4), np.uint8)))
    assert isinstance(a_pool.draw(2, make_generator()).images, torch.Tensor)


@pytest.fixture
def mapped_and_plain(tmp_path):
    """The same slices twice: some of each mapped case by number, and as copies in memory."""
    mapped, plain = [], []
    for n, chosen in enumerate([None, [0, 3, 4], [5]]):
        one = phantom_slices(6, seed=n)
        one.classes[1::2][one.classes[1::2] == 2] = 0  # not every slice shows every class
        one.classes[3] = 0
        for name in FIELDS:
            np.save(tmp_path / f"{name}{n}.npy", getattr(one, name))
        arrays = [np.load(tmp_path / f"{name}{n}.npy", mmap_mode="r") for name in FIELDS]
        mapped.append(LabelledSlices(*arrays, None if chosen is None else np.array(chosen)))
        mask = np.isin(np.arange(6), range(6) if chosen is None else chosen)
        plain.append(LabelledSlices(one.images[mask], one.classes[mask]))
    return pool(*mapped), pool(*plain)


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize(
    "draw",
    [
        lambda a_pool, generator: a_pool.draw(40, generator),
        lambda a_pool, generator: a_pool.draw(40, generator, min_structures=2),
        lambda a_pool, generator: a_pool.draw_rich(5, generator),
        lambda a_pool, generator: a_pool.draw_showing([1, 2, 1, 2], generator),
        lambda a_pool, generator: draw_pairs(a_pool, a_pool, 10, generator),
    ],
    ids=["any", "with structures", "rich", "showing", "pairs"],
)
def test_chosen_slices_of_mapped_arrays_are_drawn_like_copies_of_them(mapped_and_plain, draw, kept):
    for a_pool in mapped_and_plain if kept else ():
        assert a_pool.bring_to(torch.device("cpu"))
    for seed in range(5):
        ours, theirs = (draw(a_pool, make_generator(seed)) for a_pool in mapped_and_plain)
        assert torch.equal(ours.images, theirs.images)
        assert torch.equal(ours.classes, theirs.classes)


def test_only_chosen_slices_count(mapped_and_plain):
    mapped, plain = mapped_and_plain
    assert len(mapped) == len(plain) == 6 + 3 + 1
    size = 10 * 64 * 64 * 5
    assert not mapped.bring_to(torch.device("cpu"), most_bytes=size - 1)
    assert mapped.bring_to(torch.device("cpu"), most_bytes=size)


def test_pool_knows_nothing_of_what_slices_show_that_do_not_take_part():
    both = numbered_slices([(1, 2), (1,)])
    a_pool = pool(LabelledSlices(both.images, both.classes, np.array([1])))
    assert a_pool.most_classes_in_a_slice == 1
    assert set(numbers_in(a_pool.draw(50, make_generator()))) == {1}


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


def pairs_drawn(batch):
    """Which slices the pairs are made of: number below 100 is L, from 100 U, in order of sight."""
    numbers = numbers_in(batch)
    half = len(numbers) // 2
    return [(numbers[n], numbers[n + half]) for n in range(half)]


def five_and_five():
    truth = pool(numbered_slices([(1, 2)] * 5))
    return truth, pool(numbered_slices([(1, 2)] * 5, first=100))


def pattern_of(names):
    """Names of pairs such as "L0L0 L1U1" as kinds and, for each, which members are one slice."""
    members = [(pair[:2], pair[2:]) for pair in names.split()]
    flat = [member for pair in members for member in pair]
    return [
        (first[0] + second[0], flat.index(first), flat.index(second)) for first, second in members
    ]


def pattern_drawn(batch):
    pairs = pairs_drawn(batch)
    flat = [number for pair in pairs for number in pair]
    kinds = ["LU"[number >= 100] for number in flat]
    return [
        (kinds[2 * n] + kinds[2 * n + 1], flat.index(first), flat.index(second))
        for n, (first, second) in enumerate(pairs)
    ]


# Chaitanya et al. 2023, code: L has human truth, U a pseudo-label
PUBLISHED_INTER = "L0L0 L1U1 L2L2 L3U3 L4U4 U0U0 U0U1 U2U2 U2U3 U3U4"
PUBLISHED_INTRA = "L0L0 L1L1 L2L2 L3L3 L4L4 U0U0 U1U1 U2U2 U3U3 U4U4"


@pytest.mark.parametrize(
    ("form", "published"),
    [(ContrastForm.INTER, PUBLISHED_INTER), (ContrastForm.INTRA, PUBLISHED_INTRA)],
)
def test_pairs_in_the_authors_order_are_the_published_list(form, published):
    batch = draw_pairs(*five_and_five(), 10, make_generator(7), form=form, authors_order=True)
    assert pattern_drawn(batch) == pattern_of(published)


def test_pairs_are_the_published_ten():
    ours = ["".join(f"{kind}{place}" for kind, place in pair) for pair in PAIRS]
    assert " ".join(sorted(ours)) == PUBLISHED_INTER


def test_intra_pairs_are_a_slice_with_itself_of_truth_and_pseudo_labels_in_turn():
    pairs = pairs_drawn(draw_pairs(*five_and_five(), 7, make_generator(8), form=ContrastForm.INTRA))
    assert all(first == second for first, second in pairs)
    assert [first >= 100 for first, _ in pairs] == [False, True] * 3 + [False]
    assert len(set(pairs)) == 7


@pytest.mark.parametrize(
    ("min_structures", "expected"),
    [(0, {0, 1, 2, 3, 4}), (1, {1, 2, 3, 4}), (2, {3, 4}), (9, {3, 4})],
)
def test_draw_can_ask_for_slices_with_so_many_structures(min_structures, expected):
    a_pool = pool(numbered_slices([(), (1,), (2,), (1, 2), (2, 1)]))
    batch = a_pool.draw(300, make_generator(9), min_structures=min_structures)
    assert set(numbers_in(batch)) == expected


def test_draw_that_asks_for_structures_is_even_among_those_that_qualify():
    a_pool = pool(numbered_slices([()] * 20 + [(1,), (1, 2), (1,)]))
    counts = Counter(numbers_in(a_pool.draw(6000, make_generator(10), min_structures=1)))
    # deviation of a count of 6000 draws with a chance of a third is 37
    assert all(counts[n] == pytest.approx(2000, abs=150) for n in (20, 21, 22))


def test_pool_without_any_structure_draws_evenly_whatever_is_asked_for():
    a_pool = pool(numbered_slices([()] * 3))
    assert set(numbers_in(a_pool.draw(99, make_generator(), min_structures=2))) == {0, 1, 2}


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


def test_slices_kept_on_a_device_are_drawn_like_those_read_from_their_place():
    slices = [phantom_slices(4, seed=1), phantom_slices(3, seed=2)]
    kept, read = pool(*slices), pool(*slices)
    assert kept.bring_to(torch.device("cpu"))
    for draw in ("draw", "draw_rich"):
        ours = getattr(kept, draw)(5, make_generator(3))
        theirs = getattr(read, draw)(5, make_generator(3))
        assert torch.equal(ours.images, theirs.images)
        assert torch.equal(ours.classes, theirs.classes)


def test_slices_beyond_the_limit_stay_in_their_place():
    slices = phantom_slices(4, seed=1)
    assert not pool(slices).bring_to(torch.device("cpu"), most_bytes=slices.images.size * 5 - 1)
    assert pool(slices).bring_to(torch.device("cpu"), most_bytes=slices.images.size * 5)
    assert not pool().bring_to(torch.device("cpu"))


def test_pool_knows_whether_some_slice_shows_every_class():
    slices = phantom_slices(4, seed=1)
    assert pool(slices).shows_every_class
    slices.classes[slices.classes == 2] = 1
    assert not pool(slices).shows_every_class


# --- slices of the contrastive loss, class by class ---


def test_a_single_slice_that_shows_every_class_is_not_the_only_source():
    odd = [(1, 2)] + [(1,)] * 6 + [(2,)] * 6
    truth, pseudo = pool(numbered_slices(odd)), pool(numbered_slices(odd, first=100))
    seen = Counter()
    for seed in range(100):
        seen.update(numbers_in(draw_pairs(truth, pseudo, 10, make_generator(seed))))
    assert set(seen) == {*range(13), *range(100, 113)}
    # each class has 7 slices, of which the odd one is one
    assert (seen[0] + seen[100]) / sum(seen.values()) < 0.3


def test_published_code_draws_slices_that_show_every_class_only():
    odd = pool(numbered_slices([(1, 2)] + [(1,)] * 6))
    batch = draw_pairs(odd, odd, 10, make_generator(1), complete_only=True)
    assert set(numbers_in(batch)) == {0}


def test_slices_at_the_same_place_of_both_kinds_show_a_class_in_common():
    kinds = [(1,)] * 8 + [(2,)] * 8
    truth, pseudo = pool(numbered_slices(kinds)), pool(numbered_slices(kinds, first=100))
    for seed in range(20):
        batch = draw_pairs(truth, pseudo, 10, make_generator(seed))
        numbers = numbers_in(batch)
        for first, second in zip(numbers[:10], numbers[10:], strict=True):
            if (first < 100) != (second < 100):
                assert kinds[first % 100] == kinds[second % 100]


def test_ends_of_a_structure_are_drawn_as_often_as_its_middle():
    # class 1 reaches from slice 0 to 9; class 2 lies in the middle alone
    heart = [(1,)] * 3 + [(1, 2)] * 4 + [(1,)] * 3
    counts = Counter()
    for seed in range(600):
        counts.update(
            numbers_in(pool(numbered_slices(heart)).draw_showing([1], make_generator(seed)))
        )
    # deviation of a count of 600 draws with a chance of a tenth is 7.3
    assert all(abs(counts[number] - 60) < 30 for number in range(10))


def test_a_class_that_no_slice_shows_is_stood_in_for():
    a_pool = pool(numbered_slices([(), (1,), ()]))
    assert numbers_in(a_pool.draw_showing([2, 1], make_generator())) == [1, 1]
    assert len(numbers_in(pool(numbered_slices([()] * 2)).draw_showing([1], make_generator()))) == 1
