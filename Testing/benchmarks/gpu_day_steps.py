"""Steps of training as a day at the GPU looks at them, the same on every device."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from gpu_day_pack import TEST, Pack, PackedCase
from gpu_day_rounds import new_network, packed, round_data
from gpu_day_rows import Asked

from PseudoLabelCLLib.domain.config import TrainingConfig
from PseudoLabelCLLib.domain.method_config import (
    ConsistencyConfig,
    ContrastiveConfig,
    CopyPasteConfig,
)
from PseudoLabelCLLib.domain.text import NO_TEXT
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.training.training import Trainer, start_training

CPU = ComputeDevice("cpu", "the CPU", NO_TEXT, half_precision=False)


@dataclass(frozen=True)
class Step:
    """A kind of step.

    Args:
        pack: Its slices and settings.
        is_joint: Whether it learns from pseudo-labels, for which those of other cases stand.
        patches: Whether it draws patches.
    """

    pack: Pack
    is_joint: bool
    patches: bool = True

    def trainer(self, device: ComputeDevice, network: SegmentationNetwork | None = None) -> Trainer:
        """Return a trainer at its start, the same on every device."""
        pack, training = self.pack, self.pack.training
        stage = training.joint if self.is_joint else training.supervised
        state = start_training(network or new_network(pack), stage, device, 3)
        pseudo = [case.slices for case in pack.of_role(TEST)] if self.is_joint else []
        data = round_data(pack, pseudo, patches=self.patches)
        return Trainer(state, data, training, device)


def steps_of(asked: Asked) -> dict[str, Step]:
    """Return the kinds of step that are looked at."""
    pack, block = packed(asked, "hearts"), packed(asked, "atrium")
    return {
        "round 0": Step(pack, is_joint=False),
        "joint round": Step(pack, is_joint=True),
        "joint round, windows, all losses": Step(
            replace(windowed(pack), training=_with_all_losses(pack.training)),
            is_joint=True,
            patches=False,
        ),
        "round 0 in 3-D": Step(block, is_joint=False),
    }


def windowed(pack: Pack, side: int | None = None) -> Pack:
    """Return a pack whose slices are cut, or filled with 0, to windows of one size."""
    sides = (side, side) if side else (pack.preprocess.patch_size or (128, 128))

    def cut(array: np.ndarray) -> np.ndarray:
        window = np.zeros((*array.shape[:-2], *sides), array.dtype)
        there, here = [], []
        for size, wanted in zip(array.shape[-2:], sides, strict=True):
            length = min(size, wanted)
            here.append(slice((size - length) // 2, (size - length) // 2 + length))
            there.append(slice((wanted - length) // 2, (wanted - length) // 2 + length))
        window[..., there[0], there[1]] = array[..., here[0], here[1]]
        return window

    def in_window(case: PackedCase) -> PackedCase:
        classes = None if case.classes is None else cut(case.classes)
        return replace(case, images=cut(case.images), classes=classes)

    return replace(pack, cases=tuple(in_window(case) for case in pack.cases))


def device_of(asked: Asked, *, half_precision: bool, last: bool | None = None) -> ComputeDevice:
    """Return the device in a precision and layout, without the trial that a project makes."""
    torch.backends.cudnn.benchmark = True  # as a project has it
    return ComputeDevice(asked.device, asked.device, NO_TEXT, half_precision, last)


def _with_all_losses(training: TrainingConfig) -> TrainingConfig:
    """Return settings in which every loss of a joint round takes part."""
    return replace(
        training,
        contrastive=ContrastiveConfig(num_pairs=4),
        consistency=ConsistencyConfig(),
        copy_paste=CopyPasteConfig(weight=1.0, num_slices=2),
        pseudo_label_weight=0.1,
    )
