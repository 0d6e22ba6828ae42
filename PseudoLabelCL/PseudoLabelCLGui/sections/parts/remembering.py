"""What the panel remembers from one start of Slicer to the next."""

from pathlib import Path

import qt

_FOLDER_KEY = "PseudoLabelCL/lastFolder"
_RECENT_KEY = "PseudoLabelCL/recentProjects"


def lastFolder(otherwise: str = "") -> str:
    """Return the folder in which something was chosen last, if it is still there."""
    folder = str(qt.QSettings().value(_FOLDER_KEY) or "")
    return folder if folder and Path(folder).is_dir() else otherwise


def rememberFolder(folder: str) -> None:
    """Remember a folder for the next dialog."""
    if folder:
        qt.QSettings().setValue(_FOLDER_KEY, folder)


class RememberedProjects:
    """The folders of projects that were open before; `presenter.ports.RecentProjects`."""

    def read(self) -> tuple[str, ...]:
        """Return the folders, the one that was opened last first."""
        text = str(qt.QSettings().value(_RECENT_KEY) or "")
        return tuple(root for root in text.split("\n") if root)

    def write(self, roots: tuple[str, ...]) -> None:
        """Remember these."""
        qt.QSettings().setValue(_RECENT_KEY, "\n".join(roots))
