"""The one translation between frozen dataclasses and JSON, strict in both directions."""

import dataclasses
import json
import math
import sys
import types
import typing
from collections import Counter
from collections.abc import Callable
from enum import Enum
from functools import cache, partial
from typing import Any, TypeAlias, TypeVar

from PseudoLabelCLLib.domain.errors import ProjectDamagedError, PseudoLabelCLError
from PseudoLabelCLLib.domain.text import Text, is_within_limits

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None"
T = TypeVar("T")

# No file of the program nests half as deep; the limit of Python's own reader varies.
MAX_DEPTH = 60
_REMEDY = Text("Restore the file from a backup; its other contents were left as they are.")
_PLAIN = (str, int, bool, type(None))
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


class _NotJsonError(ValueError):
    """What Python's reader takes, but no JSON has."""

    def __init__(self, found: Text) -> None:
        super().__init__(found)
        self.found = found


def to_json(value: object) -> JsonValue:
    """Return the JSON form of a dataclass and whatever it holds; a `Text` is the finished text.

    Raises:
        TypeError: Something in it has no JSON form.
        ValueError: A number is not finite.
    """
    return _encode(value, str, is_text=False)


def to_message(value: object) -> JsonValue:
    """Return the same for another process: a field that is a `Text` keeps pattern and values.

    Raises:
        TypeError: Something in it has no JSON form.
        ValueError: A number is not finite.
    """
    return _encode(value, _encode_text, is_text=False)


def _encode(value: object, encode_text: Callable[[Text], JsonValue], *, is_text: bool) -> JsonValue:
    if type(value) in _PLAIN:  # most values are; the rest takes several times as long
        return typing.cast(JsonValue, value)
    return _encode_other(value, encode_text, is_text=is_text)


def _encode_other(
    value: object, encode_text: Callable[[Text], JsonValue], *, is_text: bool
) -> JsonValue:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: _encode(
                getattr(value, f.name), encode_text, is_text=_holds_text(type(value), f.name)
            )
            for f in dataclasses.fields(value)
        }
    if isinstance(value, Enum):
        return to_json(value.value)
    if isinstance(value, tuple | list):
        return [_encode(item, encode_text, is_text=is_text) for item in value]
    if isinstance(value, dict):
        return {
            _key(key): _encode(item, encode_text, is_text=is_text) for key, item in value.items()
        }
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"JSON holds finite numbers only, got {value!r}")
    if isinstance(value, Text):
        return encode_text(value) if is_text else str(value)
    if isinstance(value, str | int | float):
        return value
    raise TypeError(f"{type(value).__name__} has no JSON form: {value!r}")


def _encode_text(text: Text) -> JsonValue:
    is_short = is_within_limits(text.pattern, text.values)
    return _pattern_with_values(text) if text.values and is_short else str(text)


def _pattern_with_values(text: Text) -> JsonValue:
    values = {
        name: _pattern_with_values(value) if isinstance(value, Text) else value
        for name, value in text.values.items()
    }
    return {"pattern": text.pattern, "values": values}


@cache
def _holds_text(type_: Any, field: str) -> bool:
    """Tell whether a field of a dataclass is a `Text`, or a list or a choice of some."""

    def holds(hint: Any) -> bool:
        return hint is Text or any(holds(part) for part in typing.get_args(hint))

    return holds(typing.get_type_hints(type_)[field])


def from_json(type_: type[T], value: JsonValue, where: str) -> T:
    """Return the dataclass (or tuple, enum, ...) that a JSON value stands for.

    Args:
        type_: What is expected.
        value: The parsed JSON.
        where: What the message calls the source, for example "project.json".

    Raises:
        ProjectDamagedError: A field is unknown, missing or of another type, or the values
            contradict each other.
    """
    return typing.cast(T, _decode(type_, value, where))


def without_version(value: JsonValue, where: str) -> JsonValue:
    """Return a JSON object without its schema_version, which may be missing.

    Raises:
        ProjectDamagedError: It is no whole number above 0.
    """
    if not isinstance(value, dict) or "schema_version" not in value:
        return value
    version = value["schema_version"]
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise _wrong(f"{where}, schema_version", Text("a whole number above 0"), version)
    return {name: item for name, item in value.items() if name != "schema_version"}


