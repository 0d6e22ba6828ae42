"""The local contrastive loss against a slow loop written from its formula, and against theory."""

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from learning_doubles import make_generator
from loss_references import (
    local_contrastive_reference,
    run_without_values,
    value_and_gradient,
)
from scipy import stats

from PseudoLabelCLLib.domain.method_config import ContrastForm, Denominator, PairWeighting
from PseudoLabelCLLib.learning.losses.local_contrast import draw_anchors, local_contrastive_loss

TEMPERATURE = 0.1


INTRA = {"form": ContrastForm.INTRA}
BOTH = {"form": ContrastForm.INTER, "denominator": Denominator.BOTH}
TARGET_ONLY = {"form": ContrastForm.INTER, "denominator": Denominator.TARGET_ONLY}
FORMS = (INTRA, BOTH, TARGET_ONLY)
LEGACY = {"pair_weighting": PairWeighting.LEGACY}


def loss_of(embeddings, masks, anchors, temperature=TEMPERATURE, **settings_of_loss):
    return local_contrastive_loss(
        embeddings, masks, anchors, temperature=temperature, **settings_of_loss
    )


def compare(scene, **settings_of_loss):
    embeddings, masks, anchors = scene
    value, gradient = value_and_gradient(
        lambda e: local_contrastive_loss(e, masks, anchors, **settings_of_loss), embeddings
    )
    expected, expected_gradient = value_and_gradient(
        lambda e: local_contrastive_reference(e, masks, anchors, **settings_of_loss), embeddings
    )
    # both compute in float64; what is left is the order of a few hundred additions
    torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-8, atol=1e-10)


def random_scene(seed, num_pairs=3, num_classes=3, num_pixels=20, absent=0.3):
    """Embeddings, masks (some empty) and anchors inside the masks, all in float64."""
    generator = make_generator(seed)
    embeddings = torch.randn(
        (2 * num_pairs, 4, num_pixels), generator=generator, dtype=torch.float64
    )
    labels = torch.randint(0, num_classes + 1, (2 * num_pairs, num_pixels), generator=generator)
    masks = labels[:, None, :] == torch.arange(1, num_classes + 1)[None, :, None]
    gone = torch.rand((2 * num_pairs, num_classes, 1), generator=generator) < absent
    masks = masks & ~gone
    return embeddings, masks, draw_anchors(masks, 3, generator)


@settings(deadline=None, max_examples=12)
@given(
    seed=st.integers(0, 2**31),
    num_pairs=st.integers(1, 3),
    num_classes=st.integers(1, 4),
    absent=st.sampled_from((0.0, 0.3, 0.6)),
    temperature=st.sampled_from((0.07, 0.1, 0.5)),
    variant=st.sampled_from([*FORMS, *(form | LEGACY for form in FORMS)]),
)
def test_loss_and_gradient_equal_the_loop_over_the_formula(
    seed, num_pairs, num_classes, absent, temperature, variant
):
    scene = random_scene(seed, num_pairs, num_classes, absent=absent)
    # without any valid anchor the loop has no gradient to compare
    assume(scene[1].any(dim=2).all(dim=0).any())
    compare(scene, temperature=temperature, **variant)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("absent_in", [(0,), (2,), (0, 2)])
def test_class_absent_from_a_view_gives_no_terms_and_is_no_negative_there(absent_in, form):
    embeddings, masks, anchors = random_scene(5, num_pairs=2, absent=0.0)
    for view in absent_in:
        masks[view, 1] = False
        anchors[view, 1] = 0
    compare((embeddings, masks, anchors), temperature=TEMPERATURE, **form)


def clusters(num_classes, num_views=4):
    """One pixel of every class, whose masks are therefore the unit matrix, and anchors in them."""
    masks = torch.eye(num_classes, dtype=torch.bool).expand(num_views, -1, -1)
    return masks, draw_anchors(masks, 3, make_generator())


