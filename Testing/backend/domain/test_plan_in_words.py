"""The plan of a project is one sentence for a person."""

import pytest

from PseudoLabelCLLib.domain.plan_in_words import plan_in_words
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
