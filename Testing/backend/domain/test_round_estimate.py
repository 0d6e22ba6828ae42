"""What a round costs: estimated from measured figures, in words, and beside what was found."""

from dataclasses import replace

import pytest

from PseudoLabelCLLib.domain.case import Case, CaseRole
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.plan_in_words import plan_in_words
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.profiles import config_for, in_3d
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.round import RoundCost
from PseudoLabelCLLib.domain.round_estimate import (
    about,
    cost_in_words,
    expected_seconds,
    gigabytes,
    what_was_off,
)
from PseudoLabelCLLib.domain.round_memory import level_values, memory_of_round, slices_of_step
from PseudoLabelCLLib.domain.round_work import RoundWork, Standing, Work, work_of_round
from PseudoLabelCLLib.domain.segmentation import LabelSchema

SIZE = (100, 80, 10)
SETTLED = PreprocessConfig(whole_slices=True, in_plane_spacing_mm=2.0, patch_size=(128, 128))
FIRST = Standing(0, is_joint=False)


def case(name, role, size=SIZE):
    grid = Geometry(size, (1.0, 1.0, 5.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    return Case(name, role, f"{name}.nrrd", grid, "a.seg.nrrd" if role.needs_annotation else None)


def project(*more, config=None):
    cases = (case("a", CaseRole.ANNOTATED), case("b", CaseRole.UNLABELLED), *more)
    config = config or config_for(Profile.QUICK)
    return Project("p", LabelSchema.from_values((1, 2)), config, cases)


def work(*more, standing=FIRST, config=None):
    return work_of_round(project(*more, config=config), SETTLED, standing, half_precision=False)


def test_work_counts_voxels_of_images_of_the_network_and_steps():
    amounts = work(case("c", CaseRole.UNLABELLED)).amounts
    assert amounts[Work.CHECKING] == amounts[Work.PREPARING] == 3 * 100 * 80 * 10
    assert amounts[Work.TRAINING] == 600
    assert amounts[Work.PROPOSING] == 4 * 2 * (50 * 40 * 10)  # four copies of two cases
    assert amounts[Work.VALIDATING] == 0


def test_what_is_done_is_not_counted_again():
    standing = Standing(0, is_joint=False, steps_done=450, prepared=("a", "b"), proposed=("b",))
    amounts = work(case("c", CaseRole.UNLABELLED), standing=standing).amounts
    assert amounts[Work.TRAINING] == 150
    assert amounts[Work.PREPARING] == 100 * 80 * 10
    assert amounts[Work.PROPOSING] == 4 * (50 * 40 * 10)


def test_validation_cases_are_predicted_every_time_and_measured_at_the_end():
    amounts = work(case("v", CaseRole.VALIDATION)).amounts
    assert amounts[Work.VALIDATING] == 6 * (50 * 40 * 10)
    assert amounts[Work.PROPOSING] == 4 * 2 * (50 * 40 * 10)
    joint = work(case("v", CaseRole.VALIDATION), standing=Standing(1, is_joint=True)).amounts
    # at the start, after every 66 of 400 steps, and after the last
    assert joint[Work.VALIDATING] == 8 * (50 * 40 * 10)


def test_time_is_the_sum_of_all_work_at_its_measured_speed():
    found = RoundWork({Work.TRAINING: 600, Work.PROPOSING: 4000, Work.VALIDATING: 0})
    paces = {Work.TRAINING: 0.5, Work.PROPOSING: 0.01}
    assert expected_seconds(found, paces) == pytest.approx(340)
    assert expected_seconds(found, {Work.TRAINING: 0.5}) is None


def test_time_of_a_report_may_be_unknown():
    found = RoundWork({Work.TRAINING: 10, Work.REPORTING: 1})
    assert expected_seconds(found, {Work.TRAINING: 2.0}) == 20
    assert expected_seconds(found, {Work.TRAINING: 2.0, Work.REPORTING: 3.0}) == 23


def test_speed_of_a_step_belongs_to_its_network_batch_patch_and_losses_not_to_its_number():
    def kind(change=lambda c: c, settled=SETTLED, *, is_joint=False, half=False):
        one = project(config=change(config_for(Profile.QUICK)))
        standing = Standing(0, is_joint)
        found = work_of_round(one, settled, standing, half_precision=half)
        return found.kinds[Work.TRAINING]

    def with_stage(**changes):
        def change(config):
            stage = replace(config.training.supervised, **changes)
            return replace(config, training=replace(config.training, supervised=stage))

        return change

    assert kind(with_stage(num_steps=7)) == kind()
    others = [
        kind(with_stage(batch_size=4)),
        kind(lambda c: replace(c, network=replace(c.network, widths=(8,) * 6))),
        kind(settled=replace(SETTLED, patch_size=(64, 64))),
        kind(is_joint=True),
        kind(half=True),
    ]
    assert len({kind(), *others}) == 6


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (10, "less than a minute"),
        (70, "about a minute"),
        (225, "about 4 minutes"),
        (23.4 * 60, "about 25 minutes"),
        (59 * 60, "about an hour"),
        (5000, "about 1.5 hours"),
        (14000, "about 4 hours"),
        (50000, "about 14 hours"),
    ],
)
def test_times_are_rounded_as_an_estimate_deserves(seconds, told):
    assert about(seconds) == told


