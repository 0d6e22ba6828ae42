"""Contrastive pre-training: its stages, each with its batches, its head and its optimiser."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from PseudoLabelCLLib.domain.errors import TrainingError
from PseudoLabelCLLib.domain.method_config import AugmentationConfig
from PseudoLabelCLLib.domain.pretraining_config import (
    GlobalLocalConfig,
    GlobalStrategy,
    LocalStrategy,
    PositionalConfig,
)
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.losses.global_contrast import global_contrastive_loss
from PseudoLabelCLLib.learning.losses.positional_contrast import positional_contrastive_loss
from PseudoLabelCLLib.learning.losses.region_contrast import (
    CORNERS,
    RegionLayout,
    region_contrastive_loss,
)
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.networks.pretraining_heads import (
    GlobalHead,
    PositionalHead,
    RegionHead,
)
from PseudoLabelCLLib.learning.optimizer_step import take_step
from PseudoLabelCLLib.learning.pretraining.batches import (
    LOCAL_SLICES,
    VOLUMES_IN_SET,
    global_batch,
    local_batch,
    positional_batch,
)
from PseudoLabelCLLib.learning.pretraining.volume_batches import VolumePool
from PseudoLabelCLLib.learning.shapes import Float

# Reading a loss waits for the device.
STEPS_BETWEEN_READINGS = 10


@dataclass(frozen=True)
class StageInputs:
    """What every stage works with.

    Args:
        network: What is trained; its own heads take no part.
        volumes: What the stage draws from.
        device: Where it runs; the network is there already.
        seed: Of the stage's head and of every draw.
    """

    network: SegmentationNetwork
    volumes: VolumePool
    device: ComputeDevice
    seed: int


class PretrainingStage(ABC):
    """One stage: steps that train a part of the backbone with a head of its own.

    Args:
        inputs: Network, volumes, device, seed.
        num_steps: Steps of the stage.
    """

    name: str
    num_views: int

    def __init__(self, inputs: StageInputs, num_steps: int) -> None:
        self.network = inputs.network
        self.volumes = inputs.volumes
        self.device = inputs.device
        self.volumes.bring_to(self.device.torch_device)
        self.generator = torch.Generator().manual_seed(inputs.seed)
        self.num_steps = num_steps
        self.step = 0
        self._unread: list[Tensor] = []
        self.head = self.make_head()
        self.device.place(self.head)
        self.optimizer = self.make_optimizer()

    @abstractmethod
    def make_head(self) -> nn.Module:
        """Return the head with weights drawn from the stage's generator."""

    @abstractmethod
    def make_optimizer(self) -> torch.optim.Optimizer:
        """Return the optimiser of the head and of what the stage trains."""

    @abstractmethod
    def learning_rate(self) -> float:
        """Return the rate for the next step."""

    @abstractmethod
    def loss(self) -> Float[Tensor, ""]:
        """Draw a batch and return the loss on it."""

    @abstractmethod
    def collapsed_loss(self) -> float:
        """Return the loss of a network that gives every view the same embedding."""

    def steps(self) -> Iterator[list[float]]:
        """Train until the stage's last step; stopping the iteration stops it.

        After each step come the losses that are known by then: on a CPU that of the step, elsewhere
        those of some steps together, as reading one waits for the device.

        Batch normalisation takes the statistics of the batch everywhere, also in parts that are not
        trained, so that its running averages move there too.

        Raises:
            TrainingError: The loss is not a number.
            torch.OutOfMemoryError: The batch does not fit; the random state is that before it. A
                HalfDoneStepError where the state is between two steps and must not be kept.
        """
        while self.step < self.num_steps:
            for group in self.optimizer.param_groups:
                group["lr"] = self.learning_rate()
            random_state = self.generator.get_state()
            try:
                self._unread.append(self._descend())
            except torch.OutOfMemoryError:
                self.generator.set_state(random_state)
                raise
            self.step += 1
            yield self.read_losses() if self._is_time_to_read() else []

    def read_losses(self) -> list[float]:
        """Return the losses of the steps since the last reading; every checkpoint needs them.

        Raises:
            TrainingError: One is not a number.
        """
        unread, self._unread = self._unread, []
        values: list[float] = torch.stack(unread).tolist() if unread else []
        first = self.step - len(values) + 1
        for step, value in enumerate(values, start=first):
            if not math.isfinite(value):
                raise TrainingError(
                    Text(
                        "The {name} loss of pre-training is not a number after step {step}.",
                        name=self.name,
                        step=step,
                    ),
                    Text("Check the images for extreme values, or lower the learning rate."),
                )
        return values

    def _is_time_to_read(self) -> bool:
        waits = self.device.name != "cpu"
        return not waits or self.step % STEPS_BETWEEN_READINGS == 0 or self.step == self.num_steps

    def _descend(self) -> Tensor:
        self.network.train()
        self.head.train()
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss()
        loss.backward()
        take_step(self.optimizer)
        return loss.detach()

    def encode(self, views: Tensor) -> list[Tensor]:
        """Return the encoder's levels of views that are on the device."""
        with self.device.autocast():
            return self.network.backbone.encode(
                views.contiguous(memory_format=self.device.memory_format)
            )

    def embed(self, features: Tensor) -> Tensor:
        """Return the head's embeddings in full precision."""
        with self.device.autocast():
            embeddings: Tensor = self.head(features)
        return embeddings.float()


