"""The command `status`: the project, and whether its pre-training is done."""

import argparse
from pathlib import Path

from PseudoLabelCLLib.command_line.console import Console, for_shell
from PseudoLabelCLLib.command_line.project_commands import status as project_status
from PseudoLabelCLLib.domain.pretraining_config import Pretraining
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.storage.json_codec import JsonValue
from PseudoLabelCLLib.storage.pretraining_record import pretraining_settings, read_pretraining
from PseudoLabelCLLib.storage.project_store import load_project


def status(arguments: argparse.Namespace, console: Console) -> JsonValue:
    """Show cases, rounds, what comes next, and the pre-training where the settings name one."""
    told = project_status(arguments, console)
    assert isinstance(told, dict)  # so `project_commands.status` says
    root = Path(arguments.project)
    project = load_project(root)
    method = project.config.pretraining.method
    record = read_pretraining(root) if method is not Pretraining.NONE else None
    is_used = bool(project.rounds) and project.rounds[0].state is not RoundState.TRAINING
    is_done = record is not None and (is_used or record.settings == pretraining_settings(project))
    told["pretraining"] = {
        "method": method.value,
        "is_done": is_done,
        "volumes": len(record.cases) if record is not None else 0,
    }
    if record is not None and is_done:
        console.say(record.sentence)
    elif method is not Pretraining.NONE and project.latest_round is None:
        console.say(
            f"Pre-training '{method.value}' comes before round 0, by itself or with "
            f"'pseudolabelcl pretrain {for_shell(root)}'."
        )
    return told
