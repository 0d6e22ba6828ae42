"""The way from a volume to the network's slices and back, on random grids."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from learning_doubles import grid
from scipy import ndimage
from scipy.spatial.transform import Rotation

from PseudoLabelCLLib.domain.errors import ProjectError, VolumeError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.preprocess_config import Crop, PreprocessConfig, settle_directions
from PseudoLabelCLLib.domain.volume import LabelVolume, Volume
from PseudoLabelCLLib.pipeline.slices import slice_grid as slice_grid_module
from PseudoLabelCLLib.pipeline.slices.network_images import network_slices
from PseudoLabelCLLib.pipeline.slices.preprocess import (
    LARGEST_WINDOW,
    Annotated,
    resolve_preprocess,
)
from PseudoLabelCLLib.pipeline.slices.slice_grid import slice_grid, window_center

FEW = settings(deadline=None, max_examples=40)


@st.composite
def directions(draw):
    """Any rotation, half of them mirrored: oblique and left-handed."""
    angles = [draw(st.floats(-180, 180)) for _ in range(3)]
    matrix = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    if draw(st.booleans()):
        matrix[:, 2] *= -1
    return tuple(matrix.ravel().tolist())


@st.composite
def geometries(draw, smallest=5, largest=40):
    size = tuple(draw(st.integers(smallest, largest)) for _ in range(3))
    spacing = tuple(draw(st.floats(0.4, 4.0)) for _ in range(3))
    origin = tuple(draw(st.floats(-200, 200)) for _ in range(3))
    return Geometry(size, spacing, origin, draw(directions()))


@st.composite
def configs(draw):
    return PreprocessConfig(
        slicing_axis=draw(st.sampled_from((None, 0, 1, 2))),
        in_plane_spacing_mm=draw(st.floats(0.5, 3.0)),
        window_size=(draw(st.sampled_from((32, 64, 96))), draw(st.sampled_from((32, 64, 96)))),
        crop=draw(st.sampled_from(Crop)),
        slice_directions=draw(st.none() | st.builds(in_plane_directions, directions())),
    )


def in_plane_directions(direction):
    rows, columns = np.reshape(direction, (3, 3)).T[[1, 0]].tolist()
    return tuple(rows), tuple(columns)


def body(geometry):
    """A bright ellipsoid in dark air, off the middle of the volume."""
    shape = geometry.array_shape
    axes = [(np.arange(n) + 0.5) / n - c for n, c in zip(shape, (0.5, 0.45, 0.6), strict=True)]
    k, j, i = np.meshgrid(*axes, indexing="ij")
    return (100 * ((k / 0.45) ** 2 + (j / 0.35) ** 2 + (i / 0.3) ** 2 < 1)).astype(np.float32)


def there_and_back(labels, where):
    """A label map sent to the network's grid and back as one-hot probabilities."""
    classes = where.labels_to_network(where.slices_of(labels))
    probabilities = np.moveaxis(np.eye(3, dtype=np.float32)[classes], 3, 1)
    native = where.probabilities_to_native(
        torch.from_numpy(np.ascontiguousarray(probabilities))
    ).numpy()
    return where.volume_of(native.argmax(axis=1).astype(np.int16))


def window_holds_slice(where):
    return all(
        corner <= 0 and corner + window >= size
        for corner, window, size in zip(
            where.corner, where.window_shape, where.resampled_shape, strict=True
        )
    )


@FEW
@given(geometry=geometries(), config=configs(), seed=st.integers(0, 999))
def test_segmentation_comes_back_on_the_volumes_own_grid(geometry, config, seed):
    labels = np.random.default_rng(seed).integers(0, 3, geometry.array_shape).astype(np.int16)
    where = slice_grid(Volume(body(geometry), geometry), config)
    back = LabelVolume(there_and_back(labels, where), geometry)
    assert back.array.shape == geometry.array_shape
    assert back.array.flags.c_contiguous
    if where.resampled_shape == where.native_shape and window_holds_slice(where):
        np.testing.assert_array_equal(back.array, labels)


