"""Memory at its peak beside our estimate, and what happens when a GPU has too little of it."""

import contextlib
import gc
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import torch
from gpu_day_pack import Pack
from gpu_day_rounds import new_network, packed
from gpu_day_rows import Asked, Found, Rows
from gpu_day_steps import CPU, Step, device_of, steps_of, windowed
from torch import Tensor

from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.round_memory import (
    HALF_SHARE,
    PREDICTION_BYTES,
    PROBABILITY_BYTES,
    STEP_BYTES,
    WEIGHT_BYTES,
    WORKSPACE_BYTES,
    level_values,
    num_weights,
    slices_of_step,
)
from PseudoLabelCLLib.learning.copies import draw_copies
from PseudoLabelCLLib.learning.device import ComputeDevice, choose_number_of_threads
from PseudoLabelCLLib.learning.inference import SLICES_AT_ONCE, predict_parts
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.training.training import Trainer

MIB = 2**20
SLICES = (SLICES_AT_ONCE, 512, 512)
VOLUME = (64, 128, 128)
# So much of what a step needs beside the weights is left to it.
SHARE = 0.6
# What may stay on a GPU after an error, beside what was there: libraries keep workspaces.
MOST_LEFT_MIB = 64.0


def memory(asked: Asked, rows: Rows) -> None:
    """Measure the peak of steps and predictions beside the estimate for a CPU."""
    choose_number_of_threads()
    for name, kind in steps_of(asked).items():
        for half in (True, False):
            if half and not asked.on_gpu and kind.pack.preprocess.dimension == 3:
                continue
            rows.once(
                f"{name}, {'bfloat16' if half else 'float32'}",
                lambda kind=kind, half=half: _step_peak(kind, asked, half=half),
            )
    slices, volume = ((16, 64, 64), (16, 32, 32)) if asked.tiny else (SLICES, VOLUME)
    for kind, shape in (("hearts", slices), ("atrium", volume)):
        pack = packed(asked, kind)
        rows.once(
            f"prediction in {pack.preprocess.dimension}-D, {' x '.join(map(str, shape))}",
            lambda pack=pack, shape=shape: _prediction_peak(pack, shape, asked),
        )


def retreat(asked: Asked, rows: Rows) -> None:
    """Let memory run out, on a CPU in pretence."""
    choose_number_of_threads()
    for name, kind in steps_of(asked).items():
        rows.once(f"{name} in smaller parts", lambda kind=kind: _in_parts(kind, asked))
    rows.once("nothing fits: on to the CPU", lambda: _to_cpu(steps_of(asked)["round 0"], asked))
    rows.once("prediction of fewer slices at once", lambda: _fewer_slices(asked))


def _step_peak(kind: Step, asked: Asked, *, half: bool) -> Found:
    training, network = kind.pack.training, kind.pack.config.network
    stage = training.joint if kind.is_joint else training.supervised
    sides = kind.pack.preprocess.patch_size
    values = slices_of_step(training, stage, is_joint=kind.is_joint) * level_values(network, sides)
    share = HALF_SHARE if half else 1.0
    expected = share * STEP_BYTES[len(sides)] * values + WEIGHT_BYTES * num_weights(network)

    def run() -> None:
        trainer = kind.trainer(device_of(asked, half_precision=half))
        for _ in islice(trainer.steps(), 3):
            pass

    return _beside(run, expected, asked)


def _prediction_peak(pack: Pack, shape: tuple[int, int, int], asked: Asked) -> Found:
    """Predict as many slices as go at once, or a volume that is just small enough to go whole."""
    is_3d = pack.preprocess.dimension == 3
    network: NetworkConfig = pack.config.network
    values = level_values(network, (math.prod(shape),))
    expected = (
        PREDICTION_BYTES * values
        + PROBABILITY_BYTES * pack.num_classes * math.prod(shape)
        + WORKSPACE_BYTES[3 if is_3d else 2]
    )
    images = np.random.default_rng(0).random((shape[0], 1, *shape[1:]), np.float32)
    device = device_of(asked, half_precision=asked.on_gpu)

    def run() -> None:
        _predict(pack, device, images)

    return _beside(run, expected, asked)


def _predict(pack: Pack, device: ComputeDevice, images: np.ndarray) -> int:
    """Predict slices in two copies; returns how many came back."""
    network = new_network(pack)
    device.place(network)
    config = replace(pack.config.pseudo_label, num_augmented_copies=2)
    copies = draw_copies(config, 0, mirror=False)
    said = predict_parts(network, images, copies, device, pack.preprocess.patch_size)
    return sum(len(part.probabilities) for part in said)


def _beside(run: Callable[[], None], expected: float, asked: Asked) -> Found:
    """Run once for libraries that load and algorithms that are tried, then for the peak."""
    run()
    told = f"estimate {expected / MIB:.0f} MiB"
    if not asked.on_gpu:
        return Found(f"{told}; the peak needs a GPU, step_memory.py has that of a CPU")
    _free()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    run()
    peak = torch.cuda.max_memory_allocated() - before
    return Found(
        f"{peak / MIB:.0f} MiB, {peak / expected:.2f} times the {told}",
        figures={"peak": peak, "estimate": expected},
    )


