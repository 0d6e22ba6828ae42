"""Steps per second of our training, and what the host spends on a step, beside plain loops."""

import importlib
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from gpu_day_pack import Pack
from gpu_day_plain import plain_step
from gpu_day_rounds import finish, new_network, packed, round_data
from gpu_day_rows import Asked, Found, Rows
from gpu_day_steps import Step, device_of, steps_of, windowed
from torch import Tensor, nn

from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.learning import to_device
from PseudoLabelCLLib.learning.device import choose_device, choose_number_of_threads
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.training.training import (
    STEPS_BETWEEN_CHECKS,
    Trainer,
    start_training,
)

# Steps that do not count; the first ones try algorithms.
WARM_UP = 5
PAPER_SIDE = 192


@dataclass(frozen=True)
class Timing:
    """How long steps took.

    Args:
        step_ms: Of a step, on average.
        host_ms: Of a step until it was handed to the device, which had nothing to do before; the
            median.
    """

    step_ms: float
    host_ms: float

    def found(self, num_images: int, more: str = "") -> Found:
        """Return it for the table."""
        per_second = 1000 / self.step_ms
        text = (
            f"{per_second:.1f} steps/s, {num_images * per_second:.0f} images/s; "
            f"a step {self.step_ms:.1f} ms, the host {self.host_ms:.1f} ms{more}"
        )
        return Found(text, figures={"step_ms": self.step_ms, "host_ms": self.host_ms})


def time_steps(step: Callable[[], object], asked: Asked) -> Timing:
    """Time steps for two seconds, then what the host does in a few of them."""
    for _ in range(1 if asked.tiny else WARM_UP):
        step()
    most_s, most_steps = (0.5, 8) if asked.tiny else (2.0, 200)
    finish(asked.device)
    start_s, done = time.perf_counter(), 0
    while done < most_steps and time.perf_counter() - start_s < most_s:
        step()
        done += 1
        if done % 10 == 0:
            finish(asked.device)  # the host would run ahead of the clock
    finish(asked.device)
    step_ms = 1000 * (time.perf_counter() - start_s) / done
    host = []
    for _ in range(2 if asked.tiny else STEPS_BETWEEN_CHECKS + 1):
        finish(asked.device)
        start_s = time.perf_counter()
        step()
        host.append(1000 * (time.perf_counter() - start_s))
    finish(asked.device)
    return Timing(step_ms, statistics.median(host))


def speed(asked: Asked, rows: Rows) -> None:
    """Measure our steps, then other loops with the same network and slices."""
    choose_number_of_threads()
    kinds = steps_of(asked)
    layouts = [(half, last) for half in (True, False) for last in (True, False)]
    for half, last in layouts:
        rows.once(
            f"ours, round 0, patches, {_precision(half)}, channels {'last' if last else 'first'}",
            lambda half=half, last=last: _ours(kinds["round 0"], asked, half=half, last=last),
        )
    rows.once("ours, joint round, patches, bfloat16", lambda: _ours(kinds["joint round"], asked))
    in_windows = Step(windowed(packed(asked, "hearts")), is_joint=False, patches=False)
    for resident in (True, False):
        rows.once(
            f"ours, round 0, windows {'' if resident else 'not '}resident, bfloat16",
            lambda resident=resident: _ours(in_windows, asked, resident=resident),
            needs=asked.on_gpu or resident,
        )
    for half in (True, False):
        rows.once(
            f"ours, round 0 in 3-D, {_precision(half)}",
            lambda half=half: _ours(kinds["round 0 in 3-D"], asked, half=half),
            needs=asked.on_gpu or not half,
        )
    for half in (True, False):
        rows.once(
            f"plain loop, same network, no augmentation, {_precision(half)}",
            lambda half=half: _plain(asked, half=half),
        )
    for name, package, module in (
        ("MONAI's loader, augmentation and loss", "monai", "gpu_day_monai"),
        ("nnU-Net's network", "dynamic_network_architectures", "gpu_day_nnunet"),
    ):
        rows.once(
            f"{name} in a plain loop, bfloat16",
            lambda package=package, module=module: _theirs(asked, package, module),
        )


def paper(asked: Asked, rows: Rows) -> None:
    """Time steps of round 0 of `paper`, on windows of the slices that `quick` sees."""
    pack = _as_published(packed(asked, "hearts"), tiny=asked.tiny)
    device = choose_device(asked.device)
    rows.once("device", lambda: Found(str(device.sentence)))

    def timed() -> Found:
        stage = pack.training.supervised
        state = start_training(new_network(pack), stage, device, 0)
        steps = Trainer(state, round_data(pack, patches=False), pack.training, device).steps()
        timing = time_steps(lambda: next(steps), asked)
        minutes = stage.num_steps * timing.step_ms / 60_000
        return timing.found(
            stage.batch_size, f"; its {stage.num_steps} steps would take {minutes:.1f} minutes"
        )

    side = pack.cases[0].images.shape[-1]
    rows.once(f"batches of {pack.training.supervised.batch_size} windows of {side} x {side}", timed)


