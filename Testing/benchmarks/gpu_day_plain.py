"""A step of training as most scripts have it."""

from collections.abc import Callable

import torch
from gpu_day_pack import Pack
from gpu_day_rows import Asked
from torch import nn

from PseudoLabelCLLib.learning.losses.segmentation import segmentation_loss


def plain_step(network: nn.Module, pack: Pack, asked: Asked, *, half: bool) -> Callable[[], object]:
    """Return a step without augmentation: slices on the device, Adam, the loss read each time.

    Args:
        network: What is trained.
        pack: Slices in windows of one size.
        asked: Where.
        half: Whether in bfloat16.
    """
    network.to(asked.device).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    case, size = pack.of_role("annotated")[0], pack.training.supervised.batch_size
    images = torch.from_numpy(case.images).to(asked.device)
    classes = torch.from_numpy(case.classes).long().to(asked.device)
    targets = nn.functional.one_hot(classes, pack.num_classes).movedim(-1, 1).float()

    def step() -> float:
        chosen = torch.randint(len(images), (size,), device=asked.device)
        optimizer.zero_grad()
        with torch.autocast(asked.device, torch.bfloat16, enabled=half):
            logits = network(images[chosen])
        loss = segmentation_loss(
            logits.float(), targets[chosen], dice_weight=1.0, cross_entropy_weight=1.0
        )
        loss.backward()
        optimizer.step()
        return loss.item()

    return step
