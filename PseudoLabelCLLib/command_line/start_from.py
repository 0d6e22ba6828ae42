"""The command `start-from`: from which trained model round 0 of a project starts."""

import argparse
from pathlib import Path

from PseudoLabelCLLib.command_line.console import Console
from PseudoLabelCLLib.command_line.project_commands import opened
from PseudoLabelCLLib.curation.cases.starting_model import start_afresh, start_from_model
from PseudoLabelCLLib.messages.json_codec import JsonValue
from PseudoLabelCLLib.storage.project.project_store import load_project


def start_from(arguments: argparse.Namespace, console: Console) -> JsonValue:
    """Show or choose the model that round 0 starts from."""
    root = Path(arguments.project)
    if arguments.model is not None or arguments.afresh:
        with opened(root) as project:
            if arguments.afresh:
                start_afresh(root, project)
            else:
                start_from_model(root, project, Path(arguments.model))
    project = load_project(root)
    if project.start is None:
        console.say("Round 0 starts from random weights.")
        return None
    console.say(project.start.sentence(project.schema))
    return {
        "project": project.start.project,
        "round": project.start.round_index,
        "structures": list(project.start.structures),
        "with_output_layers": project.start.segments_the_same(project.schema),
    }
