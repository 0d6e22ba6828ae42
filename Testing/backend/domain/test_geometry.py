"""Grids say where voxels lie, oblique and left-handed ones too."""

import math

import nibabel
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry

UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def rotation(a, b, c):
    """Return a rotation about x, then y, then z."""
    sines, cosines = (np.sin([a, b, c]), np.cos([a, b, c]))
    about_x = [[1, 0, 0], [0, cosines[0], -sines[0]], [0, sines[0], cosines[0]]]
    about_y = [[cosines[1], 0, sines[1]], [0, 1, 0], [-sines[1], 0, cosines[1]]]
    about_z = [[cosines[2], -sines[2], 0], [sines[2], cosines[2], 0], [0, 0, 1]]
    return np.array(about_z) @ np.array(about_y) @ np.array(about_x)


@st.composite
def geometries(draw):
    angle = st.floats(-math.pi, math.pi)
    matrix = rotation(*(draw(angle) for _ in range(3)))
    matrix = matrix * draw(st.sampled_from([(1, 1, 1), (1, 1, -1), (-1, 1, 1)]))
    return Geometry(
        size=draw(st.tuples(*[st.integers(1, 60)] * 3)),
        spacing_mm=draw(st.tuples(*[st.floats(0.1, 12)] * 3)),
        origin_mm=draw(st.tuples(*[st.floats(-500, 500)] * 3)),
        direction=tuple(matrix.ravel().tolist()),
    )


@given(geometries(), st.tuples(*[st.floats(-100, 100)] * 3))
def test_index_comes_back_from_the_world(geometry, index):
    there = geometry.index_to_world(index)
    # 1e-9 voxels: float64 over distances of up to about 1e4 mm.
    np.testing.assert_allclose(geometry.world_to_index(there), index, atol=1e-9)


@given(geometries(), st.tuples(*[st.integers(0, 59)] * 3))
def test_world_position_is_the_sum_of_steps_along_the_axes(geometry, index):
    expected = list(geometry.origin_mm)
    for axis in range(3):
        for row in range(3):
            step = geometry.direction[3 * row + axis] * geometry.spacing_mm[axis]
            expected[row] += index[axis] * step
    # 1e-8 mm: two orders of adding up in float64.
    np.testing.assert_allclose(geometry.index_to_world(index), expected, atol=1e-8)


@given(geometries())
def test_handedness_is_told_as_by_nibabel(geometry):
    ras = np.diag([-1, -1, 1, 1]) @ geometry.index_to_world_matrix
    quaternion_header = nibabel.Nifti1Header()
    quaternion_header.set_qform(ras, 1)
    assert geometry.is_left_handed == (quaternion_header["pixdim"][0] < 0)


@given(geometries())
def test_grid_is_close_to_itself_and_covers_itself(geometry):
    assert geometry.is_close_to(geometry)
    assert geometry.overlap_fraction(geometry) == 1.0


@given(geometries(), st.integers(0, 2))
def test_grid_moved_by_half_a_voxel_is_another(geometry, axis):
    shift = np.zeros(3)
    shift[axis] = 0.5
    x, y, z = geometry.index_to_world(shift).tolist()
    moved = Geometry(geometry.size, geometry.spacing_mm, (x, y, z), geometry.direction)
    smallest = min(geometry.spacing_mm)
    assume(geometry.spacing_mm[axis] * 0.5 > 0.11 * smallest)
    assert not moved.is_close_to(geometry)


def test_header_rounding_does_not_make_another_grid():
    grid = Geometry((256, 256, 20), (0.7, 0.7, 5.0), (-90.0, 12.3, 7.0), UPRIGHT)
    rounded = Geometry((256, 256, 20), (0.70001, 0.7, 5.0), (-90.001, 12.3, 7.0), UPRIGHT)
    assert grid.is_close_to(rounded)


@pytest.mark.parametrize(("shift_mm", "expected"), [(0, 1.0), (16, 0.5), (8, 0.75), (40, 0.0)])
def test_overlap_of_shifted_boxes_has_its_closed_form(shift_mm, expected):
    box = Geometry((32, 8, 8), (1, 1, 1), (0, 0, 0), UPRIGHT)
    moved = Geometry((32, 8, 8), (1, 1, 1), (shift_mm, 0, 0), UPRIGHT)
    assert box.overlap_fraction(moved) == expected


def test_small_volume_inside_a_large_one_is_wholly_covered_and_not_the_reverse():
    small = Geometry((10, 10, 10), (1, 1, 1), (5, 5, 5), UPRIGHT)
    large = Geometry((40, 40, 40), (1, 1, 1), (0, 0, 0), UPRIGHT)
    assert small.overlap_fraction(large) == 1.0
    # (10 / 40)**3 = 0.0156; the raster of 16 places 4 points per side: 4**3 / 16**3, the same.
    assert large.overlap_fraction(small) == pytest.approx(0.0156, abs=0.005)


@pytest.mark.parametrize(
    ("spacing", "axis"),
    [
        ((1, 1, 5), 2),
        ((5, 1, 1), 0),
        ((1, 5, 1), 1),
        ((1, 1, 1), 2),
        ((1, 1.001, 1), 2),
        ((2, 2, 1), 1),
    ],
)
def test_least_resolved_axis_has_the_largest_spacing(spacing, axis):
    assert Geometry((4, 5, 6), spacing, (0, 0, 0), UPRIGHT).least_resolved_axis == axis


def test_shapes_and_extents_follow_the_size():
    grid = Geometry((4, 5, 6), (1.0, 2.0, 3.0), (0, 0, 0), UPRIGHT)
    assert grid.array_shape == (6, 5, 4)
    assert grid.extent_mm == (4.0, 10.0, 18.0)
    corners = grid.corners_mm()
    np.testing.assert_array_equal(corners.min(axis=0), [-0.5, -1.0, -1.5])
    np.testing.assert_array_equal(corners.max(axis=0), [3.5, 9.0, 16.5])


@pytest.mark.parametrize(
    "parts",
    [
        {"size": (0, 1, 1)},
        {"spacing_mm": (0.0, 1.0, 1.0)},
        {"spacing_mm": (-1.0, 1.0, 1.0)},
        {"spacing_mm": (float("nan"), 1.0, 1.0)},
        {"origin_mm": (float("inf"), 0.0, 0.0)},
        {"direction": (1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)},
        {"direction": (0.0,) * 9},
    ],
)
def test_impossible_grid_is_refused(parts):
    possible = {
        "size": (1, 1, 1),
        "spacing_mm": (1.0, 1.0, 1.0),
        "origin_mm": (0.0, 0.0, 0.0),
        "direction": UPRIGHT,
    }
    with pytest.raises(VolumeError):
        Geometry(**{**possible, **parts})


def test_slices_of_a_left_handed_grid_are_named_as_slicer_does_which_reverses_them():
    upright = Geometry((6, 5, 4), (1, 1, 3), (0, 0, 0), UPRIGHT)
    mirrored = Geometry((6, 5, 4), (1, 1, 3), (0, 0, 0), (*UPRIGHT[:8], -1.0))
    assert [upright.slice_name(2, n) for n in range(4)] == ["k = 0", "k = 1", "k = 2", "k = 3"]
    assert [mirrored.slice_name(2, n) for n in range(4)] == ["k = 3", "k = 2", "k = 1", "k = 0"]
    assert mirrored.slice_name(1, 4) == "j = 4"
