"""The stages of pre-training: views, heads, what each trains, and what round 0 takes over."""

import math
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from learning_doubles import CPU, NO_CHANGE, make_generator, make_network, phantom_slices
from torch import nn
from torch.nn import functional

from PseudoLabelCLLib.domain.errors import ProjectDamagedError, TrainingError
from PseudoLabelCLLib.domain.method_config import AugmentationConfig, Mirror
from PseudoLabelCLLib.domain.network_config import Backbone, NetworkConfig
from PseudoLabelCLLib.domain.pretraining_config import (
    GlobalLocalConfig,
    GlobalStrategy,
    LocalStrategy,
    PositionalConfig,
    Pretraining,
    PretrainingConfig,
)
from PseudoLabelCLLib.learning.networks.pretraining_heads import (
    GlobalHead,
    PositionalHead,
    RegionHead,
)
from PseudoLabelCLLib.learning.pretraining.pretrained_weights import (
    load_pretrained,
    read_pretraining_checkpoint,
    restore_pretraining,
    save_pretrained,
    save_pretraining_checkpoint,
    transferred_names,
)
from PseudoLabelCLLib.learning.pretraining.pretraining import (
    GlobalStage,
    LocalStage,
    PositionalStage,
    StageInputs,
)
from PseudoLabelCLLib.learning.pretraining.views import (
    FULL_CIRCLE_DEG,
    crop_and_enlarge,
    positional_warp,
    warp_views,
)
from PseudoLabelCLLib.learning.pretraining.volume_batches import OrderedVolume, VolumePool
from PseudoLabelCLLib.learning.training.view_intensity import change_intensity
from PseudoLabelCLLib.pipeline.rounds.pretrain import transferred_weights
from PseudoLabelCLLib.storage.project.pretraining_record import PretrainingSettings

SIDE = 32
SMALL = NetworkConfig(widths=(4, 4, 8, 8, 8, 8), embedding_size=4)
BASIC = NetworkConfig(backbone=Backbone.BASIC_UNET, widths=(4, 4, 8, 8, 8, 8), embedding_size=4)
GLOBAL_LOCAL = GlobalLocalConfig(global_steps=25, local_steps=25, num_decoder_blocks=3)
POSITIONAL = PositionalConfig(num_steps=40, batch_size=6, embedding_size=16)


def volumes(num=4, num_slices=8):
    """Volumes whose body grows from slice to slice."""
    made = []
    rows, columns = np.indices((SIDE, SIDE))
    for number in range(num):
        rng = np.random.default_rng(number)
        images = phantom_slices(num_slices, (SIDE, SIDE), number).images * 0.2
        for place in range(num_slices):
            row, column = SIDE / 2 + rng.uniform(-2, 2, 2)
            radius = 3 + (SIDE / 2 - 4) * place / num_slices
            images[place, 0] += np.hypot(rows - row, columns - column) < radius
        made.append(OrderedVolume(images))
    return VolumePool(made)


def stage_of(kind, config, network=None, seed=1):
    network = network or make_network(config=SMALL)
    inputs = StageInputs(network, volumes(), CPU, seed)
    if kind is PositionalStage:
        return kind(inputs, config, positional_warp(AugmentationConfig(mirror=Mirror.NEVER)))
    return kind(inputs, config)


def state_of(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def changed_names(before, network):
    after = network.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}


def is_weight(name):
    return not any(word in name for word in ("running", "num_batches"))


# --- views ---


def test_crop_is_enlarged_as_interpolation_does():
    images = torch.rand((3, 1, 192, 96), generator=make_generator())
    views = crop_and_enlarge(images, 100 / 192, make_generator(5))
    # the same draws: a corner for every slice, rows first
    generator = make_generator(5)
    row_corners = torch.randint(10, 70, (3,), generator=generator)  # as published at 192 pixels
    column_corners = torch.randint(5, 35, (3,), generator=generator)
    for image, view, row, column in zip(images, views, row_corners, column_corners, strict=True):
        crop = image[None, :, row : row + 100, column : column + 50]
        wanted = functional.interpolate(crop, (192, 96), mode="bilinear", align_corners=False)[0]
        # at the border a grid looks beyond the crop where interpolation repeats its last pixel
        np.testing.assert_allclose(view[0, 1:-1, 1:-1], wanted[0, 1:-1, 1:-1], atol=2e-5)


