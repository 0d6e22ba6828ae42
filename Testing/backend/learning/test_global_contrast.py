"""The global contrastive loss against a loop over its formula, and against theory."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_doubles import make_generator
from loss_references import (
    alike_slices,
    global_contrastive_reference,
    run_without_values,
    value_and_gradient,
)

from PseudoLabelCLLib.domain.pretraining_config import GlobalStrategy
from PseudoLabelCLLib.learning.losses.global_contrast import global_contrastive_loss

RANDOM, MINUS, PARTITION = (
    GlobalStrategy.RANDOM, GlobalStrategy.PARTITION_MINUS, GlobalStrategy.PARTITION
)  # fmt: skip
# the batches of the paper: 12 slices of 3 volumes in 4 partitions
PAPER_VIEWS = {RANDOM: 24, MINUS: 36, PARTITION: 48}


def loss_of(embeddings, strategy, num_partitions=4, temperature=0.1):
    return global_contrastive_loss(
        embeddings, strategy, num_partitions=num_partitions, temperature=temperature
    )


def random_embeddings(seed, num_views, size=5):
    return torch.randn(num_views, size, generator=make_generator(seed), dtype=torch.float64)


def num_views_of(strategy, num_partitions, num_sets):
    if strategy is RANDOM:
        return 2 * num_partitions * num_sets
    return (3 if strategy is MINUS else 4) * num_partitions * num_sets


@settings(deadline=None, max_examples=8)
@given(
    seed=st.integers(0, 2**31),
    strategy=st.sampled_from(GlobalStrategy),
    num_partitions=st.integers(2, 3),
    num_sets=st.integers(1, 2),
    temperature=st.sampled_from((0.07, 0.1, 0.5)),
)
def test_loss_and_gradient_equal_the_loop_over_the_formula(
    seed, strategy, num_partitions, num_sets, temperature
):
    embeddings = random_embeddings(seed, num_views_of(strategy, num_partitions, num_sets))
    settings_ = {"num_partitions": num_partitions, "temperature": temperature}
    value, gradient = value_and_gradient(
        lambda e: global_contrastive_loss(e, strategy, **settings_), embeddings
    )
    expected, expected_gradient = value_and_gradient(
        lambda e: global_contrastive_reference(e, strategy, **settings_), embeddings
    )
    # both in float64: what is left is the order of additions
    torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [(RANDOM, math.log(23)), (MINUS, 2 * math.log(28)), (PARTITION, 4 * math.log(37))],
)
def test_collapsed_embedding_costs_the_logarithm_of_the_negatives(strategy, expected):
    embeddings = torch.ones(PAPER_VIEWS[strategy], 8, dtype=torch.float64)
    # closed form; float64 rounding of a cosine of 1, over tau
    assert loss_of(embeddings, strategy).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("strategy", "factor"), [(MINUS, 2), (PARTITION, 4)])
def test_slices_of_the_same_partition_are_never_negatives(strategy, factor):
    num_views = PAPER_VIEWS[strategy]
    # partitions at right angles: equal slices of the same one as negatives would cost a logarithm
    embeddings = torch.eye(4, dtype=torch.float64).repeat(num_views // 4, 1)
    tail = math.log1p(0.75 * num_views * math.exp(-10))
    assert loss_of(embeddings, strategy).item() == pytest.approx(factor * tail, abs=1e-9)


def test_the_batch_of_48_gives_the_published_number_of_terms_and_negatives():
    pairs, partitions = alike_slices(PARTITION, 48, 4)
    assert len(pairs) == 192
    assert sum(part != partitions[0] for part in partitions) == 36
    # equal to its copy, to the slice half a block further on, and over the end of the batch
    assert {(0, 4), (0, 8), (40, 0), (44, 4)} <= set(pairs)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**31), strategy=st.sampled_from(GlobalStrategy))
def test_length_of_the_embeddings_does_not_matter(seed, strategy):
    embeddings = random_embeddings(seed, PAPER_VIEWS[strategy])
    lengths = torch.logspace(-3, 3, len(embeddings), dtype=torch.float64)[:, None]
    # the epsilon of the cosine is 1e-8, embeddings are 1e-3 or more long
    assert loss_of(lengths * embeddings, strategy).item() == pytest.approx(
        loss_of(embeddings, strategy).item(), abs=1e-9
    )


def test_order_of_slices_of_random_views_does_not_matter():
    embeddings = random_embeddings(2, 12)
    order = torch.randperm(6, generator=make_generator(3))
    shuffled = embeddings[torch.cat((order, order + 6))]
    assert loss_of(shuffled, RANDOM).item() == pytest.approx(
        loss_of(embeddings, RANDOM).item(), abs=1e-10
    )


def test_order_of_partitions_does_not_matter():
    embeddings = random_embeddings(4, 48)
    order = torch.tensor([2, 0, 3, 1])
    renamed = embeddings.reshape(12, 4, -1)[:, order].reshape(48, -1)
    assert loss_of(renamed, PARTITION).item() == pytest.approx(
        loss_of(embeddings, PARTITION).item(), abs=1e-9
    )


@pytest.mark.parametrize("strategy", GlobalStrategy)
def test_half_precision_and_autocast_are_computed_in_single_precision(strategy):
    halved = random_embeddings(5, PAPER_VIEWS[strategy]).half()
    expected = loss_of(halved.double(), strategy).item()
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_of(halved, strategy)
    assert loss.dtype == torch.float32
    # only float32 rounding, enlarged by 1 / tau and by up to four terms a view, is left
    assert loss.item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
@pytest.mark.parametrize("strategy", GlobalStrategy)
def test_zero_embeddings_give_a_finite_loss_and_gradient(strategy, dtype):
    embeddings = torch.zeros(PAPER_VIEWS[strategy], 4, dtype=torch.float32)
    embeddings[1] = 1
    embeddings = embeddings.to(dtype).requires_grad_()
    loss = loss_of(embeddings, strategy)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(embeddings.grad).all()


@pytest.mark.parametrize("strategy", GlobalStrategy)
def test_no_value_is_read_back_from_the_device(strategy):
    embeddings = random_embeddings(6, PAPER_VIEWS[strategy])
    shapes = run_without_values(lambda e: loss_of(e, strategy), embeddings)
    assert shapes == ((), embeddings.shape)


@pytest.mark.parametrize(
    ("strategy", "num_views"), [(RANDOM, 7), (RANDOM, 2), (MINUS, 24 + 4), (PARTITION, 40)]
)
def test_batch_that_does_not_fit_the_order_is_refused(strategy, num_views):
    with pytest.raises(ValueError, match=f"got {num_views}"):
        loss_of(torch.ones(num_views, 3), strategy)


def test_a_single_partition_has_no_negatives_and_is_refused():
    with pytest.raises(ValueError, match="2 or more, got 1"):
        loss_of(torch.ones(12, 3), MINUS, num_partitions=1)
