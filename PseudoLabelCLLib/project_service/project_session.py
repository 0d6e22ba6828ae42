"""The one project that the service has open: its folder, its lock, its state on disk."""

import contextlib
import errno
from pathlib import Path
from typing import TypeAlias

from PseudoLabelCLLib.curation.review.proposals import ProposalFingerprints
from PseudoLabelCLLib.domain.errors import (
    ProjectError,
    ProjectGoneError,
    StorageError,
    UnknownServerError,
)
from PseudoLabelCLLib.domain.project import Project
from PseudoLabelCLLib.domain.text import Text, joined
from PseudoLabelCLLib.messages.project_view import ProjectView
from PseudoLabelCLLib.project_service.view_project import ViewMemory, view_of
from PseudoLabelCLLib.storage.files.atomic_files import storage_error
from PseudoLabelCLLib.storage.project.host_mark import HostMark
from PseudoLabelCLLib.storage.project.project_layout import ProjectLayout, round_index
from PseudoLabelCLLib.storage.project.project_lock import project_lock
from PseudoLabelCLLib.storage.project.project_store import (
    foreign_parts,
    load_project,
    require_project,
)
from PseudoLabelCLLib.storage.project.provenance import is_news

LOCK_OWNER = Text("another PseudoLabelCL session")
_READ_ONLY = Text("You cannot write to the project's folder: the project is open read-only.")
_NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)
_Stamp: TypeAlias = tuple[int, int]


class ProjectSession:
    """The open project, if any, and its lock.

    The state is read again when a worker has changed it: nobody else may while the lock is held.
    A project on a disk that cannot be written to is opened read-only, without a lock.

    Attributes:
        notices: What a person should know who has just opened the project, in sentences.
    """

    def __init__(self) -> None:
        self._root: Path | None = None
        self._project: Project | None = None
        self._lock = contextlib.ExitStack()
        self._file_stamp: _Stamp = (0, 0)
        self._rounds_stamp: dict[str, _Stamp] = {}
        self._lock_stamp: _Stamp = (0, 0)
        self._mark: HostMark | None = None
        self._is_lost = False
        self._memory = ViewMemory()
        self._is_read_only = False
        self.notices: tuple[Text, ...] = ()

    @property
    def root(self) -> Path:
        """The folder of the open project.

        Raises:
            ProjectError: No project is open.
        """
        if self._root is None:
            raise ProjectError(Text("No project is open."), Text("Open a project first."))
        return self._root

    @property
    def has_project(self) -> bool:
        """Whether a project is open."""
        return self._root is not None

    @property
    def fingerprints(self) -> ProposalFingerprints:
        """What is known of unchanged proposals."""
        return self._memory.fingerprints

    def open(self, root: Path) -> None:
        """Open a project in place of the one that is open; that one stays if this fails.

        Raises:
            ProjectInUseError: Another user interface has it open.
            ProjectError: There is no project, or it is damaged.
            StorageError: The disk refuses.
        """
        root = root.absolute()
        require_project(root)  # another folder gets no lock
        if self._is_same(root):
            if not self._is_lost:
                self.reload()
                return
            self.close()  # whoever brought the folder back may have made its lock anew
        with contextlib.ExitStack() as lock:
            is_read_only, mark = _locked(lock, root)
            project = load_project(root)  # as it is now that nobody else can change it
            foreign = foreign_parts(root, project)
            self.close()
            self._lock = lock.pop_all()
        self._is_read_only, self._mark = is_read_only, mark
        self.notices = (*([_READ_ONLY] if is_read_only else []),)
        if is_news(root, foreign):
            self.notices += (foreign.sentence,)
        self.notices += _unknown_servers(root, project)
        self._root, self._is_lost, self._memory = root, False, ViewMemory()
        self._lock_stamp = _identity(ProjectLayout(root).lock)

    def close(self) -> None:
        """Close the project, if one is open, and release its lock."""
        with contextlib.suppress(OSError):  # the lock of a drive that is away is nobody's
            self._lock.close()
        self._root = self._project = None

    def project(self) -> Project:
        """Return the project as it is on disk.

        Raises:
            ProjectError: No project is open, it is gone, or it is damaged.
            StorageError: The disk refuses.
        """
        layout = ProjectLayout(self.root)
        self._require_there(layout)
        changed = (_stamp(layout.project_file), _rounds_stamp(layout)) != (
            self._file_stamp,
            self._rounds_stamp,
        )
        if self._project is None or changed:
            return self._load()
        return self._project

    def require_writable(self) -> None:
        """Refuse a change of a project that is open read-only.

        Raises:
            ProjectError: It is.
        """
        if self._root is not None and self._is_read_only:
            raise ProjectError(
                _READ_ONLY, Text("To continue, copy the project to a disk that you can write to.")
            )

    def update(self, project: Project) -> None:
        """Go on with a project that was changed and saved."""
        self._project = project
        # The rounds keep their stamp: what a worker wrote meanwhile is read at the next look.
        self._file_stamp = _stamp(ProjectLayout(self.root).project_file)

    def updated_view(self, project: Project) -> ProjectView:
        """Go on with a project that was changed and saved, and return it as it is shown."""
        self.update(project)
        return self.view()

    def reload(self) -> None:
        """Read the project from disk at the next look, whatever seems to have changed."""
        self._project = None
        self._memory = self._memory.emptied()

    def view(self) -> ProjectView:
        """Return the project as it is shown.

        Raises:
            ProjectError: No project is open, it is gone, or it is damaged.
            StorageError: The disk refuses.
        """
        return view_of(self.root, self.project(), self._memory)

    def _is_same(self, root: Path) -> bool:
        if self._root is None:
            return False
        try:
            return self._root == root or self._root.samefile(root)
        except OSError:
            return False

    def _load(self) -> Project:
        layout = ProjectLayout(self.root)
        # The stamps first: what changes while the files are read is read again.
        self._file_stamp, self._rounds_stamp = _stamp(layout.project_file), _rounds_stamp(layout)
        self._project = load_project(self.root)
        return self._project

    def _require_there(self, layout: ProjectLayout) -> None:
        try:
            is_there = layout.project_file.is_file()
        except OSError as error:
            raise storage_error(layout.project_file, error, action="read") from error
        # Once it was away, the lock may be another's: the project has to be opened again. So it is
        # with another folder that took its place.
        is_ours = is_there and _identity(layout.lock) == self._lock_stamp
        if is_ours and self._mark is not None and not self._mark.is_held:
            self._is_lost = True  # it has to be opened again, which asks for the lock
            raise ProjectGoneError(
                Text(
                    "The project '{root}' was opened on another computer while this one was "
                    "asleep, or away from its network.",
                    root=layout.root,
                ),
                Text("Close it there, then open it again here."),
            )
        self._is_lost = self._is_lost or not is_ours
        if self._is_lost:
            raise ProjectGoneError(
                Text(
                    "The project '{root}' is no longer there: its folder was deleted or "
                    "renamed, or its drive was disconnected.",
                    root=layout.root,
                ),
                Text("Restore the folder and open the project again, or open another one."),
            )


