"""What a network sees at once; in 3-D what it halves, where it convolves, how large blocks are."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.geometry import Geometry
from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.network_plan import (
    BLOCK_VOXELS,
    SMALLEST_SIDE,
    Extent,
    fitting_block,
    fitting_extent,
    largest_block,
    plan_levels,
    settle_network,
)
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig

shapes = st.tuples(*[st.integers(1, 300)] * 3)
spacings = st.tuples(*[st.floats(0.3, 8.0)] * 3)


def test_hippocampus_is_halved_three_times_as_nnunet_plans_it():
    # nnU-Net, Task04: patch 40 x 56 x 40 at 1 mm, pooled 3 times along each axis
    assert fitting_block((36, 50, 35), (1.0, 1.0, 1.0), 6) == (40, 56, 40)
    levels = plan_levels((40, 56, 40), (1.0, 1.0, 1.0), 6)
    assert levels.strides == ((2, 2, 2),) * 3
    assert levels.kernels == ((3, 3, 3),) * 4


def test_prostate_slices_are_not_mixed_until_the_spacings_match_as_nnunet_plans_it():
    # nnU-Net, Task05: 20 x 320 x 256 at 3.6 x 0.62 x 0.62 mm: kernels (1, 3, 3) on the first
    # levels, and slices halved only after rows and columns were
    levels = plan_levels((20, 320, 256), (3.6, 0.62, 0.62), 6)
    assert levels.kernels[:2] == ((1, 3, 3), (1, 3, 3))
    assert levels.kernels[2:] == ((3, 3, 3),) * (len(levels.kernels) - 2)
    assert levels.strides[:2] == ((1, 2, 2), (1, 2, 2))
    assert levels.strides[2] == (2, 2, 2)


@settings(deadline=None)
@given(shape=shapes, spacing=spacings, most=st.integers(1, 6))
def test_enlarged_block_can_be_halved_and_has_the_same_levels(shape, spacing, most):
    block = fitting_block(shape, spacing, most)
    levels = plan_levels(block, spacing, most)
    assert levels == plan_levels(shape, spacing, most)
    assert len(levels.kernels) == len(levels.strides) + 1 <= most
    for axis in range(3):
        halvings = math.prod(stride[axis] for stride in levels.strides)
        assert block[axis] % halvings == 0
        assert 0 <= block[axis] - shape[axis] < halvings
        assert halvings == 1 or block[axis] // halvings >= SMALLEST_SIDE


@settings(deadline=None)
@given(shape=shapes, spacing=spacings)
def test_automatic_block_fits_the_volume_and_the_budget(shape, spacing):
    block = largest_block(shape, spacing)
    assert all(1 <= side <= size for side, size in zip(block, shape, strict=True))
    assert math.prod(block) <= BLOCK_VOXELS
    if math.prod(shape) <= BLOCK_VOXELS:
        assert block == shape


def test_automatic_block_is_as_cubic_in_mm_as_the_volume_allows():
    assert largest_block((900, 512, 512), (1.5, 0.75, 0.75)) == (32, 64, 64)
    assert largest_block((10, 512, 512), (1.0, 1.0, 1.0)) == (10, 114, 114)


def test_network_of_a_project_in_2d_stays_as_it_is():
    settled = PreprocessConfig(in_plane_spacing_mm=1.0, window_size=(64, 64))
    assert settle_network(NetworkConfig(), settled) == NetworkConfig()


def test_network_of_a_project_in_3d_has_the_levels_of_its_block():
    settled = PreprocessConfig(
        in_plane_spacing_mm=1.0, whole_slices=True, dimension=3, slice_spacing_mm=4.0,
        patch_size=(8, 64, 64),
    )  # fmt: skip
    network = settle_network(NetworkConfig(), settled)
    assert network.dimension == 3
    assert network.strides[0] == (1, 2, 2)
    assert all(side % n == 0 for side, n in zip((8, 64, 64), network.multiple, strict=True))
    assert network.num_decoder_blocks == len(network.strides)


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"dimension": 4}, "dimension"),
        ({"dimension": 3}, "whole_slices"),
        ({"dimension": 3, "whole_slices": True, "window_size": (64, 64)}, "window_size"),
        ({"dimension": 3, "whole_slices": True, "patch_size": (64, 64)}, "patch_size"),
        ({"dimension": 3, "whole_slices": True, "slice_spacing_mm": 0.0}, "slice_spacing_mm"),
        ({"slice_spacing_mm": 2.0}, "slice_spacing_mm"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_the_dimension_are_refused(changes, setting):
    with pytest.raises(ProjectError, match=setting):
        PreprocessConfig(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"kernels": ((3, 3, 3),) * 3, "strides": ((2, 2, 2),)},
        {"strides": ((2, 2, 2),)},
        {"kernels": ((3, 3, 3),) * 2, "strides": ((2, 3, 2),)},
        {"kernels": ((3, 3, 3), (3, 2, 3)), "strides": ((2, 2, 2),)},
        {"kernels": ((3, 3, 3),) * 7, "strides": ((2, 2, 2),) * 6},
    ],
    ids=["too many kernels", "no kernels", "a stride of 3", "a kernel of 2", "too many levels"],
)
def test_levels_that_no_network_has_are_refused(changes):
    with pytest.raises(ProjectError, match=r"kernels|strides"):
        NetworkConfig(**changes)


def volume(spacing_mm, num_slices):
    identity = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    return Geometry((200, 180, num_slices), spacing_mm, (0.0, 0.0, 0.0), identity)


@pytest.mark.parametrize(
    ("spacing_mm", "num_slices", "expected"),
    [
        ((1.56, 1.56, 10.0), 10, Extent.SLICE),  # short axis of the heart (ACDC)
        ((0.62, 0.62, 3.6), 20, Extent.SLICE),  # prostate
        ((0.8, 0.8, 2.5), 100, Extent.SLICE),  # 3.1 pixels apart
        ((0.8, 0.8, 2.4), 100, Extent.NEIGHBOURS),  # 3 pixels apart
        ((0.8, 0.8, 1.6), 100, Extent.NEIGHBOURS),  # 2 pixels apart
        ((0.8, 0.8, 1.5), 100, Extent.BLOCK),
        ((1.0, 1.0, 1.0), 7, Extent.SLICE),
        ((1.0, 1.0, 1.0), 8, Extent.NEIGHBOURS),
        ((1.0, 1.0, 1.0), 31, Extent.NEIGHBOURS),
        ((1.0, 1.0, 1.0), 32, Extent.BLOCK),
    ],
)
def test_grids_of_volumes_say_how_much_a_network_would_see(spacing_mm, num_slices, expected):
    config = PreprocessConfig(slicing_axis=2)
    assert fitting_extent(config, [volume(spacing_mm, num_slices)]) is expected


def test_one_volume_of_many_does_not_decide_what_a_network_would_see():
    config = PreprocessConfig(slicing_axis=2)
    thick, thin = volume((1.0, 1.0, 8.0), 12), volume((1.0, 1.0, 1.0), 120)
    assert fitting_extent(config, [thin, thick, thin]) is Extent.BLOCK
    assert fitting_extent(config, [thick, thick, thin]) is Extent.SLICE


def test_slices_are_counted_along_the_axis_that_volumes_are_cut_along():
    thick = volume((1.0, 1.0, 2.0), 40)  # pixels of 1 x 2 mm, cut along the first axis
    assert fitting_extent(PreprocessConfig(slicing_axis=0), [thick]) is Extent.BLOCK
    assert fitting_extent(PreprocessConfig(slicing_axis=2), [thick]) is Extent.NEIGHBOURS
