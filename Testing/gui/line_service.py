"""The real service's handlers behind its real lines, in this process; it dies when told to."""

import os

from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.requests import Request
from PseudoLabelCLLib.messages.service_messages import (
    Answered,
    ServiceEnded,
    ServiceEvent,
    decode_message,
    encode_message,
    encode_request,
)
from PseudoLabelCLLib.project_service.project_session import ProjectSession
from PseudoLabelCLLib.project_service.serve import response_to


class LineService:
    """Meets requests in order, as many as it is told; every message takes the way over a line.

    Args:
        asked: Told every request when it is asked for.
        handled: Told every request and its answer when it was handled, heard or not.
    """

    def __init__(self, asked, handled) -> None:
        self._session = ProjectSession()
        self._nowhere = os.open(os.devnull, os.O_WRONLY)
        self._asked, self._handled = asked, handled
        self._lines: list[tuple[Request, bytes]] = []
        self._events: list[ServiceEvent] = []
        self._num_asked = 0
        self.is_dead = False

    def ask(self, request: Request) -> int:
        number, self._num_asked = self._num_asked, self._num_asked + 1
        self._asked(number, request)
        self._lines.append((request, encode_request(number, request)))
        return number

    def poll(self) -> list[ServiceEvent]:
        events, self._events = self._events, []
        return events

    def handle(self, number: int) -> None:
        """Handle requests; their answers are heard with the next `poll`."""
        for _ in range(min(number, len(self._lines))):
            request, line = self._lines.pop(0)
            seq, message = response_to(self._session, line, self._nowhere)
            heard = decode_message(encode_message(message))
            self._handled(seq, request, heard if isinstance(heard, Answered) else None)
            self._events.append(heard)

    def kill(self) -> None:
        """Die now: what waits is not handled, and answers are perhaps not heard."""
        if not self.is_dead:
            self.is_dead = True
            self.close()
            self._events = [
                ServiceEnded(Text("The helper was killed."), Text("Open the project again."), "")
            ]

    def close(self, patience_s: float = 0.0) -> None:
        self._lines.clear()
        self._session.close()
        if self._nowhere >= 0:
            os.close(self._nowhere)
        self._nowhere = -1