@FEW
@given(
    geometry=geometries(),
    axis=st.sampled_from((0, 1, 2)),
    crop=st.sampled_from(Crop),
    seed=st.integers(0, 999),
)
def test_without_resampling_not_one_voxel_differs(geometry, axis, crop, seed):
    in_plane = [n for n in range(3) if n != axis]
    spacing = list(geometry.spacing_mm)
    spacing[in_plane[0]] = spacing[in_plane[1]] = 0.7
    geometry = replace(geometry, spacing_mm=tuple(spacing))
    config = PreprocessConfig(
        slicing_axis=axis, in_plane_spacing_mm=0.7, window_size=(96, 96), crop=crop
    )
    labels = np.random.default_rng(seed).integers(0, 3, geometry.array_shape).astype(np.int16)
    where = slice_grid(Volume(body(geometry), geometry), config)
    assert where.native_shape == where.resampled_shape
    assert window_holds_slice(where)
    np.testing.assert_array_equal(there_and_back(labels, where), labels)


def ellipse_slices(shape, radius, center):
    rows, columns = np.indices(shape)
    inside = ((rows - center[0]) / radius[0]) ** 2 + ((columns - center[1]) / radius[1]) ** 2 < 1
    return inside.astype(np.int16)


@FEW
@given(
    geometry=geometries(smallest=30, largest=48),
    axis=st.sampled_from((0, 1, 2)),
    zoom=st.floats(0.6, 1.8),
    shift=st.tuples(st.floats(-0.1, 0.1), st.floats(-0.1, 0.1)),
)
def test_wide_structure_comes_back_nearly_whole_after_resampling(geometry, axis, zoom, shift):
    in_plane = [n for n in range(3) if n != axis]
    spacing = list(geometry.spacing_mm)
    for n in in_plane:  # up to 1 : 1.5 within a slice
        spacing[n] = float(np.clip(spacing[n], 1.0, 1.5))
    geometry = replace(geometry, spacing_mm=tuple(spacing))
    config = PreprocessConfig(slicing_axis=axis, in_plane_spacing_mm=zoom, window_size=(160, 160))
    labels = np.zeros(geometry.array_shape, np.int16)
    where = slice_grid(Volume(labels, geometry), config)
    slices = where.slices_of(labels)
    shape = where.native_shape
    center = [(n - 1) / 2 + s * n for n, s in zip(shape, shift, strict=True)]
    slices[:] = ellipse_slices(shape, [0.3 * n for n in shape], center)
    back = there_and_back(labels, where)
    dice = 2 * ((back == 1) & (labels == 1)).sum() / ((back == 1).sum() + (labels == 1).sum())
    # nearest and bilinear each move a border by half a pixel at most; the blob is 18 pixels wide
    assert dice > 0.9


