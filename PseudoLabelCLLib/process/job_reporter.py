"""What a worker reports: numbered events, written to the parent and to the job's folder."""

import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.domain.text import NO_TEXT, Text
from PseudoLabelCLLib.messages.job_messages import (
    Artifact,
    Event,
    Line,
    Metrics,
    Notice,
    NoticeLevel,
    encode_line,
    is_terminal,
)

PROGRESS_INTERVAL_S = 0.1


class EventWriter:
    """Writes each event to a pipe and appends it to a file; says nothing after a terminal event.

    It may be used from several threads.

    Args:
        pipe: File descriptor of the line to the parent; closed by `close`.
        file: Where the events are kept for later reading.
        job_id: The job they belong to.
        on_broken_pipe: Called once, when the parent turns out to be gone.
        as_stored: What a line becomes in the file; by default it is the same.
    """

    def __init__(
        self,
        pipe: int,
        file: Path,
        job_id: str,
        on_broken_pipe: Callable[[], None],
        as_stored: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self._as_stored = as_stored
        self._job_id = job_id
        self._on_broken_pipe = on_broken_pipe
        self._lock = threading.Lock()
        self._next_seq = 0
        self._has_ended = False
        self._pipe: int | None = pipe
        self._file: int | None = None
        self._file_error = ""
        try:
            # O_BINARY exists on Windows alone, where text mode would change the line ends.
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
            self._file = os.open(file, flags, 0o666)
        except OSError as error:
            self._file_error = str(error)

    def write(self, event: Event) -> None:
        """Send one event.

        Raises:
            TypeError: The event holds something that has no JSON form.
            ValueError: The event holds a number that is not finite.
        """
        with self._lock:
            was_whole = self._pipe is not None
            self._write(event)
            is_broken_now = was_whole and self._pipe is None
        if is_broken_now:
            self._on_broken_pipe()

    def close(self) -> None:
        """Close pipe and file; the parent sees the end of the line."""
        with self._lock:
            self._has_ended = True
            for descriptor in (self._pipe, self._file):
                if descriptor is not None:
                    os.close(descriptor)
            self._pipe = self._file = None

    def _write(self, event: Event) -> None:
        if self._has_ended:
            return
        if self._file_error:
            reason, self._file_error = self._file_error, ""
            self._write(
                Notice(
                    NoticeLevel.WARNING,
                    Text("The job's events cannot be kept: {reason}.", reason=reason),
                )
            )
        data = encode_line(Line(self._job_id, self._next_seq, event))
        self._next_seq += 1
        self._has_ended = is_terminal(event)
        # The file first: whatever the parent has heard is kept.
        if self._file is not None:
            self._file_error = _error_of_writing(self._file, self._as_stored(data))
            if self._file_error:
                os.close(self._file)
                self._file = None
        if self._pipe is not None and _error_of_writing(self._pipe, data):
            os.close(self._pipe)
            self._pipe = None


class JobReporter:
    """What a running job reports to: the `Report` of domain/reporting.py.

    Progress goes out about ten times a second, the first and the last step of a stage always.

    Args:
        write: Sends one event.
        is_cancelled: Tells whether the job shall stop.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        write: Callable[[Event], None],
        is_cancelled: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._is_cancelled = is_cancelled
        self._clock = clock
        self._stage = NO_TEXT
        self._first_step = self._last_step = 0
        self._started_s = self._sent_s = -math.inf
        self._held_back: Progress | None = None
        self._named_as_not_finite: set[str] = set()

    def progress(self, stage: Text, step: int, num_steps: int) -> None:
        """See `Report.progress`."""
        now_s = self._clock()
        if stage != self._stage or step < self._last_step:
            self.flush()
            self._stage, self._first_step = stage, step
            self._started_s, self._sent_s = now_s, -math.inf
        self._last_step = step
        event = Progress(stage, step, num_steps, self._seconds_left(now_s, step, num_steps))
        if step < num_steps and now_s - self._sent_s < PROGRESS_INTERVAL_S:
            self._held_back = event
            return
        self._held_back = None
        self._sent_s = now_s
        self._write(event)

    def metrics(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """See `Report.metrics`; values that are no finite number are named once and left out."""
        finite = {name: float(value) for name, value in values.items() if math.isfinite(value)}
        for name in sorted(set(values) - set(finite) - self._named_as_not_finite):
            self._named_as_not_finite.add(name)
            text = Text(
                "{stage}, step {step}: '{name}' is not a finite number ({value}).",
                stage=stage,
                step=step,
                name=name,
                value=values[name],
            )
            self.notice(text, warning=True)
        if finite:
            self._write(Metrics(stage, step, finite))

    def notice(self, text: Text, *, warning: bool = False) -> None:
        """See `Report.notice`."""
        self._write(Notice(NoticeLevel.WARNING if warning else NoticeLevel.INFO, text))

    def artifact(self, kind: str, path: Path) -> None:
        """See `Report.artifact`."""
        self._write(Artifact(kind, str(path)))

    def is_cancelled(self) -> bool:
        """See `Report.is_cancelled`."""
        return self._is_cancelled()

    def flush(self) -> None:
        """Send the progress that was held back, if any."""
        if self._held_back is not None:
            self._write(self._held_back)
            self._held_back = None

    def _seconds_left(self, now_s: float, step: int, num_steps: int) -> float | None:
        num_done = step - self._first_step
        elapsed_s = now_s - self._started_s
        if num_done <= 0 or elapsed_s <= 0:
            return None
        return round(elapsed_s / num_done * max(0, num_steps - step), 1)


def _error_of_writing(descriptor: int, data: bytes) -> str:
    """Write all of `data`; return what went wrong, or an empty text."""
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError as error:
        return str(error)
    return ""
