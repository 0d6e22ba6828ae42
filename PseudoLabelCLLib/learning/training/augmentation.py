"""Random changes of slices, drawn for every slice of a batch and applied on the device at once."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from PseudoLabelCLLib.domain.method_config import Affine, AugmentationConfig, Mirror
from PseudoLabelCLLib.learning.shapes import Float
from PseudoLabelCLLib.learning.to_device import to_device

Images = Float[Tensor, "batch channels *space"]
Targets = Float[Tensor, "batch classes *space"]
Grid = Float[Tensor, "batch rows columns 2"]
PerChannel = Float[Tensor, "batch channels *ones"]

# What "one-of-five" chooses from; the fifth is nothing.
_ROTATION, _ZOOM, _MIRROR, _EIGHTHS_OF_A_TURN = range(4)


class AugmentedBatch(NamedTuple):
    """Slices and their targets after one random change each."""

    images: Images
    targets: Targets


class _Warp(NamedTuple):
    """Where slices are sampled: a linear map, and offsets at control points."""

    matrix: Float[Tensor, "batch 2 3"]
    points: Float[Tensor, "batch offsets points points"]


class _IntensityChange(NamedTuple):
    """How intensities change, each channel by itself; what the settings leave out does nothing."""

    contrast: PerChannel
    brightness: PerChannel
    exponent: PerChannel
    blurred: PerChannel
    noise: PerChannel


def augment(
    images: Images,
    targets: Targets,
    config: AugmentationConfig,
    generator: torch.Generator,
    slices_at_once: int = 1,
) -> AugmentedBatch:
    """Warp images and targets together, then change the images' intensities.

    All slices of a block, and neighbouring slices, are warped alike, in their plane. Intensities
    of neighbouring slices of one image change alike; noise is each pixel's own.

    Args:
        images: Intensities, about 0..1.
        targets: Class probabilities; class 0 fills what comes from outside the slice.
        config: The ranges.
        generator: On the CPU; parameters are few, so they are drawn there for every device alike.
        slices_at_once: How many slices of each image the channels are.

    Returns:
        Images, and targets that are soft along moved borders and still sum to 1.
    """
    warp = _draw_warp(images, config, generator)
    shape = (len(images), images.shape[1] // slices_at_once)
    drawn = _draw_intensity_change(shape, config, generator)
    change = _IntensityChange(*(part.repeat(1, slices_at_once, 1, 1) for part in drawn))
    moved = _move_together((*warp, *change), images.device)
    grid = _sampling_grid(_Warp(*moved[:2]), images, config)
    together = torch.cat((images, targets[:, 1:]), dim=1)
    # the slices of a block are channels of one slice: they are all sampled at the same positions
    warped = functional.grid_sample(together.flatten(1, -3), grid, align_corners=False).reshape(
        together.shape
    )
    num_channels = images.shape[1]
    foreground = warped[:, num_channels:]
    background = 1 - foreground.sum(dim=1, keepdim=True)
    return AugmentedBatch(
        _apply(warped[:, :num_channels], _IntensityChange(*moved[2:]), config, generator),
        torch.cat((background, foreground), dim=1),
    )


def _apply(
    images: Images, change: _IntensityChange, config: AugmentationConfig, generator: torch.Generator
) -> Images:
    mean = images.mean(dim=tuple(range(2, images.ndim)), keepdim=True)
    change = _IntensityChange(*(part.reshape(mean.shape) for part in change))
    changed = (images - mean) * change.contrast + mean + change.brightness
    if config.gamma_fraction:
        changed = changed.clamp(min=1e-3) ** change.exponent
    if config.blur_fraction:
        halved = functional.avg_pool2d(changed.flatten(1, -3), 2)
        blurred = functional.interpolate(
            halved, size=changed.shape[-2:], mode="bilinear", align_corners=False
        ).reshape(changed.shape)
        changed = torch.where(change.blurred > 0, blurred, changed)
    if config.noise:
        changed = changed + change.noise * _normal_field(images, generator)
    return changed


def _draw_intensity_change(
    shape: Sequence[int], config: AugmentationConfig, generator: torch.Generator
) -> _IntensityChange:
    """Draw only what the settings ask for, always in this order: the seed decides."""
    contrast = _uniform(
        shape, 1 - config.contrast_fraction, 1 + config.contrast_fraction, generator
    )
    brightness = _uniform(shape, -config.brightness, config.brightness, generator)
    exponent = blurred = noise = torch.zeros_like(contrast)
    if config.gamma_fraction:
        exponent = torch.exp(
            _uniform(shape, -1.0, 1.0, generator) * math.log1p(config.gamma_fraction)
        )
    if config.blur_fraction:
        blurred = (_uniform(shape, 0.0, 1.0, generator) < config.blur_fraction).float()
    if config.noise:
        noise = _uniform(shape, 0.0, config.noise, generator)
    return _IntensityChange(contrast, brightness, exponent, blurred, noise)


def _normal_field(images: Images, generator: torch.Generator) -> Images:
    """Standard normal noise; a device draws its own, so that no whole slices travel there."""
    if images.device.type == "cpu":
        return torch.randn(images.shape, generator=generator)
    seed = int(torch.randint(2**62, (), generator=generator))
    there = torch.Generator(images.device).manual_seed(seed)
    return torch.randn(images.shape, generator=there, device=images.device)


def _draw_warp(images: Images, config: AugmentationConfig, generator: torch.Generator) -> _Warp:
    batch, (rows, columns) = len(images), images.shape[-2:]
    if config.affine is Affine.ONE_OF_FIVE:
        matrix = _draw_one_of_five(batch, rows / columns, config, generator)
    else:
        matrix = _draw_all(batch, rows / columns, config, generator)
    if not config.elastic_fraction:
        return _Warp(matrix, torch.zeros((batch, 2, 0, 0)))
    points = torch.randn(
        (batch, 2, config.elastic_grid, config.elastic_grid), generator=generator
    ) * (2 * config.elastic_fraction)
    if config.elastic_mixed and batch > 2:
        num_unwarped = torch.randint(1, batch - 1, (), generator=generator)
        points = points * (torch.arange(batch) >= num_unwarped)[:, None, None, None]
    return _Warp(matrix, points)


def _draw_all(
    batch: int, aspect: float, config: AugmentationConfig, generator: torch.Generator
) -> Float[Tensor, "batch 2 3"]:
    """Rotation, zoom, mirror and shift of every slice."""
    limit = math.radians(config.rotation_deg)
    angle = _uniform((batch, 1), -limit, limit, generator).flatten()
    zoom = _uniform(
        (batch, 1), 1 - config.scale_fraction, 1 + config.scale_fraction, generator
    ).flatten()
    mirror = _mirrors(batch, config.mirror, generator)
    shift = 2 * config.shift_fraction * (torch.rand(batch, 2, generator=generator) * 2 - 1)
    return _sampling_matrix(angle, zoom, mirror, shift, aspect)


def _draw_one_of_five(
    batch: int, aspect: float, config: AugmentationConfig, generator: torch.Generator
) -> Float[Tensor, "batch 2 3"]:
    """One of five changes for every slice, each as likely as the others.

    Rotation within the range; zoom in steps of 1/100; mirroring left to right with a fair coin,
    where the settings allow it; a multiple of 45 degrees; nothing.

    Source: Chaitanya et al., MedIA 2023, code.
    """
    chosen = torch.randint(5, (batch,), generator=generator)
    limit = math.radians(config.rotation_deg)
    small_angle = _uniform((batch, 1), -limit, limit, generator).flatten()
    scale = _uniform(
        (batch, 1), 1 - config.scale_fraction, 1 + config.scale_fraction, generator
    ).flatten()
    coin = torch.rand(batch, generator=generator) < 0.5
    eighths = torch.randint(8, (batch,), generator=generator)
    angle = torch.where(chosen == _ROTATION, small_angle, 0.0)
    angle = torch.where(chosen == _EIGHTHS_OF_A_TURN, eighths * (math.pi / 4), angle)
    zoom = torch.where(chosen == _ZOOM, scale.round(decimals=2), 1.0)
    may_mirror = config.mirror in (Mirror.LEFT_RIGHT, Mirror.BOTH)
    mirrored = (chosen == _MIRROR) & coin & may_mirror
    mirror = torch.stack((1.0 - 2.0 * mirrored, torch.ones(batch)), dim=1)
    return _sampling_matrix(angle, zoom, mirror, torch.zeros(batch, 2), aspect)


def _sampling_matrix(
    angle: Float[Tensor, "batch"],
    zoom: Float[Tensor, "batch"],
    mirror: Float[Tensor, "batch 2"],
    shift: Float[Tensor, "batch 2"],
    aspect: float,
) -> Float[Tensor, "batch 2 3"]:
    """Linear maps of positions in -1..1 (columns, rows) from the changed slice to the slice."""
    # positions run over -1..1 on both axes: a rotation must know that the sides differ in length
    shrink = 1 / zoom
    cosine, sine = torch.cos(angle) * shrink, torch.sin(angle) * shrink
    return torch.stack(
        (
            torch.stack((cosine * mirror[:, 0], -sine * aspect * mirror[:, 0], shift[:, 0]), dim=1),
            torch.stack((sine / aspect * mirror[:, 1], cosine * mirror[:, 1], shift[:, 1]), dim=1),
        ),
        dim=1,
    )


def _mirrors(batch: int, mirror: Mirror, generator: torch.Generator) -> Float[Tensor, "batch 2"]:
    """Return -1 where the columns (first) or the rows (second) of a slice are mirrored, else 1."""
    allowed = {Mirror.LEFT_RIGHT: (True, False), Mirror.BOTH: (True, True)}
    chosen = torch.rand((batch, 2), generator=generator) < 0.5
    return 1.0 - 2.0 * (chosen & torch.tensor(allowed.get(mirror, (False, False))))


def _sampling_grid(warp: _Warp, images: Images, config: AugmentationConfig) -> Grid:
    """The sampling positions of every pixel: the linear map, and the smooth warp on top."""
    batch, (rows, columns) = len(images), images.shape[-2:]
    grid: Tensor = functional.affine_grid(
        warp.matrix, [batch, 1, rows, columns], align_corners=False
    )
    if not config.elastic_fraction:
        return grid
    field = functional.interpolate(
        warp.points, size=(rows, columns), mode="bicubic", align_corners=True
    )
    return grid + field.movedim(1, 3)


def _uniform(
    shape: Sequence[int], low: float, high: float, generator: torch.Generator
) -> PerChannel:
    return low + (high - low) * torch.rand((*shape, 1, 1), generator=generator)


def _move_together(parts: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Bring small tensors to a device in one transfer, which a GPU does not wait for."""
    if device.type == "cpu":
        return list(parts)
    packed = torch.cat([part.flatten() for part in parts])
    pieces = to_device(packed, device).split([part.numel() for part in parts])
    return [piece.view(part.shape) for piece, part in zip(pieces, parts, strict=True)]
