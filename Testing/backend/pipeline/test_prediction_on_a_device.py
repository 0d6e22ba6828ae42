"""Probabilities stay on the device: what comes back is a byte for each thing that is kept."""

import math

import numpy as np
import pytest
import torch
from learning_doubles import ThresholdNetwork, grid, make_model
from unreadable_device import UNREADABLE, NoAutocast, WatchedCopies

from PseudoLabelCLLib.domain.config import PseudoLabelConfig
from PseudoLabelCLLib.domain.method_config import CleanUpConfig
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.learning import to_host
from PseudoLabelCLLib.learning.copies import CopyTransform
from PseudoLabelCLLib.learning.inference import predict_parts
from PseudoLabelCLLib.pipeline.prediction import segment_volume as segment_module
from PseudoLabelCLLib.pipeline.prediction.segment_volume import (
    NO_CLEAN_UP,
    Refinement,
    most_likely_classes,
    segment_slices,
)
from PseudoLabelCLLib.pipeline.slices.slice_grid import (
    NUMBERS_AT_ONCE,
    SLICES_AT_ONCE,
    SliceGrid,
    slice_grid,
)

GEOMETRY = grid((40, 36, 24), (1.5, 1.5, 3.0))
VOLUME = Volume(np.zeros(GEOMETRY.array_shape, np.float32), GEOMETRY)
NUM_VOXELS = 40 * 36 * 24


@pytest.fixture
def returned(monkeypatch):
    """What the host is given; the device itself cannot be read."""
    found = []

    def noted(*tensors):
        assert all(tensor.device.type == "meta" for tensor in tensors)
        found.extend((tensor.dtype, tensor.numel()) for tensor in tensors)
        return to_host.Returning(tuple(torch.zeros_like(t, device="cpu") for t in tensors), None)

    monkeypatch.setattr(torch, "autocast", NoAutocast)
    monkeypatch.setattr(segment_module, "start_return", noted)
    monkeypatch.setattr(to_host, "start_return", noted)
    return found


def a_case(**settings):
    copies = PseudoLabelConfig(num_augmented_copies=4)
    model = make_model(
        ThresholdNetwork().to("meta"), schema=LabelSchema.from_values((7,)), pseudo_label=copies
    )
    where = slice_grid(VOLUME, model.card.preprocess)
    images = where.images_to_network(where.slices_of(VOLUME.array))[:, None]
    return model, where, images


@pytest.mark.parametrize("clean_up", [NO_CLEAN_UP, CleanUpConfig(num_iterations=3, sigma_px=2.0)])
def test_a_proposal_comes_back_as_classes_and_steps_of_uncertainty(returned, clean_up):
    model, where, images = a_case()
    with WatchedCopies() as copies:
        segment_slices(model, images, where, GEOMETRY, UNREADABLE, Refinement(clean_up))
    assert {dtype for dtype, _ in returned} == {torch.uint8}
    # on the volume's grid classes and uncertainty, on the network's the mean's and four copies'
    window = math.prod(where.window_shape) * 24
    assert sum(number for _, number in returned) == 2 * NUM_VOXELS + 5 * window
    assert {shape[0] for shape in copies.waited} <= {4, 16}  # slices going there, nothing else


def test_validation_in_a_round_gets_classes_alone(returned):
    model, where, images = a_case()
    predicted = predict_parts(model.network, images, (CopyTransform(),), UNREADABLE)
    assert most_likely_classes(predicted, where).shape == (24, *where.native_shape)
    assert returned
    assert {dtype for dtype, _ in returned} == {torch.uint8}
    assert sum(number for _, number in returned) == NUM_VOXELS


@pytest.mark.parametrize(
    ("native", "classes", "expected"),
    [((64, 64), 4, SLICES_AT_ONCE), ((512, 512), 14, SLICES_AT_ONCE), ((1024, 1024), 20, 3),
     ((8192, 8192), 20, 1)],
)  # fmt: skip
def test_probabilities_that_are_put_back_together_are_bounded(native, classes, expected):
    where = SliceGrid(2, 300, native, (200, 200), (192, 192), (4, 4))
    assert where.slices_at_once(classes) == expected
    assert expected == 1 or expected * classes * math.prod(native) <= NUMBERS_AT_ONCE


def test_results_come_one_after_the_other_each_while_the_next_is_computed():
    started = []

    def results():
        for number in range(3):
            started.append(number)
            yield slice(number, number + 1), (torch.full((1, 2), number),)

    for number, (part, (array,)) in enumerate(to_host.on_the_host(results())):
        assert part == slice(number, number + 1)
        assert array.tolist() == [[number, number]]
        assert started == list(range(min(3, number + 2)))