@dataclass(frozen=True)
class _Need:
    """What a computation needs, to leave it less.

    Args:
        pixels: Of the largest batch that goes through the network.
        peak: Bytes that the GPU's allocator had at the peak; 0 on a CPU.
    """

    pixels: int
    peak: int


def _need_of(run: Callable[[], object], asked: Asked) -> _Need:
    seen: list[int] = []
    with _watched(lambda images: seen.append(images.numel())):
        if asked.on_gpu:
            _free()
            torch.cuda.reset_peak_memory_stats()
        run()
    peak = torch.cuda.max_memory_reserved() if asked.on_gpu else 0
    return _Need(max(seen), peak)


@contextlib.contextmanager
def _left(share: float, need: _Need, asked: Asked) -> Iterator[None]:
    """Leave a computation a share of what it needs: of a GPU's memory, or of the pixels at once."""
    if asked.on_gpu:
        _free()
        kept = torch.cuda.memory_reserved()
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction((kept + share * (need.peak - kept)) / total)
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        return

    def refuse(images: Tensor) -> None:
        if images.numel() > share * need.pixels:
            raise torch.OutOfMemoryError("pretended")

    with _watched(refuse):
        yield


@contextlib.contextmanager
def _watched(look: Callable[[Tensor], None]) -> Iterator[None]:
    """Look at all images that go through a network."""
    features = SegmentationNetwork.features

    def watched(self: SegmentationNetwork, images: Tensor) -> Tensor:
        look(images)
        return features(self, images)

    SegmentationNetwork.features = watched
    try:
        yield
    finally:
        SegmentationNetwork.features = features


def _free() -> None:
    gc.collect()
    torch.cuda.empty_cache()


def _in_parts(kind: Step, asked: Asked) -> Found:
    device = device_of(asked, half_precision=False)
    whole = _losses(kind.trainer(device))
    need = _need_of(lambda: _losses(kind.trainer(device)), asked)
    with _left(SHARE, need, asked):
        trainer = kind.trainer(device)
        parts = _losses(trainer)
    is_finite = all(map(math.isfinite, parts))
    return Found(
        f"{trainer.num_parts} parts of a batch; losses {_short(parts)}, whole {_short(whole)}",
        "2 parts or more, finite losses",
        trainer.num_parts > 1 and is_finite,
        {"num_parts": trainer.num_parts, "parts": parts, "whole": whole},
    )


def _losses(trainer: Trainer) -> list[float]:
    """Return the sum of the losses of each of the first steps."""
    return [sum(report.losses.values()) for report in islice(trainer.steps(), 3)]


def _short(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)


def _to_cpu(kind: Step, asked: Asked) -> Found:
    """Let a round run out of memory after two steps, and go on from there on the CPU."""
    device = device_of(asked, half_precision=False)
    need = _need_of(lambda: _losses(kind.trainer(device)), asked)
    trainer = kind.trainer(device)
    steps = trainer.steps()
    next(steps), next(steps)
    before = torch.cuda.memory_allocated() if asked.on_gpu else 0
    ran_out = False
    with _left(0.02, need, asked):
        try:
            next(steps)
        except torch.OutOfMemoryError:
            ran_out = True
    left = (torch.cuda.memory_allocated() if asked.on_gpu else 0) - before
    there, here = trainer.state, kind.trainer(CPU)
    here.state.network.load_state_dict(there.network.state_dict())
    here.state.average.load_state_dict(there.average.state_dict())
    here.state.optimizer.load_state_dict(there.optimizer.state_dict())
    here.state.generator.set_state(there.generator.get_state())
    here.state.step = there.step
    report = next(here.steps())
    is_finite = all(map(math.isfinite, report.losses.values()))
    return Found(
        f"ran out: {'yes' if ran_out else 'no'}, in {trainer.num_parts} parts of a batch; "
        f"{left / MIB:.0f} MiB more stayed; step {report.step} on the CPU has the loss "
        f"{sum(report.losses.values()):.3f}",
        f"yes; at most {MOST_LEFT_MIB:g} MiB; step 3, finite",
        ran_out and left <= MOST_LEFT_MIB * MIB and is_finite and report.step == 3,
        {"num_parts": trainer.num_parts, "left": left},
    )


def _fewer_slices(asked: Asked) -> Found:
    """Predict as many slices as go at once with less memory than they need."""
    pack = windowed(packed(asked, "hearts"))
    case = pack.of_role("validation")[0]
    images = np.concatenate([case.images] * 4)[:SLICES_AT_ONCE]
    device = device_of(asked, half_precision=False)
    need = _need_of(lambda: _predict(pack, device, images), asked)
    seen: list[int] = []
    with _left(SHARE, need, asked), _watched(lambda sent: seen.append(len(sent))):
        came_back = _predict(pack, device, images)
    return Found(
        f"{came_back} of {len(images)} slices, at most {max(seen)} at first and {min(seen)} later",
        "all, fewer at once",
        came_back == len(images) and min(seen) < max(seen),
    )
