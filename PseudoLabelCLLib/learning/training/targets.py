"""Targets: what human truth and pseudo-labels say of a pixel, and where they say nothing."""

from dataclasses import dataclass

import torch
from torch import Tensor

from PseudoLabelCLLib.learning.shapes import Bool, Float
from PseudoLabelCLLib.learning.to_device import to_device
from PseudoLabelCLLib.learning.training.augmentation import AugmentedBatch
from PseudoLabelCLLib.learning.training.class_channels import (
    known_part,
    one_hot,
    one_hot_with_ignored,
)
from PseudoLabelCLLib.learning.training.sampling import SliceBatch


@dataclass(frozen=True)
class TargetForm:
    """How the targets of a round are written: a channel per class, and up to two more.

    Args:
        num_classes: Background included.
        device: Where targets lie.
        has_ignored: Whether the round has pixels of which nothing is known. Targets then carry one
            more channel, which says where; otherwise nothing is computed for them.
        has_left_out: Whether a person left structures out of some slice. Targets then carry a
            channel for `MERGED_CLASS`, and that of ignored pixels.
    """

    num_classes: int
    device: torch.device
    has_ignored: bool = False
    has_left_out: bool = False

    @property
    def num_more_channels(self) -> int:
        """How many channels targets have after those of the classes."""
        return 2 if self.has_left_out else int(self.has_ignored)

    def of(self, batch: SliceBatch) -> AugmentedBatch:
        """Return slices on the device, with their targets."""
        classes = to_device(batch.classes, self.device)
        if self.num_more_channels:
            targets = one_hot_with_ignored(classes, self.num_classes, with_merged=self.has_left_out)
        else:
            targets = one_hot(classes, self.num_classes)
        return AugmentedBatch(to_device(batch.images, self.device), targets)

    def as_known(self, batch: AugmentedBatch) -> AugmentedBatch:
        """Return class probabilities that are known everywhere, in the form of targets."""
        if not self.num_more_channels:
            return batch
        nowhere = torch.zeros_like(batch.targets[:, : self.num_more_channels])
        return AugmentedBatch(batch.images, torch.cat((batch.targets, nowhere), dim=1))

    def known(self, targets: Tensor) -> tuple[Tensor, Bool[Tensor, "batch *space"] | None]:
        """Return targets without the channel of ignored pixels, and which pixels count."""
        return known_part(targets) if self.num_more_channels else (targets, None)

    def one_class(
        self, targets: Tensor
    ) -> tuple[Float[Tensor, "batch classes *space"], Bool[Tensor, "batch *space"] | None]:
        """Return class probabilities, and the pixels of which one class is known."""
        known, counts = self.known(targets)
        if self.has_left_out and counts is not None:  # which class it is, is not known there
            return known[:, :-1], counts & (known[:, -1] < 0.5)
        return known, counts

    def left_out_of(self, batch: SliceBatch) -> Bool[Tensor, "batch foreground"] | None:
        """Return which structures are left out of each slice; None where the round has none."""
        if not self.has_left_out:
            return None
        if batch.left_out is None:
            shape = (len(batch.images), self.num_classes - 1)
            return torch.zeros(shape, dtype=torch.bool, device=self.device)
        return to_device(batch.left_out, self.device)
