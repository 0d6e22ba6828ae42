"""The line to the worker: one job at a time, its events in bounded portions."""

from collections import deque
from pathlib import Path

from PseudoLabelCLGui.presenter.ports import StartWorker, Worker
from PseudoLabelCLLib.messages.job_messages import Event, is_terminal
from PseudoLabelCLLib.messages.jobs import Job


class WorkerLine:
    """Starts workers and releases those that have ended.

    Args:
        start: Starts a worker for a job in a job folder.
    """

    def __init__(self, start: StartWorker) -> None:
        self._start = start
        self._worker: Worker | None = None
        self._events: deque[Event] = deque()
        self._leaving: list[Worker] = []
        self.job_folder = ""

    @property
    def is_busy(self) -> bool:
        """Whether a job runs whose end was not heard yet."""
        return self._worker is not None

    def start(self, job: Job, folder: Path) -> None:
        """Start a worker.

        Raises:
            PseudoLabelCLError: The interpreter cannot be started, or the disk refuses.
            OSError: The system refuses.
        """
        self._worker = self._start(job, folder)
        self.job_folder = str(folder)

    def poll(self, limit: int) -> list[Event]:
        """Return at most `limit` events; after a terminal one the line is free."""
        self._let_go()
        if self._worker is not None:
            self._events.extend(self._worker.poll_events())
        heard: list[Event] = []
        while self._events and len(heard) < limit:
            heard.append(self._events.popleft())
            if is_terminal(heard[-1]):
                self._leave()
        return heard

    def request_cancel(self) -> None:
        """Ask the worker to save and stop."""
        if self._worker is not None:
            self._worker.request_cancel()

    def shut_down(self) -> None:
        """Ask the worker to save and stop, and wait for nothing: it ends by itself."""
        self.request_cancel()
        self._leave()

    def _leave(self) -> None:
        # A worker takes a moment to end after its last word; waiting would freeze the panel.
        if self._worker is not None:
            self._leaving.append(self._worker)
        self._worker = None
        self._events.clear()

    def _let_go(self) -> None:
        for worker in [worker for worker in self._leaving if not worker.is_alive]:
            worker.close(0.0)
            self._leaving.remove(worker)