@FEW
@given(
    geometry=geometries(smallest=40, largest=60),
    axis=st.sampled_from((0, 1, 2)),
    crop=st.sampled_from(Crop),
    zoom=st.floats(0.6, 1.6),
    place=st.tuples(st.floats(0.35, 0.65), st.floats(0.35, 0.65)),
)
def test_structure_keeps_its_place_in_millimetres(geometry, axis, crop, zoom, place):
    spacing = [float(np.clip(s, 1.0, 1.25)) for s in geometry.spacing_mm]
    geometry = replace(geometry, spacing_mm=tuple(spacing))
    config = PreprocessConfig(
        slicing_axis=axis, in_plane_spacing_mm=zoom, window_size=(512, 512), crop=crop
    )
    where = slice_grid(Volume(body(geometry), geometry), config)
    rows, columns = np.indices(where.native_shape)
    pixel_mm = where_pixel_mm(geometry, where.slicing_axis)
    size = np.array(where.native_shape)
    center = np.array(place) * size - 0.5
    width_mm = 1.7 * max(*pixel_mm, zoom)  # smooth on both grids, and inside the slice
    squared = ((rows - center[0]) * pixel_mm[0]) ** 2 + ((columns - center[1]) * pixel_mm[1]) ** 2
    blob = np.exp(-squared / (2 * width_mm**2)).astype(np.float32)[None]

    seen = where.images_to_network(blob)[0]
    network_pixel_mm = size * pixel_mm / where.resampled_shape
    found = np.array(ndimage.center_of_mass(seen)) + where.corner
    # both counted from the slice's outer edge; a wrong pixel convention moves it by half a pixel
    offset_mm = (found + 0.5) * network_pixel_mm - (center + 0.5) * pixel_mm
    assert (np.abs(offset_mm) < 0.1 * network_pixel_mm).all()

    probabilities = np.stack((1 - seen, seen))[None].astype(np.float32)
    back = where.probabilities_to_native(torch.from_numpy(probabilities))[0, 1].numpy()
    offset = np.array(ndimage.center_of_mass(back)) - center
    assert (np.abs(offset * pixel_mm) < 0.1 * np.maximum(network_pixel_mm, pixel_mm)).all()


