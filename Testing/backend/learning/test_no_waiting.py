"""No step of training waits for the device: nothing is read, and copies go on in the background.

A device without memory, torch's "meta", stands in for a GPU: reading anything from it is an error,
so a step that runs there through to its end has read nothing.
"""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from learning_doubles import (
    CPU,
    NUM_CLASSES,
    TINY,
    make_generator,
    make_network,
    phantom_slices,
    pool,
    round_data,
    training_config,
)
from test_pretraining import GLOBAL_LOCAL, POSITIONAL, SMALL, volumes
from unreadable_device import UNREADABLE, NoAutocast, WatchedCopies

from PseudoLabelCLLib.domain.method_config import (
    AugmentationConfig,
    ContrastForm,
    ContrastiveConfig,
    CopyPasteConfig,
    PairWeighting,
)
from PseudoLabelCLLib.domain.pretraining_config import GlobalStrategy, LocalStrategy, MaskedConfig
from PseudoLabelCLLib.domain.text import NO_TEXT
from PseudoLabelCLLib.learning import to_device
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.pretraining.masked_stage import MaskedStage
from PseudoLabelCLLib.learning.pretraining.pretraining import (
    GlobalStage,
    LocalStage,
    PositionalStage,
    StageInputs,
)
from PseudoLabelCLLib.learning.pretraining.views import positional_warp
from PseudoLabelCLLib.learning.training import augmentation
from PseudoLabelCLLib.learning.training.patches import Patches
from PseudoLabelCLLib.learning.training.sampling import (
    IGNORED_CLASS,
    MERGED_CLASS,
    LabelledSlices,
    RoundData,
    SlicePool,
)
from PseudoLabelCLLib.learning.training.training import Trainer, start_training


@pytest.fixture
def copies(monkeypatch):
    """Copies while the test runs, on a device that has neither autocast nor a generator."""
    monkeypatch.setattr(torch, "autocast", NoAutocast)
    monkeypatch.setattr(
        augmentation,
        "_normal_field",
        lambda images, _: torch.randn(images.shape, device=images.device),
    )
    with WatchedCopies() as watched:
        yield watched


def trainer(data, config, network=None):
    stage = config.joint if data.is_joint else config.supervised
    state = start_training(network or make_network(), stage, UNREADABLE, 5)
    return Trainer(state, data, config, UNREADABLE)


ALL_CHANGES = AugmentationConfig(
    noise=0.1, blur_fraction=0.5, gamma_fraction=0.3, elastic_fraction=0.02
)
ALL_LOSSES = training_config(
    copy_paste=CopyPasteConfig(weight=1.0, num_slices=1),
    pseudo_label_weight=0.1,
    augmentation=ALL_CHANGES,
)
PATCHES = Patches((64, 64), structure_share=0.5)
PUBLISHED = ContrastiveConfig(
    num_pairs=2, form=ContrastForm.INTRA, pair_weighting=PairWeighting.LEGACY
)


def with_gaps(slices, left_out):
    """Slices of which some pixels are unknown, and others background or left out."""
    classes = slices.classes.copy()
    classes[:, :4] = IGNORED_CLASS
    classes[:, 4:8] = MERGED_CLASS
    rows = np.tile(np.array(left_out), (len(classes), 1))
    return LabelledSlices(slices.images, classes, left_out=rows)


@pytest.mark.parametrize(
    ("data", "config"),
    [
        (round_data(joint=True), ALL_LOSSES),
        (round_data(joint=True), training_config(contrastive=PUBLISHED)),
        (
            RoundData(
                pool(with_gaps(phantom_slices(5, seed=1), [False, True])),
                pool(phantom_slices(5, seed=2)),
            ),
            ALL_LOSSES,
        ),
        (
            RoundData(
                *(
                    SlicePool(
                        (phantom_slices(5, (80, 72), n),), NUM_CLASSES, Patches((64, 64), 0.5)
                    )
                    for n in (1, 2)
                )
            ),
            ALL_LOSSES,
        ),
    ],
    ids=["all losses", "published", "gaps", "patches"],
)
def test_no_step_of_a_round_waits(copies, monkeypatch, data, config):
    monkeypatch.setattr(to_device, "RESIDENT_BYTES", 0)
    asked = trainer(data, config)
    copies.waited.clear()  # the network was brought there
    for _ in range(2):
        report = asked._step()
        asked.state.step = report.step
    assert report.values.device.type == "meta"
    assert copies.waited == []


def test_no_step_waits_where_slices_are_kept_on_the_device(copies):
    asked = trainer(round_data(joint=True), training_config())
    assert asked.data.truth.draw(1, make_generator()).images.device.type == "meta"
    copies.waited.clear()
    asked._step()
    assert copies.waited == []


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (GlobalStage, GLOBAL_LOCAL),
        (GlobalStage, replace(GLOBAL_LOCAL, global_strategy=GlobalStrategy.PARTITION)),
        (GlobalStage, replace(GLOBAL_LOCAL, global_strategy=GlobalStrategy.RANDOM)),
        (LocalStage, GLOBAL_LOCAL),
        (LocalStage, replace(GLOBAL_LOCAL, local_strategy=LocalStrategy.PARTITION)),
        (PositionalStage, POSITIONAL),
        (MaskedStage, MaskedConfig(num_steps=30, batch_size=4, square_side=4)),
    ],
)
@pytest.mark.parametrize("resident", [True, False])
def test_no_step_of_pretraining_waits(copies, monkeypatch, kind, config, resident):
    monkeypatch.setattr(to_device, "RESIDENT_BYTES", 2**30 if resident else 0)
    network = make_network(config=SMALL)
    UNREADABLE.place(network)
    more = (positional_warp(AugmentationConfig()),) if kind is PositionalStage else ()
    stage = kind(StageInputs(network, volumes(), UNREADABLE, 1), config, *more)
    copies.waited.clear()
    assert list(islice(stage.steps(), 3)) == [[], [], []]
    assert copies.waited == []


def test_step_that_reads_its_loss_is_noticed(copies, monkeypatch):
    asked = trainer(round_data(joint=True), training_config())
    losses = asked._losses
    term = losses.terms[0]
    monkeypatch.setattr(
        type(term), "loss", lambda _, logits, *__: logits.sum() * float(logits.sum())
    )
    with pytest.raises(RuntimeError, match="meta"):
        asked._step()


def test_copy_that_waits_is_noticed(copies):
    torch.ones(3).to("meta")
    assert copies.waited == [(3,)]
    to_device.to_device(torch.ones(3), torch.device("meta"))
    assert copies.waited == [(3,)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("resident", [True, False])
def test_no_step_on_a_gpu_waits(monkeypatch, resident):
    monkeypatch.setattr(to_device, "RESIDENT_SHARE", 0.25 if resident else 0.0)
    device = ComputeDevice("cuda", "a GPU", NO_TEXT, half_precision=True)
    state = start_training(make_network(config=TINY), ALL_LOSSES.joint, device, 5)
    asked = Trainer(state, round_data(joint=True), ALL_LOSSES, device)
    asked._step()  # the first one tries algorithms
    torch.cuda.set_sync_debug_mode("error")
    try:
        asked._step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_draws_arrive_where_they_are_asked_for():
    for resident in (2**30, 0):
        a_pool = pool(phantom_slices(4, seed=1))
        assert a_pool.bring_to(torch.device("meta"), resident) is bool(resident)
        assert a_pool.draw(3, make_generator()).images.device.type == "meta"
    assert a_pool.bring_to(CPU.torch_device)
    assert a_pool.draw(3, make_generator()).images.device.type == "cpu"