class GlobalStage(PretrainingStage):
    """Method C's first stage: the encoder learns which slices are alike as wholes.

    Source: Chaitanya et al., NeurIPS 2020, section 3.1.
    """

    name = "global"

    def __init__(self, inputs: StageInputs, config: GlobalLocalConfig) -> None:
        self.config = config
        in_set = min(VOLUMES_IN_SET, len(inputs.volumes)) * config.num_partitions
        self.num_views = {
            GlobalStrategy.RANDOM: 2 * VOLUMES_IN_SET * config.num_partitions,
            GlobalStrategy.PARTITION_MINUS: 3 * in_set,
            GlobalStrategy.PARTITION: 4 * VOLUMES_IN_SET * config.num_partitions,
        }[config.global_strategy]
        super().__init__(inputs, config.global_steps)

    def make_head(self) -> nn.Module:
        """See `PretrainingStage`."""
        widths = self.network.backbone.widths
        rows, columns = (side >> (len(widths) - 1) for side in self.volumes.window_shape)
        return GlobalHead(widths[-1] * rows * columns, self.generator)

    def make_optimizer(self) -> torch.optim.Optimizer:
        """See `PretrainingStage`."""
        trained = [*self.network.backbone.encoder_parameters(), *self.head.parameters()]
        return torch.optim.Adam(trained, lr=self.config.learning_rate)

    def learning_rate(self) -> float:
        """See `PretrainingStage`."""
        return self.config.learning_rate

    def loss(self) -> Float[Tensor, ""]:
        """See `PretrainingStage`."""
        views = global_batch(self.volumes, self.config, self.generator)
        return self._loss_of(self.embed(self.encode(views)[-1]))

    def collapsed_loss(self) -> float:
        """See `PretrainingStage`."""
        return float(self._loss_of(torch.ones((self.num_views, 1))))

    def _loss_of(self, embeddings: Float[Tensor, "views embedding"]) -> Float[Tensor, ""]:
        config = self.config
        return global_contrastive_loss(
            embeddings,
            config.global_strategy,
            num_partitions=config.num_partitions,
            temperature=config.temperature,
        )


