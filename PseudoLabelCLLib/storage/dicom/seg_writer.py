"""Writing a DICOM segmentation object with highdicom: one bit per voxel, on the source's grid."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.config import RAISE
from pydicom.datadict import dictionary_VR
from pydicom.sr.codedict import codes
from pydicom.valuerep import DSfloat, validate_value

from PseudoLabelCLLib.domain.errors import StorageError
from PseudoLabelCLLib.domain.segmentation import Code
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.dicom.header import numbers_of, quiet_pydicom, text_of, value_of
from PseudoLabelCLLib.storage.dicom.segment import (
    AlgorithmType,
    ObjectDescription,
    ObjectSegment,
    new_uid,
)
from PseudoLabelCLLib.storage.dicom.source_series import (
    OPTIONAL_PATIENT_STUDY,
    REQUIRED_PATIENT_STUDY,
    SourceSeries,
)
from PseudoLabelCLLib.storage.files.atomic_files import storage_error

_MANUFACTURER = "PseudoLabelCL"
_CONTENT_LABEL = "PSEUDOLABELCL"
_UTF_8 = "ISO_IR 192"
_IDENTITY = (
    "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID",
    "FrameOfReferenceUID", "Rows", "Columns",
)  # fmt: skip
_PLACE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")


def write_segmentation_object(
    path: Path,
    source: SourceSeries,
    masks: npt.NDArray[Any],
    segments: Sequence[ObjectSegment],
    about: ObjectDescription,
) -> None:
    """Write an object that refers to every slice of a series; its series is new.

    Only slices that a segment touches are stored, as other writers do. A segment without a voxel
    is described and has no slice.

    Args:
        path: The file; what is there is replaced.
        source: The series.
        masks: On the grid of the series: numbers of segments, 0 none, shape (k, j, i); or, where
            segments may overlap, shape (segments, k, j, i) with 0 or 1.
        segments: In the order of their numbers, 1 first.
        about: What the object says about itself.

    Raises:
        ValueError: The masks do not lie on the grid, or hold no voxel at all.
        StorageError: The disk refuses, or the library does.
    """
    pixels = _frames(source, masks, len(segments))
    with quiet_pydicom():
        slices = _cleaned_slices(source)
        described = [_described(n, s) for n, s in enumerate(segments, start=1)]
        try:
            made = hd.seg.Segmentation(
                source_images=slices,
                pixel_array=pixels,
                segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
                segment_descriptions=described,
                series_instance_uid=new_uid(),
                series_number=about.series_number,
                sop_instance_uid=about.instance_uid,
                instance_number=1,
                manufacturer=_MANUFACTURER,
                manufacturer_model_name=_MANUFACTURER,
                software_versions=about.software_version,
                device_serial_number=about.software_version,
                content_description=about.content_description,
                content_creator_name=about.creator,
                content_label=_CONTENT_LABEL,
                series_description=about.series_description,
            )
            made.SpecificCharacterSet = _UTF_8
            made.SeriesDate, made.SeriesTime = made.ContentDate, made.ContentTime
            made.save_as(path)
        except OSError as error:
            raise storage_error(path, error) from error
        except Exception as error:
            # highdicom checks what scanners wrote as it goes, with built-in errors of any kind
            raise StorageError(
                Text("The DICOM segmentation could not be made: {error}.", error=error),
                Text("Export as .seg.nrrd, and report this with the kind of scanner."),
            ) from error


def _frames(source: SourceSeries, masks: npt.NDArray[Any], num_segments: int) -> npt.NDArray[Any]:
    """Return masks as highdicom takes them: (k, j, i), or (k, j, i, segments)."""
    shape = source.geometry.array_shape
    if masks.shape not in (shape, (num_segments, *shape)):
        raise ValueError(f"Masks of shape {masks.shape} for slices of {shape}.")
    if not masks.any():
        raise ValueError("There is no voxel to write.")
    small: type[np.unsignedinteger[Any]] = np.uint8 if num_segments < 256 else np.uint16
    if masks.ndim == len(shape):
        pixels = masks.astype(small)
    else:
        pixels = np.moveaxis(masks.astype(np.uint8), 0, -1)
    if not source.frame_numbers:
        return pixels
    as_stored = np.zeros((source.num_frames, *pixels.shape[1:]), pixels.dtype)
    as_stored[np.subtract(source.frame_numbers, 1)] = pixels
    return as_stored


def _cleaned_slices(source: SourceSeries) -> list[pydicom.Dataset]:
    """Return what the object repeats or refers to; patient and study are those of the first."""
    first, *others = source.headers
    if source.frame_numbers:
        return [_cleaned(first, source)]
    return [_cleaned(first, source), *map(_placed, others)]


def _placed(header: pydicom.Dataset) -> pydicom.Dataset:
    """Return which slice this is, and where it lies."""
    return _copied(header, (*_IDENTITY, *_PLACE))


def _copied(header: pydicom.Dataset, keywords: Sequence[str]) -> pydicom.Dataset:
    clean = pydicom.Dataset()
    for keyword in keywords:
        setattr(clean, keyword, header[keyword].value)
    return clean


def _placed_frames(source: SourceSeries) -> pydicom.Dataset:
    """Return which enhanced object this is, and where its frames lie, in their own order.

    Frames of other parts of the object hold nothing, so none is written for them; here they lie
    behind the last slice, as no two may lie at one place.
    """
    clean = _copied(source.headers[0], _IDENTITY)
    clean.NumberOfFrames = source.num_frames
    matrix, spacing = source.geometry.direction_matrix, source.geometry.spacing_mm
    shared, turned, measures = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    turned.ImageOrientationPatient = _decimals((*matrix[:, 0], *matrix[:, 1]))
    measures.PixelSpacing = _decimals((spacing[1], spacing[0]))
    measures.SliceThickness = measures.SpacingBetweenSlices = _decimals(spacing[2:])[0]
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [turned], [measures]
    clean.SharedFunctionalGroupsSequence = [shared]
    groups = [pydicom.Dataset() for _ in range(source.num_frames)]
    own = dict.fromkeys(source.frame_numbers)
    others = (n for n in range(1, source.num_frames + 1) if n not in own)
    for k, number in enumerate((*own, *others)):
        place = pydicom.Dataset()
        place.ImagePositionPatient = _decimals(source.geometry.index_to_world((0, 0, k)))
        groups[number - 1].PlanePositionSequence = [place]
    clean.PerFrameFunctionalGroupsSequence = groups
    return clean


def _decimals(numbers: Iterable[float]) -> list[DSfloat]:
    return [DSfloat(float(number), auto_format=True) for number in numbers]


def _cleaned(header: pydicom.Dataset, source: SourceSeries) -> pydicom.Dataset:
    """Return the attributes of a slice that the object repeats or refers to, all well formed."""
    clean = _placed_frames(source) if source.frame_numbers else _placed(header)
    # The distance that the positions show: what scanners tell of it can be wrong.
    distance = source.geometry.spacing_mm[2]
    thickness = numbers_of(header, "SliceThickness")
    clean.SpacingBetweenSlices = DSfloat(distance, auto_format=True)
    clean.SliceThickness = DSfloat(
        thickness[0] if thickness and thickness[0] > 0 else distance, auto_format=True
    )
    clean.PositionReferenceIndicator = text_of(header, "PositionReferenceIndicator")
    for keyword in REQUIRED_PATIENT_STUDY:
        setattr(clean, keyword, _well_formed(header, keyword))
    for keyword in OPTIONAL_PATIENT_STUDY:
        value = value_of(header, keyword)
        if isinstance(value, pydicom.Sequence):
            setattr(clean, keyword, value)
        elif text := _well_formed(header, keyword):
            setattr(clean, keyword, text)
    return clean


def _well_formed(header: pydicom.Dataset, keyword: str) -> str:
    text = text_of(header, keyword)
    try:
        validate_value(dictionary_VR(keyword), text, RAISE)
    except ValueError:
        return ""
    return text


def _described(number: int, segment: ObjectSegment) -> hd.seg.SegmentDescription:
    terms = segment.terminology
    described = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.label,
        segmented_property_category=_concept(terms.category),
        segmented_property_type=_concept(terms.type),
        algorithm_type=segment.algorithm_type.value,
        algorithm_identification=_algorithm_of(segment),
        tracking_uid=segment.tracking_uid,
        tracking_id=segment.tracking_id,
        anatomic_regions=None if terms.region is None else [_concept(terms.region)],
        display_color=_color(segment),
    )
    if terms.type_modifier is not None:
        type_ = described.SegmentedPropertyTypeCodeSequence[0]
        type_.SegmentedPropertyTypeModifierCodeSequence = [_concept(terms.type_modifier)]
    if terms.region is not None and terms.region_modifier is not None:
        region = described.AnatomicRegionSequence[0]
        region.AnatomicRegionModifierSequence = [_concept(terms.region_modifier)]
    if segment.description:
        described.SegmentDescription = segment.description
    return described


def _algorithm_of(segment: ObjectSegment) -> hd.AlgorithmIdentificationSequence | None:
    made_by = segment.algorithm
    if segment.algorithm_type is AlgorithmType.MANUAL or made_by is None:
        return None
    return hd.AlgorithmIdentificationSequence(
        name=made_by.name,
        family=codes.DCM.ArtificialIntelligence,
        version=made_by.version,
        parameters=dict(made_by.parameters) or None,
    )


def _color(segment: ObjectSegment) -> hd.color.CIELabColor:
    return hd.color.CIELabColor.from_rgb(
        *(int(segment.color[start : start + 2], 16) for start in (1, 3, 5))
    )


def _concept(code: Code) -> hd.sr.CodedConcept:
    return hd.sr.CodedConcept(code.value, code.scheme, code.meaning)
