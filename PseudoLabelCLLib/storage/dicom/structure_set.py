"""A DICOM structure set (RTSTRUCT) as labels: contours filled on the slices of an image."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import RTStructureSetStorage

from PseudoLabelCLLib.domain.errors import AnnotationError
from PseudoLabelCLLib.domain.findings import Note
from PseudoLabelCLLib.domain.geometry import NUM_AXES, FloatArray, Geometry
from PseudoLabelCLLib.domain.question import Asking
from PseudoLabelCLLib.domain.question_kinds import QuestionKind
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.text import Text, counted
from PseudoLabelCLLib.domain.volume import LabelVolume, array_axis
from PseudoLabelCLLib.storage.dicom.header import (
    UnreadableError,
    items_of,
    numbers_of,
    quiet_pydicom,
    reading_by_pydicom,
    text_of,
    uid_of,
    whole_number_of,
)
from PseudoLabelCLLib.storage.files.atomic_files import storage_error
from PseudoLabelCLLib.storage.segments.segment_matching import match_segments, settle_overlaps
from PseudoLabelCLLib.storage.segments.slicer_segments import Segment, schema_of

STRUCTURE_SET_CLASS = str(RTStructureSetStorage)
_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
# A contour belongs to a slice if it lies this near to its middle; between two, it is another grid.
_OFF_SLICE = 0.25
_REMEDY = Text(
    "Open it in Slicer (SlicerRT) with its image, convert it to a binary labelmap, and "
    "save the segmentation as .seg.nrrd."
)

Mask: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Structure:
    """One region of interest.

    Args:
        number: ROI Number.
        name: ROI Name.
        contours: World positions in mm of the closed contours, each of shape (points, 3).
        num_open: How many of its contours are not closed.
    """

    number: int
    name: str
    contours: tuple[FloatArray, ...]
    num_open: int


@dataclass(frozen=True)
class StructureSet:
    """What a file holds.

    Args:
        structures: In the order of the file.
        frames: Its frames of reference.
        series_uids: The series that it refers to.
    """

    structures: tuple[Structure, ...]
    frames: tuple[str, ...]
    series_uids: tuple[str, ...]

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The structures as segments, which are known by their names."""
        return tuple(
            Segment("", one.name, place, 0) for place, one in enumerate(self.structures, start=1)
        )


def is_structure_set(path: Path) -> bool:
    """Return whether a file is a DICOM structure set; an unreadable one is not."""
    try:
        with reading_by_pydicom():
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"])
    except (OSError, InvalidDicomError, UnreadableError):
        return False
    return uid_of(header, "SOPClassUID") == STRUCTURE_SET_CLASS


def read_structure_set(path: Path) -> StructureSet:
    """Read a structure set.

    Raises:
        AnnotationError: It is damaged.
        StorageError: The disk refuses.
    """
    try:
        with reading_by_pydicom():
            header = pydicom.dcmread(path)
    except OSError as error:
        raise storage_error(path, error, action="read") from error
    except (InvalidDicomError, UnreadableError) as error:
        raise _damaged(path) from error
    with quiet_pydicom():
        return _structure_set_of(path, header)


def read_structures_as_labels(
    path: Path, schema: LabelSchema | None, near: Geometry | None, asking: Asking | None
) -> tuple[LabelVolume, LabelSchema, tuple[Text, ...]]:
    """Fill the contours of a structure set on the slices of an image.

    A voxel belongs to a structure if its centre lies inside; of contours inside each other, the
    inner one is a hole.

    Args:
        path: The file.
        schema: The labels of the project; None takes the structures of the file.
        near: The grid of the image.
        asking: Asks the person about what could be wrong, or None.

    Returns:
        The labels on the grid of the image, their schema, and what a person should know.

    Raises:
        AnnotationError: It is damaged, fits no label, or was drawn on other slices.
        QuestionError: A person has to say what is meant.
        StorageError: The disk refuses.
    """
    found = read_structure_set(path)
    if near is None:
        raise AnnotationError(
            Text(
                "'{file}' is a structure set, which holds contours and no grid.",
                file=path.name,
            ),
            Text("Give it together with the image that it was drawn on."),
        )
    segments = found.segments
    drawn = tuple(s for s in segments if found.structures[s.label_value - 1].contours)
    used = schema or schema_of(drawn or segments)
    # how many voxels contours enclose is counted for those that count
    matched, notices, used = match_segments(
        path.name, segments, dict.fromkeys(drawn, 0), used, asking
    )
    masks, outside = dict[int, Mask](), 0
    for label in used:
        if label.value in matched:
            own = found.structures[matched[label.value].label_value - 1]
            masks[label.value], beyond = _mask_of(path, own, near)
            outside += beyond
    array, told = _painted(path, masks, near, used, asking)
    notices += told
    notices += _outside(path, outside, asking)
    return LabelVolume(array, near), used, tuple(notices)


