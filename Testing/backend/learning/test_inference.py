"""Prediction over changed copies: what is turned is turned back, and memory may be short."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_doubles import (
    CPU,
    HALF_CPU,
    TINY,
    CrowdedNetwork,
    ThresholdNetwork,
    make_generator,
    make_network,
)
from scipy import ndimage

from PseudoLabelCLLib.domain.config import PseudoLabelConfig
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.copies import UNSEEN_CLASS, CopyTransform, draw_copies
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.inference import predict_slices
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork

UNCHANGED = (CopyTransform(),)


def blob_slices(shape=(64, 96), num_slices=2):
    rows, columns = np.indices(shape)
    images = []
    for n in range(num_slices):
        row, column = shape[0] * 0.45 + 3 * n, shape[1] * 0.55 - 4 * n
        squared = ((rows - row) / 12) ** 2 + ((columns - column) / 17) ** 2
        images.append(1 / (1 + np.exp(8 * (squared - 1))))  # soft border, 1 inside
    return np.stack(images).astype(np.float32)[:, None]


def plain_prediction(network, images):
    with torch.no_grad():
        return network.eval()(torch.from_numpy(images)).softmax(dim=1).numpy()


class DecidedNetwork(SegmentationNetwork):
    """An untrained network, whose classes are almost alike, with its scores pulled apart."""

    def forward(self, images):
        scores = super().forward(images)
        return 3 * torch.nn.functional.instance_norm(scores)


def plain_turned_prediction(network, images, copy):
    """One slice at a time, sampled pixel by pixel with scipy, and turned back the same way.

    Returns the probabilities, which fade out where the copy ends, and what is left of a 1 there.
    """
    shape = images.shape[2:]
    middle = (np.array(shape) - 1) / 2
    angle = np.radians(copy.angle_deg)
    turn = np.array(((np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle)))) / copy.zoom
    # what is zero beyond the border fades out over one pixel, as when sampling between pixels
    turn = np.diag((1, -1 if copy.mirrored else 1)) @ turn

    def sampled(image, matrix):
        offset = middle - matrix @ middle
        return ndimage.affine_transform(image, matrix, offset, order=1, mode="grid-constant")

    results = []
    for image in images:
        moved = sampled(image[0], turn).astype(np.float32)
        there = plain_prediction(network, moved[None, None])[0]
        results.append(np.stack([sampled(one, np.linalg.inv(turn)) for one in there]))
    return np.stack(results), sampled(np.ones(shape), np.linalg.inv(turn))


def test_prediction_is_the_mean_of_a_plain_loop_over_slices_and_copies():
    network = DecidedNetwork(TINY, 3, make_generator())
    images = np.concatenate([blob_slices((32, 64), 3)] * 2)
    images += np.linspace(0, 0.3, 6, dtype=np.float32)[:, None, None, None]
    copies = draw_copies(PseudoLabelConfig(num_augmented_copies=4), 5, mirror=True)
    prediction = predict_slices(network, images, copies, CPU)
    turned = [plain_turned_prediction(network, images, copy) for copy in copies]
    each, seen = (np.stack(parts) for parts in zip(*turned, strict=True))
    # positions are rounded to float32, by 1e-5 of a pixel
    expected = each.sum(axis=0) / seen.sum(axis=0)
    np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-3)
    ordered = np.sort(each, axis=2)
    clear = (ordered[:, :, -1] - ordered[:, :, -2] > 2e-3) & (np.abs(seen - 0.5) > 0.01)[:, None]
    assert clear.mean() > 0.8
    winners = np.where(seen[:, None] < 0.5, UNSEEN_CLASS, each.argmax(axis=2))
    assert (winners == UNSEEN_CLASS).any()
    np.testing.assert_array_equal(prediction.copies[clear], winners[clear])


def test_unchanged_copy_is_the_networks_own_prediction():
    network, images = make_network(), blob_slices()
    prediction = predict_slices(network, images, UNCHANGED, CPU)
    expected = plain_prediction(network, images)
    assert prediction.probabilities.dtype == np.float32
    assert prediction.copies.dtype == np.uint8
    np.testing.assert_array_equal(prediction.probabilities, expected)
    np.testing.assert_array_equal(prediction.copies[0], expected.argmax(axis=1))


def test_mirrored_copy_is_turned_back_exactly():
    network, images = make_network(), blob_slices()
    prediction = predict_slices(network, images, (CopyTransform(mirrored=True),), CPU)
    expected = plain_prediction(network, images[..., ::-1].copy())[..., ::-1]
    # sampling positions hit pixel centres up to float32 rounding (1e-5 of a pixel)
    np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(64, 64), (64, 96), (96, 32)])
@pytest.mark.parametrize(
    "copy",
    [
        CopyTransform(angle_deg=25.0),
        CopyTransform(angle_deg=-30.0, mirrored=True),
        CopyTransform(zoom=1.1),
        CopyTransform(angle_deg=17.0, zoom=0.9, mirrored=True),
    ],
    ids=str,
)
def test_copy_of_a_network_blind_to_direction_lands_where_the_unchanged_one_does(copy, shape):
    network, images = ThresholdNetwork(), blob_slices(shape) * 0.999
    rows, columns = np.indices(shape)
    inside = np.hypot(rows - shape[0] / 2, columns - shape[1] / 2) < min(shape) / 2.5
    unchanged = predict_slices(network, images, UNCHANGED, CPU)
    turned = predict_slices(network, images, (copy,), CPU)
    # two bilinear resamplings blur a border of slope 1/4 per pixel; a shift of one pixel or a
    # wrong angle would change whole bands of the border by more than a half
    difference = np.abs(turned.probabilities - unchanged.probabilities)[:, :, inside]
    assert difference.max() < 0.35
    assert difference.mean() < 0.02
    ours, theirs = (p.copies[0][:, inside] == 1 for p in (turned, unchanged))
    assert 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) > 0.98


def test_average_of_many_copies_keeps_an_equivariant_prediction():
    network, images = ThresholdNetwork(), blob_slices()
    copies = draw_copies(PseudoLabelConfig(num_augmented_copies=8), 3, mirror=True)
    averaged = predict_slices(network, images, copies, CPU)
    unchanged = predict_slices(network, images, UNCHANGED, CPU).probabilities
    ours, theirs = averaged.probabilities[:, 1] > 0.5, unchanged[:, 1] > 0.5
    assert 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) > 0.985
    assert len(averaged.copies) == 8


@settings(deadline=None, max_examples=12)
@given(angle=st.floats(-180, 180), zoom=st.floats(0.7, 1.3), mirrored=st.booleans())
def test_averaged_probabilities_are_probabilities(angle, zoom, mirrored):
    copies = (CopyTransform(), CopyTransform(angle, zoom, mirrored))
    probabilities = predict_slices(make_network(), blob_slices((32, 64)), copies, CPU).probabilities
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)  # float32
    assert probabilities.min() >= -1e-5


def test_a_pixel_that_no_copy_sees_is_background():
    images = np.ones((1, 1, 32, 64), np.float32)
    prediction = predict_slices(ThresholdNetwork(), images, (CopyTransform(angle_deg=90.0),), CPU)
    assert prediction.copies[0, 0, 16, 32] == 1
    assert prediction.copies[0, 0, 16, 2] == UNSEEN_CLASS  # turned out of the low window
    assert prediction.probabilities[0, :, 16, 2].tolist() == [1, 0]


def test_a_copy_that_does_not_see_a_pixel_has_no_say_there():
    """Certain foreground stays as certain up to the border, however the copies are turned."""
    images = np.ones((2, 1, 48, 64), np.float32)
    copies = draw_copies(
        PseudoLabelConfig(num_augmented_copies=6, max_rotation_deg=30, max_scale_fraction=0.1),
        1,
        mirror=False,
    )
    network = ThresholdNetwork()
    alone = predict_slices(network, images, UNCHANGED, CPU).probabilities
    together = predict_slices(network, images, copies, CPU)
    unseen = (together.copies == UNSEEN_CLASS).mean(axis=(0, 1))
    assert unseen.max() > 0.5  # most copies lose the corners
    certain = together.probabilities[:, 1] > 0.5
    # a copy is dark around the slice, which blurs the last pixels of what it sees
    assert certain.mean() > 0.999
    assert np.abs(together.probabilities - alone)[..., 2:-2, 2:-2].max() < 0.05


def test_copies_are_the_same_for_the_same_seed_and_stay_in_their_ranges():
    config = PseudoLabelConfig(num_augmented_copies=20, max_rotation_deg=10, max_scale_fraction=0.2)
    copies = draw_copies(config, 1, mirror=True)
    assert copies == draw_copies(config, 1, mirror=True)
    assert copies != draw_copies(config, 2, mirror=True)
    assert copies[0].is_identity
    assert all(abs(copy.angle_deg) <= 10 and 0.8 <= copy.zoom <= 1.2 for copy in copies)
    assert {copy.mirrored for copy in copies[1:]} == {True, False}


def test_copies_are_not_mirrored_where_training_was_not():
    copies = draw_copies(PseudoLabelConfig(num_augmented_copies=20), 1, mirror=False)
    assert not any(copy.mirrored for copy in copies)


@pytest.mark.parametrize("limit", [1, 3, 5, 16])
def test_short_memory_takes_fewer_slices_at_once_and_changes_nothing(limit):
    images = np.concatenate([blob_slices((32, 32), 2)] * 10)
    images += np.linspace(0, 0.5, 20, dtype=np.float32)[:, None, None, None]
    crowded = CrowdedNetwork(limit)
    prediction = predict_slices(crowded, images, UNCHANGED, CPU)
    worked = [count for count in crowded.seen if count <= limit]
    assert sum(worked) == 20
    # 4 on a CPU, then 2, 1: halved only as often as needed
    assert max(worked) == max(n for n in (4, 2, 1) if n <= limit)
    roomy = predict_slices(CrowdedNetwork(99), images, UNCHANGED, CPU)
    # another number of slices may add up in another order
    np.testing.assert_allclose(prediction.probabilities, roomy.probabilities, atol=1e-5)


def test_memory_too_short_for_one_slice_is_passed_on():
    with pytest.raises(torch.OutOfMemoryError):
        predict_slices(CrowdedNetwork(0), blob_slices(), UNCHANGED, CPU)


def test_every_channel_of_a_slice_is_turned_like_the_others():
    images = blob_slices()
    both = np.concatenate([images, 0.5 * images], axis=1)
    network = make_network(num_channels=2)
    copies = (CopyTransform(mirrored=True),)
    expected = plain_prediction(network, both[..., ::-1].copy())[..., ::-1]
    found = predict_slices(network, both, copies, CPU).probabilities
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_network_is_left_in_evaluation_mode_and_unchanged():
    network = make_network().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    predict_slices(network, blob_slices(), UNCHANGED, CPU)
    assert not network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_half_precision_stays_near_single_precision():
    network, images = ThresholdNetwork(), blob_slices()
    device = HALF_CPU
    device.place(network)
    halved = predict_slices(network, images, UNCHANGED, device)
    single = predict_slices(network, images, UNCHANGED, CPU)
    assert halved.probabilities.dtype == np.float32
    np.testing.assert_allclose(halved.probabilities, single.probabilities, atol=0.05)


def test_slices_mapped_from_disk_read_only_can_be_predicted(tmp_path):
    np.save(tmp_path / "images.npy", blob_slices())
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert predict_slices(make_network(), mapped, UNCHANGED, CPU).copies.shape == (1, 2, 64, 96)


def test_case_of_no_slices_has_a_prediction_of_none():
    prediction = predict_slices(
        make_network(), np.empty((0, 1, 32, 32), np.float32), UNCHANGED, CPU
    )
    assert prediction.probabilities.shape == (0, 3, 32, 32)
    assert prediction.copies.shape == (1, 0, 32, 32)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_gpu_predicts_what_the_cpu_does():
    network, images = make_network(), np.concatenate([blob_slices((64, 96), 2)] * 25)
    images += np.linspace(0, 0.5, 50, dtype=np.float32)[:, None, None]
    copies = draw_copies(PseudoLabelConfig(num_augmented_copies=3), 5, mirror=True)
    here = predict_slices(network, images, copies, CPU)
    gpu = ComputeDevice("cuda", "a GPU", Text("chosen by the test"), half_precision=False)
    gpu.place(network)
    there = predict_slices(network, images, copies, gpu)
    # convolutions may round to ten bits of mantissa there
    np.testing.assert_allclose(there.probabilities, here.probabilities, atol=0.01)
    assert (there.copies == here.copies).mean() > 0.98
