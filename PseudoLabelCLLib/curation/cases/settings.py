"""Single settings of a project by name, and which of them a project in its rounds can change."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from PseudoLabelCLLib.domain.bound_settings import bound_settings, why_bound
from PseudoLabelCLLib.domain.config import Profile, ProjectConfig
from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.json_codec import JsonValue, from_json, parse_json, to_json
from PseudoLabelCLLib.storage.project.project_store import save_cases

_SETTINGS = "The settings"
_PROFILE = "profile"


def changed_config(
    config: ProjectConfig, settings: Sequence[str], where: str, remedy: Text
) -> ProjectConfig:
    """Return settings with single ones changed by "training.seed=1".

    Args:
        config: As they are now.
        settings: Each a name and its value.
        where: What the message calls the place where they were given.
        remedy: What to do about a value that is refused.

    Raises:
        ProjectError: There is no such setting, or it cannot have that value.
    """
    told = to_json(config)
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise ProjectError(
                Text("'{setting}' is not a valid setting: it has no value.", setting=setting),
                Text("Write NAME=VALUE, as in training.seed=1."),
            )
        _replace(told, name.strip(), value.strip())
    try:
        return from_json(ProjectConfig, told, where)
    except ProjectError as error:
        raise ProjectError(_with_place(error.message), remedy) from error


def _with_place(message: Text) -> Text:
    """Return the message with a place that can be translated, where it names the settings."""
    place = message.values.get("where", "")
    if not place.startswith(_SETTINGS):
        return message
    within = place[len(_SETTINGS) :]
    return message.with_value("where", Text("The settings{within}", within=within))


def named_values(config: ProjectConfig) -> dict[str, JsonValue]:
    """Return every setting under its full name, such as "training.seed"."""
    return dict(_flat(to_json(config), ()))


def changed_names(before: ProjectConfig, after: ProjectConfig) -> tuple[str, ...]:
    """Return the full names of the settings that differ."""
    old, new = named_values(before), named_values(after)
    return tuple(name for name in new if new[name] != old[name])


def change_settings(root: Path, project: Project, values: Mapping[str, str]) -> Project:
    """Change settings by name and save the project.

    Another "profile" takes over all the settings of that profile, before the others are changed.

    Args:
        root: The project folder.
        project: The project as it is now.
        values: The new values by the settings' full names, each as JSON or as plain text.

    Raises:
        ProjectError: There is no such setting, it cannot have that value, or can no longer change.
        StorageError: The disk refuses.
    """
    base = project.config
    if _PROFILE in values and values[_PROFILE] != base.profile.value:
        base = config_for(_profile(values[_PROFILE]))
    told = [f"{name}={value}" for name, value in values.items() if name != _PROFILE]
    config = changed_config(base, told, _SETTINGS, Text("Give it another value."))
    names = changed_names(project.config, config)
    require_changeable(project, names)
    changed = replace(project, config=config)
    if names:
        save_cases(root, changed)
    return changed


def require_changeable(project: Project, names: Collection[str]) -> None:
    """Refuse what the rounds so far are bound to.

    Raises:
        ProjectError: A setting can no longer change, or not now.
    """
    counts_drawn_slices = any(case.drawn_slices is not None for case in project.cases)
    bound = bound_settings(project.latest_round, counts_drawn_slices=counts_drawn_slices)
    for name in names:
        if (why := why_bound(name, bound)) is not None:
            raise ProjectError(why.problem(name), why.remedy)


def require_none(names: Collection[str], part: str, problem: Text, remedy: Text) -> None:
    """Refuse settings of a part, such as "network", or a single one, such as "training.seed".

    Raises:
        ProjectError: One of the names belongs to it.
    """
    found = [name for name in names if part in (name, name.split(".")[0])]
    if found:
        raise ProjectError(
            Text("The setting '{name}' {problem}.", name=found[0], problem=problem), remedy
        )


def _profile(text: str) -> Profile:
    known = {profile.value: profile for profile in Profile}
    if text not in known:
        raise ProjectError(
            Text(
                "The profile '{name}' does not exist; the profiles are {names}.",
                name=text,
                names=", ".join(known),
            ),
            Text("Choose one of them."),
        )
    return known[text]


def _replace(told: JsonValue, name: str, text: str) -> None:
    """Replace one setting in the JSON form; the value is JSON, or else plain text."""
    *path, last = name.split(".")
    place = told
    for part in path:
        place = place.get(part) if isinstance(place, dict) else None
    if not isinstance(place, dict) or last not in place:
        known = ", ".join(place) if isinstance(place, dict) else ", ".join(_top_level(told))
        raise ProjectError(
            Text("The setting '{name}' does not exist.", name=name),
            Text("Known there: {names}.", names=known),
        )
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
