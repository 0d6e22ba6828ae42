"""Taking files out of a project without deleting them: they move to a folder of their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from PseudoLabelCLLib.storage.files.atomic_files import storage_error
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout


class SetAside:
    """Moves files and folders of a project to `set_aside/<time>/`, where they keep their paths.

    Each is renamed in one step, in the order of the calls: a kill leaves the first ones moved.

    Args:
        root: The project folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._all = ProjectLayout(root).set_aside
        self._folder: Path | None = None
        self._moved: list[tuple[Path, Path]] = []

    def move(self, path: Path) -> None:
        """Move a file or folder of the project; one that is not there is passed over.

        Raises:
            StorageError: The disk refuses.
        """
        try:
            if not path.exists() and not path.is_symlink():
                return
            target = self._made_folder() / path.relative_to(self._root)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        except OSError as error:
            raise storage_error(path, error, action="moved") from error
        self._moved.append((path, target))

    def move_back(self) -> None:
        """Bring everything back, the last first, as far as the disk lets it.

        Raises:
            StorageError: Something could not be brought back; it lies in the folder still.
        """
        while self._moved:
            path, target = self._moved.pop()
            try:
                target.replace(path)
            except OSError as error:
                raise storage_error(target, error, action="moved back") from error

    def _made_folder(self) -> Path:
        if self._folder is None:
            self._all.mkdir(exist_ok=True)
            time = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H-%M-%SZ")
            number = 1
            while (folder := self._all / (time if number == 1 else f"{time}-{number}")).exists():
                number += 1
            folder.mkdir()
            self._folder = folder
        return self._folder


@contextmanager
def moving_aside(root: Path) -> Iterator[SetAside]:
    """Give a `SetAside` whose moves are undone if the block fails; a kill undoes nothing.

    Raises:
        StorageError: The disk refuses, also to bring something back.
    """
    aside = SetAside(root)
    try:
        yield aside
    except Exception:
        aside.move_back()
        raise
