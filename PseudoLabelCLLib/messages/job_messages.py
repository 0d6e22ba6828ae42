"""The messages between the worker and the program that started it, and their JSON lines.

Docs/protocol.md tells the rules of the exchange in prose.
"""

import json
from dataclasses import dataclass, fields
from enum import Enum

from PseudoLabelCLLib.domain.errors import ProjectDamagedError, WorkerError
from PseudoLabelCLLib.messages.json_codec import JsonValue, from_json, parse_json, to_json

PROTOCOL_VERSION = 1


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
class Progress:
    """How far a stage is.

    Args:
        stage: What is done now, in words for a person.
        step: Steps done, 0..num_steps.
        num_steps: Steps of the stage.
        seconds_left: Estimate for the rest of the stage, or None while there is none.
    """

    stage: str
    step: int
    num_steps: int
    seconds_left: float | None = None


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
    text: str


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
    """

    error_type: str
    message: str
    remedy: str = ""
    traceback: str = ""


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
    message: str
    remedy: str = ""
    stderr_tail: str = ""


TerminalEvent = JobCompleted | JobCancelled | JobFailed | WorkerCrashed
Event = JobStarted | Progress | Metrics | Notice | Artifact | TerminalEvent
Message = Cancel | Event

_MESSAGE_TYPES: dict[str, type[Message]] = {
    message.__name__: message
    for message in (
        Cancel, JobStarted, Progress, Metrics, Notice, Artifact,
        JobCompleted, JobCancelled, JobFailed, WorkerCrashed,
    )
}  # fmt: skip


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


class ProtocolError(WorkerError):
    """A line is not a message."""


class UnknownMessageError(ProtocolError):
    """A line is a message of a type that this version does not know."""


class ProtocolVersionError(ProtocolError):
    """Worker and parent speak different versions."""


def is_terminal(event: Message) -> bool:
    """Tell whether no event follows this one."""
    return isinstance(event, TerminalEvent)


def encode_line(line: Line) -> bytes:
    r"""Return a message as one line of ASCII JSON, the final "\n" included.

    Raises:
        TypeError: A value has no JSON form.
        ValueError: A number is not finite.
    """
    name = type(line.message).__name__
    envelope: dict[str, JsonValue] = {"type": name, "job_id": line.job_id, "seq": line.seq}
    body = to_json(line.message)
    assert isinstance(body, dict)  # a dataclass becomes an object
    # ASCII, so that neither an odd file name nor a foreign encoding can break a line.
    return json.dumps(envelope | body, allow_nan=False).encode("ascii") + b"\n"


def decode_line(data: bytes) -> Line:
    """Return the message in a line.

    Raises:
        ProtocolVersionError: A `JobStarted` of another version.
        UnknownMessageError: A type of message that this version does not know.
        ProtocolError: It is no message at all, or its fields are not those of its type.
    """
    try:
        content = parse_json(data, "the line")
        if not isinstance(content, dict):
            raise ProtocolError(f"A line of the worker is not a JSON object: {_shown(data)}")
        name = from_json(str, content.pop("type", None), "type")
        job_id = from_json(str, content.pop("job_id", None), "job_id")
        seq = from_json(int, content.pop("seq", None), "seq")
        if name not in _MESSAGE_TYPES:
            raise UnknownMessageError(f"The worker sent a message of unknown type '{name}'.")
        return Line(job_id, seq, _decode_message(_MESSAGE_TYPES[name], content))
    except ProjectDamagedError as error:
        raise ProtocolError(
            f"A line of the worker is not a message: {error.message} The line: {_shown(data)}"
        ) from error


def _decode_message(type_: type[Message], content: dict[str, JsonValue]) -> Message:
    if type_ is JobStarted:
        _check_version(content.get("protocol_version"))
    if type_ is JobCompleted:
        return _decode_completed(content)
    return from_json(type_, content, type_.__name__)


def _check_version(version: JsonValue) -> None:
    if version != PROTOCOL_VERSION:
        raise ProtocolVersionError(
            f"The worker speaks version {version!r} of the protocol, this program speaks "
            f"version {PROTOCOL_VERSION}.",
            "Restart the program; if that does not help, install the extension again.",
        )


def _decode_completed(content: dict[str, JsonValue]) -> JobCompleted:
    # The result is free-form JSON, which no type describes.
    result = content.get("result")
    if set(content) != {f.name for f in fields(JobCompleted)} or not isinstance(result, dict):
        raise ProtocolError(f"A JobCompleted holds an object 'result' alone; got {content!r:.200}")
    return JobCompleted(result)


def _shown(data: bytes) -> str:
    return repr(data[:200].decode("utf-8", errors="replace"))
