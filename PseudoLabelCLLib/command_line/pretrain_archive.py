"""The command `pretrain-archive`: learns from volumes without segmentations, for later projects."""

import argparse
import shutil
from pathlib import Path

from PseudoLabelCLLib.command_line.console import Console, for_shell
from PseudoLabelCLLib.command_line.job_commands import run_pretraining
from PseudoLabelCLLib.command_line.project_commands import make_project
from PseudoLabelCLLib.command_line.with_noun import with_noun
from PseudoLabelCLLib.curation.export.model_card import require_replaceable
from PseudoLabelCLLib.domain.config import Profile
from PseudoLabelCLLib.domain.pretraining_config import Pretraining
from PseudoLabelCLLib.messages.json_codec import JsonValue
from PseudoLabelCLLib.storage.files.atomic_files import written_aside
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_store import load_project

# Nobody says which structures a later project segments; these are never used.
_NO_STRUCTURES = "1=none"


def pretrain_archive(arguments: argparse.Namespace, console: Console) -> JsonValue:
    """Pre-train on an archive, and write the model that projects can start from."""
    output = Path(arguments.output)
    require_replaceable(output)
    root = output.with_name(f"{output.stem}-pretraining")
    if ProjectLayout(root).project_file.exists():
        number = with_noun(len(load_project(root).cases), "volume")
        console.say(f"Goes on with the {number} of '{root}', as begun there.")
    else:
        make_project(root, _as_created(arguments), console)
    run_pretraining(root, arguments, console)
    with written_aside(output) as temporary:
        shutil.copyfile(ProjectLayout(root).pretrained_model, temporary)
    console.say(
        f"Wrote '{output}'. A project starts from it: pseudolabelcl create PROJECT --start-from "
        f"{for_shell(output)} ... The folder '{root}' is no longer needed."
    )
    return {"model": str(output), "project": str(root)}


def _as_created(arguments: argparse.Namespace) -> argparse.Namespace:
    """Return the arguments of `create` for the project in which the archive is learned."""
    method = f"pretraining.method={Pretraining.GLOBAL_LOCAL.value}"
    return argparse.Namespace(
        name=Path(arguments.output).stem, profile=Profile.QUICK.value, labels=_NO_STRUCTURES,
        settings=[method, *arguments.settings], preset=None, start_from=None,
        channels=arguments.channels,
        annotated=[], validation=[], unlabelled=arguments.volumes, table=None, copy_images=False,
        answers=arguments.answers,
    )  # fmt: skip
