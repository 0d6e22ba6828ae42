"""What a project has settled about preprocessing, as `preprocessed/plan.json` keeps it."""

from dataclasses import dataclass
from pathlib import Path

from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.messages.json_codec import from_json, to_json
from PseudoLabelCLLib.storage.files.atomic_files import read_json, write_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout


@dataclass(frozen=True)
class _Plan:
    """The settings that it came from, and what was settled."""

    settings: PreprocessConfig
    resolved: PreprocessConfig


def settled_preprocess(root: Path, project: Project) -> PreprocessConfig | None:
    """Return what holds for all rounds; None before round 0, or if the file is gone.

    Raises:
        ProjectDamagedError: The file is damaged.
    """
    path = ProjectLayout(root).preprocess_plan
    if not project.rounds or not path.exists():
        return None
    return from_json(_Plan, read_json(path), path.name).resolved


def planned_preprocess(root: Path, project: Project) -> PreprocessConfig | None:
    """Return what holds, or before round 0 what was settled last with the settings as they are.

    Raises:
        ProjectDamagedError: The file is damaged, and a round needs it.
    """
    path = ProjectLayout(root).preprocess_plan
    if project.rounds or not path.exists():
        return settled_preprocess(root, project)
    try:
        plan = from_json(_Plan, read_json(path), path.name)
    except PseudoLabelCLError:
        return None  # it is settled again
    return plan.resolved if plan.settings == project.preprocess else None


def save_preprocess_plan(
    root: Path, settings: PreprocessConfig, resolved: PreprocessConfig
) -> None:
    """Keep what was settled.

    Raises:
        StorageError: The disk refuses.
    """
    write_json(ProjectLayout(root).preprocess_plan, to_json(_Plan(settings, resolved)))
