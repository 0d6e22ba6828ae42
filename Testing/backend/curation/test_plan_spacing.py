"""The voxels of the network: as most volumes have them, and fine enough for what was annotated."""

from dataclasses import replace

import numpy as np
import pytest

from PseudoLabelCLLib.curation.check.plan_spacing import (
    KEPT_SHARE,
    settle_spacing,
    smallest_kept_share,
)
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.volume import LabelVolume
from PseudoLabelCLLib.pipeline.slices.preprocess import Annotated, resolve_preprocess
from PseudoLabelCLLib.pipeline.slices.slice_grid import SliceGrid

IN_2D = PreprocessConfig(whole_slices=True, slicing_axis=2)
IN_3D = PreprocessConfig(whole_slices=True, dimension=3, slicing_axis=2)


def grid(spacing_mm, size=(40, 40, 20)):
    return Geometry(size, spacing_mm, (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))


def of_distances(*slice_mm, pixel_mm=1.0):
    return [grid((pixel_mm, pixel_mm, mm)) for mm in slice_mm]


def annotation(spacing_mm, box, size=(40, 40, 20)):
    """A large structure (1), and another (2) in a box of slices (k, j, i)."""
    array = np.zeros(size[::-1], np.int16)
    array[4:16, 8:32, 8:32] = 1
    array[box] = 2
    return LabelVolume(array, grid(spacing_mm, size))


def test_rows_and_columns_have_the_median_of_the_volumes():
    volumes = [grid((mm, mm, 5.0)) for mm in (0.7, 1.1, 1.4, 0.9, 3.0)]
    assert settle_spacing(IN_2D, volumes, []).pixel_mm == pytest.approx(1.1)


def test_coarse_slices_lie_as_close_as_in_the_finer_volumes_not_as_in_most():
    distances = (2.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0)
    settled = settle_spacing(IN_3D, of_distances(*distances), [])
    assert (settled.pixel_mm, settled.slice_mm) == (1.0, pytest.approx(5.0))
    finer = settle_spacing(IN_3D, of_distances(2.0, 2.0, *distances[2:]), [])
    assert finer.slice_mm == pytest.approx(2.0)  # two of eleven are more than a tenth


def test_coarse_slices_never_lie_closer_than_pixels():
    settled = settle_spacing(IN_3D, of_distances(0.2, 0.2, 5.0, 5.0, 5.0), [])
    assert settled.slice_mm == 1.0


def test_slices_as_fine_as_pixels_have_the_median():
    settled = settle_spacing(IN_3D, of_distances(0.2, 0.9, 1.0, 0.9, 0.4), [])
    assert settled.slice_mm == pytest.approx(0.9)


def test_what_a_person_has_set_stays():
    lost = annotation((0.5, 0.5, 1.0), np.s_[9:10, 20:22, 20:22])
    others = of_distances(6.0, 6.0, 6.0, pixel_mm=2.0)
    config = replace(IN_3D, in_plane_spacing_mm=2.0, slice_spacing_mm=6.0)
    settled = settle_spacing(config, [lost.geometry, *others], [lost])
    assert (settled.pixel_mm, settled.slice_mm) == (2.0, 6.0)


def test_structure_of_few_voxels_makes_pixels_finer_until_half_of_it_is_kept():
    small = annotation((0.8, 0.8, 6.0), np.s_[9:11, 20:21, 19:21])
    others = of_distances(6.0, 6.0, 6.0, pixel_mm=1.6)
    volumes = [small.geometry, *others]
    settled = settle_spacing(IN_2D, volumes, [small])
    assert smallest_kept_share(small, (1.6, 1.6, 6.0)) < KEPT_SHARE
    assert 0.8 <= settled.pixel_mm < 1.6
    assert smallest_kept_share(small, settled.along(small.geometry, 2)) >= KEPT_SHARE


def test_structure_of_few_slices_makes_the_distance_of_slices_finer_in_3d():
    thin = annotation((1.0, 1.0, 2.0), np.s_[10:11, 12:28, 12:28])
    others = of_distances(*[4.0] * 12)
    settled = settle_spacing(IN_3D, [thin.geometry, *others], [thin])
    assert smallest_kept_share(thin, (1.0, 1.0, 4.0)) < KEPT_SHARE
    assert settled.pixel_mm == 1.0
    assert 2.0 <= settled.slice_mm < 4.0
    assert smallest_kept_share(thin, settled.along(thin.geometry, 2)) >= KEPT_SHARE


def test_large_structures_change_nothing():
    large = annotation((0.8, 0.8, 6.0), np.s_[9:11, 10:20, 10:20])
    others = of_distances(6.0, 6.0, 6.0, pixel_mm=1.6)
    assert settle_spacing(IN_2D, [large.geometry, *others], [large]).pixel_mm == 1.6


def test_voxels_become_twice_as_fine_at_the_most():
    speck = annotation((0.1, 0.1, 6.0), np.s_[9:10, 21:22, 20:21])
    others = of_distances(6.0, 6.0, 6.0, pixel_mm=1.6)
    settled = settle_spacing(IN_2D, [speck.geometry, *others], [speck])
    assert settled.pixel_mm >= 0.8


def test_windows_of_the_published_recipes_keep_the_median():
    small = annotation((0.8, 0.8, 6.0), np.s_[9:11, 20:21, 19:21])
    others = of_distances(6.0, 6.0, 6.0, pixel_mm=1.6)
    config = PreprocessConfig()
    assert settle_spacing(config, [small.geometry, *others], [small]).pixel_mm == 1.6


def test_plan_of_a_project_has_the_finer_voxels():
    small = annotation((0.8, 0.8, 6.0), np.s_[9:11, 20:21, 19:21])
    others = of_distances(6.0, 6.0, 6.0, pixel_mm=1.6)
    annotated = Annotated(small.geometry, small.array > 0, labels=small)
    plan = resolve_preprocess(IN_2D, [small.geometry, *others], [annotated])
    assert plan.in_plane_spacing_mm < 1.6


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 2.0), (1.7, 1.7, 3.1), (2.6, 2.6, 5.0)])
def test_share_that_is_kept_is_that_of_the_grid_of_the_network(spacing_mm):
    labels = annotation((1.0, 1.0, 2.0), np.s_[7:12, 11:18, 20:25])
    sides = zip((40.0, 40.0, 40.0), spacing_mm, strict=True)
    shape = [round(extent / mm) for extent, mm in sides]
    taught = SliceGrid(
        2, 20, (40, 40), (shape[1], shape[0]), (shape[1], shape[0]), (0, 0),
        resampled_slices=shape[2],
    ).labels_to_network(labels.array)  # fmt: skip
    back = taught
    for axis, (few, many) in enumerate(zip(taught.shape, (20, 40, 40), strict=True)):
        places = np.floor((np.arange(many) + 0.5) * few / many).astype(int)
        back = back.take(places, axis)
    shares = [(back[labels.array == n] == n).mean() for n in (1, 2)]
    assert smallest_kept_share(labels, spacing_mm) == pytest.approx(min(shares))
