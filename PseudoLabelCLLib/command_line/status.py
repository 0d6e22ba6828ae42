"""The command `status`: the project, and whether its pre-training is done."""

import argparse
from pathlib import Path

from PseudoLabelCLLib.command_line.console import Console, for_shell
from PseudoLabelCLLib.command_line.project_commands import status as project_status
from PseudoLabelCLLib.curation.review.plan_round import plan_next_round
from PseudoLabelCLLib.domain.plan_in_words import plan_in_words
from PseudoLabelCLLib.domain.pretraining_config import Pretraining
from PseudoLabelCLLib.domain.round import RoundState
from PseudoLabelCLLib.domain.round_work import Standing
from PseudoLabelCLLib.messages.json_codec import JsonValue, to_json
from PseudoLabelCLLib.storage.project.preprocess_plan import settled_preprocess
from PseudoLabelCLLib.storage.project.pretraining_record import (
    pretraining_settings,
    read_pretraining,
)
from PseudoLabelCLLib.storage.project.project_store import foreign_parts, load_project
from PseudoLabelCLLib.storage.project.provenance import author as chosen_author
from PseudoLabelCLLib.storage.project.provenance import choose_author
from PseudoLabelCLLib.storage.project.round_forecast import next_round_in_words


def status(arguments: argparse.Namespace, console: Console) -> JsonValue:
    """Show cases, rounds, what comes next, and the pre-training where the settings name one."""
    told = project_status(arguments, console)
    assert isinstance(told, dict)  # so `project_commands.status` says
    root = Path(arguments.project)
    project = load_project(root)
    foreign = foreign_parts(root, project)
    if foreign.sentence:
        console.warn(foreign.sentence)
    told["made_elsewhere"] = {
        "project": foreign.is_project,
        "verdicts": [{"case": case_id, "round": index} for case_id, index in foreign.verdicts],
    }
    settled = settled_preprocess(root, project)
    if settled is not None:
        plan = plan_next_round(project)
        standing = Standing(plan.index, bool(plan.pseudo))
        console.say(plan_in_words(settled, next_round_in_words(root, project, settled, standing)))
    told["plan"] = None if settled is None else to_json(settled)
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
            f"Pre-training '{method.value}' runs before round 0, automatically or with "
            f"'pseudolabelcl pretrain {for_shell(root)}'."
        )
    return told


def author(arguments: argparse.Namespace, console: Console) -> JsonValue:
    """Show the name that verdicts of this user bear, or choose another."""
    if arguments.name is not None:
        choose_author(arguments.name)
    name = chosen_author()
    console.say(f"Verdicts are signed '{name}'." if name else "Verdicts are not signed.")
    return {"author": name}
