"""Dialogs: only where a person has to decide, or to say where a file lies."""

from typing import Any

import qt
import slicer

from PseudoLabelCLGui.translation import _


def confirm(text: str) -> bool:
    """Ask before something that takes work away."""
    return bool(slicer.util.confirmOkCancelDisplay(text, windowTitle=_("PseudoLabelCL")))


def askFolder(parent: Any, title: str, start: str = "") -> str:
    """Ask for a folder; empty if the person does not want to."""
    return str(qt.QFileDialog.getExistingDirectory(parent, title, start) or "")


def askFiles(parent: Any, title: str, kinds: str) -> tuple[str, ...]:
    """Ask for existing files; none if the person does not want to."""
    return tuple(qt.QFileDialog.getOpenFileNames(parent, title, "", kinds) or ())


def askFile(parent: Any, title: str, kinds: str) -> str:
    """Ask for one existing file; empty if the person does not want to."""
    return str(qt.QFileDialog.getOpenFileName(parent, title, "", kinds) or "")


def askNewFile(parent: Any, title: str, start: str, kinds: str) -> str:
    """Ask where to write a file (the dialog asks before it replaces one); empty if nowhere."""
    return str(qt.QFileDialog.getSaveFileName(parent, title, start, kinds) or "")
