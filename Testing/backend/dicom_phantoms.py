"""DICOM series made in code: any plane, any order of files, any attribute changed or missing."""

from dataclasses import dataclass

import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage

from PseudoLabelCLLib.domain.geometry import Geometry

ROOT = "1.2.826.0.1.3680043.8.498.77"
STUDY, SERIES, FRAME = f"{ROOT}.1", f"{ROOT}.2", f"{ROOT}.3"


def turned(x, y):
    """A rotation about x, then about y, in radians."""
    cx, sx, cy, sy = np.cos(x), np.sin(x), np.cos(y), np.sin(y)
    return np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]) @ np.array(
        [[1, 0, 0], [0, cx, -sx], [0, sx, cx]]
    )


def axes(i, j):
    """Directions of rows and columns, and what is across them."""
    return np.stack([np.array(i, float), np.array(j, float), np.cross(i, j)], axis=1)


PLANES = {
    "axial": axes((1, 0, 0), (0, 1, 0)),
    "sagittal": axes((0, 1, 0), (0, 0, -1)),
    "coronal": axes((1, 0, 0), (0, 0, -1)),
    "oblique": turned(0.3, 0.2),
    "flipped in-plane": axes((-1, 0, 0), (0, 1, 0)),
    "upside down": axes((1, 0, 0), (0, -1, 0)),
}


def grid(plane="axial", size=(13, 11, 6), spacing=(0.8, 0.9, 3.0), origin=(-20.0, 7.5, 30.0)):
    return Geometry(size, spacing, origin, tuple(PLANES[plane].ravel().tolist()))


@dataclass(frozen=True)
class Series:
    """A series on disk: its folder, files in the order of positions, and its voxels."""

    folder: object
    files: tuple
    geometry: Geometry
    voxels: np.ndarray


def write_series(folder, geometry=None, *, order=None, modality="MR", drop=(), **changes):
    """Write one file for each slice of a grid.

    Args:
        folder: Where to; may exist.
        geometry: The grid; an axial one by default.
        order: Which slice the first, second, ... file holds; by default as they lie.
        modality: "MR", or "CT" with signed voxels and a rescale to Hounsfield units.
        drop: Keywords of attributes to leave out.
        changes: Values of attributes by keyword, for all slices.
    """
    folder.mkdir(parents=True, exist_ok=True)
    geometry = geometry or grid()
    shape = geometry.array_shape
    low = -1024 if modality == "CT" else 0
    voxels = np.random.default_rng(5).integers(low, 2000, shape).astype(np.int16)
    files = {}
    for name, k in enumerate(order or range(shape[0])):
        header = slice_header(geometry, k, modality)
        header.PixelData = voxels[k].tobytes()
        for keyword, value in changes.items():
            setattr(header, keyword, value)
        for keyword in drop:
            delattr(header, keyword)
        files[k] = folder / f"{name:04d}.dcm"
        header.save_as(files[k], enforce_file_format=True)
    return Series(folder, tuple(files[k] for k in sorted(files)), geometry, voxels)


def slice_header(geometry, k, modality="MR"):
    """Every attribute of a slice but its pixels."""
    header = pydicom.Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID = CTImageStorage if modality == "CT" else MRImageStorage
    header.SOPInstanceUID = f"{SERIES}.{k + 1}"
    header.StudyInstanceUID, header.SeriesInstanceUID = STUDY, SERIES
    header.FrameOfReferenceUID, header.PositionReferenceIndicator = FRAME, ""
    header.PatientName, header.PatientID = "Phantom^Petra", "P-1"
    header.PatientBirthDate, header.PatientSex = "19700102", "F"
    header.StudyDate, header.StudyTime, header.StudyID = "20240506", "070809", "1"
    header.AccessionNumber, header.ReferringPhysicianName = "A1", ""
    header.SeriesNumber, header.SeriesDescription = 3, "phantom"
    header.Modality, header.InstanceNumber = modality, k + 1
    header.Manufacturer, header.ImageType = "", ["ORIGINAL", "PRIMARY", "AXIAL"]
    _place(header, geometry, k)
    _describe_pixels(header, geometry, modality)
    return header


