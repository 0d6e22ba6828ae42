"""Train one round: human truth into the segmentation loss, pseudo-labels into the contrastive."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Selection
from PseudoLabelCLLib.domain.method_config import IncompleteSlices
from PseudoLabelCLLib.domain.reporting import Cancelled, Report
from PseudoLabelCLLib.domain.round_work import Work
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.checkpoint import (
    load_moments,
    moments_of,
    read_checkpoint,
    restore,
    save_checkpoint,
)
from PseudoLabelCLLib.learning.copies import CopyTransform
from PseudoLabelCLLib.learning.device import ComputeDevice, choose_device
from PseudoLabelCLLib.learning.inference import predict_parts
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.optimizer_step import HalfDoneStepError
from PseudoLabelCLLib.learning.process_group import ProcessGroup
from PseudoLabelCLLib.learning.training.training import StepReport, Trainer, start_training
from PseudoLabelCLLib.pipeline.learning_curve import (
    CurvePoint,
    read_learning_curve,
    write_learning_curve,
)
from PseudoLabelCLLib.pipeline.prediction.segment_volume import most_likely_classes
from PseudoLabelCLLib.pipeline.processes.follow import Task, lead
from PseudoLabelCLLib.pipeline.rounds.initial_network import initial_network
from PseudoLabelCLLib.pipeline.rounds.round_data import (
    RoundInputs,
    for_another_process,
    load_round_data,
    load_validation,
)
from PseudoLabelCLLib.pipeline.rounds.timed_training import timed_steps
from PseudoLabelCLLib.pipeline.slices.case_slices import CaseSlices, label_values
from PseudoLabelCLLib.pipeline.training_device import as_the_settings_ask
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout

LabelArray = npt.NDArray[np.int16]

STEPS_PER_CURVE_POINT = 10


@dataclass
class TrainedRound:
    """What training a round leaves.

    Args:
        network: The selected weights.
        curve: The learning curve.
        selected_at_step: Which step's weights were kept; 0 is the start of the round.
        validation_dice: Their mean Dice on the validation cases, or None without any.
        num_validations: How often that was measured in the round, its start included.
        device: What it ran on at the end.
        num_steps: Steps of the whole round.
        moments: Of the optimiser at the selected weights, if the next round continues with them.
    """

    network: SegmentationNetwork
    curve: list[CurvePoint]
    selected_at_step: int
    validation_dice: float | None
    device: ComputeDevice
    num_steps: int
    moments: dict[str, Any] | None = None
    num_validations: int = 0


@dataclass
class _Progress:
    """Curve and best weights so far; travels in the checkpoint's notes."""

    curve: list[CurvePoint] = field(default_factory=list)
    best_dice: float = -1.0
    best_step: int = 0
    best_weights: dict[str, torch.Tensor] | None = None
    best_moments: dict[str, Any] | None = None
    num_incomplete: int = 0

    def to_notes(self, identity: str) -> dict[str, Any]:
        return {
            "identity": identity,
            "curve": [asdict(point) for point in self.curve],
            "best_dice": self.best_dice,
            "best_step": self.best_step,
            "best_weights": self.best_weights,
            "best_moments": self.best_moments,
            "num_incomplete": self.num_incomplete,
        }

    @staticmethod
    def from_notes(notes: dict[str, Any]) -> "_Progress":
        return _Progress(
            [CurvePoint(**point) for point in notes["curve"]],
            notes["best_dice"],
            notes["best_step"],
            notes["best_weights"],
            notes["best_moments"],
            notes["num_incomplete"],
        )


def train_round(inputs: RoundInputs, device: ComputeDevice, report: Report) -> TrainedRound:
    """Train a round from its start or from its checkpoint.

    The weights that are kept are those of the running average with the best mean Dice on the
    validation cases, the round's start included, so that no round is worse there than the one
    before; without validation cases they are the last ones. `training.selection` has other rules.

    Raises:
        Cancelled: Asked to stop; the checkpoint is written.
        TrainingError: The loss is not a number.
    """
    training: _RoundTraining | None = None
    try:
        training = _RoundTraining(inputs, device, report)
        return training.run()
    except torch.OutOfMemoryError as error:
        if device.name == "cpu" or inputs.group.size > 1:
            raise
        is_whole = not isinstance(error, HalfDoneStepError)
        report.notice(_memory_is_short(device, is_whole=is_whole), warning=True)
        # before the first step there is nothing to save, and the selection must begin anew
        if training is not None and training.trainer.state.step > 0 and is_whole:
            training.save()
    training = None  # and its memory on the device
    on_cpu = as_the_settings_ask(choose_device("cpu"), inputs.project.config)
    return _RoundTraining(inputs, on_cpu, report).run()


def _memory_is_short(device: ComputeDevice, *, is_whole: bool) -> Text:
    """Say that a round goes on without a device, and from where: that step or the checkpoint."""
    if is_whole:
        return Text(
            "The memory of the {device} is too small even for one slice at a time; "
            "training continues on the CPU, which is slower.",
            device=device.description,
        )
    return Text(
        "The memory of the {device} ran out while weights were changed; training continues on "
        "the CPU, which is slower, from where it was last saved.",
        device=device.description,
    )


