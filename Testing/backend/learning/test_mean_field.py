"""Mean-field smoothing: what the formula says, and what it does to noise and to small things."""

import math

import numpy as np
import pytest
import torch
from learning_doubles import make_generator

from PseudoLabelCLLib.learning.networks.mean_field import mean_field

PUBLISHED = {"num_iterations": 30, "sigma_px": 10.0, "neighbour_weight": 30.0, "self_weight": 10.0}


def random_probabilities(shape=(2, 3, 6, 5), sharpness=2.0, seed=0, dtype=torch.float32):
    logits = torch.randn(shape, generator=make_generator(seed), dtype=dtype)
    return (sharpness * logits).softmax(dim=1)


def disk_with_core(side=64):
    """A disk (1) of radius 20 with a core (2) of radius 10, as class indices."""
    rows, columns = np.indices((side, side))
    distance = np.hypot(rows - side / 2, columns - side / 2)
    return torch.from_numpy((distance < 20).astype(np.int64) + (distance < 10))


def noisy_probabilities(classes, noise, seed=0):
    logits = torch.nn.functional.one_hot(classes).movedim(2, 0)[None].float()
    logits += noise * torch.randn(logits.shape, generator=make_generator(seed))
    return logits.softmax(dim=1)


def sure_disk(radius, side=64):
    """Probabilities 0 and 1 of a disk, and its class indices."""
    rows, columns = np.indices((side, side))
    inside = np.hypot(rows - side / 2, columns - side / 2) < radius
    classes = torch.from_numpy(inside.astype(np.int64))
    return torch.nn.functional.one_hot(classes).movedim(2, 0)[None].float(), classes


def mean_dice(found, truth):
    scores = [
        2 * int(((found == c) & (truth == c)).sum()) / int((found == c).sum() + (truth == c).sum())
        for c in (1, 2)
    ]
    return sum(scores) / 2


def gaussian(one, other, sigma_px):
    squared = (one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2
    return math.exp(-squared / (2 * sigma_px**2)) / (2 * math.pi * sigma_px**2)


def slow_mean_field(p, *, num_iterations, sigma_px, neighbour_weight, self_weight):
    """The formula for one slice, pixel by pixel, with the Gaussian over both axes at once."""
    num_classes, rows, columns = p.shape
    pixels = [(row, column) for row in range(rows) for column in range(columns)]
    norm = {a: sum(gaussian(a, b, sigma_px) for b in pixels) for a in pixels}
    q = p.copy()
    for _ in range(num_iterations):
        new = np.empty_like(q)
        for a in pixels:
            scores = np.empty(num_classes)
            for c in range(num_classes):
                message = sum(
                    gaussian(a, b, sigma_px) / math.sqrt(norm[a] * norm[b]) * q[c][b]
                    for b in pixels
                )
                unary = math.log(min(max(p[c][a], 1e-5), 1))
                scores[c] = unary + neighbour_weight * message + self_weight * q[c][a]
            weights = np.exp(scores - scores.max())
            new[:, a[0], a[1]] = weights / weights.sum()
        q = new
    return q


@pytest.mark.parametrize("sigma_px", [0.7, 10.0])
def test_smoothing_is_the_formula_pixel_by_pixel(sigma_px):
    settings = {
        "num_iterations": 3,
        "sigma_px": sigma_px,
        "neighbour_weight": 3.0,
        "self_weight": 1.5,
    }
    probabilities = random_probabilities(dtype=torch.float64)
    probabilities[0, :, 2, 3] = torch.tensor([1.0, 0.0, 0.0])  # log 0 is held at log 1e-5
    found = mean_field(probabilities, **settings)
    for ours, p in zip(found, probabilities, strict=True):
        # both in float64: only the order of the sums differs
        np.testing.assert_allclose(ours, slow_mean_field(p.numpy(), **settings), atol=1e-10)


def test_slices_do_not_know_each_other():
    probabilities = random_probabilities((3, 4, 16, 12))
    together = mean_field(probabilities, **PUBLISHED)
    alone = torch.cat([mean_field(one[None], **PUBLISHED) for one in probabilities])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-4)  # float32, other order of sums


def test_result_is_a_probability():
    smoothed = mean_field(random_probabilities((2, 4, 24, 32)), **PUBLISHED)
    torch.testing.assert_close(smoothed.sum(dim=1), torch.ones(2, 24, 32))
    assert smoothed.min() >= 0


def test_no_iteration_changes_nothing():
    probabilities = random_probabilities()
    assert torch.equal(
        mean_field(probabilities, **{**PUBLISHED, "num_iterations": 0}), probabilities
    )


def test_without_the_neighbourhood_the_most_likely_class_stays():
    probabilities = random_probabilities((2, 4, 24, 32))
    alone = mean_field(probabilities, **{**PUBLISHED, "neighbour_weight": 0.0})
    assert torch.equal(alone.argmax(dim=1), probabilities.argmax(dim=1))


def test_without_its_own_weight_a_wide_neighbourhood_erases_a_structure_it_is_sure_of():
    sure, classes = sure_disk(radius=8.5)
    # the disk fills 0.30 of its neighbourhood in its middle and 0.22 at its edge; against log 1e-5
    # = -11.5 and 30 times the rest it needs more than 0.31 without its own weight, 0.14 with it
    erased = mean_field(sure, **{**PUBLISHED, "self_weight": 0.0}).argmax(dim=1)
    kept = mean_field(sure, **PUBLISHED).argmax(dim=1)
    assert not erased.any()
    assert int((kept[0] & classes).sum()) > 0.95 * int(classes.sum())  # four pixels of its edge go


def test_a_small_structure_is_lost_even_with_the_published_weights():
    sure, _ = sure_disk(radius=3.5)  # fills 0.06 of its neighbourhood
    assert not mean_field(sure, **PUBLISHED).argmax(dim=1).any()


def test_scattered_noise_goes_and_structures_stay():
    truth = disk_with_core()
    noisy = noisy_probabilities(truth, noise=0.6)
    before = mean_dice(noisy.argmax(dim=1)[0], truth)
    settings = {**PUBLISHED, "sigma_px": 2.0}
    after = mean_dice(mean_field(noisy, **settings).argmax(dim=1)[0], truth)
    assert before < 0.7
    assert after > 0.95


def test_border_of_a_slice_is_smoothed_like_its_middle():
    flat = torch.tensor([0.6, 0.4])[None, :, None, None].expand(1, 2, 32, 48).contiguous()
    smoothed = mean_field(flat, **{**PUBLISHED, "num_iterations": 1, "sigma_px": 2.0})
    closed_form = torch.tensor([math.log(0.6) + 40 * 0.6, math.log(0.4) + 40 * 0.4]).softmax(dim=0)
    # in the middle N is constant, so that the neighbourhood is a plain mean
    assert smoothed[0, 0, 16, 24] == pytest.approx(float(closed_form[0]), abs=1e-5)
    # N^{-1/2} on both sides leaves a border at worst a few percent off; plain G would halve it
    assert (smoothed[0, 0] > 0.99).all()
