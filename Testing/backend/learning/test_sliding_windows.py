"""Images of any size: padded where the network needs it, windows where they are large."""

import numpy as np
import pytest
import torch
from learning_doubles import CPU, ThresholdNetwork, make_network
from monai.inferers.utils import sliding_window_inference

from PseudoLabelCLLib.domain.config import PseudoLabelConfig
from PseudoLabelCLLib.learning import inference
from PseudoLabelCLLib.learning.copies import CopyTransform, draw_copies
from PseudoLabelCLLib.learning.inference import predict_slices
from PseudoLabelCLLib.learning.sliding_windows import (
    OVERLAP,
    WindowPlan,
    predict_any_size,
    predict_slabs,
)


class Uneven:
    """Says something else of a pixel in every window: a probability that depends on its place."""

    def __init__(self):
        self.shapes = []

    def __call__(self, images):
        self.shapes.append(tuple(images.shape[2:]))
        ramp = torch.linspace(0, 1, images[0, 0].numel()).reshape(images.shape[2:])
        first = (images[:, :1] + ramp) / 3
        return torch.cat((first, 1 - first), dim=1)


def random_images(shape, batch=2):
    return torch.rand((batch, 1, *shape), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("space", "window"),
    [
        ((50, 70), (32, 32)),
        ((64, 40), (32, 40)),
        ((33, 200), (32, 64)),
        ((20, 41, 30), (8, 16, 16)),
    ],
)
def test_windows_are_weighted_as_monai_does(space, window):
    images = random_images(space)
    plan = WindowPlan((1,) * len(space), window, largest=0)
    ours = predict_any_size(Uneven(), images, plan)
    theirs = sliding_window_inference(images, window, 1, Uneven(), overlap=OVERLAP, mode="gaussian")
    torch.testing.assert_close(ours, theirs)


def test_small_images_go_at_once_and_are_padded_to_what_the_network_needs():
    asked = Uneven()
    found = predict_any_size(asked, random_images((40, 64)), WindowPlan((32, 32), (32, 32), 9999))
    assert asked.shapes == [(64, 64)]
    assert found.shape == (2, 2, 40, 64)


def test_padding_lies_around_the_image_and_not_on_it():
    images = random_images((40, 50))
    plan = WindowPlan((32, 32), (32, 32), 9999)
    assert torch.equal(predict_any_size(lambda padded: padded, images, plan), images)


def test_windows_larger_than_a_side_are_padded_alike_on_both_sides():
    seen = []
    plan = WindowPlan((32, 32), (64, 32), largest=0)
    predict_any_size(lambda padded: seen.append(padded) or padded, random_images((40, 64)), plan)
    for padded in seen:
        assert padded.shape[2:] == (64, 32)
        rows = padded[0, 0].any(dim=1).nonzero().flatten()
        assert (int(rows[0]), int(rows[-1])) == (12, 51)


@pytest.mark.parametrize("largest", [0, 10**6])
@pytest.mark.parametrize("space", [(20, 41, 30), (5, 16, 40), (8, 8, 8), (23, 10, 10)])
def test_volume_in_slabs_is_the_volume_at_once(space, largest):
    volume = random_images(space, batch=1)
    plan = WindowPlan((4, 8, 8), (8, 16, 16), largest)
    parts = list(predict_slabs(Uneven(), lambda part: volume[:, :, part], space, plan))
    numbers = [n for part, _ in parts for n in range(part.start, part.stop)]
    assert numbers == list(range(space[0]))
    found = torch.cat([said for _, said in parts]).movedim(0, 1)[None]
    torch.testing.assert_close(found, predict_any_size(Uneven(), volume, plan))


def test_slabs_never_read_more_than_a_window_is_deep():
    volume, depths = random_images((50, 16, 16), batch=1), []

    def read(part):
        depths.append(part.stop - part.start)
        return volume[:, :, part]

    plan = WindowPlan((4, 8, 8), (8, 16, 16), largest=100)
    for part, said in predict_slabs(Uneven(), read, (50, 16, 16), plan):
        assert len(said) == part.stop - part.start <= 8
    assert max(depths) == 8


def odd_slices():
    rng = np.random.default_rng(3)
    return rng.random((3, 1, 45, 70), np.float32)


def test_slices_of_any_size_are_predicted_as_they_lie_in_a_padded_one():
    images, network = odd_slices(), make_network()
    found = predict_slices(network, images, (CopyTransform(),), CPU).probabilities
    padded = np.zeros((3, 1, 64, 96), np.float32)
    padded[:, :, 9 : 9 + 45, 13 : 13 + 70] = images
    expected = predict_slices(network, padded, (CopyTransform(),), CPU).probabilities
    np.testing.assert_array_equal(found, expected[:, :, 9 : 9 + 45, 13 : 13 + 70])


def test_large_slices_go_window_by_window_in_every_copy(monkeypatch):
    network, images = ThresholdNetwork(), odd_slices()
    copies = draw_copies(PseudoLabelConfig(num_augmented_copies=3), 1, mirror=False)
    at_once = predict_slices(network, images, copies, CPU)
    monkeypatch.setattr(inference, "LARGEST_SLICE", 100)
    monkeypatch.setattr(inference, "LARGEST_SLICE_WINDOW", 32)
    in_windows = predict_slices(network, images, copies, CPU)
    # this network looks at single pixels, so that windows cannot differ but by rounding
    np.testing.assert_allclose(in_windows.probabilities, at_once.probabilities, atol=1e-5)
    assert (in_windows.copies == at_once.copies).mean() > 0.999
