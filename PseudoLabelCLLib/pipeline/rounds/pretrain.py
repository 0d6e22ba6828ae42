"""Pre-training of a project's network on all its volumes, before anyone has segmented any."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from PseudoLabelCLLib.domain.errors import TrainingError
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.pretraining_config import Pretraining
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.reporting import Cancelled, Report
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.domain.text import NO_TEXT, Text
from PseudoLabelCLLib.learning.device import ComputeDevice, choose_device
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.optimizer_step import HalfDoneStepError
from PseudoLabelCLLib.learning.pretraining.pretrained_weights import (
    read_pretraining_checkpoint,
    restore_pretraining,
    save_pretrained,
    save_pretraining_checkpoint,
    transferred_names,
)
from PseudoLabelCLLib.learning.pretraining.pretraining import PretrainingStage
from PseudoLabelCLLib.pipeline.rounds.pretrained_model import write_pretrained_model
from PseudoLabelCLLib.pipeline.rounds.pretraining_data import (
    PretrainingData,
    load_pretraining_data,
    pretraining_stages,
)
from PseudoLabelCLLib.pipeline.training_device import as_the_settings_ask
from PseudoLabelCLLib.storage.project.pretraining_record import (
    LossPoint,
    PretrainingRecord,
    PretrainingSettings,
    StageRecord,
    pretraining_cases,
    pretraining_settings,
    read_pretraining,
    write_pretraining,
)
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout

STEPS_PER_CURVE_POINT = 10
# Within one per cent of the loss of equal embeddings, nothing was learned.
_COLLAPSED = 0.99
_STAGE_WORDS = {
    "global": Text("Pre-training: encoder"),
    "local": Text("Pre-training: decoder"),
    "positional": Text("Pre-training: encoder by position"),
    "masked": Text("Pre-training: masked images"),
}
# Stages draw from generators of their own, far from those of the rounds (seed + round).
_SEED_OFFSET = 10_000
_NUM_SEEDS = 2**32


def pretrain(
    root: Path,
    project: Project,
    preprocess: PreprocessConfig,
    device: ComputeDevice,
    report: Report,
) -> PretrainingRecord:
    """Pre-train from the start or from the checkpoint, and write weights and record.

    Validation cases take no part; annotated ones do, without their segmentations.

    Raises:
        Cancelled: Asked to stop; the checkpoint is written.
        TrainingError: No method is chosen, volumes are too few, or the loss is not a number.
    """
    if project.config.pretraining.method is Pretraining.NONE:
        raise TrainingError(
            Text("The project's settings name no pre-training (pretraining.method is 'none')."),
            Text(
                "Choose one: pseudolabelcl set PROJECT pretraining.method=global+local, "
                "positional or masked."
            ),
        )
    data = load_pretraining_data(root, project, preprocess, report)
    running = _RunningPretraining(root, data, device, report)
    try:
        return running.run()
    except torch.OutOfMemoryError as error:
        if device.name == "cpu":
            raise
        report.notice(
            Text(
                "The memory of the {device} is too small for a batch of pre-training, "
                "which cannot be split; it continues on the CPU, which is slower.",
                device=device.description,
            ),
            warning=True,
        )
        if not isinstance(error, HalfDoneStepError):  # else it goes on from where it was last saved
            running.save()
    del running  # and its memory on the device
    on_cpu = as_the_settings_ask(choose_device("cpu"), project.config)
    return _RunningPretraining(root, data, on_cpu, report).run()


def pretrain_if_needed(
    root: Path,
    project: Project,
    preprocess: PreprocessConfig,
    device: ComputeDevice,
    report: Report,
) -> PretrainingRecord | None:
    """Before round 0: return the pre-training that is there, or do it first.

    It is done again where settings changed since. Where only cases or the grid changed it still
    serves, and a notice says so.

    Returns:
        What was done, or None where the settings name no pre-training.

    Raises:
        Cancelled: Asked to stop; the checkpoint is written.
    """
    if project.config.pretraining.method is Pretraining.NONE:
        return None
    record = read_pretraining(root)
    if record is None:
        return pretrain(root, project, preprocess, device, report)
    if record.settings != pretraining_settings(project):
        report.notice(
            Text("The settings of pre-training have changed since it was done; it is done again."),
            warning=True,
        )
        return pretrain(root, project, preprocess, device, report)
    changes = changes_since(record, project, preprocess)
    if changes:
        report.notice(
            Text("The pre-training is reused although {changes} changed since.", changes=changes),
            warning=True,
        )
    report.notice(Text("Round 0 starts from this: {record}", record=record.sentence))
    return record


def changes_since(
    record: PretrainingRecord, project: Project, preprocess: PreprocessConfig
) -> Text:
    """Return what changed since a pre-training besides its settings, in words, or nothing."""
    has_other_cases = {*record.cases, *record.left_out} != set(pretraining_cases(project))
    if record.preprocess == preprocess:
        return Text("the cases") if has_other_cases else NO_TEXT
    if has_other_cases:
        return Text("the cases and the network's grid")
    return Text("the network's grid")


def require_before_round_0(project: Project) -> None:
    """Refuse a pre-training that could serve nothing.

    Raises:
        TrainingError: Round 0 is trained.
    """
    first = project.rounds[0] if project.rounds else None
    if first is not None and first.state is not RoundState.TRAINING:
        raise TrainingError(
            Text("Round 0 is trained already, so pre-training would have no effect."),
            Text("Create a new project to begin with pre-training."),
        )


@dataclass
class _Progress:
    """Losses and time so far; travels in the checkpoint's notes."""

    losses: list[list[float]] = field(default_factory=list)
    duration_s: float = 0.0


