"""The training loop: steps of round 0 (human truth) and of joint rounds (plus pseudo-labels)."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from PseudoLabelCLLib.domain.config import (
    ContrastiveConfig,
    LearningRate,
    StageConfig,
    TrainingConfig,
)
from PseudoLabelCLLib.domain.errors import TrainingError
from PseudoLabelCLLib.learning.augmentation import augment
from PseudoLabelCLLib.learning.contrastive import draw_anchors, local_contrastive_loss
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.losses import segmentation_loss
from PseudoLabelCLLib.learning.network import SegmentationNetwork
from PseudoLabelCLLib.learning.sampling import (
    SliceBatch,
    SlicePool,
    draw_pairs,
    foreground_masks,
    one_hot,
)

WARM_UP_FRACTION = 0.3
# The running average begins short and grows to its full length, so that the random start fades.
AVERAGE_WARM_UP_STEPS = 10


@dataclass
class TrainingState:
    """All that a resumed run needs to go on as if it had never stopped.

    Args:
        network: What is trained.
        average: Its running average, which is validated and used.
        optimizer: With its moments.
        generator: Every random draw comes from here.
        step: Steps done in this round.
    """

    network: SegmentationNetwork
    average: SegmentationNetwork
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    step: int = 0


@dataclass(frozen=True)
class RoundData:
    """The slices of a round: human truth, and pseudo-labels (empty in round 0)."""

    truth: SlicePool
    pseudo: SlicePool

    @property
    def is_joint(self) -> bool:
        """Whether the contrastive loss takes part."""
        return len(self.pseudo) > 0


@dataclass(frozen=True)
class StepReport:
    """The losses of one step; 0 for a part that took no part."""

    step: int
    segmentation_loss: float
    contrastive_loss: float
    learning_rate: float


def start_training(
    network: SegmentationNetwork, stage: StageConfig, device: ComputeDevice, seed: int
) -> TrainingState:
    """Return the state before the first step; the network's weights are the starting point."""
    device.place(network)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=stage.learning_rate, weight_decay=stage.weight_decay
    )
    average = copy.deepcopy(network).requires_grad_(requires_grad=False)
    generator = torch.Generator().manual_seed(seed)
    return TrainingState(network, average, optimizer, generator)


class Trainer:
    """Runs the steps of one round.

    Where memory runs out, the batch is worked through in more and smaller parts; gradients add up
    to those of the whole batch (batch normalisation then sees the parts).
    """

    def __init__(
        self, state: TrainingState, data: RoundData, config: TrainingConfig, device: ComputeDevice
    ) -> None:
        self.state = state
        self.data = data
        self.config = config
        self.stage = config.joint if data.is_joint else config.supervised
        self.device = device
        self.num_parts = 1

    def steps(self) -> Iterator[StepReport]:
        """Train until the round's last step, reporting each; stopping the iteration stops it.

        Raises:
            TrainingError: The loss is no longer a number.
            torch.OutOfMemoryError: Not even one slice at a time fits the device.
        """
        state, stage = self.state, self.stage
        while state.step < stage.num_steps:
            rate = learning_rate(stage, state.step)
            for group in state.optimizer.param_groups:
                group["lr"] = rate
            segmentation, contrastive = self._step()
            state.step += 1
            _follow(state.average, state.network, _average_decay(stage, state.step))
            if not math.isfinite(segmentation + contrastive):
                raise TrainingError(
                    f"The loss is not a number after step {state.step}.",
                    "Check the images for extreme values, or lower the learning rate.",
                )
            yield StepReport(state.step, segmentation, contrastive, rate)

    def _step(self) -> tuple[float, float]:
        generator = self.state.generator
        truth = self.data.truth.draw(self.stage.batch_size, generator)
        pairs = None
        if self.data.is_joint and self.config.contrastive.weight:
            num_pairs = self.config.contrastive.num_pairs
            pairs = draw_pairs(self.data.truth, self.data.pseudo, num_pairs, generator)
        random_state = generator.get_state()
        while True:
            try:
                return self._descend(truth, pairs)
            except torch.OutOfMemoryError:  # noqa: PERF203 - rare, and the step must be tried again
                if self.num_parts >= self.stage.batch_size:
                    raise
                self.num_parts *= 2
                generator.set_state(random_state)
                if self.device.name == "cuda":
                    torch.cuda.empty_cache()

    def _descend(self, truth: SliceBatch, pairs: SliceBatch | None) -> tuple[float, float]:
        """One step of the optimiser; returns both losses, averaged over the parts."""
        self.state.network.train()
        self.state.optimizer.zero_grad(set_to_none=True)
        totals = torch.zeros(2, device=self.device.torch_device)
        parts = _split(truth, self.num_parts)
        pair_parts = _split_pairs(pairs, len(parts))
        for truth_part, pair_part in zip(parts, pair_parts, strict=True):
            shares = torch.tensor([_share(truth_part, truth), _share(pair_part, pairs)])
            losses = self._losses(truth_part, pair_part) * shares.to(totals.device)
            total = losses[0] + self.config.contrastive.weight * losses[1]
            total.backward()
            totals += losses.detach()
        self.state.optimizer.step()
        segmentation, contrastive = totals.tolist()
        return segmentation, contrastive

    def _losses(self, truth: SliceBatch, pairs: SliceBatch | None) -> Float[Tensor, " 2"]:
        """Segmentation loss on human truth and contrastive loss on the pairs' views."""
        device, state = self.device, self.state
        num_classes = state.network.num_classes
        batch = augment(
            truth.images.to(device.torch_device),
            one_hot(truth.classes.to(device.torch_device), num_classes),
            self.config.augmentation,
            state.generator,
        )
        images = batch.images
        if pairs is not None:
            views = jitter_views(pairs.images, self.config.contrastive, state.generator)
            images = torch.cat((images, views.to(device.torch_device)))
        with device.autocast():
            logits, embeddings = state.network.segment_and_embed(
                images.contiguous(memory_format=device.memory_format), len(batch.images)
            )
        segmentation = segmentation_loss(
            logits,
            batch.targets,
            dice_weight=self.stage.dice_weight,
            cross_entropy_weight=self.stage.cross_entropy_weight,
        )
        contrastive = torch.zeros((), device=device.torch_device)
        if pairs is not None:
            masks = foreground_masks(pairs.classes, num_classes)
            config = self.config.contrastive
            anchors = draw_anchors(masks, config.anchors_per_class, state.generator)
            contrastive = local_contrastive_loss(
                embeddings.flatten(2),
                masks.to(device.torch_device),
                anchors.to(device.torch_device),
                temperature=config.temperature,
            )
        return torch.stack((segmentation, contrastive))


