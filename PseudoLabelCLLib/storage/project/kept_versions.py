"""A copy of project.json as an earlier version of the program wrote it, before it is migrated."""

from pathlib import Path

from PseudoLabelCLLib.storage.files.atomic_files import make_folder, storage_error, write_bytes
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout


def earlier_version(layout: ProjectLayout, version: int) -> Path:
    """Return where the copy of project.json lies that had this schema version."""
    return layout.checked(layout.set_aside / f"schema_{version}" / layout.project_file.name)


def keep_earlier_version(layout: ProjectLayout, version: int) -> None:
    """Copy project.json as it is; a copy that is there already stays.

    Args:
        layout: Of the project.
        version: The schema version of the file as it is.

    Raises:
        StorageError: The disk refuses.
    """
    copy = earlier_version(layout, version)
    if copy.exists():
        return
    try:
        content = layout.project_file.read_bytes()
    except OSError as error:
        raise storage_error(layout.project_file, error, action="read") from error
    make_folder(copy.parent)
    write_bytes(copy, content)