@FEW
@given(
    rows=st.integers(20, 60),
    columns=st.integers(20, 60),
    spacing_mm=st.floats(0.55, 1.9),
    seed=st.integers(0, 999),
)
def test_labels_are_taken_where_simpleitk_takes_them(rows, columns, spacing_mm, seed):
    labels = np.random.default_rng(seed).integers(0, 200, (2, rows, columns)).astype(np.uint8)
    config = PreprocessConfig(
        slicing_axis=2, in_plane_spacing_mm=spacing_mm, window_size=(128, 128)
    )
    where = slice_grid(Volume(labels, grid((columns, rows, 2))), config)
    target = sitk.Image([128, 128, 2], sitk.sitkUInt8)
    pixel = [n / r for n, r in zip(where.native_shape, where.resampled_shape, strict=True)][::-1]
    corner = where.corner[::-1]
    target.SetSpacing([*pixel, 1.0])
    origin = [(c + 0.5) * s - 0.5 for c, s in zip(corner, pixel, strict=True)]
    target.SetOrigin([*origin, 0.0])
    image = sitk.GetImageFromArray(labels)
    theirs = sitk.GetArrayFromImage(
        sitk.Resample(image, target, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
    )
    # a pixel exactly between two others may go either way
    ties = [
        (n * (2 * np.arange(r) + 1)) % (2 * r) == 0
        for n, r in zip(where.native_shape, where.resampled_shape, strict=True)
    ]
    ours = where.labels_to_network(labels)
    clear = np.ones((128, 128), bool)
    for axis, tied in enumerate(ties):
        places = np.flatnonzero(tied) - where.corner[axis]
        np.moveaxis(clear, axis, 0)[places[(places >= 0) & (places < 128)]] = False
    np.testing.assert_array_equal(ours[:, clear], theirs[:, clear])


def where_pixel_mm(geometry, slicing_axis):
    kji = geometry.spacing_mm[::-1]
    return np.array([kji[n] for n in range(3) if n != 2 - slicing_axis])


@FEW
@given(
    geometry=geometries(largest=60),
    config=configs(),
    other=geometries(largest=60),
    box=st.tuples(*[st.floats(0, 1)] * 6),
)
def test_automatic_window_never_cuts_an_annotated_structure(geometry, config, other, box):
    config = replace(config, window_size=None, in_plane_spacing_mm=None, max_window_size=32)
    foreground = np.zeros(geometry.array_shape, bool)
    edges = [sorted((a, b)) for a, b in zip(box[::2], box[1::2], strict=True)]
    inside = [
        slice(int(low * (n - 1)), int(high * (n - 1)) + 1)
        for (low, high), n in zip(edges, foreground.shape, strict=True)
    ]
    foreground[tuple(inside)] = True
    volume = Volume(body(geometry), geometry)
    # the middle is that of turned slices
    config = settle_directions(config, [geometry, other, other])
    center = window_center(volume, config)
    resolved = resolve_preprocess(
        config, [geometry, other, other], [Annotated(geometry, foreground, center)]
    )
    where = slice_grid(volume, resolved)
    assert max(where.window_shape) <= LARGEST_WINDOW
    flat = where.slices_of(foreground).any(axis=0)
    for axis in range(2):
        places = np.flatnonzero(flat.any(axis=1 - axis))
        factor = where.resampled_shape[axis] / where.native_shape[axis]
        assert where.corner[axis] <= places[0] * factor
        assert (places[-1] + 1) * factor <= where.corner[axis] + where.window_shape[axis]


def test_window_centred_on_the_body_holds_a_structure_at_its_rim():
    geometry = grid((200, 100, 4))
    array = np.zeros(geometry.array_shape, np.float32)
    array[:, 20:80, 100:190] = 50.0
    foreground = np.zeros(geometry.array_shape, bool)
    foreground[:, 45:55, 100:110] = True  # 35 pixels from the middle of the body
    config = PreprocessConfig(crop=Crop.FOREGROUND, max_window_size=64)
    volume = Volume(array, geometry)
    assert window_center(volume, config) == (50.0, 145.0)
    annotated = Annotated(geometry, foreground, window_center(volume, config))
    resolved = resolve_preprocess(config, [geometry], [annotated])
    assert resolved.window_size == (64, 128)  # 2 * (45 + 8) pixels, in steps of 32
    where = slice_grid(volume, resolved)
    assert where.labels_to_network(where.slices_of(foreground)).sum() == foreground.sum()


def test_plan_takes_the_median_pixel_and_the_smallest_window_that_holds_the_median_slice():
    cases = [grid((n, 70, 8), (s, s, 8.0)) for n, s in ((100, 1.0), (130, 1.5), (64, 3.0))]
    resolved = resolve_preprocess(PreprocessConfig(), cases, [])
    assert resolved.in_plane_spacing_mm == pytest.approx(1.5)
    # extents 70, 105, 210 mm high and 100, 195, 192 mm wide; medians over 1.5 mm: 70 and 128
    assert resolved.window_size == (96, 128)


def test_window_of_the_settings_is_kept():
    config = PreprocessConfig(window_size=(32, 96), in_plane_spacing_mm=2.0)
    resolved = resolve_preprocess(config, [grid((300, 300, 5))], [])
    assert (resolved.window_size, resolved.in_plane_spacing_mm) == ((32, 96), 2.0)


def test_structure_too_large_for_any_window_makes_the_pixels_larger():
    geometry = grid((900, 40, 3), (1.0, 1.0, 5.0))
    foreground = np.ones(geometry.array_shape, bool)
    resolved = resolve_preprocess(PreprocessConfig(), [geometry], [Annotated(geometry, foreground)])
    assert max(resolved.window_size) == LARGEST_WINDOW
    assert resolved.in_plane_spacing_mm * LARGEST_WINDOW >= 900


def test_grid_needs_settled_settings():
    with pytest.raises(ValueError, match="resolved"):
        slice_grid(Volume(np.zeros((4, 32, 32)), grid((32, 32, 4))), PreprocessConfig())


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.float64])
def test_intensities_are_scaled_by_their_percentiles_and_not_clipped(dtype):
    rng = np.random.default_rng(1)
    array = rng.gamma(2, 200, (6, 32, 64)).astype(dtype)
    volume = Volume(array, grid((64, 32, 6)))
    config = PreprocessConfig(
        in_plane_spacing_mm=1.0, window_size=(32, 64), low_percentile=0.05, high_percentile=0.9
    )
    seen = network_slices(volume, slice_grid(volume, config), config)
    low, high = np.percentile(array, (5, 90))
    assert seen.dtype == np.float32
    # float32 of numbers up to some thousands
    np.testing.assert_allclose(seen, (array - low) / (high - low), atol=1e-4)
    assert seen.max() > 1


