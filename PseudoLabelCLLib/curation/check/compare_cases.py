"""Which cases are unlike the others in spacing, size or brightness, by robust statistics."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from PseudoLabelCLLib.domain.findings import Note
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.domain.volume import Volume

# A case stands out if it is both far from the others in their own spread and far in plain ratio:
# a tight group must not make a case odd that no eye would call so.
_MAX_DEVIATIONS = 3.5
_DEVIATION_OF_MAD = 1.4826
# More than this many odd cases are no outliers but a mixed collection, summed up in one sentence.
_MAX_NAMED = 4
_MAX_NAMED_FRACTION = 0.1


@dataclass(frozen=True)
class CaseFigures:
    """What is compared, each a positive number.

    Args:
        case_id: The case.
        pixel_mm: Pixel size within a slice, geometric mean of both sides.
        slice_mm: Distance between slices.
        field_of_view_mm: Edge of a slice, geometric mean of both sides.
        num_slices: Slices.
        intensity_range: From the 1st to the 99th percentile.
    """

    case_id: str
    pixel_mm: float
    slice_mm: float
    field_of_view_mm: float
    num_slices: float
    intensity_range: float


@dataclass(frozen=True)
class _Figure:
    attribute: str
    words: Text
    unit: str
    min_ratio: float


_COMPARED = (
    _Figure("pixel_mm", Text("pixel size"), " mm", 1.6),
    _Figure("slice_mm", Text("slice distance"), " mm", 1.8),
    _Figure("field_of_view_mm", Text("field of view"), " mm", 1.6),
    _Figure("num_slices", Text("number of slices"), "", 2.5),
    # Scanners differ freely in gain, and the network sees normalised intensities.
    _Figure("intensity_range", Text("intensity range"), "", 8.0),
)


def figures_of(case_id: str, volume: Volume, slicing_axis: int) -> CaseFigures:
    """Return the figures of a case.

    Args:
        case_id: The case.
        volume: Its image, finite and not constant.
        slicing_axis: 0, 1 or 2 for i, j, k.
    """
    geometry = volume.geometry
    in_plane = [axis for axis in range(3) if axis != slicing_axis]
    low, high = np.percentile(volume.array, (1, 99))
    if low == high:  # nearly all voxels alike, such as a small bright thing in a black volume
        low, high = volume.array.min(), volume.array.max()
    return CaseFigures(
        case_id=case_id,
        pixel_mm=math.sqrt(math.prod(geometry.spacing_mm[axis] for axis in in_plane)),
        slice_mm=geometry.spacing_mm[slicing_axis],
        field_of_view_mm=math.sqrt(math.prod(geometry.extent_mm[axis] for axis in in_plane)),
        num_slices=geometry.size[slicing_axis],
        intensity_range=float(high) - float(low),
    )


def unlike_others(figures: list[CaseFigures]) -> Iterator[tuple[str, Text]]:
    """Yield case and sentence for every figure that is very different from the other cases'.

    Where many cases stand out in one figure, one sentence with an empty case name tells so.
    """
    for compared in _COMPARED:
        values = np.array([getattr(figure, compared.attribute) for figure in figures])
        odd = [n for n in range(len(values)) if _stands_out(values, n, compared.min_ratio)]
        if len(odd) > max(_MAX_NAMED, _MAX_NAMED_FRACTION * len(values)):
            yield "", _mixed(compared, [figures[n].case_id for n in odd], values)
            continue
        for number in odd:
            case_id, typical = figures[number].case_id, np.median(np.delete(values, number))
            yield (
                case_id,
                Note.UNLIKE_OTHERS.say(
                    figure=compared.words,
                    case=case_id,
                    value=f"{values[number]:.3g}{compared.unit}",
                    typical=f"{typical:.3g}{compared.unit}",
                ),
            )


def _mixed(compared: _Figure, case_ids: list[str], values: npt.NDArray[np.float64]) -> Text:
    named = ", ".join(case_ids[:_MAX_NAMED])
    return Note.MIXED.say(
        figure=compared.words,
        least=f"{values.min():.3g}",
        most=f"{values.max():.3g}{compared.unit}",
        odd=len(case_ids),
        all=len(values),
        named=named,
    )


def _stands_out(values: npt.NDArray[np.float64], number: int, min_ratio: float) -> bool:
    others = np.log(np.delete(values, number))
    if not others.size:
        return False
    middle = float(np.median(others))
    deviation = _DEVIATION_OF_MAD * float(np.median(np.abs(others - middle)))
    distance = abs(math.log(values[number]) - middle)
    return distance > max(math.log(min_ratio), _MAX_DEVIATIONS * deviation)
