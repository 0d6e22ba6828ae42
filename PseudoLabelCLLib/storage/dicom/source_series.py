"""The DICOM series a segmentation belongs to: its instances in geometric order, all checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pydicom
from pydicom.uid import (
    CTImageStorage,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    RTDoseStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.text import NO_TEXT, Text, joined
from PseudoLabelCLLib.storage.dicom.enhanced_frames import read_frames
from PseudoLabelCLLib.storage.dicom.header import (
    items_of,
    numbers_of,
    read_dicom_header,
    series_uid_in,
    text_of,
    uid_of,
    whole_number_of,
)
from PseudoLabelCLLib.storage.dicom.mark import ENHANCED_CLASSES
from PseudoLabelCLLib.storage.dicom.series_parts import APART, Part, series_and_part
from PseudoLabelCLLib.storage.dicom.slice_stack import PlacedSlice, grid_of_stack, ordered_stack
from PseudoLabelCLLib.storage.files.atomic_files import storage_error
from PseudoLabelCLLib.storage.files.collection_pause import paused_collection

# Copied into what is made of the series, so that an archive files it under the same patient and
# study; the first nine must be present there, be it empty.
REQUIRED_PATIENT_STUDY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "ReferringPhysicianName", "StudyID", "AccessionNumber",
)  # fmt: skip
OPTIONAL_PATIENT_STUDY = (
    "IssuerOfPatientID", "StudyDescription", "PatientAge", "PatientSize", "PatientWeight",
    "PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence",
)  # fmt: skip
_UIDS = (
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID",
)  # fmt: skip
_KEYWORDS = (
    *REQUIRED_PATIENT_STUDY, *OPTIONAL_PATIENT_STUDY, *_UIDS, "SpecificCharacterSet",
    "PositionReferenceIndicator", "SeriesNumber", "SeriesDescription", "Modality", "Rows",
    "Columns", "NumberOfFrames", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "SliceThickness", "SpacingBetweenSlices", "SamplesPerPixel", "ConversionType", *APART,
)  # fmt: skip

# Single-slice images with a place in the patient.
_SLICE_CLASSES: dict[str, str] = {
    CTImageStorage: "CT",
    MRImageStorage: "MR",
    PositronEmissionTomographyImageStorage: "PET",
}
# A capture is mostly a photograph of a screen. What a workstation made of data, and what says where
# it lies, is a slice all the same.
_CAPTURE_CLASS = SecondaryCaptureImageStorage
_MADE_FROM_DATA = "WSD"
_OTHER_CLASSES: dict[str, Text] = {
    _CAPTURE_CLASS: Text("a secondary capture"),
    SegmentationStorage: Text("a segmentation"),
    RTDoseStorage: Text("a dose distribution"),
    RTStructureSetStorage: Text("a set of contours (RT structure set)"),
}
_PERPENDICULAR_TOLERANCE = 1e-3
_MOST_CODES = 64
_REMEDY = Text("Export the segmentation as .seg.nrrd or .nii.gz instead, or choose another series.")

SliceHeader: TypeAlias = PlacedSlice[pydicom.Dataset]


@dataclass(frozen=True)
class SourceInstances:
    """What a project remembers of a series: what identifies it, no patient.

    Args:
        study_uid: Study Instance UID.
        series_uid: Series Instance UID.
        frame_of_reference_uid: In which the positions count.
        sop_class_uid: Kind of the instances.
        instance_uids: SOP Instance UIDs in the order of their positions.
    """

    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    sop_class_uid: str
    instance_uids: tuple[str, ...]


@dataclass(frozen=True)
class SourceSeries:
    """A series as it lies on disk now.

    Args:
        folder: Where.
        headers: The few attributes that are needed of each slice, in the order of positions.
        geometry: The grid of the slices.
        instances: What identifies it.
        frame_numbers: Of an enhanced object, which is the one instance of its series: the frame,
            from 1, that is each slice, in the order of positions; not all frames where a part of
            them makes the stack. Empty for single slices.
        positions_mm: Where the first pixel of each slice lies, which may wobble about the grid.
    """

    folder: Path
    headers: tuple[pydicom.Dataset, ...]
    geometry: Geometry
    instances: SourceInstances
    frame_numbers: tuple[int, ...] = ()
    positions_mm: tuple[tuple[float, float, float], ...] = ()

    @property
    def num_frames(self) -> int:
        """How many frames the enhanced object has, those of other parts included."""
        told = whole_number_of(self.headers[0], "NumberOfFrames") or 0
        return max(told, *self.frame_numbers)


@paused_collection()
def read_source_series(folder: Path, series_uid: str | None = None) -> SourceSeries:
    """Read the headers of a series to which a segmentation object shall refer.

    Args:
        folder: Where the slices lie; files that are not DICOM are passed over, and damaged ones
            that are not known to belong to the chosen series.
        series_uid: Which series; needed if there are several.

    Raises:
        VolumeError: It is not a series of slices that form a regular grid, a file is damaged, or it
            lacks what a segmentation object must say.
        StorageError: The disk refuses.
    """
    uid, part = series_and_part(series_uid)
    found = _headers_in(folder, uid)
    chosen = _choose(folder, found, uid)
    for path, header in chosen:
        _check_kind(path, header)
    if any(uid_of(header, "SOPClassUID") in ENHANCED_CLASSES for _, header in chosen):
        return _enhanced_source(folder, chosen, part)
    slices = [_placed(path, header) for path, header in chosen]
    _check_one_series(folder, slices)
    ordered = ordered_stack(folder, slices, part)
    headers = tuple(s.header for s in ordered)
    return SourceSeries(
        folder,
        headers,
        grid_of_stack(ordered),
        _instances_of(headers),
        positions_mm=_positions(ordered),
    )


def _enhanced_source(
    folder: Path, chosen: Sequence[tuple[Path, pydicom.Dataset]], part: Part | None
) -> SourceSeries:
    if len(chosen) > 1:
        raise VolumeError(
            Text(
                "The series in '{folder}' is made of {count} files, enhanced (multi-frame) "
                "objects among them; expected one such object, which holds the whole "
                "volume.",
                folder=folder,
                count=len(chosen),
            ),
            Text("Move the one that you need into a folder of its own."),
        )
    path, header = chosen[0]
    frames = read_frames(path, part)
    instances = _instances_of([header])
    numbers = tuple(frame.header + 1 for frame in frames)
    return SourceSeries(
        folder, (header,), grid_of_stack(frames), instances, numbers, _positions(frames)
    )


def _positions(slices: Sequence[PlacedSlice[Any]]) -> tuple[tuple[float, float, float], ...]:
    return tuple((float(x), float(y), float(z)) for x, y, z in (s.position_mm for s in slices))


def _instances_of(headers: Sequence[pydicom.Dataset]) -> SourceInstances:
    first = headers[0]
    return SourceInstances(
        study_uid=uid_of(first, "StudyInstanceUID"),
        series_uid=uid_of(first, "SeriesInstanceUID"),
        frame_of_reference_uid=uid_of(first, "FrameOfReferenceUID"),
        sop_class_uid=uid_of(first, "SOPClassUID"),
        instance_uids=tuple(uid_of(header, "SOPInstanceUID") for header in headers),
    )


def _headers_in(folder: Path, series_uid: str | None) -> list[tuple[Path, pydicom.Dataset]]:
    if not folder.is_dir():
        raise VolumeError(
            Text("The folder '{folder}' was not found.", folder=folder), Text("Check the path.")
        )
    try:
        files = sorted(p for p in folder.iterdir() if p.is_file() and p.name[0] != ".")
    except OSError as error:
        raise storage_error(folder, error, action="read") from error
    read = ((file, _header_of(file, series_uid)) for file in files if file.name != "DICOMDIR")
    return [(file, header) for file, header in read if header is not None]


def _header_of(file: Path, series_uid: str | None) -> pydicom.Dataset | None:
    try:
        return read_dicom_header(file, _KEYWORDS)
    except VolumeError:
        if series_uid is None or series_uid_in(file) == series_uid:
            raise
        return None


def _choose(
    folder: Path, found: list[tuple[Path, pydicom.Dataset]], series_uid: str | None
) -> list[tuple[Path, pydicom.Dataset]]:
    if not found:
        raise VolumeError(
            Text("The folder '{folder}' holds no DICOM slices.", folder=folder),
            Text("Give the folder that holds the slices themselves."),
        )
    uids = sorted({uid_of(header, "SeriesInstanceUID") for _, header in found})
    if series_uid is None and len(uids) > 1:
        listed = joined(*(uid or Text("(no UID)") for uid in uids[:8]), by=", ")
        raise VolumeError(
            Text(
                "The folder '{folder}' holds {count} series: {listed}.",
                folder=folder,
                count=len(uids),
                listed=listed,
            ),
            Text("Choose one of them by its UID, or move the others away."),
        )
    wanted = uids[0] if series_uid is None else series_uid
    if not wanted or wanted not in uids:
        raise VolumeError(
            Text(
                "The folder '{folder}' does not hold the series {wanted}.",
                folder=folder,
                wanted=wanted or Text("(no UID)"),
            ),
            Text("Give the folder in which the series lies now."),
        )
    return [item for item in found if uid_of(item[1], "SeriesInstanceUID") == wanted]


def _check_kind(path: Path, header: pydicom.Dataset) -> None:
    kind = uid_of(header, "SOPClassUID")
    num_frames = whole_number_of(header, "NumberOfFrames")
    found = NO_TEXT
    is_made_slice = kind == _CAPTURE_CLASS and text_of(header, "ConversionType") == _MADE_FROM_DATA
    is_enhanced = kind in ENHANCED_CLASSES
    if kind not in _SLICE_CLASSES and not is_made_slice and not is_enhanced:
        found = _OTHER_CLASSES.get(
            kind, Text("of the kind {kind}", kind=kind or Text("(none named)"))
        )
    elif num_frames not in (None, 1) and not is_enhanced:
        found = Text("a file of {count} frames", count=num_frames)
    elif whole_number_of(header, "SamplesPerPixel") not in (None, 1):
        found = Text("a colour image")
    if found:
        raise VolumeError(
            Text(
                "'{path}' is {found}; a DICOM segmentation is written for CT, MR and PET series.",
                path=path,
                found=found,
            ),
            _REMEDY,
        )
    for keyword in _UIDS:
        if not uid_of(header, keyword):
            raise VolumeError(
                Text(
                    "'{path}' has no valid {attribute}, which a DICOM segmentation must repeat.",
                    path=path,
                    attribute=_in_words(keyword),
                ),
                _REMEDY,
            )
    if len(items_of(header, "DeidentificationMethodCodeSequence")) > _MOST_CODES:
        raise VolumeError(
            Text("'{path}' holds an impossibly long list of codes.", path=path), _REMEDY
        )


def _placed(path: Path, header: pydicom.Dataset) -> SliceHeader:
    position, orientation = (
        np.array(numbers_of(header, keyword))
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient")
    )
    spacing = numbers_of(header, "PixelSpacing")
    rows, columns = (whole_number_of(header, keyword) for keyword in ("Rows", "Columns"))
    if len(position) != 3 or len(orientation) != 6 or len(spacing) != 2 or not (rows and columns):
        raise VolumeError(
            Text(
                "'{path}' does not say where its pixels lie (position, orientation, pixel "
                "spacing, rows and columns).",
                path=path,
            ),
            _REMEDY,
        )
    row, column = orientation[:3], orientation[3:]
    products = np.array([row @ row - 1, column @ column - 1, row @ column])
    if np.abs(products).max() > _PERPENDICULAR_TOLERANCE or min(spacing) <= 0:
        raise VolumeError(
            Text(
                "'{path}' contradicts itself: its rows and columns (directions {directions}, "
                "spacing {spacing} mm) make no rectangular grid.",
                path=path,
                directions=orientation.tolist(),
                spacing=list(spacing),
            ),
            _REMEDY,
        )
    thickness = (numbers_of(header, k) for k in ("SpacingBetweenSlices", "SliceThickness"))
    told = [t[0] for t in thickness if len(t) == 1 and t[0] > 0]
    return PlacedSlice(
        path=str(path),
        header=header,
        position_mm=position,
        row=row,
        column=column,
        size=(columns, rows),
        spacing_mm=(spacing[1], spacing[0]),
        thickness_mm=told[0] if told else 1.0,
        attributes={name: text_of(header, name) for name in APART},
    )


def _check_one_series(folder: Path, slices: Sequence[SliceHeader]) -> None:
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "SOPClassUID", "PatientID"):
        values = sorted({text_of(s.header, keyword) for s in slices})
        if len(values) > 1:
            raise VolumeError(
                Text(
                    "The slices in '{folder}' contradict each other: they name {count} "
                    "different values as {attribute}.",
                    folder=folder,
                    count=len(values),
                    attribute=_in_words(keyword),
                ),
                Text("Move the slices that do not belong out of the folder."),
            )
    uids = [uid_of(s.header, "SOPInstanceUID") for s in slices]
    twice = next((uid for uid in uids if uids.count(uid) > 1), None)
    if twice is not None:
        names = [Path(s.path).name for s, uid in zip(slices, uids, strict=True) if uid == twice]
        raise VolumeError(
            Text(
                "In '{folder}' several files call themselves the same slice ({names}: SOP "
                "Instance UID {twice}).",
                folder=folder,
                names=", ".join(names[:4]),
                twice=twice,
            ),
            Text("Move the copies out of the folder."),
        )


_WORDS = {
    "SOPClassUID": "SOP Class UID",
    "SOPInstanceUID": "SOP Instance UID",
    "SeriesInstanceUID": "Series Instance UID",
    "StudyInstanceUID": "Study Instance UID",
    "FrameOfReferenceUID": "Frame of Reference UID",
    "PatientID": "Patient ID",
}


def _in_words(keyword: str) -> str:
    return _WORDS[keyword]
