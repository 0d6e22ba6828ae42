"""Batches of slices for pre-training: any slices, or one from every part of some volumes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from PseudoLabelCLLib.learning.shapes import Float
from PseudoLabelCLLib.learning.to_device import most_resident_bytes, to_device

Slices = Float[Tensor, "batch channels rows columns"]


@dataclass(frozen=True)
class OrderedVolume:
    """The slices of one volume, with the end at which they begin.

    Args:
        images: Intensities, shape (slices, channels, rows, columns), float32; may be mapped from
            disk.
        is_turned: Whether the last slice is where other volumes have their first.
    """

    images: npt.NDArray[np.float32]
    is_turned: bool = False

    def position(self, index: int) -> float:
        """Return where a slice lies between the volume's ends, above 0 and at most 1.

        Source: Zeng et al., MICCAI 2021, code: (i + 1) / n for slice i of n.
        """
        number = len(self.images) - 1 - index if self.is_turned else index
        return (number + 1) / len(self.images)


class PlacedSlices(NamedTuple):
    """Drawn slices with their positions in their volumes."""

    images: Slices
    positions: Float[Tensor, " batch"]


class VolumePool:
    """Volumes to draw slices from; voxels stay where they are until drawn, or lie on a device.

    Args:
        volumes: The volumes.
        resident: Their images on a device, if they are there.
        slices_at_once: How many slices of each image the channels are.
    """

    def __init__(
        self,
        volumes: Sequence[OrderedVolume],
        resident: Sequence[Tensor] | None = None,
        slices_at_once: int = 1,
    ) -> None:
        self.slices_at_once = slices_at_once
        self._volumes = tuple(volumes)
        self._places = [(v, s) for v, vol in enumerate(volumes) for s in range(len(vol.images))]
        self._resident = resident
        self._device = resident[0].device if resident else torch.device("cpu")

    def __len__(self) -> int:
        """Return the number of volumes."""
        return len(self._volumes)

    def with_parts(self, num_partitions: int) -> "VolumePool":
        """Return the pool of those volumes that can be cut into so many parts."""
        chosen = [n for n, v in enumerate(self._volumes) if len(v.images) >= num_partitions]
        kept = None if self._resident is None else [self._resident[n] for n in chosen]
        return VolumePool([self._volumes[n] for n in chosen], kept, self.slices_at_once)

    def bring_to(self, device: torch.device) -> bool:
        """Let every draw arrive on a device, and keep the volumes there if they are small.

        Returns:
            Whether they are kept.
        """
        if device == self._device:
            return self._resident is not None
        self._device, self._resident = device, None
        num_bytes = sum(4 * volume.images.size for volume in self._volumes)
        if device.type == "cpu" or num_bytes > most_resident_bytes(device):
            return False
        try:
            self._resident = [
                torch.from_numpy(volume.images.astype(np.float32)).to(device)
                for volume in self._volumes
            ]
        except torch.OutOfMemoryError:  # drawing from their place works too, only slower
            return False
        return True

    @property
    def window_shape(self) -> tuple[int, int]:
        """Rows and columns of every slice."""
        rows, columns = self._volumes[0].images.shape[-2:]
        return int(rows), int(columns)

    def draw(self, num_slices: int, generator: torch.Generator) -> PlacedSlices:
        """Draw slices of any volume, each at most once where there are enough."""
        weights = torch.ones(len(self._places))
        too_few = len(self._places) < num_slices
        chosen = torch.multinomial(weights, num_slices, replacement=too_few, generator=generator)
        return self._take([self._places[n] for n in chosen.tolist()])

    def draw_volumes(self, num_volumes: int, generator: torch.Generator) -> list[int]:
        """Draw distinct volumes: so many, or all where there are fewer."""
        order: list[int] = torch.randperm(len(self), generator=generator).tolist()
        return order[:num_volumes]

    def draw_ring(self, num_volumes: int, generator: torch.Generator) -> list[int]:
        """Draw volumes for the places of a ring so that no two neighbours are the same.

        Each volume serves once before any serves again. The ring needs two volumes, and an even
        number of places.
        """
        order = self.draw_volumes(num_volumes, generator)
        ring = [order[place % len(order)] for place in range(num_volumes)]
        if ring[-1] == ring[0]:
            ring[-1] = order[1]
        return ring

    def draw_parts(
        self, volumes: Sequence[int], num_partitions: int, generator: torch.Generator
    ) -> Slices:
        """Draw one slice from every part of each volume, volume after volume, parts in order.

        A volume of n slices has parts of floor(n / S) slices; the slices left over at its end are
        in no part.

        Source: Chaitanya et al., NeurIPS 2020, section 3.1 and code.
        """
        places = []
        for volume in volumes:
            size = len(self._volumes[volume].images) // num_partitions
            inside = torch.randint(size, (num_partitions,), generator=generator).tolist()
            own = [part * size + offset for part, offset in enumerate(inside)]
            # parts are counted from the same end in every volume
            last = len(self._volumes[volume].images) - 1
            is_turned = self._volumes[volume].is_turned
            places += [(volume, last - index if is_turned else index) for index in own]
        return self._take(places).images

    def _take(self, places: Sequence[tuple[int, int]]) -> PlacedSlices:
        positions = torch.tensor([self._volumes[v].position(s) for v, s in places])
        return PlacedSlices(self._images(places), to_device(positions, self._device))

    def _images(self, places: Sequence[tuple[int, int]]) -> Slices:
        if self._resident is not None:
            return torch.stack([self._resident[v][s] for v, s in places])
        images = np.stack([self._volumes[v].images[s] for v, s in places])
        return to_device(torch.from_numpy(images.astype(np.float32)), self._device)
