"""Keeping what a person drew when something newer takes its place."""

import shutil
from pathlib import Path

from PseudoLabelCLLib.storage.files.atomic_files import written_aside
from PseudoLabelCLLib.storage.project.project_layout import (
    SEGMENTATION_SUFFIX,
    TRUTH_MASK_SUFFIX,
    ProjectLayout,
)

_SUFFIXES = (SEGMENTATION_SUFFIX, TRUTH_MASK_SUFFIX, ".json")
HISTORY_FOLDER = "history"


def keep_in_history(layout: ProjectLayout, path: Path) -> Path:
    """Copy a file to `history/` beside it under the next free number, and return the copy.

    Args:
        layout: Of the project.
        path: A file of it.

    Raises:
        ProjectDamagedError: The folder is a link.
        StorageError: The disk refuses.
    """
    suffix = next((s for s in _SUFFIXES if path.name.endswith(s)), path.suffix)
    stem = path.name[: len(path.name) - len(suffix)]
    folder = layout.checked(path.parent / HISTORY_FOLDER)
    number = 1
    while (copy := folder / f"{stem}.{number}{suffix}").exists():
        number += 1
    with written_aside(copy) as temporary:
        shutil.copyfile(path, temporary)
    return copy
