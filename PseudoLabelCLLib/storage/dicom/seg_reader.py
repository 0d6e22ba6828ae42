"""Reading a DICOM segmentation object by its bits and attributes, apart from what wrote it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    SegmentationStorage,
)

from PseudoLabelCLLib.domain.errors import AnnotationError
from PseudoLabelCLLib.domain.segmentation import Code, Terminology
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.dicom.header import (
    UnreadableError,
    items_of,
    numbers_of,
    reading_by_pydicom,
    text_of,
    transfer_syntax_of,
    uid_of,
    value_of,
    whole_number_of,
)
from PseudoLabelCLLib.storage.files.atomic_files import storage_error

SEGMENTATION_CLASS = str(SegmentationStorage)
# pydicom has no name for this one yet
LABEL_MAP_CLASS = "1.2.840.10008.5.1.4.1.1.66.7"
_KINDS = {LABEL_MAP_CLASS: Text("a label map segmentation")}
_READABLE_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
_DAMAGED_REMEDY = Text("Write the segmentation again, or copy the file again from where it came.")
_FOREIGN_REMEDY = Text("Save it as a binary segmentation in the program that made it.")
_MOST_FRAMES = 1_000_000
# 4 GB, of which a compressed file may speak without holding them.
_MOST_DECOMPRESSED_BYTES = 4 << 30


@dataclass(frozen=True)
class StoredSegment:
    """One item of the segment sequence, with what the file says of it; empty where it says nothing.

    Args:
        number: Segment Number.
        label: What a person calls it.
        terminology: Its codes, or None if category or type is missing.
        algorithm_type: "MANUAL", "SEMIAUTOMATIC" or "AUTOMATIC".
        algorithm_name: What made it.
        algorithm_version: Its version.
        algorithm_parameters: As one text.
        tracking_id: Name that stays the same over objects.
        tracking_uid: The same as a UID.
        description: A sentence.
        has_color: Whether a colour is recommended.
    """

    number: int
    label: str
    terminology: Terminology | None
    algorithm_type: str
    algorithm_name: str
    algorithm_version: str
    algorithm_parameters: str
    tracking_id: str
    tracking_uid: str
    description: str
    has_color: bool


@dataclass(frozen=True)
class StoredFrame:
    """One frame: a slice of one segment.

    Args:
        segment_number: Of which segment.
        position_mm: World position of the centre of its first pixel.
        orientation: Direction of its rows and columns, six numbers.
        spacing_mm: Distance of pixel centres along rows and along columns.
        source_uids: SOP Instance UIDs of the images it was made from.
        source_purposes: Codes of what those images were for.
        index_values: Its place along the dimensions of the object.
        slice_spacing_mm: Distance to the next slice as the file tells it, or None.
        source_frames: Which frames of those images, from 1; empty where it names none.
    """

    segment_number: int
    position_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing_mm: tuple[float, ...]
    source_uids: tuple[str, ...]
    source_purposes: tuple[str, ...]
    index_values: tuple[int, ...]
    slice_spacing_mm: float | None = None
    source_frames: tuple[int, ...] = ()


@dataclass(frozen=True)
class SegmentationObject:
    """A segmentation object as it stands in a file.

    Args:
        header: All attributes but the pixels.
        rows: Height of a frame.
        columns: Width of a frame.
        segments: In the order of the file.
        frames: In the order of the file.
        referenced_series: For each series that the object refers to: its UID and its instances.
        packed: The pixels: eight in a byte, first pixel lowest; of a label map as they stand.
        bits: How many a pixel has: 1, or of a label map 8 or 16.
    """

    header: pydicom.Dataset
    rows: int
    columns: int
    segments: tuple[StoredSegment, ...]
    frames: tuple[StoredFrame, ...]
    referenced_series: tuple[tuple[str, tuple[str, ...]], ...]
    packed: npt.NDArray[np.uint8]
    bits: int = 1

    @property
    def is_label_map(self) -> bool:
        """Whether a frame holds numbers of segments in place of one segment."""
        return self.bits > 1

    def numbers(self, index: int) -> npt.NDArray[np.unsignedinteger[Any]]:
        """Return a frame of a label map as numbers of segments, shape (rows, columns)."""
        num_bytes = self.rows * self.columns * self.bits // 8
        part = self.packed[index * num_bytes : (index + 1) * num_bytes]
        return part.view(f"<u{self.bits // 8}").reshape(self.rows, self.columns)

    def mask(self, index: int) -> npt.NDArray[np.bool_]:
        """Return the pixels of a frame, shape (rows, columns)."""
        num_pixels = self.rows * self.columns
        start = index * num_pixels
        part = self.packed[start // 8 : -(-(start + num_pixels) // 8)]
        bits = np.unpackbits(part, bitorder="little")[start % 8 :][:num_pixels]
        return bits.astype(np.bool_).reshape(self.rows, self.columns)


def read_segmentation_object(path: Path, *, label_maps: bool = False) -> SegmentationObject:
    """Read a binary segmentation object.

    Args:
        path: The file.
        label_maps: Whether a label map will do as well.

    Raises:
        AnnotationError: It is another kind of file, damaged, or contradicts itself.
        StorageError: The disk refuses.
    """
    header = _read(path)
    if label_maps and uid_of(header, "SOPClassUID") == LABEL_MAP_CLASS:
        _check_label_map(path, header)
    else:
        _check_kind(path, header)
    return _object_of(path, header)


def _read(path: Path) -> pydicom.Dataset:
    try:
        with reading_by_pydicom():
            return pydicom.dcmread(path)
    except InvalidDicomError as error:
        raise AnnotationError(
            Text("'{path}' is not a DICOM file; expected a DICOM segmentation.", path=path),
            Text("Choose another file."),
        ) from error
    except OSError as error:
        raise storage_error(path, error, action="read") from error
    except UnreadableError as error:
        raise _damaged(path, Text("its attributes cannot be read")) from error


def _check_kind(path: Path, header: pydicom.Dataset) -> None:
    kind = uid_of(header, "SOPClassUID")
    if kind != SEGMENTATION_CLASS:
        named = _KINDS.get(kind, Text("of the kind {kind}", kind=kind or Text("(none named)")))
        raise AnnotationError(
            Text(
                "'{path}' is {named}; expected a binary DICOM segmentation.",
                path=path,
                named=named,
            ),
            _FOREIGN_REMEDY,
        )
    type_ = text_of(header, "SegmentationType")
    if type_ == "FRACTIONAL":
        raise AnnotationError(
            Text(
                "'{path}' is a segmentation of the type FRACTIONAL: it holds a probability "
                "or a share for each voxel, so where a structure ends would be a guess.",
                path=path,
            ),
            _FOREIGN_REMEDY,
        )
    if type_ != "BINARY" or whole_number_of(header, "BitsAllocated") != 1:
        raise AnnotationError(
            Text(
                "'{path}' is a segmentation of the type {type}; expected BINARY with one "
                "bit for each voxel.",
                path=path,
                type=type_ or Text("(none named)"),
            ),
            _FOREIGN_REMEDY,
        )
    syntax = transfer_syntax_of(header)
    if syntax not in _READABLE_SYNTAXES:
        raise AnnotationError(
            Text("'{path}' is compressed ({syntax}).", path=path, syntax=syntax), _FOREIGN_REMEDY
        )


def _check_label_map(path: Path, header: pydicom.Dataset) -> None:
    bits = whole_number_of(header, "BitsAllocated")
    if bits not in (8, 16) or whole_number_of(header, "SamplesPerPixel") not in (None, 1):
        raise AnnotationError(
            Text(
                "'{path}' is a label map of {bits} bits for each voxel; expected 8 or 16.",
                path=path,
                bits=bits,
            ),
            _FOREIGN_REMEDY,
        )
    syntax = transfer_syntax_of(header)
    if syntax not in (*_READABLE_SYNTAXES, RLELossless):
        raise AnnotationError(
            Text("'{path}' is compressed ({syntax}).", path=path, syntax=syntax), _FOREIGN_REMEDY
        )


def _pixels_of(path: Path, header: pydicom.Dataset, needed: int) -> npt.NDArray[np.uint8]:
    if transfer_syntax_of(header) != RLELossless:
        stored = value_of(header, "PixelData")
        return np.frombuffer(stored if isinstance(stored, bytes) else b"", np.uint8)
    if needed > _MOST_DECOMPRESSED_BYTES:
        raise _damaged(path, Text("it speaks of {size} MB of pixels", size=needed >> 20))
    try:
        with reading_by_pydicom():
            array = np.ascontiguousarray(header.pixel_array)
    except (OSError, InvalidDicomError, UnreadableError) as error:
        raise _damaged(path, Text("its pixels cannot be unpacked")) from error
    return array.astype(array.dtype.newbyteorder("<"), copy=False).ravel().view(np.uint8)


def _object_of(path: Path, header: pydicom.Dataset) -> SegmentationObject:
    rows, columns, num_frames = (
        whole_number_of(header, keyword) or 0 for keyword in ("Rows", "Columns", "NumberOfFrames")
    )
    if min(rows, columns, num_frames) < 1 or num_frames > _MOST_FRAMES:
        raise _damaged(
            path,
            Text(
                "{count} frames of {rows} x {columns} pixels",
                count=num_frames,
                rows=rows,
                columns=columns,
            ),
        )
    bits = whole_number_of(header, "BitsAllocated") or 1
    needed = -(-rows * columns * num_frames * bits // 8)
    packed = _pixels_of(path, header, needed)
    if not needed <= len(packed) <= needed + 1:
        raise _damaged(
            path,
            Text(
                "{count} bytes of pixels where {needed} are needed",
                count=len(packed),
                needed=needed,
            ),
        )
    items = items_of(header, "PerFrameFunctionalGroupsSequence")
    if len(items) != num_frames:
        described = Text(
            "{all} frames, {count} of them described", all=num_frames, count=len(items)
        )
        raise _damaged(path, described)
    shared = next(iter(items_of(header, "SharedFunctionalGroupsSequence")), pydicom.Dataset())
    del header.PixelData
    return SegmentationObject(
        header=header,
        rows=rows,
        columns=columns,
        segments=tuple(_segment_of(item) for item in items_of(header, "SegmentSequence")),
        frames=tuple(_frame_of(item, shared) for item in items),
        referenced_series=tuple(
            (uid_of(item, "SeriesInstanceUID"), _instances_of(item))
            for item in items_of(header, "ReferencedSeriesSequence")
        ),
        packed=packed,
        bits=bits,
    )


def _segment_of(item: pydicom.Dataset) -> StoredSegment:
    made_by = _first(item, "SegmentationAlgorithmIdentificationSequence")
    return StoredSegment(
        number=whole_number_of(item, "SegmentNumber") or 0,
        label=text_of(item, "SegmentLabel"),
        terminology=_terminology_of(item),
        algorithm_type=text_of(item, "SegmentAlgorithmType"),
        algorithm_name=text_of(item, "SegmentAlgorithmName"),
        algorithm_version=text_of(made_by, "AlgorithmVersion"),
        algorithm_parameters=text_of(made_by, "AlgorithmParameters"),
        tracking_id=text_of(item, "TrackingID"),
        tracking_uid=uid_of(item, "TrackingUID"),
        description=text_of(item, "SegmentDescription"),
        has_color=len(numbers_of(item, "RecommendedDisplayCIELabValue")) == 3,
    )


def _terminology_of(item: pydicom.Dataset) -> Terminology | None:
    category = _code_of(item, "SegmentedPropertyCategoryCodeSequence")
    type_ = _code_of(item, "SegmentedPropertyTypeCodeSequence")
    if category is None or type_ is None:
        return None
    type_item = _first(item, "SegmentedPropertyTypeCodeSequence")
    region_item = _first(item, "AnatomicRegionSequence")
    return Terminology(
        category=category,
        type=type_,
        type_modifier=_code_of(type_item, "SegmentedPropertyTypeModifierCodeSequence"),
        region=_code_of(item, "AnatomicRegionSequence"),
        region_modifier=_code_of(region_item, "AnatomicRegionModifierSequence"),
    )


def _code_of(dataset: pydicom.Dataset, keyword: str) -> Code | None:
    item = _first(dataset, keyword)
    values = (text_of(item, k) for k in ("CodeValue", "LongCodeValue", "URNCodeValue"))
    value = next((text for text in values if text), "")
    if not value:
        return None
    return Code(text_of(item, "CodingSchemeDesignator"), value, text_of(item, "CodeMeaning"))


def _frame_of(item: pydicom.Dataset, shared: pydicom.Dataset) -> StoredFrame:
    measures = _first_of((item, shared), "PixelMeasuresSequence")
    sources = [
        source
        for derivation in items_of(item, "DerivationImageSequence")
        for source in items_of(derivation, "SourceImageSequence")
    ]
    purposes = [_code_of(source, "PurposeOfReferenceCodeSequence") for source in sources]
    content = _first(item, "FrameContentSequence")
    identification = _first_of((item, shared), "SegmentIdentificationSequence")
    plane = _first_of((item, shared), "PlanePositionSequence")
    orientation = _first_of((item, shared), "PlaneOrientationSequence")
    return StoredFrame(
        segment_number=whole_number_of(identification, "ReferencedSegmentNumber") or 0,
        position_mm=numbers_of(plane, "ImagePositionPatient"),
        orientation=numbers_of(orientation, "ImageOrientationPatient"),
        spacing_mm=numbers_of(measures, "PixelSpacing")[::-1],
        source_uids=tuple(uid_of(source, "ReferencedSOPInstanceUID") for source in sources),
        source_purposes=tuple(code.value for code in purposes if code is not None),
        index_values=tuple(int(n) for n in numbers_of(content, "DimensionIndexValues")),
        slice_spacing_mm=next(iter(numbers_of(measures, "SpacingBetweenSlices")), None),
        source_frames=tuple(
            int(number)
            for source in sources
            for number in numbers_of(source, "ReferencedFrameNumber")
        ),
    )


def _instances_of(item: pydicom.Dataset) -> tuple[str, ...]:
    instances = items_of(item, "ReferencedInstanceSequence")
    return tuple(uid_of(instance, "ReferencedSOPInstanceUID") for instance in instances)


def _first(dataset: pydicom.Dataset, keyword: str) -> pydicom.Dataset:
    items = items_of(dataset, keyword)
    return items[0] if items else pydicom.Dataset()


def _first_of(datasets: Sequence[pydicom.Dataset], keyword: str) -> pydicom.Dataset:
    for dataset in datasets:
        if items := items_of(dataset, keyword):
            return items[0]
    return pydicom.Dataset()


def _damaged(path: Path, found: Text) -> AnnotationError:
    return AnnotationError(
        Text(
            "The DICOM segmentation '{path}' is damaged or cut off: {found}.",
            path=path,
            found=found,
        ),
        _DAMAGED_REMEDY,
    )
