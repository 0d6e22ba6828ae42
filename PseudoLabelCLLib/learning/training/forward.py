"""The forward pass of a step's slices: of all of them, or of a process's share."""

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.networks.shared_batch_norm import share_batch_norm
from PseudoLabelCLLib.learning.process_group import ProcessGroup
from PseudoLabelCLLib.learning.shapes import Float

# The running averages of batch normalisation are the same in all processes anyway. torch 2.13 has
# another name for the setting.
_NEWER_NAME = "forward_sync_buffers"
_OWN_PARAMETERS = inspect.signature(DistributedDataParallel).parameters
_SAME_BUFFERS: dict[str, Any] = {
    _NEWER_NAME if _NEWER_NAME in _OWN_PARAMETERS else "broadcast_buffers": False
}

Images = Float[Tensor, "batch channels *space"]


class Forward:
    """Shows slices to the network that is trained, and to its running average.

    Args:
        network: What is trained.
        teacher: Its running average.
    """

    def __init__(self, network: SegmentationNetwork, teacher: SegmentationNetwork) -> None:
        self._network = network
        self._teacher = teacher

    def segment_and_embed(self, images: Images, num_segmented: int) -> tuple[Tensor, Tensor]:
        """Return logits of the first images and embeddings of the others."""
        return self._network.segment_and_embed(images, num_segmented)

    def ask_teacher(self, images: Images) -> Tensor:
        """Return the logits of the running average."""
        logits: Tensor = self._teacher.eval()(images)
        return logits


class SharedForward(Forward):
    """The same, where each process computes its share and gets the outputs of all.

    Args:
        network: What is trained; its batch normalisation is changed to see all slices.
        teacher: Its running average.
        group: The processes.
        device: Where the network is.
        embeds: Whether every batch has slices that are embedded.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        teacher: SegmentationNetwork,
        group: ProcessGroup,
        device: torch.device,
        *,
        embeds: bool,
    ) -> None:
        super().__init__(network, teacher)
        share_batch_norm(network, group, device)
        self._group = group
        self._shared = DistributedDataParallel(
            _OneForward(network), find_unused_parameters=not embeds, **_SAME_BUFFERS
        )

    def segment_and_embed(self, images: Images, num_segmented: int) -> tuple[Tensor, Tensor]:
        """Return logits of the first images and embeddings of the others."""
        group, num_embedded = self._group, len(images) - num_segmented
        segmented = images[:num_segmented][group.own_share(num_segmented)]
        embedded = images[num_segmented:][group.own_share(num_embedded)]
        outputs = self._shared(
            torch.cat((segmented, embedded)), len(segmented), embeds=num_embedded > 0
        )
        logits, embeddings = (*outputs, images.new_zeros((0, 1)))[:2]
        return group.gathered(logits, num_segmented), group.gathered(embeddings, num_embedded)

    def ask_teacher(self, images: Images) -> Tensor:
        """Return the logits of the running average."""
        own = super().ask_teacher(images[self._group.own_share(len(images))])
        return self._group.gathered(own, len(images))


class _OneForward(nn.Module):
    """What is computed as one call, as `DistributedDataParallel` needs it."""

    def __init__(self, network: SegmentationNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, num_segmented: int, *, embeds: bool) -> tuple[Tensor, ...]:
        """Return logits, and embeddings where any process embeds slices.

        Outputs that no loss asks for would have weights wait for a gradient that never comes.
        """
        logits, embeddings = self.network.segment_and_embed(images, num_segmented)
        return (logits, embeddings) if embeds else (logits,)


def forward_of(
    network: SegmentationNetwork,
    teacher: SegmentationNetwork,
    group: ProcessGroup,
    device: torch.device,
    *,
    embeds: bool,
) -> Forward:
    """Return how slices are shown to the network: by this process alone, or by all of a group."""
    if group.size == 1:
        return Forward(network, teacher)
    return SharedForward(network, teacher, group, device, embeds=embeds)
