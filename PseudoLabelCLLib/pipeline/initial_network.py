"""The weights that a round starts from."""

import torch

from PseudoLabelCLLib.learning.network import SegmentationNetwork
from PseudoLabelCLLib.pipeline.model_file import read_model
from PseudoLabelCLLib.pipeline.round_data import RoundInputs
from PseudoLabelCLLib.storage.project_layout import ProjectLayout


def initial_network(inputs: RoundInputs, seed: int) -> SegmentationNetwork:
    """Return random weights for round 0, later those selected in the round before."""
    if inputs.plan.index == 0:
        generator = torch.Generator().manual_seed(seed)
        return SegmentationNetwork(
            inputs.project.config.network, inputs.project.schema.num_classes, generator
        )
    return read_model(ProjectLayout(inputs.root).model(inputs.plan.index - 1)).network
