"""Checkpoints of a running round, and the weights that a finished round leaves."""

import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from PseudoLabelCLLib.domain.config import NetworkConfig
from PseudoLabelCLLib.domain.errors import ModelFileError, ProjectDamagedError
from PseudoLabelCLLib.learning.network import SegmentationNetwork
from PseudoLabelCLLib.learning.training import TrainingState
from PseudoLabelCLLib.storage.atomic_files import written_aside

_PARTS = {"step", "network", "average", "optimizer", "generator", "notes"}


def save_checkpoint(path: Path, state: TrainingState, notes: dict[str, Any]) -> None:
    """Write all that a resume needs.

    Args:
        path: Where; an older checkpoint there is replaced only once the new one is whole.
        state: Weights, running average, optimiser, random generator, step.
        notes: What the caller needs besides: numbers, texts, tensors and lists of them.
    """
    content = {
        "step": state.step,
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "generator": state.generator.get_state(),
        "notes": notes,
    }
    with written_aside(path) as aside:
        torch.save(content, aside)


def read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint for `restore`; its notes are under "notes".

    Raises:
        ProjectDamagedError: The file is not a checkpoint.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        missing = _PARTS - content.keys()
    except Exception as error:
        raise _unusable(path, error) from error
    if missing:
        raise _unusable(path, KeyError(*missing))
    return content


def restore(content: dict[str, Any], state: TrainingState, path: Path) -> None:
    """Bring `state` to where the checkpoint was written.

    Raises:
        ProjectDamagedError: The checkpoint is not one of this network.
    """
    try:
        state.network.load_state_dict(content["network"])
        state.average.load_state_dict(content["average"])
        state.optimizer.load_state_dict(content["optimizer"])
        state.generator.set_state(content["generator"].cpu())
        state.step = int(content["step"])
    except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unusable(path, error) from error


def weights_to_bytes(network: SegmentationNetwork) -> bytes:
    """Return the weights in torch's own format, on the CPU."""
    buffer = io.BytesIO()
    torch.save({name: tensor.cpu() for name, tensor in network.state_dict().items()}, buffer)
    return buffer.getvalue()


def network_from_bytes(
    weights: bytes, config: NetworkConfig, num_classes: int
) -> SegmentationNetwork:
    """Return a network with the given weights.

    Raises:
        ModelFileError: The bytes are no weights, hold code, or do not fit the network.
    """
    network = SegmentationNetwork(config, num_classes, torch.Generator())
    try:
        state = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
        network.load_state_dict(state)
    except Exception as error:
        raise ModelFileError(
            f"The weights in the model file cannot be used: {_first_line(error)}",
            f"Expected a network of widths {asdict(config)['widths']} for {num_classes} classes "
            "(background included), as 'train' writes it.",
        ) from error
    return network


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _unusable(path: Path, error: Exception) -> ProjectDamagedError:
    return ProjectDamagedError(
        f"The checkpoint {path.name} cannot be used ({type(error).__name__}).",
        "Delete the file; the round then starts again from its first step.",
    )