class LocalStage(PretrainingStage):
    """Method C's second stage: decoder blocks learn which regions are alike.

    The encoder's weights stay as they are.

    Source: Chaitanya et al., NeurIPS 2020, section 3.2.
    """

    name = "local"

    def __init__(self, inputs: StageInputs, config: GlobalLocalConfig) -> None:
        self.config = config
        in_set = min(VOLUMES_IN_SET, len(inputs.volumes)) * config.num_partitions
        is_random = config.local_strategy is LocalStrategy.RANDOM
        self.num_views = 2 * (LOCAL_SLICES if is_random else in_set)
        super().__init__(inputs, config.local_steps)

    def make_head(self) -> nn.Module:
        """See `PretrainingStage`."""
        width = self.network.backbone.decoder_width(self.config.num_decoder_blocks)
        momentum = self.network.config.batch_norm_momentum
        return RegionHead(width, momentum, self.generator, self.config.region_side)

    def make_optimizer(self) -> torch.optim.Optimizer:
        """See `PretrainingStage`."""
        blocks = self.network.backbone.decoder_parameters(self.config.num_decoder_blocks)
        return torch.optim.Adam([*blocks, *self.head.parameters()], lr=self.config.learning_rate)

    def learning_rate(self) -> float:
        """See `PretrainingStage`."""
        return self.config.learning_rate

    def loss(self) -> Float[Tensor, ""]:
        """See `PretrainingStage`."""
        views = local_batch(self.volumes, self.config, self.generator)
        with torch.no_grad():
            levels = self.encode(views)
        with self.device.autocast():
            features = self.network.backbone.decode(levels, self.config.num_decoder_blocks)
        return self._loss_of(self.embed(features))

    def collapsed_loss(self) -> float:
        """See `PretrainingStage`."""
        return float(self._loss_of(torch.ones((self.num_views, len(CORNERS), 1))))

    def _loss_of(self, regions: Float[Tensor, "views 17 embedding"]) -> Float[Tensor, ""]:
        config = self.config
        return region_contrastive_loss(
            regions,
            config.local_strategy,
            num_partitions=config.num_partitions,
            temperature=config.temperature,
            layout=RegionLayout.of(config.num_regions, config.region_side),
        )


class PositionalStage(PretrainingStage):
    """Method B: the encoder learns that slices from nearby places of any volume are alike.

    Args:
        inputs: Network, volumes, device, seed.
        config: The settings.
        warp: The random changes of a view.

    Source: Zeng et al., MICCAI 2021; the warm-up of the rate is an addition, against collapse.
    """

    name = "positional"

    def __init__(
        self, inputs: StageInputs, config: PositionalConfig, warp: AugmentationConfig
    ) -> None:
        self.config = config
        self.warp = warp
        self.num_views = 2 * config.batch_size
        super().__init__(inputs, config.num_steps)

    def make_head(self) -> nn.Module:
        """See `PretrainingStage`."""
        width = self.network.backbone.widths[-1]
        return PositionalHead(width, self.config.embedding_size, self.generator)

    def make_optimizer(self) -> torch.optim.Optimizer:
        """See `PretrainingStage`."""
        trained = [*self.network.backbone.encoder_parameters(), *self.head.parameters()]
        config = self.config
        return torch.optim.SGD(
            trained,
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
        )

    def learning_rate(self) -> float:
        """Return the rate for the next step: a linear rise, then a cosine to 0."""
        share = self.config.warm_up_fraction
        warm_up = max(1, round(share * self.num_steps)) if share else 0
        if self.step < warm_up:
            return self.config.learning_rate * (self.step + 1) / (warm_up + 1)
        done = (self.step - warm_up) / max(1, self.num_steps - warm_up)
        return self.config.learning_rate * (1 + math.cos(math.pi * done)) / 2

    def loss(self) -> Float[Tensor, ""]:
        """See `PretrainingStage`."""
        batch = positional_batch(self.volumes, self.config.batch_size, self.warp, self.generator)
        views = batch.images.chunk(2) if self.config.norm_per_view else (batch.images,)
        bottleneck = torch.cat([self.encode(one)[-1] for one in views])
        return self._loss_of(self.embed(bottleneck), batch.positions)

    def collapsed_loss(self) -> float:
        """Return the loss of equal embeddings: (tau / T0) ln(2N - 1), whatever the positions."""
        return float(self._loss_of(torch.ones((self.num_views, 1)), torch.ones(self.num_views)))

    def _loss_of(
        self, embeddings: Float[Tensor, "views embedding"], positions: Float[Tensor, " views"]
    ) -> Float[Tensor, ""]:
        config = self.config
        return positional_contrastive_loss(
            embeddings,
            positions,
            threshold=config.threshold,
            temperature=config.temperature,
            base_temperature=config.base_temperature,
        )
