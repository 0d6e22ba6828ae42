"""The worker process: `python -m PseudoLabelCLLib.worker <job.json>`; events out, cancel in.

Docs/protocol.md tells the rules of the exchange.
"""

import faulthandler
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from PseudoLabelCLLib.domain.errors import WorkerError
from PseudoLabelCLLib.domain.reporting import Cancelled, Report
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.job_messages import (
    PROTOCOL_VERSION,
    Cancel,
    JobCancelled,
    JobCompleted,
    JobFailed,
    JobStarted,
    Notice,
    NoticeLevel,
    TerminalEvent,
    decode_line,
)
from PseudoLabelCLLib.messages.jobs import Job
from PseudoLabelCLLib.messages.json_codec import JsonValue, to_json
from PseudoLabelCLLib.messages.json_lines import ProtocolError
from PseudoLabelCLLib.process.failure import failure_of
from PseudoLabelCLLib.process.job_files import read_job
from PseudoLabelCLLib.process.job_reporter import EventWriter, JobReporter
from PseudoLabelCLLib.process.path_redactor import PathRedactor
from PseudoLabelCLLib.process.standard_streams import take_over_standard_streams

RunJob: TypeAlias = Callable[[Job, Report], dict[str, JsonValue]]

DEADLINE_S = 30.0
_NICENESS = 5
_log = logging.getLogger(__name__)


def main() -> int:
    """Do the job that the command line names and return the exit code."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m PseudoLabelCLLib.worker JOB.json\n")
        return 2
    return serve(Path(sys.argv[1]), _load_run_job)


def serve(job_path: Path, load_run: Callable[[], RunJob], deadline_s: float = DEADLINE_S) -> int:
    """Do one job and tell the parent about it over the standard streams.

    Args:
        job_path: The job's file; events.jsonl and log.txt appear beside it.
        load_run: Imports what the job needs and returns the function that does it. It is called
            before anything reads the standard input.
        deadline_s: How long the job may go on after the parent is gone.

    Returns:
        0 if the job was completed or cancelled, 1 if it failed.
    """
    session = _Session(job_path.absolute(), deadline_s)
    ending = _ending_of_job(session, load_run)
    session.events.write(ending)
    session.events.close()
    return 1 if isinstance(ending, JobFailed) else 0


def _load_run_job() -> RunJob:
    # On Windows the import of numpy or scipy hangs while another thread reads the standard input
    # (numpy issue 24290), so all of it happens here; and no user interface may load it.
    import numpy  # noqa: F401, ICN001, PLC0415 - see above
    import torch  # noqa: F401, PLC0415 - see above

    from PseudoLabelCLLib.distributed.run_on_processes import run_on_processes  # noqa: PLC0415 - see above
    from PseudoLabelCLLib.learning.torch_version import refuse_old_torch  # noqa: PLC0415 - see above

    refuse_old_torch()
    return run_on_processes


class _Session:
    """The standard streams of the worker, its log, and the wish of the parent.

    Making one takes over the process: the standard output becomes the line of events, and
    whatever else is printed goes to the standard error.
    """

    def __init__(self, job_path: Path, deadline_s: float) -> None:
        self.job_path = job_path
        # A plain attribute, not a threading.Event: a signal handler sets it, and must not lock.
        self.is_cancelled = False
        self._deadline_s = deadline_s
        self._control, pipe = take_over_standard_streams()
        self._log_path = job_path.with_name("log.txt")
        events_path = job_path.with_name("events.jsonl")
        job_id = job_path.parent.name
        self.redactor = PathRedactor(job_path.parent)
        self.events = EventWriter(
            pipe, events_path, job_id, self._end_soon, as_stored=self.redactor.redact_line
        )

    def keep_log(self) -> None:
        """Write log messages to log.txt and to the standard error."""
        line = "%(asctime)s %(levelname)s %(name)s: %(message)s"
        file = logging.FileHandler(self._log_path, encoding="utf-8")
        file.setFormatter(self.redactor.formatter(line))
        handlers = (file, logging.StreamHandler())
        logging.basicConfig(level=logging.INFO, format=line, handlers=handlers)
        logging.captureWarnings(capture=True)

    def obey_signals(self) -> None:
        """Take an interrupt or a polite end from outside as a cancel."""
        for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), lambda *_: self.cancel())

    def obey_parent(self) -> None:
        """Start to listen to the parent."""
        threading.Thread(target=self._listen, name="parent listener", daemon=True).start()

    def cancel(self) -> None:
        """Ask the job to stop after its step."""
        self.is_cancelled = True

    def _listen(self) -> None:
        rest = b""
        while chunk := _read(self._control):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in filter(None, lines):
                self._obey(line)
        text = Text("The parent has closed its line: the job stops after this step.")
        self.events.write(Notice(NoticeLevel.INFO, text))
        self._end_soon()

    def _obey(self, line: bytes) -> None:
        try:
            message = decode_line(line).message
        except ProtocolError as error:
            self.events.write(
                Notice(NoticeLevel.WARNING, Text("Not understood: {reason}", reason=error.message))
            )
            return
        if isinstance(message, Cancel):
            self.cancel()

    def _end_soon(self) -> None:
        """Cancel, and end the process at the deadline even if the job hangs in native code."""
        self.cancel()
        # This watchdog needs no Python thread to run; it writes where the job hung, and exits.
        faulthandler.dump_traceback_later(self._deadline_s, exit=True, file=self._open_log())

    def _open_log(self) -> int:
        try:
            return os.open(self._log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError:
            return 2  # the standard error


def _ending_of_job(session: _Session, load_run: Callable[[], RunJob]) -> TerminalEvent:
    try:
        session.keep_log()
        session.obey_signals()
        _be_nice()
        job = read_job(session.job_path)
        session.redactor.add_job(job)
        session.redactor.rewrite_job_file(session.job_path, job)
        session.events.write(JobStarted(PROTOCOL_VERSION, job.kind))
        run = _loaded(load_run)
        session.obey_parent()
        reporter = JobReporter(session.events.write, lambda: session.is_cancelled)
        try:
            result = run(job, reporter)
        finally:
            reporter.flush()
        to_json(result)  # what has no JSON form fails here, inside the job
        return JobCompleted(result)
    except Cancelled as cancelled:
        return JobCancelled(cancelled.resumable)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the parent must hear of every end
        _log.error("The job failed.", exc_info=error)
        return failure_of(error)


def _loaded(load_run: Callable[[], RunJob]) -> RunJob:
    try:
        return load_run()
    except (ImportError, OSError) as error:
        if (getattr(error, "name", None) or "").startswith("PseudoLabelCLLib"):
            raise  # a defect of the program, not of a package
        raise WorkerError(
            Text("A Python package that the job needs cannot be loaded: {error}.", error=error),
            Text("Install the packages again, then restart the program."),
        ) from error


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""


def _be_nice() -> None:
    # On Windows the parent starts the worker below normal priority instead.
    if sys.platform != "win32":
        os.nice(_NICENESS)


if __name__ == "__main__":
    sys.exit(main())
