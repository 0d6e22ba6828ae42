"""A volume that did not come from DICOM as a series of single slices, marked as derived."""

import hashlib
import uuid
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    SecondaryCaptureImageStorage,
)
from pydicom.valuerep import DSfloat

from PseudoLabelCLLib import __version__
from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.geometry import FloatArray, Geometry
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import Volume
from PseudoLabelCLLib.storage.dicom.header import quiet_pydicom
from PseudoLabelCLLib.storage.dicom.source_series import (
    REQUIRED_PATIENT_STUDY,
    SourceInstances,
    SourceSeries,
)
from PseudoLabelCLLib.storage.files.atomic_files import storage_error
from PseudoLabelCLLib.storage.images.itk_files import direction_of

_MANUFACTURER = "PseudoLabelCL"
_UTF_8 = "ISO_IR 192"
# Part of what UIDs are made of: another number where the same volume would be written otherwise.
_FORMAT_VERSION = b"1"
_LAST_STORED_VALUE = 65535
_LONGEST_ID = 64
# A direction 6 degrees off an axis of the patient is told by that axis alone.
_LEAST_TOLD_SHARE = 0.1


class VolumeKind(Enum):
    """The modality given to a volume; it decides the kind of the slices."""

    MR = "MR"
    CT = "CT"
    OTHER = "OT"


# The kinds of slices: an MR or CT slice speaks of how it was acquired, and only a person can say
# that a volume is one. A capture claims nothing of it.
_CLASSES = {
    VolumeKind.MR: MRImageStorage,
    VolumeKind.CT: CTImageStorage,
    VolumeKind.OTHER: SecondaryCaptureImageStorage,
}


@dataclass(frozen=True, kw_only=True)
class PlannedSeries(SourceSeries):
    """A series that is to be written, as `SourceSeries` will find it; its folder is not known yet.

    Args:
        kind: What the volume is.
        stored: Pixels, shape (k, j, i), signed or unsigned 16 bits.
        slope: Intensity = stored * slope + intercept.
        intercept: See `slope`.
        max_error: Largest difference of an intensity from that of the volume.
    """

    kind: VolumeKind
    stored: npt.NDArray[Any]
    slope: float
    intercept: float
    max_error: float


def plan_series(
    volume: Volume,
    *,
    kind: VolumeKind,
    patient_id: str,
    description: str,
    patient_name: str = "",
) -> PlannedSeries:
    """Return the series that a volume makes; nothing is written.

    UIDs are made of voxels, grid, kind and patient ID: the same volume makes the same series again,
    so that segmentations of several exports belong to one. A left-handed grid is turned around its
    slices, as rows, columns and slices of DICOM are right-handed; every voxel stays at its place.

    Args:
        volume: The volume.
        kind: What it is; OTHER unless a person said so.
        patient_id: A pseudonym, or empty.
        description: What a list of series shows.
        patient_name: A DICOM person name, or empty.

    Raises:
        VolumeError: An intensity is not a number, or the patient ID does not fit.
    """
    if len(patient_id) > _LONGEST_ID or not patient_id.isprintable() or "\\" in patient_id:
        raise VolumeError(
            Text(
                "The patient ID {patient!r} cannot be written into a DICOM file.",
                patient=patient_id,
            ),
            Text(
                "Use at most {most} characters without a backslash.",
                most=_LONGEST_ID,
            ),
        )
    turned = _right_handed(volume)
    stored, slope, intercept = _sixteen_bits(turned.array)
    max_error = _largest_error(turned.array, stored, slope, intercept)
    digest = _digest_of(turned, kind, patient_id)
    instances = SourceInstances(
        study_uid=_uid(digest, "study"),
        series_uid=_uid(digest, "series"),
        frame_of_reference_uid=_uid(digest, "frame of reference"),
        sop_class_uid=_CLASSES[kind],
        instance_uids=tuple(_uid(digest, f"slice {k}") for k in range(len(stored))),
    )
    about = _shared_header(turned.geometry, instances, kind)
    about.PatientID, about.PatientName = patient_id, patient_name
    about.SeriesDescription = "".join(c for c in description if c.isprintable() and c != "\\")[:64]
    about.DerivationDescription = (
        f"Written by {_MANUFACTURER} {__version__} as slices of a volume that did not come as "
        f"DICOM; intensities differ by at most {max_error:.6g}."
    )
    _describe_pixels(about, stored, slope, intercept, kind)
    return PlannedSeries(
        folder=Path(),
        headers=_slice_headers(about, turned.geometry, instances),
        geometry=turned.geometry,
        instances=instances,
        kind=kind,
        stored=stored,
        slope=slope,
        intercept=intercept,
        max_error=max_error,
    )


