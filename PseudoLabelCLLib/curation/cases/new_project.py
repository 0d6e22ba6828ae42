"""A new project's folder, which appears whole or not at all."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PseudoLabelCLLib.domain.errors import ProjectError
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.files.atomic_files import make_folder, storage_error
from PseudoLabelCLLib.storage.files.links import is_link
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout
from PseudoLabelCLLib.storage.project.project_lock import project_lock


@contextmanager
def made_aside(root: Path) -> Iterator[Path]:
    """A new folder beside `root` that takes its place if all goes well.

    What an earlier, interrupted making left there goes; one that still runs is left alone.

    Raises:
        ProjectError: Something else lies in its place.
        ProjectInUseError: Another process makes a project of this name.
        StorageError: The disk refuses.
    """
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise ProjectError(
            Text("'{folder}' exists already and is not an empty folder.", folder=root),
            Text("Choose a new folder."),
        )
    if root.exists() and root.samefile(Path.cwd()):
        raise ProjectError(
            Text(
                "A new project cannot take the place of '{folder}', the folder that you are in.",
                folder=root,
            ),
            Text("Give the name of a new folder."),
        )
    aside = root.absolute().with_name(f".creating-{root.name}")
    if is_link(aside):
        raise ProjectError(
            Text("'{path}' is a link.", path=aside),
            Text("Remove the link, or choose another name."),
        )
    make_folder(aside)
    lock, is_ours = ProjectLayout(aside).lock, False
    try:
        with project_lock(lock, Text("another 'create'")):
            is_ours = True
            _empty(aside, but=lock)
            yield aside
        if root.exists():
            root.rmdir()
        aside.replace(root)
    except OSError as error:
        raise storage_error(root, error) from error
    finally:
        if is_ours:
            shutil.rmtree(aside, ignore_errors=True)


def _empty(folder: Path, but: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not is_link(entry):
            shutil.rmtree(entry)
        elif entry != but:
            entry.unlink()