def _locked(stack: contextlib.ExitStack, root: Path) -> tuple[bool, HostMark | None]:
    """Take the lock of a project, unless its disk cannot be written to.

    Returns:
        Whether it cannot, and what other computers see of the lock.
    """
    try:
        mark = stack.enter_context(project_lock(ProjectLayout(root).lock, LOCK_OWNER))
    except StorageError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in _NOT_WRITABLE:
            return True, None
        raise
    return False, mark


def _unknown_servers(root: Path, project: Project) -> tuple[Text, ...]:
    """Say that images lie on a server that nobody here chose, once for the first of them."""
    layout = ProjectLayout(root)
    try:
        for case in project.cases:
            for image in (case.image, *(one.image for one in case.further_images)):
                layout.resolve(image)
    except UnknownServerError as error:
        return (joined(error.message, error.remedy),)
    return ()


def _stamp(path: Path) -> _Stamp:
    """What changes when a file is written anew; (0, 0) for none."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_ino)


def _identity(path: Path) -> _Stamp:
    """What tells a file from another one in its place; (0, 0) for none."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_dev, status.st_ino)


def _rounds_stamp(layout: ProjectLayout) -> dict[str, _Stamp]:
    try:
        names = [entry.name for entry in layout.rounds.iterdir()]
    except OSError:
        return {}
    indices = sorted(index for name in names if (index := round_index(name)) is not None)
    return {str(index): _stamp(layout.round_file(index)) for index in indices}
