"""The training loop: it learns, repeats and resumes exactly, and shrinks when it must."""

import math
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from learning_doubles import (
    CPU,
    HALF_CPU,
    NO_CHANGE,
    NUM_CLASSES,
    TINY,
    CrowdedNetwork,
    make_generator,
    make_network,
    phantom_slices,
    pool,
    round_data,
    training_config,
)

from PseudoLabelCLLib.domain.config import LearningRate, StageConfig
from PseudoLabelCLLib.domain.errors import TrainingError
from PseudoLabelCLLib.domain.method_config import (
    ContrastForm,
    ContrastiveConfig,
    CopyPasteConfig,
    Denominator,
    IncompleteSlices,
)
from PseudoLabelCLLib.learning.checkpoint import read_checkpoint, restore, save_checkpoint
from PseudoLabelCLLib.learning.losses.local_contrast import draw_anchors
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.optimizer_step import HalfDoneStepError
from PseudoLabelCLLib.learning.training.loss_terms import jitter_views
from PseudoLabelCLLib.learning.training.sampling import LabelledSlices, RoundData, SlicePool
from PseudoLabelCLLib.learning.training.training import (
    Trainer,
    learning_rate,
    start_training,
)


def make_trainer(data, config, *, device=CPU, network=None, seed=5):
    stage = config.joint if data.is_joint else config.supervised
    state = start_training(network or make_network(), stage, device, seed)
    return Trainer(state, data, config, device)


def run(trainer, num_steps=None):
    reports = []
    for report in trainer.steps():
        reports.append(report)
        if len(reports) == num_steps:
            break
    return reports


def assert_same_weights(first, second):
    ours, theirs = first.state_dict(), second.state_dict()
    different = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    assert not different


class StillNetwork(SegmentationNetwork):
    """Batch normalisation keeps its running averages, so that slices do not see each other."""

    def train(self, mode=True):
        return super().train(mode=False)


def test_supervised_round_reports_the_segmentation_loss_of_every_step():
    reports = run(make_trainer(round_data(joint=False), training_config()))
    assert [report.step for report in reports] == [1, 2, 3, 4]
    assert all(set(report.losses) == {"segmentation"} for report in reports)


def test_joint_round_reports_all_three_losses():
    reports = run(make_trainer(round_data(joint=True), training_config()))
    assert set(reports[0].losses) == {"segmentation", "contrastive", "consistency"}
    assert all(math.isfinite(loss) for report in reports for loss in report.losses.values())


def test_loss_without_weight_is_not_computed():
    config = training_config()
    config = replace(
        config,
        contrastive=replace(config.contrastive, weight=0.0),
        consistency=replace(config.consistency, weight=0.0),
    )
    reports = run(make_trainer(round_data(joint=True), config), 1)
    assert set(reports[0].losses) == {"segmentation"}


@pytest.mark.parametrize("joint", [False, True])
def test_same_seed_gives_the_same_weights(joint):
    first, second, other = (
        make_trainer(round_data(joint=joint), training_config(), seed=seed) for seed in (5, 5, 6)
    )
    for trainer in (first, second, other):
        run(trainer)
    assert_same_weights(first.state.network, second.state.network)
    assert not torch.equal(
        first.state.network.classifier.weight, other.state.network.classifier.weight
    )