def write_series(folder: Path, planned: PlannedSeries) -> None:
    """Write the slices of a planned series into a folder that is there.

    Raises:
        StorageError: The disk refuses.
    """
    for k, header in enumerate(planned.headers):
        path = folder / f"slice-{k + 1:04d}.dcm"
        slice_ = pydicom.Dataset()
        slice_.update(header)
        slice_.file_meta = FileMetaDataset()
        slice_.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        slice_.PixelData = np.ascontiguousarray(planned.stored[k]).tobytes()
        try:
            with quiet_pydicom():
                slice_.save_as(path, enforce_file_format=True)
        except OSError as error:
            raise storage_error(path, error) from error


def _right_handed(volume: Volume) -> Volume:
    grid = volume.geometry
    if not grid.is_left_handed:
        return volume
    x, y, z = grid.index_to_world((0, 0, grid.size[2] - 1)).tolist()
    geometry = Geometry(
        size=grid.size,
        spacing_mm=grid.spacing_mm,
        origin_mm=(x, y, z),
        direction=direction_of(grid.direction_matrix * (1.0, 1.0, -1.0)),
    )
    return Volume(volume.array[::-1], geometry)


def _sixteen_bits(array: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], float, float]:
    """Return intensities as 16 bits with slope and intercept; whole numbers as they are if able."""
    is_whole = array.dtype.kind in "iub"
    if not is_whole and not all(np.isfinite(plane).all() for plane in array):
        raise VolumeError(
            Text("The volume holds intensities that are not numbers, which DICOM cannot store."),
            Text("Replace them in another program, or export as .seg.nrrd."),
        )
    low, high = float(array.min()), float(array.max())
    if is_whole or all(np.array_equal(plane, np.round(plane)) for plane in array):
        for dtype in (np.int16, np.uint16):
            if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
                return array.astype(f"<{np.dtype(dtype).str[1:]}"), 1.0, 0.0
    # as they will stand in the file, so that the error is what a reader sees
    slope = _as_decimal((high - low) / _LAST_STORED_VALUE)
    intercept = _as_decimal(low)
    if not (np.isfinite(slope) and slope > 0):
        raise VolumeError(
            Text(
                "The intensities from {low:g} to {high:g} cannot be scaled to 16 bits.",
                low=low,
                high=high,
            ),
            Text("Rescale the volume in another program, or export as .seg.nrrd."),
        )
    stored = np.empty(array.shape, "<u2")
    for plane, kept in zip(array, stored, strict=True):  # one at a time: 8 bytes for each voxel
        steps = np.round((plane.astype(np.float64) - intercept) / slope)
        kept[...] = np.clip(steps, 0, _LAST_STORED_VALUE)
    return stored, slope, intercept


def _largest_error(
    array: npt.NDArray[Any], stored: npt.NDArray[Any], slope: float, intercept: float
) -> float:
    """Return how far an intensity lies from what a reader of the series will find."""
    planes = zip(array, stored, strict=True)
    return max(
        float(np.abs(kept.astype(np.float64) * slope + intercept - plane).max())
        for plane, kept in planes
    )


def _as_decimal(number: float) -> float:
    return float(str(DSfloat(number, auto_format=True)))


def _digest_of(volume: Volume, kind: VolumeKind, patient_id: str) -> bytes:
    digest = hashlib.sha256(_FORMAT_VERSION)
    for text in (volume.geometry, volume.array.dtype.str, kind.value, patient_id):
        digest.update(f"{text}\n".encode())
    for plane in volume.array:
        digest.update(np.ascontiguousarray(plane).data)
    return digest.digest()


def _uid(digest: bytes, name: str) -> str:
    own = hashlib.sha256(digest + name.encode()).digest()[:16]
    return f"2.25.{uuid.UUID(bytes=own, version=4).int}"


