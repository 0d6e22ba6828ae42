"""What pre-training leaves: the weights that round 0 takes over, and the checkpoint of a resume."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from PseudoLabelCLLib.domain.errors import ProjectDamagedError
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.pretraining.pretraining import PretrainingStage
from PseudoLabelCLLib.learning.tensor_files import read_tensor_file, write_tensor_file

_PARTS = {"stage", "step", "network", "head", "optimizer", "generator", "notes"}


def transferred_names(
    network: SegmentationNetwork, num_decoder_blocks: int, *, keep_running_averages: bool
) -> tuple[str, ...]:
    """Return the entries of the network's state that round 0 takes over.

    Args:
        network: Any network of the right shape.
        num_decoder_blocks: How many decoder blocks go along with the encoder.
        keep_running_averages: Whether the averages of batch normalisation go along with its
            weights.

    Raises:
        TrainingError: The decoder has fewer blocks.
    """
    backbone = network.backbone
    taken = {id(weight) for weight in backbone.encoder_parameters()}
    taken |= {id(weight) for weight in backbone.decoder_parameters(num_decoder_blocks)}
    return tuple(_names_of(network, taken, keep_running_averages=keep_running_averages))


def _names_of(network: nn.Module, taken: set[int], *, keep_running_averages: bool) -> Iterator[str]:
    for place, layer in network.named_modules():
        own = dict(layer.named_parameters(recurse=False))
        names = [name for name, weight in own.items() if id(weight) in taken]
        if names and keep_running_averages:
            names += [name for name, _ in layer.named_buffers(recurse=False)]
        yield from (f"{place}.{name}" for name in names)


def save_pretrained(path: Path, network: SegmentationNetwork, names: tuple[str, ...]) -> None:
    """Write the named part of a network's state.

    Raises:
        StorageError: The disk refuses.
    """
    state = network.state_dict()
    write_tensor_file(path, {name: state[name] for name in names})


def load_pretrained(path: Path, network: SegmentationNetwork, names: tuple[str, ...]) -> None:
    """Put pre-trained weights into a network; whatever is not named stays as it is.

    Args:
        path: What `save_pretrained` wrote.
        network: The network of round 0, on the CPU.
        names: From `transferred_names`; the file must hold exactly these.

    Raises:
        ProjectDamagedError: The file is damaged, or fits another network.
    """
    try:
        weights: dict[str, Tensor] = read_tensor_file(path, torch.device("cpu"))
        found = {name: weight.shape for name, weight in weights.items()}
    except (ValueError, AttributeError) as error:
        raise _unusable(path, Text("it is damaged")) from error
    state = network.state_dict()
    if found != {name: state[name].shape for name in names}:
        raise _unusable(path, Text("its weights belong to another network"))
    network.load_state_dict(weights, strict=False)


def save_pretraining_checkpoint(
    path: Path, number: int, stage: PretrainingStage, notes: dict[str, Any]
) -> None:
    """Write all that a resume of pre-training needs.

    Args:
        path: Where; an older checkpoint there is replaced only once the new one is whole.
        number: Which stage it is, counted from 0.
        stage: The stage: network, head, optimiser, random generator, step.
        notes: What the caller needs besides: numbers, texts, tensors and lists of them.

    Raises:
        StorageError: The disk refuses.
    """
    content = {
        "stage": number,
        "step": stage.step,
        "network": stage.network.state_dict(),
        "head": stage.head.state_dict(),
        "optimizer": stage.optimizer.state_dict(),
        "generator": stage.generator.get_state(),
        "notes": notes,
    }
    write_tensor_file(path, content)


def read_pretraining_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint for `restore_pretraining`; its notes are under "notes".

    Raises:
        ProjectDamagedError: The file is not such a checkpoint.
    """
    try:
        content: dict[str, Any] = read_tensor_file(path, device)
        missing = _PARTS - content.keys()
    except (ValueError, AttributeError) as error:
        raise _unusable(path, Text("it is damaged")) from error
    if missing:
        raise _unusable(path, Text("it lacks {parts}", parts=", ".join(sorted(missing))))
    return content


def restore_pretraining(content: dict[str, Any], stage: PretrainingStage, path: Path) -> None:
    """Bring the stage that the checkpoint names to where it was written.

    Raises:
        ProjectDamagedError: The checkpoint is not one of this stage.
    """
    try:
        stage.network.load_state_dict(content["network"])
        stage.head.load_state_dict(content["head"])
        stage.optimizer.load_state_dict(content["optimizer"])
        stage.generator.set_state(content["generator"].cpu())
        stage.step = int(content["step"])
    except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unusable(path, Text("{error}", error=type(error).__name__)) from error


def _unusable(path: Path, reason: Text) -> ProjectDamagedError:
    return ProjectDamagedError(
        Text(
            "The file '{folder}/{file}' cannot be used ({reason}).",
            folder=path.parent.name,
            file=path.name,
            reason=reason,
        ),
        Text(
            "Delete the folder '{folder}' of the project; the pre-training is then done again.",
            folder=path.parent.name,
        ),
    )
