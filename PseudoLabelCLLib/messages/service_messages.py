"""The messages between the service and the program that started it, and their JSON lines.

Docs/project-service.md tells the rules of the exchange in prose.
"""

import json
import typing
from dataclasses import dataclass

from PseudoLabelCLLib.domain.errors import ProjectDamagedError
from PseudoLabelCLLib.messages.answers import (
    CaseFiles,
    CasesChecked,
    CorrectionPreview,
    DicomExportChecked,
    DicomExported,
    Done,
    Exported,
    History,
    ModelCard,
    SampleVolumes,
    VolumesAdded,
    VolumesFound,
)
from PseudoLabelCLLib.messages.job_messages import ProtocolError, ProtocolVersionError
from PseudoLabelCLLib.messages.json_codec import JsonValue, from_json, parse_json, to_json
from PseudoLabelCLLib.messages.project_view import ProjectView
from PseudoLabelCLLib.messages.requests import Request

SERVICE_PROTOCOL_VERSION = 1
# The number of a request that could not be read.
UNKNOWN_REQUEST = -1

RequestAnswer = (
    ProjectView
    | Done
    | VolumesFound
    | VolumesAdded
    | CasesChecked
    | CaseFiles
    | CorrectionPreview
    | History
    | Exported
    | DicomExportChecked
    | DicomExported
    | ModelCard
    | SampleVolumes
)


@dataclass(frozen=True)
class ServiceReady:
    """The service listens; always its first message.

    Args:
        protocol_version: The version of these messages that it speaks.
        pid: The number of its process, which a launcher may have started.
    """

    protocol_version: int
    pid: int


@dataclass(frozen=True)
class Answered:
    """A request was met.

    Args:
        to: The request's number.
        answer: What it is answered with.
    """

    to: int
    answer: RequestAnswer


@dataclass(frozen=True)
class Refused:
    """A request could not be met, and has changed nothing on disk.

    Args:
        to: The request's number; `UNKNOWN_REQUEST` for a line that was none.
        error_type: Name of the error's class; "InternalError" is a defect of the program.
        message: What happened, in plain words.
        remedy: What to do next, or empty.
    """

    to: int
    error_type: str
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Working:
    """A request takes a while.

    Args:
        to: The request's number.
        text: What is done now, for a person.
        done: Steps done, 0..total.
        total: Steps in all.
    """

    to: int
    text: str
    done: int
    total: int


@dataclass(frozen=True)
class ServiceEnded:
    """Made by the parent, once, when the service has ended; nothing follows.

    Args:
        message: What happened, and which requests were left without an answer.
        remedy: What to do next.
        stderr_tail: The last that the service wrote to its standard error.
    """

    message: str
    remedy: str
    stderr_tail: str


ServiceEvent = Answered | Refused | Working | ServiceEnded
# What travels from the service to its parent.
ServiceMessage = ServiceReady | Answered | Refused | Working

_REQUEST_TYPES: dict[str, type[Request]] = {
    type_.__name__: type_ for type_ in typing.get_args(Request)
}
_ANSWER_TYPES: dict[str, type[RequestAnswer]] = {
    type_.__name__: type_ for type_ in typing.get_args(RequestAnswer)
}
_MESSAGE_TYPES: dict[str, type[ServiceMessage]] = {
    type_.__name__: type_ for type_ in typing.get_args(ServiceMessage)
}


class ServiceLineError(ProtocolError):
    """A line is not a request.

    Args:
        message: What was found and what was expected.
        seq: The request's number, or `UNKNOWN_REQUEST`.
    """

    def __init__(self, message: str, seq: int) -> None:
        super().__init__(message, "Restart the program; update it if that does not help.")
        self.seq = seq


def encode_request(seq: int, request: Request) -> bytes:
    r"""Return a request as one line of ASCII JSON, the final "\n" included.

    Raises:
        TypeError: A value has no JSON form.
        ValueError: A number is not finite.
    """
    return _line({"type": type(request).__name__, "seq": seq, **_object(request)})


def decode_request(data: bytes) -> tuple[int, Request]:
    """Return the number and the request in a line.

    Raises:
        ServiceLineError: It is no request; the error names its number if that can be read.
    """
    seq = UNKNOWN_REQUEST
    try:
        content = _content(data)
        seq = _number(content.pop("seq", None))
        return seq, _decode_request(content)
    except ProjectDamagedError as error:
        raise ServiceLineError(f"A line is not a request: {error.message}", seq) from error
    except ProtocolError as error:
        raise ServiceLineError(error.message, seq) from error


