"""The line to the service: requests with what is to be done with their answers."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from PseudoLabelCLGui.presenter.ports import Service, StartService
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.messages.requests import ChangesProject, Request, WritesFiles
from PseudoLabelCLLib.messages.service_messages import (
    Answered,
    Refused,
    ServiceEnded,
    ServiceEvent,
)

A = TypeVar("A")


def nothing(*_args: object) -> None:
    """Do nothing with an answer."""


@dataclass
class Asked(Generic[A]):
    """A request on its way.

    Args:
        request: What was asked.
        then: Told the answer.
        failed: Called when the request was refused or lost.
        is_quiet: Whether a refusal is not shown.
        is_forgotten: Whether it was asked for a project that was closed since.
        refused: Told a refusal in place of `failed` and the person, if there is one.
        on_progress: Told how far it is in place of the person, if there is one.
    """

    request: Request[A]
    then: Callable[[A], None] = nothing
    failed: Callable[[], None] = nothing
    is_quiet: bool = False
    is_forgotten: bool = False
    refused: Callable[[Refused], None] | None = None
    on_progress: Callable[[Progress], None] | None = None

    @property
    def writes(self) -> bool:
        """Whether it changes something on disk, so that it matters whether it was done."""
        return isinstance(self.request, ChangesProject | WritesFiles)


class ServiceLine:
    """Starts the service with the first request; events come out with the requests they belong to.

    Args:
        start: Starts a service.
    """

    def __init__(self, start: StartService) -> None:
        self._start = start
        self._service: Service | None = None
        # The answer is of the type that its request names: `ServiceProcess` sees to that.
        self._asked: dict[int, Asked[Any]] = {}
        self._events: deque[ServiceEvent] = deque()

    @property
    def is_started(self) -> bool:
        """Whether there is a service, as far as is known."""
        return self._service is not None

    def ask(self, asked: Asked[Any]) -> None:
        """Send a request.

        Raises:
            PseudoLabelCLError: The service cannot be started.
            OSError: The system refuses to start it.
        """
        if self._service is None:
            self._service = self._start()
        self._asked[self._service.ask(asked.request)] = asked

    def awaits(self, kind: type[Request[Any]]) -> bool:
        """Tell whether a request of this kind is on its way."""
        return any(isinstance(asked.request, kind) for asked in self._asked.values())

    def poll(self, limit: int) -> list[tuple[ServiceEvent, Asked[Any] | None]]:
        """Return at most `limit` events; the others come with the next call."""
        if self._service is not None:
            self._events.extend(self._service.poll())
        heard: list[tuple[ServiceEvent, Asked[Any] | None]] = []
        while self._events and len(heard) < limit:
            event = self._events.popleft()
            heard.append((event, self._request_of(event)))
        return heard

    def take_lost(self) -> list[Asked[Any]]:
        """Forget a service that has ended, and return the requests that it did not answer."""
        lost = list(self._asked.values())
        self._service = None
        self._asked.clear()
        self._events.clear()
        return lost

    def forget_answers(self) -> None:
        """Do nothing more with the answers to what was asked so far."""
        for asked in self._asked.values():
            asked.then = asked.failed = nothing
            asked.is_quiet = asked.is_forgotten = True
            asked.refused = asked.on_progress = None

    def close(self, patience_s: float) -> None:
        """Let the service finish what it was asked."""
        if self._service is not None:
            self._service.close(patience_s)
        self.take_lost()

    def _request_of(self, event: ServiceEvent) -> Asked[Any] | None:
        if isinstance(event, Answered | Refused):
            return self._asked.pop(event.to, None)
        return None if isinstance(event, ServiceEnded) else self._asked.get(event.to)
