"""The device that runs the network, chosen by really running a small step on it."""

import os
import platform
import time
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from PseudoLabelCLLib.domain.errors import DeviceError
from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.text import NO_TEXT, Text, joined
from PseudoLabelCLLib.learning.device_trials import DeviceTrial, keep_trial, kept_trial
from PseudoLabelCLLib.learning.losses.segmentation import segmentation_loss
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork

DeviceRequest = Literal["auto", "cuda", "mps", "cpu"]

# Below this gain half precision is not worth its rounding.
WORTHWHILE_SPEEDUP = 1.2
# Slices and their size, pixels: small ones keep a CPU busy; on a GPU their steps would measure
# how fast work is handed out, which is no faster in half precision.
_TRIAL_BATCH = {"cpu": (8, 64), "mps": (8, 64), "cuda": (20, 192)}
_TRIAL_STEPS = 3


@dataclass(frozen=True)
class ComputeDevice:
    """Where and how the network runs.

    Args:
        name: "cuda", "mps" or "cpu".
        description: The device in words, with its memory.
        reason: Why this one and why this precision, in one sentence.
        half_precision: Whether convolutions run in bfloat16.
        channels_last: Whether the channels of a pixel lie side by side in memory; None does so with
            half precision, which wants it.
    """

    name: str
    description: str
    reason: Text
    half_precision: bool
    channels_last: bool | None = None

    @property
    def torch_device(self) -> torch.device:
        """The device as torch names it."""
        return torch.device(self.name)

    @property
    def memory_format(self) -> torch.memory_format:
        """The order of the axes of slices in memory that is fastest here."""
        return self._memory_format(4)

    def _memory_format(self, num_axes: int) -> torch.memory_format:
        is_last = self.half_precision if self.channels_last is None else self.channels_last
        if not is_last:
            return torch.contiguous_format
        return torch.channels_last_3d if num_axes == 5 else torch.channels_last

    def autocast(self) -> torch.autocast:
        """Return a context in which the network runs in the chosen precision."""
        return torch.autocast(self.name, torch.bfloat16, enabled=self.half_precision)

    def for_dimension(self, dimension: int) -> "ComputeDevice":
        """Return the device as a network in 2-D or 3-D uses it: a CPU computes 3-D in float32.

        The trial of the precision is one in 2-D. In 3-D, torch has no fast bfloat16 on CPUs: a step
        took 15 times as long as in float32. On some, its gradients are wrong there besides
        (findings/torch-bfloat16-conv3d-weight-gradient.sh). For Apple's MPS not all versions of
        torch have all layers in 3-D: a step is tried, and where it fails, the CPU computes, and
        says why.
        """
        if dimension == 3 and self.name == "mps":
            try:
                _step_in_3d(self)
            except (RuntimeError, NotImplementedError) as error:
                cpu = choose_device("cpu").for_dimension(3)
                reason = Text(
                    "{reason} (mps: in 3-D a trial step failed ({problem}))",
                    reason=cpu.reason,
                    problem=_first_line(error),
                )
                return replace(cpu, reason=reason)
            return self
        if dimension == 2 or self.name != "cpu" or not self.half_precision:
            return self
        reason = Text("a trial step ran on it; in 3-D a CPU computes in float32")
        return replace(self, half_precision=False, reason=reason)

    def in_float32(self) -> "ComputeDevice":
        """Return the device in full precision, as the settings may ask for."""
        if not self.half_precision:
            return self
        reason = Text("a trial step ran on it; the settings ask for float32")
        return replace(self, half_precision=False, channels_last=None, reason=reason)

    def laid_out(self, images: Tensor) -> Tensor:
        """Return slices or blocks in the memory order that is fastest here."""
        return images.contiguous(memory_format=self._memory_format(images.ndim))

    def place(self, network: nn.Module) -> None:
        """Move a network to the device, in the memory order that is fastest there."""
        num_axes = max((weight.ndim for weight in network.parameters()), default=4)
        memory_format = self._memory_format(num_axes)
        network.to(device=self.torch_device, memory_format=memory_format)  # type: ignore[call-overload] # torch's stub lacks this form

    @property
    def sentence(self) -> Text:
        """The device and the reason, for log and report."""
        return Text("{device}: {reason}", device=self.description, reason=self.reason)


def choose_device(request: DeviceRequest = "auto", *, anew: bool = False) -> ComputeDevice:
    """Try CUDA, then Apple's MPS, then the CPU, and return the first that runs a training step.

    Which precision and layout are fastest is kept for the next command on this computer.

    Args:
        request: The device, or "auto".
        anew: Whether it is measured although it is known.

    Raises:
        DeviceError: The requested device cannot run the network; with "auto", none can.
    """
    choose_number_of_threads()
    refusals: list[Text] = []
    for name in ("cuda", "mps", "cpu") if request == "auto" else (request,):
        problem = _why_absent(name)
        if not problem:
            try:
                return _try_device(name, refusals, anew=anew)
            except (RuntimeError, NotImplementedError) as error:
                problem = Text("a trial step failed ({reason})", reason=_first_line(error))
        refusals.append(Text("{device}: {reason}", device=name, reason=problem))
    raise DeviceError(
        Text(
            "The network cannot run on {request!r} here: {refusals}.",
            request=request,
            refusals=joined(*refusals, by="; "),
        ),
        Text("Choose the device 'auto' or 'cpu', or run 'pseudolabelcl doctor' for details."),
    )


