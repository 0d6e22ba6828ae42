"""Which volumes have their slices in the other order, such as base to apex among apex to base."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from PseudoLabelCLLib.domain.geometry import DIRECTION_TOLERANCE, Geometry

FloatArray = npt.NDArray[np.float64]

# Slicing directions further apart than this (60 degrees) cannot be called the same or opposite.
_SAME_AXIS_COSINE = 0.5
# A volume's profile must fit the others' this much better from one end than from the other. Among
# cardiac volumes in one order, some of them reversed by hand, this finds four of five of the
# reversed and turns no other; with 0.6 one in a hundred is turned wrongly.
_CLEAR_MARGIN = 0.8
_PROFILE_LENGTH = 16
_FEWEST_SLICES = 4
_NUM_FEATURES = 4


@dataclass(frozen=True)
class SlicedVolume:
    """A volume whose order of slices is asked for.

    Args:
        case_id: Its name.
        geometry: Its grid.
        slicing_axis: 0, 1 or 2 for i, j, k.
        profile: How its contents go from the first slice to the last, of `profile_of`.
    """

    case_id: str
    geometry: Geometry
    slicing_axis: int
    profile: FloatArray


@dataclass(frozen=True)
class SliceOrder:
    """Which volumes may run the other way although their headers do not say so.

    Args:
        reversed_content: Those whose content clearly runs the other way than in most, with headers
            that cannot tell: nominal ones, as in files that have lost their orientation, or ones
            of another direction.
        doubtful: Those whose content may, with a header that is taken at its word.
    """

    reversed_content: tuple[str, ...]
    doubtful: tuple[str, ...]


def against_most(volumes: Sequence[tuple[str, Geometry, int]]) -> tuple[str, ...]:
    """Return the volumes whose slices run against those of most, as their direction cosines tell.

    Args:
        volumes: Each with its name, its grid, and along which axis it is cut.
    """
    if len(volumes) < 2:
        return ()
    signs = _header_signs([(geometry, axis) for _, geometry, axis in volumes])
    return tuple(name for (name, _, _), sign in zip(volumes, signs, strict=True) if sign < 0)


def find_slice_order(volumes: Sequence[SlicedVolume]) -> SliceOrder:
    """Tell where the contents of volumes, without any label, speak against their headers.

    Volumes whose headers run against most are taken the other way round first. Then the contents:
    how some features go from the first slice to the last is compared with their mean course in the
    other volumes, forwards and backwards. Where backwards fits clearly better, the header is
    wrong, or lost: a nominal one (axes along the world's) can be, an oblique one is taken at its
    word and the volume called doubtful. So is one whose content fits better backwards, but not
    clearly.

    Limits: it is a vote of the volumes, so with two of them the first decides. Contents tell
    nothing where volumes look alike from both ends, and mislead where volumes cover different
    ranges of the body; so a person is asked.
    """
    if len(volumes) < 2:
        return SliceOrder((), ())
    by_header = _header_signs([(one.geometry, one.slicing_axis) for one in volumes])
    by_content, is_clear = _content_signs(volumes, np.where(by_header == 0, 1.0, by_header))
    asked, doubtful = [], []
    for volume, header, content, clear in zip(
        volumes, by_header, by_content, is_clear, strict=True
    ):
        if content * (header or 1.0) >= 0 and header != 0:
            continue
        cannot_tell = header == 0 or _is_nominal(volume.geometry)
        if clear and cannot_tell and content * (header or 1.0) < 0:
            asked.append(volume.case_id)
        elif not (clear and header == 0):
            doubtful.append(volume.case_id)
    return SliceOrder(tuple(asked), tuple(doubtful))


def _header_signs(volumes: Sequence[tuple[Geometry, int]]) -> FloatArray:
    """Return 1 for the direction of most volumes, -1 against it, 0 for another axis."""
    directions = np.array([geometry.direction_matrix[:, axis] for geometry, axis in volumes])
    common = np.linalg.svd(directions, full_matrices=False)[2][0]
    cosines = directions @ common
    signs = np.where(np.abs(cosines) < _SAME_AXIS_COSINE, 0.0, np.sign(cosines))
    return _as_most(signs)


def _as_most(signs: FloatArray) -> FloatArray:
    """Return the signs, all reversed if most are negative, or half of them and the first is."""
    decided = signs[signs != 0]
    balance = decided.sum() or decided[:1].sum()
    return -signs if balance < 0 else signs


def _content_signs(
    volumes: Sequence[SlicedVolume], start: FloatArray
) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Return each volume's order by its content (0: it does not tell), and whether it is clear.

    The orders are those under which the profiles' uneven parts agree best (leading eigenvector of
    their products); as a whole they are taken so that they agree with `start` as far as possible.
    """
    nothing = np.zeros(len(volumes)), np.zeros(len(volumes), dtype=np.bool_)
    profiles = np.array([volume.profile for volume in volumes])  # (volumes, features, 16)
    uneven = (profiles - profiles[:, :, ::-1]).reshape(len(volumes), -1) / 2
    values, vectors = np.linalg.eigh(uneven @ uneven.T)
    if values[-1] <= 0:
        return nothing
    signs = np.where(vectors[:, -1] < 0, -1.0, 1.0)
    if (signs * start).sum() < 0 or ((signs * start).sum() == 0 and signs[0] != start[0]):
        signs = -signs
    margins = np.array([_margin(profiles, signs, number) for number in range(len(volumes))])
    if np.median(margins) < _CLEAR_MARGIN:
        return nothing
    return np.where(margins > 0, signs, 0.0), margins >= _CLEAR_MARGIN


def _margin(profiles: FloatArray, signs: FloatArray, number: int) -> float:
    """Return how much better a profile fits the mean of the others in its order than reversed."""
    ordered = np.where(signs[:, None, None] < 0, profiles[:, :, ::-1], profiles)
    others = np.delete(ordered, number, axis=0).mean(axis=0)
    own = ordered[number]
    return _correlation(own, others) - _correlation(own[:, ::-1], others)


def _correlation(one: FloatArray, other: FloatArray) -> float:
    product = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float((one * other).sum()) / product if product else 0.0


def profile_of(images: npt.NDArray[Any]) -> FloatArray:
    """Return how a volume goes from end to end: features by 16 places, each standardised.

    Args:
        images: The slices, shape (slices, rows, columns).

    Each slice's middle (half its height and width) is standardised first, since coil and contrast
    change brightness along a volume in ways that differ between patients. The features are how much
    it differs from its neighbours, how much of it is coarse, how much is edges, and how bright the
    very middle is.
    """
    num_slices, rows, columns = images.shape
    if num_slices < _FEWEST_SLICES:
        return np.zeros((_NUM_FEATURES, _PROFILE_LENGTH))
    slices = images.astype(np.float64)
    middle = _standardised(_middle(slices), (1, 2))
    change = np.abs(np.diff(middle, axis=0)).mean(axis=(1, 2))
    between, own = np.arange(num_slices - 1) + 0.5, np.arange(num_slices)
    smooth = gaussian_filter(middle, (0, rows / 128, columns / 128))
    features = (
        np.interp(own, between, change),
        gaussian_filter(middle, (0, rows / 40, columns / 40)).std(axis=(1, 2)),
        np.hypot(*np.gradient(smooth, axis=(1, 2))).mean(axis=(1, 2)),
        _middle(_middle(_standardised(slices, (1, 2)))).mean(axis=(1, 2)),
    )
    places = (np.arange(_PROFILE_LENGTH) + 0.5) / _PROFILE_LENGTH
    resampled = [np.interp(places, (own + 0.5) / num_slices, feature) for feature in features]
    return _standardised(np.array(resampled), 1)


def _middle(images: FloatArray) -> FloatArray:
    rows, columns = images.shape[1:]
    return images[:, rows // 4 : rows - rows // 4, columns // 4 : columns - columns // 4]


def _standardised(values: FloatArray, axis: int | tuple[int, ...]) -> FloatArray:
    """Return the values with mean 0 and standard deviation 1 along axes; constant ones become 0."""
    centred: FloatArray = values - values.mean(axis=axis, keepdims=True)
    deviation = centred.std(axis=axis, keepdims=True)
    result: FloatArray = centred / np.where(deviation > 0, deviation, 1.0)
    return result


def _is_nominal(geometry: Geometry) -> bool:
    """Return whether all axes are parallel to the world's, as in a header without orientation."""
    return bool(np.all(np.abs(geometry.direction_matrix).max(axis=0) > 1 - DIRECTION_TOLERANCE))