class _RunningPretraining:
    def __init__(
        self, root: Path, data: PretrainingData, device: ComputeDevice, report: Report
    ) -> None:
        self.data = data
        self.report = report
        self.root = root
        self.layout = ProjectLayout(root)
        self.settings = pretraining_settings(data.project)
        content = self._read_checkpoint(device)
        self.device = device if content is None else _as_begun(device, content["notes"])
        self.network = _new_network(data, self.settings.seed)
        self.device.place(self.network)
        seed = (self.settings.seed + _SEED_OFFSET) % _NUM_SEEDS
        self.stages = pretraining_stages(data, self.network, self.device, seed)
        self.number = 0
        self.progress = _Progress([[] for _ in self.stages])
        if content is not None:
            self._restore(content)

    def run(self) -> PretrainingRecord:
        for number in range(self.number, len(self.stages)):
            self.number = number
            self._run_stage(self.stages[number])
        return self._finish()

    def save(self) -> None:
        """Write the checkpoint.

        Raises:
            TrainingError: The loss is not a number; the older checkpoint stays.
        """
        stage = self.stages[self.number]
        self.progress.losses[self.number] += stage.read_losses()
        notes = {
            "identity": self._identity(),
            "losses": self.progress.losses,
            "duration_s": self.progress.duration_s,
            "device": self.device.name,
            "half_precision": self.device.half_precision,
        }
        path = self.layout.pretraining_checkpoint
        save_pretraining_checkpoint(path, self.number, stage, notes)

    def _run_stage(self, stage: PretrainingStage) -> None:
        words, losses = _STAGE_WORDS[stage.name], self.progress.losses[self.number]
        num_saves = self.data.project.config.training.checkpoints_per_round
        save_every = max(1, stage.num_steps // num_saves)
        started = time.monotonic()
        for known in stage.steps():
            losses += known
            now = time.monotonic()
            self.progress.duration_s += now - started
            started = now
            is_last = stage.step == stage.num_steps
            self.report.progress(words, stage.step, stage.num_steps)
            if losses and (stage.step % STEPS_PER_CURVE_POINT == 0 or is_last):
                self.report.metrics(words, stage.step, {stage.name: _last_mean(losses)})
            is_cancelled = self.report.is_cancelled()
            if stage.step % save_every == 0 or is_last or is_cancelled:
                self.save()
            if is_cancelled:
                raise Cancelled
        self._warn_of_collapse(stage, losses)

    def _warn_of_collapse(self, stage: PretrainingStage, losses: Sequence[float]) -> None:
        collapsed, last = stage.collapsed_loss(), _last_mean(losses)
        if last >= _COLLAPSED * collapsed:
            self.report.notice(
                Text(
                    "The pre-training learned nothing: its {stage} loss is {last:.3f} at "
                    "the end, and {collapsed:.3f} is what a network gets that cannot tell "
                    "any slices apart. Take more steps or a lower learning rate "
                    "(pretraining.* in the settings).",
                    stage=stage.name,
                    last=last,
                    collapsed=collapsed,
                ),
                warning=True,
            )

    def _finish(self) -> PretrainingRecord:
        """Write the weights, then the record; only with both is the pre-training done."""
        layout = self.layout
        record = self._record()
        layout.pretraining_record.unlink(missing_ok=True)
        names = transferred_weights(self.network, self.settings)
        save_pretrained(layout.pretrained_weights, self.network, names)
        fresh = _new_network(self.data, self.settings.seed)
        write_pretrained_model(self.root, self.data.project, record, fresh, names)
        write_pretraining(self.root, record)
        layout.pretraining_checkpoint.unlink(missing_ok=True)
        self.report.artifact("pretraining", layout.pretraining_record)
        self.report.notice(record.sentence)
        return record

    def _record(self) -> PretrainingRecord:
        curve, before = [], 0
        for stage, losses in zip(self.stages, self.progress.losses, strict=True):
            curve += _curve(stage.name, losses, before)
            before += len(losses)
        return PretrainingRecord(
            settings=self.settings,
            preprocess=self.data.preprocess,
            cases=self.data.case_ids,
            left_out=self.data.left_out,
            turned=self.data.turned,
            num_decoder_blocks=_num_decoder_blocks(self.settings),
            stages=tuple(
                StageRecord(
                    stage.name,
                    stage.num_steps,
                    first_loss=_mean(losses[:STEPS_PER_CURVE_POINT]),
                    last_loss=_last_mean(losses),
                    collapsed_loss=stage.collapsed_loss(),
                )
                for stage, losses in zip(self.stages, self.progress.losses, strict=True)
            ),
            curve=tuple(curve),
            device=self.device.description,
            duration_s=self.progress.duration_s,
            finished=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        )

    def _read_checkpoint(self, device: ComputeDevice) -> dict[str, Any] | None:
        """Return the checkpoint, if there is one of this very pre-training."""
        path = self.layout.pretraining_checkpoint
        if not path.exists():
            return None
        content = read_pretraining_checkpoint(path, device.torch_device)
        if content["notes"].get("identity") == self._identity():
            return content
        self.report.notice(
            Text(
                "The pre-training starts again: its settings or cases changed since it was "
                "interrupted."
            ),
            warning=True,
        )
        return None

    def _restore(self, content: dict[str, Any]) -> None:
        self.number = int(content["stage"])
        stage = self.stages[self.number]
        restore_pretraining(content, stage, self.layout.pretraining_checkpoint)
        notes = content["notes"]
        self.progress = _Progress([list(losses) for losses in notes["losses"]], notes["duration_s"])
        self.report.notice(
            Text(
                "{stage} continues after step {step}.",
                stage=_STAGE_WORDS[stage.name],
                step=stage.step,
            )
        )

    def _identity(self) -> str:
        """What must be the same for a checkpoint to go on."""
        data = self.data
        return repr((self.settings, data.preprocess, data.case_ids, data.turned, data.warp))


def transferred_weights(
    network: SegmentationNetwork, settings: PretrainingSettings
) -> tuple[str, ...]:
    """Return the entries of a network's state that these settings hand over to round 0."""
    config = settings.config
    keeps = {
        Pretraining.GLOBAL_LOCAL: config.global_local.keep_running_averages,
        Pretraining.POSITIONAL: config.positional.keep_running_averages,
    }.get(config.method, False)
    return transferred_names(network, _num_decoder_blocks(settings), keep_running_averages=keeps)


def _num_decoder_blocks(settings: PretrainingSettings) -> int:
    """Decoder blocks that are trained: none where only the encoder is."""
    config = settings.config
    if config.method is Pretraining.MASKED:
        return settings.network.num_decoder_blocks
    has_local = config.method is Pretraining.GLOBAL_LOCAL and config.global_local.local_steps > 0
    return config.global_local.num_decoder_blocks if has_local else 0


def _new_network(data: PretrainingData, seed: int) -> SegmentationNetwork:
    project, generator = data.project, torch.Generator().manual_seed(seed)
    num_channels = project.num_channels * data.preprocess.slices_at_once
    return SegmentationNetwork(
        project.config.network, project.schema.num_classes, generator, num_channels
    )


def _as_begun(device: ComputeDevice, notes: dict[str, Any]) -> ComputeDevice:
    """Keep the precision that an interrupted pre-training began with on the same device."""
    if notes["device"] != device.name:
        return device
    return replace(device, half_precision=bool(notes["half_precision"]))


def _curve(name: str, losses: Sequence[float], before: int) -> list[LossPoint]:
    points = []
    for first in range(0, len(losses), STEPS_PER_CURVE_POINT):
        part = losses[first : first + STEPS_PER_CURVE_POINT]
        points.append(LossPoint(before + first + len(part), {name: _mean(part)}))
    return points


def _last_mean(losses: Sequence[float]) -> float:
    return _mean(losses[-STEPS_PER_CURVE_POINT:])


def _mean(losses: Sequence[float]) -> float:
    return sum(losses) / len(losses)
