"""Tests of what a picture is made of: outlines, grey values and the box around."""

import re

import contourpy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from PseudoLabelCLLib.pipeline.report.picture_elements import (
    intensity_window,
    path_data,
    surroundings,
    to_grey,
    trace_contours,
)

masks = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).random((7, 9)) < 0.5)


@settings(max_examples=50, deadline=None)
@given(mask=masks)
def test_contour_points_are_all_the_edges_between_inside_and_outside(mask):
    padded = np.pad(mask, 1)
    edges = set()
    for row in range(padded.shape[0] - 1):
        for column in range(padded.shape[1] - 1):
            # In pixels of the unpadded mask a pixel's own corner is (column - 1, row - 1).
            if padded[row, column] != padded[row, column + 1]:
                edges.add((column, row - 0.5))
            if padded[row, column] != padded[row + 1, column]:
                edges.add((column - 0.5, row))
    outlines = trace_contours(mask)
    assert {(x, y) for outline in outlines for x, y in outline} == edges
    for outline in outlines:
        assert tuple(outline[0]) == tuple(outline[-1])


@settings(max_examples=50, deadline=None)
@given(mask=masks)
def test_path_data_encloses_the_area_of_its_outline(mask):
    def area(points):
        x, y = np.asarray(points, dtype=float).T
        return 0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))

    for outline in trace_contours(mask):
        path = path_data([outline])
        start, *steps = re.findall(r"[Ml](-?\d+) (-?\d+)", path)
        points = np.cumsum(np.array([start, *steps], dtype=int), axis=0) / 2
        assert path.endswith("z")
        assert area(points) == area(outline[:-1])


@settings(max_examples=50, deadline=None)
@given(mask=masks)
def test_paths_of_many_outlines_stand_one_after_another(mask):
    outlines = trace_contours(mask)
    assert path_data(outlines) == "".join(path_data([outline]) for outline in outlines)


@settings(max_examples=50, deadline=None)
@given(mask=masks)
def test_every_connected_part_and_every_hole_has_one_outline(mask):
    num_parts = ndimage.label(mask)[1]
    holes = ndimage.label(~np.pad(mask, 1), structure=np.ones((3, 3)))[1] - 1
    assert len(trace_contours(mask)) == num_parts + holes


def test_outlines_of_a_smooth_mask_are_those_of_another_library():
    noise = np.random.default_rng(0).random((60, 70))
    mask = np.pad(ndimage.gaussian_filter(noise, 3.0) > 0.5, 1)
    theirs = contourpy.contour_generator(z=mask.astype(float)).lines(0.5)
    ours = trace_contours(mask)
    assert len(ours) > 5
    assert {frozenset(map(tuple, outline)) for outline in ours} == {
        frozenset(map(tuple, outline + 0.5)) for outline in theirs
    }


def test_an_empty_mask_has_no_contour():
    assert trace_contours(np.zeros((4, 5), bool)) == []


def test_intensities_run_from_black_to_white_and_no_number_is_black():
    image = np.array([[np.nan, 0.0, 5.0], [10.0, np.inf, -np.inf]])
    grey = to_grey(image, 0.0, 10.0)
    assert grey.tolist() == [[0, 0, 128], [255, 255, 0]]


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan])
def test_a_constant_or_empty_image_is_drawn(value):
    image = np.full((3, 4, 5), value)
    assert to_grey(image[0], *intensity_window(image)).shape == (4, 5)


def test_the_box_is_square_in_millimetres_and_holds_the_segmentation():
    filled = np.zeros((100, 60), bool)
    filled[40:60, 20:30] = True
    rows, columns = surroundings(filled, (1.0, 2.0))
    size_mm = (rows.stop - rows.start) * 1.0, (columns.stop - columns.start) * 2.0
    # Rounded up to whole pixels: at most one of the larger pixels apart.
    assert abs(size_mm[0] - size_mm[1]) <= 2.0
    assert filled[rows, columns].sum() == filled.sum()
    assert rows.start < 40
    assert rows.stop > 60
