"""The weights that a round starts from."""

import torch

from PseudoLabelCLLib.domain.network_plan import settle_network
from PseudoLabelCLLib.domain.pretraining_config import Pretraining
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.pretraining.pretrained_weights import load_pretrained
from PseudoLabelCLLib.pipeline.prediction.model_file import read_model
from PseudoLabelCLLib.pipeline.rounds.pretrain import transferred_weights
from PseudoLabelCLLib.pipeline.rounds.round_data import RoundInputs
from PseudoLabelCLLib.storage.project.pretraining_record import pretraining_settings
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout


def initial_network(inputs: RoundInputs, seed: int) -> SegmentationNetwork:
    """Return random weights for round 0, later those selected in the round before.

    After a pre-training, round 0 has its weights in the encoder and the decoder blocks that were
    trained; all others are random.

    Raises:
        ProjectDamagedError: The pre-trained weights are damaged, or fit another network.
    """
    layout = ProjectLayout(inputs.root)
    if inputs.plan.index > 0:
        return read_model(layout.model(inputs.plan.index - 1)).network
    project = inputs.project
    generator = torch.Generator().manual_seed(seed)
    config = settle_network(project.config.network, inputs.preprocess)
    network = SegmentationNetwork(
        config, project.schema.num_classes, generator, project.num_channels
    )
    if project.config.pretraining.method is not Pretraining.NONE:
        names = transferred_weights(network, pretraining_settings(project))
        load_pretrained(layout.pretrained_weights, network, names)
    return network
