"""Checkpoints of a running round, and the weights that a finished round leaves."""

from pathlib import Path
from typing import Any

import torch

from PseudoLabelCLLib.domain.errors import ModelFileError, ProjectDamagedError
from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.tensor_files import (
    read_tensor_file,
    tensor_bytes,
    tensors_of,
    write_tensor_file,
)
from PseudoLabelCLLib.learning.training.training import TrainingState

_PARTS = {"step", "network", "average", "optimizer", "generator", "notes"}
_PARTS_OF_BACKBONE = ("encoder.", "decoder.")


def save_checkpoint(path: Path, state: TrainingState, notes: dict[str, Any]) -> None:
    """Write all that a resume needs.

    Args:
        path: Where; an older checkpoint there is replaced only once the new one is whole.
        state: Weights, running average, optimiser, random generator, step.
        notes: What the caller needs besides: numbers, texts, tensors and lists of them.

    Raises:
        StorageError: The disk refuses.
    """
    content = {
        "step": state.step,
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "generator": state.generator.get_state(),
        "notes": notes,
    }
    write_tensor_file(path, content)


def read_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint for `restore`; its notes are under "notes".

    Raises:
        ProjectDamagedError: The file is not a checkpoint.
    """
    try:
        content: dict[str, Any] = read_tensor_file(path, device)
        missing = _PARTS - content.keys()
    except (ValueError, AttributeError) as error:
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
        _keep_counters_on_host(state.optimizer)
        state.generator.set_state(content["generator"].cpu())
        state.step = int(content["step"])
    except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unusable(path, error) from error


def _keep_counters_on_host(optimizer: torch.optim.Optimizer) -> None:
    """Put Adam's step counters where fresh training has them: reading one on a GPU waits for it."""
    for moments in optimizer.state.values():
        if "step" in moments:
            moments["step"] = moments["step"].cpu()


def moments_of(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return a copy of an optimiser's moments, on the CPU, that later steps do not change."""
    content = optimizer.state_dict()
    return {
        "groups": [group["params"] for group in content["param_groups"]],
        "state": {
            number: {name: value.detach().cpu().clone() for name, value in moments.items()}
            for number, moments in content["state"].items()
        },
    }


def save_moments(path: Path, moments: dict[str, Any]) -> None:
    """Write what `moments_of` returned.

    Raises:
        StorageError: The disk refuses.
    """
    write_tensor_file(path, moments)


def load_moments(path: Path, optimizer: torch.optim.Optimizer) -> None:
    """Give an optimiser the moments of a file; its rate and weight decay stay its own.

    Raises:
        ProjectDamagedError: The file is damaged, or holds the moments of another network.
    """
    own = optimizer.state_dict()
    shapes = [p.shape for group in optimizer.param_groups for p in group["params"]]
    unusable = ProjectDamagedError(
        Text(
            "The optimiser's moments in {file} are damaged, or belong to another network.",
            file=path.name,
        ),
        Text("Delete the file; the next round then starts with new moments."),
    )
    try:
        content: dict[str, Any] = read_tensor_file(path, torch.device("cpu"))
        state = content["state"]
        fits = content["groups"] == [group["params"] for group in own["param_groups"]] and all(
            moments["exp_avg"].shape == shapes[number] for number, moments in state.items()
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise unusable from error
    if not fits:
        raise unusable
    optimizer.load_state_dict({**own, "state": state})


def weights_to_bytes(network: SegmentationNetwork) -> bytes:
    """Return the weights as the bytes of a safetensors file."""
    return tensor_bytes(network.state_dict())


def network_from_bytes(
    weights: bytes, config: NetworkConfig, num_classes: int, num_channels: int = 1
) -> SegmentationNetwork:
    """Return a network with the given weights; those of earlier model formats fit too.

    Raises:
        ModelFileError: The bytes are no weights, hold code, or do not fit the network.
        PackageError: They are of an earlier version and PyTorch is too old to open those.
    """
    try:
        state = _present_names(tensors_of(weights, torch.device("cpu")))
        found = {name: tensor.shape for name, tensor in state.items()}
        # without memory: a description may claim any size, and its weights come from the file
        with torch.device("meta"):
            network = SegmentationNetwork(config, num_classes, None, num_channels)
        outline = network.state_dict()
        expected = {name: tensor.shape for name, tensor in outline.items()}
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise ModelFileError(
            Text(
                "Its weights are damaged, or hold something other than numbers, which could "
                "run any program and was not opened."
            ),
            Text("Use only model files that PseudoLabelCL wrote and that you trust."),
        ) from error
    if found != expected:
        raise ModelFileError(
            Text(
                "Its weights do not fit its description: a network '{backbone}' of widths "
                "{widths} for {count} classes, background included.",
                backbone=config.backbone.value,
                widths=config.widths,
                count=num_classes,
            ),
            Text("Get the model file again from where it came."),
        )
    typed = {name: tensor.to(outline[name].dtype) for name, tensor in state.items()}
    network.load_state_dict(typed, assign=True)
    return network


def _present_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return weights under the names of today; before there was a choice, no name said backbone."""
    return {
        f"backbone.{name}" if name.startswith(_PARTS_OF_BACKBONE) else name: tensor
        for name, tensor in state.items()
    }


def _unusable(path: Path, error: Exception) -> ProjectDamagedError:
    return ProjectDamagedError(
        Text(
            "The checkpoint {file} cannot be used ({error}).",
            file=path.name,
            error=type(error).__name__,
        ),
        Text("Delete the file; the round then starts again from its first step."),
    )
