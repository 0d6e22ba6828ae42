"""The frames of an enhanced (multi-frame) CT, MR or PET object: where each lies in the patient."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom

from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.dicom.header import (
    items_of,
    numbers_of,
    read_dicom_header,
    text_of,
    whole_number_of,
)
from PseudoLabelCLLib.storage.dicom.series_parts import (
    Part,
    SeveralPartsError,
    names_apart,
    parts_by,
    told_apart,
)
from PseudoLabelCLLib.storage.dicom.slice_stack import PlacedSlice, ordered_stack

FRAME_KEYWORDS = (
    "NumberOfFrames", "Rows", "Columns", "SamplesPerPixel", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)  # fmt: skip
_STACK = "StackID"
_CONTENT = "FrameContentSequence"
# What can tell frames at one place apart, with the sequence that holds it; the plainest first.
_APART_IN_FRAMES: dict[str, tuple[str, ...]] = {
    "EffectiveEchoTime": ("MREchoSequence",),
    "TemporalPositionIndex": (_CONTENT,),
    "FrameAcquisitionNumber": (_CONTENT,),
    _STACK: (_CONTENT,),
    "NominalCardiacTriggerDelayTime": ("CardiacSynchronizationSequence",),
    "DiffusionBValue": ("MRDiffusionSequence",),
    "ComplexImageComponent": ("MRImageFrameTypeSequence",),
    "InversionTimes": ("MRModifierSequence",),
    "FlipAngle": ("MRTimingAndRelatedParametersSequence",),
    # where an object was converted from single slices
    "EchoTime": (),
    "TemporalPositionIdentifier": (),
    "AcquisitionNumber": (),
    "TriggerTime": (),
    "InversionTime": (),
    "EchoNumbers": (),
    "FrameAcquisitionDateTime": (_CONTENT,),
}
_CONVERTED = "UnassignedPerFrameConvertedAttributesSequence"
_PERPENDICULAR_TOLERANCE = 1e-3
_MOST_FRAMES = 100_000
_REMEDY = Text(
    "Convert it to a series of single slices, or to NRRD or NIfTI, in the program that made it."
)


def read_frames(path: Path, part: Part | None = None) -> list[PlacedSlice[int]]:
    """Return the frames of an enhanced object in the order of their positions.

    `header` of each is its index in the file.

    Args:
        path: The file.
        part: Which of several stacks, echoes, time points ... counts; None takes all frames.

    Raises:
        VolumeError: The file is damaged, the frames make no single stack, or they are scaled
            differently.
        StorageError: The disk refuses.
    """
    return ordered_frames(path, placed_frames(path), part)


def placed_frames(path: Path) -> list[PlacedSlice[int]]:
    """Return the frames of an enhanced object as they are stored.

    Raises:
        VolumeError: The file is damaged, a frame does not say where it lies, or frames are scaled
            differently.
        StorageError: The disk refuses.
    """
    header = read_dicom_header(path, FRAME_KEYWORDS)
    if header is None:
        raise VolumeError(
            Text("'{path}' is not a DICOM file.", path=path), Text("Choose another file.")
        )
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
    return [
        _placed(path, index, group, shared, (size[0], size[1]))
        for index, group in enumerate(groups)
    ]


def ordered_frames(
    path: Path, frames: Sequence[PlacedSlice[int]], part: Part | None = None
) -> list[PlacedSlice[int]]:
    """Return the frames of one stack in the order of their positions.

    Raises:
        SeveralPartsError: They are several stacks, or lie at the same places.
        VolumeError: They make no stack, or none is of that part.
    """
    try:
        return ordered_stack(path, frames, part)
    except SeveralPartsError:
        raise
    except VolumeError as error:
        parts = _stacks_in(path, frames) if part is None else ()
        if not parts:
            raise
        found = Text("'{path}' holds several stacks of frames", path=path)
        raise told_apart(found, parts) from error


def _stacks_in(path: Path, frames: Sequence[PlacedSlice[int]]) -> tuple[Part, ...]:
    """Return the stacks that frames make by their Stack ID, alone or with other attributes."""
    attributes = [frame.attributes for frame in frames]
    for name in names_apart(attributes):
        if _STACK not in name:
            continue
        parts = parts_by(name, attributes)
        try:
            for part in parts:
                ordered_stack(path, frames, part)
        except VolumeError:
            continue
        return parts
    return ()


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
        attributes={
            name: _told(group, shared, (*sequences, _CONVERTED), name)
            for name, sequences in _APART_IN_FRAMES.items()
        },
    )


def _told(
    group: pydicom.Dataset, shared: pydicom.Dataset, sequences: Sequence[str], keyword: str
) -> str:
    """Return what a frame says of itself as text, in the first of some sequences that says it."""
    for sequence in sequences:
        for dataset in (group, shared):
            for item in items_of(dataset, sequence)[:1]:
                if text := text_of(item, keyword):
                    return text
    return ""


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