def test_whole_slice_as_crop_is_the_slice():
    images = torch.rand((2, 1, 32, 64), generator=make_generator())
    views = crop_and_enlarge(images, 1.0, make_generator())
    np.testing.assert_allclose(views, images, atol=1e-5)


def test_change_of_intensity_keeps_places_and_limits():
    images = torch.rand((50, 1, 8, 8), generator=make_generator())
    views = change_intensity(
        images, brightness=0.3, contrast_fraction=0.3, is_shared=False, generator=make_generator()
    )
    assert 0 <= float(views.min()) <= float(views.max()) <= 1.5
    for image, view in zip(images.flatten(1), views.flatten(1), strict=True):
        inside = (view > 0) & (view < 1.5)
        slope, shift = np.polyfit(image[inside], view[inside], 1)
        assert 0.7 - 1e-5 <= slope <= 1.3 + 1e-5
        # brighter by b, then (x + b - m - b) f + m + b
        brightness = shift + (slope - 1) * float(image.mean())
        assert abs(brightness) <= 0.3 + 1e-5
        np.testing.assert_allclose(view[inside], slope * image[inside] + shift, atol=1e-5)


def test_no_warp_leaves_views_as_they_are():
    images = torch.rand((4, 1, 32, 32), generator=make_generator())
    np.testing.assert_allclose(warp_views(images, NO_CHANGE, make_generator()), images, atol=1e-5)


def test_some_views_are_warped_and_some_are_not():
    images = torch.rand((60, 1, 32, 32), generator=make_generator())
    warp = positional_warp(AugmentationConfig(mirror=Mirror.NEVER))
    views = warp_views(images, warp, make_generator())
    num_kept = sum(
        torch.allclose(view, image, atol=1e-4) for view, image in zip(views, images, strict=True)
    )
    # 60 draws of 0.33: 20 +- 3.6
    assert 8 <= num_kept <= 32


def test_views_are_turned_all_around_only_where_patients_lie_in_many_ways():
    many = positional_warp(AugmentationConfig(mirror=Mirror.BOTH, rotation_deg=15.0))
    one = positional_warp(AugmentationConfig(mirror=Mirror.NEVER, rotation_deg=15.0))
    assert (many.rotation_deg, many.mirror) == (FULL_CIRCLE_DEG, Mirror.BOTH)
    assert (one.rotation_deg, one.mirror) == (15.0, Mirror.NEVER)
    for warp in (many, one):
        assert (warp.contrast_fraction, warp.brightness) == (0, 0)


# --- heads ---


def test_heads_have_the_published_sizes():
    def num_weights(head):
        return sum(weight.numel() for weight in head.parameters())

    assert num_weights(GlobalHead(6 * 6 * 128, make_generator())) == 4608 * 1024 + 1024 * 128
    # 1x1 convolutions without bias, batch normalisation, one dense layer from 3 x 3 x 64
    assert num_weights(RegionHead(64, 0.1, make_generator())) == 2 * 64**2 + 2 * 64 + 576 * 128
    wanted = 256 * 256 + 256 + 256 * 512 + 512
    assert num_weights(PositionalHead(256, 512, make_generator())) == wanted


@pytest.mark.parametrize(
    "make",
    [
        lambda generator: GlobalHead(12, generator),
        lambda generator: RegionHead(4, 0.1, generator),
        lambda generator: PositionalHead(4, 8, generator),
    ],
)
def test_weights_of_a_head_come_from_its_generator_alone(make):
    torch.manual_seed(1)
    one = make(make_generator(3)).state_dict()
    torch.manual_seed(2)
    other = make(make_generator(3)).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