@dataclass(frozen=True)
class FollowTraining(Task):
    """What the other processes do while the first one trains a round."""

    inputs: RoundInputs
    device: ComputeDevice

    def follow(self, group: ProcessGroup, report: Report) -> None:
        """Take the same steps on the own share of every batch."""
        train_round(replace(self.inputs, group=group), self.device, report)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to the first process."""
        return {**vars(self), "inputs": for_another_process(self.inputs)}


class _RoundTraining:
    def __init__(self, inputs: RoundInputs, device: ComputeDevice, report: Report) -> None:
        self.inputs = inputs
        self.device = device
        self.report = report
        self.config = inputs.training
        self.layout = ProjectLayout(inputs.root)
        self.index = inputs.plan.index
        self.stage_name = Text("Round {index}: training", index=self.index)
        self.is_validated = bool(inputs.project.cases_with_role(CaseRole.VALIDATION))
        self.validation = load_validation(inputs, report)
        data = load_round_data(inputs, report)
        stage = self.config.joint if data.is_joint else self.config.supervised
        seed = self.config.seed + self.index
        state = start_training(initial_network(inputs, seed), stage, device, seed)
        self.group = inputs.group
        # only now, so that the others find all slices prepared on the disk
        lead(self.group, FollowTraining(inputs, device))
        self.trainer = Trainer(state, data, self.config, device, self.group)
        self.progress = self._resume() or _Progress()

    def run(self) -> TrainedRound:
        state, num_steps = self.trainer.state, self.trainer.stage.num_steps
        validate_every = max(1, num_steps // self.config.validations_per_round)
        save_every = max(1, num_steps // self.config.checkpoints_per_round)
        if state.step == 0 and self.index > 0:
            self._take_up_moments()
            self._take_up_selection()
            self._renew_head()
        num_parts = 1
        for step in timed_steps(self.inputs, self.trainer, self.report):
            self.report.progress(self.stage_name, step.step, num_steps)
            self._note_losses(step)
            if self.trainer.num_parts != num_parts:
                num_parts = self.trainer.num_parts
                self._tell_smaller_parts(num_parts)
            is_last = step.step == num_steps
            if step.step % validate_every == 0 or is_last:
                self._validate()
            if step.step % save_every == 0 or is_last:
                self.save()
            if self.group.any(flag=self.report.is_cancelled()) and not is_last:
                self.save()
                raise Cancelled
        return self._result()

    def save(self) -> None:
        """Write checkpoint and learning curve, unless training has gone astray.

        Raises:
            TrainingError: The loss is not a number; the older checkpoint stays.
        """
        self.trainer.check()
        if not self.group.is_first:
            return
        notes = self.progress.to_notes(self._identity())
        save_checkpoint(self.layout.checkpoint(self.index), self.trainer.state, notes)
        write_learning_curve(self.layout.learning_curve(self.index), self.progress.curve)

    def _resume(self) -> _Progress | None:
        """Take up the checkpoint, if there is one of this very round."""
        path = self.layout.checkpoint(self.index)
        if not path.exists():
            return None
        state = self.trainer.state
        content = read_checkpoint(path, self.device.torch_device)
        if content["notes"].get("identity") != self._identity():
            self.report.notice(
                Text(
                    "Round {index} starts again: its settings or cases changed since it was "
                    "interrupted.",
                    index=self.index,
                ),
                warning=True,
            )
            return None
        restore(content, state, path)
        self.report.notice(
            Text("Round {index} continues after step {step}.", index=self.index, step=state.step)
        )
        return _Progress.from_notes(content["notes"])

    def _identity(self) -> str:
        """What must be the same for a checkpoint to go on."""
        project = self.inputs.project
        return repr(
            (self.inputs.plan, self.inputs.preprocess, self.config, project.config, project.schema)
        )

    def _take_up_selection(self) -> None:
        """Let the start of the round take part in the selection of its weights."""
        if not self.is_validated:
            return
        if self.config.selection is Selection.BEST:
            self._validate()
        elif self.config.selection is Selection.LAST_IMPROVEMENT:
            # round 0 is another program there, and leaves no Dice behind
            earlier = self.layout.learning_curve(self.index - 1)
            before = read_learning_curve(earlier) if self.index > 1 else []
            measured = [dice for point in before if (dice := point.validation_dice) is not None]
            self._keep(measured[-1] if measured else -1.0)

    @property
    def _keeps_moments(self) -> bool:
        return self.config.keep_moments and self.trainer.data.is_joint

    def _take_up_moments(self) -> None:
        """Go on with the moments of the joint round before, if the settings say so."""
        path = self.layout.moments(self.index - 1)
        if not self._keeps_moments or self.index == 1 or self.config.fresh_network:
            return
        if path.exists():
            load_moments(path, self.trainer.state.optimizer)
        else:
            self.report.notice(
                Text(
                    "Round {index} has no saved moments: they start from zero.",
                    index=self.index - 1,
                )
            )

    def _renew_head(self) -> None:
        """Begin the joint rounds with a new segmentation head, if the settings say so."""
        if not (self.config.reset_head and self.index == 1 and self.trainer.data.is_joint):
            return
        state = self.trainer.state
        for network in (state.network, state.average):
            seed = self.config.seed + self.index
            network.reset_segmentation_head(torch.Generator().manual_seed(seed))

    def _note_losses(self, step: StepReport) -> None:
        self.progress.num_incomplete += step.incomplete
        if step.step % STEPS_PER_CURVE_POINT or not step.names:
            return
        self.progress.curve.append(CurvePoint(step.step, step.losses))
        self.report.metrics(self.stage_name, step.step, step.losses)

    def _tell_smaller_parts(self, num_parts: int) -> None:
        self.report.notice(
            Text(
                "The memory of the {device} is short: each batch is now processed in "
                "{count} parts; the effective batch stays {size} slices.",
                device=self.device.description,
                count=num_parts,
                size=self.trainer.stage.batch_size,
            ),
            warning=True,
        )

    def _validate(self) -> None:
        """Measure the running average on the validation cases and keep it if it is the best."""
        state = self.trainer.state
        if not self.is_validated:
            return
        num_voxels = self.group.size * sum(c.images[:, 0].size for c, _ in self.validation)
        with self.inputs.timed(Work.VALIDATING, num_voxels):
            own = [self._dice_of(case, reference) for case, reference in self.validation]
            found = self.group.everyones(own)
        dice = float(np.mean(found))
        self.progress.curve.append(CurvePoint(state.step, validation_dice=dice))
        self.report.metrics(self.stage_name, state.step, {"validation Dice": dice})
        if dice > self.progress.best_dice or self.config.selection is Selection.LAST:
            self._keep(dice)

    def _keep(self, dice: float) -> None:
        """Take the present weights for the best so far."""
        state, progress = self.trainer.state, self.progress
        progress.best_dice = dice
        progress.best_step = state.step
        progress.best_weights = {
            name: tensor.detach().cpu().clone()
            for name, tensor in state.average.state_dict().items()
        }
        if self._keeps_moments:
            progress.best_moments = moments_of(state.optimizer)

    def _dice_of(self, case: CaseSlices, reference: LabelArray) -> float:
        predicted = predict_parts(
            self.trainer.state.average, case.images, (CopyTransform(),), self.device,
            self.inputs.preprocess.patch_size,
        )  # fmt: skip
        classes = most_likely_classes(predicted, case.grid)
        schema = self.inputs.project.schema
        return mean_dice(label_values(classes, schema), reference, schema.values)

    def _tell_incomplete(self) -> None:
        """Say in how many steps the contrastive batch had slices that lack a structure."""
        number, of = self.progress.num_incomplete, self.trainer.state.step
        if not number:
            return
        skip = self.config.contrastive.incomplete_slices is IncompleteSlices.SKIP
        text = Text(
            "No slice with human truth, or none with a pseudo-label, shows every structure; the "
            "contrastive loss compares those that a slice shows."
        )
        if skip:
            text = Text(
                "In {share:.0%} of the steps too few slices showed every structure; these steps "
                "were skipped.",
                share=number / of,
            )
        self.report.notice(text, warning=skip)

    def _tell_unchanged(self) -> None:
        """Say so where the weights of the round before were the best."""
        progress = self.progress
        measured = [(p.step, p.validation_dice) for p in progress.curve]
        later = [dice for step, dice in measured if step and dice is not None]
        if progress.best_weights is None or progress.best_step or not later:
            return
        self.report.notice(
            Text(
                "Round {index} was never better on the validation cases than round {before} "
                "(mean Dice {later:.3f} at best, {best:.3f} before), so the network "
                "stays as it was. A few validation cases can mislead; "
                "training.selection=last keeps what a round has learned in any case.",
                index=self.index,
                before=self.index - 1,
                later=max(later),
                best=progress.best_dice,
            )
        )

    def _result(self) -> TrainedRound:
        self._tell_incomplete()
        self._tell_unchanged()
        network = self.trainer.state.average
        progress = self.progress
        if progress.best_weights is not None:
            network.load_state_dict(progress.best_weights)
        selected = progress.best_step if progress.best_weights else self.trainer.state.step
        dice = progress.best_dice if progress.best_weights else None
        moments = None
        if self._keeps_moments:
            moments = progress.best_moments or moments_of(self.trainer.state.optimizer)
        return TrainedRound(
            network, progress.curve, selected, dice, self.device,
            self.trainer.stage.num_steps, moments,
            sum(point.validation_dice is not None for point in progress.curve),
        )  # fmt: skip


def mean_dice(prediction: LabelArray, reference: LabelArray, values: Sequence[int]) -> float:
    """Return the Dice averaged over the labels that either side has; 1 where neither has any."""
    scores = []
    for value in values:
        ours, theirs = prediction == value, reference == value
        total = int(ours.sum()) + int(theirs.sum())
        if total:
            scores.append(2 * int((ours & theirs).sum()) / total)
    return float(np.mean(scores)) if scores else 1.0
