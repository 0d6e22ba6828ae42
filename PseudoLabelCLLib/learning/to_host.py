"""The way of results back from a device, which a GPU computes on during."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Returning:
    """Results that are on their way to the host.

    Args:
        tensors: On the host; whole from `arrived` on.
        arrived: None where they are whole already.
    """

    tensors: tuple[Tensor, ...]
    arrived: torch.cuda.Event | None

    def arrays(self) -> tuple[Array, ...]:
        """Return the results as soon as they are whole."""
        if self.arrived is not None:
            self.arrived.synchronize()
        return tuple(np.asarray(tensor.numpy()) for tensor in self.tensors)


def start_return(*tensors: Tensor) -> Returning:
    """Let results come to the host; a GPU goes on with what it was given.

    Args:
        tensors: Those of the host are taken as they are.
    """
    if not any(tensor.is_cuda for tensor in tensors):
        return Returning(tuple(tensor.cpu() for tensor in tensors), None)
    landing = tuple(
        torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(
            tensor, non_blocking=True
        )
        for tensor in tensors
    )
    arrived = torch.cuda.Event()
    arrived.record()
    return Returning(landing, arrived)


def on_the_host(
    results: Iterable[tuple[slice, tuple[Tensor, ...]]],
) -> Iterator[tuple[slice, tuple[Array, ...]]]:
    """Yield the results for some slices after the others, each while the next are computed.

    Args:
        results: Which slices, and what there is of them.
    """
    last: tuple[slice, Returning] | None = None
    for part, tensors in results:
        before, last = last, (part, start_return(*tensors))
        if before is not None:
            yield before[0], before[1].arrays()
    if last is not None:
        yield last[0], last[1].arrays()