def test_mostly_black_image_is_scaled_by_its_extremes():
    array = np.zeros((4, 32, 32), np.float32)
    array[2, 16, 16] = 8.0
    volume = Volume(array, grid((32, 32, 4)))
    config = PreprocessConfig(in_plane_spacing_mm=1.0, window_size=(32, 32))
    seen = network_slices(volume, slice_grid(volume, config), config)
    assert (seen.min(), seen.max()) == (0, 1)


def test_constant_image_is_refused():
    volume = Volume(np.full((4, 32, 32), 7, np.int16), grid((32, 32, 4)))
    config = PreprocessConfig(in_plane_spacing_mm=1.0, window_size=(32, 32))
    with pytest.raises(VolumeError, match="constant: every voxel is 7"):
        network_slices(volume, slice_grid(volume, config), config)


def test_shrinking_smooths_instead_of_skipping_pixels():
    array = np.indices((4, 64, 64)).sum(axis=0) % 2 * 1.0  # a chessboard
    volume = Volume(array.astype(np.float32), grid((64, 64, 4)))
    config = PreprocessConfig(in_plane_spacing_mm=4.0, window_size=(32, 32))
    seen = network_slices(volume, slice_grid(volume, config), config)
    # 16 x 16 pixels of 4 x 4; without smoothing they would be 0 or 1
    np.testing.assert_allclose(seen[:, 9:23, 9:23], 0.5, atol=0.02)


def test_shading_is_evened_out_where_asked():
    geometry = grid((32, 32, 8), (3.0, 3.0, 6.0))
    rng = np.random.default_rng(3)
    tissue = np.where(body(geometry) > 0, 400.0, 20.0) + rng.normal(0, 5, geometry.array_shape)
    x = np.linspace(-1, 1, 32)
    shaded = Volume((tissue * (1 + 0.6 * x)).astype(np.float32), geometry)
    inside = ndimage.binary_erosion(body(geometry) > 0)
    spreads = []
    for corrected in (False, True):
        config = PreprocessConfig(
            in_plane_spacing_mm=3.0, window_size=(32, 32), bias_correction=corrected
        )
        where = slice_grid(shaded, config)
        seen = network_slices(shaded, where, config)
        spreads.append(seen[inside].std() / seen[inside].mean())
    assert spreads[0] > 0.1  # the shading of 60 % across the volume
    assert spreads[1] < 0.5 * spreads[0]


@pytest.mark.parametrize(
    ("spacing_mm", "window"), [(0.01, (64, 64)), (1.0, (40_000, 40_000))], ids=["pixels", "window"]
)
def test_slices_that_memory_cannot_hold_are_refused_before_they_are_made(
    monkeypatch, spacing_mm, window
):
    config = PreprocessConfig(in_plane_spacing_mm=spacing_mm, window_size=window)
    volume = Volume(np.ones((100, 400, 400), np.int8), grid((400, 400, 100)))
    with pytest.raises(VolumeError, match=r"100 slices of .* GB are free"):
        slice_grid(volume, config)
    monkeypatch.setattr(slice_grid_module, "free_memory_bytes", lambda: None)
    assert slice_grid(volume, config).window_shape == window


WHOLE = PreprocessConfig(whole_slices=True, max_window_size=64)


@FEW
@given(
    geometry=geometries(),
    axis=st.sampled_from((0, 1, 2)),
    pixel=st.floats(0.5, 3.0),
    directions_=st.none() | st.builds(in_plane_directions, directions()),
)
def test_nothing_of_a_whole_slice_is_cut_off(geometry, axis, pixel, directions_):
    config = replace(
        WHOLE, slicing_axis=axis, in_plane_spacing_mm=pixel, slice_directions=directions_
    )
    where = slice_grid(Volume(body(geometry), geometry), config)
    assert where.window_shape == where.resampled_shape
    assert window_holds_slice(where)
    everywhere = where.labels_to_network(where.slices_of(np.ones(geometry.array_shape, np.uint8)))
    assert everywhere.all()
    height, width = (n * pixel for n in where.window_shape)
    extents = sorted(mm for n, mm in enumerate(geometry.extent_mm) if n != axis)
    np.testing.assert_allclose(sorted((height, width)), extents, atol=pixel / 2 + 1e-6)