@pytest.mark.parametrize(
    ("size", "told"), [(1.234e9, "1.2 GB"), (12.7e9, "13 GB"), (4e7, "0.1 GB")]
)
def test_sizes_have_two_digits(size, told):
    assert gigabytes(int(size)) == told


def test_plan_says_what_a_round_costs_where_it_is_known():
    sentence = plan_in_words(SETTLED, cost_in_words(240, 1_200_000_000))
    assert sentence.endswith("; about 4 minutes a round on this computer, 1.2 GB.")
    assert "computer" not in plan_in_words(SETTLED)


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        (RoundCost(600, 10**9, 880, 14 * 10**8), ""),
        (RoundCost(600, 10**9, 420, 7 * 10**8), ""),
        (RoundCost(600, 10**9, 950, 10**9), "The round took about 15 minutes, not about 10"),
        (RoundCost(600, 10**9, 350, 10**9), "The round took about 6 minutes, not about 10"),
        (RoundCost(600, 10**9, 600, 16 * 10**8), "It used 1.6 GB of memory, not 1.0 GB."),
        (RoundCost(5, 10**9, 9, 10**9), ""),  # seconds are no news
        (RoundCost(None, None, 600, 10**9), ""),
        (RoundCost(600, 10**9, 600, None), ""),
    ],
)
def test_end_of_a_round_tells_only_an_estimate_that_was_off_by_more_than_half(cost, words):
    assert what_was_off(cost).startswith(words)
    assert bool(what_was_off(cost)) is bool(words)


def test_values_of_the_levels_fall_by_four_and_rise_with_the_widths():
    network = config_for(Profile.QUICK).network
    expected = 64 * 64 * (16 + 32 / 4 + 64 / 16 + 128 / 64 + 128 / 256 + 128 / 1024)
    assert level_values(network, (64, 64)) == expected


def test_step_counts_the_slices_of_every_loss_of_a_joint_round():
    training = config_for(Profile.QUICK).training
    assert slices_of_step(training, training.supervised, is_joint=False) == 10
    assert slices_of_step(training, training.joint, is_joint=True) == 4 + 8
    with_pairs = replace(training, contrastive=replace(training.contrastive, weight=0.1))
    assert slices_of_step(with_pairs, training.joint, is_joint=True) == 4 + 8 + 2 * 4


@pytest.mark.parametrize(
    ("is_joint", "batch", "side", "used_mb"),
    # peak memory of worker processes, as Testing/benchmarks/step_memory.py found it
    [(False, 10, 64, 584), (False, 10, 128, 918), (False, 10, 192, 1388), (True, 4, 128, 1060)],
)
def test_memory_of_a_step_is_as_measured(is_joint, batch, side, used_mb):
    config = config_for(Profile.QUICK)
    stage = replace(config.training.joint if is_joint else config.training.supervised)
    stage = replace(stage, batch_size=batch)
    training = replace(config.training, **{"joint" if is_joint else "supervised": stage})
    one = project(config=replace(config, training=training))
    settled = replace(SETTLED, patch_size=(side, side))
    found = memory_of_round(one, settled, is_joint=is_joint)
    assert (found.baseline + found.step) / 2**20 == pytest.approx(used_mb, rel=0.2)


@pytest.mark.parametrize(
    ("block", "is_joint", "used_mb"),
    [((16, 48, 48), False, 523), ((32, 64, 64), False, 748), ((32, 64, 64), True, 1056)],
)
def test_memory_of_a_step_in_3d_is_as_measured(block, is_joint, used_mb):
    settled = replace(
        SETTLED, dimension=3, patch_size=block, in_plane_spacing_mm=1.0, slice_spacing_mm=1.0
    )
    one = project(config=in_3d(config_for(Profile.QUICK)))
    found = memory_of_round(one, settled, is_joint=is_joint)
    assert (found.baseline + found.step) / 2**20 == pytest.approx(used_mb, rel=0.2)


def test_memory_grows_with_the_largest_volume_and_a_gpu_takes_the_steps():
    small = memory_of_round(project(), SETTLED, is_joint=False)
    huge = project(case("c", CaseRole.UNLABELLED, (512, 512, 900)))
    large = memory_of_round(huge, SETTLED, is_joint=False)
    assert large.reading == pytest.approx(small.reading * 512 * 512 * 900 / (100 * 80 * 10))
    assert large.needed > small.needed
    assert memory_of_round(huge, SETTLED, is_joint=False, on_gpu=True).step < small.step / 2


def test_neighbouring_slices_need_more_memory_and_have_a_pace_of_their_own():
    with_one = replace(SETTLED, neighbouring_slices=1)
    alone, together = (
        memory_of_round(project(), one, is_joint=False) for one in (SETTLED, with_one)
    )
    assert alone.step < together.step < 1.2 * alone.step
    assert alone.prediction < together.prediction < 1.2 * alone.prediction
    assert (alone.reading, alone.mapped) == (together.reading, together.mapped)
    kinds = [
        work_of_round(project(), one, FIRST, half_precision=False).kinds
        for one in (SETTLED, with_one)
    ]
    assert {kind for kind in kinds[0] if kinds[0][kind] != kinds[1][kind]} == {
        Work.TRAINING, Work.VALIDATING, Work.PROPOSING,
    }  # fmt: skip
