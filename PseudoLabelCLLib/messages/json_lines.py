"""Messages between processes as JSON lines: one object each, whose "type" names its dataclass."""

import json
from collections.abc import Iterable
from typing import Generic, TypeVar

from PseudoLabelCLLib.domain.errors import WorkerError
from PseudoLabelCLLib.domain.text import Text
from PseudoLabelCLLib.messages.json_codec import JsonValue, from_json, parse_json, to_message

M = TypeVar("M")


class ProtocolError(WorkerError):
    """A line is not a message."""


class UnknownMessageError(ProtocolError):
    """A line is a message of a type that this version does not know."""


class ProtocolVersionError(ProtocolError):
    """The two processes speak different versions."""


class MessageTypes(Generic[M]):
    """The dataclasses that may arrive in one place, by the name under "type".

    Args:
        types: The dataclasses; no two have the same name.
        kind: What they are, for error messages: "request".
    """

    def __init__(self, types: Iterable[type[M]], kind: str) -> None:
        self._types = {type_.__name__: type_ for type_ in types}
        self._kind = kind

    def pop_type(self, content: dict[str, JsonValue]) -> type[M]:
        """Take the type out of an object and return the dataclass that it names.

        Raises:
            UnknownMessageError: It is none of these.
            ProjectDamagedError: It is missing or no text.
        """
        name = from_json(str, content.pop("type", None), "type")
        if name not in self._types:
            raise UnknownMessageError(
                Text("There is no {kind} of the type '{name:.60}'.", kind=self._kind, name=name)
            )
        return self._types[name]

    def decode(self, content: dict[str, JsonValue]) -> M:
        """Return the dataclass that an object stands for.

        Raises:
            UnknownMessageError: Its type is none of these.
            ProjectDamagedError: Its fields are not those of its type.
        """
        type_ = self.pop_type(content)
        return from_json(type_, content, type_.__name__)


def typed_object(value: object, **envelope: JsonValue) -> dict[str, JsonValue]:
    """Return a dataclass as an object with its type; the reverse of `MessageTypes.decode`.

    Args:
        value: The dataclass.
        envelope: What else the object holds.

    Raises:
        TypeError: It is no dataclass, or holds what has no JSON form.
        ValueError: A number is not finite.
    """
    fields = to_message(value)
    if not isinstance(fields, dict):
        raise TypeError(f"Expected a dataclass, got {value!r:.60}")
    return {"type": type(value).__name__, **envelope, **fields}


def write_line(content: dict[str, JsonValue]) -> bytes:
    r"""Return an object as one line of ASCII, the final "\n" included.

    Raises:
        ValueError: A number is not finite.
    """
    # ASCII, so that neither an odd file name nor a foreign encoding can break a line.
    return json.dumps(content, allow_nan=False).encode("ascii") + b"\n"


def read_line(line: bytes) -> dict[str, JsonValue]:
    """Return the object in a line.

    Raises:
        ProjectDamagedError: It is no JSON.
        ProtocolError: It is no object.
    """
    content = parse_json(line, "the line")
    if not isinstance(content, dict):
        raise ProtocolError(Text("A line is not a JSON object: {shown}", shown=shown(line)))
    return content


def shown(line: bytes) -> str:
    """Return the beginning of a line, for an error message."""
    return repr(line[:200].decode("utf-8", errors="replace"))


def require_version(found: JsonValue, expected: int, speaker: Text) -> None:
    """Refuse a process that speaks another version.

    Args:
        found: The version that it names.
        expected: The version of this program.
        speaker: The process, as a sentence begins: "The worker".

    Raises:
        ProtocolVersionError: The versions differ.
    """
    if found != expected:
        raise ProtocolVersionError(
            Text(
                "{speaker} speaks version {found!r} of the protocol, this program speaks "
                "version {expected}.",
                speaker=speaker,
                found=found,
                expected=expected,
            ),
            Text("Restart the program; if that does not help, install the extension again."),
        )