def jitter_views(
    images: Float[Tensor, "views 1 rows columns"],
    config: ContrastiveConfig,
    generator: torch.Generator,
) -> Float[Tensor, "views 1 rows columns"]:
    """Change brightness, then contrast, of every view; pixels stay in place, as labels must.

    Every view draws its own change; the published code draws one for each half of the batch.

    Source: Chaitanya et al., MedIA 2023, code; result clipped to 0..1.5.
    """
    shape = (len(images), 1, 1, 1)
    shift = (torch.rand(shape, generator=generator) * 2 - 1) * config.brightness
    factor = 1 + (torch.rand(shape, generator=generator) * 2 - 1) * config.contrast_fraction
    brighter = images + shift
    mean = brighter.mean(dim=(2, 3), keepdim=True)
    return ((brighter - mean) * factor + mean).clamp(0, 1.5)


def learning_rate(stage: StageConfig, step: int) -> float:
    """Return the rate before step `step`: constant, or one cycle of cosine rise and fall.

    Source: Smith and Topin 2018, super-convergence; rise over the first 30 % of the steps.
    """
    if stage.schedule is LearningRate.CONSTANT:
        return stage.learning_rate
    done = step / stage.num_steps
    if done < WARM_UP_FRACTION:
        low, phase = 0.04, done / WARM_UP_FRACTION
        return stage.learning_rate * (low + (1 - low) * (1 - math.cos(math.pi * phase)) / 2)
    low, phase = 1e-4, (done - WARM_UP_FRACTION) / (1 - WARM_UP_FRACTION)
    return stage.learning_rate * (low + (1 - low) * (1 + math.cos(math.pi * phase)) / 2)


def _average_decay(stage: StageConfig, step: int) -> float:
    return min(stage.average_decay, step / (step + AVERAGE_WARM_UP_STEPS))


@torch.no_grad()
def _follow(average: SegmentationNetwork, network: SegmentationNetwork, decay: float) -> None:
    """Move weights and batch-normalisation averages of `average` towards the network's."""
    pairs = zip(average.state_dict().values(), network.state_dict().values(), strict=True)
    for slow, fast in pairs:
        if slow.dtype.is_floating_point:
            slow.lerp_(fast, 1 - decay)
        else:
            slow.copy_(fast)


def _split(batch: SliceBatch, num_parts: int) -> list[SliceBatch]:
    return [
        SliceBatch(images, classes)
        for images, classes in zip(
            batch.images.chunk(num_parts), batch.classes.chunk(num_parts), strict=True
        )
    ]


def _share(part: SliceBatch | None, whole: SliceBatch | None) -> float:
    return len(part.images) / len(whole.images) if part is not None and whole is not None else 0.0


def _split_pairs(pairs: SliceBatch | None, num_parts: int) -> list[SliceBatch | None]:
    """Split by pairs: the first and the second members of a pair stay in one part."""
    if pairs is None:
        return [None] * num_parts
    half = len(pairs.images) // 2
    first = SliceBatch(pairs.images[:half], pairs.classes[:half])
    second = SliceBatch(pairs.images[half:], pairs.classes[half:])
    parts: list[SliceBatch | None] = [
        SliceBatch(torch.cat((a.images, b.images)), torch.cat((a.classes, b.classes)))
        for a, b in zip(_split(first, num_parts), _split(second, num_parts), strict=True)
    ]
    return parts + [None] * (num_parts - len(parts))
