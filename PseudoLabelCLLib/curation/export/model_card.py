"""What a model file can do, and a copy of a round's model, both without torch."""

import shutil
from dataclasses import dataclass, fields
from pathlib import Path

from PseudoLabelCLLib.domain.config import Selection
from PseudoLabelCLLib.domain.errors import ModelFileError, ProjectError, PseudoLabelCLError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.segmentation import LabelSchema
from PseudoLabelCLLib.messages.answers import ModelSummary
from PseudoLabelCLLib.messages.json_codec import JsonValue, from_json
from PseudoLabelCLLib.storage.files.atomic_files import written_aside
from PseudoLabelCLLib.storage.files.fingerprint import file_fingerprint
from PseudoLabelCLLib.storage.project.model_archive import read_model_archive
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout

# Cards up to this version are understood; each later one says so.
NEWEST_CARD_VERSION = 4

# How the weights were chosen, by `training.selection`: what that makes of their Dice.
_CHOSEN = "of {number} measurements on the same cases, so likely higher than on new ones"
_SELECTIONS = {
    Selection.BEST.value: f"the best {_CHOSEN}",
    Selection.LAST_IMPROVEMENT.value: f"the last improvement {_CHOSEN}",
    Selection.LAST.value: "of the last weights, which it did not choose",
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
    told, _ = read_model_archive(path)
    version = told.get("schema_version") if isinstance(told, dict) else None
    if isinstance(version, int) and version > NEWEST_CARD_VERSION:
        raise ModelFileError(
            f"'{path.name}' was written by a newer version (model format {version}, "
            f"this program knows {NEWEST_CARD_VERSION}).",
            "Update PseudoLabelCL.",
        )
    try:
        labels = from_json(LabelSchema, _part(told, "schema"), "model.json, schema")
        training = from_json(_Training, _told_training(told), "model.json, training")
    except PseudoLabelCLError as error:
        raise ModelFileError(
            f"The description in '{path.name}' is damaged: {error.message}",
            "Get the model file again from where it came.",
        ) from error
    return ModelSummary(
        str(path.absolute()), file_fingerprint(path), labels, _sentence_about(training)
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
            f"Round {round_index} has no trained model yet.",
            "Let the training finish, or choose another round.",
        )
    card = read_model_card(source)
    if file.resolve().is_relative_to(layout.rounds.resolve()):
        raise ProjectError(
            f"'{file}' lies among the rounds of the project, which keep their own models.",
            "Choose another folder.",
        )
    _require_replaceable(file)
    with written_aside(file) as temporary:
        shutil.copyfile(source, temporary)
    return ModelSummary(str(file.absolute()), card.fingerprint, card.labels, card.trained_on)


def _require_replaceable(file: Path) -> None:
    if not file.exists():
        return
    try:
        read_model_archive(file)
    except ModelFileError as error:
        raise ModelFileError(
            f"'{file}' already exists and is not a model file.", "Choose another name."
        ) from error


def _part(told: JsonValue, name: str) -> JsonValue:
    return told.get(name) if isinstance(told, dict) else None


def _told_training(told: JsonValue) -> JsonValue:
    """Return the known fields of the training; cards may tell more."""
    training = _part(told, "training")
    if not isinstance(training, dict):
        return training
    return {f.name: training[f.name] for f in fields(_Training) if f.name in training}


def _sentence_about(training: _Training) -> str:
    text = (
        f"Round {training.round_index} of the project '{training.project}', trained on "
        f"{_counted(training.num_human_cases, 'human segmentation')}"
    )
    if training.num_pseudo_cases:
        text += f" and {_counted(training.num_pseudo_cases, 'pseudo-label')}"
    if training.validation_dice is not None:
        number = training.num_validation_cases
        cases = _counted(number, "validation case") if number else "validation cases"
        text += f"; Dice {training.validation_dice:.2f} on {cases}"
        how = _SELECTIONS.get(training.selection)
        text += "" if how is None else f" ({how.format(number=training.num_validations)})"
    return f"{text}."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
