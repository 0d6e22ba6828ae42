"""The device of a training; an interrupted round continues in the precision it began with."""

from dataclasses import dataclass, replace
from pathlib import Path

from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.device import ComputeDevice, DeviceRequest, choose_device
from PseudoLabelCLLib.messages.json_codec import from_json, to_json
from PseudoLabelCLLib.storage.files.atomic_files import read_json, write_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout


@dataclass(frozen=True)
class _Settled:
    """What device.json holds: a device in words, and its precision."""

    description: str
    half_precision: bool


def choose_training_device(root: Path, project: Project, request: DeviceRequest) -> ComputeDevice:
    """Return the device to train on.

    Which precision is faster is measured, and on a busy machine the measurement can change its
    mind; a resumed round would then differ from an uninterrupted one.

    Raises:
        DeviceError: The device cannot run the network.
        StorageError: The disk refuses.
    """
    device = choose_device(request).for_dimension(project.config.preprocess.dimension)
    path = ProjectLayout(root).settled_device
    before = _read_settled(path) if _is_interrupted(project) else None
    if before is None or before.description != device.description:
        write_json(path, to_json(_Settled(device.description, device.half_precision)))
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


def _is_interrupted(project: Project) -> bool:
    latest = project.latest_round
    return latest is not None and latest.state in (
        RoundState.TRAINING,
        RoundState.PSEUDO_LABELLING,
    )


def _read_settled(path: Path) -> _Settled | None:
    """What was settled, or None where it is absent or damaged: then it is settled again."""
    try:
        return from_json(_Settled, read_json(path), path.name) if path.exists() else None
    except PseudoLabelCLError:
        return None
