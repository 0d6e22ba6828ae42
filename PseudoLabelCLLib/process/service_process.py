"""The parent's side of the service: start it, ask it, hear it, end it; nothing here waits."""

import contextlib
import logging
import math
import os
import queue
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from PseudoLabelCLLib.domain.errors import WorkerError
from PseudoLabelCLLib.messages.job_messages import ProtocolError, ProtocolVersionError
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
)
from PseudoLabelCLLib.process.exit_codes import exit_code_in_words
from PseudoLabelCLLib.process.process_tree import kill_tree, start_tree

SERVICE_MODULE = "PseudoLabelCLLib.project_service"
STDERR_TAIL_BYTES = 16_384
# After the service has died, a process that it left behind may hold its lines open; do not wait for
# that one longer than this.
_LAST_WORDS_S = 1.0
_REOPEN = "Open the project again: everything that was answered is on disk."
_log = logging.getLogger(__name__)


class ServiceProcess:
    """One service; it may be used from one thread.

    Every request gets one `Answered` or `Refused`, unless the service ends first: then one
    `ServiceEnded` names those that are left.

        service = ServiceProcess.start(python)
        number = service.ask(OpenProject(root))
        events = service.poll()

    Args:
        process: The running service with pipes for all three standard streams.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._heard: queue.SimpleQueue[ServiceMessage | ProtocolVersionError] = queue.SimpleQueue()
        self._to_send: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._ready: deque[ServiceEvent] = deque()
        self._unanswered: dict[int, Request] = {}
        self._next_seq = 0
        self._stderr_tail = b""
        self._died_s = math.inf
        self._is_ended = self._is_ended_on_request = False
        self._wrong_version: ProtocolVersionError | None = None
        self._readers = tuple(
            threading.Thread(target=target, name=f"service {target.__name__}", daemon=True)
            for target in (self._read_messages, self._read_stderr)
        )
        for thread in (*self._readers, threading.Thread(target=self._send, daemon=True)):
            thread.start()

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
                f"The helper process cannot be started with '{python}': {error.strerror or error}.",
                "Check that this Python interpreter exists and is executable.",
            ) from error
        return cls(process)

    @property
    def is_alive(self) -> bool:
        """Whether the service's process still runs."""
        exit_code = self._process.poll()
        if exit_code is not None and self._died_s == math.inf:
            self._died_s = time.monotonic()
            # A launcher's child is the service; it must not hold the project's lock for nobody.
            kill_tree(self._process)
        return exit_code is None

    @property
    def pid(self) -> int:
        """The number of the service's process, or of the launcher before it."""
        return self._process.pid

    @property
    def stderr_tail(self) -> str:
        """The last that the service wrote to its standard error: its log."""
        return self._stderr_tail.decode("utf-8", errors="replace")

    def ask(self, request: Request) -> int:
        """Hand in a request, at once, and return its number.

        The service meets requests one after the other. One that comes when the service has ended is
        refused.
        """
        seq, self._next_seq = self._next_seq, self._next_seq + 1
        if self._is_ended:
            told = f"The helper process has ended: {_named(request)} is not possible."
            self._ready.append(Refused(seq, "WorkerError", told, _REOPEN))
            return seq
        self._unanswered[seq] = request
        self._to_send.put(encode_request(seq, request))
        return seq

    def poll(self) -> list[ServiceEvent]:
        """Return the events since the last call, at once and in order."""
        is_over = not self._is_ended and self._is_dead_and_read()
        with contextlib.suppress(queue.Empty):
            while True:
                self._take(self._heard.get_nowait())
        if is_over:
            self._is_ended = True
            self._ready.append(self._ending())
        events = list(self._ready)
        self._ready.clear()
        return events

    def kill(self) -> None:
        """End the service now; `ServiceEnded` follows. The project on disk stays whole."""
        # Once the service is gone its number may belong to another process.
        if self.is_alive:
            self._is_ended_on_request = True
            kill_tree(self._process)

    def close(self, patience_s: float = 5.0) -> None:
        """Let the service finish what it was asked, then end; kill it after `patience_s` seconds.

        This waits for the end. Events that came meanwhile are for `poll`.
        """
        self._is_ended_on_request = True
        self._to_send.put(None)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=patience_s)
        self.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join(timeout=_LAST_WORDS_S)

    def _take(self, heard: ServiceMessage | ProtocolVersionError) -> None:
        if isinstance(heard, ProtocolVersionError):
            self._wrong_version = heard
            return
        if isinstance(heard, Answered | Refused):
            self._unanswered.pop(heard.to, None)
        if not isinstance(heard, ServiceReady):
            self._ready.append(heard)

    def _is_dead_and_read(self) -> bool:
        if self.is_alive:
            return False
        is_read = not any(reader.is_alive() for reader in self._readers)
        return is_read or time.monotonic() - self._died_s > _LAST_WORDS_S

    def _ending(self) -> ServiceEnded:
        left = ", ".join(dict.fromkeys(_named(request) for request in self._unanswered.values()))
        self._unanswered.clear()
        self._to_send.put(None)  # nobody reads any more
        unanswered = f" Not answered: {left}." if left else ""
        if self._wrong_version is not None:
            what, remedy = self._wrong_version.message, self._wrong_version.remedy
        elif self._is_ended_on_request:
            what, remedy = "The helper process was ended on request.", _REOPEN
        else:
            # The words for the exit code of a worker hold for any process but for its name.
            told = exit_code_in_words(self._process.returncode, self.stderr_tail)[0]
            what = told.replace("The worker", "The helper process that reads and writes projects")
            remedy = _REOPEN
        return ServiceEnded(what + unanswered, remedy, self.stderr_tail)

    def _send(self) -> None:
        with contextlib.suppress(OSError, ValueError), _pipe(self._process.stdin) as stdin:
            while (line := self._to_send.get()) is not None:
                stdin.write(line)
                stdin.flush()

    def _read_messages(self) -> None:
        with _pipe(self._process.stdout) as stdout, contextlib.suppress(OSError, ValueError):
            for line in stdout:
                self._hear(line)

    def _hear(self, line: bytes) -> None:
        try:
            self._heard.put(decode_message(line))
        except ProtocolVersionError as error:
            self._heard.put(error)
            kill_tree(self._process)
        except ProtocolError as error:
            _log.warning("%s", error.message)

    def _read_stderr(self) -> None:
        with _pipe(self._process.stderr) as stderr, contextlib.suppress(OSError, ValueError):
            while chunk := os.read(stderr.fileno(), 65_536):
                self._stderr_tail = (self._stderr_tail + chunk)[-STDERR_TAIL_BYTES:]


