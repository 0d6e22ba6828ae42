"""All images of a case on the grid of its first one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from PseudoLabelCLLib.domain.case import Case
from PseudoLabelCLLib.domain.channels import missing_among
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.findings import Note
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.storage.images.itk_files import image_of, resampled
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.volume_io import read_volume

# Voxels outside a further image are told from this share on.
_TOLD_UNCOVERED = 0.01


@dataclass(frozen=True)
class ImageFile:
    """Where one image of a patient lies.

    Args:
        path: A file, or a folder of DICOM slices.
        series_uid: Which DICOM series of the folder, or None.
        geometry: Its grid as it was when it was added; None where nobody has read it before.
    """

    path: Path
    series_uid: str | None = None
    geometry: Geometry | None = None


def image_files(root: Path, channels: Sequence[str], case: Case) -> tuple[ImageFile, ...]:
    """Return the images of a case, one for each channel of the project.

    Args:
        root: The project folder.
        channels: Those of the project; empty for one unnamed image.
        case: The case.

    Raises:
        VolumeError: The case lacks a channel.
    """
    layout = ProjectLayout(root)
    files = [ImageFile(layout.resolve(case.image), case.dicom_series_uid, case.geometry)]
    require_channels(channels[1:], [one.channel for one in case.further_images], case.id)
    for channel in channels[1:]:
        found = case.further_image(channel)
        if found is not None:
            path = layout.resolve(found.image)
            files.append(ImageFile(path, found.dicom_series_uid, found.geometry))
    return tuple(files)


def require_channels(channels: Sequence[str], found: Sequence[str], case_id: str) -> None:
    """Refuse a case that lacks an image: nothing is ever put in its place.

    Raises:
        VolumeError: It lacks one.
    """
    missing = missing_among(channels, found)
    if missing:
        raise VolumeError(
            Text("Case '{case}' has no {missing} image.", case=case_id, missing=", ".join(missing)),
            Text("Add that image to the case, or leave the case out (role 'ignored')."),
        )


def case_images(root: Path, channels: Sequence[str], case: Case) -> tuple[Volume, ...]:
    """Read all images of a case on the grid of its first one.

    Args:
        root: The project folder.
        channels: Those of the project; empty for one unnamed image.
        case: The case.

    Returns:
        One volume for each channel, in the order of the project.

    Raises:
        VolumeError: The case lacks a channel, or an image cannot be read, is no longer the one that
            was added, or shows another place.
        StorageError: The disk refuses.
    """
    files = image_files(root, channels, case)
    return images_on_one_grid(files, channels or ("",), case.id)[0]


def images_on_one_grid(
    files: Sequence[ImageFile], channels: Sequence[str], case_id: str
) -> tuple[tuple[Volume, ...], tuple[Text, ...]]:
    """Read several images of a patient on the grid of the first one.

    Args:
        files: One for each channel.
        channels: Their names, for messages.
        case_id: What messages call the patient.

    Returns:
        The volumes, and what a person should know of their grids.

    Raises:
        VolumeError: An image cannot be read, has changed since it was added, or shows another
            place than the first one.
        StorageError: The disk refuses.
    """
    first, *further = (
        read_image_file(file, channel, case_id)
        for file, channel in zip(files, channels, strict=True)
    )
    placed, notices = further_on_grid(first, further, channels, case_id)
    return (first, *placed), notices


def further_on_grid(
    first: Volume, further: Sequence[Volume], channels: Sequence[str], case_id: str
) -> tuple[tuple[Volume, ...], tuple[Text, ...]]:
    """Bring further images of a patient onto the grid of the first one.

    Args:
        first: The first image.
        further: The others.
        channels: The names of all, that of the first one first.
        case_id: What messages call the patient.

    Returns:
        The others on its grid, and what a person should know.

    Raises:
        VolumeError: One shows another place than the first one.
    """
    placed, notices = [], list[Text]()
    for volume, channel in zip(further, channels[1:], strict=True):
        told = _grid_notices(volume.geometry, first.geometry, channel, channels[0], case_id)
        notices += told
        placed.append(
            on_grid(volume, first.geometry) if told else replace(volume, geometry=first.geometry)
        )
    return tuple(placed), tuple(notices)


def _grid_notices(
    own: Geometry, first: Geometry, channel: str, first_channel: str, case_id: str
) -> tuple[Text, ...]:
    """Return what a person should know of the grid of a further image; nothing on the same grid.

    Raises:
        VolumeError: It shows another place than the first image.
    """
    if own.is_close_to(first):
        return ()
    covered = first.overlap_fraction(own)
    grids = {
        "case": case_id, "channel": channel, "first": first_channel,
        "grid1": own.describe(), "grid2": first.describe(),
    }  # fmt: skip
    if not covered:
        raise VolumeError(
            Text(
                "The {channel} image of case '{case}' ({grid1}) shows another place than its "
                "{first} image ({grid2}): they do not overlap.",
                **grids,
            ),
            Text("Check that both are of the same patient and the same examination."),
        )
    if 1 - covered < _TOLD_UNCOVERED:
        return (Note.CHANNEL_RESAMPLED.say(**grids),)
    return (Note.CHANNEL_COVERS_PART.say(**grids, percent=round(100 * covered)),)


def on_grid(volume: Volume, geometry: Geometry) -> Volume:
    """Interpolate an image linearly on another grid; outside it, its lowest value stands."""
    array = np.ascontiguousarray(volume.array, np.float32)
    image = image_of(array, volume.geometry)
    placed = resampled(image, geometry, sitk.sitkLinear, outside=float(np.nanmin(array)))
    found = sitk.GetArrayFromImage(placed)
    return replace(volume, array=found, geometry=geometry)


def read_image_file(file: ImageFile, channel: str, case_id: str) -> Volume:
    """Read one image of a patient as it is.

    Raises:
        VolumeError: It cannot be read, or has changed since it was added.
        StorageError: The disk refuses.
    """
    volume = read_volume(file.path, file.series_uid, file.geometry)
    if file.geometry is None or volume.geometry.is_close_to(file.geometry):
        return volume
    what = Text("{channel} image", channel=channel) if channel else Text("image")
    raise VolumeError(
        Text(
            "The {what} of case '{case}' has changed: it was {expected}, now it is "
            "{found} or lies elsewhere.",
            what=what,
            case=case_id,
            expected=file.geometry.describe(),
            found=volume.geometry.describe(),
        ),
        Text("Put the first image back, or add the new one as a case of its own."),
    )
