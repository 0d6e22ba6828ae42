"""The messages between the service and the program that started it, and their JSON lines.

Docs/project-service.md tells the rules of the exchange in prose.
"""

import typing
from dataclasses import dataclass
from typing import Any

from PseudoLabelCLLib.domain.errors import ProjectDamagedError
from PseudoLabelCLLib.domain.reporting import Progress
from PseudoLabelCLLib.domain.text import NO_TEXT, Text
from PseudoLabelCLLib.messages.json_codec import JsonValue, from_json
from PseudoLabelCLLib.messages.json_lines import (
    MessageTypes,
    ProtocolError,
    ProtocolVersionError,
    read_line,
    require_version,
    shown,
    typed_object,
    write_line,
)
from PseudoLabelCLLib.messages.requests import Request, known_requests

SERVICE_PROTOCOL_VERSION = 3
# The number of a request that could not be read.
UNKNOWN_REQUEST = -1


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
    """A request was done.

    Args:
        to: The request's number.
        answer: The answer, of the request's `answer_type`.
    """

    to: int
    answer: object


@dataclass(frozen=True)
class Refused:
    """A request could not be done, and has changed nothing on disk.

    Args:
        to: The request's number; `UNKNOWN_REQUEST` for a line that was none.
        error_type: Name of the error's class; "InternalError" is a defect of the program.
        message: What happened, in plain words.
        remedy: What to do next, or empty.
    """

    to: int
    error_type: str
    message: Text
    remedy: Text = NO_TEXT


@dataclass(frozen=True)
class RequestProgress:
    """A request takes a while.

    Args:
        to: The request's number.
        progress: How far it is.
    """

    to: int
    progress: Progress


@dataclass(frozen=True)
class ServiceEnded:
    """Made by the parent, once, when the service has ended; nothing follows.

    Args:
        message: What happened, and which requests were left without an answer.
        remedy: What to do next.
        stderr_tail: The last that the service wrote to its standard error.
    """

    message: Text
    remedy: Text
    stderr_tail: str


ServiceEvent = Answered | Refused | RequestProgress | ServiceEnded
# What travels from the service to its parent.
ServiceMessage = ServiceReady | Answered | Refused | RequestProgress

_REQUESTS = MessageTypes[Request[Any]](known_requests(), "request")
_ANSWERS = MessageTypes[object]({type_.answer_type for type_ in known_requests()}, "answer")
_MESSAGES = MessageTypes[ServiceMessage](typing.get_args(ServiceMessage), "message")


class InvalidRequestError(ProtocolError):
    """A line is not a request.

    Args:
        message: What was found and what was expected.
        seq: The request's number, or `UNKNOWN_REQUEST`.
    """

    def __init__(self, message: Text, seq: int) -> None:
        super().__init__(message, Text("Restart the program; update it if that does not help."))
        self.seq = seq


def encode_request(seq: int, request: Request[Any]) -> bytes:
    r"""Return a request as one line of ASCII JSON, the final "\n" included.

    Raises:
        TypeError: A value has no JSON form.
        ValueError: A number is not finite.
    """
    return write_line(typed_object(request, seq=seq))


def decode_request(data: bytes) -> tuple[int, Request[Any]]:
    """Return the number and the request in a line.

    Raises:
        InvalidRequestError: It is no request; the error names its number if that can be read.
    """
    seq = UNKNOWN_REQUEST
    try:
        content = read_line(data)
        seq = _number(content.pop("seq", None))
        return seq, _REQUESTS.decode(content)
    except (ProjectDamagedError, ProtocolError) as error:
        raise InvalidRequestError(
            Text("A line is not a request: {reason}", reason=error.message), seq
        ) from error


def encode_message(message: ServiceMessage) -> bytes:
    r"""Return a message of the service as one line of ASCII JSON, the final "\n" included.

    Raises:
        TypeError: A value has no JSON form.
        ValueError: A number is not finite.
    """
    content = typed_object(message)
    if isinstance(message, Answered):
        content["answer"] = typed_object(message.answer)
    return write_line(content)


def decode_message(data: bytes) -> ServiceMessage:
    """Return the message of the service in a line.

    Raises:
        ProtocolVersionError: A `ServiceReady` of another version, or an answer that this version
            does not understand: whoever waits for it would wait for ever.
        ProtocolError: It is no message, or its fields are not those of its type.
    """
    type_ = None
    try:
        content = read_line(data)
        type_ = _MESSAGES.pop_type(content)
        return _decode_message(type_, content)
    except ProtocolVersionError:
        raise
    except (ProjectDamagedError, ProtocolError) as error:
        if type_ in (Answered, Refused):
            raise not_understood(error.message) from error
        raise ProtocolError(
            Text(
                "A line of the service is not a message: {reason} The line: {line}",
                reason=error.message,
                line=shown(data),
            )
        ) from error


def not_understood(what: Text) -> ProtocolVersionError:
    """Return the error for an answer that this version does not understand.

    Args:
        what: What is wrong with it, a sentence.
    """
    return ProtocolVersionError(
        Text(
            "The helper process gave an answer that this program does not understand, as "
            "after an update of the extension while Slicer was open ({what})",
            what=what,
        ),
        Text("Restart Slicer; if that does not help, install the extension again."),
    )


def _number(found: JsonValue) -> int:
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise ProtocolError(
            Text("A request needs a number (seq) from 0; it has {found!r:.60}.", found=found)
        )
    return found


def _decode_message(type_: type[ServiceMessage], content: dict[str, JsonValue]) -> ServiceMessage:
    if type_ is ServiceReady:
        version = content.get("protocol_version")
        require_version(version, SERVICE_PROTOCOL_VERSION, Text("The helper process"))
    if type_ is Answered:
        return _decode_answered(content)
    return from_json(type_, content, type_.__name__)


def _decode_answered(content: dict[str, JsonValue]) -> Answered:
    to = from_json(int, content.get("to"), "Answered, to")
    answer = content.get("answer")
    if not isinstance(answer, dict):
        raise ProtocolError(Text("An answer is not an object: {answer!r:.200}", answer=answer))
    return Answered(to, _ANSWERS.decode(answer))
