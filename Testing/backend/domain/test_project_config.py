"""Settings of different parts of a project that must fit each other."""

from dataclasses import replace

import pytest

from PseudoLabelCLLib.command_line.settings import config_from_arguments
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.network_config import Backbone, NetworkConfig
from PseudoLabelCLLib.domain.pretraining_config import (
    GlobalLocalConfig,
    Pretraining,
    PretrainingConfig,
)
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.learning.networks.backbone import build_backbone


def config_with(backbone, method, num_decoder_blocks):
    settings = GlobalLocalConfig(num_decoder_blocks=num_decoder_blocks)
    return replace(
        config_for(Profile.QUICK),
        network=NetworkConfig(backbone=backbone),
        pretraining=PretrainingConfig(method, settings),
    )


@pytest.mark.parametrize("backbone", Backbone)
def test_settings_know_how_many_decoder_blocks_a_backbone_has(backbone):
    network = NetworkConfig(backbone=backbone, widths=(2,) * 6)
    assert network.num_decoder_blocks == build_backbone(network).num_decoder_blocks


@pytest.mark.parametrize("backbone", Backbone)
def test_pretraining_takes_every_decoder_block_and_no_more(backbone):
    most = NetworkConfig(backbone=backbone).num_decoder_blocks
    config_with(backbone, Pretraining.GLOBAL_LOCAL, most)
    with pytest.raises(ProjectError, match=r"'pretraining\..*num_decoder_blocks'|1\.\.5"):
        config_with(backbone, Pretraining.GLOBAL_LOCAL, most + 1)


@pytest.mark.parametrize("method", [Pretraining.NONE, Pretraining.POSITIONAL])
def test_decoder_blocks_that_no_pretraining_trains_do_not_matter(method):
    config = config_with(Backbone.BASIC_UNET, method, 5)
    assert config.pretraining.method is method


def test_typed_settings_that_do_not_fit_are_told_with_the_backbone():
    typed = ["network.backbone=basic-unet", "pretraining.method=global+local"]
    typed += ["pretraining.global_local.num_decoder_blocks=5"]
    with pytest.raises(ProjectError, match=r"at most 4.*network\.backbone=basic-unet; it is 5"):
        config_from_arguments("quick", typed)
