"""Tests of the pictures of a case: orientation, choice of slices, contours."""

import base64
import io
import re
from xml.etree import ElementTree as ET

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from report_phantoms import SCHEMA, ball, grid, make_figure

from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.pipeline.report.pictures import CaseFigure, draw_slices


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1), (1, -1, -1), (-1, -1, 1)])
@pytest.mark.parametrize("slicing_axis", [0, 1, 2])
def test_pictures_show_left_on_the_right_and_behind_or_below_downwards(signs, slicing_axis):
    rng = np.random.default_rng(3)
    array = rng.normal(size=(4, 5, 6))  # (k, j, i)
    geometry = grid((6, 5, 4), direction=tuple(np.diag(np.array(signs, float)).ravel()))
    figure = CaseFigure(
        "case", Volume(array, geometry), LabelVolume(np.zeros((4, 5, 6), np.int16), geometry),
        slicing_axis,
    )  # fmt: skip
    lps_to_ras = np.diag([-1, -1, 1, 1])
    image = nib.Nifti1Image(array.T, lps_to_ras @ geometry.index_to_world_matrix)
    canonical = nib.as_closest_canonical(image).get_fdata()  # x to the right, y to the front, z up
    # Rows and columns of a picture run left, back and down, that is against x, y and z.
    expected = np.moveaxis(canonical[::-1, ::-1, ::-1].transpose(2, 1, 0), 2 - slicing_axis, 0)
    # Slices keep the order of the grid, which a sign of 1 runs left, back, up.
    order = signs[slicing_axis] * (-1 if slicing_axis == 2 else 1)
    np.testing.assert_array_equal(figure.slices(array), expected[::order])


def test_the_axes_are_told_in_words():
    figure = make_figure()
    assert figure.describe_axes() == (
        "Slices along k. Right in the picture: left (+i), down: posterior (+j)."
    )


def test_segmentations_on_another_grid_are_refused():
    other = LabelVolume(np.zeros((6, 40, 50), np.int16), grid((50, 40, 6), (1.0, 1.0, 8.0)))
    with pytest.raises(ValueError, match="on the grid"):
        make_figure(reference=other)


@pytest.mark.parametrize("doubts", [(0.1, 0.2), (0.1,) * 5 + (1.2,), (0.1,) * 5 + (float("nan"),)])
def test_doubts_that_do_not_fit_are_refused(doubts):
    with pytest.raises(ValueError, match="doubt"):
        make_figure(doubt_per_slice=doubts)


@pytest.mark.parametrize("most_doubtful", [0, 17, 34, 59])
def test_the_most_doubtful_slice_is_always_shown_and_marked(most_doubtful):
    shape = (60, 20, 20)
    doubts = np.full(60, 0.1)
    doubts[most_doubtful] = 0.5
    geometry = grid((20, 20, 60))
    figure = CaseFigure(
        "case", Volume(np.ones(shape), geometry),
        LabelVolume(ball(shape, (30, 10, 10), 8), geometry), 2, doubt_per_slice=tuple(doubts),
    )  # fmt: skip
    pictures = draw_slices(figure, SCHEMA, max_slices=7)
    indices = [picture.index for picture in pictures]
    assert len(indices) == 7
    assert indices == sorted(set(indices))
    assert [p.index for p in pictures if p.is_most_doubtful] == [most_doubtful]


def test_slices_without_any_segmentation_show_the_whole_volume():
    shape = (3, 20, 30)
    empty = LabelVolume(np.zeros(shape, np.int16), grid(shape[::-1]))
    figure = make_figure(shape=shape, proposal=empty)
    pictures = draw_slices(figure, SCHEMA)
    assert [picture.index for picture in pictures] == [0, 1, 2]
    assert "<path" not in pictures[0].svg


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 5.0), (0.5, 2.0, 5.0)])
def test_a_picture_keeps_the_shape_of_the_voxels(spacing_mm):
    geometry = grid((300, 100, 1), spacing_mm)
    image = np.tile(np.linspace(0, 100, 300), (1, 100, 1))
    empty = LabelVolume(np.zeros((1, 100, 300), np.int16), geometry)
    (picture,) = draw_slices(CaseFigure("case", Volume(image, geometry), empty, 2), SCHEMA)
    root = ET.fromstring(picture.svg)
    _, _, width, height = (float(n) for n in root.get("viewBox").split())
    assert width / height == pytest.approx(300 * spacing_mm[0] / (100 * spacing_mm[1]), rel=1e-3)
    kind, data = root[0].get("href").split(",", 1)
    raster = Image.open(io.BytesIO(base64.b64decode(data)))
    assert kind.startswith("data:image/")
    assert max(raster.size) == 192
    grey = np.asarray(raster.convert("L"), dtype=float)
    # A grey ramp stays a ramp; lossy compression may move a value by a few of 255 levels.
    assert np.abs(grey[32] - np.linspace(0, 255, 192)).max() < 8


def test_contours_lie_where_the_segmentation_is():
    shape = (1, 10, 10)
    labels = np.zeros(shape, np.int16)
    labels[0, 2:6, 3:8] = 3
    geometry = grid((10, 10, 1), (2.0, 1.0, 5.0))
    figure = CaseFigure("c", Volume(np.ones(shape), geometry), LabelVolume(labels, geometry), 2)
    (picture,) = draw_slices(figure, SCHEMA)
    group = ET.fromstring(picture.svg)[1]
    (path,) = group
    assert path.get("class") == "proposal label-3"
    steps = np.array(re.findall(r"[Ml](-?\d+) (-?\d+)", path.get("d")), dtype=int)
    points = np.cumsum(steps, axis=0)
    # 5 columns and 4 rows, in half pixels.
    assert np.ptp(points, axis=0).tolist() == [10, 8]
    assert group.get("transform") == "scale(1 0.5)"