def parse_json(data: bytes, where: str) -> JsonValue:
    """Return the JSON value in the bytes of a file, UTF-8 with or without a byte order mark.

    Raises:
        ProjectDamagedError: It is no JSON, another encoding, nested too deep, or holds a field
            twice.
    """
    if data.startswith(_UTF16_MARKS):
        raise ProjectDamagedError(
            Text("{where} is saved as UTF-16; expected UTF-8.", where=where), _REMEDY
        )
    try:
        parsed: JsonValue = json.loads(
            data.decode("utf-8-sig"),
            object_pairs_hook=_unique_fields,
            parse_constant=_refuse_constant,
        )
    except UnicodeDecodeError as error:
        raise ProjectDamagedError(
            Text(
                "{where} is not UTF-8 text (byte {place} of {count}).",
                where=where,
                place=error.start + 1,
                count=len(data),
            ),
            _REMEDY,
        ) from error
    except json.JSONDecodeError as error:
        raise ProjectDamagedError(
            Text(
                "{where} is damaged: no valid JSON at line {line}, column {column}.",
                where=where,
                line=error.lineno,
                column=error.colno,
            ),
            _REMEDY,
        ) from error
    except (ValueError, RecursionError) as error:
        found = error.found if isinstance(error, _NotJsonError) else error
        raise ProjectDamagedError(
            Text("{where} is damaged: {found}.", where=where, found=found), _REMEDY
        ) from error
    if _is_deeper_than(MAX_DEPTH, parsed):
        raise ProjectDamagedError(
            Text(
                "{where} is damaged: it is nested more than {most} levels deep.",
                where=where,
                most=MAX_DEPTH,
            ),
            _REMEDY,
        )
    return parsed


def _is_deeper_than(limit: int, value: JsonValue) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            part
            for one in level
            if isinstance(one, dict | list)
            for part in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def _unique_fields(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = sorted(name for name, count in counts.items() if count > 1)
        raise _NotJsonError(Text("it holds {names} twice", names=", ".join(twice)))
    return fields


def _refuse_constant(name: str) -> JsonValue:
    raise _NotJsonError(Text("it holds {name}, which is not a number", name=name))


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"JSON names are text, got {key!r}")
    return key


def _decode(type_: Any, value: JsonValue, where: str) -> object:
    return _decoder(type_)(value, where)


@cache
def _decoder(type_: Any) -> Callable[[JsonValue, str], object]:
    """Return what reads values of a type; it is looked for once."""
    origin = typing.get_origin(type_)
    if origin in _GENERIC_DECODERS:
        return partial(_GENERIC_DECODERS[origin], typing.get_args(type_))
    if dataclasses.is_dataclass(type_):
        return partial(_decode_dataclass, type_)
    if isinstance(type_, type) and issubclass(type_, Enum):
        return partial(_decode_member, type_)
    return partial(_decode_plain, type_)


def _decode_member(type_: type[Enum], value: JsonValue, where: str) -> object:
    return type_(_decode_choice(tuple(member.value for member in type_), value, where))


def _decode_plain(type_: Any, value: JsonValue, where: str) -> object:
    if type_ is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(where, Text("a number"), value)
        if not -sys.float_info.max <= value <= sys.float_info.max:
            raise _wrong(where, Text("a finite number"), value)
        return float(value)
    if type_ is int and isinstance(value, bool):
        raise _wrong(where, Text("a whole number"), value)
    if type_ is type(None):
        return None if value is None else _expect(type(None), value, where)
    if type_ in (str, int, bool):
        return _expect(type_, value, where)
    if type_ is Text:
        return _decode_text(value, where)
    raise TypeError(f"{type_!r} cannot be read from JSON ({where})")


