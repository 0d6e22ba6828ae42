"""Settings and labels as they are typed on the command line."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from PseudoLabelCLLib.curation.case_table import CaseRow
from PseudoLabelCLLib.curation.label_schema_file import read_label_schema, schema_from_annotation
from PseudoLabelCLLib.domain.case import CaseRole
from PseudoLabelCLLib.domain.config import Profile, ProjectConfig
from PseudoLabelCLLib.domain.errors import AnnotationError, ProjectError
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.segmentation import DEFAULT_COLORS, LabelClass, LabelSchema
from PseudoLabelCLLib.storage.json_codec import JsonValue, from_json, parse_json, to_json


def config_from_arguments(profile: str, settings: Sequence[str]) -> ProjectConfig:
    """Return a profile's settings with single ones changed by "training.seed=1".

    Raises:
        ProjectError: There is no such setting, or it cannot have that value.
    """
    return changed_config(config_for(Profile(profile)), settings, "--set")


def changed_config(config: ProjectConfig, settings: Sequence[str], where: str) -> ProjectConfig:
    """Return settings with single ones changed by "training.seed=1".

    Args:
        config: As they are now.
        settings: Each a name and its value.
        where: What the message calls the place where they were given.

    Raises:
        ProjectError: There is no such setting, or it cannot have that value.
    """
    told = to_json(config)
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise ProjectError(
                f"'{setting}' gives a setting no value.", "Write NAME=VALUE, as in training.seed=1."
            )
        _replace(told, name.strip(), value.strip())
    try:
        return from_json(ProjectConfig, told, where)
    except ProjectError as error:
        raise ProjectError(error.message, f"Correct the value given with {where}.") from error


def named_values(config: ProjectConfig) -> dict[str, JsonValue]:
    """Return every setting under its full name, such as "training.seed"."""
    return dict(_flat(to_json(config), ()))


def schema_from_arguments(labels: str | None, rows: Sequence[CaseRow]) -> LabelSchema:
    """Return the labels from a file, from "1=name,2=name", or from the first annotated case.

    Raises:
        AnnotationError: No schema can be made of it.
    """
    if labels is None:
        annotated = [row for row in rows if row.role is CaseRole.ANNOTATED]
        if not annotated:
            raise AnnotationError(
                "There is no annotated volume whose segmentation could name the labels.",
                "Name them with --labels '1=right ventricle,2=myocardium', or name an annotated "
                "volume with --annotated VOLUME SEGMENTATION.",
            )
        if annotated[0].annotation is None:
            raise AnnotationError(
                f"Case '{annotated[0].case_id}' is to be annotated but has no segmentation.",
                "Give it a segmentation, or make it 'unlabelled'.",
            )
        return schema_from_annotation(annotated[0].annotation)
    if "=" in labels and not _is_file(labels):
        return LabelSchema(tuple(_label(part, n) for n, part in enumerate(labels.split(","))))
    return read_label_schema(Path(labels))


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:  # a long list of labels is longer than any file name
        return False


def _label(text: str, number: int) -> LabelClass:
    value, _, name = text.partition("=")
    if not re.fullmatch("[0-9]{1,9}", value.strip()):
        raise AnnotationError(
            f"'{text}' names no label.", "Write labels like 1=right ventricle,2=myocardium."
        )
    return LabelClass(int(value), name.strip(), DEFAULT_COLORS[number % len(DEFAULT_COLORS)])


def _replace(told: JsonValue, name: str, text: str) -> None:
    """Replace one setting in the JSON form; the value is JSON, or else plain text."""
    *path, last = name.split(".")
    place = told
    for part in path:
        place = place.get(part) if isinstance(place, dict) else None
    if not isinstance(place, dict) or last not in place:
        known = ", ".join(place) if isinstance(place, dict) else ", ".join(_top_level(told))
        raise ProjectError(f"There is no setting '{name}'.", f"Known there: {known}.")
    try:
        place[last] = parse_json(text.encode(), name)
    except ProjectError:
        place[last] = text


def _flat(told: JsonValue, path: tuple[str, ...]) -> Iterator[tuple[str, JsonValue]]:
    if not isinstance(told, dict):
        yield ".".join(path), told
        return
    for name, value in told.items():
        yield from _flat(value, (*path, name))


def _top_level(told: JsonValue) -> list[str]:
    return list(told) if isinstance(told, dict) else []
