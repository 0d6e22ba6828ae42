"""The plan of a project is one sentence for a person."""

import pytest

from PseudoLabelCLLib.domain.network_plan import Extent
from PseudoLabelCLLib.domain.plan_in_words import better_extent_in_words, plan_in_words
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig

PIXEL = {"in_plane_spacing_mm": 1.36719}


@pytest.mark.parametrize(
    ("settled", "told"),
    [
        (
            PreprocessConfig(window_size=(192, 160), **PIXEL),
            "The network sees a window of 192 x 160 pixels of 1.37 mm in each slice; intensities "
            "are scaled for each volume by itself.",
        ),
        (
            PreprocessConfig(
                whole_slices=True, patch_size=(128, 96), ct_limits_hu=((-36.4, 78.2), None), **PIXEL
            ),
            "The network sees whole slices and learns from patches of 128 x 96 pixels of 1.37 mm; "
            "CT values from -36 to 78 HU are told apart.",
        ),
        (
            PreprocessConfig(window_size=(192, 160), neighbouring_slices=1, **PIXEL),
            "The network sees a window of 192 x 160 pixels of 1.37 mm in each slice, with 1 "
            "neighbouring slice on each side; intensities are scaled for each volume by itself.",
        ),
        (
            PreprocessConfig(
                whole_slices=True,
                dimension=3,
                patch_size=(32, 64, 64),
                slice_spacing_mm=3.0,
                in_plane_spacing_mm=0.8,
            ),
            "The network sees whole volumes in 3-D and learns from blocks of 32 x 64 x 64 voxels "
            "of 3 x 0.8 x 0.8 mm; intensities are scaled for each volume by itself.",
        ),
    ],
)
def test_plan_says_dimension_patch_voxels_and_intensities(settled, told):
    assert plan_in_words(settled) == told


def test_what_may_fit_better_is_said_only_where_the_network_sees_single_slices():
    alone = PreprocessConfig(window_size=(192, 160), **PIXEL)
    assert not better_extent_in_words(alone, Extent.SLICE)
    assert "neighbouring slices" in better_extent_in_words(alone, Extent.NEIGHBOURS)
    assert "in 3-D" not in better_extent_in_words(alone, Extent.NEIGHBOURS)
    assert "in 3-D" in better_extent_in_words(alone, Extent.BLOCK)
    with_one = PreprocessConfig(neighbouring_slices=1)
    in_3d = PreprocessConfig(whole_slices=True, dimension=3)
    assert not any(better_extent_in_words(one, Extent.BLOCK) for one in (with_one, in_3d))