@pytest.mark.parametrize(("form", "means"), [(INTRA, 1), (BOTH, 2), (TARGET_ONLY, 1)])
@pytest.mark.parametrize("num_classes", [1, 2, 3, 7])
def test_collapsed_embedding_costs_the_logarithm_of_all_means(num_classes, form, means):
    embeddings = torch.ones(4, 6, num_classes, dtype=torch.float64)
    # closed form; float64 rounding of a cosine of 1, over tau
    assert loss_of(embeddings, *clusters(num_classes), **form).item() == pytest.approx(
        math.log(means * num_classes), abs=1e-9
    )


@pytest.mark.parametrize(("form", "floor"), [(INTRA, 0), (BOTH, math.log(2)), (TARGET_ONLY, 0)])
def test_perfect_clusters_reach_the_floor(form, floor):
    simplex = torch.eye(3, dtype=torch.float64) - 1 / 3  # three classes, 120 degrees apart
    loss = loss_of(simplex.expand(4, -1, -1), *clusters(3), **form).item()
    # the other classes' share is 2 e^{-1.5 / tau} = 6e-7 of the own class's
    assert loss == pytest.approx(floor + math.log1p(2 * math.exp(-15)), abs=1e-9)


@pytest.mark.parametrize("form", FORMS)
def test_legacy_weight_of_a_single_pair_is_the_intended_scale_of_twice_the_mean(form):
    scene = random_scene(10, num_pairs=1, absent=0.0)
    assert loss_of(*scene, **form, **LEGACY).item() == pytest.approx(
        2 * loss_of(*scene, **form).item(), rel=1e-12
    )


@pytest.mark.parametrize(("form", "divisor"), [(INTRA, 9), (BOTH, 18), (TARGET_ONLY, 18)])
def test_legacy_weight_falls_by_the_divisor_from_pair_to_pair(form, divisor):
    scene = random_scene(11, num_pairs=1, absent=0.0)
    alike = [part.repeat_interleave(4, 0) for part in scene]  # four equal pairs
    _, gradient = value_and_gradient(lambda e: loss_of(e, *alike[1:], **form, **LEGACY), alike[0])
    for view in (0, 1, 2, 4, 5, 6):
        torch.testing.assert_close(gradient[view + 1], divisor * gradient[view])


def test_settings_left_out_are_those_of_the_published_loss_with_every_pair_counted_alike():
    scene = random_scene(13)
    assert loss_of(*scene).item() == loss_of(*scene, **BOTH).item()


def test_gradient_equals_finite_differences():
    embeddings, masks, anchors = random_scene(3, num_pairs=1, num_pixels=8, absent=0.0)
    embeddings.requires_grad_()
    assert torch.autograd.gradcheck(lambda e: loss_of(e, masks, anchors, 0.5), (embeddings,))


def test_gradient_flows_through_the_means_too():
    embeddings, masks, anchors = random_scene(4, num_pairs=1, absent=0.0)
    embeddings.requires_grad_()
    loss_of(embeddings, masks, anchors).backward()
    is_anchor = torch.zeros(embeddings.shape[0], embeddings.shape[2], dtype=torch.bool)
    is_anchor.scatter_(1, anchors.flatten(1), value=True)
    only_in_means = masks.any(dim=1) & ~is_anchor
    moved = embeddings.grad.abs().sum(dim=1) > 0
    assert only_in_means.any()
    assert moved[only_in_means].all()
    assert not moved[~masks.any(dim=1)].any()  # the background takes no part


@pytest.mark.parametrize("settings_of_loss", [INTRA, BOTH, TARGET_ONLY, BOTH | LEGACY])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", ["no mask", "one view empty", "zero embeddings", "one pixel zero"])
def test_degenerate_input_gives_a_finite_loss_and_gradient(kind, dtype, settings_of_loss):
    embeddings, masks, anchors = random_scene(6, num_pairs=2, absent=0.3)
    if kind == "no mask":
        masks = torch.zeros_like(masks)
        anchors = torch.zeros_like(anchors)
    elif kind == "one view empty":
        masks[0] = False
        anchors[0] = 0
    elif kind == "zero embeddings":
        embeddings = torch.zeros_like(embeddings)
    else:
        embeddings[:, :, 0] = 0
    embeddings = embeddings.to(dtype).requires_grad_()
    loss = loss_of(embeddings, masks, anchors, **settings_of_loss)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(embeddings.grad).all()


