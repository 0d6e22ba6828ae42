"""The device of a training; an interrupted round continues in the precision it began with."""

from dataclasses import replace
from pathlib import Path

from PseudoLabelCLLib.domain.config import Precision, ProjectConfig
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.device import ComputeDevice, DeviceRequest, choose_device
from PseudoLabelCLLib.storage.project.settled_device import (
    SettledDevice,
    read_settled_device,
    write_settled_device,
)


def choose_training_device(root: Path, project: Project, request: DeviceRequest) -> ComputeDevice:
    """Return the device to train on.

    Which precision is faster is measured, and on a busy machine the measurement can change its
    mind; a resumed round would then differ from an uninterrupted one.

    Raises:
        DeviceError: The device cannot run the network.
        StorageError: The disk refuses.
    """
    device = as_the_settings_ask(choose_device(request), project.config)
    before = read_settled_device(root) if _is_interrupted(project) else None
    if before is None or before.description != device.description:
        write_settled_device(root, SettledDevice(device.description, device.half_precision))
        return device
    if before.half_precision == device.half_precision:
        return device
    precision = "bfloat16" if before.half_precision else "float32"
    return replace(
        device,
        half_precision=before.half_precision,
        reason=Text(
            "a trial step ran on it; {precision} is kept, as the round began with it",
            precision=precision,
        ),
    )


def as_the_settings_ask(device: ComputeDevice, config: ProjectConfig) -> ComputeDevice:
    """Return a device with the dimension and the precision of a project's settings."""
    device = device.for_dimension(config.preprocess.dimension)
    return device.in_float32() if config.training.precision is Precision.FLOAT32 else device


def _is_interrupted(project: Project) -> bool:
    latest = project.latest_round
    return latest is not None and latest.state in (
        RoundState.TRAINING,
        RoundState.PSEUDO_LABELLING,
    )