def _painted(
    path: Path, masks: dict[int, Mask], grid: Geometry, schema: LabelSchema, asking: Asking | None
) -> tuple[npt.NDArray[np.int16], list[Text]]:
    """Return structures painted over each other in the order that counts, and what overlaps."""
    names = {label.value: label.name for label in schema}
    pairs = list(combinations(masks, 2))
    counts = {pair: int(np.count_nonzero(masks[pair[0]] & masks[pair[1]])) for pair in pairs}
    overlaps = {(names[a], names[b]): count for (a, b), count in counts.items() if count}
    later_wins, told = settle_overlaps(path.name, overlaps, asking)
    array = np.zeros(grid.array_shape, np.int16)
    for value in masks if later_wins else reversed(masks):
        array[masks[value]] = value
    return array, told


def _structure_set_of(path: Path, header: pydicom.Dataset) -> StructureSet:
    contours = {
        whole_number_of(item, "ReferencedROINumber"): items_of(item, "ContourSequence")
        for item in items_of(header, "ROIContourSequence")
    }
    structures = []
    for item in items_of(header, "StructureSetROISequence"):
        number = whole_number_of(item, "ROINumber") or 0
        own = contours.get(number, ())
        closed = [one for one in own if text_of(one, "ContourGeometricType") in _CLOSED]
        kinds = [text_of(one, "ContourGeometricType") for one in own]
        structures.append(
            Structure(
                number,
                text_of(item, "ROIName") or f"structure {number}",
                tuple(points for one in closed if len(points := _points_of(path, one)) > 2),
                sum(kind.startswith("OPEN") for kind in kinds),
            )
        )
    references = items_of(header, "ReferencedFrameOfReferenceSequence")
    frames = [uid_of(item, "FrameOfReferenceUID") for item in (header, *references)]
    return StructureSet(
        tuple(structures),
        tuple(dict.fromkeys(frame for frame in frames if frame)),
        tuple(
            uid_of(series, "SeriesInstanceUID")
            for item in references
            for study in items_of(item, "RTReferencedStudySequence")
            for series in items_of(study, "RTReferencedSeriesSequence")
        ),
    )


def _points_of(path: Path, contour: pydicom.Dataset) -> FloatArray:
    numbers = np.array(numbers_of(contour, "ContourData"))
    if numbers.size % NUM_AXES:
        raise _damaged(path)
    return numbers.reshape(-1, NUM_AXES)


def _mask_of(path: Path, structure: Structure, grid: Geometry) -> tuple[Mask, int]:
    """Return the voxels of a structure, (k, j, i), and how many contours lie outside the grid."""
    if structure.num_open:
        raise AnnotationError(
            counted(
                structure.num_open,
                "In '{file}', {count} contour of '{structure}' is not closed and encloses no "
                "voxel.",
                "In '{file}', {count} contours of '{structure}' are not closed and enclose no "
                "voxel.",
                file=path.name,
                structure=structure.name,
            ),
            _REMEDY,
        )
    mask, outside = np.zeros(grid.array_shape, np.bool_), 0
    for points in structure.contours:
        index = grid.world_to_index(points)
        axis = int(np.ptp(index, axis=0).argmin())
        place = float(index[:, axis].mean())
        number = round(place)
        if np.abs(index[:, axis] - number).max() > _OFF_SLICE:
            raise AnnotationError(
                Text(
                    "The contours of '{structure}' in '{file}' were drawn on other slices "
                    "than those of the image: one lies {place:.2f} of a slice away.",
                    structure=structure.name,
                    file=path.name,
                    place=abs(place - number),
                ),
                _REMEDY,
            )
        if not 0 <= number < grid.size[axis]:
            outside += 1
            continue
        plane = np.moveaxis(mask, array_axis(axis), 0)[number]
        row, column = (a for a in range(NUM_AXES - 1, -1, -1) if a != axis)
        plane ^= _inside(index[:, column], index[:, row], plane.shape)
    return mask, outside


def _inside(x: FloatArray, y: FloatArray, shape: tuple[int, ...]) -> Mask:
    """Return the pixels whose centres lie inside a polygon, shape (rows, columns).

    Args:
        x: Its corners along the rows of pixels, in pixels.
        y: The same across them.
        shape: Of the plane.
    """
    inside = np.zeros(shape, np.bool_)
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    centres = np.arange(shape[1])
    first, last = max(0, int(np.ceil(y.min()))), min(shape[0] - 1, int(np.floor(y.max())))
    for row in range(first, last + 1):
        crossed = (y <= row) != (next_y <= row)
        share = (row - y[crossed]) / (next_y[crossed] - y[crossed])
        crossings = np.sort(x[crossed] + share * (next_x[crossed] - x[crossed]))
        inside[row] = np.searchsorted(crossings, centres, side="right") % 2 == 1
    return inside


def _outside(path: Path, outside: int, asking: Asking | None) -> Iterator[Text]:
    if outside:
        found = counted(
            outside,
            "In '{file}', {count} contour lies outside the image",
            "In '{file}', {count} contours lie outside the image",
            file=path.name,
        )
        if asking is not None:
            asking.ask(QuestionKind.OUTSIDE, Text("{found}.", found=found))
        yield Note.LOST.say(found=found, verb=Text("were"))


def _damaged(path: Path) -> AnnotationError:
    return AnnotationError(
        Text("The structure set '{path}' is damaged: its attributes cannot be read.", path=path),
        Text("Export it again from where it was made."),
    )
