"""What the papers set for their data sets; the figures are those of the papers and their code."""

import pytest

from PseudoLabelCLLib.command_line.settings import config_from_arguments
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.presets import PRESETS

# pixel size in mm, sides of the window, N4, threshold of the positional loss
PUBLISHED = {
    "acdc": (1.36719, (192, 192), True, 0.35),
    "prostate": (0.625, (192, 192), True, 0.35),
    "mmwhs": (1.5, (160, 160), True, 0.35),
    "chd": (None, (512, 512), False, 0.1),
    "hvsmr": (0.7, (352, 352), False, 0.35),
}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sets_what_is_published_of_its_data_set(name):
    config = config_from_arguments("paper", (), name)
    preprocess = config.preprocess
    assert (
        preprocess.in_plane_spacing_mm,
        preprocess.window_size,
        preprocess.bias_correction,
        config.pretraining.positional.threshold,
    ) == PUBLISHED[name]


@pytest.mark.parametrize("profile", [profile.value for profile in Profile])
@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_goes_with_every_profile(profile, name):
    preprocess = config_from_arguments(profile, (), name).preprocess
    assert preprocess.window_size == PUBLISHED[name][1]


def test_the_code_alone_smooths_prostates_less_and_takes_slices_with_one_structure():
    legacy, paper = (config_from_arguments(name, (), "prostate") for name in ("legacy", "paper"))
    assert (legacy.training.joint.min_structures, legacy.pseudo_label.clean_up.sigma_px) == (1, 5)
    assert paper.training == config_from_arguments("paper", ()).training
    assert config_from_arguments("legacy", (), "acdc").training.joint.min_structures == 2


def test_what_is_typed_goes_before_the_preset():
    config = config_from_arguments("paper", ("preprocess.in_plane_spacing_mm=2",), "acdc")
    assert config.preprocess.in_plane_spacing_mm == 2
    assert config.preprocess.window_size == (192, 192)
