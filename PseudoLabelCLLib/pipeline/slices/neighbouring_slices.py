"""Neighbouring slices as further channels of each slice, without a copy of what is kept.

What is kept of a volume has its slices in the order of most volumes, whatever its own, and its
first and last ones repeated beyond the ends. Then each slice and its neighbours lie beside each
other, and are a view of it.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig

FloatArray = npt.NDArray[np.float32]


def kept_slices(
    images: Sequence[FloatArray], geometry: Geometry, config: PreprocessConfig
) -> FloatArray:
    """Return the images of a patient as they are kept, with what stands beyond the volume's ends.

    Args:
        images: At least one, each of shape (slices, rows, columns), as the volume stores them.
        geometry: The volume's grid.
        config: The settled plan.

    Returns:
        Shape (slices, images, rows, columns), with `neighbouring_slices` more at either end.
    """
    beyond = config.neighbouring_slices
    if beyond == 0:
        return np.stack(images, axis=1)
    count, *sides = images[0].shape
    step = -1 if config.runs_backwards(geometry) else 1
    kept = np.empty((count + 2 * beyond, len(images), *sides), np.float32)
    for number, image in enumerate(images):
        kept[beyond : beyond + count, number] = image[::step]
    kept[:beyond] = kept[beyond]
    kept[beyond + count :] = kept[beyond + count - 1]
    return kept


def with_neighbours(kept: FloatArray, geometry: Geometry, config: PreprocessConfig) -> FloatArray:
    """Return each slice of a volume together with its neighbours, as the network sees them.

    Args:
        kept: What `kept_slices` returned; may be mapped from disk.
        geometry: The volume's grid.
        config: The settled plan.

    Returns:
        A view of shape (slices, channels, rows, columns), slices in the order of the volume.
        Channels are all images of the first neighbour, then all of the next: in the order of most
        volumes, the slice itself in the middle.
    """
    if config.neighbouring_slices == 0:
        return kept
    windows = np.lib.stride_tricks.sliding_window_view(kept, config.slices_at_once, axis=0)
    count, num_images, rows, columns, num_slices = windows.shape
    # neighbouring slices lie one after the other, so that this is no copy
    together = np.moveaxis(windows, -1, 1).reshape(count, num_slices * num_images, rows, columns)
    return together[::-1] if config.runs_backwards(geometry) else together
