"""Grids between the files' LPS and Slicer's RAS."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PseudoLabelCLGui.mrml_bridge import geometry_of, ijk_to_ras
from PseudoLabelCLGui.mrml_bridge.geometry import (
    geometry_of_labelmap,
    is_perpendicular,
    match_rasters,
    right_handed,
)
from scene_things import GEOMETRIES, SIZE, add_volume_node, ras_matrix, turned

from PseudoLabelCLLib.domain.errors import VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry

angles = st.floats(-180, 180)
numbers = st.floats(-500, 500)
geometries = st.builds(
    lambda size, spacing, origin, turn, flip: Geometry(size, spacing, origin, turned(*turn, flip)),
    st.tuples(*[st.integers(1, 600)] * 3),
    st.tuples(*[st.floats(0.05, 20)] * 3),
    st.tuples(numbers, numbers, numbers),
    st.tuples(angles, angles, angles),
    st.tuples(*[st.sampled_from((1, -1))] * 3),
)


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES.keys())
def test_matrix_is_that_of_itk_with_the_first_two_axes_reversed(geometry):
    image = sitk.Image(*SIZE, sitk.sitkUInt8)
    image.SetSpacing(geometry.spacing_mm)
    image.SetOrigin(geometry.origin_mm)
    image.SetDirection(geometry.direction)
    matrix = ijk_to_ras(geometry)
    for index in ((0, 0, 0), (10, 8, 6), (3, 7, 1)):
        left, posterior, superior = image.TransformIndexToPhysicalPoint(index)
        ras = matrix.MultiplyPoint((*index, 1.0))[:3]
        # both compute in double precision
        assert ras == pytest.approx((-left, -posterior, superior), abs=1e-9)


@given(geometry=geometries)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_grid_survives_the_way_through_a_node(scene, geometry):
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetIJKToRASMatrix(ijk_to_ras(geometry))
    image = slicer.vtkOrientedImageData()
    image.SetDimensions(*geometry.size)
    node.SetAndObserveImageData(image)
    found = geometry_of(node)
    assert found.size == geometry.size
    assert found.spacing_mm == pytest.approx(geometry.spacing_mm, rel=1e-9)
    assert found.origin_mm == pytest.approx(geometry.origin_mm, abs=1e-9)
    assert found.direction == pytest.approx(geometry.direction, abs=1e-9)


def test_first_voxel_of_a_cropped_image_is_where_its_extent_says(scene):
    geometry = GEOMETRIES["oblique"]
    labelmap = slicer.vtkOrientedImageData()
    labelmap.SetExtent(2, 6, 3, 8, 1, 4)
    labelmap.SetImageToWorldMatrix(ijk_to_ras(geometry))
    found = geometry_of_labelmap(labelmap)
    assert found.size == (5, 6, 4)
    assert found.origin_mm == pytest.approx(geometry.index_to_world((2, 3, 1)).tolist(), abs=1e-9)
    assert match_rasters(found, geometry).offset == (1, 3, 2)  # k, j, i
    assert match_rasters(geometry, found).offset == (-1, -3, -2)


@pytest.mark.parametrize(
    "other",
    [
        Geometry(SIZE, (0.8, 0.9, 2.5), (10.3, -20.0, 33.3), turned(12, -25, 40)),
        Geometry(SIZE, (0.9, 0.8, 2.5), (10.0, -20.0, 33.3), turned(12, -25, 40)),
        Geometry(SIZE, (0.8, 0.9, 2.5), (10.0, -20.0, 33.3), turned(12, -25, 43)),
    ],
    ids=["shifted by a fraction", "axes exchanged", "turned by three degrees"],
)
def test_grids_whose_voxels_do_not_coincide_have_no_match(other):
    assert match_rasters(other, GEOMETRIES["oblique"]) is None


def test_volume_without_voxels_is_refused_in_words(scene):
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "leer")
    with pytest.raises(VolumeError, match="'leer' has no voxels"):
        geometry_of(node)


def test_sheared_axes_are_recognised(scene):
    node = add_volume_node(np.zeros(SIZE[::-1], np.int16), GEOMETRIES["oblique"])
    assert is_perpendicular(node)
    matrix = ras_matrix(GEOMETRIES["oblique"])
    matrix[:3, 2] += 0.2 * matrix[:3, 1]
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    assert not is_perpendicular(node)


def reordered(geometry, axes, signs):
    """Return the same voxels with their axes in another order and direction."""
    columns = [geometry.direction_matrix[:, a] * s for a, s in zip(axes, signs, strict=True)]
    first = [0, 0, 0]
    for axis, sign in zip(axes, signs, strict=True):
        first[axis] = 0 if sign > 0 else geometry.size[axis] - 1
    return Geometry(
        tuple(geometry.size[a] for a in axes),
        tuple(geometry.spacing_mm[a] for a in axes),
        tuple(geometry.index_to_world(first).tolist()),
        tuple(np.column_stack(columns).ravel().tolist()),
    )


@given(
    axes=st.permutations((0, 1, 2)),
    signs=st.tuples(*[st.sampled_from((1, -1))] * 3),
    name=st.sampled_from(sorted(GEOMETRIES)),
)
def test_voxels_in_another_order_are_put_where_they_lie(axes, signs, name):
    whole = GEOMETRIES[name]
    part = reordered(whole, axes, signs)
    # every voxel carries its own position
    values = part.index_to_world(np.moveaxis(np.indices(part.array_shape), 0, -1)[..., ::-1])
    match = match_rasters(part, whole)
    positions = np.stack([match.put_right(values[..., n]) for n in range(3)], axis=-1)
    expected = whole.index_to_world(np.moveaxis(np.indices(whole.array_shape), 0, -1)[..., ::-1])
    assert match.offset == (0, 0, 0)
    np.testing.assert_allclose(positions, expected, atol=1e-9)


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES.keys())
def test_right_handed_grid_has_the_same_voxels(geometry):
    found = right_handed(geometry)
    assert not found.is_left_handed
    assert match_rasters(found, geometry).offset == (0, 0, 0)
    assert (found is geometry) == (not geometry.is_left_handed)
