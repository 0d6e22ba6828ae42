"""Whether a step waits for a GPU, and whether training that is resumed goes on as it would have."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from gpu_day_rounds import new_network, packed
from gpu_day_rows import Asked, Found, Rows
from gpu_day_steps import Step, device_of, steps_of, windowed

from PseudoLabelCLLib.domain.pretraining_config import GlobalLocalConfig, PositionalConfig
from PseudoLabelCLLib.learning import to_device
from PseudoLabelCLLib.learning.checkpoint import read_checkpoint, restore, save_checkpoint
from PseudoLabelCLLib.learning.device import ComputeDevice, choose_number_of_threads
from PseudoLabelCLLib.learning.pretraining.pretraining import (
    GlobalStage,
    LocalStage,
    PositionalStage,
    StageInputs,
)
from PseudoLabelCLLib.learning.pretraining.views import positional_warp
from PseudoLabelCLLib.learning.pretraining.volume_batches import OrderedVolume, VolumePool
from PseudoLabelCLLib.learning.training.training import Trainer, TrainingState


def waiting(asked: Asked, rows: Rows) -> None:
    """Look whether steps wait, then resume."""
    choose_number_of_threads()
    kinds = steps_of(asked)
    for name, kind in kinds.items():
        for resident in (True, False) if not kind.patches else (False,):
            where = " resident" if resident else ""
            rows.once(
                f"no waiting: {name}{where}",
                lambda kind=kind, resident=resident: _no_waiting(kind, asked, resident=resident),
                needs=asked.on_gpu,
            )
    for name, stage in _pretraining(asked).items():
        rows.once(
            f"no waiting: pre-training, {name}",
            lambda stage=stage: _nothing_waits(stage),
            needs=asked.on_gpu,
        )
    for half in (False, True):
        precision = "bfloat16" if half else "float32"
        device = device_of(asked, half_precision=half)
        rows.once(
            f"resuming after half of the steps, {precision}",
            lambda device=device: _resumed(kinds["joint round"], device),
        )


def _no_waiting(kind: Step, asked: Asked, *, resident: bool) -> Found:
    share = to_device.RESIDENT_SHARE
    to_device.RESIDENT_SHARE = share if resident else 0.0
    try:
        trainer = kind.trainer(device_of(asked, half_precision=True))
    finally:
        to_device.RESIDENT_SHARE = share
    steps = trainer.steps()
    return _nothing_waits(lambda: next(steps))


def _nothing_waits(step: Callable[[], object]) -> Found:
    """Do steps between those that read their losses; waiting is an error in them."""
    step()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(5):
            step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return Found("5 steps did not wait", "none waits", is_fine=True)


def _pretraining(asked: Asked) -> dict[str, Callable[[], object]]:
    """Return a step of each kind of pre-training, made when it is first asked for."""
    pack = windowed(packed(asked, "hearts"))
    device = device_of(asked, half_precision=True)

    def stage(kind: type, *settings: object) -> Callable[[], object]:
        steps: list[Iterator] = []

        def step() -> object:
            if not steps:
                network = new_network(pack)
                device.place(network)
                volumes = VolumePool([OrderedVolume(case.images) for case in pack.cases])
                steps.append(kind(StageInputs(network, volumes, device, 1), *settings).steps())
            return next(steps[0])

        return step

    both = GlobalLocalConfig(global_steps=20, local_steps=20)
    positional = PositionalConfig(num_steps=20, batch_size=8)
    warp = positional_warp(pack.training.augmentation)
    return {
        "global": stage(GlobalStage, both),
        "local": stage(LocalStage, both),
        "positional": stage(PositionalStage, positional, warp),
    }


def _resumed(kind: Step, device: ComputeDevice) -> Found:
    """Compare two runs through, and one that was stopped half way and went on from its file."""
    half, whole = 4, 8
    first = _Run(kind.trainer(device), whole)
    again = _Run(kind.trainer(device), whole)
    stopped = _Run(kind.trainer(device), half)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.pt"
        save_checkpoint(path, stopped.state, {})
        other = kind.trainer(device, new_network(kind.pack, seed=7))
        restore(read_checkpoint(path, device.torch_device), other.state, path)
    counters = {str(m["step"].device) for m in other.state.optimizer.state.values()}
    resumed = _Run(other, whole)
    by_chance, by_resuming = first.apart_from(again), first.apart_from(resumed)
    return Found(
        f"weights differ by {by_resuming:.1e}, those of two runs through by {by_chance:.1e}; "
        f"Adam's counters are on the {', '.join(sorted(counters))}",
        "no more than two runs through (times 10), counters on the cpu",
        by_resuming <= 10 * by_chance and counters == {"cpu"},
        {"resumed": by_resuming, "twice": by_chance},
    )


class _Run:
    """A trainer, run to one of its steps."""

    def __init__(self, trainer: Trainer, last: int) -> None:
        self.state: TrainingState = trainer.state
        for report in trainer.steps():
            if report.step == last:
                break

    def apart_from(self, other: "_Run") -> float:
        """Return the largest difference of two runs' weights."""
        return max(
            float((a - b).detach().abs().max())
            for a, b in zip(
                self.state.network.parameters(), other.state.network.parameters(), strict=True
            )
        )
