"""The messages between the worker and the program that started it, and their JSON lines.

Docs/protocol.md tells the rules of the exchange in prose.
"""

import typing
from dataclasses import dataclass, fields
from enum import Enum

from PseudoLabelCLLib.domain.errors import ProjectDamagedError
from PseudoLabelCLLib.domain.question import Question
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.domain.text import NO_TEXT, Text
from PseudoLabelCLLib.messages.json_codec import JsonValue, from_json
from PseudoLabelCLLib.messages.json_lines import (
    MessageTypes,
    ProtocolError,
    read_line,
    require_version,
    shown,
    typed_object,
    write_line,
)

PROTOCOL_VERSION = 2


class NoticeLevel(Enum):
    """How much a notice matters."""

    INFO = "info"
    WARNING = "warning"


@dataclass(frozen=True)
class Cancel:
    """Parent to worker: save, then end."""


@dataclass(frozen=True)
class JobStarted:
    """The worker has read its job; always the first event.

    Args:
        protocol_version: The version of these messages that the worker speaks.
        kind: The kind of job: "pretrain", "train", "predict", "evaluate" or "doctor".
    """

    protocol_version: int
    kind: str


@dataclass(frozen=True)
class Metrics:
    """Numbers measured at a step of a stage, all finite."""

    stage: str
    step: int
    values: dict[str, float]


@dataclass(frozen=True)
class Notice:
    """Something that a person should read."""

    level: NoticeLevel
    text: Text


@dataclass(frozen=True)
class Artifact:
    """A file is ready.

    Args:
        kind: What it is, in one word.
        path: Where it lies.
    """

    kind: str
    path: str


@dataclass(frozen=True)
class JobCompleted:
    """Terminal: the job is done.

    Args:
        result: What the job found out; its fields depend on the kind of job.
    """

    result: dict[str, JsonValue]


@dataclass(frozen=True)
class JobCancelled:
    """Terminal: the job stopped as asked.

    Args:
        resumable: Whether the same job, started again, goes on from there.
    """

    resumable: bool


@dataclass(frozen=True)
class JobFailed:
    """Terminal: the job could not be done.

    Args:
        error_type: Name of the error's class; "InternalError" is a defect of the program.
        message: What happened, in plain words.
        remedy: What to do next, or empty.
        traceback: Where in the program a defect showed, or empty; not for a person's eyes.
        questions: What a person has to answer first; the answers go into the next job.
    """

    error_type: str
    message: Text
    remedy: Text = NO_TEXT
    traceback: str = ""
    questions: tuple[Question, ...] = ()


@dataclass(frozen=True)
class WorkerCrashed:
    """Terminal, made by the parent: the worker ended without a word.

    Args:
        exit_code: As `subprocess` gives it; negative is the number of a POSIX signal.
        message: What that means, in plain words.
        remedy: What to do next.
        stderr_tail: The last lines that the worker wrote to its standard error.
    """

    exit_code: int
    message: Text
    remedy: Text = NO_TEXT
    stderr_tail: str = ""


TerminalEvent = JobCompleted | JobCancelled | JobFailed | WorkerCrashed
Event = JobStarted | Progress | Metrics | Notice | Artifact | TerminalEvent
Message = Cancel | Event

_MESSAGE_TYPES = MessageTypes[Message](typing.get_args(Message), "message")


@dataclass(frozen=True)
class Line:
    """A message as it travels.

    Args:
        job_id: The job it belongs to.
        seq: Its number, counted from 0 by each sender.
        message: What is said.
    """

    job_id: str
    seq: int
    message: Message


def is_terminal(event: Message) -> bool:
    """Tell whether no event follows this one."""
    return isinstance(event, TerminalEvent)


def encode_line(line: Line) -> bytes:
    r"""Return a message as one line of ASCII JSON, the final "\n" included.

    Raises:
        TypeError: A value has no JSON form.
        ValueError: A number is not finite.
    """
    return write_line(typed_object(line.message, job_id=line.job_id, seq=line.seq))


def decode_line(data: bytes) -> Line:
    """Return the message in a line.

    Raises:
        ProtocolVersionError: A `JobStarted` of another version.
        UnknownMessageError: A type of message that this version does not know.
        ProtocolError: It is no message at all, or its fields are not those of its type.
    """
    try:
        content = read_line(data)
        type_ = _MESSAGE_TYPES.pop_type(content)
        job_id = from_json(str, content.pop("job_id", None), "job_id")
        seq = from_json(int, content.pop("seq", None), "seq")
        return Line(job_id, seq, _decode_message(type_, content))
    except ProjectDamagedError as error:
        raise ProtocolError(
            Text(
                "A line of the worker is not a message: {reason} The line: {line}",
                reason=error.message,
                line=shown(data),
            )
        ) from error


def _decode_message(type_: type[Message], content: dict[str, JsonValue]) -> Message:
    if type_ is JobStarted:
        require_version(content.get("protocol_version"), PROTOCOL_VERSION, Text("The worker"))
    if type_ is JobCompleted:
        return _decode_completed(content)
    return from_json(type_, content, type_.__name__)


def _decode_completed(content: dict[str, JsonValue]) -> JobCompleted:
    # The result is free-form JSON, which no type describes.
    result = content.get("result")
    if set(content) != {f.name for f in fields(JobCompleted)} or not isinstance(result, dict):
        raise ProtocolError(
            Text(
                "A JobCompleted holds an object 'result' alone; got {content!r:.200}",
                content=content,
            )
        )
    return JobCompleted(result)
