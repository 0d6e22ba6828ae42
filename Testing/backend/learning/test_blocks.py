"""Networks in 3-D: blocks of slices, the same losses, the same changes of every slice."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from learning_doubles import (
    CPU,
    NO_CHANGE,
    NUM_CLASSES,
    TINY,
    make_generator,
    make_network,
    training_config,
)

from PseudoLabelCLLib.domain.config import PseudoLabelConfig
from PseudoLabelCLLib.domain.method_config import (
    AugmentationConfig,
    ContrastiveConfig,
    CopyPasteConfig,
)
from PseudoLabelCLLib.learning import inference
from PseudoLabelCLLib.learning.checkpoint import (
    network_from_bytes,
    read_checkpoint,
    restore,
    save_checkpoint,
    weights_to_bytes,
)
from PseudoLabelCLLib.learning.copies import CopyTransform, draw_copies
from PseudoLabelCLLib.learning.inference import predict_slices
from PseudoLabelCLLib.learning.losses.consistency import consistency_loss
from PseudoLabelCLLib.learning.losses.segmentation import segmentation_loss
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.training.augmentation import augment
from PseudoLabelCLLib.learning.training.patches import Patches
from PseudoLabelCLLib.learning.training.sampling import (
    IGNORED_CLASS,
    MERGED_CLASS,
    LabelledSlices,
    RoundData,
    SlicePool,
)
from PseudoLabelCLLib.learning.training.training import Trainer, start_training

BLOCK = (4, 16, 16)
TINY_3D = replace(TINY, strides=((1, 2, 2), (2, 2, 2)), kernels=((1, 3, 3), (3, 3, 3), (3, 3, 3)))
UNCHANGED = (CopyTransform(),)


def ball_volume(shape=(9, 30, 34), seed=0):
    """A ball (class 1) with a core (class 2) in a volume."""
    places = np.indices(shape)
    middle = [size / 2 for size in shape]
    distance = np.sqrt(sum(((p - m) / m) ** 2 for p, m in zip(places, middle, strict=True)))
    classes = (distance < 0.7).astype(np.uint8) + (distance < 0.35)
    noise = np.random.default_rng(seed).normal(0, 0.03, shape)
    images = np.array((0.1, 0.55, 0.95))[classes] + noise
    return LabelledSlices(images.astype(np.float32)[:, None], classes.astype(np.uint8))


def block_pool(*cases, share=0.5, shape=BLOCK):
    return SlicePool(cases, NUM_CLASSES, Patches(shape, share))


def slice_numbers(batch):
    """Which slices a block holds, where every voxel's intensity is its slice's number from 1."""
    return [[int(one.max()) - 1 for one in block[0]] for block in batch.images]


def numbered(num_slices=8, chosen=None, left_out=None, value=1):
    classes = np.zeros((num_slices, 16, 16), np.uint8)
    classes[:, 4:9, 4:9] = value
    images = np.zeros(classes.shape, np.float32)
    images += np.arange(1, num_slices + 1, dtype=np.float32)[:, None, None]
    numbers = None if chosen is None else np.array(chosen)
    return LabelledSlices(images[:, None], classes, numbers, left_out)


# --- which blocks are drawn ---


def test_block_lies_around_the_drawn_slice_and_inside_the_volume():
    batch = block_pool(numbered()).draw(60, make_generator())
    assert batch.images.shape == (60, 1, *BLOCK)
    for numbers in slice_numbers(batch):
        assert numbers == list(range(numbers[0], numbers[0] + 4))
    assert {numbers[0] for numbers in slice_numbers(batch)} == {0, 1, 2, 3, 4}


def test_slices_that_are_no_truth_are_ignored_in_a_block():
    batch = block_pool(numbered(chosen=[3])).draw(20, make_generator())
    for numbers, classes in zip(slice_numbers(batch), batch.classes, strict=True):
        assert 3 in numbers
        for number, one in zip(numbers, classes, strict=True):
            assert bool((one == IGNORED_CLASS).all()) is (number != 3)
    assert block_pool(numbered(chosen=[3])).has_ignored
    assert not block_pool(numbered()).has_ignored


def test_volume_of_fewer_slices_than_a_block_lies_in_its_middle_on_background():
    (block,) = block_pool(numbered(2)).draw(1, make_generator()).classes
    assert (block[[0, 3]] == 0).all()
    assert (block[[1, 2]] == 1).any()


def test_short_volume_of_which_one_slice_is_truth_ignores_the_other_and_nothing_around():
    (block,) = block_pool(numbered(2, chosen=[1])).draw(1, make_generator()).classes
    assert (block[1] == IGNORED_CLASS).all()
    assert (block[2] == 1).any()
    assert (block[[0, 3]] == 0).all()


def test_what_is_left_out_of_any_slice_of_a_block_is_not_known_in_it():
    left_out = np.zeros((8, 2), np.bool_)
    left_out[5] = (False, True)
    left_out[6] = (True, False)
    one = numbered(left_out=left_out, chosen=[0, 1, 2, 3, 4, 5, 7])
    batch = block_pool(one).draw(60, make_generator())
    for numbers, left in zip(slice_numbers(batch), batch.left_out, strict=True):
        # slice 6 takes no part, and so what is left out of it says nothing
        assert left.tolist() == [False, 5 in numbers]


# --- losses ---


def test_losses_take_a_block_as_one_image_of_all_its_voxels():
    generator = make_generator()
    logits = torch.randn((2, 3, *BLOCK), generator=generator)
    target = torch.randn(logits.shape, generator=generator).softmax(dim=1)
    flat, flat_target = (t.reshape(2, 3, 16, 64) for t in (logits, target))
    weights = {"dice_weight": 1.0, "cross_entropy_weight": 1.0}
    counts = torch.rand((2, *BLOCK), generator=generator) < 0.5
    torch.testing.assert_close(
        segmentation_loss(logits, target, **weights, counts=counts),
        segmentation_loss(flat, flat_target, **weights, counts=counts.reshape(2, 16, 64)),
    )
    torch.testing.assert_close(
        consistency_loss(logits, target, min_confidence=0.4),
        consistency_loss(flat, flat_target, min_confidence=0.4),
    )


def test_left_out_structures_of_a_block_have_no_dice_and_cost_nothing_where_they_may_be():
    target = torch.zeros((1, 4, *BLOCK))
    target[:, 3] = 1  # background or what is left out, everywhere
    left_out = torch.tensor([[False, True]])
    logits = torch.zeros((1, 3, *BLOCK))
    logits[:, 2, 0] = 20.0  # the structure that was left out
    logits[:, 0, 1:] = 20.0
    loss = segmentation_loss(
        logits, target, dice_weight=0.0, cross_entropy_weight=1.0, left_out=left_out
    )
    assert float(loss) == pytest.approx(0.0, abs=1e-6)


# --- changes ---

EVERY_CHANGE = AugmentationConfig(shift_fraction=0.1, gamma_fraction=0.3, blur_fraction=0.5)


@pytest.mark.parametrize("config", [AugmentationConfig(), EVERY_CHANGE], ids=["usual", "all"])
def test_every_slice_of_a_block_is_warped_alike_and_as_a_slice_is(config):
    still = replace(config, contrast_fraction=0.0, brightness=0.0, gamma_fraction=0.0)
    volume = ball_volume((4, 16, 20))
    images = torch.from_numpy(volume.images).movedim(1, 0)[None]
    targets = torch.nn.functional.one_hot(torch.from_numpy(volume.classes).long(), 3)
    targets = targets.movedim(3, 0)[None].float()
    block = augment(images, targets, still, make_generator(3))
    assert block.images.shape == images.shape
    for number in range(4):
        one = augment(images[:, :, number], targets[:, :, number], still, make_generator(3))
        torch.testing.assert_close(block.images[:, :, number], one.images)
        torch.testing.assert_close(block.targets[:, :, number], one.targets)
    torch.testing.assert_close(block.targets.sum(dim=1), torch.ones((1, 4, 16, 20)))


def test_intensity_of_a_block_changes_as_a_whole():
    config = replace(NO_CHANGE, contrast_fraction=0.5, brightness=0.3)
    images = torch.from_numpy(ball_volume((4, 16, 16)).images).movedim(1, 0)[None]
    changed = augment(images, torch.ones((1, 2, 4, 16, 16)) / 2, config, make_generator(1)).images
    design = np.stack((images.flatten().numpy(), np.ones(images.numel())), axis=1)
    fitted = np.linalg.lstsq(design, changed.flatten().numpy(), rcond=None)
    assert float(fitted[1][0]) < 1e-6  # one straight line for all voxels


# --- network ---


def test_network_keeps_the_size_and_has_both_heads():
    network = make_network(config=TINY_3D)
    logits, embeddings = network.segment_and_embed(torch.rand((3, 1, *BLOCK)), 2)
    assert logits.shape == (2, NUM_CLASSES, *BLOCK)
    assert embeddings.shape == (1, 4, *BLOCK)


def test_coarse_axis_is_not_mixed_on_the_levels_that_leave_it_alone():
    flat = replace(TINY, strides=((1, 2, 2),), kernels=((1, 3, 3), (1, 3, 3)))
    network = make_network(config=flat).eval()
    images = torch.rand((1, 1, *BLOCK), generator=make_generator())
    changed = images.clone()
    changed[:, :, 2] += 1
    with torch.no_grad():
        differs = (network(images) != network(changed)).flatten(3).any(dim=3)[0].any(dim=0)
    assert differs.tolist() == [False, False, True, False]


def test_weights_of_a_network_in_3d_come_back_from_a_file():
    network = make_network(3, config=TINY_3D).eval()
    again = network_from_bytes(weights_to_bytes(network), TINY_3D, NUM_CLASSES).eval()
    images = torch.rand((1, 1, *BLOCK))
    with torch.no_grad():
        assert torch.equal(network(images), again(images))


def test_new_network_keeps_the_size_of_what_goes_through_it():
    # He et al.: features neither vanish nor explode from the first layer to the last
    wide = replace(TINY_3D, widths=(16,) * 6)
    network = make_network(config=wide).train()
    with torch.no_grad():
        logits = network(torch.randn((2, 1, 8, 32, 32), generator=make_generator()))
    assert 0.3 < float(logits.std()) < 3


# --- training ---


def joint_data():
    truth = replace(ball_volume(seed=1), chosen=np.array([2, 4, 5]))
    return RoundData(block_pool(truth), block_pool(ball_volume((6, 40, 20), seed=2)))


def test_resumed_joint_round_of_all_losses_equals_an_uninterrupted_one(tmp_path):
    config = training_config(
        num_steps=4, batch_size=2, contrastive=ContrastiveConfig(num_pairs=2),
        copy_paste=CopyPasteConfig(weight=1.0, num_slices=1), pseudo_label_weight=0.1,
    )  # fmt: skip

    def trainer(network):
        state = start_training(network, config.joint, CPU, 5)
        return Trainer(state, joint_data(), config, CPU)

    whole = trainer(make_network(config=TINY_3D))
    reports = list(whole.steps())
    assert len(reports[-1].losses) == 5
    assert all(np.isfinite(list(report.losses.values())).all() for report in reports)

    interrupted = trainer(make_network(config=TINY_3D))
    for report in interrupted.steps():
        if report.step == 2:
            break
    save_checkpoint(tmp_path / "checkpoint.pt", interrupted.state, {})
    resumed = trainer(make_network(9, config=TINY_3D))
    content = read_checkpoint(tmp_path / "checkpoint.pt", torch.device("cpu"))
    restore(content, resumed.state, tmp_path / "checkpoint.pt")
    list(resumed.steps())
    expected = whole.state.network.state_dict()
    for name, value in resumed.state.network.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_network_in_3d_learns_a_ball():
    config = training_config(num_steps=60, batch_size=2, augmentation=NO_CHANGE)
    config = replace(config, supervised=replace(config.supervised, learning_rate=1e-2))
    data = RoundData(block_pool(ball_volume()), SlicePool((), NUM_CLASSES))
    network = make_network(config=replace(TINY_3D, widths=(8,) * 6))
    state = start_training(network, config.supervised, CPU, 0)
    list(Trainer(state, data, config, CPU).steps())
    ball = ball_volume(seed=7)
    found = predict_slices(state.average, ball.images, UNCHANGED, CPU, BLOCK).copies[0]
    assert (found == ball.classes).mean() > 0.95


# --- prediction ---


class VoxelNetwork(SegmentationNetwork):
    """Looks at single voxels of blocks."""

    def __init__(self):
        super().__init__(TINY_3D, 2, make_generator())

    def forward(self, images):
        return torch.cat((torch.zeros_like(images), 20 * (images - 0.5)), dim=1)


def test_small_volume_is_predicted_at_once_as_the_network_sees_it_padded():
    network, images = make_network(config=TINY_3D), ball_volume().images
    found = predict_slices(network, images, UNCHANGED, CPU, BLOCK)
    padded = np.zeros((10, 32, 36), np.float32)
    padded[:9, 1:31, 1:35] = images[:, 0]
    with torch.no_grad():
        said = network.eval()(torch.from_numpy(padded)[None, None]).softmax(dim=1)[0]
    expected = said.movedim(0, 1)[:9, :, 1:31, 1:35].numpy()
    np.testing.assert_array_equal(found.probabilities, expected)
    np.testing.assert_array_equal(found.copies[0], expected.argmax(axis=1))


@pytest.mark.parametrize("num_copies", [1, 3])
def test_windows_of_a_large_volume_say_what_the_whole_says(num_copies, monkeypatch):
    copies = draw_copies(PseudoLabelConfig(num_augmented_copies=num_copies), 2, mirror=False)
    images = ball_volume((23, 30, 34)).images
    at_once = predict_slices(VoxelNetwork(), images, copies, CPU, BLOCK)
    monkeypatch.setattr(inference, "LARGEST_VOLUME", 100)
    in_windows = predict_slices(VoxelNetwork(), images, copies, CPU, BLOCK)
    np.testing.assert_allclose(in_windows.probabilities, at_once.probabilities, atol=1e-5)
    assert (in_windows.copies == at_once.copies).mean() > 0.999


def test_copies_of_a_volume_are_changed_alike_on_every_slice():
    copies = draw_copies(PseudoLabelConfig(num_augmented_copies=4), 2, mirror=True)
    images = ball_volume((5, 30, 34)).images
    found = predict_slices(VoxelNetwork(), images, copies, CPU, BLOCK)
    for number in range(5):
        one = predict_slices(VoxelNetwork(), images[number : number + 1], copies, CPU, BLOCK)
        np.testing.assert_allclose(found.probabilities[number], one.probabilities[0], atol=1e-5)
        np.testing.assert_array_equal(found.copies[:, number], one.copies[:, 0])


def test_merged_voxels_of_a_block_are_truth_of_a_marginal_kind():
    left_out = np.tile(np.array([[False, True]]), (8, 1))
    one = numbered(left_out=left_out)
    one.classes[one.classes == 0] = MERGED_CLASS
    data = RoundData(block_pool(one), SlicePool((), NUM_CLASSES))
    assert data.has_left_out
    config = training_config(num_steps=2, batch_size=2)
    state = start_training(make_network(config=TINY_3D), config.supervised, CPU, 0)
    reports = list(Trainer(state, data, config, CPU).steps())
    assert all(np.isfinite(list(report.losses.values())).all() for report in reports)


def test_images_of_one_patient_stay_together_in_a_block():
    one = numbered()
    two = LabelledSlices(np.concatenate((one.images, 10 * one.images), axis=1), one.classes)
    batch = block_pool(two).draw(5, make_generator())
    assert batch.images.shape == (5, 2, *BLOCK)
    assert torch.equal(batch.images[:, 1], 10 * batch.images[:, 0])
    data = RoundData(block_pool(two), block_pool(two))
    config = training_config(num_steps=1, batch_size=2)
    network = SegmentationNetwork(TINY_3D, NUM_CLASSES, make_generator(), 2)
    state = start_training(network, config.joint, CPU, 0)
    (report,) = Trainer(state, data, config, CPU).steps()
    assert all(np.isfinite(list(report.losses.values())))
    found = predict_slices(network, two.images, UNCHANGED, CPU, BLOCK)
    assert found.probabilities.shape == (8, NUM_CLASSES, 16, 16)