def _decode_text(value: JsonValue, where: str) -> Text:
    if isinstance(value, str):
        return Text(value)
    given = _expect(dict, value, where)
    if set(given) != {"pattern", "values"}:
        raise _wrong(where, Text("a pattern with its values"), value)
    pattern = _expect(str, given["pattern"], where)
    values = {
        name: item if isinstance(item, str) else _decode_text(item, f"{where}, {name}")
        for name, item in _expect(dict, given["values"], where).items()
    }
    try:
        return Text.received(pattern, values)
    except ValueError as error:
        raise _wrong(
            where, Text("a text of the program ({reason})", reason=error), value
        ) from error


def _decode_dataclass(type_: Any, value: JsonValue, where: str) -> object:
    given = _expect(dict, value, where)
    types_, required = _fields(type_)
    unknown = sorted(given.keys() - types_.keys())
    if unknown:
        raise ProjectDamagedError(
            Text("{where} holds unknown fields: {fields}.", where=where, fields=", ".join(unknown)),
            _REMEDY,
        )
    missing = [name for name in required if name not in given]
    if missing:
        raise ProjectDamagedError(
            Text("{where} lacks {fields}.", where=where, fields=", ".join(missing)), _REMEDY
        )
    arguments = {n: _decode(types_[n], v, f"{where}, {n}") for n, v in given.items()}
    try:
        return type_(**arguments)
    except PseudoLabelCLError as error:
        raise ProjectDamagedError(
            Text("{where}: {reason}", where=where, reason=error.message), error.remedy or _REMEDY
        ) from error


def _decode_tuple(items: tuple[Any, ...], value: JsonValue, where: str) -> object:
    given = _expect(list, value, where)
    if len(items) == 2 and items[1] is Ellipsis:
        items = (items[0],) * len(given)
    if len(items) != len(given):
        raise _wrong(where, Text("a list of {count}", count=len(items)), value)
    return tuple(
        _decode(item, v, f"{where}[{n}]")
        for n, (item, v) in enumerate(zip(items, given, strict=True))
    )


def _decode_mapping(types_: tuple[Any, ...], value: JsonValue, where: str) -> object:
    given = _expect(dict, value, where)
    return {name: _decode(types_[1], item, f"{where}, {name}") for name, item in given.items()}


def _decode_union(arms: tuple[Any, ...], value: JsonValue, where: str) -> object:
    if value is None and type(None) in arms:
        return None
    arms = tuple(arm for arm in arms if arm is not type(None))
    for arm in arms[:-1]:
        try:
            return _decode(arm, value, where)
        except ProjectDamagedError:  # noqa: PERF203 - an arm that does not fit is the normal way
            continue
    return _decode(arms[-1], value, where)


def _decode_choice(choices: tuple[object, ...], value: JsonValue, where: str) -> object:
    for choice in choices:
        if type(choice) is type(value) and choice == value:
            return choice
    raise _wrong(
        where,
        Text("one of {choices}", choices=", ".join(repr(choice) for choice in choices)),
        value,
    )


_GENERIC_DECODERS = {
    typing.Union: _decode_union,
    types.UnionType: _decode_union,
    typing.Literal: _decode_choice,
    tuple: _decode_tuple,
    dict: _decode_mapping,
}
_WORDS = {
    dict: Text("an object"),
    list: Text("a list"),
    str: Text("text"),
    int: Text("a whole number"),
    bool: Text("true or false"),
    type(None): Text("null"),
}


def _expect(type_: Any, value: JsonValue, where: str) -> Any:
    if not isinstance(value, type_):
        raise _wrong(where, _WORDS[type_], value)
    return value


def _wrong(where: str, expected: Text, value: JsonValue) -> ProjectDamagedError:
    shown = json.dumps(value, ensure_ascii=False)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return ProjectDamagedError(
        Text(
            "{where} must be {expected}; it is {found}.",
            where=where,
            expected=expected,
            found=shown,
        ),
        _REMEDY,
    )


@cache
def _fields(type_: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the types of the fields that a dataclass is made with, and those without a default."""
    hints, made_with = (
        typing.get_type_hints(type_),
        [f for f in dataclasses.fields(type_) if f.init],
    )
    required = (f.name for f in made_with if f.default is f.default_factory is dataclasses.MISSING)
    return {f.name: hints[f.name] for f in made_with}, tuple(required)
