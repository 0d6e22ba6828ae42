"""Pictures of a case for the report: slices in grey with contours, as inline SVG."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

from PseudoLabelCLLib.domain.review import Verdict
from PseudoLabelCLLib.domain.segmentation import BACKGROUND_VALUE, LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume, array_axis
from PseudoLabelCLLib.pipeline.report.picture_elements import (
    grey_data_uri,
    intensity_window,
    path_data,
    surroundings,
    to_grey,
    trace_contours,
)

AnyArray = npt.NDArray[Any]

# As many as stand in one row of a wide page.
MAX_SLICES = 10
_AXIS_NAMES = "ijk"
_DIRECTION_NAMES = (("left", "right"), ("posterior", "anterior"), ("superior", "inferior"))
# To the right and downwards in radiological pictures, whichever plane they show.
_USUAL_DIRECTIONS = ("left", "posterior", "inferior")


@dataclass(frozen=True)
class CaseFigure:
    """A case with its proposed segmentation, as the report shows it.

    Args:
        case_id: Name of the case.
        volume: The image.
        proposal: The pseudo-label on the image's grid.
        slicing_axis: 0, 1 or 2 for i, j, k; every position along it is one picture.
        reference: A segmentation to compare with, on the same grid, or None.
        doubt: 0 (sure) .. 1 (doubtful), or None if not known.
        doubt_per_slice: The same for every position along the slicing axis, or empty.
        reason: Why a person should look at this case, in one sentence.
        verdict: What a person decided, or None before the review.
        is_for_review: Whether a person is to judge the proposal; a validation case is not.

    Raises:
        ValueError: The grids or the number of slices differ, or a doubt is outside 0..1.
    """

    case_id: str
    volume: Volume
    proposal: LabelVolume
    slicing_axis: int
    reference: LabelVolume | None = None
    doubt: float | None = None
    doubt_per_slice: tuple[float, ...] = ()
    reason: str = ""
    verdict: Verdict | None = None
    is_for_review: bool = True

    def __post_init__(self) -> None:
        for other in (self.proposal, self.reference):
            if other is not None and not other.geometry.is_close_to(self.volume.geometry):
                raise ValueError(
                    f"expected segmentations on the grid {self.volume.geometry.describe()}, "
                    f"got {other.geometry.describe()} for case {self.case_id!r}"
                )
        num_slices = self.volume.geometry.size[self.slicing_axis]
        if len(self.doubt_per_slice) not in (0, num_slices):
            raise ValueError(
                f"expected a doubt for each of {num_slices} slices of case {self.case_id!r}, "
                f"got {len(self.doubt_per_slice)}"
            )
        doubts = [*self.doubt_per_slice, *([] if self.doubt is None else [self.doubt])]
        if not all(0 <= doubt <= 1 for doubt in doubts):
            raise ValueError(f"expected doubts in 0..1 for case {self.case_id!r}, got {doubts!r}")

    @property
    def most_doubtful_slice(self) -> int | None:
        """Position along the slicing axis with the largest doubt, the first if several."""
        return int(np.argmax(self.doubt_per_slice)) if self.doubt_per_slice else None

    @property
    def slice_axis_name(self) -> str:
        """Letter of the slicing axis."""
        return _AXIS_NAMES[self.slicing_axis]

    def slice_name(self, index: int) -> str:
        """Return what a person calls a slice who sees it in 3D Slicer, as "k = 4"."""
        return self.volume.geometry.slice_name(self.slicing_axis, index)

    @property
    def in_plane_axes(self) -> tuple[int, int]:
        """Grid axes (0 = i, 1 = j, 2 = k) of a picture's rows and columns."""
        rows, columns = (axis for axis in (2, 1, 0) if axis != self.slicing_axis)
        return rows, columns

    def slices(self, array: AnyArray) -> AnyArray:
        """Return an array of this grid as slices, turned the way a radiologist looks at them.

        Args:
            array: Shape (k, j, i).

        Returns:
            Shape (slices, rows, columns), a view.
        """
        first = np.moveaxis(array, array_axis(self.slicing_axis), 0)  # (slices, rows, columns)
        rows, columns = (slice(None, None, self._sign(axis)) for axis in self.in_plane_axes)
        return first[:, rows, columns]

    def describe_axes(self) -> str:
        """Tell which way the slices, rows and columns of the pictures run in the patient."""
        rows, columns = self.in_plane_axes
        right, down = self._describe_axis(columns), self._describe_axis(rows)
        return f"Slices along {self.slice_axis_name}. Right in the picture: {right}, down: {down}."

    def _describe_axis(self, axis: int) -> str:
        sign = self._sign(axis)
        return f"{self._direction_name(axis, sign)} ({'-' if sign < 0 else '+'}{_AXIS_NAMES[axis]})"

    def _sign(self, axis: int) -> int:
        """Return -1 if the axis runs against the direction that pictures usually have."""
        return 1 if self._direction_name(axis, 1) in _USUAL_DIRECTIONS else -1

    def _direction_name(self, axis: int, sign: int) -> str:
        world = sign * self.volume.geometry.direction_matrix[:, axis]
        widest = int(np.argmax(np.abs(world)))
        return _DIRECTION_NAMES[widest][0 if world[widest] > 0 else 1]


