"""The processes that train together: which share of the work is whose, and what they exchange."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed
from torch import Tensor

if TYPE_CHECKING:  # some builds of torch have none of it
    from torch.distributed.distributed_c10d import PrefixStore

_T = TypeVar("_T")

# While the first process prepares a thousand volumes, the others wait for it.
LONGEST_WAIT = timedelta(days=7)


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of a job, each with its rank; a process alone exchanges nothing.

    Args:
        rank: Of this process, 0..size - 1; the first one, 0, speaks and writes.
        size: How many there are.
        num_parts: In how many parts a batch is worked through from the start; more than 1 after
            the memory of a process was short.
        attempt: How often the job was begun before, each time until a process ended.
        folder: Of the job, for what is kept from one attempt to the next; None alone.
        control: The processes as torch knows them, for what is not computed with; None alone.
        store: What all of them read and write; None alone.
    """

    rank: int = 0
    size: int = 1
    num_parts: int = 1
    attempt: int = 0
    folder: Path | None = None
    control: "torch.distributed.ProcessGroup | None" = None
    store: "PrefixStore | None" = None

    @property
    def is_first(self) -> bool:
        """Whether this process speaks and writes."""
        return self.rank == 0

    def shares(self, number: int) -> list[int]:
        """Return how many of some things each process has: as evenly as can be, the first most."""
        return [number // self.size + (rank < number % self.size) for rank in range(self.size)]

    def own_share(self, number: int) -> slice:
        """Return which of some things are this process's; they lie together."""
        ends = list(accumulate(self.shares(number), initial=0))
        return slice(ends[self.rank], ends[self.rank + 1])

    def gathered(self, own: Tensor, number: int) -> Tensor:
        """Return what all processes computed of a batch, in order, with gradients.

        Args:
            own: Of the own share, along the first axis.
            number: Length of the whole.
        """
        if self.size == 1 or number == 0:
            return own
        whole: Tensor = _Gather.apply(own, self, number)
        return whole

    def add_up(self, values: Tensor) -> None:
        """Put the sum over all processes in place of values."""
        if self.size > 1:
            torch.distributed.all_reduce(values)

    def any(self, *, flag: bool) -> bool:
        """Return whether the flag is set in any process."""
        if self.size == 1:
            return flag
        flags = torch.tensor([int(flag)])
        torch.distributed.all_reduce(flags, torch.distributed.ReduceOp.MAX, group=self.control)
        return bool(flags.item())

    def everyones(self, own: Sequence[_T]) -> list[_T]:
        """Return what all processes have, those of the first one first."""
        if self.size == 1:
            return list(own)
        found: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(found, list(own), group=self.control)
        return [one for of_process in found for one in of_process]

    def as_first_has(self, value: _T) -> _T:
        """Return the first process's value; that of the others does not count."""
        if self.size == 1:
            return value
        box = [value]
        torch.distributed.broadcast_object_list(box, src=0, group=self.control)
        return box[0]


ALONE = ProcessGroup()


class _Gather(torch.autograd.Function):
    """Outputs of all processes; backwards, each takes what belongs to its own.

    All compute the same loss from the same outputs, so that each has the gradient of every output
    already. It is multiplied by their number, as `DistributedDataParallel` takes the mean over
    the processes of what is a sum over the slices: so the weights get the gradient that one
    process alone would compute, whatever the losses pool over.
    """

    @staticmethod
    def forward(ctx: Any, own: Tensor, group: ProcessGroup, number: int) -> Tensor:
        ctx.group, ctx.number = group, number
        shares = group.shares(number)
        padded = own.new_zeros((shares[0], *own.shape[1:]))  # torch gathers equal sizes
        padded[: len(own)] = own
        gathered = [torch.empty_like(padded) for _ in shares]
        torch.distributed.all_gather(gathered, padded)
        return torch.cat([part[:share] for part, share in zip(gathered, shares, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        group: ProcessGroup = ctx.group
        (gradient,) = gradients
        return gradient[group.own_share(ctx.number)] * group.size, None, None