def choose_number_of_threads() -> None:
    """Let torch use the cores this process may have; on more than two, one stays free.

    Where OMP_NUM_THREADS is set, torch has taken its number from there, and keeps it.
    """
    if os.environ.get("OMP_NUM_THREADS"):
        return
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    torch.set_num_threads(max(1, cores - 1 if cores > 2 else cores))


def _why_absent(name: str) -> Text:
    if name == "cuda" and not torch.cuda.is_available():
        return Text("no usable NVIDIA GPU found by torch")
    if name == "mps" and not torch.backends.mps.is_available():
        return Text("no Apple GPU found by torch")
    return NO_TEXT


def _try_device(name: str, refusals: list[Text], *, anew: bool) -> ComputeDevice:
    torch.backends.cudnn.benchmark = True  # all batches of a round have the same shape
    description = _describe(name)
    trial = None if anew else kept_trial(description)
    if trial is None or (name == "cuda" and trial.channels_last is None):
        # an earlier version's trial of a GPU measured how fast work is handed out
        trial = DeviceTrial(description, torch.__version__, *_measure(name))
        keep_trial(trial)
    elif name != "cpu":
        _use_once(name)
    half_precision = trial.speedup >= WORTHWHILE_SPEEDUP
    reason = Text("a trial step ran on it")
    if refusals:
        reason = Text("{reason} ({refusals})", reason=reason, refusals=joined(*refusals, by="; "))
    precision = Text("float32 is used, as bfloat16 gains nothing here")
    if half_precision:
        precision = Text(
            "bfloat16 is used, {times:.1f} times as fast as float32 in the trial",
            times=trial.speedup,
        )
    reason = Text("{reason}; {precision}", reason=reason, precision=precision)
    return ComputeDevice(name, description, reason, half_precision, trial.channels_last)


def _measure(name: str) -> tuple[float, bool | None]:
    """Return how many times as fast a training step is in bfloat16, and which layout suits it.

    On a GPU, each precision is tried in both layouts of memory.
    """
    if name == "mps":  # bfloat16 is not tried there
        _time_trial_step(name, half_precision=False)
        return 0.0, None
    if name == "cpu":
        plain_s = _time_trial_step(name, half_precision=False)
        return plain_s / _time_trial_step(name, half_precision=True), None
    seconds = {
        (half, last): _time_trial_step(name, half_precision=half, channels_last=last)
        for half in (False, True)
        for last in (False, True)
    }
    fastest = {half: min(seconds[half, last] for last in (False, True)) for half in (False, True)}
    speedup = fastest[False] / fastest[True]
    half = speedup >= WORTHWHILE_SPEEDUP
    return speedup, seconds[half, True] < seconds[half, False]


def _use_once(name: str) -> None:
    """Compute something on a device that ran a step before.

    Raises:
        RuntimeError: It does not work now.
    """
    if float(torch.ones(2, device=name).sum()) != 2.0:
        raise RuntimeError("it computes wrongly")


def _time_trial_step(
    name: str, *, half_precision: bool, channels_last: bool | None = None
) -> float:
    """Return the seconds of the fastest of a few training steps on random slices."""
    device = ComputeDevice(name, "", NO_TEXT, half_precision, channels_last)
    generator = torch.Generator().manual_seed(0)
    network = SegmentationNetwork(NetworkConfig(), 2, generator)
    device.place(network)
    num_slices, size = _TRIAL_BATCH[name]
    images = torch.rand((num_slices, 1, size, size), generator=generator)
    target = torch.cat((images < 0.5, images >= 0.5), dim=1).float().to(device.torch_device)
    images = device.laid_out(images.to(device.torch_device))
    # on a CPU that others use too, only the time spent here tells which precision is faster
    clock = time.process_time if name == "cpu" else time.perf_counter
    durations = []
    for _ in range(_TRIAL_STEPS):
        start = clock()
        with device.autocast():
            logits = network(images)
        segmentation_loss(logits, target, dice_weight=1.0, cross_entropy_weight=1.0).backward()
        gradient = next(network.parameters()).grad
        if gradient is None or not bool(torch.isfinite(gradient).all()):
            raise RuntimeError("the gradient is not finite")
        durations.append(clock() - start)
    return min(durations)


def _step_in_3d(device: ComputeDevice) -> None:
    """Do one training step of a small network in 3-D.

    Raises:
        RuntimeError: The device cannot.
    """
    levels = NetworkConfig(
        widths=(8,) * 6, strides=((2, 2, 2),) * 3, kernels=((3, 3, 3),) * 4
    )  # fmt: skip
    network = SegmentationNetwork(levels, 2, torch.Generator().manual_seed(0))
    device.place(network)
    images = torch.rand((2, 1, 16, 32, 32), generator=torch.Generator().manual_seed(0))
    target = torch.cat((images < 0.5, images >= 0.5), dim=1).float().to(device.torch_device)
    logits = network(device.laid_out(images.to(device.torch_device)))
    segmentation_loss(logits, target, dice_weight=1.0, cross_entropy_weight=1.0).backward()
    for weight in network.parameters():
        if weight.grad is not None and not bool(torch.isfinite(weight.grad).all()):
            raise RuntimeError("the gradient is not finite")


def _describe(name: str) -> str:
    if name == "cuda":
        properties = torch.cuda.get_device_properties(0)
        return f"{properties.name} ({properties.total_memory / 2**30:.0f} GB)"
    if name == "mps":
        return f"Apple GPU ({platform.machine()})"
    return f"CPU ({torch.get_num_threads()} threads, {platform.processor() or platform.machine()})"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
