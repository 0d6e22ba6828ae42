"""What a model file can do, and a copy of a round's model, both without torch."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TypeVar

from PseudoLabelCLLib.domain.config import Selection
from PseudoLabelCLLib.domain.errors import (
    ModelFileError,
    ProjectError,
    PseudoLabelCLError,
    StorageError,
)
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
from PseudoLabelCLLib.storage.project.model_archive import (
    read_model_archive,
    require_known_version,
)
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout

T = TypeVar("T")

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
    with _read_card(path) as card:
        require_segmenting(path, card.num_pretrained_on)
        return ModelSummary(
            str(path.absolute()),
            file_fingerprint(path),
            card.labels,
            _sentence_about(card.training),
            card.channels,
        )


def read_starting_model(path: Path) -> StartingModel:
    """Tell what matters of a model file where training starts from it.

    Raises:
        ModelFileError: It is not a model file, is damaged, unsafe, or of a newer version.
        StorageError: The disk refuses.
    """
    with _read_card(path) as card:
        return StartingModel(
            project=card.training.project,
            round_index=card.training.round_index,
            fingerprint=file_fingerprint(path),
            structures=card.labels.names,
            channels=card.channels,
            network=card.part(NetworkConfig, "network"),
            preprocess=card.part(PreprocessConfig, "preprocess"),
            num_pretrained_on=card.num_pretrained_on,
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
    _copy(layout, source, file)
    return replace(card, file=str(file.absolute()))


def save_pretrained_model(root: Path, file: Path) -> None:
    """Copy the pre-trained network of a project to a model file that others can start from.

    A model file that is there already is replaced; anything else stays.

    Raises:
        ProjectError: Nothing is pre-trained, or the file lies among the project's rounds.
        ModelFileError: The network is damaged, or the file exists and is not a model file.
        StorageError: The disk refuses.
    """
    layout = ProjectLayout(root)
    if not layout.pretrained_model.is_file():
        raise ProjectError(
            Text("The network of this project has not been pre-trained yet."),
            Text("Choose a pre-training method, and pre-train first."),
        )
    read_starting_model(layout.pretrained_model)
    _copy(layout, layout.pretrained_model, file)


def _copy(layout: ProjectLayout, source: Path, file: Path) -> None:
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


class _Card:
    """What a model file says of itself, part by part; a damaged part raises when it is read."""

    def __init__(self, told: dict[str, JsonValue]) -> None:
        self._told = told

    def part(self, type_: type[T], name: str) -> T:
        """Return one part.

        Raises:
            PseudoLabelCLError: It is not what belongs there.
        """
        return from_json(type_, self._told.get(name), f"model.json, {name}")

    @property
    def labels(self) -> LabelSchema:
        return self.part(LabelSchema, "schema")

    @property
    def training(self) -> _Training:
        """The known fields; cards may tell more."""
        told = self._told.get("training")
        if isinstance(told, dict):
            told = {f.name: told[f.name] for f in fields(_Training) if f.name in told}
        return from_json(_Training, told, "model.json, training")

    @property
    def channels(self) -> tuple[str, ...]:
        told = self._told.get("channels") or []
        return from_json(tuple[str, ...], told, "model.json, channels")

    @property
    def num_pretrained_on(self) -> int:
        told = self._told.get("num_pretrained_on") or 0
        return from_json(int, told, "model.json, num_pretrained_on")


@contextmanager
def _read_card(path: Path) -> Iterator[_Card]:
    """Give what a model file says of itself; where a part of it is damaged, that is said.

    Raises:
        ModelFileError: It is not a model file, is damaged, unsafe, or of a newer version.
    """
    told, _ = read_model_archive(path)
    if not isinstance(told, dict):
        raise _damaged(path, Text("expected a JSON object"))
    require_known_version(path, told)
    try:
        yield _Card(told)
    except (ModelFileError, StorageError):
        raise
    except PseudoLabelCLError as error:
        raise _damaged(path, error.message) from error


def _damaged(path: Path, reason: str) -> ModelFileError:
    return ModelFileError(
        Text("The description in '{file}' is damaged: {reason}", file=path.name, reason=reason),
        Text("Get the model file again from where it came."),
    )


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