def test_without_a_common_class_the_loss_is_zero_with_a_zero_gradient():
    embeddings, masks, anchors = random_scene(7, num_pairs=2, num_classes=2, absent=0.0)
    masks[:2, 0] = False
    masks[2:, 1] = False
    embeddings.requires_grad_()
    loss = loss_of(embeddings, masks, anchors)
    loss.backward()
    assert loss.item() == 0
    assert not embeddings.grad.any()


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**31), scale=st.floats(1e-3, 1e3))
def test_length_of_the_embeddings_does_not_matter(seed, scale):
    embeddings, masks, anchors = random_scene(seed)
    # the epsilon of the cosine is 1e-8, embeddings are 1e-3 or more long
    assert loss_of(scale * embeddings, masks, anchors).item() == pytest.approx(
        loss_of(embeddings, masks, anchors).item(), abs=1e-9
    )


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 2**31))
def test_order_of_classes_and_of_pairs_does_not_matter(seed):
    embeddings, masks, anchors = random_scene(seed)
    before = loss_of(embeddings, masks, anchors).item()
    generator = make_generator(seed)
    classes = torch.randperm(masks.shape[1], generator=generator)
    pairs = torch.randperm(len(masks) // 2, generator=generator)
    rows = torch.cat((pairs, pairs + len(masks) // 2))
    after = loss_of(embeddings[rows], masks[rows][:, classes], anchors[rows][:, classes])
    assert after.item() == pytest.approx(before, abs=1e-10)  # order of additions in float64


@pytest.mark.parametrize("form", FORMS)
def test_no_value_is_read_back_from_the_device(form):
    scene = random_scene(14)
    shapes = run_without_values(lambda *parts: loss_of(*parts, **form), *scene)
    assert shapes == ((), scene[0].shape)


@pytest.mark.parametrize("autocast", [False, True])
def test_half_precision_is_computed_in_single_precision(autocast):
    embeddings, masks, anchors = random_scene(8)
    halved = embeddings.bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss = loss_of(halved, masks, anchors)
    assert loss.dtype == torch.float32
    # equal input values: only float32 rounding, enlarged by 1 / tau, is left
    assert loss.item() == pytest.approx(loss_of(halved.double(), masks, anchors).item(), abs=1e-4)
    # 8 bits of mantissa: cosines move by up to 1 %, scores by up to 0.1
    assert loss.item() == pytest.approx(loss_of(embeddings, masks, anchors).item(), abs=0.1)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**31),
    num_pixels=st.sampled_from((1, 2, 17, 400)),
    share=st.sampled_from((0.01, 0.5, 1.0)),
)
def test_anchors_lie_inside_their_mask(seed, num_pixels, share):
    generator = make_generator(seed)
    masks = torch.rand((4, 3, num_pixels), generator=generator) < share
    anchors = draw_anchors(masks, 5, generator)
    inside = masks.gather(2, anchors)
    assert inside[masks.any(dim=2)].all()
    assert (anchors[~masks.any(dim=2)] == 0).all()


def test_anchors_are_uniform_over_the_mask():
    masks = torch.zeros(1, 1, 100, dtype=torch.bool)
    members = [0, 1, 2, 30, 31, 57, 98, 99]
    masks[0, 0, members] = True
    anchors = draw_anchors(masks, 40_000, make_generator(12))
    counts = torch.bincount(anchors.flatten(), minlength=100)[members].numpy()
    # seed fixed; a fair draw falls below one in a thousand only once in a thousand seeds
    assert stats.chisquare(counts).pvalue > 1e-3


def test_last_pixel_of_a_large_mask_can_be_drawn_and_nothing_beyond_it():
    size = 300 * 300
    masks = torch.ones(1, 1, size, dtype=torch.bool)
    anchors = draw_anchors(masks, 200_000, make_generator(1))
    assert anchors.max() < size
    # 200 000 draws leave the last thousandth empty with a chance of e^-200
    assert anchors.max() > 0.999 * size
