"""The parent's side of the service: start it, ask it, hear it, end it; nothing here waits."""

import contextlib
import logging
import queue
import subprocess
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PseudoLabelCLLib.domain.errors import WorkerError
from PseudoLabelCLLib.domain.text import NO_TEXT, Text, joined, listed
from PseudoLabelCLLib.messages.json_lines import ProtocolError, ProtocolVersionError
from PseudoLabelCLLib.messages.requests import Request
from PseudoLabelCLLib.messages.service_messages import (
    Answered,
    Refused,
    ServiceEnded,
    ServiceEvent,
    ServiceMessage,
    ServiceReady,
    decode_message,
    encode_request,
    not_understood,
)
from PseudoLabelCLLib.process.child_process import ChildProcess
from PseudoLabelCLLib.process.exit_codes import exit_code_in_words
from PseudoLabelCLLib.process.process_tree import start_tree

SERVICE_MODULE = "PseudoLabelCLLib.project_service"
_REOPEN = Text("Open the project again: everything that was answered is on disk.")
_log = logging.getLogger(__name__)
_THIS_PROCESS = Text("The helper process that reads and writes projects")


class ServiceProcess(ChildProcess):
    """One service; use it from one thread.

    Every request gets one `Answered` or `Refused`, unless the service ends first: then one
    `ServiceEnded` names those that are left. So it does after `kill`; the project stays whole.

        service = ServiceProcess.start(python)
        number = service.ask(OpenProject(root))
        events = service.poll()

    Args:
        process: The running service with pipes for all three standard streams.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        super().__init__(process)
        self._heard: queue.SimpleQueue[ServiceMessage | ProtocolVersionError] = queue.SimpleQueue()
        self._to_send: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._ready: deque[ServiceEvent] = deque()
        self._unanswered: dict[int, Request[Any]] = {}
        self._next_seq = 0
        self._is_ended = False
        self._wrong_version: ProtocolVersionError | None = None
        self._start_reading()
        threading.Thread(target=self._send, name="ServiceProcess stdin", daemon=True).start()

    @classmethod
    def start(
        cls,
        python: str | Path,
        environment: Mapping[str, str] | None = None,
        *,
        module: str = SERVICE_MODULE,
    ) -> "ServiceProcess":
        """Start a service.

        Args:
            python: The interpreter; it needs no torch. Inside Slicer that is PythonSlicer.
            environment: Variables to set beside those of this process.
            module: The Python module to run.

        Raises:
            WorkerError: The interpreter cannot be started.
        """
        try:
            process = start_tree([str(python), "-m", module], environment or {})
        except OSError as error:
            raise WorkerError(
                Text(
                    "The helper process cannot be started with '{python}': {reason}.",
                    python=python,
                    reason=error.strerror or error,
                ),
                Text("Check that this Python interpreter exists and is executable."),
            ) from error
        return cls(process)

    def ask(self, request: Request[Any]) -> int:
        """Hand in a request, at once, and return its number.

        The service handles requests one after the other. One that comes when the service has ended
        is refused.
        """
        seq, self._next_seq = self._next_seq, self._next_seq + 1
        if self._is_ended:
            told = Text(
                "The helper process has ended: {activity} is not possible.",
                activity=request.activity,
            )
            self._ready.append(Refused(seq, "WorkerError", told, _REOPEN))
            return seq
        self._unanswered[seq] = request
        self._to_send.put(encode_request(seq, request))
        return seq

    def poll(self) -> list[ServiceEvent]:
        """Return the events since the last call, at once and in order."""
        is_over = not self._is_ended and self._is_read
        with contextlib.suppress(queue.Empty):
            while True:
                self._take(self._heard.get_nowait())
        if is_over:
            self._is_ended = True
            self._ready.append(self._ending())
        events = list(self._ready)
        self._ready.clear()
        return events

    def close(self, patience_s: float = 5.0) -> None:
        """Let the service finish what it was asked, then end; kill it after `patience_s` seconds.

        This waits for the end. Events that came meanwhile are for `poll`.
        """
        self._is_ended_on_request = True
        self._to_send.put(None)
        self._wait_for_end(patience_s)

    def _take(self, heard: ServiceMessage | ProtocolVersionError) -> None:
        if isinstance(heard, ProtocolVersionError):
            self._wrong_version = heard
            return
        if isinstance(heard, Answered):
            self._take_answer(heard)
            return
        if isinstance(heard, Refused):
            self._unanswered.pop(heard.to, None)
        if not isinstance(heard, ServiceReady):
            self._ready.append(heard)

    def _take_answer(self, answered: Answered) -> None:
        request = self._unanswered.get(answered.to)
        if request is not None and not isinstance(answered.answer, request.answer_type):
            found, expected = type(answered.answer).__name__, request.answer_type.__name__
            self._wrong_version = not_understood(
                Text(
                    "{activity} was answered with {found}, expected {expected}",
                    activity=request.activity,
                    found=found,
                    expected=expected,
                )
            )
            self.kill()
            return
        self._unanswered.pop(answered.to, None)
        self._ready.append(answered)

    def _ending(self) -> ServiceEnded:
        left = listed(dict.fromkeys(request.activity for request in self._unanswered.values()))
        self._unanswered.clear()
        self._to_send.put(None)  # nobody reads any more
        unanswered = Text("Not answered: {activities}.", activities=left) if left else NO_TEXT
        if self._wrong_version is not None:
            what, remedy = self._wrong_version.message, self._wrong_version.remedy
        elif self._is_ended_on_request:
            what, remedy = Text("The helper process was ended on request."), _REOPEN
        else:
            code, remedy = self._process.returncode, _REOPEN
            what, _ = exit_code_in_words(code, self.stderr_tail, _THIS_PROCESS)
        return ServiceEnded(joined(what, unanswered), remedy, self.stderr_tail)

    def _send(self) -> None:
        with contextlib.suppress(OSError, ValueError), self._stdin as stdin:
            while (line := self._to_send.get()) is not None:
                stdin.write(line)
                stdin.flush()

    def _hear(self, line: bytes) -> None:
        try:
            self._heard.put(decode_message(line))
        except ProtocolVersionError as error:
            self._heard.put(error)
            self.kill()
        except ProtocolError as error:
            _log.warning("%s", error.message)
