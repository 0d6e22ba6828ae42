"""Folders and their files, in the order that a person counts, without hidden ones."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from PseudoLabelCLLib.curation.find.file_names import is_label_folder
from PseudoLabelCLLib.domain.file_formats import READABLE_SUFFIXES, image_suffix
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.files.atomic_files import storage_error

MAX_FILES = 50_000
PROJECT_FILE = "project.json"


class Tell(Protocol):
    """Notes what cannot be used."""

    def __call__(self, message: Text, remedy: Text, *, is_error: bool) -> None:
        """Note one thing."""


def folders_below(root: Path, tell: Tell) -> Iterator[tuple[Path, list[Path]]]:
    """Yield a folder and all below it, each once with its files, until there are too many.

    Args:
        root: Where to begin.
        tell: Called with what was skipped.

    Raises:
        StorageError: The folder itself cannot be read.
    """
    waiting, seen, num_files = [root], set[tuple[int, int]](), 0
    while waiting:
        folder = waiting.pop()
        try:
            stat = folder.stat()
            entries = _entries(folder)
        except OSError as error:
            told = storage_error(folder, error, action="read")
            if folder == root:
                raise told from error
            tell(told.message, told.remedy, is_error=False)
            continue
        if (stat.st_dev, stat.st_ino) in seen:
            continue
        seen.add((stat.st_dev, stat.st_ino))
        if any(entry.name == PROJECT_FILE for entry in entries):
            tell(
                Text(
                    "'{folder}' is a project; its own files are not new volumes.",
                    folder=folder,
                ),
                Text("Open the project, or choose the folder of the volumes."),
                is_error=folder == root,
            )
            continue
        waiting += (Path(e.path) for e in reversed(entries) if e.is_dir())
        files = [Path(entry.path) for entry in entries if entry.is_file()]
        num_files += len(files)
        if num_files > MAX_FILES:
            tell(
                Text(
                    "'{folder}' holds more than {most} files; only the first were read.",
                    folder=root,
                    most=MAX_FILES,
                ),
                Text("Choose a subfolder."),
                is_error=False,
            )
            return
        yield folder, files


def files_in(folder: Path) -> list[Path]:
    """Return the files of a folder.

    Raises:
        StorageError: It cannot be read.
    """
    try:
        return [Path(entry.path) for entry in _entries(folder) if entry.is_file()]
    except OSError as error:
        raise storage_error(folder, error, action="read") from error


def volume_files(folder: Path) -> list[Path]:
    """Return the files of a folder that can be volumes or segmentations, by their names.

    Raises:
        StorageError: It cannot be read.
    """
    return [file for file in files_in(folder) if image_suffix(file) in READABLE_SUFFIXES]


def label_folders(folder: Path) -> list[Path]:
    """Return the folders in a folder whose names say that they hold segmentations."""
    try:
        return [
            Path(e.path) for e in _entries(folder) if is_label_folder(Path(e.path)) and e.is_dir()
        ]
    except OSError:  # a folder above may be closed to us
        return []


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        shown = [entry for entry in entries if not entry.name.startswith(".")]
    return sorted(shown, key=lambda entry: _counted(entry.name))


def _counted(name: str) -> list[tuple[int, str]]:
    """Return what puts "scan 10" behind "scan 9"."""
    parts = re.findall(r"\d+|\D+", name.casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
