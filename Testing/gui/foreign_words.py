"""A pretended language: every letter of a text is another one, so that no English word is left."""

import re
from collections.abc import Iterator
from dataclasses import fields
from enum import Enum
from typing import Any

_VALUE = re.compile(r"(\{[^{}]*\})")
_ENGLISH = re.compile(r"[A-Za-z]{2,}")
# What is no text: names that the panel looks things up by, and what a person chose.
_NAMES = {
    "author", "case_id", "labels", "name", "near", "pretraining", "profile", "python", "recent",
    "root", "step",
}  # fmt: skip


def translate(_context: str, text: str) -> str:
    """Return a text with Greek-looking letters in place of its own; {values} stay."""
    parts = _VALUE.split(text)
    return "".join(part if _VALUE.fullmatch(part) else _foreign(part) for part in parts)


def _foreign(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if c.isascii() and c.isalpha() else c for c in text)


def english_in(state: Any, known: str) -> dict[str, list[str]]:
    """Return the words of a state that are neither translated nor known values, by their text.

    Args:
        state: What the panel shows.
        known: A regular expression of the values that stay as they are: names and files.
    """
    found = {}
    for text in _texts(state):
        rest = re.sub(known, "", text)
        if words := _ENGLISH.findall(rest):
            found[text] = words
    return found


def _texts(value: Any, name: str = "") -> Iterator[str]:
    if name in _NAMES or isinstance(value, Enum):
        return
    if isinstance(value, str):
        yield value
    elif name == "choices":  # of a question; the first of each is what is sent back
        yield from (text for _key, *shown in value for text in shown)
    elif isinstance(value, tuple | list):
        yield from (text for one in value for text in _texts(one))
    elif type(value).__module__.startswith("PseudoLabelCLGui"):
        for one in fields(value):
            yield from _texts(getattr(value, one.name), one.name)