@FEW
@given(geometry=geometries(), axis=st.sampled_from((0, 1, 2)), seed=st.integers(0, 999))
def test_whole_slices_without_resampling_come_back_voxel_by_voxel(geometry, axis, seed):
    spacing = [0.7, 0.7, 0.7]
    spacing[axis] = geometry.spacing_mm[axis]
    geometry = replace(geometry, spacing_mm=tuple(spacing))
    config = replace(WHOLE, slicing_axis=axis, in_plane_spacing_mm=0.7)
    labels = np.random.default_rng(seed).integers(0, 3, geometry.array_shape).astype(np.int16)
    where = slice_grid(Volume(body(geometry), geometry), config)
    np.testing.assert_array_equal(there_and_back(labels, where), labels)


def test_patch_holds_the_median_slice_up_to_the_largest():
    grids = [grid((40 + 20 * n, 90 + 20 * n, 5), (1.0, 1.0, 5.0)) for n in range(3)]
    resolved = resolve_preprocess(WHOLE, grids, [])
    assert (resolved.window_size, resolved.patch_size) == (None, (64, 64))
    assert resolve_preprocess(replace(WHOLE, max_window_size=128), grids, []).patch_size == (
        128,
        64,
    )
    own = replace(WHOLE, patch_size=(32, 96))
    assert resolve_preprocess(own, grids, []).patch_size == (32, 96)


def test_window_that_was_asked_for_stays_a_window_although_slices_could_be_whole():
    resolved = resolve_preprocess(
        replace(WHOLE, window_size=(32, 64)), [grid((40, 90, 5), (1.0, 1.0, 5.0))], []
    )
    assert (resolved.window_size, resolved.patch_size) == ((32, 64), None)
    assert not resolved.sees_whole_slices


@pytest.mark.parametrize("wrong", [(64, 65), (0, 32), (32,), (32, 32, 32)])
def test_patch_that_no_network_can_halve_is_refused(wrong):
    with pytest.raises(ProjectError, match="patch_size"):
        PreprocessConfig(patch_size=wrong)


@st.composite
def volume_configs(draw):
    return replace(
        WHOLE,
        dimension=3,
        slicing_axis=draw(st.sampled_from((None, 0, 1, 2))),
        in_plane_spacing_mm=draw(st.floats(0.5, 3.0)),
        slice_spacing_mm=draw(st.floats(0.5, 6.0)),
        slice_directions=draw(st.none() | st.builds(in_plane_directions, directions())),
    )


def in_parts(slices, at_once):
    starts = range(0, len(slices), at_once)
    return [(slice(n, min(n + at_once, len(slices))), slices[n : n + at_once]) for n in starts]


def volume_there_and_back(labels, where):
    classes = where.labels_to_network(where.slices_of(labels))
    probabilities = np.moveaxis(np.eye(3, dtype=np.float32)[classes], 3, 1)
    back = torch.cat(
        [
            where.probabilities_to_native(said)
            for _, said in where.at_native_slices(in_parts(torch.tensor(probabilities), 4))
        ]
    )
    return where.volume_of(back.argmax(dim=1).numpy().astype(np.int16))


