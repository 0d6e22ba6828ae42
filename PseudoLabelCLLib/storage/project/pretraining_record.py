"""What is known of a project's pre-training, beside the weights: `pretraining.json`."""

from dataclasses import dataclass, replace
from pathlib import Path

from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.errors import ProjectDamagedError, ProjectNewerError
from PseudoLabelCLLib.domain.method_config import Mirror
from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.pretraining_config import (
    GlobalLocalConfig,
    MaskedConfig,
    PositionalConfig,
    Pretraining,
    PretrainingConfig,
)
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.text import Text, counted, joined
from PseudoLabelCLLib.messages.json_codec import from_json, to_json
from PseudoLabelCLLib.storage.files.atomic_files import read_json, write_json
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout

# Format 2 has the channels of the project.
PRETRAINING_SCHEMA_VERSION = 2


@dataclass(frozen=True)
class PretrainingSettings:
    """The settings on which pre-trained weights depend.

    Args:
        config: The method; settings of another method are those of a new project.
        network: What was trained.
        mirror: Of the rounds' augmentation, where the method's views follow it, else None.
        seed: Of everything random.
        rotation_deg: Of the rounds' augmentation, where the method's views follow it, else None.
        channels: Images of a patient that the network sees at once; empty for one unnamed image.
    """

    config: PretrainingConfig
    network: NetworkConfig
    mirror: Mirror | None
    seed: int
    rotation_deg: float | None = None
    channels: tuple[str, ...] = ()


@dataclass(frozen=True)
class LossPoint:
    """The mean loss over some steps.

    Args:
        step: Steps done, counted over all stages.
        losses: The loss by the stage's name.
    """

    step: int
    losses: dict[str, float]


@dataclass(frozen=True)
class StageRecord:
    """How one stage went.

    Args:
        name: "global", "local", "positional" or "masked".
        num_steps: Its steps.
        first_loss: Mean loss of its first steps.
        last_loss: Mean loss of its last steps.
        collapsed_loss: The loss of a network that gives every view the same embedding, or fills in
            the mean of every slice.
    """

    name: str
    num_steps: int
    first_loss: float
    last_loss: float
    collapsed_loss: float


@dataclass(frozen=True)
class PretrainingRecord:
    """A pre-training that is done.

    Args:
        settings: What it was done with.
        preprocess: The grid of the network.
        cases: The volumes it learned from.
        left_out: Volumes with too few slices to be cut into parts.
        turned: Volumes whose slices were counted from the other end.
        num_decoder_blocks: Decoder blocks that were trained along with the encoder.
        stages: How they went.
        curve: The learning curve.
        device: What it ran on.
        duration_s: Time of all steps.
        finished: When, ISO 8601 with zone.
        schema_version: Of this file.
    """

    settings: PretrainingSettings
    preprocess: PreprocessConfig
    cases: tuple[str, ...]
    left_out: tuple[str, ...]
    turned: tuple[str, ...]
    num_decoder_blocks: int
    stages: tuple[StageRecord, ...]
    curve: tuple[LossPoint, ...]
    device: str
    duration_s: float
    finished: str
    schema_version: int = PRETRAINING_SCHEMA_VERSION

    @property
    def sentence(self) -> Text:
        """Method, volumes, steps and losses for a person."""
        steps = [
            Text(
                "{stage} loss {first:.3g} to {last:.3g} in {count} steps",
                stage=stage.name,
                first=stage.first_loss,
                last=stage.last_loss,
                count=stage.num_steps,
            )
            for stage in self.stages
        ]
        return counted(
            len(self.cases),
            "Pre-training '{method}' on {count} volume: {steps}.",
            "Pre-training '{method}' on {count} volumes: {steps}.",
            method=self.settings.config.method.value,
            steps=joined(*steps, by="; "),
        )


def pretraining_settings(project: Project) -> PretrainingSettings:
    """Return the project's settings of pre-training, without those that play no part."""
    config = project.config.pretraining
    if config.method is not Pretraining.GLOBAL_LOCAL:
        config = replace(config, global_local=GlobalLocalConfig())
    if config.method is not Pretraining.POSITIONAL:
        config = replace(config, positional=PositionalConfig())
    if config.method is not Pretraining.MASKED:
        config = replace(config, masked=MaskedConfig())
    training = project.config.training
    settings = PretrainingSettings(
        config, project.config.network, None, training.seed, channels=project.channels
    )
    if config.method is not Pretraining.POSITIONAL:
        return settings
    warp = training.augmentation
    return replace(settings, mirror=warp.mirror, rotation_deg=warp.rotation_deg)


def pretraining_cases(project: Project) -> tuple[str, ...]:
    """Return the cases that pre-training may see: all but validation and ignored ones.

    Validation cases would be measured on a network that knows their images (the published
    positional pre-training does see them).
    """
    roles = (CaseRole.ANNOTATED, CaseRole.UNLABELLED)
    return tuple(case.id for case in project.cases if case.role in roles)


def read_pretraining(root: Path) -> PretrainingRecord | None:
    """Return what is known of the pre-training, or None where none is done.

    Raises:
        ProjectDamagedError: The file is not what was written.
        ProjectNewerError: A newer version wrote it.
        StorageError: It cannot be read.
    """
    layout = ProjectLayout(root)
    path = layout.pretraining_record
    if not path.exists() or not layout.pretrained_weights.exists():
        return None
    where = path.relative_to(root).as_posix()
    told = read_json(path, where)
    version = told.get("schema_version") if isinstance(told, dict) else None
    if isinstance(version, int) and version > PRETRAINING_SCHEMA_VERSION:
        raise ProjectNewerError(
            Text(
                "A newer version of PseudoLabelCL wrote {where} (schema {version}; this "
                "version knows {known}).",
                where=where,
                version=version,
                known=PRETRAINING_SCHEMA_VERSION,
            ),
            Text("Update PseudoLabelCL, then open the project again."),
        )
    try:
        return from_json(PretrainingRecord, told, where)
    except ProjectDamagedError as error:
        raise ProjectDamagedError(
            error.message,
            Text("Delete the folder 'pretraining'; the pre-training is then done again."),
        ) from error


def write_pretraining(root: Path, record: PretrainingRecord) -> None:
    """Write what is known of the pre-training.

    Raises:
        StorageError: The disk refuses.
    """
    write_json(ProjectLayout(root).pretraining_record, to_json(record))
