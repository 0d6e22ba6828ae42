"""The frames of an enhanced (multi-frame) CT, MR or PET object: where each lies in the patient."""

from pathlib import Path

import numpy as np
import pydicom

from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.dicom.header import (
    items_of,
    numbers_of,
    read_dicom_header,
    whole_number_of,
)
from PseudoLabelCLLib.storage.dicom.slice_stack import PlacedSlice, ordered_stack

FRAME_KEYWORDS = (
    "NumberOfFrames", "Rows", "Columns", "SamplesPerPixel", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)  # fmt: skip
_PERPENDICULAR_TOLERANCE = 1e-3
_MOST_FRAMES = 100_000
_REMEDY = Text(
    "Convert it to a series of single slices, or to NRRD or NIfTI, in the program that made it."
)


def read_frames(path: Path) -> list[PlacedSlice[int]]:
    """Return the frames of an enhanced object in the order of their positions.

    `header` of each is its index in the file.

    Raises:
        VolumeError: The file is damaged, the frames make no single stack, or they are scaled
            differently.
        StorageError: The disk refuses.
    """
    header = read_dicom_header(path, FRAME_KEYWORDS)
    if header is None:
        raise VolumeError(
            Text("'{path}' is not a DICOM file.", path=path), Text("Choose another file.")
        )
    return ordered_frames(path, header)


def ordered_frames(path: Path, header: pydicom.Dataset) -> list[PlacedSlice[int]]:
    """Return the frames that a header describes, see `read_frames`.

    Raises:
        VolumeError: The frames make no single stack, or they are scaled differently.
    """
    groups = items_of(header, "PerFrameFunctionalGroupsSequence")
    shared = next(iter(items_of(header, "SharedFunctionalGroupsSequence")), pydicom.Dataset())
    num_frames = whole_number_of(header, "NumberOfFrames") or 0
    if not groups or num_frames != len(groups) or num_frames > _MOST_FRAMES:
        raise VolumeError(
            Text(
                "'{path}' contradicts itself: it has {found} frames and describes {described}.",
                path=path,
                found=num_frames,
                described=len(groups),
            ),
            Text("Send or copy it again from the archive."),
        )
    if len({_scaling(group, shared) for group in groups}) > 1:
        raise VolumeError(
            Text("'{path}' has frames whose intensities are scaled differently.", path=path),
            _REMEDY,
        )
    size = tuple(whole_number_of(header, keyword) or 0 for keyword in ("Columns", "Rows"))
    frames = [
        _placed(path, index, group, shared, (size[0], size[1]))
        for index, group in enumerate(groups)
    ]
    return ordered_stack(path, frames)


def _placed(
    path: Path, index: int, group: pydicom.Dataset, shared: pydicom.Dataset, size: tuple[int, int]
) -> PlacedSlice[int]:
    position = np.array(_of(group, shared, "PlanePositionSequence", "ImagePositionPatient"))
    turned = _of(group, shared, "PlaneOrientationSequence", "ImageOrientationPatient")
    spacing = _of(group, shared, "PixelMeasuresSequence", "PixelSpacing")
    if len(position) != 3 or len(turned) != 6 or len(spacing) != 2 or not min(size):
        raise VolumeError(
            Text(
                "Frame {index} of '{path}' does not say where its pixels lie (position, "
                "orientation, pixel spacing).",
                index=index + 1,
                path=path,
            ),
            _REMEDY,
        )
    row, column = np.array(turned[:3]), np.array(turned[3:])
    products = np.array([row @ row - 1, column @ column - 1, row @ column])
    if np.abs(products).max() > _PERPENDICULAR_TOLERANCE or min(spacing) <= 0:
        raise VolumeError(
            Text(
                "Frame {index} of '{path}' contradicts itself: its rows and columns make no "
                "rectangular grid.",
                index=index + 1,
                path=path,
            ),
            _REMEDY,
        )
    told = (
        _of(group, shared, "PixelMeasuresSequence", keyword)
        for keyword in ("SpacingBetweenSlices", "SliceThickness")
    )
    thickness = [numbers[0] for numbers in told if len(numbers) == 1 and numbers[0] > 0]
    return PlacedSlice(
        path=f"{path}, frame {index + 1}",
        header=index,
        position_mm=position,
        row=row,
        column=column,
        size=size,
        spacing_mm=(spacing[1], spacing[0]),
        thickness_mm=thickness[0] if thickness else 1.0,
    )


def _scaling(group: pydicom.Dataset, shared: pydicom.Dataset) -> tuple[float, ...]:
    return tuple(
        number
        for keyword in ("RescaleSlope", "RescaleIntercept")
        for number in _of(group, shared, "PixelValueTransformationSequence", keyword)
    )


def _of(
    group: pydicom.Dataset, shared: pydicom.Dataset, sequence: str, keyword: str
) -> tuple[float, ...]:
    """Return numbers of a frame, or of all frames where the frame has none of its own."""
    for dataset in (group, shared):
        items = items_of(dataset, sequence)
        if items:
            return numbers_of(items[0], keyword)
    return ()
