"""The batches of pre-training: which views stand in them, in the order that the losses expect."""

import torch
from torch import Tensor

from PseudoLabelCLLib.domain.method_config import AugmentationConfig
from PseudoLabelCLLib.domain.pretraining_config import (
    GlobalLocalConfig,
    GlobalStrategy,
    LocalStrategy,
)
from PseudoLabelCLLib.learning.pretraining.views import (
    crop_and_enlarge,
    warp_views,
)
from PseudoLabelCLLib.learning.pretraining.volume_batches import PlacedSlices, VolumePool
from PseudoLabelCLLib.learning.shapes import Float
from PseudoLabelCLLib.learning.training.view_intensity import change_intensity

# A set holds the parts of three volumes, as published; the local loss takes ten of any slices.
VOLUMES_IN_SET = 3
LOCAL_SLICES = 10

Views = Float[Tensor, "views channels rows columns"]


def global_batch(
    volumes: VolumePool,
    config: GlobalLocalConfig,
    generator: torch.Generator,
) -> Views:
    """Return the views of one step of the encoder's stage.

    "partition" compares two sets of slices of three volumes each; sets that are compared come from
    two volumes everywhere, and every slot holds a slice.

    Args:
        volumes: What is drawn from, on the device where the views shall lie;
            for "partition" two or more, each with a slice for every part.
        config: Strategy, number of parts, ranges of the changes.
        generator: On the CPU.

    Source: Chaitanya et al., NeurIPS 2020, code. There a third of the 48 slots stays empty, and
        both sets may hold the same volume.
    """
    num_parts = config.num_partitions

    def view(slices: Views) -> Views:
        return _global_view(slices, config, generator, volumes.slices_at_once)

    if config.global_strategy is GlobalStrategy.RANDOM:
        slices = volumes.draw(VOLUMES_IN_SET * num_parts, generator).images
        return torch.cat([view(slices) for _ in range(2)])
    if config.global_strategy is GlobalStrategy.PARTITION_MINUS:
        chosen = volumes.draw_volumes(VOLUMES_IN_SET, generator)
        slices = volumes.draw_parts(chosen, num_parts, generator)
        return torch.cat((slices, *(view(slices) for _ in range(2))))
    ring = volumes.draw_ring(2 * VOLUMES_IN_SET, generator)
    sets = []
    for members in (ring[0::2], ring[1::2]):
        slices = volumes.draw_parts(members, num_parts, generator)
        sets += [slices, view(slices)]
    stacked = torch.stack(sets, dim=1)  # (blocks x parts, 4, channels, rows, columns)
    by_block = stacked.reshape(VOLUMES_IN_SET, num_parts, *stacked.shape[1:]).transpose(1, 2)
    return by_block.flatten(0, 2)  # (views, channels, rows, columns)


def local_batch(
    volumes: VolumePool,
    config: GlobalLocalConfig,
    generator: torch.Generator,
) -> Views:
    """Return the views of one step of the decoder's stage: all first views, then all second.

    Views of a slice differ in intensity alone, so that regions lie at the same place in both.

    Args:
        volumes: What is drawn from, on the device where the views shall lie;
            for "partition" two or more, each with a slice for every part.
        config: Strategy, number of parts, ranges of the changes.
        generator: On the CPU.

    Source: Chaitanya et al., NeurIPS 2020, code.
    """
    if config.local_strategy is LocalStrategy.RANDOM:
        slices = volumes.draw(LOCAL_SLICES, generator).images
    else:
        chosen = volumes.draw_volumes(VOLUMES_IN_SET, generator)
        slices = volumes.draw_parts(chosen, config.num_partitions, generator)
    return torch.cat(
        [_changed(slices, config, generator, volumes.slices_at_once) for _ in range(2)]
    )


def positional_batch(
    volumes: VolumePool,
    num_slices: int,
    warp: AugmentationConfig,
    generator: torch.Generator,
) -> PlacedSlices:
    """Return two warped views of each slice with their positions: all first views, then all second.

    Args:
        volumes: What is drawn from, on the device where the views shall lie.
        num_slices: Slices in the batch.
        warp: The changes of a view.
        generator: On the CPU.

    Source: Zeng et al., MICCAI 2021, code. There each half of the views has its own statistics of
        batch normalisation; here all views share them.
    """
    drawn = volumes.draw(num_slices, generator)
    slices = drawn.images
    views = torch.cat([warp_views(slices, warp, generator) for _ in range(2)])
    return PlacedSlices(views, drawn.positions.repeat(2))


def _global_view(
    slices: Views, config: GlobalLocalConfig, generator: torch.Generator, slices_at_once: int
) -> Views:
    enlarged = crop_and_enlarge(slices, config.crop_fraction, generator)
    return _changed(enlarged, config, generator, slices_at_once)


def _changed(
    slices: Views, config: GlobalLocalConfig, generator: torch.Generator, slices_at_once: int
) -> Views:
    return change_intensity(
        slices,
        brightness=config.brightness,
        contrast_fraction=config.contrast_fraction,
        is_shared=config.one_change_per_batch,
        generator=generator,
        slices_at_once=slices_at_once,
    )
