"""Prediction of a case's slices, averaged over changed copies that also tell the doubt."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from PseudoLabelCLLib.domain.config import PseudoLabelConfig
from PseudoLabelCLLib.learning.device import ComputeDevice
from PseudoLabelCLLib.learning.network import SegmentationNetwork

SLICES_AT_ONCE = 16


@dataclass(frozen=True)
class CopyTransform:
    """One changed copy of a slice: turned, zoomed, mirrored left to right."""

    angle_deg: float = 0.0
    zoom: float = 1.0
    mirrored: bool = False

    @property
    def is_identity(self) -> bool:
        """Whether the copy is the slice itself."""
        return self == CopyTransform()


@dataclass(frozen=True)
class Prediction:
    """What the network says about a case, on the network's grid.

    Args:
        probabilities: Mean over the copies, shape (slices, classes, rows, columns), float32.
        copies: Most likely class in every copy, turned back, shape (copies, slices, rows,
            columns), uint8.
    """

    probabilities: npt.NDArray[np.float32]
    copies: npt.NDArray[np.uint8]


def draw_copies(config: PseudoLabelConfig, seed: int, *, mirror: bool) -> tuple[CopyTransform, ...]:
    """Return the unchanged copy and random ones; the same seed gives the same copies.

    Source: Chaitanya et al., MedIA 2023, code (`test_aug_overlap`): rotation +-30 degrees, zoom
        0.9 to 1.1, left-right flip.
    """
    generator = np.random.default_rng(seed)
    changed = tuple(
        CopyTransform(
            angle_deg=float(generator.uniform(-1, 1) * config.max_rotation_deg),
            zoom=float(1 + generator.uniform(-1, 1) * config.max_scale_fraction),
            mirrored=mirror and number % 2 == 0,
        )
        for number in range(config.num_augmented_copies - 1)
    )
    return (CopyTransform(), *changed)


@torch.no_grad()
def predict_slices(
    network: SegmentationNetwork,
    images: npt.NDArray[np.float32],
    copies: tuple[CopyTransform, ...],
    device: ComputeDevice,
) -> Prediction:
    """Predict every slice in every copy.

    Args:
        network: On the device; is set to evaluation mode.
        images: Shape (slices, rows, columns).
        copies: At least one.
        device: Where to compute; where memory is short, fewer slices go at once.

    Raises:
        torch.OutOfMemoryError: Not even one slice fits.
    """
    network.eval()
    means, winners = [], []
    start, at_once = 0, SLICES_AT_ONCE
    while start < len(images):
        chunk = torch.from_numpy(np.array(images[start : start + at_once], dtype=np.float32))
        try:
            mean, winner = _predict_chunk(network, chunk[:, None], copies, device)
        except torch.OutOfMemoryError:
            if at_once == 1:
                raise
            at_once //= 2
            continue
        means.append(mean)
        winners.append(winner)
        start += at_once
    return Prediction(np.concatenate(means), np.concatenate(winners, axis=1))


def _predict_chunk(
    network: SegmentationNetwork,
    images: Float[Tensor, "slices 1 rows columns"],
    copies: tuple[CopyTransform, ...],
    device: ComputeDevice,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    total: Tensor | None = None
    winners = []
    for probabilities in _predict_copies(network, images.to(device.torch_device), copies, device):
        total = probabilities if total is None else total + probabilities
        winners.append(probabilities.argmax(dim=1).to(torch.uint8).cpu().numpy())
    assert total is not None  # there is at least one copy
    return (total / len(copies)).cpu().numpy(), np.stack(winners)


def _predict_copies(
    network: SegmentationNetwork,
    images: Float[Tensor, "slices 1 rows columns"],
    copies: tuple[CopyTransform, ...],
    device: ComputeDevice,
) -> Iterator[Float[Tensor, "slices classes rows columns"]]:
    for copy in copies:
        moved = images if copy.is_identity else _resample(images, _matrix(images, copy))
        with device.autocast():
            logits = network(moved.contiguous(memory_format=device.memory_format))
        probabilities = logits.float().softmax(dim=1)
        if not copy.is_identity:
            probabilities = _turn_back(probabilities, copy)
        yield probabilities


def _turn_back(probabilities: Tensor, copy: CopyTransform) -> Tensor:
    """Undo a copy's change; what comes from outside the slice is background."""
    foreground = _resample(probabilities[:, 1:], _inverse(_matrix(probabilities, copy)))
    background = 1 - foreground.sum(dim=1, keepdim=True)
    return torch.cat((background, foreground), dim=1)


def _matrix(images: Tensor, copy: CopyTransform) -> Float[Tensor, "2 3"]:
    """Sampling positions of a copy, in -1..1 (columns, rows)."""
    rows, columns = images.shape[2:]
    aspect = rows / columns
    angle = math.radians(copy.angle_deg)
    cosine, sine = math.cos(angle) / copy.zoom, math.sin(angle) / copy.zoom
    mirror = -1.0 if copy.mirrored else 1.0
    return torch.tensor(
        [[mirror * cosine, -mirror * sine * aspect, 0.0], [sine / aspect, cosine, 0.0]]
    )


def _inverse(matrix: Float[Tensor, "2 3"]) -> Float[Tensor, "2 3"]:
    return torch.cat((torch.linalg.inv(matrix[:, :2]), torch.zeros(2, 1)), dim=1)


def _resample(images: Tensor, matrix: Float[Tensor, "2 3"]) -> Tensor:
    matrices = matrix.to(images.device).expand(len(images), -1, -1)
    grid = functional.affine_grid(matrices, list(images.shape), align_corners=False)
    resampled: Tensor = functional.grid_sample(images, grid, align_corners=False)
    return resampled
