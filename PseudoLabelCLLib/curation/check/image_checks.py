"""What makes one image unfit for training, whatever the other images are like."""

import numpy as np

from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.text import Text, counted
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
            counted(
                num_wrong,
                "The image of case '{case}' has {count} voxel whose intensity is not a finite "
                "number.",
                "The image of case '{case}' has {count} voxels whose intensity is not a finite "
                "number.",
                case=case_id,
            ),
            Text("Replace them in another program and save the image again."),
        )
    low, high = volume.array.min(), volume.array.max()
    if low == high:
        raise VolumeError(
            Text(
                "The image of case '{case}' is constant: every voxel is {value}.",
                case=case_id,
                value=low,
            ),
            Text("Check that it is the right file."),
        )
    _check_spacing(volume, case_id)
    _check_size(volume, case_id, slicing_axis, role)


def check_channel(volume: Volume, channel: str, *, case_id: str, axis: int) -> None:
    """Refuse a further image that no network can learn from.

    Raises:
        VolumeError: It is constant or holds values that are not numbers.
    """
    try:
        check_image(volume, case_id=case_id, slicing_axis=axis, role=CaseRole.UNLABELLED)
    except VolumeError as error:
        raise VolumeError(
            Text("{channel}: {reason}", channel=channel, reason=error.message), error.remedy
        ) from error


def _check_size(volume: Volume, case_id: str, slicing_axis: int, role: CaseRole) -> None:
    size = volume.geometry.size
    num_slices = size[slicing_axis]
    sides = [n for axis, n in enumerate(size) if axis != slicing_axis]
    if min(sides) < MIN_SIDE_PIXELS:
        raise VolumeError(
            Text(
                "The slices of case '{case}' are {width} x {height} pixels; at least "
                "{least} are needed on each side.",
                case=case_id,
                width=sides[0],
                height=sides[1],
                least=MIN_SIDE_PIXELS,
            ),
            Text("Check the slicing axis, or choose another image."),
        )
    if role.needs_annotation and num_slices < MIN_TAUGHT_SLICES:
        raise VolumeError(
            Text(
                "The image of case '{case}' has {count} slice; a case that is {role} "
                "needs {least} or more.",
                case=case_id,
                count=num_slices,
                role=role.word,
                least=MIN_TAUGHT_SLICES,
            ),
            Text("Load the whole stack of slices, or make the case 'unlabelled'."),
        )


def _check_spacing(volume: Volume, case_id: str) -> None:
    least, most = SPACING_RANGE_MM
    spacing_mm = volume.geometry.spacing_mm
    if not all(least <= spacing <= most for spacing in spacing_mm):
        found = " x ".join(f"{spacing:.4g}" for spacing in spacing_mm)
        raise VolumeError(
            Text(
                "The image of case '{case}' has voxels of {found} mm; expected {least:g} to "
                "{most:g} mm.",
                case=case_id,
                found=found,
                least=least,
                most=most,
            ),
            Text("Correct the voxel size in another program and save the image again."),
        )