_WORDS = {
    "CreateProject": "making the project",
    "OpenProject": "opening the project",
    "CloseProject": "closing the project",
    "Refresh": "reading the project",
    "FindVolumes": "looking for volumes",
    "AddVolumes": "adding volumes",
    "SetRole": "changing roles",
    "ChooseSlices": "choosing the slices that count",
    "RemoveCases": "removing cases",
    "ChangeLabels": "changing the structures",
    "ChangeSettings": "changing settings",
    "CheckCases": "checking the cases",
    "ShowCase": "showing a case",
    "Accept": "accepting",
    "Reject": "rejecting",
    "Correct": "saving a correction",
    "PreviewCorrection": "comparing a correction with the proposal",
    "TakeBackVerdict": "taking back a verdict",
    "ReadHistory": "measuring the rounds",
    "GoBack": "going back to an earlier round",
    "Export": "exporting",
    "CheckDicomExport": "checking a DICOM export",
    "ExportDicom": "exporting to DICOM",
    "SaveModel": "saving the model",
    "ReadModel": "reading a model",
    "MakeSampleData": "making sample volumes",
    "SignVerdicts": "choosing the name on verdicts",
    "AnswerQuestion": "keeping an answer",
}


def _named(request: Request) -> str:
    """What a request is about, for a person."""
    return _WORDS[type(request).__name__]


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # all three streams were asked for as pipes
    return stream
