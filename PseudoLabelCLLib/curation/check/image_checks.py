"""What makes one image unfit for training, whatever the other images are like."""

import numpy as np

from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.counted import counted
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.volume import Volume

MIN_SIDE_PIXELS = 8
# From a microscope's stack to a scout with wide gaps; beyond lies a header in wrong units.
SPACING_RANGE_MM = (0.01, 100.0)
MIN_TAUGHT_SLICES = 2


def check_image(volume: Volume, *, case_id: str, slicing_axis: int, role: CaseRole) -> None:
    """Refuse an image that no network can learn from.

    Args:
        volume: The image.
        case_id: For the message.
        slicing_axis: 0, 1 or 2 for i, j, k.
        role: A case with human truth needs two slices or more.

    Raises:
        VolumeError: It holds NaN or infinite values, is constant, is too small, or its voxels have
            an impossible size.
    """
    num_wrong = int(volume.array.size - np.count_nonzero(np.isfinite(volume.array)))
    if num_wrong:
        raise VolumeError(
            f"The image of case '{case_id}' has {counted(num_wrong, 'voxel')} whose intensity is "
            "not a finite number.",
            "Replace them in another program and save the image again.",
        )
    low, high = volume.array.min(), volume.array.max()
    if low == high:
        raise VolumeError(
            f"The image of case '{case_id}' is constant: every voxel is {low}.",
            "Check that it is the right file.",
        )
    _check_spacing(volume, case_id)
    size = volume.geometry.size
    num_slices = size[slicing_axis]
    sides = [n for axis, n in enumerate(size) if axis != slicing_axis]
    if min(sides) < MIN_SIDE_PIXELS:
        raise VolumeError(
            f"The slices of case '{case_id}' are {sides[0]} x {sides[1]} pixels; "
            f"at least {MIN_SIDE_PIXELS} are needed on each side.",
            "Check the slicing axis, or choose another image.",
        )
    if role.needs_annotation and num_slices < MIN_TAUGHT_SLICES:
        raise VolumeError(
            f"The image of case '{case_id}' has {num_slices} slice; "
            f"a case that is {role.value} needs {MIN_TAUGHT_SLICES} or more.",
            "Load the whole stack of slices, or make the case 'unlabelled'.",
        )


def _check_spacing(volume: Volume, case_id: str) -> None:
    least, most = SPACING_RANGE_MM
    spacing_mm = volume.geometry.spacing_mm
    if not all(least <= spacing <= most for spacing in spacing_mm):
        found = " x ".join(f"{spacing:.4g}" for spacing in spacing_mm)
        raise VolumeError(
            f"The image of case '{case_id}' has voxels of {found} mm; "
            f"expected {least:g} to {most:g} mm.",
            "Correct the voxel size in another program and save the image again.",
        )
