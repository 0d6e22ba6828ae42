"""The command `wheels`: what training needs, downloaded here for a computer without a network."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from PseudoLabelCLLib.command_line.console import Console
from PseudoLabelCLLib.command_line.with_noun import with_noun
from PseudoLabelCLLib.domain.errors import StorageError
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.json_codec import JsonValue
from PseudoLabelCLLib.messages.readiness import REQUIREMENTS

PYTHON_OF_SLICER = {"5.10": "3.12", "5.12": "3.12"}
# The tags of wheels that run there, newest first; pip takes exactly those that it is given.
PLATFORM_TAGS = {
    "windows": ("win_amd64",),
    "linux": (
        "manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_24_x86_64",
        "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux2010_x86_64",
        "manylinux1_x86_64", "linux_x86_64",
    ),
    "mac": ("macosx_14_0_arm64", "macosx_12_0_arm64", "macosx_11_0_arm64", "macosx_11_0_universal2",
            "macosx_10_9_universal2"),
}  # fmt: skip
# What the other computer says of itself; by that, PyTorch asks for NVIDIA's packages on Linux.
MARKERS = {
    "windows": {"os_name": "nt", "sys_platform": "win32", "platform_system": "Windows",
                "platform_machine": "AMD64"},
    "linux": {"os_name": "posix", "sys_platform": "linux", "platform_system": "Linux",
              "platform_machine": "x86_64"},
    "mac": {"os_name": "posix", "sys_platform": "darwin", "platform_system": "Darwin",
            "platform_machine": "arm64"},
}  # fmt: skip
# pip has an option for the tags of another computer, but asks the one that it runs on for these.
_PIP_FOR_ANOTHER = """\
import json, runpy, sys
from pip._vendor.packaging import markers
here, there = markers.default_environment, json.loads(sys.argv.pop(1))
markers.default_environment = lambda: {**here(), **there}
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
_NUM_LINES_TOLD = 5


def wheels(arguments: argparse.Namespace, console: Console) -> JsonValue:
    """Download the wheel files that the panel's *Install* needs, with all that they depend on.

    Raises:
        StorageError: The folder cannot be made.
        DownloadError: pip did not get all of them.
    """
    folder = Path(arguments.folder)
    folder.mkdir(parents=True, exist_ok=True)
    _download(folder, PYTHON_OF_SLICER[arguments.slicer], arguments.platform, console)
    files = sorted(file.name for file in folder.glob("*.whl"))
    console.say(
        f"{with_noun(len(files), 'wheel file')} for Slicer {arguments.slicer} "
        f"({arguments.platform}) in '{folder}'. Copy the folder to the other computer and choose "
        "it there as the folder of wheel files to install from."
    )
    return {"folder": str(folder), "files": list(files)}


class DownloadError(StorageError):
    """pip could not download a package."""


def _download(folder: Path, python: str, platform: str, console: Console) -> None:
    markers = {
        **MARKERS[platform], "python_version": python, "python_full_version": f"{python}.0",
        "implementation_name": "cpython", "platform_python_implementation": "CPython",
    }  # fmt: skip
    tags = PLATFORM_TAGS[platform]
    needed = [f"{one.name}>={one.at_least}" for one in REQUIREMENTS]
    command = [
        sys.executable, "-c", _PIP_FOR_ANOTHER, json.dumps(markers), "download",
        "--no-input", "--disable-pip-version-check",
        "--only-binary", ":all:", "--implementation", "cp", "--python-version", python,
        *(word for tag in tags for word in ("--platform", tag)), "--dest", str(folder), *needed,
    ]  # fmt: skip
    lines: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as pip:
        assert pip.stdout is not None  # it is a pipe
        for line in pip.stdout:
            lines.append(line.strip())
            console.say(lines[-1])
    if pip.returncode:
        said = " ".join(line for line in lines[-_NUM_LINES_TOLD:] if line) or "pip said nothing"
        raise DownloadError(
            Text(
                "The wheel files for Python {python} could not be downloaded: {said}",
                python=python,
                said=said,
            ),
            Text(
                "Check the network (pip uses PIP_INDEX_URL and PIP_EXTRA_INDEX_URL where "
                "they are set), then repeat the command; files already downloaded are kept."
            ),
        )


def this_platform() -> str:
    """Return the key of `PLATFORM_TAGS` for this computer."""
    return {"win32": "windows", "darwin": "mac"}.get(sys.platform, "linux")
