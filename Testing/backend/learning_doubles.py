"""Small networks, slices, settings and listeners that the tests of learning and pipeline share."""

from dataclasses import replace

import numpy as np
import torch

from PseudoLabelCLLib.domain.config import (
    Profile,
    PseudoLabelConfig,
    StageConfig,
    TrainingConfig,
)
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.method_config import (
    AugmentationConfig,
    ConsistencyConfig,
    ContrastiveConfig,
    Mirror,
)
from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.training.sampling import LabelledSlices, RoundData, SlicePool
from PseudoLabelCLLib.pipeline.prediction.model_file import ModelCard, TrainedModel, TrainingSummary

# On slices this small a second thread costs more than it gives.
torch.set_num_threads(1)

CPU = ComputeDevice("cpu", "a CPU", Text("chosen by the test"), half_precision=False)
HALF_CPU = ComputeDevice("cpu", "a CPU", Text("chosen by the test"), half_precision=True)

TINY = NetworkConfig(widths=(4, 4, 4, 4, 4, 4), embedding_size=4)
NO_CHANGE = AugmentationConfig(
    rotation_deg=0.0,
    scale_fraction=0.0,
    mirror=Mirror.NEVER,
    elastic_fraction=0.0,
    contrast_fraction=0.0,
    brightness=0.0,
)
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
SCHEMA = LabelSchema.from_values((1, 4))
NUM_CLASSES = 3


def grid(size, spacing_mm=(1.0, 1.0, 5.0), direction=IDENTITY, origin_mm=(0.0, 0.0, 0.0)):
    return Geometry(size, spacing_mm, origin_mm, direction)


def make_generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make_network(seed=0, num_classes=NUM_CLASSES, config=TINY, num_channels=1):
    return SegmentationNetwork(config, num_classes, make_generator(seed), num_channels)


class ThresholdNetwork(SegmentationNetwork):
    """Calls bright pixels class 1 and, above 0.8, class 2; blind to position and direction."""

    def __init__(self, num_classes=2, steepness=20.0):
        super().__init__(TINY, num_classes, make_generator())
        self.steepness = steepness

    def forward(self, images):
        scores = [torch.zeros_like(images), self.steepness * (images - 0.5)]
        scores += [2 * self.steepness * (images - 0.65)] * (self.num_classes - 2)
        return torch.cat(scores, dim=1)


class CrowdedNetwork(SegmentationNetwork):
    """Runs out of memory on more than `limit` slices at once, and tells what it was given."""

    def __init__(self, limit, num_classes=NUM_CLASSES):
        super().__init__(TINY, num_classes, make_generator())
        self.limit = limit
        self.seen = []

    def _take(self, images):
        self.seen.append(len(images))
        if len(images) > self.limit:
            raise torch.OutOfMemoryError("no memory left, says the test")

    def forward(self, images):
        self._take(images)
        return super().forward(images)

    def segment_and_embed(self, images, num_segmented):
        self._take(images)
        return super().segment_and_embed(images, num_segmented)


def phantom_slices(num_slices=4, shape=(64, 64), seed=0):
    """A disk (class 1) with a core (class 2) that differ in brightness, anywhere in the slice."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(shape)
    images = np.empty((num_slices, *shape), np.float32)
    classes = np.zeros((num_slices, *shape), np.uint8)
    for number in range(num_slices):
        row, column = (rng.uniform(0.35, 0.65) * side for side in shape)
        distance = np.hypot(rows - row, columns - column)
        radius = rng.uniform(0.18, 0.28) * min(shape)
        classes[number][distance < radius] = 1
        classes[number][distance < radius / 2] = 2
    images[:] = np.array((0.1, 0.55, 0.95), np.float32)[classes]
    images += rng.normal(0, 0.03, images.shape).astype(np.float32)
    return LabelledSlices(images[:, None], classes)


def pool(*cases):
    return SlicePool(cases, NUM_CLASSES)


def round_data(*, joint, shape=(64, 64)):
    pseudo = [phantom_slices(5, shape, seed=2)] if joint else []
    return RoundData(pool(phantom_slices(5, shape, seed=1)), pool(*pseudo))


def training_config(num_steps=4, batch_size=3, **changes):
    stage = StageConfig(num_steps=num_steps, batch_size=batch_size, learning_rate=3e-3)
    config = TrainingConfig(
        supervised=stage,
        joint=replace(stage, learning_rate=1e-3),
        contrastive=ContrastiveConfig(num_pairs=2),
        consistency=ConsistencyConfig(num_slices=2, min_confidence=0.4),
        validations_per_round=2,
        checkpoints_per_round=2,
    )
    return replace(config, **changes)


def model_card(schema=SCHEMA, window_size=(64, 64), network=TINY, **changes):
    summary = TrainingSummary(
        project="a project",
        round_index=0,
        num_human_cases=1,
        num_pseudo_cases=0,
        in_plane_spacing_mm=(1.0, 1.5),
        validation_dice=None,
        selected_at_step=4,
        num_steps=4,
        profile="quick",
        device="a CPU",
        finished="2024-05-01T12:00:00+00:00",
    )
    preprocess = replace(
        config_for(Profile.QUICK).preprocess, in_plane_spacing_mm=1.0, window_size=window_size
    )
    card = ModelCard(
        schema=schema,
        preprocess=preprocess,
        network=network,
        pseudo_label=PseudoLabelConfig(num_augmented_copies=3),
        mirror_copies=True,
        seed=0,
        training=summary,
    )
    return replace(card, **changes)


def make_model(network=None, **changes):
    return TrainedModel(network or make_network(), model_card(**changes))


class Listener:
    """Keeps all that a job tells; can ask it to stop at a step of a stage."""

    def __init__(self, cancel_stage="", cancel_step=0):
        self.steps = []
        self.notices = []
        self.artifacts = []
        self.values = []
        self._cancel = (cancel_stage, cancel_step)
        self._cancelled = False

    def progress(self, stage, step, num_steps):
        self.steps.append((stage, step, num_steps))
        self._cancelled = self._cancelled or (stage, step) == self._cancel

    def metrics(self, stage, step, values):
        self.values.append((stage, step, dict(values)))

    def notice(self, text, *, warning=False):
        self.notices.append((text, warning))

    def artifact(self, kind, path):
        self.artifacts.append((kind, path))

    def is_cancelled(self):
        return self._cancelled
