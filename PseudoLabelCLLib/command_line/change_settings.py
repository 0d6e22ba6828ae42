"""The command `set`: show the settings of a project, or change some between rounds."""

import argparse
import json
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from PseudoLabelCLLib.command_line.console import Console, for_shell
from PseudoLabelCLLib.curation.cases.settings import (
    changed_config,
    changed_names,
    named_values,
    require_changeable,
    require_none,
)
from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.profiles import config_for
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.json_codec import JsonValue
from PseudoLabelCLLib.storage.project.pretraining_record import (
    pretraining_settings,
    read_pretraining,
)
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_lock import COMMAND_LINE, project_lock
from PseudoLabelCLLib.storage.project.project_store import load_project, save_cases


def set_settings(arguments: argparse.Namespace, console: Console) -> JsonValue:
    """Show the settings of a project, or change those that are named."""
    root = Path(arguments.project)
    project = load_project(root)
    if not arguments.settings:
        return _show(project, console, with_all=arguments.all)
    if arguments.all:
        raise ProjectError(
            Text("--all shows the settings and changes none."),
            Text("Leave out --all, or the new values."),
        )
    with project_lock(ProjectLayout(root).lock, COMMAND_LINE):
        project = load_project(root)
        remedy = Text("Correct the value given with 'set'.")
        config = changed_config(project.config, arguments.settings, "'set'", remedy)
        changed = replace(project, config=config)
        before, after = named_values(project.config), named_values(config)
        names = changed_names(project.config, config)
        _require_same_basis(names)
        require_changeable(project, names)
        if names:
            save_cases(root, changed)
    for name in names:
        console.say(f"{name}: {_typed(before[name])} -> {_typed(after[name])}")
    for line in _consequences(root, project, changed) if names else ["Nothing changes."]:
        console.say(line)
    return {
        "changed": {name: after[name] for name in names},
        "from_round": _first_round(project),
    }


def _show(project: Project, console: Console, *, with_all: bool) -> JsonValue:
    profile = project.config.profile
    own, usual = named_values(project.config), named_values(config_for(profile))
    shown = {name: own[name] for name in own if with_all or own[name] != usual[name]}
    if not shown:
        console.say(f"All settings are those of the profile '{profile.value}'.")
        return {}
    console.table(
        ("setting", "value", f"in '{profile.value}'"),
        [(name, _typed(value), _typed(usual[name])) for name, value in shown.items()],
    )
    return dict(shown)


def _require_same_basis(names: Collection[str]) -> None:
    require_none(
        names,
        "profile",
        Text("names what the project was made from"),
        Text("Change single settings; 'create --profile' takes all of them."),
    )
    require_none(
        names,
        "preprocess.dimension",
        Text("decides how large the network and its steps are"),
        Text("Create the project with '--set preprocess.dimension=3'."),
    )


def _consequences(root: Path, before: Project, after: Project) -> list[str]:
    """From when on the new settings count, and what is done again."""
    index = _first_round(after)
    is_interrupted = index < len(after.rounds)
    told = [
        f"Round {index} was interrupted; it starts again with the new settings: "
        f"pseudolabelcl train {for_shell(root)}"
        if is_interrupted
        else f"This applies from round {index} on."
    ]
    is_other = pretraining_settings(before) != pretraining_settings(after)
    if index == 0 and is_other and read_pretraining(root) is not None:
        told.append("The pre-training that was done with other settings is no longer used.")
    return told


def _first_round(project: Project) -> int:
    """The first round that changed settings count for: one that trains starts again."""
    latest = project.latest_round
    if latest is None:
        return 0
    return latest.index if latest.state is RoundState.TRAINING else latest.index + 1


def _typed(value: JsonValue) -> str:
    """A value as it is typed after NAME=."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
