"""Texts for a person: English patterns with values, so that a user interface can translate them."""

from collections.abc import Iterable, Iterator, Mapping
from string import Formatter

# Beyond these a text is not translated, and none is taken from another process.
LONGEST_PATTERN = 4_000
LONGEST_TEXT = 100_000
MOST_VALUES = 200
DEEPEST = 12  # texts as values in texts
_FORMATTER = Formatter()


class Text(str):
    """A finished English text that remembers the pattern and the values it was made from.

    It is an ordinary string wherever one is wanted: on the command line, in a report, in a file.
    What travels to a user interface is the pattern and the values; that looks the pattern up in
    its language and puts the same values in.

        Text("'{file}' has {count:,} slices.", file=path.name, count=1200)

    Args:
        pattern: The text with a {name} for each value, a literal in the source; a translator sees
            it. Without values it is the text as it stands, braces included.
        values: By name. A value that is itself a `Text` is translated, too; anything else is
            written as the pattern's format says, and stays as it is in every language.
    """

    pattern: str
    values: Mapping[str, str]

    def __new__(cls, pattern: str, /, **values: object) -> "Text":
        """See the class."""
        if not values:
            return _made(pattern, {})
        written: dict[str, str] = {}
        for name, format_, conversion in _fields(pattern):
            value = values[name]
            if not isinstance(value, Text):
                value = format(_FORMATTER.convert_field(value, conversion), format_)
            if written.setdefault(name, value) != value:
                raise ValueError(f"The pattern {pattern!r} writes {name} in two ways")
        if missed := set(values) - set(written):
            raise ValueError(f"The pattern {pattern!r} has no place for {sorted(missed)}")
        return _made(pattern, written)

    def with_value(self, name: str, value: "Text") -> "Text":
        """Return the text with another one in place of a value."""
        return _made(self.pattern, {**self.values, name: value})

    @classmethod
    def received(cls, pattern: str, values: Mapping[str, str]) -> "Text":
        """Return the text that another process sent.

        Nothing in the pattern is carried out: a {name} is replaced, its format is not looked at.

        Args:
            pattern: As above.
            values: All that the pattern names, as texts, and nothing else.

        Raises:
            ValueError: Pattern and values do not belong together, or are beyond any text.
        """
        if values and set(names_in(pattern)) != set(values):
            raise ValueError(f"not the values of its pattern {pattern[:60]!r}")
        if not is_within_limits(pattern, values):
            raise ValueError(f"longer than any text of the program: {pattern[:60]!r}")
        return _made(pattern, dict(values))


def _made(pattern: str, values: dict[str, str]) -> Text:
    text = str.__new__(Text, filled(pattern, values) if values else pattern)
    text.pattern, text.values = pattern, values
    return text


def is_within_limits(pattern: str, values: Mapping[str, str]) -> bool:
    """Tell whether a text is as short and as flat as all that another process takes.

    Raises:
        ValueError: It is not a pattern.
        KeyError: A value is missing.
    """
    if not values:
        return True
    if len(pattern) > LONGEST_PATTERN or len(values) > MOST_VALUES or _depth_of(values) > DEEPEST:
        return False
    length = len(pattern) + sum(len(values[name]) for name in names_in(pattern))
    return length <= LONGEST_TEXT


NO_TEXT = Text("")


def pattern(text: str) -> str:
    """Mark a literal as a pattern that stands apart from its values, so that it is collected."""
    return text


def joined(*parts: str, by: str = " ") -> Text:
    """Return several texts one after the other; empty ones are left out.

    Args:
        parts: Each a `Text`, which is translated by itself, or a name that stays as it is.
        by: What stands between them in every language: a space, a comma, a line break.
    """
    told = [part for part in parts if part]
    if len(told) == 1 and isinstance(told[0], Text):
        return told[0]
    names = [f"part{number}" for number in range(1, len(told) + 1)]
    return _made(by.join(f"{{{name}}}" for name in names), dict(zip(names, told, strict=True)))


def as_clause(sentence: Text) -> Text:
    """Return a sentence without its full stop, to stand within another one.

    A user interface that knows no translation of the clause takes that of the sentence.
    """
    if not sentence.pattern.endswith("."):
        return sentence
    return _made(sentence.pattern[:-1], dict(sentence.values))


def listed(parts: Iterable[str]) -> Text:
    """Return several texts or names, separated by commas."""
    return joined(*parts, by=", ")


def counted(count: int, one: str, many: str, /, **values: object) -> Text:
    """Return the text for one thing or for several, as a sentence needs it.

    Args:
        count: How many; both patterns may show it as {count}.
        one: The pattern for one, a literal: "{count} voxel lies outside '{file}'."
        many: The pattern for none and for several, a literal.
        values: The other values of the patterns.
    """
    pattern = one if count == 1 else many
    if "count" in names_in(pattern):
        values["count"] = count
    return Text(pattern, **values)


def recognised(text: str, *patterns: str) -> Text:
    """Return a sentence that was stored without its pattern as one of these patterns, if it is one.

    Args:
        text: The sentence as it was written.
        patterns: Those that it may be made from; the first one that fits counts.
    """
    for known in patterns:
        values = _values_in(text, known)
        if values is not None:
            return Text.received(known, values)
    return Text(text)


def _values_in(text: str, pattern: str) -> dict[str, str] | None:
    """Return what stands in a text at the places of a pattern, each as short as can be."""
    parts = list(_parts(pattern))
    if parts[-1][1]:
        parts.append(("", ""))
    values: dict[str, str] = {}
    place, name = 0, ""
    for number, (literal, next_name) in enumerate(parts):
        if next_name:
            name = next_name
            continue
        is_last = number == len(parts) - 1
        end = len(text) - len(literal) if is_last else text.find(literal, place)
        if end < place or text[end : end + len(literal)] != literal or (not name and end != place):
            return None
        if name:
            values[name] = text[place:end]
        place, name = end + len(literal), ""
    return values if place == len(text) else None


def names_in(pattern: str) -> list[str]:
    """Return the names of the values of a pattern, in its order.

    Raises:
        ValueError: It is not a pattern: a brace is left open, or a field is not a plain name.
    """
    return [name for name, _, _ in _fields(pattern)]


def filled(pattern: str, values: Mapping[str, str]) -> str:
    """Return a pattern with its values put in as they are, whatever formats it asks for.

    Raises:
        ValueError: It is not a pattern.
        KeyError: A value is missing.
    """
    return "".join(values[name] if name else literal for literal, name in _parts(pattern))


def _depth_of(values: Mapping[str, str]) -> int:
    """Return how deep texts stand in texts: 0 if no value is one."""
    inner = (value.values for value in values.values() if isinstance(value, Text))
    return max((1 + _depth_of(one) for one in inner), default=0)


def _fields(pattern: str) -> list[tuple[str, str, str | None]]:
    """Return name, format and conversion of each value of a pattern."""
    return [
        (_plain_name(field), format_ or "", conversion)
        for _, field, format_, conversion in _FORMATTER.parse(pattern)
        if field is not None
    ]


def _parts(pattern: str) -> Iterator[tuple[str, str]]:
    """Yield the parts of a pattern: each a literal, or the name of a value."""
    for literal, field, _, _ in _FORMATTER.parse(pattern):
        yield literal, ""
        if field is not None:
            yield "", _plain_name(field)


def _plain_name(field: str) -> str:
    if not field.isidentifier():
        raise ValueError(f"{field[:60]!r} is not the name of a value")
    return field
