"""The real service's handlers behind its real lines, in this process; it dies when told to."""

import os

from PseudoLabelCLLib.messages.requests import Request
from PseudoLabelCLLib.messages.service_messages import (
    Answered,
    ServiceEnded,
    ServiceEvent,
    decode_message,
    encode_message,
    encode_request,
)
from PseudoLabelCLLib.project_service.open_project import OpenProjectHolder
from PseudoLabelCLLib.project_service.serve import _ending_of


class LineService:
    """Meets requests in order, as many as it is told; every message takes the way over a line.

    Args:
        asked: Told every request when it is asked for.
        met: Told every request and its answer when it was met, heard or not.
    """

    def __init__(self, asked, met) -> None:
        self._holder = OpenProjectHolder()
        self._nowhere = os.open(os.devnull, os.O_WRONLY)
        self._asked, self._met = asked, met
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
        """Meet requests; their answers are heard with the next `poll`."""
        for _ in range(min(number, len(self._lines))):
            request, line = self._lines.pop(0)
            seq, message = _ending_of(self._holder, line, self._nowhere)
            heard = decode_message(encode_message(message))
            self._met(seq, request, heard if isinstance(heard, Answered) else None)
            self._events.append(heard)

    def kill(self) -> None:
        """Die now: what waits is not met, and what was met is perhaps not heard."""
        if not self.is_dead:
            self.is_dead = True
            self.close()
            self._events = [ServiceEnded("The helper was killed.", "Open the project again.", "")]

    def close(self, patience_s: float = 0.0) -> None:
        self._lines.clear()
        self._holder.close()
        if self._nowhere >= 0:
            os.close(self._nowhere)
        self._nowhere = -1
