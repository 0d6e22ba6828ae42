"""What a model file can do, and a copy of a round's model, both without torch."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path

from PseudoLabelCLLib.domain.config import Selection
from PseudoLabelCLLib.domain.errors import ModelFileError, ProjectError, PseudoLabelCLError
from PseudoLabelCLLib.domain.network_config import NetworkConfig
from PseudoLabelCLLib.domain.preprocess_config import PreprocessConfig
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.domain.starting_model import StartingModel, require_segmenting
from PseudoLabelCLLib.domain.text import NO_TEXT, Text, counted, names_in, pattern
from PseudoLabelCLLib.messages.answers import ModelSummary
from PseudoLabelCLLib.messages.json_codec import JsonValue, from_json
from PseudoLabelCLLib.storage.files.atomic_files import written_aside
from PseudoLabelCLLib.storage.files.fingerprint import file_fingerprint
from PseudoLabelCLLib.storage.project.model_archive import read_model_archive
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout

# Cards up to this version are understood; each later one says so.
NEWEST_CARD_VERSION = 5

# How the weights were chosen, by `training.selection`: what that makes of their Dice.
_SELECTIONS = {
    Selection.BEST.value: pattern(
        " (the best of {number} measurements on the same cases, so likely higher than on new ones)"
    ),
    Selection.LAST_IMPROVEMENT.value: pattern(
        " (the last improvement of {number} measurements on the same cases, so likely higher than "
        "on new ones)"
    ),
    Selection.LAST.value: pattern(" (of the last weights, which it did not choose)"),
}


@dataclass(frozen=True)
class _Training:
    """What a card tells of its training that a person wants to know."""

    project: str
    round_index: int
    num_human_cases: int
    num_pseudo_cases: int
    validation_dice: float | None
    num_validation_cases: int = 0
    selection: str = ""
    num_validations: int = 0


def read_model_card(path: Path) -> ModelSummary:
    """Tell what a model file can do.

    Raises:
        ModelFileError: It is not a model file, is damaged, unsafe, or of a newer version.
        StorageError: The disk refuses.
    """
    told = _read_card(path)
    with _damage_told(path):
        labels = from_json(LabelSchema, told.get("schema"), "model.json, schema")
        training = from_json(_Training, _told_training(told), "model.json, training")
        channels = _told_channels(told)
        require_segmenting(path, _num_pretrained_on(told))
    return ModelSummary(
        str(path.absolute()),
        file_fingerprint(path),
        labels,
        _sentence_about(training),
        channels,
    )


def read_starting_model(path: Path) -> StartingModel:
    """Tell what matters of a model file where training starts from it.

    Raises:
        ModelFileError: It is not a model file, is damaged, unsafe, or of a newer version.
        StorageError: The disk refuses.
    """
    told = _read_card(path)
    with _damage_told(path):
        labels = from_json(LabelSchema, told.get("schema"), "model.json, schema")
        training = from_json(_Training, _told_training(told), "model.json, training")
        return StartingModel(
            project=training.project,
            round_index=training.round_index,
            fingerprint=file_fingerprint(path),
            structures=labels.names,
            channels=_told_channels(told),
            network=from_json(NetworkConfig, told.get("network"), "model.json, network"),
            preprocess=from_json(
                PreprocessConfig, told.get("preprocess"), "model.json, preprocess"
            ),
            num_pretrained_on=_num_pretrained_on(told),
        )


def save_model(root: Path, project: Project, round_index: int, file: Path) -> ModelSummary:
    """Copy the model of a round to a file of its own.

    A model file that is there already is replaced; anything else stays.

    Raises:
        ProjectError: The round has no model, or the file lies among the project's rounds.
        ModelFileError: The round's model is damaged, or the file exists and is not a model file.
        StorageError: The disk refuses.
    """
    layout = ProjectLayout(root)
    source = layout.model(round_index)
    if not 0 <= round_index < len(project.rounds) or not source.is_file():
        raise ProjectError(
            Text("Round {index} has no trained model yet.", index=round_index),
            Text("Let the training finish, or choose another round."),
        )
    card = read_model_card(source)
    if file.resolve().is_relative_to(layout.rounds.resolve()):
        raise ProjectError(
            Text(
                "'{file}' lies among the rounds of the project, which keep their own models.",
                file=file,
            ),
            Text("Choose another folder."),
        )
    require_replaceable(file)
    with written_aside(file) as temporary:
        shutil.copyfile(source, temporary)
    return replace(card, file=str(file.absolute()))


def require_replaceable(file: Path) -> None:
    """Refuse to replace a file that is not a model file.

    Raises:
        ModelFileError: It is something else.
    """
    if not file.exists():
        return
    try:
        read_model_archive(file)
    except ModelFileError as error:
        raise ModelFileError(
            Text("'{file}' already exists and is not a model file.", file=file),
            Text("Choose another name."),
        ) from error


def _read_card(path: Path) -> dict[str, JsonValue]:
    """Return what a model file says of itself.

    Raises:
        ModelFileError: It is not a model file, is damaged, unsafe, or of a newer version.
    """
    told, _ = read_model_archive(path)
    if not isinstance(told, dict):
        raise _damaged(path, Text("expected a JSON object"))
    version = told.get("schema_version")
    if isinstance(version, int) and version > NEWEST_CARD_VERSION:
        raise ModelFileError(
            Text(
                "'{file}' was written by a newer version (model format {version}, this "
                "program knows {known}).",
                file=path.name,
                version=version,
                known=NEWEST_CARD_VERSION,
            ),
            Text("Update PseudoLabelCL."),
        )
    return told


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except ModelFileError:
        raise
    except PseudoLabelCLError as error:
        raise _damaged(path, error.message) from error


def _damaged(path: Path, reason: str) -> ModelFileError:
    return ModelFileError(
        Text("The description in '{file}' is damaged: {reason}", file=path.name, reason=reason),
        Text("Get the model file again from where it came."),
    )


def _told_channels(told: dict[str, JsonValue]) -> tuple[str, ...]:
    return from_json(tuple[str, ...], told.get("channels") or [], "model.json, channels")


def _num_pretrained_on(told: dict[str, JsonValue]) -> int:
    return from_json(int, told.get("num_pretrained_on") or 0, "model.json, num_pretrained_on")


def _told_training(told: dict[str, JsonValue]) -> JsonValue:
    """Return the known fields of the training; cards may tell more."""
    training = told.get("training")
    if not isinstance(training, dict):
        return training
    return {f.name: training[f.name] for f in fields(_Training) if f.name in training}


def _sentence_about(training: _Training) -> Text:
    taught_by = counted(
        training.num_human_cases, "{count} human segmentation", "{count} human segmentations"
    )
    if training.num_pseudo_cases:
        pseudo = counted(training.num_pseudo_cases, "{count} pseudo-label", "{count} pseudo-labels")
        taught_by = Text("{human} and {pseudo}", human=taught_by, pseudo=pseudo)
    return Text(
        "Round {index} of the project '{project}', trained on {cases}{quality}.",
        index=training.round_index,
        project=training.project,
        cases=taught_by,
        quality=_quality_of(training),
    )


def _quality_of(training: _Training) -> Text:
    if training.validation_dice is None:
        return NO_TEXT
    number, how = training.num_validation_cases, _SELECTIONS.get(training.selection, "")
    cases = counted(number, "{count} validation case", "{count} validation cases")
    known = {"number": training.num_validations}
    return Text(
        "; Dice {dice:.2f} on {cases}{selection}",
        dice=training.validation_dice,
        cases=cases if number else Text("validation cases"),
        selection=Text(how, **{name: known[name] for name in names_in(how)}),
    )