@dataclass(frozen=True)
class SlicePicture:
    """One slice as an inline SVG: the image as a data URI, contours as paths.

    Args:
        index: Position along the slicing axis.
        name: What a person calls it, as "k = 4".
        svg: The picture; paths have the classes `proposal` or `reference`, and `label-<value>`.
        doubt: 0..1, or None if not known.
        is_most_doubtful: Whether no slice of the case is more doubtful.
    """

    index: int
    name: str
    svg: Markup
    doubt: float | None
    is_most_doubtful: bool


def draw_slices(
    figure: CaseFigure, schema: LabelSchema, max_slices: int = MAX_SLICES
) -> tuple[SlicePicture, ...]:
    """Return pictures of the slices around the segmentation, cropped to its surroundings.

    The most doubtful slice is always among them; without any segmentation whole slices are shown.
    """
    image = figure.slices(figure.volume.array)
    segmentations = [figure.slices(figure.proposal.array)]
    if figure.reference is not None:
        segmentations.append(figure.slices(figure.reference.array))
    filled = np.any([s != BACKGROUND_VALUE for s in segmentations], axis=0)
    spacing_mm = figure.volume.geometry.spacing_mm
    rows, columns = figure.in_plane_axes
    pixel_size_mm = (spacing_mm[rows], spacing_mm[columns])
    box = surroundings(filled.any(axis=0), pixel_size_mm)
    low, high = intensity_window(image)
    pictures = []
    for index in _choose_slices(filled.any(axis=(1, 2)), figure.most_doubtful_slice, max_slices):
        grey = to_grey(image[index][box], low, high)
        contours = _contour_paths([s[index][box] for s in segmentations], schema)
        label = f"{figure.case_id}, slice {figure.slice_name(index)}"
        pictures.append(
            SlicePicture(
                index=index,
                name=figure.slice_name(index),
                svg=_slice_svg(grey, contours, pixel_size_mm, label),
                doubt=figure.doubt_per_slice[index] if figure.doubt_per_slice else None,
                is_most_doubtful=index == figure.most_doubtful_slice,
            )
        )
    return tuple(pictures)


def _choose_slices(filled: npt.NDArray[np.bool_], always: int | None, num: int) -> list[int]:
    shown = np.flatnonzero(filled) if filled.any() else np.arange(len(filled))
    first, last = max(int(shown[0]) - 1, 0), min(int(shown[-1]) + 1, len(filled) - 1)
    if always is not None:
        first, last = min(first, always), max(last, always)
    chosen = sorted({int(n) for n in np.linspace(first, last, num).round()})
    if always is not None and always not in chosen:
        nearest = min(chosen, key=lambda index: abs(index - always))
        chosen[chosen.index(nearest)] = always
    return chosen


def _contour_paths(segmentations: list[AnyArray], schema: LabelSchema) -> str:
    paths = []
    for kind, segmentation in zip(("proposal", "reference"), segmentations, strict=False):
        for label in schema:
            outlines = trace_contours(segmentation == label.value)
            if outlines:
                data = path_data(outlines)
                paths.append(f'<path class="{kind} label-{label.value}" d="{data}"/>')
    return "".join(paths)


def _slice_svg(
    grey: npt.NDArray[np.uint8], contours: str, pixel_size_mm: tuple[float, float], label: str
) -> Markup:
    num_rows, num_columns = grey.shape
    height_mm, width_mm = num_rows * pixel_size_mm[0], num_columns * pixel_size_mm[1]
    size = f'width="{width_mm:.4g}" height="{height_mm:.4g}"'
    # Contours come in half pixels.
    scale = f"scale({pixel_size_mm[1] / 2:.6g} {pixel_size_mm[0] / 2:.6g})"
    return Markup(
        f'<svg viewBox="0 0 {width_mm:.4g} {height_mm:.4g}" role="img" '
        f'aria-label="{escape(label)}">'
        f'<image href="{grey_data_uri(grey)}" {size} preserveAspectRatio="none"/>'
        f'<g transform="{scale}">{contours}</g></svg>'
    )
