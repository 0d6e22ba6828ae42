"""What the panel remembers from one start of Slicer to the next."""

from collections.abc import Sequence
from pathlib import Path

import qt

_FOLDER_KEY = "PseudoLabelCL/lastFolder"
_RECENT_KEY = "PseudoLabelCL/recentProjects"
_MOST_RECENT = 8


def lastFolder(otherwise: str = "") -> str:
    """Return the folder in which something was chosen last, if it is still there."""
    folder = str(qt.QSettings().value(_FOLDER_KEY) or "")
    return folder if folder and Path(folder).is_dir() else otherwise


def rememberFolder(folder: str) -> None:
    """Remember a folder for the next dialog."""
    if folder:
        qt.QSettings().setValue(_FOLDER_KEY, folder)


def recentProjects() -> tuple[str, ...]:
    """Return the folders of the projects that were open before, newest first."""
    text = str(qt.QSettings().value(_RECENT_KEY) or "")
    return tuple(root for root in text.split("\n") if root)


def rememberProject(root: str) -> None:
    """Put a project at the head of the recent ones."""
    _write([root, *(one for one in recentProjects() if one != root)][:_MOST_RECENT])


def forgetProject(root: str) -> None:
    """Take a project out of the recent ones."""
    _write([one for one in recentProjects() if one != root])


def _write(roots: Sequence[str]) -> None:
    qt.QSettings().setValue(_RECENT_KEY, "\n".join(roots))
