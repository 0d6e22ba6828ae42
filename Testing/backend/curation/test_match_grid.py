"""Segmentations brought onto the grid of an image, by position."""

from dataclasses import replace

import numpy as np
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from PseudoLabelCLLib.curation.grids.match_grid import matched_to_grid, matches_by_cropping
from PseudoLabelCLLib.domain.errors import (
    AnnotationError,
)
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.volume import LabelVolume

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


COSINES = st.floats(-180, 180)


@st.composite
def geometries(draw):
    turn = sitk.Euler3DTransform()
    turn.SetRotation(*(np.radians(draw(COSINES)) for _ in range(3)))
    direction = np.array(turn.GetMatrix()).reshape(3, 3)
    if draw(st.booleans()):
        direction[:, draw(st.integers(0, 2))] *= -1
    return Geometry(
        size=tuple(draw(st.integers(2, 6)) for _ in range(3)),
        spacing_mm=tuple(draw(st.floats(0.5, 9)) for _ in range(3)),
        origin_mm=tuple(draw(st.floats(-300, 300)) for _ in range(3)),
        direction=tuple(direction.ravel()),
    )


def test_cosines_too_small_for_itk_do_not_lose_a_voxel():
    c, s, tiny = np.cos(np.radians(1)), np.sin(np.radians(1)), 3.88e-310
    upright = Geometry((3, 3, 3), (2.0, 1.0, 2.0), (0.0, 0.0, 0.0), IDENTITY)
    turned = Geometry(
        (3, 3, 3), (2.0, 1.0, 1.9), (0.0,) * 3, (1, 0, tiny, tiny, c, -s, -tiny, s, c)
    )
    array = np.arange(1, 28, dtype=np.int16).reshape(3, 3, 3)
    matched, _ = matched_to_grid(LabelVolume(array, turned), upright, file_name="x")
    np.testing.assert_array_equal(matched.array, array)
    matched, _ = matched_to_grid(LabelVolume(array, upright), turned, file_name="x")
    np.testing.assert_array_equal(matched.array, array)


@settings(max_examples=40, deadline=None)
@given(geometries(), geometries(), st.integers(0, 2**32 - 1))
def test_matching_looks_up_the_nearest_voxel_in_space(own, moved, seed):
    # Put both grids around the same point, so that they overlap.
    shift = own.index_to_world((np.array(own.size) - 1) / 2)
    shift = shift - moved.index_to_world((np.array(moved.size) - 1) / 2)
    target = replace(moved, origin_mm=tuple(np.asarray(moved.origin_mm) + shift))
    array = np.random.default_rng(seed).integers(0, 3, own.array_shape).astype(np.int16)
    array[0, 0, 0] = 1
    try:
        matched, _ = matched_to_grid(LabelVolume(array, own), target, file_name="x")
    except AnnotationError:
        return

    for k, j, i in np.ndindex(matched.array.shape):
        index = own.world_to_index(target.index_to_world((i, j, k)))
        # Exactly between two voxels either is right; rounding decides.
        if np.any(np.abs(np.abs(index - np.round(index)) - 0.5) < 1e-6):
            continue
        near = np.round(index).astype(int)
        inside = np.all((near >= 0) & (near < np.array(own.size)))
        assert matched.array[k, j, i] == (array[tuple(near[::-1])] if inside else 0)


@settings(max_examples=40, deadline=None)
@given(geometries(), st.data())
def test_cropped_grid_is_recognised_whatever_its_direction(whole, data):
    first = [data.draw(st.integers(0, n - 1)) for n in whole.size]
    size = tuple(data.draw(st.integers(1, n - f)) for n, f in zip(whole.size, first, strict=True))
    part = replace(whole, size=size, origin_mm=tuple(whole.index_to_world(first)))
    between = replace(part, origin_mm=tuple(whole.index_to_world(np.array(first) + 0.4)))

    assert matches_by_cropping(part, whole)
    assert not matches_by_cropping(between, whole)