@FEW
@given(geometry=geometries(), config=volume_configs(), seed=st.integers(0, 999))
def test_resampled_slices_show_the_nearest_of_the_volume_and_come_back(geometry, config, seed):
    labels = np.random.default_rng(seed).integers(0, 3, geometry.array_shape).astype(np.int16)
    where = slice_grid(Volume(body(geometry), geometry), config)
    axis = where.slicing_axis
    extent_mm = geometry.size[axis] * geometry.spacing_mm[axis]
    assert abs(len(where.sources) - extent_mm / config.slice_spacing_mm) <= 1
    middles = (np.arange(len(where.sources)) + 0.5) * geometry.size[axis] / len(where.sources)
    assert (np.abs(where.sources + 0.5 - middles) <= 0.5 + 1e-6).all()
    flat = replace(where, resampled_slices=None)
    np.testing.assert_array_equal(
        where.labels_to_network(where.slices_of(labels)),
        flat.labels_to_network(flat.slices_of(labels))[where.sources],
    )
    back = volume_there_and_back(labels, where)
    assert back.shape == geometry.array_shape
    assert back.flags.c_contiguous


@FEW
@given(geometry=geometries(), axis=st.sampled_from((0, 1, 2)), seed=st.integers(0, 999))
def test_volume_without_resampling_comes_back_voxel_by_voxel(geometry, axis, seed):
    spacing = [0.7, 0.7, 0.7]
    spacing[axis] = 1.9
    geometry = replace(geometry, spacing_mm=tuple(spacing))
    config = replace(
        WHOLE, dimension=3, slicing_axis=axis, in_plane_spacing_mm=0.7, slice_spacing_mm=1.9
    )
    labels = np.random.default_rng(seed).integers(0, 3, geometry.array_shape).astype(np.int16)
    where = slice_grid(Volume(body(geometry), geometry), config)
    np.testing.assert_array_equal(volume_there_and_back(labels, where), labels)


@pytest.mark.parametrize("distance_mm", [1.0, 2.0, 3.0, 6.0])
def test_slope_along_the_slices_keeps_its_place_there_and_back(distance_mm):
    geometry = grid((8, 8, 24), (1.0, 1.0, 2.0))
    slope = np.broadcast_to(np.linspace(0, 1, 24, dtype=np.float32)[:, None, None], (24, 8, 8))
    config = replace(
        WHOLE, dimension=3, slicing_axis=2, in_plane_spacing_mm=1.0, slice_spacing_mm=distance_mm
    )
    where = slice_grid(Volume(slope, geometry), config)
    seen = where.images_to_network(where.slices_of(slope))
    places_mm = (np.arange(len(seen)) + 0.5) * 48 / len(seen)
    expected = (places_mm / 2.0 - 0.5) / 23
    inner = slice(2, -2) if distance_mm < 6 else slice(1, -1)
    # the smoothing of shrinking images is not quite even: by less than 0.05 of a slice
    np.testing.assert_allclose(seen[inner, 3, 3], expected[inner], atol=0.05 / 23)
    found = [
        list(where.at_native_slices(in_parts(torch.tensor(seen[:, None]), at_once)))
        for at_once in (1, 5, 99)
    ]
    back, *others = (torch.cat([said for _, said in one])[:, 0, 3, 3] for one in found)
    for one, other in zip(found, (back, *others), strict=True):
        assert [n for part, _ in one for n in range(part.start, part.stop)] == list(range(24))
        np.testing.assert_array_equal(other, back)
    np.testing.assert_allclose(back[6:-6], slope[6:-6, 3, 3], atol=0.05 / 23)


def test_block_and_slice_distance_follow_the_volumes():
    grids = [grid((64, 80, 20 + n), (1.0, 1.0, 3.0 + n)) for n in range(3)]
    config = replace(WHOLE, dimension=3, max_window_size=192)
    resolved = resolve_preprocess(config, grids, [])
    # slices are farther apart than pixels: the 10th percentile of 3, 4 and 5 mm
    assert resolved.slice_spacing_mm == pytest.approx(3.2)
    # the whole median volume of 26 such slices, which are halved twice
    assert resolved.patch_size == (28, 80, 64)
    own = resolve_preprocess(replace(config, patch_size=(5, 30, 30)), grids, [])
    assert own.patch_size[1:] == (32, 32)
