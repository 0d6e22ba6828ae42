"""The training loop: steps of round 0 (human truth) and of joint rounds (plus pseudo-labels)."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import compress

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from PseudoLabelCLLib.domain.config import LearningRate, StageConfig, TrainingConfig
from PseudoLabelCLLib.domain.errors import TrainingError
from PseudoLabelCLLib.domain.method_config import IncompleteSlices
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.optimizer_step import HalfDoneStepError, take_step
from PseudoLabelCLLib.learning.process_group import ALONE, ProcessGroup
from PseudoLabelCLLib.learning.shapes import Float
from PseudoLabelCLLib.learning.training.forward import forward_of
from PseudoLabelCLLib.learning.training.loss_terms import EmbeddingTerm, loss_terms
from PseudoLabelCLLib.learning.training.sampling import RoundData, SliceBatch
from PseudoLabelCLLib.learning.training.step_batch import Source, StepBatch
from PseudoLabelCLLib.learning.training.step_losses import StepLosses
from PseudoLabelCLLib.learning.training.targets import TargetForm

WARM_UP_FRACTION = 0.3
# The running average begins short and grows to its full length, so that the random start fades.
AVERAGE_WARM_UP_STEPS = 10
# Reading a loss waits for the device; a loss that is no number makes all later ones so too.
STEPS_BETWEEN_CHECKS = 10


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
class StepReport:
    """One step.

    Args:
        step: Its number, from 1.
        names: The losses that took part; none where the step was skipped.
        values: What they were, still on the device.
        incomplete: Whether every slice of the contrastive batch lacked a class, or too many did for
            a step that asks for whole ones.
    """

    step: int
    names: tuple[str, ...]
    values: Float[Tensor, " losses"]
    incomplete: bool = False

    @cached_property
    def losses(self) -> dict[str, float]:
        """The losses by name; the first look waits for the device."""
        return dict(zip(self.names, self.values.tolist(), strict=True))


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


class SmallerPartsError(TrainingError):
    """The memory of one of several processes is too small for its share of a batch.

    Args:
        group: The processes.
        num_parts: In how many parts the batch may fit; all have to begin again with them.
    """

    def __init__(self, group: ProcessGroup, num_parts: int) -> None:
        super().__init__(
            Text(
                "The memory of the device of process {number} of {count} is too small for its "
                "share of a batch.",
                number=group.rank + 1,
                count=group.size,
            ),
            Text(
                "Train again: each batch is then worked through in {count} parts.", count=num_parts
            ),
        )
        self.num_parts = num_parts


class Trainer:
    """Runs the steps of one round.

    Where memory runs out, the batch is worked through in more and smaller parts; gradients add up
    to those of the whole batch (batch normalisation then sees the parts).

    Several processes draw the same batch and compute the same losses, each from its share of the
    network's outputs and those of the others, so that all take the same step.

    Args:
        state: Where training stands; in every process the same.
        data: What the round learns from.
        config: How.
        device: Where to compute.
        group: The processes that share each batch.
    """

    def __init__(
        self,
        state: TrainingState,
        data: RoundData,
        config: TrainingConfig,
        device: ComputeDevice,
        group: ProcessGroup = ALONE,
    ) -> None:
        self.state = state
        self.data = data
        self.config = config
        self.stage = config.joint if data.is_joint else config.supervised
        self.device = device
        self.group = group
        self.num_parts = group.num_parts
        pools = (data.truth, data.pseudo)
        self._has_complete_pairs = all(pool.shows_every_class for pool in pools)
        self._refuse_endless_skipping()
        num_classes = state.network.num_classes
        terms = loss_terms(config, self.stage, num_classes, is_joint=data.is_joint)
        # a part of a batch may have no slices to embed
        embeds = self.num_parts == 1 and any(isinstance(term, EmbeddingTerm) for term in terms)
        self._losses = StepLosses(
            terms,
            forward_of(state.network, state.average, group, device.torch_device, embeds=embeds),
            TargetForm(num_classes, device.torch_device, data.has_ignored, data.has_left_out),
            device,
            state.generator,
            data.slices_at_once,
        )
        if device.name != "cpu":
            for pool in pools:
                pool.bring_to(device.torch_device)
        self._latest: StepReport | None = None

    def steps(self) -> Iterator[StepReport]:
        """Train until the round's last step, reporting each; stopping the iteration stops it.

        Raises:
            TrainingError: The loss is not a number.
            torch.OutOfMemoryError: Not even one slice at a time fits the device; a
                HalfDoneStepError where the state is between two steps and must not be kept.
            SmallerPartsError: The memory of one of several processes is short.
        """
        state, stage = self.state, self.stage
        while state.step < stage.num_steps:
            rate = learning_rate(stage, state.step)
            for group in state.optimizer.param_groups:
                group["lr"] = rate
            report = self._step()
            state.step = report.step
            _follow(state.average, state.network, _average_decay(stage, state.step))
            self._latest = report
            if self._is_time_to_check():
                self.check()
            yield report

    def check(self) -> None:
        """Make sure that the newest losses are numbers; every checkpoint needs that.

        Raises:
            TrainingError: They are not.
        """
        latest = self._latest
        if latest is not None and not all(map(math.isfinite, latest.losses.values())):
            raise TrainingError(
                Text(
                    "The loss is not a number after step {step}: {losses}.",
                    step=latest.step,
                    losses=latest.losses,
                ),
                Text("Check the images for extreme values, or lower the learning rate."),
            )

    def _is_time_to_check(self) -> bool:
        step = self.state.step
        waits = self.device.name != "cpu"
        return not waits or step % STEPS_BETWEEN_CHECKS == 0 or step == self.stage.num_steps

    def _step(self) -> StepReport:
        number = self.state.step + 1
        if self._skips():
            return StepReport(number, (), torch.zeros(0), incomplete=True)
        batch = self._draw()
        incomplete = self._draws_pairs and not self._has_complete_pairs
        random_state = self.state.generator.get_state()
        while (losses := self._descend_if_it_fits(batch)) is None:
            self.num_parts *= 2
            self.state.generator.set_state(random_state)
            if self.device.name == "cuda":
                torch.cuda.empty_cache()
        values = torch.stack(list(losses.values()))
        return StepReport(number, tuple(losses), values, incomplete)

    def _descend_if_it_fits(self, batch: StepBatch) -> dict[str, Tensor] | None:
        """Do the step, or return None where memory ran out and smaller parts may fit.

        With the error goes its traceback, which holds what the step had computed so far: only then
        can that memory be given back.

        Raises:
            torch.OutOfMemoryError: The parts are single slices already.
            HalfDoneStepError: Memory ran out when weights had begun to change.
        """
        try:
            return self._descend(batch)
        except HalfDoneStepError:
            raise
        except torch.OutOfMemoryError:
            if self.num_parts >= self.stage.batch_size:
                raise
            if self.group.size > 1:  # the others wait for its share, and cannot begin again
                raise SmallerPartsError(self.group, 2 * self.num_parts) from None
            return None

    def _refuse_endless_skipping(self) -> None:
        config = self.config.contrastive
        skips = config.incomplete_slices is IncompleteSlices.SKIP and config.weight > 0
        if self.data.is_joint and skips and self.data.truth.patches is not None:
            raise TrainingError(
                Text(
                    "Patches of slices need not show every structure, even where the slice does, "
                    "so every step could be skipped."
                ),
                Text(
                    "Set training.contrastive.incomplete_slices=use, or in a new project a "
                    "preprocess.window_size."
                ),
            )
        if self.data.is_joint and skips and not self._has_complete_pairs:
            raise TrainingError(
                Text(
                    "No slice with human truth, or none with a pseudo-label, shows every "
                    "structure, so every step would be skipped."
                ),
                Text("Set training.contrastive.incomplete_slices=use."),
            )

    def _skips(self) -> bool:
        """Whether the published code would skip this step for want of complete slices."""
        config, data = self.config.contrastive, self.data
        if (
            not (data.is_joint and config.weight)
            or config.incomplete_slices is IncompleteSlices.USE
        ):
            return False
        pools = (data.truth, data.pseudo)
        return not all(pool.draws_enough_complete(self.state.generator) for pool in pools)

    @property
    def _draws_pairs(self) -> bool:
        return any(term.source is Source.PAIRS for term in self._losses.terms)

    def _draw(self) -> StepBatch:
        drawn: dict[Source, SliceBatch] = {}
        for term in self._losses.terms:
            if term.source not in drawn:
                drawn[term.source] = term.draw(self.data, self.state.generator)
        return StepBatch(drawn)

    def _descend(self, batch: StepBatch) -> dict[str, Tensor]:
        """One step of the optimiser; returns the losses, averaged over the parts."""
        state = self.state
        state.network.train()
        state.optimizer.zero_grad(set_to_none=True)
        terms = {term.name: term for term in self._losses.terms}
        totals: dict[str, Tensor] = {}
        for part, shares in batch.parts(self.num_parts):
            losses = {
                name: shares[terms[name].source] * loss
                for name, loss in self._losses.of(part).items()
            }
            weighted = [terms[name].weight * loss for name, loss in losses.items()]
            torch.stack(weighted).sum().backward()
            for name, loss in losses.items():
                totals[name] = totals.get(name, 0) + loss.detach()
        take_step(state.optimizer)
        return totals


def learning_rate(stage: StageConfig, step: int) -> float:
    """Return the rate before step `step`: constant, falling as a cosine, or one cycle of both.

    Source: Smith and Topin 2018, super-convergence; rise over the first 30 % of the steps.
    """
    # a function of the step alone: torch's OneCycleLR keeps a state, which a resumed round would
    # have to carry
    if stage.schedule is LearningRate.CONSTANT:
        return stage.learning_rate
    done = step / stage.num_steps
    if stage.schedule is LearningRate.COSINE:
        return stage.learning_rate * (1 + math.cos(math.pi * done)) / 2
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
    # torch's AveragedModel would put a counter and a prefix into every file of weights
    slow, fast = list(average.state_dict().values()), list(network.state_dict().values())
    is_averaged = [value.dtype.is_floating_point for value in slow]
    # all of them in one call, where the device has one
    get_ema_multi_avg_fn(decay)(
        list(compress(slow, is_averaged)), list(compress(fast, is_averaged)), 0
    )
    for own, other, is_done in zip(slow, fast, is_averaged, strict=True):
        if not is_done:
            own.copy_(other)
