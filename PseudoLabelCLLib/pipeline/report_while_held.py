"""A job's listener that stops the job once its project is another computer's."""

import time
from collections.abc import Mapping
from pathlib import Path

from PseudoLabelCLLib.domain.errors import ProjectInUseError
from PseudoLabelCLLib.domain.reporting import Report
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.storage.project.host_mark import HostMark

LOOK_EVERY_S = 5.0


class ReportWhileHeld:
    """Passes on what a job tells, as long as the job holds its project's lock.

    A computer that slept, or was away from its network, may find that another one took over. Then
    the job ends before it writes anything more. It is looked for every few seconds, whenever the
    job tells something or asks whether it is cancelled: between two steps, two cases, and before a
    file is said to be ready.

    Args:
        report: Who listens.
        mark: The job's words in the lock; None where the lock has no place for them.
        root: The project.
    """

    def __init__(self, report: Report, mark: HostMark | None, root: Path) -> None:
        self._report, self._mark, self._root = report, mark, root
        self._looked_s = time.monotonic()

    def progress(self, stage: Text, step: int, num_steps: int) -> None:
        """See `Report`."""
        self._require_held()
        self._report.progress(stage, step, num_steps)

    def metrics(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """See `Report`."""
        self._report.metrics(stage, step, values)

    def notice(self, text: Text, *, warning: bool = False) -> None:
        """See `Report`."""
        self._report.notice(text, warning=warning)

    def artifact(self, kind: str, path: Path) -> None:
        """See `Report`."""
        self._require_held()
        self._report.artifact(kind, path)

    def is_cancelled(self) -> bool:
        """See `Report`."""
        self._require_held()
        return self._report.is_cancelled()

    def _require_held(self) -> None:
        """Look at the lock, unless that was a moment ago.

        Raises:
            ProjectInUseError: Another computer has taken over.
        """
        now_s = time.monotonic()
        if self._mark is None or now_s - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = now_s
        if not self._mark.is_held:
            raise ProjectInUseError(
                Text(
                    "Another computer works in the project '{folder}' since this one was asleep, "
                    "or away from its network.",
                    folder=self._root,
                ),
                Text("Go on there; nothing more was written here."),
            )