# --- stages ---


@pytest.mark.parametrize(
    ("kind", "config", "wanted"),
    [
        (GlobalStage, GLOBAL_LOCAL, 4 * math.log(37)),
        (
            GlobalStage,
            replace(GLOBAL_LOCAL, global_strategy=GlobalStrategy.PARTITION_MINUS),
            2 * math.log(28),
        ),
        (
            GlobalStage,
            replace(GLOBAL_LOCAL, global_strategy=GlobalStrategy.RANDOM),
            math.log(23),
        ),
        (LocalStage, GLOBAL_LOCAL, math.log(11)),
        (
            LocalStage,
            replace(GLOBAL_LOCAL, local_strategy=LocalStrategy.PARTITION),
            1.5 * math.log(9),
        ),
        (PositionalStage, replace(POSITIONAL, batch_size=25), 5.5597),
        (PositionalStage, replace(POSITIONAL, batch_size=32), 5.9188),
    ],
)
def test_collapsed_loss_is_the_known_one_and_a_step_can_be_taken(kind, config, wanted):
    stage = stage_of(kind, config)
    assert stage.collapsed_loss() == pytest.approx(wanted, abs=1e-4)
    assert [math.isfinite(loss) for loss in next(stage.steps())] == [True]


@pytest.mark.parametrize(
    ("kind", "config"),
    [(GlobalStage, GLOBAL_LOCAL), (LocalStage, GLOBAL_LOCAL), (PositionalStage, POSITIONAL)],
)
def test_loss_falls_and_the_seed_decides(kind, config):
    losses = [list(chain(*stage_of(kind, config).steps())) for _ in range(2)]
    assert losses[0] == losses[1]
    assert np.mean(losses[0][-5:]) < 0.95 * np.mean(losses[0][:5])


def test_global_stage_trains_the_encoder_alone():
    stage = stage_of(GlobalStage, GLOBAL_LOCAL)
    before = state_of(stage.network)
    next(stage.steps())
    changed = changed_names(before, stage.network)
    encoder = {id(weight) for weight in stage.network.backbone.encoder_parameters()}
    wanted = {n for n, weight in stage.network.named_parameters() if id(weight) in encoder}
    # biases before batch normalisation have no gradient but rounding
    assert {name for name in changed if is_weight(name)} <= wanted
    assert {name for name in wanted if before[name].dim() > 1} <= changed


@pytest.mark.parametrize(("config", "num_blocks"), [(SMALL, 3), (SMALL, 4), (BASIC, 2)])
def test_local_stage_trains_its_blocks_while_the_encoders_averages_move(config, num_blocks):
    network = make_network(config=config)
    settings = replace(GLOBAL_LOCAL, num_decoder_blocks=num_blocks)
    stage = stage_of(LocalStage, settings, network)
    before = state_of(network)
    next(stage.steps())
    changed = changed_names(before, network)
    blocks = {id(weight) for weight in network.backbone.decoder_parameters(num_blocks)}
    wanted = {n for n, weight in network.named_parameters() if id(weight) in blocks}
    assert {name for name in changed if is_weight(name)} <= wanted
    assert {name for name in wanted if before[name].dim() > 1} <= changed
    encoder = {id(weight) for weight in network.backbone.encoder_parameters()}
    first_norm = next(
        name.removesuffix("weight") + "running_mean"
        for name, weight in network.named_parameters()
        if id(weight) in encoder and f"{name.removesuffix('weight')}running_mean" in before
    )
    assert first_norm in changed


def test_features_too_small_for_regions_are_told():
    stage = stage_of(LocalStage, replace(GLOBAL_LOCAL, num_decoder_blocks=1))
    with pytest.raises(TrainingError):  # 32 pixels are 2 after one block, and regions need 8
        next(stage.steps())


