"""What a pre-training leaves for other projects: a model file that they can start from."""

from dataclasses import replace
from pathlib import Path

from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.learning.networks.network import SegmentationNetwork
from PseudoLabelCLLib.learning.pretraining.pretrained_weights import load_pretrained
from PseudoLabelCLLib.pipeline.prediction.model_file import ModelCard, TrainingSummary, write_model
from PseudoLabelCLLib.pipeline.slices.slice_grid import in_plane_spacing, slice_distance
from PseudoLabelCLLib.storage.project.pretraining_record import PretrainingRecord
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout


def write_pretrained_model(
    root: Path,
    project: Project,
    record: PretrainingRecord,
    fresh: SegmentationNetwork,
    names: tuple[str, ...],
) -> None:
    """Write the network as round 0 of the project would begin with it.

    Args:
        root: The project folder, in which the pre-trained weights lie.
        project: The project.
        record: What the pre-training was.
        fresh: A network with random weights, which is changed.
        names: Of the weights that are handed over.

    Raises:
        StorageError: The disk refuses.
    """
    layout = ProjectLayout(root)
    load_pretrained(layout.pretrained_weights, fresh, names)
    card = _card(project, record.preprocess, record)
    write_model(layout.pretrained_model, fresh, replace(card, network=fresh.config))


def _card(project: Project, preprocess: PreprocessConfig, record: PretrainingRecord) -> ModelCard:
    cases = [project.case(case_id) for case_id in record.cases]
    spacings = [s for case in cases for s in in_plane_spacing(case.geometry, preprocess)]
    distances = [slice_distance(case.geometry, preprocess) for case in cases]
    steps = sum(stage.num_steps for stage in record.stages)
    return ModelCard(
        schema=project.schema,
        preprocess=preprocess,
        network=project.config.network,
        pseudo_label=project.config.pseudo_label,
        mirror_copies=False,
        seed=project.config.training.seed,
        training=TrainingSummary(
            project=project.name,
            round_index=0,
            num_human_cases=0,
            num_pseudo_cases=0,
            in_plane_spacing_mm=(min(spacings), max(spacings)),
            slice_spacing_mm=(min(distances), max(distances)),
            validation_dice=None,
            selected_at_step=steps,
            num_steps=steps,
            profile=project.config.profile.value,
            device=record.device,
            finished=record.finished,
        ),
        channels=project.channels,
        num_pretrained_on=len(cases),
    )
