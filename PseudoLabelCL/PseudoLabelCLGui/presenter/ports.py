"""What the presenter needs from outside, and whom it tells: service, worker, scene, listeners."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from PseudoLabelCLLib.messages.answers import CaseFiles, VolumesFound
from PseudoLabelCLLib.messages.job_messages import Event
from PseudoLabelCLLib.messages.jobs import Job
from PseudoLabelCLLib.messages.project_view import ProjectView
from PseudoLabelCLLib.messages.requests import Request
from PseudoLabelCLLib.messages.service_messages import ServiceEvent


class Service(Protocol):
    """The process that reads and changes the project; `ServiceProcess` is one."""

    def ask(self, request: Request[Any]) -> int:
        """Send a request and return its number, at once."""
        ...

    def poll(self) -> list[ServiceEvent]:
        """Return the events since the last call, at once and in order."""
        ...

    def close(self, patience_s: float = 5.0) -> None:
        """Let it finish what it was asked, for at most `patience_s` seconds."""
        ...


class Worker(Protocol):
    """The process that does one job; `WorkerProcess` is one."""

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs."""
        ...

    def poll_events(self) -> list[Event]:
        """Return the events since the last call, at once."""
        ...

    def request_cancel(self) -> None:
        """Ask it to save and stop."""
        ...

    def close(self, patience_s: float = 5.0) -> None:
        """Release it; it is killed if it has not ended after `patience_s` seconds."""
        ...


StartService = Callable[[], Service]
StartWorker = Callable[[Job, Path], Worker]


class SceneFiles(Protocol):
    """What the presenter must know of the scene."""

    def has_image(self, case_id: str) -> bool:
        """Tell whether the volume of a case is in the scene, so that it need not be read again."""
        ...

    def temporary_folder(self) -> Path:
        """Return a folder for files that nobody needs after this session."""
        ...


class RecentProjects(Protocol):
    """Where the folders of projects are remembered from one session to the next."""

    def read(self) -> tuple[str, ...]:
        """Return the folders, the one that was opened last first."""
        ...

    def write(self, roots: tuple[str, ...]) -> None:
        """Remember these."""
        ...


class ForgetfulProjects:
    """Remembers the folders of projects in this session only."""

    def read(self) -> tuple[str, ...]:
        """Return nothing."""
        return ()

    def write(self, roots: tuple[str, ...]) -> None:
        """Remember nothing."""


def nobody(*_args: object) -> None:
    """Stand for a listener that was not set."""


class Listeners:
    """Callables that the panel sets; the presenter calls them from `tick` or from an action.

    Attributes:
        on_case_files: Show this case; its files are ready. The panel calls `case_is_on_screen` once
            they are in the views, or `case_cannot_be_shown`; no verdict is possible before.
        on_case_left: This case is no longer shown; its nodes can go. The second argument tells what
            becomes of changes that are in no verdict: True, they go too, as the person said; False,
            they stay in the scene as the person's own.
        on_verdict_saved: The verdicts on these cases are on disk; called before the next case is
            shown.
        on_project_opened: A project was opened, or opened again after the service had crashed.
        on_project_closed: No project is open any more.
        on_segmented: A volume was segmented with a model: volume, then segmentation.
        on_found: Volumes were found: let the person choose, then call `add_found`.
        on_correction_wanted: Save the changed proposal to a file and call `correct` with it, or
            `correction_failed`; the argument are the label values of the structures that are left
            out, as far as they were given: what is marked in the scene counts as well.
        on_dicom_written: Take these DICOM files into Slicer's DICOM database, then call
            `told_by_database`.
        on_probe_wanted: Probe this interpreter (empty for Slicer's own), then `readiness.found`.
        on_install_wanted: Ask for and install what is missing.
        on_folder_wanted: Show this folder to the person.
        on_step_wanted: Unfold this step of the panel: "cases", "train", "review" or "use".
    """

    def __init__(self) -> None:
        self.on_case_files: Callable[[CaseFiles], None] = nobody
        self.on_case_left: Callable[[str, bool], None] = nobody
        self.on_verdict_saved: Callable[[tuple[str, ...]], None] = nobody
        self.on_project_opened: Callable[[ProjectView], None] = nobody
        self.on_project_closed: Callable[[], None] = nobody
        self.on_segmented: Callable[[str, str], None] = nobody
        self.on_found: Callable[[VolumesFound], None] = nobody
        self.on_correction_wanted: Callable[[tuple[int, ...]], None] = nobody
        self.on_dicom_written: Callable[[tuple[str, ...]], None] = nobody
        self.on_probe_wanted: Callable[[str], None] = nobody
        self.on_install_wanted: Callable[[], None] = nobody
        self.on_folder_wanted: Callable[[str], None] = nobody
        self.on_step_wanted: Callable[[str], None] = nobody
