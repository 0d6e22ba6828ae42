"""Batches of pre-training: which slices of which volumes stand where."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from learning_doubles import make_generator

from PseudoLabelCLLib.domain.pretraining_config import (
    GlobalLocalConfig,
    GlobalStrategy,
    LocalStrategy,
)
from PseudoLabelCLLib.learning.pretraining.batches import global_batch, local_batch
from PseudoLabelCLLib.learning.pretraining.volume_batches import OrderedVolume, VolumePool

COUNTS = (9, 4, 13, 6, 10, 7, 5)
SIDE = 8
CONFIG = GlobalLocalConfig(brightness=0.0, contrast_fraction=0.0)
# Changed views are clipped at 1.5, so slices that tell who they are must be darker.
UNIT = 1e-3


def numbered_volume(volume, num_slices):
    """A volume whose slice s holds 100 volume + s + 1 thousandths everywhere."""
    values = UNIT * (100 * volume + np.arange(num_slices) + 1)
    return np.broadcast_to(values[:, None, None, None], (num_slices, 1, SIDE, SIDE)).astype(
        np.float32
    )


def a_pool(counts=COUNTS, turned=()):
    return VolumePool(
        [OrderedVolume(numbered_volume(v, n), v in turned) for v, n in enumerate(counts)]
    )


def origins(views):
    """Volume and slice of every view."""
    numbers = (views.mean(dim=(1, 2, 3)) / UNIT).round().int() - 1
    return [divmod(int(number), 100) for number in numbers]


def draws(builder, pool, config, num=20):
    for seed in range(num):
        yield origins(builder(pool, config, make_generator(seed)))


def part_of(origin, num_parts, counts=COUNTS):
    volume, index = origin
    return index // (counts[volume] // num_parts)


def test_every_part_gives_one_slice_and_the_rest_of_the_volume_none():
    found = set()
    for seed in range(200):
        drawn = origins(a_pool().draw_parts((2, 1), 4, make_generator(seed)))
        assert [volume for volume, _ in drawn] == [2] * 4 + [1] * 4
        assert [part_of(origin, 4) for origin in drawn] == [0, 1, 2, 3] * 2
        found |= {index for volume, index in drawn if volume == 2}
    assert found == set(range(12))  # 13 slices: four parts of three, and one left over


def test_parts_of_a_turned_volume_are_counted_from_its_other_end():
    pool = a_pool(counts=(9,), turned=(0,))
    found = [set(), set()]
    for seed in range(100):
        for part, (_, index) in enumerate(origins(pool.draw_parts((0,), 2, make_generator(seed)))):
            found[part].add(index)
    assert found == [{8, 7, 6, 5}, {4, 3, 2, 1}]


@pytest.mark.parametrize("is_turned", [False, True])
def test_positions_rise_from_one_end_to_the_other(is_turned):
    volume = OrderedVolume(numbered_volume(0, 5), is_turned)
    places = [volume.position(index) for index in range(5)]
    assert places == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2][:: 1 if is_turned else -1])


def test_drawn_slices_come_with_their_positions():
    drawn = a_pool().draw(30, make_generator())
    wanted = [(index + 1) / COUNTS[volume] for volume, index in origins(drawn.images)]
    assert drawn.positions.tolist() == pytest.approx(wanted)


def test_no_slice_is_drawn_twice_where_there_are_enough():
    drawn = origins(a_pool().draw(sum(COUNTS), make_generator()).images)
    assert len(set(drawn)) == sum(COUNTS)


def test_few_slices_are_drawn_again():
    assert len(a_pool(counts=(3,)).draw(10, make_generator()).images) == 10


@pytest.mark.parametrize("num_volumes", range(2, 9))
def test_no_neighbours_in_a_ring_are_the_same_volume(num_volumes):
    pool = a_pool(counts=(4,) * num_volumes)
    for seed in range(30):
        ring = pool.draw_ring(6, make_generator(seed))
        assert len(ring) == 6
        assert all(one != other for one, other in zip(ring, ring[1:] + ring[:1], strict=True))
        assert len(set(ring)) == min(6, num_volumes)


@pytest.mark.parametrize("num_volumes", [2, 3, 5, 7])
@pytest.mark.parametrize("num_parts", [2, 4])
def test_partition_batch_compares_slices_of_one_part_of_two_volumes(num_volumes, num_parts):
    counts = COUNTS[:num_volumes]
    config = replace(CONFIG, num_partitions=num_parts)
    for batch in draws(global_batch, a_pool(counts), config):
        assert len(batch) == 12 * num_parts
        for place, origin in enumerate(batch):
            # every slot shows a slice of the part that the loss takes it for
            assert part_of(origin, num_parts, counts) == place % num_parts
            if place % (2 * num_parts) < num_parts:
                other = batch[(place + 2 * num_parts) % len(batch)]
                assert other[0] != origin[0]
                assert batch[place + num_parts] == origin  # its augmented copy


def test_partition_minus_batch_holds_a_slice_three_times_in_a_row_of_sets():
    config = replace(CONFIG, global_strategy=GlobalStrategy.PARTITION_MINUS)
    for batch in draws(global_batch, a_pool(), config):
        assert batch[:12] == batch[12:24] == batch[24:]
        assert [part_of(origin, 4) for origin in batch[:12]] == [0, 1, 2, 3] * 3
        assert len({volume for volume, _ in batch[:12]}) == 3


def test_random_batch_holds_every_slice_twice():
    config = replace(CONFIG, global_strategy=GlobalStrategy.RANDOM)
    for batch in draws(global_batch, a_pool(), config):
        assert len(batch) == 24
        assert batch[:12] == batch[12:]


@pytest.mark.parametrize(("num_volumes", "num_rows"), [(2, 16), (7, 24)])
def test_local_partition_batch_goes_volume_by_volume_in_both_halves(num_volumes, num_rows):
    config = replace(CONFIG, local_strategy=LocalStrategy.PARTITION)
    counts = COUNTS[:num_volumes]
    for batch in draws(local_batch, a_pool(counts), config):
        half = num_rows // 2
        assert len(batch) == num_rows
        assert batch[:half] == batch[half:]
        assert [part_of(origin, 4, counts) for origin in batch[:half]] == [0, 1, 2, 3] * (half // 4)
        assert len({volume for volume, _ in batch[:half]}) == half // 4


def test_local_random_batch_has_ten_slices_in_two_views():
    for batch in draws(local_batch, a_pool(), CONFIG):
        assert len(batch) == 20
        assert batch[:10] == batch[10:]


@pytest.mark.parametrize("is_shared", [False, True])
def test_only_changed_views_are_changed(is_shared):
    config = GlobalLocalConfig(one_change_per_batch=is_shared)
    batch = global_batch(a_pool(), config, make_generator())
    blocks = batch.reshape(3, 4, 4, -1)  # (block, kind, part, pixels)
    changes = (blocks[:, 1::2] - blocks[:, 0::2]).mean(dim=-1)  # (block, set, part)
    assert torch.all(changes.abs() > 0)
    originals = blocks[:, 0::2].mean(dim=-1)
    assert torch.all((originals / UNIT - (originals / UNIT).round()).abs() < 1e-2)
    # a set's slices are all darker than 0.7, so that a shared shift shows as one number unless it
    # is clipped at 0; here only the number of different shifts matters
    kept = changes[blocks[:, 1::2].mean(dim=-1) > 0]
    num_shifts = len(torch.unique((kept * 1e5).round()))
    assert num_shifts <= 2 if is_shared else num_shifts > 10


def test_volumes_with_fewer_slices_than_parts_leave_the_pool():
    assert len(a_pool((3, 4, 5)).with_parts(4)) == 2
