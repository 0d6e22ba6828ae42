"""A project's choice of the trained model that its round 0 starts from."""

import shutil
from dataclasses import replace
from pathlib import Path

from PseudoLabelCLLib.curation.check.check_vanishing import network_pixel_mm
from PseudoLabelCLLib.curation.export.model_card import read_starting_model
from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.pretraining_config import Pretraining
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.files.atomic_files import written_aside
from PseudoLabelCLLib.storage.project.preprocess_plan import settled_preprocess
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import save_cases


def start_from_model(root: Path, project: Project, file: Path) -> Project:
    """Let round 0 start from a trained model, whose file is copied into the project.

    Args:
        root: The project folder.
        project: The project as it is now.
        file: A model file, of this program but of any project.

    Raises:
        ProjectError: Round 0 has begun, a pre-training is chosen, or the model does not fit.
        ModelFileError: It is not a model file, is damaged, or of a newer version.
        StorageError: The disk refuses.
    """
    _require_before_round_0(project)
    if project.config.pretraining.method is not Pretraining.NONE:
        raise ProjectError(
            Text(
                "The project begins with pre-training, so round 0 cannot start from a model, too."
            ),
            Text("Choose one of the two: pretraining.method=none switches pre-training off."),
        )
    start = read_starting_model(file)
    settled = settled_preprocess(root, project)
    pixel_mm = network_pixel_mm(root, project, settled) if project.cases else None
    grid = replace(project.preprocess, in_plane_spacing_mm=pixel_mm or None)
    start.require_fit(project.channels, grid)
    with written_aside(ProjectLayout(root).starting_model) as temporary:
        shutil.copyfile(file, temporary)
    momentum = project.config.network.batch_norm_momentum
    network = replace(start.network, batch_norm_momentum=momentum)
    changed = replace(project, start=start, config=replace(project.config, network=network))
    save_cases(root, changed)
    return changed


def start_afresh(root: Path, project: Project) -> Project:
    """Let round 0 start from random weights again; the shape of the network stays.

    Raises:
        ProjectError: Round 0 has begun.
        StorageError: The disk refuses.
    """
    _require_before_round_0(project)
    changed = replace(project, start=None)
    save_cases(root, changed)
    ProjectLayout(root).starting_model.unlink(missing_ok=True)
    return changed


def _require_before_round_0(project: Project) -> None:
    if project.latest_round is not None:
        raise ProjectError(
            Text("Round 0 has begun; what it starts from can no longer be changed."),
            Text("Create a new project to start from another model."),
        )
