"""The entry of the command line: reads the arguments, runs the command, says what went wrong."""

import importlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from PseudoLabelCLLib.command_line.arguments import build_parser
from PseudoLabelCLLib.command_line.console import Console
from PseudoLabelCLLib.command_line.incomplete_export import ExportIncompleteError
from PseudoLabelCLLib.command_line.show_job import JobCancelledError, JobEndedBadlyError
from PseudoLabelCLLib.domain.errors import PseudoLabelCLError
from PseudoLabelCLLib.messages.json_codec import JsonValue
from PseudoLabelCLLib.storage.files.atomic_files import storage_error

EXIT_DONE = 0
EXIT_USER_ERROR = 1
EXIT_USAGE = 2  # argparse's own
EXIT_DEFECT = 3
EXIT_CANCELLED = 130

# Each is loaded when it runs: most bring libraries along that the others do without.
_COMMANDS = {
    "demo": "demo.demo",
    "create": "project_commands.create",
    "add": "project_commands.add",
    "status": "status.status",
    "author": "status.author",
    "set": "change_settings.set_settings",
    "slices": "project_commands.slices",
    "review": "review_commands.review",
    "export": "dicom_commands.export",
    "terms": "dicom_commands.terms",
    "pieces": "pieces.pieces",
    "start-from": "start_from.start_from",
    "verify-seg": "dicom_commands.verify_seg",
    "pretrain": "job_commands.pretrain",
    "pretrain-archive": "pretrain_archive.pretrain_archive",
    "train": "job_commands.train",
    "predict": "job_commands.predict",
    "evaluate": "job_commands.evaluate",
    "doctor": "job_commands.doctor",
    "wheels": "wheels.wheels",
}

_logger = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0 is done, 1 something that the user can fix, 2 wrong arguments, 3 a defect of the program,
    130 stopped by Ctrl-C.
    """
    arguments = build_parser().parse_args(argv)
    console = Console(as_json=arguments.json)
    try:
        console.result(command_named(arguments.command)(arguments, console))
    except JobCancelledError as error:
        console.error("Cancelled", error.message, error.remedy)
        return EXIT_CANCELLED
    except JobEndedBadlyError as error:
        console.error(error.error_type, error.message, error.remedy)
        return EXIT_DEFECT if error.is_defect else EXIT_USER_ERROR
    except PseudoLabelCLError as error:
        return _user_error(console, error)
    except BrokenPipeError:  # who read the output, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # such as a path longer than the system allows
        refused = storage_error(Path(error.filename or "A file"), error, action="used")
        console.error(type(refused).__name__, refused.message, refused.remedy)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        console.error("Cancelled", "Stopped.", "")
        return EXIT_CANCELLED
    return EXIT_DONE


def command_named(name: str) -> Callable[..., JsonValue]:
    """Return what a command does, with its module loaded."""
    module, function = _COMMANDS[name].split(".")
    loaded = importlib.import_module(f"PseudoLabelCLLib.command_line.{module}")
    command: Callable[..., JsonValue] = getattr(loaded, function)
    return command


def _user_error(console: Console, error: PseudoLabelCLError) -> int:
    """Show what a person can fix; a machine still gets a line for each case of an export."""
    if console.as_json and isinstance(error, ExportIncompleteError):
        console.result(error.result)
    else:
        console.error(type(error).__name__, error.message, error.remedy)
    return EXIT_USER_ERROR
