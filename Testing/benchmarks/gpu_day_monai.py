"""A step of a plain loop with MONAI's loader, augmentation and loss, on packed slices."""

from collections.abc import Callable

import torch
from gpu_day_pack import Pack
from gpu_day_rounds import new_network
from gpu_day_rows import Asked
from monai.data import DataLoader, Dataset, set_track_meta
from monai.losses import DiceCELoss
from monai.transforms import (
    Compose,
    Rand2DElasticd,
    RandAdjustContrastd,
    RandScaleIntensityd,
    RandShiftIntensityd,
)

# Processes that load and change slices.
NUM_WORKERS = 8


def step_of(pack: Pack, asked: Asked) -> tuple[Callable[[], object], str]:
    """Return a step with the same kinds of change as ours, slice by slice on the CPU.

    Args:
        pack: Slices in windows of one size.
        asked: Where.
    """
    set_track_meta(False)
    case, stage = pack.of_role("annotated")[0], pack.training.supervised
    slices = [
        {"image": torch.from_numpy(image), "label": torch.from_numpy(classes)[None]}
        for image, classes in zip(case.images, case.classes, strict=True)
    ]
    change = pack.training.augmentation
    side = case.images.shape[-1]
    spacing, moved_px = side / (change.elastic_grid - 1), change.elastic_fraction * side
    contrast = change.contrast_fraction
    changes = Compose(
        [
            Rand2DElasticd(
                ("image", "label"), (spacing, spacing), (moved_px, moved_px), prob=1.0,
                rotate_range=torch.deg2rad(torch.tensor(change.rotation_deg)).item(),
                scale_range=change.scale_fraction, mode=("bilinear", "nearest"),
                padding_mode="zeros",
            ),
            RandAdjustContrastd("image", prob=1.0, gamma=(1 - contrast, 1 + contrast)),
            RandScaleIntensityd("image", factors=contrast, prob=1.0),
            RandShiftIntensityd("image", offsets=change.brightness, prob=1.0),
        ]
    )  # fmt: skip
    sampler = torch.utils.data.RandomSampler(slices, replacement=True, num_samples=10**6)
    batches = iter(
        DataLoader(
            Dataset(slices, changes), batch_size=stage.batch_size, sampler=sampler,
            num_workers=0 if asked.tiny else NUM_WORKERS, pin_memory=asked.on_gpu,
        )
    )  # fmt: skip
    network = new_network(pack).to(asked.device).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=stage.learning_rate)
    loss_of = DiceCELoss(softmax=True, to_onehot_y=True)

    def step() -> float:
        batch = next(batches)
        images, labels = (
            batch[key].to(asked.device, non_blocking=True) for key in ("image", "label")
        )
        optimizer.zero_grad()
        with torch.autocast(asked.device, torch.bfloat16):
            logits = network(images)
        loss = loss_of(logits.float(), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step, ""
