"""The training loop: steps of round 0 (human truth) and of joint rounds (plus pseudo-labels)."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from PseudoLabelCLLib.domain.config import LearningRate, StageConfig, TrainingConfig
from PseudoLabelCLLib.domain.errors import TrainingError
from PseudoLabelCLLib.domain.method_config import ContrastiveConfig
from PseudoLabelCLLib.learning.augmentation import AugmentedBatch, augment
from PseudoLabelCLLib.learning.consistency import consistency_loss
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

SEGMENTATION, CONTRASTIVE, CONSISTENCY = "segmentation", "contrastive", "consistency"

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
    """The losses of one step by name: segmentation, and in joint rounds the others."""

    step: int
    losses: dict[str, float]


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
            losses = self._step()
            state.step += 1
            _follow(state.average, state.network, _average_decay(stage, state.step))
            if not all(math.isfinite(loss) for loss in losses.values()):
                raise TrainingError(
                    f"The loss is not a number after step {state.step}: {losses}.",
                    "Check the images for extreme values, or lower the learning rate.",
                )
            yield StepReport(state.step, losses)

    def _step(self) -> dict[str, float]:
        batch = self._draw()
        random_state = self.state.generator.get_state()
        while True:
            try:
                return self._descend(batch)
            except torch.OutOfMemoryError:  # noqa: PERF203 - rare, and the step must be tried again
                if self.num_parts >= self.stage.batch_size:
                    raise
                self.num_parts *= 2
                self.state.generator.set_state(random_state)
                if self.device.name == "cuda":
                    torch.cuda.empty_cache()

    def _draw(self) -> "_StepBatch":
        data, generator, config = self.data, self.state.generator, self.config
        truth = data.truth.draw(self.stage.batch_size, generator)
        pairs, unlabelled = None, None
        if data.is_joint and config.contrastive.weight:
            pairs = draw_pairs(data.truth, data.pseudo, config.contrastive.num_pairs, generator)
        if data.is_joint and config.consistency.weight:
            unlabelled = data.pseudo.draw(config.consistency.num_slices, generator)
        return _StepBatch(truth, unlabelled, pairs)

    def _descend(self, batch: "_StepBatch") -> dict[str, float]:
        """One step of the optimiser; returns the losses, averaged over the parts."""
        self.state.network.train()
        self.state.optimizer.zero_grad(set_to_none=True)
        totals: dict[str, Tensor] = {}
        for part, shares in _split_batch(batch, self.num_parts):
            losses = {name: shares[name] * loss for name, loss in self._losses(part).items()}
            torch.stack(
                [self._weight(name) * loss for name, loss in losses.items()]
            ).sum().backward()
            for name, loss in losses.items():
                totals[name] = totals.get(name, 0) + loss.detach()
        self.state.optimizer.step()
        values = torch.stack(list(totals.values())).tolist()  # one synchronisation for all
        return dict(zip(totals, values, strict=True))

    def _weight(self, name: str) -> float:
        if name == CONTRASTIVE:
            return self.config.contrastive.weight
        return self.config.consistency.weight if name == CONSISTENCY else 1.0

    def _losses(self, batch: "_StepBatch") -> dict[str, Float[Tensor, ""]]:
        """One forward pass of all slices of the batch, and the losses on them."""
        device, network = self.device, self.state.network
        truth = augment(
            batch.truth.images.to(device.torch_device),
            one_hot(batch.truth.classes.to(device.torch_device), network.num_classes),
            self.config.augmentation,
            self.state.generator,
        )
        images = [truth.images]
        if batch.unlabelled is not None:
            taught = self._taught_slices(batch.unlabelled)
            images.append(taught.images)
        num_segmented = sum(map(len, images))
        if batch.pairs is not None:
            config = self.config.contrastive
            images.append(jitter_views(batch.pairs.images, config, self.state.generator))
        together = torch.cat([part.to(device.torch_device) for part in images])
        with device.autocast():
            logits, embeddings = network.segment_and_embed(
                together.contiguous(memory_format=device.memory_format), num_segmented
            )
        num_truth = len(truth.images)
        losses = {
            SEGMENTATION: segmentation_loss(
                logits[:num_truth],
                truth.targets,
                dice_weight=self.stage.dice_weight,
                cross_entropy_weight=self.stage.cross_entropy_weight,
            )
        }
        if batch.unlabelled is not None:
            losses[CONSISTENCY] = consistency_loss(
                logits[num_truth:],
                taught.targets,
                min_confidence=self.config.consistency.min_confidence,
            )
        if batch.pairs is not None:
            losses[CONTRASTIVE] = self._contrastive(embeddings, batch.pairs)
        return losses

    def _taught_slices(self, unlabelled: SliceBatch) -> AugmentedBatch:
        """Strongly changed unlabelled slices with what the averaged network says of them."""
        images = unlabelled.images.to(self.device.torch_device)
        teacher = self.state.average.eval()
        with torch.no_grad(), self.device.autocast():
            logits = teacher(images.contiguous(memory_format=self.device.memory_format))
        return augment(
            images,
            logits.float().softmax(dim=1),
            self.config.consistency.augmentation,
            self.state.generator,
        )

    def _contrastive(
        self, embeddings: Float[Tensor, "views embedding rows columns"], pairs: SliceBatch
    ) -> Float[Tensor, ""]:
        device, config = self.device.torch_device, self.config.contrastive
        masks = foreground_masks(pairs.classes, self.state.network.num_classes)
        anchors = draw_anchors(masks, config.anchors_per_class, self.state.generator)
        return local_contrastive_loss(
            embeddings.flatten(2),
            masks.to(device),
            anchors.to(device),
            temperature=config.temperature,
        )


class _StepBatch(NamedTuple):
    """The slices of one step; None for a loss that takes no part."""

    truth: SliceBatch
    unlabelled: SliceBatch | None
    pairs: SliceBatch | None


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


def _split_batch(
    batch: _StepBatch, num_parts: int
) -> Iterator[tuple[_StepBatch, dict[str, float]]]:
    """Yield parts of a batch with the share of every loss that each part carries."""
    truth = _split(batch.truth, num_parts)
    unlabelled = _split(batch.unlabelled, len(truth))
    pairs = _split_pairs(batch.pairs, len(truth))
    for number, truth_part in enumerate(truth):
        part = _StepBatch(truth_part, _at(unlabelled, number), _at(pairs, number))
        shares = {
            SEGMENTATION: _share(truth_part, batch.truth),
            CONSISTENCY: _share(part.unlabelled, batch.unlabelled),
            CONTRASTIVE: _share(part.pairs, batch.pairs),
        }
        yield part, shares


def _split(batch: SliceBatch | None, num_parts: int) -> list[SliceBatch]:
    if batch is None:
        return []
    chunks = zip(batch.images.chunk(num_parts), batch.classes.chunk(num_parts), strict=True)
    return [SliceBatch(images, classes) for images, classes in chunks]


def _split_pairs(pairs: SliceBatch | None, num_parts: int) -> list[SliceBatch]:
    """Split by pairs: the first and the second members of a pair stay in one part."""
    if pairs is None:
        return []
    half = len(pairs.images) // 2
    first = _split(SliceBatch(pairs.images[:half], pairs.classes[:half]), num_parts)
    second = _split(SliceBatch(pairs.images[half:], pairs.classes[half:]), num_parts)
    return [
        SliceBatch(torch.cat((a.images, b.images)), torch.cat((a.classes, b.classes)))
        for a, b in zip(first, second, strict=True)
    ]


def _at(parts: list[SliceBatch], number: int) -> SliceBatch | None:
    return parts[number] if number < len(parts) else None


def _share(part: SliceBatch | None, whole: SliceBatch | None) -> float:
    return len(part.images) / len(whole.images) if part is not None and whole is not None else 0.0
