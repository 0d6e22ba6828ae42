"""The command `pieces`: of which structures predictions keep a single piece."""

import argparse
from dataclasses import replace
from pathlib import Path

from PseudoLabelCLLib.command_line.console import Console, for_shell
from PseudoLabelCLLib.command_line.project_commands import opened
from PseudoLabelCLLib.curation.cases.change_labels import change_labels
from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.segmentation import LabelClass, LabelSchema
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.json_codec import JsonValue
from PseudoLabelCLLib.storage.project.project_store import load_project

_CHOICES = {"one": True, "several": False, "as-drawn": None}
_WORDS = {
    True: "one: a single piece is kept",
    False: "several: every piece is kept",
    None: "as drawn: a single piece, if every annotated volume shows it in one piece",
}


def pieces(arguments: argparse.Namespace, console: Console) -> JsonValue:
    """Show or choose how many pieces of each structure predictions keep, from the next round on."""
    root = Path(arguments.project)
    if arguments.choices:
        with opened(root) as project:
            labels = _chosen(project, arguments.choices)
            change_labels(root, project, labels)
    project = load_project(root)
    as_drawn = project.config.pseudo_label.single_pieces
    console.table(
        ("structure", "pieces"),
        [(label.name, _in_words(label, as_drawn=as_drawn)) for label in project.schema],
    )
    if not as_drawn:
        console.say(
            "What was drawn decides nothing in this project: 'pseudolabelcl set "
            f"{for_shell(root)} pseudo_label.single_pieces=true' changes that."
        )
    names = {value: name for name, value in _CHOICES.items()}
    return [
        {"structure": label.name, "pieces": names[label.keep_largest_component]}
        for label in project.schema
    ]


def _in_words(label: LabelClass, *, as_drawn: bool) -> str:
    chosen = label.keep_largest_component
    return _WORDS[False if chosen is None and not as_drawn else chosen]


def _chosen(project: Project, given: list[str]) -> LabelSchema:
    known = {label.name.casefold(): label for label in project.schema}
    for text in given:
        name, _, choice = (part.strip() for part in text.rpartition("="))
        if name.casefold() not in known or choice not in _CHOICES:
            raise ProjectError(
                Text(
                    "'{text}' does not say how many pieces a structure of the project has "
                    "(structures: {names}).",
                    text=text,
                    names=", ".join(project.schema.names),
                ),
                Text(
                    "Write STRUCTURE=one, STRUCTURE=several or STRUCTURE=as-drawn, such as "
                    "'left kidney=one'."
                ),
            )
        label = known[name.casefold()]
        known[name.casefold()] = replace(label, keep_largest_component=_CHOICES[choice])
    return LabelSchema(tuple(known.values()))
