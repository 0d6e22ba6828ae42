"""Pre-training by masked images: which pixels are taken out, what counts, what is handed over."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from learning_doubles import CPU, make_generator, make_network

from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.pretraining_config import MaskedConfig, Pretraining, PretrainingConfig
from PseudoLabelCLLib.learning.losses.masked_pixels import masked_pixel_loss
from PseudoLabelCLLib.learning.pretraining.masked_stage import MaskedStage, draw_squares
from PseudoLabelCLLib.learning.pretraining.pretraining import StageInputs
from PseudoLabelCLLib.learning.pretraining.volume_batches import OrderedVolume, VolumePool
from PseudoLabelCLLib.pipeline.rounds.pretrain import transferred_weights
from PseudoLabelCLLib.storage.project.pretraining_record import PretrainingSettings

SMALL = NetworkConfig(widths=(4, 4, 8, 8, 8, 8), embedding_size=4)
CONFIG = MaskedConfig(num_steps=60, batch_size=4, square_side=4, learning_rate=3e-3)


def stripes(num_channels=1):
    """Volumes of broad stripes: what is taken out can be guessed from what is left."""
    made = []
    places = np.arange(32)
    for number in range(3):
        wave = np.sin(2 * np.pi * (places + 3 * number) / 16) + 2
        slices = np.broadcast_to(wave, (6, num_channels, 32, 32)) * np.linspace(1, 2, 6).reshape(
            6, 1, 1, 1
        )
        made.append(OrderedVolume(slices.astype(np.float32)))
    return VolumePool(made)


def stage(config=CONFIG, seed=1, num_channels=1):
    network = make_network(config=SMALL, num_channels=num_channels)
    return MaskedStage(StageInputs(network, stripes(num_channels), CPU, seed), config)


@pytest.mark.parametrize(
    ("shape", "side", "fraction"),
    [((32, 32), 4, 0.6), ((30, 34), 8, 0.75), ((16, 48), 16, 0.1), ((8, 8), 16, 0.5)],
)
def test_so_many_whole_squares_are_masked_in_every_slice(shape, side, fraction):
    masks = draw_squares(5, shape, side, fraction, make_generator())
    assert masks.shape == (5, 1, *shape)
    rows, columns = (-(-size // side) for size in shape)
    for mask in masks[:, 0].numpy():
        squares = [
            mask[i * side : (i + 1) * side, j * side : (j + 1) * side]
            for i in range(rows)
            for j in range(columns)
        ]
        assert all(square.all() or not square.any() for square in squares)
        assert sum(square.all() for square in squares) == max(1, round(fraction * rows * columns))


def test_slices_are_masked_in_other_places_and_the_generator_decides():
    masks = [draw_squares(4, (32, 32), 4, 0.6, make_generator(3)) for _ in range(2)]
    assert torch.equal(*masks)
    assert len({mask.numpy().tobytes() for mask in masks[0]}) == 4


def test_loss_is_the_squared_error_on_masked_pixels_in_units_of_the_slices_variance():
    rng = np.random.default_rng(0)
    images = rng.normal(3, 2, (2, 2, 6, 6)).astype(np.float32)
    images[1, :, :3] = 0  # padding
    filled = rng.normal(size=images.shape).astype(np.float32)
    masked = rng.random((2, 1, 6, 6)) < 0.5
    squared = []
    for n in range(2):
        inside = np.ones((6, 6), bool) if n == 0 else np.arange(36).reshape(6, 6) >= 18
        for c in range(2):
            own = images[n, c][inside].astype(float)
            target = (images[n, c] - own.mean()) / own.std()
            squared += [*((filled[n, c] - target)[inside & masked[n, 0]] ** 2)]
    found = masked_pixel_loss(*(torch.from_numpy(one) for one in (filled, images, masked)))
    assert found.item() == pytest.approx(np.mean(squared), rel=1e-5)


def test_filling_in_the_mean_costs_about_one_and_the_truth_nothing():
    images = stripes().draw(8, make_generator()).images
    masked = draw_squares(8, (32, 32), 4, 0.6, make_generator())
    mean = masked_pixel_loss(torch.zeros_like(images), images, masked)
    assert mean.item() == pytest.approx(stage().collapsed_loss(), abs=0.1)
    truth = (images - images.mean(dim=(2, 3), keepdim=True)) / images.std(
        dim=(2, 3), keepdim=True, correction=0
    )
    assert masked_pixel_loss(truth, images, masked).item() == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("images", [torch.zeros((1, 1, 8, 8)), torch.ones((1, 1, 8, 8))])
def test_slices_without_contrast_are_no_reason_for_a_loss_without_end(images):
    masked = torch.ones((1, 1, 8, 8), dtype=torch.bool)
    filled = torch.zeros_like(images, requires_grad=True)
    loss = masked_pixel_loss(filled, images, masked)
    loss.backward()
    assert loss.item() == 0
    assert filled.grad.isfinite().all()


def test_the_network_sees_nothing_of_what_is_masked():
    one = stage()
    seen = []
    one.network.backbone.encoder[0].register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    next(one.steps())
    assert (seen[0] == 0).float().mean(dim=(1, 2, 3)).tolist() == pytest.approx(
        [0.6] * CONFIG.batch_size, abs=0.01
    )  # the stripes themselves are nowhere 0


@pytest.mark.parametrize("num_channels", [1, 2])
def test_loss_falls_and_the_seed_decides(num_channels):
    losses = [list(chain(*stage(num_channels=num_channels).steps())) for _ in range(2)]
    assert losses[0] == losses[1]
    assert np.mean(losses[0][-5:]) < 0.9 * np.mean(losses[0][:5])


def test_encoder_and_whole_decoder_are_trained_and_handed_over():
    one = stage(replace(CONFIG, num_steps=1))
    before = {name: weight.clone() for name, weight in one.network.named_parameters()}
    next(one.steps())
    after = dict(one.network.named_parameters())
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    config = PretrainingConfig(Pretraining.MASKED)
    names = set(transferred_weights(one.network, PretrainingSettings(config, SMALL, None, 0)))
    assert changed <= names
    assert {name for name in names if before[name].dim() > 1} <= changed
    heads = ("segmentation_head", "classifier", "projection_head")
    assert not any(name.startswith(heads) for name in names)
    assert names == {name for name in before if not name.startswith(heads)}


def test_rate_falls_as_a_cosine():
    one = stage(replace(CONFIG, num_steps=100))
    rates = []
    for step in (0, 50, 99):
        one.step = step
        rates.append(one.learning_rate())
    assert rates == pytest.approx([3e-3, 1.5e-3, 0], abs=1e-5)