def _shared_header(
    geometry: Geometry, instances: SourceInstances, kind: VolumeKind
) -> pydicom.Dataset:
    header = pydicom.Dataset()
    header.SpecificCharacterSet = _UTF_8
    for keyword in REQUIRED_PATIENT_STUDY:
        setattr(header, keyword, "")
    header.StudyInstanceUID, header.SeriesInstanceUID = instances.study_uid, instances.series_uid
    header.SOPClassUID = instances.sop_class_uid
    header.FrameOfReferenceUID = instances.frame_of_reference_uid
    header.PositionReferenceIndicator = ""
    header.Modality, header.SeriesNumber, header.Laterality = kind.value, 1, ""
    header.Manufacturer = header.ManufacturerModelName = _MANUFACTURER
    header.SoftwareVersions = __version__
    header.ImageType = ["DERIVED", "SECONDARY", *_THIRD_OF_IMAGE_TYPE[kind]]
    for keyword, value in _OF_KIND[kind].items():
        setattr(header, keyword, value)
    matrix, spacing = geometry.direction_matrix, geometry.spacing_mm
    header.ImageOrientationPatient = [
        DSfloat(x, auto_format=True) for x in (*matrix[:, 0].tolist(), *matrix[:, 1].tolist())
    ]
    header.PatientOrientation = [_in_letters(matrix[:, 0]), _in_letters(matrix[:, 1])]
    header.PixelSpacing = [DSfloat(spacing[axis], auto_format=True) for axis in (1, 0)]
    header.SliceThickness = DSfloat(spacing[2], auto_format=True)
    if kind is not VolumeKind.CT:
        header.SpacingBetweenSlices = DSfloat(spacing[2], auto_format=True)
    header.Columns, header.Rows = geometry.size[:2]
    return header


def _in_letters(direction: FloatArray) -> str:
    """Return a direction as DICOM spells it: the nearest of left, posterior, head, ... first."""
    pairs = zip(direction.tolist(), ("LR", "PA", "HF"), strict=True)
    told = sorted((-abs(x), ends[x < 0]) for x, ends in pairs if abs(x) > _LEAST_TOLD_SHARE)
    return "".join(letter for _, letter in told)


_THIRD_OF_IMAGE_TYPE = {VolumeKind.MR: ["OTHER"], VolumeKind.CT: ["AXIAL"], VolumeKind.OTHER: []}
# What a slice of each kind must say beyond that; where nothing is known, it says so.
_OF_KIND: dict[VolumeKind, dict[str, Any]] = {
    VolumeKind.MR: {
        "ScanningSequence": "RM", "SequenceVariant": "NONE", "ScanOptions": "",
        "MRAcquisitionType": "", "EchoTime": None, "EchoTrainLength": None, "RepetitionTime": None,
        "PatientPosition": "",
    },
    VolumeKind.CT: {"KVP": None, "AcquisitionNumber": None, "PatientPosition": ""},
    VolumeKind.OTHER: {"ConversionType": "WSD"},
}  # fmt: skip


def _describe_pixels(
    header: pydicom.Dataset,
    stored: npt.NDArray[Any],
    slope: float,
    intercept: float,
    kind: VolumeKind,
) -> None:
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
    header.PixelRepresentation = 1 if stored.dtype.kind == "i" else 0
    if kind is VolumeKind.CT or (slope, intercept) != (1.0, 0.0):
        header.RescaleSlope = DSfloat(slope, auto_format=True)
        header.RescaleIntercept = DSfloat(intercept, auto_format=True)
    if kind is not VolumeKind.CT and "RescaleSlope" in header:
        header.RescaleType = "US"  # of no known unit


def _slice_headers(
    about: pydicom.Dataset, geometry: Geometry, instances: SourceInstances
) -> tuple[pydicom.Dataset, ...]:
    headers = []
    for k, uid in enumerate(instances.instance_uids):
        header = pydicom.Dataset()
        header.update(about)
        header.SOPInstanceUID, header.InstanceNumber = uid, k + 1
        position = geometry.index_to_world((0, 0, k)).tolist()
        header.ImagePositionPatient = [DSfloat(x, auto_format=True) for x in position]
        headers.append(header)
    return tuple(headers)
