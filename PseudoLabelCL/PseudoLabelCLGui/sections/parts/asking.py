"""Dialogs: only where a person has to decide, or to say where a file lies."""

from pathlib import Path
from typing import Any

import qt
import slicer

from PseudoLabelCLGui.sections.parts.plain_text import plain
from PseudoLabelCLGui.sections.parts.remembering import lastFolder, rememberFolder
from PseudoLabelCLGui.translation import _

# Of a dialog in which a model file is chosen.
MODEL_KINDS = "PseudoLabelCL (*.zip *.pt *.plcl);;All files (*)"


def confirm(text: str) -> bool:
    """Ask before something that takes work away."""
    return bool(slicer.util.confirmOkCancelDisplay(plain(text), windowTitle=_("PseudoLabelCL")))


def startFolder() -> str:
    """Return where a dialog begins: where the last one ended, else where scenes lie."""
    return lastFolder(str(slicer.app.defaultScenePath))


def askFolder(parent: Any, title: str, start: str = "") -> str:
    """Ask for a folder; empty if the person does not want to."""
    folder = str(qt.QFileDialog.getExistingDirectory(parent, title, start or startFolder()) or "")
    if folder:
        # a chosen project lies beside the others
        rememberFolder(str(Path(folder).parent))
    return folder


def askFiles(parent: Any, title: str, kinds: str) -> tuple[str, ...]:
    """Ask for existing files; none if the person does not want to."""
    files = tuple(qt.QFileDialog.getOpenFileNames(parent, title, startFolder(), kinds) or ())
    if files:
        rememberFolder(str(Path(files[0]).parent))
    return files


def askFile(parent: Any, title: str, kinds: str) -> str:
    """Ask for one existing file; empty if the person does not want to."""
    return _remembered(qt.QFileDialog.getOpenFileName(parent, title, startFolder(), kinds))


def askNewFile(parent: Any, title: str, name: str, kinds: str) -> str:
    """Ask where to write a file (the dialog asks before it replaces one); empty if nowhere."""
    start = str(Path(startFolder()) / name)
    return _remembered(qt.QFileDialog.getSaveFileName(parent, title, start, kinds))


def _remembered(chosen: Any) -> str:
    file = str(chosen or "")
    if file:
        rememberFolder(str(Path(file).parent))
    return file
