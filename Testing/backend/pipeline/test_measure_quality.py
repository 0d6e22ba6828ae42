"""Tests of Dice, HD95 and ASSD against closed forms, slow loops and the rules for absence."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from monai.metrics.surface_distance import compute_average_surface_distance
from scipy import ndimage

from PseudoLabelCLLib.domain.errors import AnnotationError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.pipeline.prediction.measure_quality import (
    DEFINITIONS,
    measure_quality,
    summarise,
)

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
ONE_LABEL = LabelSchema((LabelClass(1, "heart", "#e69f00"),))
TWO_LABELS = LabelSchema((LabelClass(1, "heart", "#e69f00"), LabelClass(7, "lung", "#56b4e9")))
# MONAI computes in 32-bit floats: 24 bits of precision, a few operations.
SINGLE_PRECISION = 1e-5


def volume(array, spacing_mm=(1.0, 1.0, 1.0), origin_mm=(0.0, 0.0, 0.0)):
    geometry = Geometry(array.shape[::-1], spacing_mm, origin_mm, IDENTITY)
    return LabelVolume(array.astype(np.int16), geometry)


def box(shape, low, high, value=1):
    array = np.zeros(shape, np.int16)
    array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = value
    return array


def quality_of(prediction, reference, spacing_mm=(1.0, 1.0, 1.0)):
    result = measure_quality(
        volume(prediction, spacing_mm), volume(reference, spacing_mm), ONE_LABEL
    )
    return result.classes[0]


def surface_points_mm(mask, spacing_mm):
    """Voxels of the mask with a face neighbour outside it, one by one."""
    points = []
    for index in np.argwhere(mask):
        for axis in range(3):
            for step in (-1, 1):
                other = index.copy()
                other[axis] += step
                inside = 0 <= other[axis] < mask.shape[axis]
                if not inside or not mask[tuple(other)]:
                    points.append(tuple(index * np.asarray(spacing_mm[::-1])))
    return np.array(sorted(set(points)))


def slow_distances(one, other, spacing_mm):
    a, b = surface_points_mm(one, spacing_mm), surface_points_mm(other, spacing_mm)
    return np.array([min(math.dist(p, q) for q in b) for p in a])


def random_blob(rng, shape=(5, 9, 8)):
    smooth = ndimage.gaussian_filter(rng.normal(size=shape), 1.0)
    return (smooth > np.quantile(smooth, 0.8)).astype(np.int16)


def test_equal_segmentations_agree_wholly():
    array = box((6, 8, 10), (1, 2, 3), (4, 6, 9))
    quality = quality_of(array, array)
    assert (quality.dice, quality.hd95_mm, quality.assd_mm) == (1.0, 0.0, 0.0)
    assert quality.num_voxels_predicted == quality.num_voxels_reference == 3 * 4 * 6


@pytest.mark.parametrize(("axis", "distance_mm"), [(0, 10.0), (1, 2.0), (2, 0.5)])
def test_planes_shifted_along_one_axis_lie_one_spacing_apart(axis, distance_mm):
    # A full plane has no other way to its shifted copy than one voxel along the axis.
    first, second = np.zeros((2, 6, 6, 6), np.int16)
    first[(slice(None),) * axis + (2,)] = 1
    second[(slice(None),) * axis + (3,)] = 1
    quality = quality_of(first, second, spacing_mm=(0.5, 2.0, 10.0))
    assert quality.dice == 0.0
    assert quality.hd95_mm == pytest.approx(distance_mm, rel=SINGLE_PRECISION)
    assert quality.assd_mm == pytest.approx(distance_mm, rel=SINGLE_PRECISION)


def test_dice_of_a_box_shifted_by_a_quarter_is_three_quarters():
    reference = box((8, 8, 12), (2, 2, 2), (6, 6, 6))
    prediction = box((8, 8, 12), (2, 2, 3), (6, 6, 7))
    assert quality_of(prediction, reference).dice == pytest.approx(0.75, rel=SINGLE_PRECISION)


def test_concentric_balls_lie_the_difference_of_their_radii_apart():
    grid = np.indices((33, 33, 33)) - 16
    radius = np.sqrt((grid**2).sum(axis=0))
    quality = quality_of(radius <= 14, radius <= 10)
    # Surface voxel centres lie up to one voxel diagonal inside the sphere, on either ball; the
    # mean error is far smaller than the largest.
    assert quality.assd_mm == pytest.approx(4.0, abs=0.3)
    assert quality.hd95_mm == pytest.approx(4.0, abs=math.sqrt(3) / 2)
    expected_dice = 2 * 10**3 / (10**3 + 14**3)
    # A voxel ball's volume errs by well under 1 % at these radii.
    assert quality.dice == pytest.approx(expected_dice, abs=0.01)


@pytest.mark.parametrize("seed", range(4))
def test_measures_equal_a_slow_loop_on_an_anisotropic_grid(seed):
    rng = np.random.default_rng(seed)
    predicted, true = random_blob(rng), random_blob(rng)
    spacing_mm = (0.7, 1.3, 8.0)
    quality = quality_of(predicted, true, spacing_mm)
    there, back = (
        slow_distances(predicted, true, spacing_mm),
        slow_distances(true, predicted, spacing_mm),
    )
    common = sum(1 for p, t in zip(predicted.flat, true.flat, strict=True) if p and t)
    assert quality.dice == pytest.approx(
        2 * common / (predicted.sum() + true.sum()), rel=SINGLE_PRECISION
    )
    assert quality.hd95_mm == pytest.approx(
        max(np.percentile(there, 95), np.percentile(back, 95)), rel=SINGLE_PRECISION
    )
    assert quality.assd_mm == pytest.approx(
        np.concatenate([there, back]).mean(), rel=SINGLE_PRECISION
    )


@pytest.mark.parametrize("low", [(0, 0, 0), (3, 20, 15), (5, 33, 27)])
def test_cropping_to_the_structures_changes_no_value(low):
    rng = np.random.default_rng(sum(low))
    predicted, true = np.zeros((2, 10, 42, 35), np.int16)
    window = tuple(slice(a, a + n) for a, n in zip(low, (5, 9, 8), strict=True))
    predicted[window], true[window] = random_blob(rng), random_blob(rng)
    quality = quality_of(predicted, true, spacing_mm=(1.5, 1.25, 9.0))
    whole = (predicted[None, None], true[None, None])
    common = {"include_background": True, "spacing": (9.0, 1.25, 1.5)}
    hd95 = compute_hausdorff_distance(*whole, percentile=95, **common)
    assd = compute_average_surface_distance(*whole, symmetric=True, **common)
    assert quality.hd95_mm == float(hd95)
    assert quality.assd_mm == float(assd)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_measures_are_symmetric_and_bounded(seed):
    rng = np.random.default_rng(seed)
    one, other = random_blob(rng), random_blob(rng)
    there, back = quality_of(one, other), quality_of(other, one)
    assert there.dice == back.dice
    assert there.hd95_mm == back.hd95_mm
    # The mean is summed in another order.
    assert there.assd_mm == pytest.approx(back.assd_mm, rel=SINGLE_PRECISION)
    assert 0.0 <= there.dice <= 1.0
    assert 0.0 <= there.hd95_mm <= math.dist((0, 0, 0), one.shape)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.1, 20.0))
def test_distances_grow_with_the_spacing_and_dice_does_not(seed, scale):
    rng = np.random.default_rng(seed)
    one, other = random_blob(rng), random_blob(rng)
    unit = quality_of(one, other)
    scaled = quality_of(one, other, spacing_mm=(scale, scale, scale))
    assert scaled.dice == unit.dice
    assert scaled.hd95_mm == pytest.approx(scale * unit.hd95_mm, rel=SINGLE_PRECISION)
    assert scaled.assd_mm == pytest.approx(scale * unit.assd_mm, rel=SINGLE_PRECISION)


def test_a_structure_absent_on_both_sides_does_not_count():
    array = box((6, 6, 6), (1, 1, 1), (4, 4, 4))
    quality = measure_quality(volume(array), volume(array), TWO_LABELS)
    lung = quality.classes[1]
    assert (lung.dice, lung.hd95_mm, lung.assd_mm) == (None, None, None)
    assert not lung.is_missed
    assert not lung.is_invented
    assert quality.mean_dice == 1.0


@pytest.mark.parametrize("is_predicted", [True, False])
def test_a_structure_on_one_side_only_has_dice_zero_and_no_distances(is_predicted):
    filled, empty = box((6, 6, 6), (1, 1, 1), (4, 4, 4)), np.zeros((6, 6, 6), np.int16)
    quality = quality_of(*((filled, empty) if is_predicted else (empty, filled)))
    assert (quality.dice, quality.hd95_mm, quality.assd_mm) == (0.0, None, None)
    assert (quality.is_missed, quality.is_invented) == (not is_predicted, is_predicted)
    assert quality.num_voxels_predicted == (27 if is_predicted else 0)


def test_a_case_where_nothing_counts_has_no_mean():
    empty = volume(np.zeros((3, 3, 3), np.int16))
    quality = measure_quality(empty, empty, TWO_LABELS)
    assert (quality.mean_dice, quality.mean_hd95_mm, quality.mean_assd_mm) == (None, None, None)


def test_a_structure_that_fills_the_whole_volume_is_measured():
    full = np.ones((3, 4, 5), np.int16)
    assert quality_of(full, full).hd95_mm == 0.0


def test_different_grids_are_refused_with_both_described():
    array = box((4, 4, 4), (1, 1, 1), (3, 3, 3))
    moved = volume(array, origin_mm=(5.0, 0.0, 0.0))
    with pytest.raises(AnnotationError, match=r"different grids.*4 x 4 x 4"):
        measure_quality(volume(array), moved, ONE_LABEL)


def test_a_summary_tells_mean_spread_count_and_what_is_missing():
    shape = (4, 8, 20)
    reference = box(shape, (1, 2, 2), (3, 6, 6))
    empty = np.zeros(shape, np.int16)
    cases = [
        measure_quality(volume(prediction), volume(reference), ONE_LABEL)
        for prediction in (reference, box(shape, (1, 2, 4), (3, 6, 8)), empty)
    ]
    summary = summarise(cases)
    heart = summary.classes[0]
    assert summary.num_cases == 3
    # Dice 1, 1/2 and 0.
    assert heart.dice.mean == pytest.approx(0.5, rel=SINGLE_PRECISION)
    assert heart.dice.standard_deviation == pytest.approx(0.5, rel=SINGLE_PRECISION)
    assert (heart.dice.num_counted, heart.hd95_mm.num_counted, heart.num_missed) == (3, 2, 1)
    assert heart.hd95_mm.mean == pytest.approx(1.0, rel=SINGLE_PRECISION)  # 0 and 2 voxels
    assert summary.mean.dice == heart.dice


def test_a_mean_distance_comes_with_the_structures_that_it_leaves_out():
    # heart: found two voxels away, missed, missed; lung: invented, found, absent on both sides
    shape, heart, lung = (4, 8, 20), ((1, 2, 2), (3, 6, 6)), ((1, 2, 12), (3, 6, 16))
    both = box(shape, *heart) + box(shape, *lung, value=7)
    cases = [
        measure_quality(volume(prediction), volume(reference), TWO_LABELS)
        for prediction, reference in (
            (box(shape, (1, 2, 4), (3, 6, 8)) + box(shape, *lung, value=7), box(shape, *heart)),
            (box(shape, *lung, value=7), both),
            (np.zeros(shape, np.int16), box(shape, *heart)),
        )
    ]
    assert [(c.num_missed, c.num_invented) for c in cases] == [(0, 1), (1, 0), (1, 0)]
    summary = summarise(cases)
    told = [(c.num_missed, c.num_invented) for c in (*summary.classes, summary.mean)]
    assert told == [(2, 0), (0, 1), (2, 1)]


def test_hd95_is_the_larger_directed_percentile_as_its_definition_says():
    # A rod and one twice as long: seen from the short rod nothing is far, so that pooling both
    # directions gives another value.
    near = np.zeros((3, 3, 30), np.int16)
    near[1, 1, :10] = 1
    far = near.copy()
    far[1, 1, 10:20] = 1
    there = np.abs(np.arange(20) - np.minimum(np.arange(20), 9))
    expected = np.percentile(there, 95)
    pooled = np.percentile(np.concatenate([there, np.zeros(10)]), 95)
    assert expected != pooled
    assert quality_of(near, far).hd95_mm == pytest.approx(expected, rel=SINGLE_PRECISION)
    assert "larger of the two directed 95th percentiles" in DEFINITIONS["hd95_mm"]


def test_a_summary_of_one_case_has_no_spread():
    array = box((4, 4, 4), (1, 1, 1), (3, 3, 3))
    summary = summarise([measure_quality(volume(array), volume(array), TWO_LABELS)])
    assert summary.classes[0].dice.standard_deviation is None
    assert summary.classes[1].dice.mean is None
    assert summary.classes[1].dice.num_counted == 0


def test_a_summary_over_different_structures_is_refused():
    array = volume(box((4, 4, 4), (1, 1, 1), (3, 3, 3)))
    one, two = measure_quality(array, array, ONE_LABEL), measure_quality(array, array, TWO_LABELS)
    with pytest.raises(ValueError, match="same structures"):
        summarise([one, two])
    with pytest.raises(ValueError, match="same structures"):
        summarise([])
