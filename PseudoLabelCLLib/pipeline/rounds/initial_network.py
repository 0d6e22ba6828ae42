"""The weights that a round starts from."""

from dataclasses import replace

import torch

from PseudoLabelCLLib.domain.errors import ProjectDamagedError, ProjectError
from PseudoLabelCLLib.domain.network_plan import settle_network
from PseudoLabelCLLib.domain.pretraining_config import Pretraining
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.starting_model import StartingModel
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.pretraining.pretrained_weights import load_pretrained
from PseudoLabelCLLib.pipeline.prediction.model_file import read_model
from PseudoLabelCLLib.pipeline.rounds.pretrain import transferred_weights
from PseudoLabelCLLib.pipeline.rounds.round_data import RoundInputs
from PseudoLabelCLLib.storage.files.fingerprint import file_fingerprint
from PseudoLabelCLLib.storage.project.pretraining_record import pretraining_settings
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout

# What tells the structures apart, by the names of its weights.
_OUTPUT_LAYERS = ("segmentation_head.", "classifier.")


def initial_network(inputs: RoundInputs, seed: int) -> SegmentationNetwork:
    """Return random weights for round 0, later those selected in the round before.

    With `training.fresh_network` later rounds begin as round 0 did, with random numbers of their
    own. Where the project starts from a trained model, round 0 has its weights, those of the output
    layers only if the structures are the same. After a pre-training it has that one's weights in
    the encoder and the decoder blocks that were trained. All others are random.

    Raises:
        ProjectError: The model to start from is unlike the project.
        ProjectDamagedError: The pre-trained weights are damaged, or fit another network; or the
            model to start from is not the one that was chosen.
    """
    layout = ProjectLayout(inputs.root)
    if inputs.plan.index > 0 and not inputs.training.fresh_network:
        return read_model(layout.model(inputs.plan.index - 1)).network
    project = inputs.project
    generator = torch.Generator().manual_seed(seed)
    config = settle_network(project.config.network, inputs.preprocess)
    network = SegmentationNetwork(
        config,
        project.schema.num_classes,
        generator,
        project.num_channels * inputs.preprocess.slices_at_once,
    )
    if project.start is not None:
        _take_over(network, project, project.start, inputs)
    elif project.config.pretraining.method is not Pretraining.NONE:
        names = transferred_weights(network, pretraining_settings(project))
        load_pretrained(layout.pretrained_weights, network, names)
    return network


def _take_over(
    network: SegmentationNetwork, project: Project, start: StartingModel, inputs: RoundInputs
) -> None:
    """Put the weights of the model that a project starts from into its network."""
    start.require_fit(project.channels, inputs.preprocess)
    path = ProjectLayout(inputs.root).starting_model
    if not path.is_file() or file_fingerprint(path) != start.fingerprint:
        raise ProjectDamagedError(
            Text(
                "The model that round 0 starts from ('{file}') is missing, or is not the one "
                "that was chosen.",
                file=path.name,
            ),
            Text("Choose the model again, or start without one."),
        )
    learned = read_model(path).network
    if replace(learned.config, batch_norm_momentum=network.config.batch_norm_momentum) != (
        network.config
    ):
        raise ProjectError(
            Text(
                "The settings of the network (network.*) no longer fit the model that round 0 "
                "starts from."
            ),
            Text("Choose the model again, or start without one."),
        )
    weights = learned.state_dict()
    if not start.segments_the_same(project.schema):
        own = network.state_dict()
        weights |= {name: own[name] for name in own if name.startswith(_OUTPUT_LAYERS)}
    network.load_state_dict(weights)