@pytest.mark.parametrize(("num_regions", "side"), [(9, 3), (13, 1), (9, 1)])
def test_local_stage_learns_with_the_other_layouts_of_the_paper(num_regions, side):
    config = replace(GLOBAL_LOCAL, num_regions=num_regions, region_side=side)
    stage = stage_of(LocalStage, config)
    assert stage.head.region.__class__ is (nn.Linear if side == 3 else nn.Identity)
    losses = list(chain(*stage.steps()))
    assert np.mean(losses[-5:]) < np.mean(losses[:5])


def test_views_can_have_batch_statistics_of_their_own():
    """As when the network is asked twice: first for the first views, then for the second."""
    together, apart = (
        stage_of(PositionalStage, replace(POSITIONAL, norm_per_view=own)) for own in (False, True)
    )
    seen = []
    for stage in (together, apart):
        stage.network.backbone.encoder[0].register_forward_pre_hook(
            lambda _, images: seen.append(images[0].clone())
        )
        next(stage.steps())
    whole, first, second = seen
    assert torch.equal(whole, torch.cat((first, second)))
    assert len(first) == POSITIONAL.batch_size
    norms = [
        next(m for m in stage.network.backbone.encoder.modules() if isinstance(m, nn.BatchNorm2d))
        for stage in (together, apart)
    ]
    assert [int(norm.num_batches_tracked) for norm in norms] == [1, 2]


def test_positional_rate_can_begin_at_its_highest():
    config = replace(POSITIONAL, num_steps=200, warm_up_fraction=0.0)
    stage = stage_of(PositionalStage, config)
    assert stage.learning_rate() == pytest.approx(config.learning_rate)


@pytest.mark.parametrize("method", [Pretraining.POSITIONAL, Pretraining.GLOBAL_LOCAL])
@pytest.mark.parametrize("keeps", [False, True])
def test_running_averages_go_along_where_the_settings_of_the_method_say_so(method, keeps):
    config = PretrainingConfig(
        method,
        replace(GLOBAL_LOCAL, keep_running_averages=keeps is (method is Pretraining.GLOBAL_LOCAL)),
        replace(POSITIONAL, keep_running_averages=keeps is (method is Pretraining.POSITIONAL)),
    )
    settings = PretrainingSettings(config, SMALL, None, 0)
    names = transferred_weights(make_network(config=SMALL), settings)
    assert any("running_mean" in name for name in names) is keeps


def test_positional_rate_rises_over_a_twentieth_and_falls_to_nothing():
    stage = stage_of(PositionalStage, replace(POSITIONAL, num_steps=200))
    rates = []
    for step in range(200):
        stage.step = step
        rates.append(stage.learning_rate())
    assert rates[:11] == sorted(rates[:11])
    assert rates[10] == pytest.approx(0.1)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    # half way of the fall: cos(pi / 2) = 0
    assert rates[105] == pytest.approx(0.05)
    assert rates[-1] < 1e-4


def test_failed_step_leaves_the_random_state(monkeypatch):
    stage = stage_of(GlobalStage, GLOBAL_LOCAL)
    before = stage.generator.get_state()

    def no_memory(_):
        raise torch.OutOfMemoryError("no memory left, says the test")

    monkeypatch.setattr(stage.network.backbone, "encode", no_memory)
    with pytest.raises(torch.OutOfMemoryError):
        next(stage.steps())
    assert torch.equal(stage.generator.get_state(), before)
    assert stage.step == 0


def test_loss_that_is_no_number_is_told(monkeypatch):
    stage = stage_of(GlobalStage, GLOBAL_LOCAL)
    monkeypatch.setattr(stage, "_loss_of", lambda embeddings: embeddings.sum() * math.nan)
    with pytest.raises(TrainingError, match="global loss of pre-training is not a number"):
        next(stage.steps())


# --- what is kept ---


