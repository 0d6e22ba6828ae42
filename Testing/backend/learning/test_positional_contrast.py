"""The positional contrastive loss against a loop over its formula, and against theory."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_doubles import make_generator
from loss_references import (
    positional_contrastive_reference,
    run_without_values,
    value_and_gradient,
)

from PseudoLabelCLLib.learning.losses.positional_contrast import positional_contrastive_loss

PUBLISHED = {"threshold": 0.35, "temperature": 0.1, "base_temperature": 0.07}


def loss_of(embeddings, positions, **changes):
    return positional_contrastive_loss(embeddings, positions, **{**PUBLISHED, **changes})


def random_views(seed, num_slices, size=5):
    """Embeddings of two views each, and the exact places of random slices of random volumes."""
    generator = make_generator(seed)
    embeddings = torch.randn(2 * num_slices, size, generator=generator, dtype=torch.float64)
    lengths = torch.randint(1, 41, (num_slices,), generator=generator).tolist()
    places = [
        Fraction(1 + int(torch.randint(0, length, (1,), generator=generator)), length)
        for length in lengths
    ]
    return embeddings, 2 * places


def as_tensor(places, dtype=torch.float32):
    return torch.tensor([float(place) for place in places], dtype=dtype)


@settings(deadline=None, max_examples=8)
@given(
    seed=st.integers(0, 2**31),
    num_slices=st.integers(1, 6),
    threshold=st.sampled_from((Fraction(1, 10), Fraction(7, 20), Fraction(1, 2), Fraction(1))),
    temperature=st.sampled_from((0.07, 0.1, 0.5)),
)
def test_loss_and_gradient_equal_the_loop_over_the_formula(
    seed, num_slices, threshold, temperature
):
    embeddings, places = random_views(seed, num_slices)
    value, gradient = value_and_gradient(
        lambda e: loss_of(
            e, as_tensor(places), threshold=float(threshold), temperature=temperature
        ),
        embeddings,
    )
    expected, expected_gradient = value_and_gradient(
        lambda e: positional_contrastive_reference(
            e, places, threshold=threshold, temperature=temperature, base_temperature=0.07
        ),
        embeddings,
    )
    # both in float64: what is left is the order of additions
    torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("num_slices", [20, 40, 60, 100, 140, 200])
def test_slices_exactly_at_the_threshold_are_not_alike_however_fractions_round(num_slices, dtype):
    # far is 7/20 from near: never alike, so each view's only positive is its own other view
    embeddings = torch.randn(4, 5, generator=make_generator(1), dtype=torch.float64)
    for first in range(1, num_slices - 7 * num_slices // 20 + 1):
        second = first + 7 * num_slices // 20
        places = 2 * [Fraction(first, num_slices), Fraction(second, num_slices)]
        expected = loss_of(embeddings, torch.tensor([0.0, 1.0, 0.0, 1.0]))
        assert loss_of(embeddings, as_tensor(places, dtype)).item() == expected.item()


@pytest.mark.parametrize(("num_slices", "published"), [(32, 5.9188), (25, 5.5597)])
def test_collapsed_embedding_costs_the_logarithm_of_the_other_views(num_slices, published):
    embeddings = torch.ones(2 * num_slices, 8, dtype=torch.float64)
    places = torch.rand(2 * num_slices, generator=make_generator())
    loss = loss_of(embeddings, places).item()
    # closed form; float64 rounding of a cosine of 1, over tau
    assert loss == pytest.approx(0.1 / 0.07 * math.log(2 * num_slices - 1), abs=1e-9)
    assert loss == pytest.approx(published, abs=5e-5)


def test_slices_far_apart_at_right_angles_leave_only_the_tail_of_the_exponential():
    embeddings = torch.eye(3, dtype=torch.float64).repeat(2, 1)
    places = torch.tensor([0.1, 0.5, 0.9]).repeat(2)
    expected = 0.1 / 0.07 * math.log1p(4 * math.exp(-10))
    assert loss_of(embeddings, places).item() == pytest.approx(expected, abs=1e-9)


def test_all_views_alike_and_equal_share_the_sum():
    # positives stand in the sum too, so 2N equal views of one place cost the logarithm of 2N - 1
    embeddings = torch.tensor([[1.0, 0.0]], dtype=torch.float64).repeat(6, 1)
    expected = 0.1 / 0.07 * math.log(5)
    assert loss_of(embeddings, torch.full((6,), 0.5)).item() == pytest.approx(expected, abs=1e-9)


def test_view_with_no_near_one_costs_nothing_and_the_mean_stays_over_all_views():
    embeddings = torch.randn(3, 4, generator=make_generator(2), dtype=torch.float64)
    places = [Fraction(0), Fraction(1, 10), Fraction(1)]
    value, gradient = value_and_gradient(lambda e: loss_of(e, as_tensor(places)), embeddings)
    expected = positional_contrastive_reference(embeddings, places, **PUBLISHED)
    assert value.item() == pytest.approx(expected.item(), abs=1e-9)
    assert torch.isfinite(gradient).all()


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**31))
def test_neither_order_nor_length_of_the_embeddings_matters(seed):
    embeddings, places = random_views(seed, 8)
    positions = as_tensor(places)
    order = torch.randperm(16, generator=make_generator(seed))
    lengths = torch.logspace(-3, 3, 16, dtype=torch.float64)[:, None]
    # the epsilon of the cosine is 1e-8, embeddings are 1e-3 or more long
    assert loss_of((lengths * embeddings)[order], positions[order]).item() == pytest.approx(
        loss_of(embeddings, positions).item(), abs=1e-9
    )


def test_half_precision_and_autocast_are_computed_in_single_precision():
    embeddings, places = random_views(3, 16)
    halved, positions = embeddings.half(), as_tensor(places)
    expected = loss_of(halved.double(), positions).item()
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_of(halved, positions)
    assert loss.dtype == torch.float32
    # only float32 rounding, enlarged by 1 / tau, is left
    assert loss.item() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_zero_embeddings_give_a_finite_loss_and_gradient(dtype):
    embeddings, places = random_views(4, 4)
    embeddings = embeddings.to(dtype)
    embeddings[:3] = 0
    embeddings.requires_grad_()
    loss = loss_of(embeddings, as_tensor(places))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(embeddings.grad).all()


def test_no_value_is_read_back_from_the_device():
    embeddings, places = random_views(5, 4)
    shapes = run_without_values(loss_of, embeddings, as_tensor(places))
    assert shapes == ((), embeddings.shape)


def test_a_single_view_is_refused():
    with pytest.raises(ValueError, match="got 1"):
        loss_of(torch.ones(1, 3), torch.zeros(1))
