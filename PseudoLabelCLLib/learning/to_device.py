"""Ways of data from the host to a device, for which a GPU is not waited."""

import torch
from torch import Tensor

# Slices of a round stay on a GPU as long as they take less than this share of its free memory.
RESIDENT_SHARE = 0.25
# The same where nobody can say what is free; 52 hearts take 0.1 GB.
RESIDENT_BYTES = 2**30


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device; work already handed to a GPU goes on meanwhile.

    Out of memory that the system may move, a copy would wait until the GPU has done all it was
    given; so such a tensor is copied into pinned memory first.

    Args:
        tensor: Where it is there already, it is returned as it is.
        device: Where it shall be.
    """
    if tensor.device.type != "cpu" or device.type in {"cpu", "mps"}:
        return tensor.to(device)
    if device.type == "cuda" and not tensor.is_pinned():
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def synchronize(device: torch.device) -> None:
    """Wait until a device has done all it was given, as a clock must; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def most_resident_bytes(device: torch.device) -> int:
    """Return how much of a device's memory the slices of a pool may take."""
    if device.type != "cuda":
        return RESIDENT_BYTES
    free, _ = torch.cuda.mem_get_info(device)
    return int(RESIDENT_SHARE * free)
