"""What is drawn and written in trials of DICOM segmentations."""

from pathlib import Path

import numpy as np

from PseudoLabelCLLib.curation.export.write_verified_object import (
    ObjectToWrite,
    write_verified_object,
)
from PseudoLabelCLLib.storage.dicom.segment import (
    Algorithm,
    AlgorithmType,
    ObjectDescription,
    ObjectSegment,
    new_uid,
    tracking_uid_of,
)
from PseudoLabelCLLib.storage.dicom.source_series import read_source_series
from PseudoLabelCLLib.storage.segments.terminology_list import propose_terminology

Masks = np.ndarray


def bodies(shape: tuple[int, int, int], num_segments: int = 3) -> Masks:
    """Slanted bodies at random places, none symmetric, as segment numbers from 1."""
    rng, labels = np.random.default_rng(7), np.zeros(shape, np.uint8)
    at = np.ogrid[tuple(slice(0, n) for n in shape)]
    for value in range(1, num_segments + 1):
        centre = rng.uniform(0.2, 0.8, 3) * shape
        radii = rng.uniform(0.15, 0.35, 3) * shape
        slant = rng.normal(size=3) * 0.3
        away = [((x - c) / r).astype(np.float32) for x, c, r in zip(at, centre, radii, strict=True)]
        # one term for each axis, so that large volumes need little memory
        k, j, i = (d**2 + np.float32(t) * d for d, t in zip(away, slant, strict=True))
        labels[k + j + i < 0.9] = value
    return labels


def blobs(shape: tuple[int, int, int], num_segments: int = 3) -> Masks:
    """Return the bodies as one mask for each segment."""
    labels = bodies(shape, num_segments)
    return np.stack([labels == value for value in range(1, num_segments + 1)])


def write_object(folder: Path, out: Path, masks: Masks) -> Path:
    """Write masks, or segment numbers, on a series with the program's writer; it verifies too."""
    num_segments = len(masks) if masks.ndim == 4 else int(masks.max())
    kidney, made_by = propose_terminology("left kidney")[0], Algorithm("PseudoLabelCL", "0")
    segments = [
        ObjectSegment(f"structure {n}", kidney, "#56b4e9", AlgorithmType.AUTOMATIC, made_by,
                      f"id {n}", tracking_uid_of("1.2.3", f"s{n}", kidney), "A trial.")
        for n in range(1, num_segments + 1)
    ]  # fmt: skip
    about = ObjectDescription("trial", "trial", "Doe^Jane", "0", 9001, new_uid())
    content = ObjectToWrite(read_source_series(folder), masks, segments, about)
    out.mkdir(exist_ok=True)
    return write_verified_object(out, "trial", content)[0]