def _place(header, geometry, k):
    matrix = geometry.direction_matrix
    position = geometry.index_to_world((0, 0, k))
    header.ImagePositionPatient = [f"{x:.10g}" for x in position]
    header.ImageOrientationPatient = [f"{x:.10g}" for x in (*matrix[:, 0], *matrix[:, 1])]
    header.PixelSpacing = [geometry.spacing_mm[1], geometry.spacing_mm[0]]
    header.SliceThickness = geometry.spacing_mm[2]


def _describe_pixels(header, geometry, modality):
    header.Columns, header.Rows = geometry.size[:2]
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
    header.PixelRepresentation = 1
    if modality == "CT":
        header.RescaleSlope, header.RescaleIntercept, header.RescaleType = 2, -100, "HU"


def changed(file, **values):
    """Change attributes of one file; None takes one out. Validity is not asked."""
    with pydicom.config.disable_value_validation():
        header = pydicom.dcmread(file)
        for keyword, value in values.items():
            if value is None:
                delattr(header, keyword)
            else:
                setattr(header, keyword, value)
        header.save_as(file)


def blobs(geometry, num_segments=3, seed=2):
    """Label values 1..n in boxes at random places; later ones lie over earlier ones."""
    rng = np.random.default_rng(seed)
    shape = geometry.array_shape
    labels = np.zeros(shape, np.int16)
    for value in range(1, num_segments + 1):
        start = [int(rng.integers(0, max(1, n // 2))) for n in shape]
        stop = [s + int(rng.integers(1, max(2, n // 2))) for s, n in zip(start, shape, strict=True)]
        labels[tuple(map(slice, start, stop))] = value
    return labels


ENHANCED = {"MR": "1.2.840.10008.5.1.4.1.1.4.1", "CT": "1.2.840.10008.5.1.4.1.1.2.1"}


def write_enhanced(folder, geometry=None, *, order=None, modality="MR", rescale=(2, -100)):
    """Write one enhanced object with a frame for each slice of a grid.

    Args:
        folder: Where to; may exist.
        geometry: The grid; an oblique one by default.
        order: Which slice the first, second, ... frame holds; by default as they lie.
        modality: "MR" or "CT".
        rescale: Slope and intercept; `voxels` of what is returned are scaled.
    """
    folder.mkdir(parents=True, exist_ok=True)
    geometry = geometry or grid("oblique")
    order = list(order or range(geometry.size[2]))
    stored = np.random.default_rng(5).integers(-500, 2000, geometry.array_shape).astype(np.int16)
    header = slice_header(geometry, 0)
    header.SOPClassUID, header.Modality = ENHANCED[modality], modality
    header.NumberOfFrames = len(order)
    shared = pydicom.Dataset()
    shared.PlaneOrientationSequence = [_moved(header, "ImageOrientationPatient")]
    shared.PixelMeasuresSequence = [_moved(header, "PixelSpacing", "SliceThickness")]
    scaling = pydicom.Dataset()
    scaling.RescaleSlope, scaling.RescaleIntercept = rescale
    scaling.RescaleType = "US"
    shared.PixelValueTransformationSequence = [scaling]
    header.SharedFunctionalGroupsSequence = [shared]
    del header.ImagePositionPatient
    groups = []
    for k in order:
        place, group = pydicom.Dataset(), pydicom.Dataset()
        position = geometry.index_to_world((0, 0, k))
        place.ImagePositionPatient = [f"{x:.10g}" for x in position]
        group.PlanePositionSequence = [place]
        groups.append(group)
    header.PerFrameFunctionalGroupsSequence = groups
    header.PixelData = stored[order].tobytes()
    file = folder / "enhanced.dcm"
    header.save_as(file, enforce_file_format=True)
    voxels = stored * rescale[0] + rescale[1]
    return Series(folder, (file,), geometry, voxels)


def _moved(header, *keywords):
    """Take attributes out of a header into an item of their own."""
    item = pydicom.Dataset()
    for keyword in keywords:
        setattr(item, keyword, header[keyword].value)
        delattr(header, keyword)
    return item