def compiled(asked: Asked, rows: Rows) -> None:
    """Time forward and backward passes: plain, as a CUDA graph, and compiled."""
    choose_number_of_threads()
    plain_ms: dict[bool, float] = {}

    def measured(kind: str, *, half: bool) -> Found:
        passes = _Passes(asked, half=half)
        if half not in plain_ms:
            plain_ms[half] = time_steps(passes.plain(), asked).step_ms
        if kind == "plain":
            return Found(f"{plain_ms[half]:.2f} ms", figures={"ms": plain_ms[half]})
        milliseconds = time_steps(getattr(passes, kind)(), asked).step_ms
        times = plain_ms[half] / milliseconds
        text = f"{milliseconds:.2f} ms, {times:.2f} times as fast as plain"
        return Found(text, figures={"ms": milliseconds, "times": times})

    # compiling takes longest, on a CPU minutes
    for kind, name, needs in (
        ("plain", "plain", True),
        ("graph", "CUDA graph", asked.on_gpu),
        ("compiled", "torch.compile", asked.on_gpu),
    ):
        for half in (True, False):
            rows.once(
                f"{name}, {_precision(half)}",
                lambda kind=kind, half=half: measured(kind, half=half),
                needs=needs,
            )


def _precision(half: bool) -> str:
    return "bfloat16" if half else "float32"


def _ours(
    kind: Step, asked: Asked, *, half: bool = True, last: bool | None = None, resident: bool = True
) -> Found:
    share = to_device.RESIDENT_SHARE
    to_device.RESIDENT_SHARE = share if resident else 0.0
    try:
        trainer = kind.trainer(device_of(asked, half_precision=half, last=last))
    finally:
        to_device.RESIDENT_SHARE = share
    # time is wanted, not what is learned
    trainer.stage = replace(trainer.stage, num_steps=10**6)
    steps = trainer.steps()
    return time_steps(lambda: next(steps), asked).found(trainer.stage.batch_size)


def _plain(asked: Asked, *, half: bool) -> Found:
    pack = windowed(packed(asked, "hearts"))
    network = new_network(pack)
    step = plain_step(network, pack, asked, half=half)
    return time_steps(step, asked).found(pack.training.supervised.batch_size)


def _theirs(asked: Asked, package: str, module: str) -> Found:
    """Time a step with another package, where it can be imported."""
    try:
        importlib.import_module(package)
    except ImportError as error:
        return Found(f"absent: {error}")
    pack = windowed(packed(asked, "hearts"))
    step, told = importlib.import_module(module).step_of(pack, asked)
    return time_steps(step, asked).found(pack.training.supervised.batch_size, told)


def _as_published(pack: Pack, *, tiny: bool) -> Pack:
    """Return the settings of `paper` on windows of its size; the images are not bias-corrected."""
    config = config_for(Profile.PAPER)
    if tiny:
        config = replace(config, network=pack.config.network)
    in_windows = windowed(pack, 64 if tiny else PAPER_SIDE)
    return replace(in_windows, config=config, training=config.training)


class _Passes:
    """Forward and backward passes of a fixed batch through our network."""

    def __init__(self, asked: Asked, *, half: bool) -> None:
        pack = windowed(packed(asked, "hearts"))
        self._asked, self._device = asked, device_of(asked, half_precision=half)
        self._network: SegmentationNetwork = new_network(pack)
        self._device.place(self._network)
        size = pack.training.supervised.batch_size
        images = np.concatenate([case.images for case in pack.cases])[:size]
        self._images = self._device.laid_out(torch.from_numpy(images).to(asked.device))

    def plain(self) -> Callable[[], object]:
        return lambda: self._pass(self._network)

    def compiled(self) -> Callable[[], object]:
        network = torch.compile(self._network)
        return lambda: self._pass(network)

    def graph(self) -> Callable[[], object]:
        """Record the passes once, and return what plays them."""
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(3):
                self._pass(self._network)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        self._network.zero_grad(set_to_none=True)
        with torch.cuda.graph(graph):
            self._pass(self._network)
        return graph.replay

    def _pass(self, network: nn.Module) -> None:
        self._network.zero_grad(set_to_none=True)
        # a graph cannot hold on to weights that were converted outside of it
        half = self._device.half_precision
        with torch.autocast(self._asked.device, torch.bfloat16, enabled=half, cache_enabled=False):
            logits: Tensor = network(self._images)
        logits.float().square().mean().backward()
