"""DICOM slices as one stack: ordered by their positions, and refused unless they make a grid.

highdicom sorts too (`get_volume_positions`), but says of irregular slices only that they are: a
person is told here which is missing, double or moved, and by how much.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.geometry import FloatArray, Geometry
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.dicom.series_parts import (
    Part,
    SeveralPartsError,
    part_value,
    parts_told_by,
    told_apart,
)
from PseudoLabelCLLib.storage.images.itk_files import direction_of

# The one set of tolerances for reading a series, exporting to it, and verifying an object of it.
# Scanners round positions to about 0.01 mm, some programs to 0.1 mm. A twentieth of the distance
# between slices, or a tenth of a millimetre, is above that and far below a missing slice.
_GAP_TOLERANCE_FRACTION = 0.05
_ROUNDING_MM = 0.101
_MOST_TOLERATED_FRACTION = 0.25
# Within a slice, positions are repeated as they are; a twentieth of a pixel is rounding.
_IN_PLANE_TOLERANCE_PIXELS = 0.05
# Half a pixel of sideways drift over the whole stack: more is a tilted gantry, not rounding.
_DRIFT_TOLERANCE_PIXELS = 0.5
ORIENTATION_TOLERANCE = 1e-3
SPACING_TOLERANCE_FRACTION = 1e-3
_SAME_PLACE_MM = 1e-3

HeaderT = TypeVar("HeaderT")


@dataclass(frozen=True)
class PlacedSlice(Generic[HeaderT]):
    """One slice of a series and where it lies.

    Args:
        path: Its file.
        header: What was read from the file.
        position_mm: World position of the centre of its first pixel.
        row: World direction in which the columns follow each other.
        column: World direction in which the rows follow each other.
        size: Columns and rows.
        spacing_mm: Distance of pixel centres along `row` and along `column`.
        thickness_mm: The distance to the next slice as the file tells it; counts for one slice
            alone.
        attributes: What may tell it from another one at the same place, by keyword.
    """

    path: str
    header: HeaderT
    position_mm: FloatArray
    row: FloatArray
    column: FloatArray
    size: tuple[int, int]
    spacing_mm: tuple[float, float]
    thickness_mm: float = 1.0
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def normal(self) -> FloatArray:
        """The direction across the slice."""
        return np.asarray(np.cross(self.row, self.column), dtype=np.float64)


def ordered_stack(
    folder: Path, slices: Sequence[PlacedSlice[HeaderT]], part: Part | None = None
) -> list[PlacedSlice[HeaderT]]:
    """Return slices in the order of their positions along their normal.

    Args:
        folder: For messages.
        slices: Of one series.
        part: Which of several slices at one place count; None takes all.

    Raises:
        VolumeError: They differ in direction, size or spacing, lie at the same place, leave a gap,
            or are shifted sideways.
    """
    if part is not None:
        slices = _slices_of_part(folder, slices, part)
    _check_alike(folder, slices)
    normal = slices[0].normal
    ordered = sorted(slices, key=lambda s: float(s.position_mm @ normal))
    if len(ordered) > 1:
        _check_regular(folder, ordered)
    return ordered


def gap_tolerance_mm(slice_distance_mm: float) -> float:
    """Return how far a slice may lie from its place between the others.

    Args:
        slice_distance_mm: The usual distance of two slices.
    """
    rounding = max(_GAP_TOLERANCE_FRACTION * slice_distance_mm, _ROUNDING_MM)
    return min(rounding, _MOST_TOLERATED_FRACTION * slice_distance_mm)


def slices_at(places_mm: FloatArray, grid: Geometry, positions_mm: FloatArray) -> list[int | None]:
    """Return on which slice of a series each place lies, or None if on no slice.

    Slices wobble a little about the regular grid that they make; programs write a frame at the
    position of its slice or at that of the grid.

    Args:
        places_mm: World positions of first pixels, shape (places, 3); may hold infinities.
        grid: The grid of the series.
        positions_mm: Where its slices really lie, shape (slices, 3).
    """
    regular = grid.index_to_world([(0, 0, k) for k in range(grid.size[2])])
    tolerance = np.array(
        [
            *(_IN_PLANE_TOLERANCE_PIXELS * mm for mm in grid.spacing_mm[:2]),
            gap_tolerance_mm(grid.spacing_mm[2]),
        ]
    )
    found: list[int | None] = []
    for place in places_mm:
        slice_ = None
        for own in (positions_mm, regular):
            if slice_ is None and np.all(np.isfinite(place)):
                away = np.abs((place - own) @ grid.direction_matrix)
                nearest = int(away[:, 2].argmin())
                slice_ = nearest if np.all(away[nearest] <= tolerance) else None
        found.append(slice_)
    return found


def grid_of_stack(slices: Sequence[PlacedSlice[HeaderT]]) -> Geometry:
    """Return the grid that ordered slices make."""
    first, last = slices[0], slices[-1]
    slice_spacing = first.thickness_mm
    if len(slices) > 1:
        slice_spacing = float((last.position_mm - first.position_mm) @ first.normal)
        slice_spacing /= len(slices) - 1
    x, y, z = first.position_mm.tolist()
    return Geometry(
        size=(*first.size, len(slices)),
        spacing_mm=(*first.spacing_mm, slice_spacing),
        origin_mm=(x, y, z),
        direction=direction_of(np.stack([first.row, first.column, first.normal], axis=1)),
    )


def _check_alike(folder: Path, slices: Sequence[PlacedSlice[HeaderT]]) -> None:
    first = slices[0]
    for other in slices:
        turned = np.abs(np.r_[first.row - other.row, first.column - other.column]).max()
        if turned > ORIENTATION_TOLERANCE:
            found = Text(
                "point in different directions (a localiser, or a series of turned planes)"
            )
        elif first.size != other.size:
            found = Text(
                "have different sizes ({size1}, {size2})", size1=first.size, size2=other.size
            )
        elif not np.allclose(first.spacing_mm, other.spacing_mm, rtol=SPACING_TOLERANCE_FRACTION):
            found = Text("have different pixel sizes")
        else:
            continue
        raise VolumeError(
            Text(
                "The slices in '{folder}' {found}; they do not form one volume.",
                folder=folder,
                found=found,
            ),
            Text("Choose another series, or move the slices that do not belong out of the folder."),
        )


def _check_regular(folder: Path, slices: Sequence[PlacedSlice[HeaderT]]) -> None:
    heights = np.array([s.position_mm @ slices[0].normal for s in slices])
    gaps = np.diff(heights)
    typical = float(np.median(gaps))
    if gaps.min() < _SAME_PLACE_MM:
        raise _several_parts(folder, slices, heights, int(gaps.argmin()))
    worst = int(np.abs(gaps - typical).argmax())
    if abs(gaps[worst] - typical) > gap_tolerance_mm(typical):
        num_missing = round(gaps[worst] / typical) - 1
        whole = abs(gaps[worst] / typical - num_missing - 1) < _GAP_TOLERANCE_FRACTION
        reason = (
            Text("{count} missing between", count=num_missing)
            if whole
            else Text("unequally spaced at")
        )
        raise VolumeError(
            Text(
                "The slices in '{folder}' are not a regular stack: {reason} {names} "
                "({gaps:.4g} mm; elsewhere {typical:.4g} mm).",
                folder=folder,
                reason=reason,
                names=_names(slices, worst),
                gaps=gaps[worst],
                typical=typical,
            ),
            Text("Add the missing slices, or resample the series onto a regular grid first."),
        )
    drift = slices[-1].position_mm - slices[0].position_mm
    drift = drift - (drift @ slices[0].normal) * slices[0].normal
    if np.linalg.norm(drift) > _DRIFT_TOLERANCE_PIXELS * min(slices[0].spacing_mm):
        raise VolumeError(
            Text(
                "The slices in '{folder}' are shifted sideways by {distance:.3g} mm over the "
                "stack: the gantry was tilted.",
                folder=folder,
                distance=np.linalg.norm(drift),
            ),
            Text("Correct the tilt first (Slicer does so on loading; save its result as NRRD)."),
        )


def _slices_of_part(
    folder: Path, slices: Sequence[PlacedSlice[HeaderT]], part: Part
) -> list[PlacedSlice[HeaderT]]:
    name, value = part
    chosen = [one for one in slices if part_value(one.attributes, name) == value]
    if not chosen:
        found = sorted({part_value(one.attributes, name) or "none" for one in slices})
        raise VolumeError(
            Text(
                "The series in '{folder}' holds no slice with {name} {value} (found: {found}).",
                folder=folder,
                name=name,
                value=value,
                found=", ".join(found),
            ),
            Text("Choose one of these."),
        )
    return chosen


def _several_parts(
    folder: Path, slices: Sequence[PlacedSlice[HeaderT]], heights: FloatArray, index: int
) -> SeveralPartsError:
    found = Text(
        "The series in '{folder}' holds several slices at the same place ({names})",
        folder=folder,
        names=_names(slices, index),
    )
    parts = parts_told_by([one.attributes for one in slices], heights.tolist())
    if not parts:
        return SeveralPartsError(
            Text("{found}; no attribute tells them apart.", found=found),
            Text("Split the series, then choose the part that you need."),
            (),
        )
    return told_apart(found, parts)


def _names(slices: Sequence[PlacedSlice[HeaderT]], index: int) -> Text:
    first, second = (Path(one.path).name for one in slices[index : index + 2])
    return Text("'{first}' and '{second}'", first=first, second=second)