@pytest.mark.parametrize("config", [SMALL, BASIC])
@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("num_blocks", [0, 2])
def test_encoder_and_blocks_are_taken_over_and_the_rest_is_not(tmp_path, config, keeps, num_blocks):
    trained, fresh = make_network(1, config=config), make_network(2, config=config)
    with torch.no_grad():
        for tensor in trained.state_dict().values():
            tensor.add_(1)
    before = state_of(fresh)
    names = transferred_names(trained, num_blocks, keep_running_averages=keeps)
    save_pretrained(tmp_path / "weights.pt", trained, names)
    load_pretrained(tmp_path / "weights.pt", fresh, names)
    # the slow way: which part of the backbone a weight belongs to, by its module
    backbone = fresh.backbone
    modules = [*backbone.encoder, *backbone.decoder[:num_blocks]]
    wanted = {id(tensor) for module in modules for tensor in module.parameters()}
    if keeps:
        wanted |= {id(tensor) for module in modules for tensor in module.buffers()}
    for name, tensor in [*fresh.named_parameters(), *fresh.named_buffers()]:
        source = trained.state_dict() if id(tensor) in wanted else before
        assert torch.equal(tensor, source[name]), name


def test_switches_of_global_local_do_not_govern_the_positional_method():
    network = make_network(config=SMALL)
    switched = GlobalLocalConfig(keep_running_averages=True, num_decoder_blocks=2)
    names = {
        method: set(
            transferred_weights(
                network,
                PretrainingSettings(PretrainingConfig(method, switched), SMALL, None, 0),
            )
        )
        for method in (Pretraining.POSITIONAL, Pretraining.GLOBAL_LOCAL)
    }
    encoder = set(transferred_names(network, 0, keep_running_averages=False))
    assert names[Pretraining.POSITIONAL] == encoder
    assert names[Pretraining.GLOBAL_LOCAL] > encoder


def test_more_blocks_than_the_decoder_has_are_refused():
    with pytest.raises(TrainingError, match="num_decoder_blocks"):
        transferred_names(make_network(config=BASIC), 5, keep_running_averages=False)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "weights.pt"
    wide = make_network(config=replace(SMALL, widths=(8,) * 6))
    save_pretrained(path, wide, transferred_names(wide, 0, keep_running_averages=False))
    network = make_network(config=SMALL)
    names = transferred_names(network, 0, keep_running_averages=False)
    with pytest.raises(ProjectDamagedError, match="belong to another network"):
        load_pretrained(path, network, names)
    path.write_bytes(b"no weights")
    with pytest.raises(ProjectDamagedError, match="Delete the folder"):
        load_pretrained(path, network, names)


@pytest.mark.parametrize(
    ("kind", "config"),
    [(GlobalStage, GLOBAL_LOCAL), (LocalStage, GLOBAL_LOCAL), (PositionalStage, POSITIONAL)],
)
def test_restored_stage_goes_on_as_if_it_had_never_stopped(tmp_path, kind, config):
    config = replace(config, **{name: 6 for name in vars(config) if name.endswith("_steps")})
    whole = stage_of(kind, config)
    losses = list(whole.steps())

    begun = stage_of(kind, config)
    steps = begun.steps()
    first = [next(steps) for _ in range(3)]
    path = tmp_path / "checkpoint.pt"
    save_pretraining_checkpoint(path, 0, begun, {"anything": [1.5]})

    resumed = stage_of(kind, config, make_network(7, config=SMALL), seed=9)
    content = read_pretraining_checkpoint(path, CPU.torch_device)
    assert content["notes"] == {"anything": [1.5]}
    restore_pretraining(content, resumed, path)
    assert first + list(resumed.steps()) == losses
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name])


def test_damaged_checkpoint_is_told(tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"nothing")
    with pytest.raises(ProjectDamagedError, match="Delete the folder"):
        read_pretraining_checkpoint(path, CPU.torch_device)
    torch.save({"stage": 0}, path)
    with pytest.raises(ProjectDamagedError, match="it lacks generator"):
        read_pretraining_checkpoint(path, CPU.torch_device)
