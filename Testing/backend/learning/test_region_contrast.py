"""The local contrastive loss of regions against a loop over its formula, and against theory."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_doubles import make_generator
from loss_references import (
    NEGATIVE_OF_NINE,
    NEGATIVE_PIXELS,
    NEGATIVE_REGIONS,
    REGIONS,
    gather_regions_reference,
    region_contrastive_reference,
    run_without_values,
    value_and_gradient,
)

from PseudoLabelCLLib.domain.errors import TrainingError
from PseudoLabelCLLib.domain.pretraining_config import LocalStrategy
from PseudoLabelCLLib.learning.losses.region_contrast import (
    CORNERS,
    NEGATIVES,
    RegionLayout,
    gather_regions,
    region_contrastive_loss,
)

RANDOM, PARTITION = LocalStrategy.RANDOM, LocalStrategy.PARTITION


def loss_of(regions, strategy, num_partitions=4, temperature=0.1):
    return region_contrastive_loss(
        regions, strategy, num_partitions=num_partitions, temperature=temperature
    )


def random_regions(seed, num_views, size=4):
    return torch.randn(num_views, 17, size, generator=make_generator(seed), dtype=torch.float64)


def random_features(seed, num_views, rows, columns, width=3):
    return torch.randn(num_views, width, rows, columns, generator=make_generator(seed))


def compare(regions, strategy, **arguments):
    value, gradient = value_and_gradient(
        lambda r: region_contrastive_loss(r, strategy, **arguments), regions
    )
    expected, expected_gradient = value_and_gradient(
        lambda r: region_contrastive_reference(r, strategy, **arguments), regions
    )
    # both in float64: what is left is the order of additions
    torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-8, atol=1e-9)


@settings(deadline=None, max_examples=4)
@given(
    seed=st.integers(0, 2**31),
    num_slices=st.integers(1, 3),
    temperature=st.sampled_from((0.07, 0.1, 0.5)),
)
def test_loss_of_two_views_equals_the_loop_over_the_formula(seed, num_slices, temperature):
    regions = random_regions(seed, 2 * num_slices)
    compare(regions, RANDOM, num_partitions=4, temperature=temperature)


@pytest.mark.parametrize(("num_volumes", "num_partitions"), [(2, 1), (2, 2), (3, 2), (4, 1)])
def test_loss_across_volumes_equals_the_loop_over_the_formula(num_volumes, num_partitions):
    regions = random_regions(num_volumes, 2 * num_volumes * num_partitions)
    compare(regions, PARTITION, num_partitions=num_partitions, temperature=0.1)


@pytest.mark.parametrize(
    ("strategy", "num_views", "expected"),
    [(RANDOM, 20, math.log(11)), (PARTITION, 24, 1.5 * math.log(9)), (PARTITION, 16, math.log(9))],
)
def test_collapsed_embedding_costs_the_logarithm_of_the_negatives(strategy, num_views, expected):
    regions = torch.ones(num_views, 17, 8, dtype=torch.float64)
    # closed form; float64 rounding of a cosine of 1, over tau
    assert loss_of(regions, strategy).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("strategy", "num_views", "factor", "negatives"), [(RANDOM, 20, 1, 10), (PARTITION, 24, 1.5, 8)]
)
def test_regions_at_right_angles_leave_only_the_tail_of_the_exponential(
    strategy, num_views, factor, negatives
):
    regions = torch.eye(17, dtype=torch.float64).expand(num_views, -1, -1)
    expected = factor * math.log1p(negatives * math.exp(-10))
    assert loss_of(regions, strategy).item() == pytest.approx(expected, abs=1e-9)


def test_table_of_negatives_is_the_published_one():
    assert CORNERS == REGIONS
    for anchor, negatives in enumerate(NEGATIVES):
        assert tuple(CORNERS[n] for n in negatives) == NEGATIVE_REGIONS[CORNERS[anchor]]


@pytest.mark.parametrize("strategy", LocalStrategy)
@pytest.mark.parametrize(
    ("num_regions", "side", "negatives_of"),
    [(13, 1, NEGATIVE_PIXELS), (9, 3, NEGATIVE_OF_NINE), (9, 1, NEGATIVE_OF_NINE)],
)
def test_other_layouts_of_the_paper_equal_the_loop_over_the_formula(
    strategy, num_regions, side, negatives_of
):
    layout = RegionLayout.of(num_regions, side)
    for anchor, negatives in enumerate(layout.negatives):
        assert tuple(CORNERS[n] for n in negatives) == negatives_of[CORNERS[anchor]]
    regions = random_regions(2, 24)
    found = region_contrastive_loss(
        regions, strategy, num_partitions=4, temperature=0.1, layout=layout
    )
    wanted = region_contrastive_reference(
        regions, strategy, num_partitions=4, temperature=0.1, negatives_of=negatives_of
    )
    assert found.item() == pytest.approx(wanted.item(), abs=1e-9)


@pytest.mark.parametrize("strategy", LocalStrategy)
def test_length_of_the_embeddings_does_not_matter(strategy):
    regions = random_regions(3, 24)
    lengths = torch.logspace(-3, 3, 24 * 17, dtype=torch.float64).reshape(24, 17, 1)
    # the epsilon of the cosine is 1e-8, embeddings are 1e-3 or more long
    assert loss_of(lengths * regions, strategy).item() == pytest.approx(
        loss_of(regions, strategy).item(), abs=1e-9
    )


@pytest.mark.parametrize("strategy", LocalStrategy)
def test_order_of_volumes_and_partitions_does_not_matter(strategy):
    regions = random_regions(4, 24)
    # three volumes follow each other in a circle, so any order of them gives the same pairs
    volumes, partitions = torch.tensor([2, 1, 0]), torch.tensor([3, 0, 2, 1])
    grid = regions.reshape(2, 3, 4, 17, -1)
    shuffled = grid[:, volumes][:, :, partitions].reshape(regions.shape)
    assert loss_of(shuffled, strategy).item() == pytest.approx(
        loss_of(regions, strategy).item(), abs=1e-9
    )


@pytest.mark.parametrize("strategy", LocalStrategy)
def test_half_precision_and_autocast_are_computed_in_single_precision(strategy):
    halved = random_regions(5, 24).half()
    expected = loss_of(halved.double(), strategy).item()
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_of(halved, strategy)
    assert loss.dtype == torch.float32
    # only float32 rounding, enlarged by 1 / tau, is left
    assert loss.item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
@pytest.mark.parametrize("strategy", LocalStrategy)
def test_zero_embeddings_give_a_finite_loss_and_gradient(strategy, dtype):
    regions = random_regions(6, 24).to(dtype)
    regions[:, 4] = 0
    regions[3] = 0
    regions.requires_grad_()
    loss = loss_of(regions, strategy)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(regions.grad).all()


@pytest.mark.parametrize("strategy", LocalStrategy)
def test_no_value_is_read_back_from_the_device(strategy):
    features = random_features(7, 24, 8, 8)
    shapes = run_without_values(lambda f: loss_of(gather_regions(f), strategy), features)
    assert shapes == ((), features.shape)


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 2**31), rows=st.integers(8, 50), columns=st.integers(8, 50)
)  # fmt: skip
def test_regions_are_the_patches_that_a_loop_cuts_out(seed, rows, columns):
    features = random_features(seed, 2, rows, columns)
    for side in (3, 1):
        expected = gather_regions_reference(features, side)
        assert torch.equal(gather_regions(features, side), expected)


def test_regions_of_the_paper_start_at_quarters_of_44_pixels():
    rows, columns = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    regions = gather_regions(torch.stack((rows, columns))[None])[0]
    first_pixels = {(int(region[0]), int(region[9])) for region in regions}
    assert first_pixels == {(11 * row, 11 * column) for row, column in REGIONS}
    assert regions[0].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]


def test_gradient_of_regions_reaches_their_pixels_and_no_others():
    features = random_features(8, 2, 10, 9)
    _, gradient = value_and_gradient(lambda f: gather_regions(f).sum(), features)
    _, expected = value_and_gradient(lambda f: gather_regions_reference(f).sum(), features)
    assert torch.equal(gradient, expected)


def test_map_too_small_for_regions_is_refused_with_what_to_do():
    with pytest.raises(TrainingError, match=r"7 x 12 pixels.*larger window"):
        gather_regions(random_features(0, 1, 7, 12))


@pytest.mark.parametrize(
    ("strategy", "num_views"), [(RANDOM, 5), (RANDOM, 0), (PARTITION, 8), (PARTITION, 20)]
)
def test_batch_that_does_not_fit_the_order_is_refused(strategy, num_views):
    with pytest.raises(ValueError, match=f"got {num_views}"):
        loss_of(torch.ones(num_views, 17, 3), strategy)