def encode_message(message: ServiceMessage) -> bytes:
    r"""Return a message of the service as one line of ASCII JSON, the final "\n" included.

    Raises:
        TypeError: A value has no JSON form.
        ValueError: A number is not finite.
    """
    name = {"type": type(message).__name__}
    if isinstance(message, Answered):
        answer = {"type": type(message.answer).__name__, **_object(message.answer)}
        return _line({**name, "to": message.to, "answer": answer})
    return _line({**name, **_object(message)})


def decode_message(data: bytes) -> ServiceMessage:
    """Return the message of the service in a line.

    Raises:
        ProtocolVersionError: A `ServiceReady` of another version, or an answer that this version
            does not understand: whoever waits for it would wait for ever.
        ProtocolError: It is no message, or its fields are not those of its type.
    """
    name = ""
    try:
        content = _content(data)
        name = _known_type(content.pop("type", None))
        if name == ServiceReady.__name__:
            _check_version(content.get("protocol_version"))
        if name == Answered.__name__:
            return _decode_answered(content)
        return from_json(_MESSAGE_TYPES[name], content, name)
    except ProtocolVersionError:
        raise
    except (ProjectDamagedError, ProtocolError) as error:
        if name in (Answered.__name__, Refused.__name__):
            raise _not_understood(error) from error
        raise ProtocolError(
            f"A line of the service is not a message: {error.message} The line: {_shown(data)}"
        ) from error


def _number(found: JsonValue) -> int:
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise ProtocolError(f"A request needs a number (seq) from 0; it has {found!r:.60}.")
    return found


def _decode_request(content: dict[str, JsonValue]) -> Request:
    name = from_json(str, content.pop("type", None), "type")
    if name not in _REQUEST_TYPES:
        raise ProtocolError(f"There is no request '{name:.60}'.")
    return from_json(_REQUEST_TYPES[name], content, name)


def _decode_answered(content: dict[str, JsonValue]) -> Answered:
    to = from_json(int, content.get("to"), "Answered, to")
    answer = content.get("answer")
    if not isinstance(answer, dict):
        raise ProtocolError(f"An answer is not an object: {answer!r:.200}")
    name = from_json(str, answer.pop("type", None), "Answered, answer, type")
    if name not in _ANSWER_TYPES:
        raise ProtocolError(f"The service gave an answer of unknown type '{name}'.")
    return Answered(to, from_json(_ANSWER_TYPES[name], answer, name))


def _check_version(version: JsonValue) -> None:
    if version != SERVICE_PROTOCOL_VERSION:
        raise ProtocolVersionError(
            f"The helper process speaks version {version!r} of the protocol, this program speaks "
            f"version {SERVICE_PROTOCOL_VERSION}.",
            "Restart the program; if that does not help, install the extension again.",
        )


def _known_type(told: JsonValue) -> str:
    name = from_json(str, told, "type")
    if name not in _MESSAGE_TYPES:
        raise ProtocolError(f"The service sent a message of unknown type '{name}'.")
    return name


def _not_understood(error: ProjectDamagedError | ProtocolError) -> ProtocolVersionError:
    return ProtocolVersionError(
        "The helper process gave an answer that this program does not understand, as after an "
        f"update of the extension while Slicer was open ({error.message})",
        "Restart Slicer; if that does not help, install the extension again.",
    )


def _content(data: bytes) -> dict[str, JsonValue]:
    content = parse_json(data, "the line")
    if not isinstance(content, dict):
        raise ProtocolError(f"A line is not a JSON object: {_shown(data)}")
    return content


def _object(value: object) -> dict[str, JsonValue]:
    body = to_json(value)
    if not isinstance(body, dict):
        raise TypeError(f"Expected a request or an answer, got {value!r:.60}")
    return body


def _line(content: dict[str, JsonValue]) -> bytes:
    # ASCII, so that neither an odd file name nor a foreign encoding can break a line.
    return json.dumps(content, allow_nan=False).encode("ascii") + b"\n"


def _shown(data: bytes) -> str:
    return repr(data[:200].decode("utf-8", errors="replace"))
