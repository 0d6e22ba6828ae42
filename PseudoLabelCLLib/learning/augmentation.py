"""Random changes of slices, drawn for every slice of a batch and applied on the device at once."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from PseudoLabelCLLib.domain.method_config import AugmentationConfig, Mirror

Images = Float[Tensor, "batch 1 rows columns"]
Targets = Float[Tensor, "batch classes rows columns"]
Grid = Float[Tensor, "batch rows columns 2"]


class AugmentedBatch(NamedTuple):
    """Slices and their targets after one random change each."""

    images: Images
    targets: Targets


def augment(
    images: Images, targets: Targets, config: AugmentationConfig, generator: torch.Generator
) -> AugmentedBatch:
    """Warp images and targets together, then change the images' intensities.

    Args:
        images: Intensities, about 0..1.
        targets: Class probabilities; class 0 fills what comes from outside the slice.
        config: The ranges.
        generator: On the CPU; parameters are few, so they are drawn there for every device alike.

    Returns:
        Images, and targets that are soft along moved borders and still sum to 1.
    """
    grid = _affine_grid(images, config, generator)
    if config.elastic_fraction:
        grid = grid + _elastic_field(images, config, generator)
    warped = functional.grid_sample(
        torch.cat((images, targets[:, 1:]), dim=1), grid, align_corners=False
    )
    foreground = warped[:, 1:]
    background = 1 - foreground.sum(dim=1, keepdim=True)
    return AugmentedBatch(
        change_intensities(warped[:, :1], config, generator),
        torch.cat((background, foreground), dim=1),
    )


def change_intensities(
    images: Images, config: AugmentationConfig, generator: torch.Generator
) -> Images:
    """Change contrast, brightness, gamma, noise and resolution of every slice on its own."""
    batch = len(images)
    device = images.device
    mean = images.mean(dim=(2, 3), keepdim=True)
    contrast = _uniform(
        batch, 1 - config.contrast_fraction, 1 + config.contrast_fraction, generator
    )
    brightness = _uniform(batch, -config.brightness, config.brightness, generator)
    changed = (images - mean) * contrast.to(device) + mean + brightness.to(device)
    if config.gamma_fraction:
        exponent = torch.exp(
            _uniform(batch, -1.0, 1.0, generator) * math.log1p(config.gamma_fraction)
        ).to(device)
        changed = changed.clamp(min=1e-3) ** exponent
    if config.blur_fraction:
        blurred = functional.interpolate(
            functional.avg_pool2d(changed, 2), scale_factor=2, mode="bilinear", align_corners=False
        )
        chosen = (_uniform(batch, 0.0, 1.0, generator) < config.blur_fraction).to(device)
        changed = torch.where(chosen, blurred, changed)
    if config.noise:
        strength = _uniform(batch, 0.0, config.noise, generator).to(device)
        noise = torch.randn(images.shape, generator=generator).to(device)
        changed = changed + strength * noise
    return changed


def _affine_grid(images: Images, config: AugmentationConfig, generator: torch.Generator) -> Grid:
    """Rotation, zoom, mirror and shift as sampling positions in -1..1 (columns, rows)."""
    batch, _, rows, columns = images.shape
    limit = math.radians(config.rotation_deg)
    angle = _uniform(batch, -limit, limit, generator).flatten()
    zoom = (
        1
        / _uniform(batch, 1 - config.scale_fraction, 1 + config.scale_fraction, generator).flatten()
    )
    mirror = _mirrors(batch, config.mirror, generator)
    shift = 2 * config.shift_fraction * (torch.rand(batch, 2, generator=generator) * 2 - 1)
    # positions run over -1..1 on both axes: a rotation must know that the sides differ in length
    aspect = rows / columns
    cosine, sine = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    matrix = torch.stack(
        (
            torch.stack((cosine * mirror[:, 0], -sine * aspect * mirror[:, 0], shift[:, 0]), dim=1),
            torch.stack((sine / aspect * mirror[:, 1], cosine * mirror[:, 1], shift[:, 1]), dim=1),
        ),
        dim=1,
    )  # (batch, 2, 3)
    grid: Tensor = functional.affine_grid(
        matrix.to(images.device), [batch, 1, rows, columns], align_corners=False
    )
    return grid


def _mirrors(batch: int, mirror: Mirror, generator: torch.Generator) -> Float[Tensor, "batch 2"]:
    """Return -1 where the columns (first) or the rows (second) of a slice are mirrored, else 1."""
    allowed = {Mirror.LEFT_RIGHT: (True, False), Mirror.BOTH: (True, True)}
    chosen = torch.rand((batch, 2), generator=generator) < 0.5
    return 1.0 - 2.0 * (chosen & torch.tensor(allowed.get(mirror, (False, False))))


def _elastic_field(images: Images, config: AugmentationConfig, generator: torch.Generator) -> Grid:
    """A smooth random displacement: control points, bicubically up-sampled."""
    batch, _, rows, columns = images.shape
    points = torch.randn(
        (batch, 2, config.elastic_grid, config.elastic_grid), generator=generator
    ) * (2 * config.elastic_fraction)
    field = functional.interpolate(
        points.to(images.device), size=(rows, columns), mode="bicubic", align_corners=True
    )
    return field.movedim(1, 3)


def _uniform(
    batch: int, low: float, high: float, generator: torch.Generator
) -> Float[Tensor, "batch 1 1 1"]:
    return low + (high - low) * torch.rand((batch, 1, 1, 1), generator=generator)
