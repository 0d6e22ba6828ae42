"""What this machine can do: device, memory, versions, and how long a round would take."""

import platform
import shutil
import time
from importlib import metadata
from pathlib import Path

import torch

from PseudoLabelCLLib import __version__
from PseudoLabelCLLib.domain.config import Profile, ProjectConfig, TrainingConfig
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.reporting import Report
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.device import ComputeDevice, choose_device
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.training.sampling import LabelledSlices, RoundData, SlicePool
from PseudoLabelCLLib.learning.training.training import Trainer, start_training
from PseudoLabelCLLib.messages.jobs import DoctorJob
from PseudoLabelCLLib.messages.json_codec import JsonValue

_PACKAGES = ("torch", "numpy", "SimpleITK", "scipy", "monai", "safetensors")
_TRIAL_CLASSES = 4
_TRIAL_STEPS = 3


def examine(job: DoctorJob, report: Report) -> dict[str, JsonValue]:
    """Run real training steps of the quick profile and tell what they took.

    Raises:
        DeviceError: No device can run the network.
    """
    device = choose_device(job.device.value, anew=True)
    report.notice(device.sentence)
    config = config_for(Profile.QUICK)
    supervised_s = _seconds_per_step(config, device, report, joint=False)
    joint_s = _seconds_per_step(config, device, report, joint=True)
    training = config.training
    return {
        "device": device.description,
        "reason": device.reason,
        "free_device_memory_gb": _free_device_memory_gb(device),
        "free_disk_gb": round(shutil.disk_usage(Path.home()).free / 2**30, 1),
        "python": platform.python_version(),
        "system": platform.platform(),
        "versions": {"pseudolabelcl": __version__, **_versions()},
        "seconds_per_supervised_step": round(supervised_s, 3),
        "seconds_per_joint_step": round(joint_s, 3),
        "minutes_for_quick_round_0": round(training.supervised.num_steps * supervised_s / 60, 1),
        "minutes_for_quick_joint_round": round(training.joint.num_steps * joint_s / 60, 1),
    }


def _seconds_per_step(
    config: ProjectConfig, device: ComputeDevice, report: Report, *, joint: bool
) -> float:
    """Return the median seconds of a few steps on random slices of the largest patch."""
    generator = torch.Generator().manual_seed(0)
    side = config.preprocess.max_window_size
    images = torch.rand((8, 1, side, side), generator=generator)
    classes = (images[:, 0] * _TRIAL_CLASSES).to(torch.uint8)
    slices = [LabelledSlices(images.numpy(), classes.numpy())]
    data = RoundData(
        SlicePool(slices, _TRIAL_CLASSES), SlicePool(slices if joint else [], _TRIAL_CLASSES)
    )
    training: TrainingConfig = config.training
    network = SegmentationNetwork(config.network, _TRIAL_CLASSES, generator)
    stage = training.joint if joint else training.supervised
    steps = Trainer(start_training(network, stage, device, 0), data, training, device).steps()
    durations = []
    stage_name = Text("Trial of a joint step") if joint else Text("Trial of a supervised step")
    for number in range(_TRIAL_STEPS + 1):
        start = time.perf_counter()
        next(steps)
        durations.append(time.perf_counter() - start)
        report.progress(stage_name, number + 1, _TRIAL_STEPS + 1)
    return sorted(durations[1:])[_TRIAL_STEPS // 2]


def _free_device_memory_gb(device: ComputeDevice) -> float | None:
    if device.name != "cuda":
        return None
    return round(torch.cuda.mem_get_info()[0] / 2**30, 1)


def _versions() -> dict[str, JsonValue]:
    return {name: metadata.version(name) for name in _PACKAGES}