@pytest.mark.parametrize("device", [CPU, HALF_CPU], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("joint", [False, True], ids=["supervised", "joint"])
def test_resumed_run_equals_an_uninterrupted_one(joint, device, tmp_path):
    config = training_config(num_steps=6)
    whole = make_trainer(round_data(joint=joint), config, device=device)
    run(whole)

    interrupted = make_trainer(round_data(joint=joint), config, device=device)
    run(interrupted, 2)
    save_checkpoint(tmp_path / "checkpoint.pt", interrupted.state, {"note": 1})

    resumed = make_trainer(
        round_data(joint=joint), config, device=device, network=make_network(99), seed=77
    )
    content = read_checkpoint(tmp_path / "checkpoint.pt", torch.device("cpu"))
    restore(content, resumed.state, tmp_path / "checkpoint.pt")
    reports = run(resumed)
    assert [report.step for report in reports] == [3, 4, 5, 6]
    assert_same_weights(resumed.state.network, whole.state.network)
    assert_same_weights(resumed.state.average, whole.state.average)


def test_training_learns_one_phantom_slice():
    slices = phantom_slices(1)
    config = training_config(num_steps=120, batch_size=2, augmentation=NO_CHANGE)
    config = replace(config, supervised=replace(config.supervised, learning_rate=1e-2))
    data = RoundData(pool(slices), SlicePool((), NUM_CLASSES))
    trainer = make_trainer(
        data, config, network=make_network(config=replace(TINY, widths=(8,) * 6))
    )
    reports = run(trainer)
    network = trainer.state.average.eval()
    with torch.no_grad():
        found = network(torch.from_numpy(slices.images)).argmax(dim=1)[0].numpy()
    for c in (1, 2):
        ours, truth = found == c, slices.classes[0] == c
        assert 2 * (ours & truth).sum() / (ours.sum() + truth.sum()) > 0.95
    assert reports[-1].losses["segmentation"] < 0.3 * reports[0].losses["segmentation"]


def test_loss_that_is_not_a_number_stops_the_training_in_words():
    slices = phantom_slices(2)
    slices.images[:, :, 10, 10] = np.nan
    data = RoundData(pool(slices), SlicePool((), NUM_CLASSES))
    with pytest.raises(TrainingError, match="not a number after step 1"):
        run(make_trainer(data, training_config()))


def test_short_memory_splits_the_batch_until_it_fits():
    config = training_config(num_steps=2, batch_size=8)
    network = CrowdedNetwork(limit=2)
    trainer = make_trainer(round_data(joint=False), config, network=network)
    reports = run(trainer)
    assert len(reports) == 2
    assert trainer.num_parts == 4
    # whole batch, halves, quarters; the next step begins with quarters
    assert network.seen == [8, 4, 2, 2, 2, 2, 2, 2, 2, 2]


def test_joint_batch_is_split_in_all_its_kinds_of_slices():
    config = training_config(num_steps=1, batch_size=4)
    network = CrowdedNetwork(limit=6)
    trainer = make_trainer(round_data(joint=True), config, network=network)
    reports = run(trainer)
    # 4 with truth, 2 unlabelled, 2 pairs: 10 slices, then two parts of 5
    assert network.seen == [10, 5, 5]
    assert set(reports[0].losses) == {"segmentation", "contrastive", "consistency"}


def test_what_a_step_held_that_did_not_fit_is_free_before_the_next_try():
    class HoldsSomething(CrowdedNetwork):
        def _take(self, images):
            held = torch.zeros(3)
            self.held = weakref.ref(held)
            super()._take(images)

    network = HoldsSomething(limit=1)
    config = training_config(num_steps=1, batch_size=4)
    trainer = make_trainer(round_data(joint=False), config, network=network)
    assert trainer._descend_if_it_fits(trainer._draw()) is None
    assert network.held() is None


def test_memory_too_short_for_one_slice_is_passed_on():
    trainer = make_trainer(
        round_data(joint=False), training_config(batch_size=4), network=CrowdedNetwork(limit=0)
    )
    with pytest.raises(torch.OutOfMemoryError):
        run(trainer)
    assert trainer.num_parts == 4
    assert trainer.state.step == 0


@pytest.mark.parametrize("spared", [0, 1, 5])
def test_step_that_ran_out_of_memory_amid_the_weights_is_never_done_again(spared, monkeypatch):
    """The optimiser's own step: `spared` weights have changed by then."""
    trainer = make_trainer(round_data(joint=False), training_config(batch_size=4))
    optimizer, before = trainer.state.optimizer, weights_of(trainer)
    calls = []

    def interrupted():
        calls.append(1)
        with torch.no_grad():
            for weight in optimizer.param_groups[0]["params"][:spared]:
                weight.sub_(0.01)
        raise torch.OutOfMemoryError("no memory left, says the test")

    monkeypatch.setattr(optimizer, "step", interrupted)
    with pytest.raises(HalfDoneStepError, match="no memory left"):
        run(trainer)
    assert len(calls) == 1
    assert trainer.state.step == 0
    changed = [not torch.equal(*pair) for pair in zip(before, weights_of(trainer), strict=True)]
    assert sum(changed) == spared


def weights_of(trainer):
    return [weight.detach().clone() for weight in trainer.state.network.parameters()]


def test_retried_step_draws_what_the_first_try_would_have_drawn():
    config = training_config(num_steps=1, batch_size=4)
    roomy = make_trainer(round_data(joint=False), config, network=CrowdedNetwork(limit=2))
    told = make_trainer(round_data(joint=False), config, network=CrowdedNetwork(limit=2))
    told.num_parts = 2
    run(roomy)
    run(told)
    assert torch.equal(roomy.state.generator.get_state(), told.state.generator.get_state())
    assert torch.equal(roomy.state.network.classifier.weight, told.state.network.classifier.weight)


def gradients_in_parts(data, config, num_parts):
    network = StillNetwork(TINY, NUM_CLASSES, make_generator())
    trainer = make_trainer(data, config, network=network)
    trainer.num_parts = num_parts
    losses = run(trainer, 1)[0].losses
    return losses, {
        name: parameter.grad
        for name, parameter in network.named_parameters()
        if parameter.grad is not None
    }


@pytest.mark.parametrize("num_parts", [2, 3, 4])
@pytest.mark.parametrize("joint", [False, True], ids=["supervised", "joint"])
def test_gradients_of_parts_add_up_to_those_of_the_whole_batch(num_parts, joint):
    # without random changes and with one pixel per class all parts see what the whole sees;
    # consistency is left out, since its Dice is pooled over the batch on purpose
    truth, pseudo = phantom_slices(5, seed=1), phantom_slices(5, seed=2)
    for slices in (truth, pseudo):
        slices.classes[:] = 0
        slices.classes[:, 20, 30] = 1
        slices.classes[:, 40, 33] = 2
    config = training_config(
        batch_size=4,
        augmentation=NO_CHANGE,
        contrastive=ContrastiveConfig(num_pairs=4, brightness=0.0, contrast_fraction=0.0),
    )
    config = replace(config, consistency=replace(config.consistency, weight=0.0))
    data = RoundData(pool(truth), pool(*([pseudo] if joint else [])))
    losses, whole = gradients_in_parts(data, config, 1)
    losses_of_parts, parts = gradients_in_parts(data, config, num_parts)
    assert losses_of_parts == pytest.approx(losses, rel=1e-4)
    for name, gradient in whole.items():
        # float32 sums in another order, relative to the largest entry
        scale = max(gradient.abs().max().item(), 1e-6)
        torch.testing.assert_close(parts[name], gradient, rtol=0, atol=2e-4 * scale, msg=name)


def test_average_follows_the_network_and_takes_it_over_without_decay():
    config = training_config()
    trainer = make_trainer(
        round_data(joint=False),
        replace(config, supervised=replace(config.supervised, average_decay=0.0)),
    )
    run(trainer)
    assert_same_weights(trainer.state.average, trainer.state.network)


def test_average_is_the_published_recursion_with_a_short_start():
    trainer = make_trainer(round_data(joint=False), training_config())
    expected = trainer.state.average.classifier.weight.detach().double().clone()
    for report in trainer.steps():
        decay = min(0.99, report.step / (report.step + 10))
        newest = trainer.state.network.classifier.weight.detach().double()
        expected = decay * expected + (1 - decay) * newest
    # four float32 steps against float64
    torch.testing.assert_close(
        trainer.state.average.classifier.weight.double(), expected, rtol=0, atol=1e-6
    )


def test_teacher_of_unlabelled_slices_is_the_average_and_stays_untouched_by_the_gradient():
    trainer = make_trainer(round_data(joint=True), training_config(num_steps=1))
    run(trainer)
    assert all(p.grad is None for p in trainer.state.average.parameters())


def test_learning_rate_rises_and_falls_once():
    stage = StageConfig(num_steps=100, batch_size=2, learning_rate=1e-2)
    rates = [learning_rate(stage, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.04 * 1e-2)
    assert max(rates) == pytest.approx(1e-2)
    assert np.argmax(rates) == 30
    assert (np.diff(rates[:31]) > 0).all()
    assert (np.diff(rates[30:]) < 0).all()
    assert rates[-1] < 1e-4


def test_learning_rate_can_fall_as_a_cosine():
    stage = StageConfig(
        num_steps=100, batch_size=2, learning_rate=1e-3, schedule=LearningRate.COSINE
    )
    rates = [learning_rate(stage, step) for step in (0, 25, 50, 75)]
    # 1e-3 (1 + cos(pi t)) / 2
    assert rates == pytest.approx([1e-3, 0.85355e-3, 0.5e-3, 0.14645e-3], rel=1e-4)


def test_learning_rate_can_stay_constant():
    stage = StageConfig(
        num_steps=100, batch_size=2, learning_rate=1e-3, schedule=LearningRate.CONSTANT
    )
    assert {learning_rate(stage, step) for step in range(100)} == {1e-3}


def test_jitter_keeps_pixels_in_place_and_in_the_published_range():
    images = torch.from_numpy(phantom_slices(12).images).clamp(0.45, 0.9)
    config = ContrastiveConfig(brightness=0.2, contrast_fraction=0.3)
    changed = jitter_views(images, config, make_generator(3))
    assert changed.min() >= 0
    assert changed.max() <= 1.5
    for before, after in zip(images.numpy(), changed.numpy(), strict=True):
        slope, offset = np.polyfit(before.ravel(), after.ravel(), 1)
        assert 0.7 <= slope <= 1.3
        np.testing.assert_allclose(after, slope * before + offset, atol=1e-4)  # float32
        assert abs(after.mean() - before.mean()) <= 0.2 + 1e-4


@pytest.mark.parametrize("shared", [True, False])
def test_jitter_changes_each_channel_by_itself(shared):
    images = torch.from_numpy(phantom_slices(4).images).repeat(1, 2, 1, 1)
    config = ContrastiveConfig(brightness=0.2, contrast_fraction=0.3, one_change_per_half=shared)
    changed = jitter_views(images, config, make_generator(3))
    assert ((changed[:, 0] - changed[:, 1]).abs().amax(dim=(1, 2)) > 0.01).all()


def test_joint_step_trains_a_network_of_two_channels():
    def two_channels(seed):
        one = phantom_slices(5, seed=seed)
        return LabelledSlices(np.concatenate([one.images, 1 - one.images], axis=1), one.classes)

    data = RoundData(pool(two_channels(1)), pool(two_channels(2)))
    trainer = make_trainer(data, training_config(num_steps=2), network=make_network(num_channels=2))
    assert all(np.isfinite(list(report.losses.values())).all() for report in run(trainer))


def test_truth_of_pseudo_labelled_slices_never_reaches_the_segmentation_loss():
    config = training_config(
        num_steps=1, augmentation=NO_CHANGE, contrastive=ContrastiveConfig(weight=0.0)
    )
    config = replace(config, consistency=replace(config.consistency, weight=0.0))
    good, bad = phantom_slices(5, seed=2), phantom_slices(5, seed=2)
    bad.classes[:] = 2
    first, second = (
        make_trainer(RoundData(pool(phantom_slices(5, seed=1)), pool(pseudo)), config)
        for pseudo in (good, bad)
    )
    run(first)
    run(second)
    assert_same_weights(first.state.network, second.state.network)


def test_pseudo_labels_reach_the_contrastive_loss():
    config = training_config(num_steps=1)
    other = phantom_slices(5, seed=2)
    moved = LabelledSlices(other.images, np.roll(other.classes, 9, axis=1))
    first, second = (
        make_trainer(RoundData(pool(phantom_slices(5, seed=1)), pool(pseudo)), config)
        for pseudo in (other, moved)
    )
    losses = [run(trainer)[0].losses for trainer in (first, second)]
    assert losses[0]["segmentation"] == losses[1]["segmentation"]
    assert losses[0]["contrastive"] != losses[1]["contrastive"]


def joint_losses(config, truth_seed=1, pseudo=None):
    pseudo = pseudo or phantom_slices(5, seed=2)
    data = RoundData(pool(phantom_slices(5, seed=truth_seed)), pool(pseudo))
    trainer = make_trainer(data, config)
    return run(trainer, 1)[0].losses, trainer


def test_plain_self_training_takes_pseudo_labels_for_truth_only_where_it_is_asked_for():
    config = replace(training_config(num_steps=1), pseudo_label_weight=1.0)
    losses, trainer = joint_losses(config)
    blank = phantom_slices(5, seed=2)
    blank.classes[:] = 0
    other_losses, other = joint_losses(config, pseudo=blank)
    assert losses["self-training"] != other_losses["self-training"]
    gradients = [t.state.network.classifier.weight.grad for t in (trainer, other)]
    assert not torch.allclose(*gradients)
    assert "self-training" not in joint_losses(training_config(num_steps=1))[0]


def test_copy_paste_is_a_loss_of_its_own_with_its_own_weight():
    config = replace(
        training_config(num_steps=1), copy_paste=CopyPasteConfig(weight=1.0, num_slices=2)
    )
    losses, trainer = joint_losses(config)
    doubled = replace(config, copy_paste=replace(config.copy_paste, weight=2.0))
    same_losses, other = joint_losses(doubled)
    assert losses == same_losses
    assert math.isfinite(losses["copy-paste"])
    gradients = [t.state.network.classifier.weight.grad for t in (trainer, other)]
    assert not torch.allclose(*gradients)


@pytest.mark.parametrize(
    ("changes", "largest"),
    [
        # ln C and ln 2C with C = 2 (Docs/methods.md), of embeddings that are all alike
        ({"form": ContrastForm.INTRA}, math.log(2)),
        ({"form": ContrastForm.INTER}, math.log(4)),
        ({"denominator": Denominator.TARGET_ONLY}, math.log(2)),
    ],
)
def test_form_of_the_contrastive_loss_is_the_one_that_was_asked_for(changes, largest):
    network = make_network()
    with torch.no_grad():
        network.projection_head[-1].weight.zero_()
    config = training_config(num_steps=1)
    config = replace(config, contrastive=replace(config.contrastive, **changes))
    trainer = make_trainer(round_data(joint=True), config, network=network)
    assert run(trainer, 1)[0].losses["contrastive"] == pytest.approx(largest, rel=1e-5)


def incomplete_data():
    truth, pseudo = phantom_slices(5, seed=1), phantom_slices(5, seed=2)
    pseudo.classes[pseudo.classes == 2] = 1
    return RoundData(pool(truth), pool(pseudo))


def test_slices_that_lack_a_class_serve_and_are_counted():
    trainer = make_trainer(incomplete_data(), training_config(num_steps=3))
    reports = run(trainer)
    assert all(report.incomplete for report in reports)
    assert all("segmentation" in report.losses for report in reports)
    complete = run(make_trainer(round_data(joint=True), training_config(num_steps=3)))
    assert not any(report.incomplete for report in complete)


def skipping_config(num_steps):
    config = training_config(num_steps=num_steps)
    skip = replace(config.contrastive, incomplete_slices=IncompleteSlices.SKIP)
    return replace(config, contrastive=skip)


def test_steps_are_skipped_as_often_as_300_draws_bring_fewer_than_five_complete_slices():
    # one of 75 slices is complete: 300 draws bring 4 on average, fewer than five in 63 % of steps
    rare = phantom_slices(75, (32, 32), seed=2)
    rare.classes[1:][rare.classes[1:] == 2] = 1
    data = RoundData(pool(phantom_slices(5, (32, 32), seed=1)), pool(rare))
    trainer = make_trainer(data, skipping_config(60))
    reports = run(trainer)
    skipped = [report for report in reports if report.incomplete]
    assert all(report.losses == {} for report in skipped)
    # 60 steps with probability 0.63: three standard deviations are 11
    assert abs(len(skipped) - 0.63 * 60) <= 11
    assert all("segmentation" in r.losses for r in reports if not r.incomplete)


def test_a_round_in_which_every_step_would_be_skipped_is_refused():
    with pytest.raises(TrainingError, match="every step would be skipped"):
        make_trainer(incomplete_data(), skipping_config(3))


def test_views_share_one_change_per_half_where_asked():
    images = torch.full((8, 1, 4, 4), 0.5)
    config = ContrastiveConfig(brightness=0.3, contrast_fraction=0.0, one_change_per_half=True)
    means = jitter_views(images, config, make_generator(4)).mean(dim=(1, 2, 3))
    assert len(set(means[:4].tolist())) == 1
    assert len(set(means[4:].tolist())) == 1
    assert means[0] != means[4]


def test_one_pixel_masks_leave_no_choice_of_anchors():
    masks = torch.zeros(2, 1, 9, dtype=torch.bool)
    masks[:, :, 4] = True
    assert (draw_anchors(masks, 3, make_generator()) == 4).all()
